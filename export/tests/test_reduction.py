"""Sampling, thresholds, merging and PatchMerger: every face against its reference, properties, and refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from coppice_export.check import session
from coppice_export.graph import DOMAIN, Graph
from coppice_export.operators import merge_tokens, patch_merger, prune_merge_tokens, sample_tokens, threshold_tokens

FACES = ("ours", "stock", "torch")
WIDTH = 5
_TYPES = {"index": "int64", "group": "int64", "kept_count": "int64"}


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _run(graph: Graph, names: dict[str, str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """names: what each value is (its type follows from that) -> its name in the graph."""
    for kind, name in names.items():
        graph.output(name, _TYPES.get(kind, "float32"), None)
    return session(graph.model().SerializeToString()).run(list(names.values()), feeds)


def _inputs(graph: Graph, feeds: dict[str, np.ndarray]) -> list[str]:
    return [graph.input(name, array.dtype.name, list(array.shape)) for name, array in feeds.items()]


def _call(operator: str, slots: tuple[str, ...], outputs: tuple[str, ...], feeds: dict, **attributes) -> list:
    """One node with the inputs that are fed and every output."""
    graph = Graph("test")
    _inputs(graph, feeds)
    names = [name if name in feeds else "" for name in slots]
    graph.op(operator, *names, outputs=[f"out_{name}" for name in outputs], domain=DOMAIN, **attributes)
    return _run(graph, {name: f"out_{name}" for name in outputs}, feeds)


def _sample(feeds: dict, **attributes) -> list:
    return _call("SampleTokens", ("scores", "count", "x"), ("index", "y", "kept_count"), feeds, **attributes)


def _top_k(feeds: dict, **attributes) -> list:
    return _call("TopKTokens", ("scores", "count", "x"), ("index", "y"), feeds, **attributes)


def _threshold(feeds: dict, **attributes) -> list:
    return _call("ThresholdTokens", ("scores", "threshold", "x"), ("index", "y", "kept_count"), feeds, **attributes)


def _merge(feeds: dict, **attributes) -> list:
    slots = ("x", "metric", "count", "size", "threshold")
    return _call("MergeTokens", slots, ("y", "merged_size", "group", "kept_count"), feeds, **attributes)


def _prune_merge(feeds: dict, **attributes) -> list:
    slots = ("scores", "count", "x", "size")
    return _call("PruneMergeTokens", slots, ("index", "y", "merged_size"), feeds, **attributes)


def _mix(feeds: dict, **attributes) -> list:
    return _call("PatchMerger", ("x", "w", "gamma", "beta"), ("y",), feeds, **attributes)


def _selection(face: str, module, scores: np.ndarray, value: np.ndarray, **torch_options) -> list[np.ndarray]:
    x, name = _normal(1, 1, scores.shape[1], WIDTH), "count" if value.dtype == np.int64 else "threshold"
    if face == "torch":
        found = module.torch_face(torch.from_numpy(scores), value.item(), torch.from_numpy(x), **torch_options)
        return [array.numpy() for array in found]
    graph, feeds = Graph("test"), {"scores": scores, name: value, "x": x}
    names = getattr(module, face)(graph, *_inputs(graph, feeds), 1)
    return _run(graph, dict(zip(("index", "y"), names)), feeds)


@pytest.mark.parametrize("count", [1, 7, 96, 200])
@pytest.mark.parametrize("face", FACES)
def test_sample_tokens_equals_its_reference(face, count):
    """Every face keeps the same tokens of exponential scores, and copies their rows."""
    scores = np.exp(_normal(count, 1, 97))
    index, y, _ = sample_tokens.reference(scores, count, _normal(1, 1, 97, WIDTH))
    found = _selection(face, sample_tokens, scores, np.array([count]))
    np.testing.assert_array_equal(found[0], index)
    np.testing.assert_array_equal(found[1], y.astype(np.float32))


@pytest.mark.parametrize("rule", ["cdf", "ats"])
def test_torch_samples_as_the_reference_on_2000_random_vectors(rule):
    """Searching the points (or the nearest sums) gives what the running rule keeps."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        tokens, count = rng.integers(3, 60), int(rng.integers(1, 80))
        scores = rng.random((1, tokens), np.float32) + np.float32(1e-3)
        index, _, _ = sample_tokens.reference(scores, count, rule=rule)
        found, _ = sample_tokens.torch_face(torch.from_numpy(scores), count, torch.zeros(1, tokens, 1), rule=rule)
        np.testing.assert_array_equal(found, index)


def test_sampled_tokens_are_at_most_the_points():
    """r' <= R <= m, and uniform scores keep exactly R."""
    scores = np.exp(2 * _normal(0, 1, 197))
    assert _sample({"scores": scores, "count": np.array(137), "x": _normal(1, 1, 197, 2)})[0].shape[1] <= 138
    assert len(sample_tokens.reference(np.ones((1, 197)), 137)[0][0]) == 138


@pytest.mark.parametrize("rule", ["cdf", "ats"])
def test_library_samples_as_the_reference(rule):
    """Both rules, a batch that is padded, two prefix tokens."""
    scores, x = np.exp(2 * _normal(3, 4, 61)), _normal(4, 4, 61, WIDTH)
    expected = sample_tokens.reference(scores, 30, x, 2, rule, pad=True)
    found = _sample({"scores": scores, "count": np.array(30), "x": x}, prefix_tokens=2, rule=rule, pad=1)
    for array, wanted in zip(found, expected):
        np.testing.assert_array_equal(array, wanted.astype(array.dtype))


@pytest.mark.parametrize("threshold", [-5.0, 0.0, 0.7, 9.0])
@pytest.mark.parametrize("face", FACES)
def test_threshold_tokens_equals_its_reference(face, threshold):
    """Every face keeps the same tokens above the threshold, down to none."""
    scores = _normal(0, 1, 97)
    index, y, _ = threshold_tokens.reference(scores, threshold, _normal(1, 1, 97, WIDTH))
    found = _selection(face, threshold_tokens, scores, np.array(threshold, np.float32))
    np.testing.assert_array_equal(found[0], index)
    np.testing.assert_array_equal(found[1], y.astype(np.float32))


@pytest.mark.parametrize("face", ["ours", "torch"])
def test_threshold_tokens_keeps_the_least(face):
    """Where three pass and seven are asked for, the best seven stay."""
    scores, x = _normal(0, 1, 41), _normal(1, 1, 41, WIDTH)
    threshold = float(np.sort(scores[0, 1:])[-4])
    index, _, _ = threshold_tokens.reference(scores, threshold, min_tokens=7)
    if face == "torch":
        found, _ = threshold_tokens.torch_face(torch.from_numpy(scores), threshold, torch.from_numpy(x), min_tokens=7)
    else:
        feeds = {"scores": scores, "threshold": np.array(threshold, np.float32), "x": x}
        found = _threshold(feeds, min_tokens=7)[0]
    assert index.shape[1] == 8
    np.testing.assert_array_equal(found, index)


def _merge_feeds(tokens: int, count: int, sized: bool = True, dim: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    size = np.random.default_rng(seed).integers(1, 5, (1, tokens)).astype(np.float32)
    feeds = {"x": _normal(seed, 1, tokens, WIDTH), "metric": _normal(seed + 1, 1, tokens, dim)}
    return feeds | {"count": np.array([count]), "size": size if sized else np.ones_like(size)}


@pytest.mark.parametrize("prefix", [0, 1])
@pytest.mark.parametrize(("tokens", "count"), [(3, 1), (17, 0), (17, 5), (98, 40), (197, 13), (197, 98)])
@pytest.mark.parametrize("face", FACES)
def test_merge_tokens_equals_its_reference(face, tokens, count, prefix):
    """Every face merges the same tokens by size-weighted means, in ToMe's order."""
    if count == 0 and face == "stock":
        pytest.skip("ToMe does nothing for a count of 0; the stock graph would still reorder the tokens")
    feeds = _merge_feeds(tokens, count)
    y, size, _, _ = merge_tokens.reference(feeds["x"], feeds["metric"], count, feeds["size"], prefix=prefix)
    if face == "torch":
        tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
        found = merge_tokens.torch_face(tensors["x"], tensors["metric"], count, tensors["size"], prefix)[:2]
    else:
        graph = Graph("test")
        names = _inputs(graph, feeds)
        options = {"width": WIDTH} if face == "stock" else {}
        found = _run(
            graph,
            dict(zip(("y", "merged_size"), getattr(merge_tokens, face)(graph, *names, prefix=prefix, **options))),
            feeds,
        )
    # A mean of at most `tokens` terms of magnitude 4, in float32 and with the divisor's roundings.
    np.testing.assert_allclose(found[0], y, rtol=0, atol=2 * 8 * 4 * 2**-24)
    np.testing.assert_array_equal(found[1], size.astype(np.float32))


@pytest.mark.parametrize("threshold", [-1.0, 0.3, 0.6, 1.0])
def test_threshold_merging_equals_its_reference(threshold):
    """LTMP's rule in our node and in PyTorch: every source above the threshold merges."""
    feeds = _merge_feeds(97, 97) | {"threshold": np.array(threshold, np.float32)}
    y, size, group, kept = merge_tokens.reference(feeds["x"], feeds["metric"], None, feeds["size"], threshold)
    del feeds["count"]
    found = _merge(feeds, rule="threshold")
    tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
    also = merge_tokens.torch_face(tensors["x"], tensors["metric"], 97, tensors["size"], threshold=threshold)
    for array, other, wanted in zip(found, also, (y, size, group)):
        np.testing.assert_allclose(array, wanted, rtol=0, atol=4e-6)
        np.testing.assert_allclose(other, wanted, rtol=0, atol=4e-6)
    assert found[3].tolist() == kept.tolist() == [y.shape[1]]


def test_merging_preserves_size_times_value():
    """The sum of size * x over the tokens is the sum of size * y over the rows; sizes add up exactly."""
    feeds = _merge_feeds(197, 60)
    y, size, _, _ = _merge(feeds)
    before = (feeds["size"][..., None].astype(np.float64) * feeds["x"]).sum(1)
    after = (size[..., None].astype(np.float64) * y).sum(1)
    np.testing.assert_allclose(after, before, rtol=0, atol=197 * 4 * 4 * 2**-24)
    assert size.sum() == feeds["size"].sum()


def test_group_unmerges():
    """Gathering the rows by group gives each token its mean, and the tokens that stayed alone themselves."""
    feeds = _merge_feeds(98, 30)
    y, _, group, _ = _merge(feeds)
    spread, counts = y[0, group[0]], np.bincount(group[0])
    alone = counts[group[0]] == 1
    np.testing.assert_array_equal(spread[alone], feeds["x"][0, alone])
    assert (~alone).sum() > 30


def test_packed_projection_is_the_mean_of_its_keys():
    """num_heads reads the metric out of q, k and v as the projection leaves them."""
    feeds = _merge_feeds(97, 20)
    qkv = _normal(5, 1, 97, 3 * 3 * 16)
    keys = qkv.reshape(97, 3, 3, 16)[:, 1].mean(1)[None]
    packed = _merge(feeds | {"metric": qkv}, num_heads=3)
    for array, wanted in zip(packed, _merge(feeds | {"metric": keys})):
        np.testing.assert_array_equal(array, wanted)


def test_padded_merging_ignores_what_is_added():
    """Each item of a padded batch is what it is alone, with zeros behind it."""
    feeds = {"x": _normal(0, 3, 41, WIDTH), "metric": _normal(1, 3, 41, 8), "threshold": np.array(0.5, np.float32)}
    y, size, group, kept = _merge(feeds, rule="threshold", pad=1)
    assert y.shape == (3, 41, WIDTH)
    assert len(set(kept.tolist())) > 1
    for b in range(3):
        alone = _merge({k: v[b : b + 1] if v.ndim else v for k, v in feeds.items()}, rule="threshold")
        np.testing.assert_array_equal(y[b, : kept[b]], alone[0][0])
        np.testing.assert_array_equal(group[b], alone[2][0])
        assert not y[b, kept[b] :].any()
        assert not size[b, kept[b] :].any()


@pytest.mark.parametrize("rank", prune_merge_tokens.RANKS)
@pytest.mark.parametrize(
    ("tokens", "count", "share"), [(2, 1, 0.5), (17, 16, 1.0), (17, 1, 0.5), (98, 40, 0.0), (197, 144, 1.0)]
)
@pytest.mark.parametrize("face", FACES)
def test_prune_merge_tokens_equals_its_reference(face, tokens, count, share, rank):
    """Every face keeps the same tokens and merges the same ones into them."""
    feeds = _merge_feeds(tokens, count, dim=24)
    feeds = {
        "scores": np.exp(_normal(2, 1, tokens)),
        "count": feeds["count"],
        "x": feeds["metric"],
        "size": feeds["size"],
    }
    arrays = {name: array for name, array in feeds.items() if name != "count"}
    options = {"prefix": 1, "merge_share": share, "rank": rank}
    expected = prune_merge_tokens.reference(**arrays, count=count, **options)
    if face == "torch":
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        found = prune_merge_tokens.torch_face(**tensors, count=count, **options)
    else:
        graph = Graph("test")
        names = getattr(prune_merge_tokens, face)(graph, *_inputs(graph, feeds), **options)
        found = _run(graph, dict(zip(("index", "y", "merged_size"), names)), feeds)
    np.testing.assert_array_equal(found[0], expected[0])
    # Means of at most 60 terms of magnitude 4, sizes of as many cosines: their roundings, and twice 35 of a cosine.
    for array, wanted in zip(found[1:], expected[1:]):
        np.testing.assert_allclose(array, wanted, rtol=0, atol=60 * 4 * 70 * 2**-24)


def test_no_token_is_left_that_a_more_important_one_copies():
    """By importance and distance, of ten tokens in three copies each one stays, whatever the scores."""
    x = np.repeat(_normal(0, 1, 10, 16), 3, axis=1)
    feeds = {"scores": np.exp(_normal(1, 1, 30)), "count": np.array(10), "x": x}
    index, y, size = _prune_merge(feeds, prefix_tokens=0, merge_share=1.0, rank="importance_distance")
    assert sorted(token // 3 for token in index[0]) == list(range(10))
    assert len({token // 3 for token in _prune_merge(feeds, prefix_tokens=0)[0][0]}) < 10
    np.testing.assert_allclose(y, x[:, index[0]], rtol=0, atol=1e-6)
    np.testing.assert_allclose(size, 3, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"scale": 0.0}, {"layer_norm": True}, {"prefix": 1}], ids=str)
@pytest.mark.parametrize("face", FACES)
def test_patch_merger_equals_its_reference(face, options):
    """Every face gives the float64 reference's rows."""
    feeds = {"x": _normal(0, 1, 97, 24), "w": _normal(1, 24, 8)}
    if options.get("layer_norm"):
        feeds |= {"gamma": _normal(2, 24), "beta": _normal(3, 24)}
    y = patch_merger.reference(*feeds.values(), **options)
    if face == "torch":
        found = patch_merger.torch_face(*(torch.from_numpy(array) for array in feeds.values()), **options)
    else:
        graph, changed = Graph("test"), dict(options)
        names = _inputs(graph, feeds)
        if face == "ours":
            prefix, norm = changed.pop("prefix", 0), int(changed.pop("layer_norm", False))
            name = patch_merger.ours(graph, *names, prefix_tokens=prefix, layer_norm=norm, **changed)
        else:
            changed.pop("layer_norm", None)
            scale = {"scale": 24**-0.5} if "scale" in changed else {}
            name = patch_merger.stock(graph, *names, **(changed | scale))
        (found,) = _run(graph, {"y": name}, feeds)
    # Logits of magnitude 30 with 24 + 5 roundings become relative errors of the weights.
    np.testing.assert_allclose(found, y, rtol=0, atol=2 * 29 * 30 * 2**-24)


def test_patch_merger_of_a_batch_over_the_outputs():
    """A token's weights over the outputs sum to 1, so the outputs sum to the tokens."""
    feeds = {"x": _normal(0, 2, 33, 13), "w": _normal(1, 13, 5)}
    (y,) = _mix(feeds, softmax_axis="outputs")
    np.testing.assert_allclose(y.sum(1), feeds["x"].sum(1), rtol=0, atol=1e-4)


SCORES, X = np.ones((1, 9), np.float32), np.ones((1, 9, 4), np.float32)
COUNT, LIMIT = np.array(3), np.array(0.5, np.float32)
SAMPLED, PASSED = {"scores": SCORES, "count": COUNT, "x": X}, {"scores": SCORES, "threshold": LIMIT, "x": X}
MERGED = {"x": X, "metric": X, "count": COUNT}
PRUNED = {"scores": SCORES, "count": COUNT, "x": X}
MIXED = {"x": X, "w": np.ones((4, 2), np.float32)}
TWO = {"scores": np.ones((2, 9), np.float32), "x": np.ones((2, 9, 4), np.float32)}


@pytest.mark.parametrize(
    ("call", "feeds", "attributes", "sentence"),
    [
        (_sample, SAMPLED | {"count": np.array(-1)}, {}, "count must be 0..16777216 sample points, found -1"),
        (_sample, SAMPLED | {"count": np.array([1, 2])}, {}, "count must be a scalar or have shape [1], found [2]"),
        (_sample, SAMPLED | {"x": X[:, 1:]}, {}, "x must have shape [1,9,D] to match scores, found [1,8,4]"),
        (_sample, SAMPLED | TWO, {}, "scores [2,9] has 2 batch items whose results differ in length"),
        (_sample, SAMPLED, {"prefix_tokens": 10}, "fewer tokens than prefix_tokens=10"),
        (_sample, SAMPLED, {"rule": "uniform"}, "rule must be one of cdf, ats, found uniform"),
        (_sample, {"scores": SCORES, "count": COUNT}, {}, "output y needs input x of shape [1,9,D]"),
        (_top_k, {"scores": SCORES, "count": COUNT}, {}, "output y needs input x of shape [1,9,D]"),
        (_threshold, PASSED | {"threshold": np.array(np.nan, np.float32)}, {}, "threshold must be a number, found nan"),
        (_threshold, PASSED | TWO, {}, "run one at a time, or set attribute pad=1"),
        (_threshold, PASSED, {"min_tokens": -1}, "min_tokens must be 0..1048576, found -1"),
        (_merge, MERGED | {"count": np.array(-2)}, {}, "count must be 0 or more tokens to merge, found -2"),
        (_merge, MERGED | {"metric": X[:, 1:]}, {}, "metric must have shape [1,9,d] to match x [1,9,4], found [1,8,4]"),
        (_merge, MERGED | {"size": SCORES[:, 1:]}, {}, "size must have shape [1,9] to match x, found [1,8]"),
        (_merge, MERGED, {"num_heads": 2}, "[B,N,3D] with D a multiple of num_heads=2"),
        (_merge, MERGED, {"rule": "threshold"}, "threshold is missing"),
        (_merge, MERGED | {"threshold": LIMIT}, {}, "threshold needs attribute rule=threshold, found bipartite"),
        (_merge, {"x": X, "metric": X}, {}, "count is missing"),
        (_merge, MERGED, {"prefix_tokens": 10}, "x [1,9,4] has fewer tokens than prefix_tokens=10"),
        (_merge, {"x": TWO["x"], "metric": TWO["x"], "threshold": LIMIT}, {"rule": "threshold"}, "set attribute pad=1"),
        (
            _prune_merge,
            PRUNED | {"count": np.array(9)},
            {},
            "count must be 0..8 (tokens 9 less prefix_tokens 1), found 9",
        ),
        (_prune_merge, PRUNED | {"size": SCORES[:, 1:]}, {}, "size must have shape [1,9] to match scores, found [1,8]"),
        (_prune_merge, PRUNED, {"merge_share": 1.5}, "merge_share must be 0..1, found 1.5"),
        (_prune_merge, PRUNED, {"rank": "size"}, "rank must be one of importance, importance_distance, found size"),
        (
            _mix,
            MIXED | {"w": np.ones((5, 2), np.float32)},
            {},
            "w must have shape [4,M] to match x [1,9,4], found [5,2]",
        ),
        (_mix, MIXED | {"gamma": SCORES[0, :4]}, {}, "gamma needs attribute layer_norm=1"),
        (_mix, MIXED | {"gamma": SCORES[0, :3]}, {"layer_norm": 1}, "gamma must have shape [4] to match x, found [3]"),
        (_mix, MIXED, {"prefix_tokens": 9}, "must have at least one token after prefix_tokens=9"),
        (_mix, MIXED, {"softmax_axis": "rows"}, "softmax_axis must be one of tokens, outputs, found rows"),
    ],
)
def test_refusals_say_what_was_found_and_what_to_do(call, feeds, attributes, sentence):
    """Each refusal is a status with this sentence, not an abort."""
    with pytest.raises(Exception, match=re.escape(sentence)):
        call(feeds, **attributes)


def test_empty_batches_give_empty_results():
    """No item, no row: the shapes follow, nothing is read."""
    none = np.ones((0, 9, 4), np.float32)
    y, _, group, kept = _merge({"x": none, "metric": none, "count": COUNT})
    assert (y.shape, group.shape, kept.shape) == ((0, 6, 4), (0, 9), (0,))
    assert _sample({"scores": none[..., 0], "count": COUNT, "x": none})[0].shape[0] == 0
    assert _prune_merge({"scores": none[..., 0], "count": COUNT, "x": none})[1].shape == (0, 4, 4)
    assert _mix(MIXED | {"x": none})[0].shape == (0, 2, 4)
