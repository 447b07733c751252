"""Every method of reducing tokens in whole models: ours, stock and PyTorch agree, and loops confirm the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from coppice_export.bundle import BundleError, Rung, write_bundle
from coppice_export.check import sample_images, session, used_operators
from coppice_export.config import Attention, Reduction, ViTConfig
from coppice_export.model import Flavour, build_model
from coppice_export.reductions import METHODS, Tokens
from coppice_export.reference import VisionTransformer


class Case(NamedTuple):
    """A model of five blocks and 16 patches, token budgets that it can have, and whether stock operators can do it."""

    reductions: tuple[Reduction, ...]
    budgets: list[tuple[int, ...]]
    stock: bool = True
    attention: Attention = Attention()


MERGED = [(16, 16, 16), (12, 9, 8), (16, 8, 4), (8, 4, 2)]
PRUNED = [(16, 16, 16), (12, 9, 8), (9, 9, 1), (1, 1, 1)]
AT = (1, 2, 4)
COSINE = Attention("linear", feature_map="elu1", reweight="cos1d")
PLACES = ((0, 1, 2, 3, 5, 8, 13, 16), (0, 2, 3, 13), (0,))
CASES = {
    "top_k": Case(Reduction.at(*AT), PRUNED),
    "top_k-linear": Case(Reduction.at(*AT), PRUNED, attention=COSINE),
    "prune_merge-linear": Case(Reduction.at(*AT, method="prune_merge"), PRUNED, attention=COSINE),
    "fuse-linear": Case(Reduction.at(*AT, fuse="sum"), PRUNED, attention=Attention("linear", "relu")),
    "fuse-mean": Case(Reduction.at(*AT, fuse="mean"), PRUNED),
    "fuse-sum": Case(Reduction.at(*AT, fuse="sum"), PRUNED),
    "merge": Case(Reduction.at(*AT, method="merge"), MERGED),
    "merge-without-sizes": Case(Reduction.at(*AT, method="merge", proportional=False), MERGED),
    "merge-linear": Case(Reduction.at(*AT, method="merge"), MERGED, attention=COSINE),
    "prune_merge": Case(Reduction.at(*AT, method="prune_merge"), PRUNED),
    "prune_merge-by-distance": Case(Reduction.at(*AT, method="prune_merge", rank="importance_distance"), PRUNED),
    "merge-all-that-go": Case(Reduction.at(*AT, method="prune_merge", merge_share=1.0), PRUNED),
    "drop-all-that-go": Case(Reduction.at(*AT, method="prune_merge", merge_share=0.0), PRUNED),
    "sizes-into-top_k": Case(
        (Reduction(0, "merge"), Reduction(1, "top_k", fuse="mean"), Reduction(3, "merge")),
        [(16, 16, 16), (12, 9, 8), (9, 7, 4), (8, 4, 3)],
    ),
    "sizes-into-both": Case((Reduction(0, "prune_merge"), Reduction(1, "merge"), Reduction(3)), MERGED),
    "sizes-into-sample": Case((Reduction(0, "merge"), Reduction(1, "sample"), Reduction(3, "sample")), MERGED),
    "sample-then-others": Case((Reduction(0, "sample"), Reduction(3, "patch_merger")), [(16,), (9,)]),
    "sample": Case(Reduction.at(*AT, method="sample"), PRUNED),
    "e-attention": Case(Reduction.at(*AT, method="sample"), PRUNED, attention=COSINE),
    "sample-by-values": Case(Reduction.at(*AT, method="sample", value_norm=True), PRUNED),
    "ats": Case(Reduction.at(*AT, method="sample", rule="ats", value_norm=True), PRUNED, stock=False),
    "threshold": Case(
        Reduction.at(*AT, method="threshold", merge_threshold=0.9, prune_threshold=0.03), [()], stock=False
    ),
    "nothing-passes": Case(Reduction.at(1, 3, method="threshold", prune_threshold=9.0), [()], stock=False),
    "static": Case(tuple(Reduction(b, "static", places=p) for b, p in zip(AT, PLACES)), [()]),
    "static-linear": Case(tuple(Reduction(b, "static", places=p) for b, p in zip(AT, PLACES)), [()], attention=COSINE),
    "static-then-top_k": Case((Reduction(0, "static", places=PLACES[0]), Reduction(2)), [(7,), (3,)]),
    "predictor": Case(Reduction.at(*AT, method="predictor"), PRUNED),
    "sizes-into-predictor": Case((Reduction(0, "merge"), Reduction(2, "predictor")), [(16, 16), (9, 4)]),
    "patch_merger": Case((Reduction(2, "patch_merger", outputs=3, layer_norm=True, scale=0.0),), [()]),
    "patch_merger-plain": Case((Reduction(4, "patch_merger", outputs=3, layer_norm=False),), [()]),
    "patch_merger-outputs": Case((Reduction(2, "patch_merger", softmax_axis="outputs"),), [()], stock=False),
    "top_k-then-patch_merger": Case((Reduction(1), Reduction(3, "patch_merger", outputs=2)), [(16,), (5,)]),
}


def _config(tiny: ViTConfig, case: Case) -> ViTConfig:
    return replace(tiny, reductions=case.reductions, attention=(case.attention,) * 5)


def _torch_model(config: ViTConfig, state) -> VisionTransformer:
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    return model


def _run(config: ViTConfig, state, image, keep, flavour) -> list[np.ndarray]:
    """Logits and the kept positions of each stage."""
    names = ["logits", *(f"kept_{stage}" for stage in range(len(keep)))]
    runner = session(build_model(config, state, flavour).SerializeToString())
    return runner.run(names, {"image": image} | ({"keep": np.array(keep, np.int64)} if keep else {}))


def _listed(positions: torch.Tensor, reduction: Reduction) -> torch.Tensor:
    """The positions that an output lists: not the fused token's, which this stage makes last."""
    return positions[:, :-1] if reduction.fuses and positions[0, -1] == -1 else positions


PARITY = [
    pytest.param(name, keep, flavour, id=f"{name}-{keep}-{flavour}")
    for name, case in CASES.items()
    for keep in case.budgets
    for flavour in Flavour
    if flavour != Flavour.STOCK or case.stock
]


@pytest.mark.parametrize(("name", "keep", "flavour"), PARITY)
def test_graph_equals_pytorch(tiny, random_state, name, keep, flavour):
    """Logits and positions are those of PyTorch at every budget, in our operators and in stock ones."""
    config = _config(tiny, CASES[name])
    state, image = random_state(config), sample_images(config, 1)[0]
    logits, *kept = _run(config, state, image, keep, flavour)
    model = _torch_model(config, state)
    with torch.inference_mode():
        feature, positions = model.features(torch.from_numpy(image), keep)
        np.testing.assert_allclose(logits, model.head(feature), rtol=0, atol=1e-4)
    for found, expected, reduction in zip(kept, positions, config.stages, strict=True):
        np.testing.assert_array_equal(found, _listed(expected, reduction))


@pytest.mark.parametrize("name", CASES)
def test_graph_carries_no_unused_array(tiny, random_state, name):
    """Every initialiser is read by some node; positions are not stored where nothing asks for them."""
    config = _config(tiny, CASES[name])
    graph = build_model(config, random_state(config)).graph
    assert {initialiser.name for initialiser in graph.initializer} <= {n for node in graph.node for n in node.input}


@pytest.mark.parametrize("name", CASES)
def test_batch_gives_what_its_items_give(tiny, random_state, name):
    """Training runs many pictures at once; each gets its own tokens."""
    config = _config(tiny, CASES[name])
    model, images = (
        _torch_model(config, random_state(config)),
        torch.from_numpy(np.concatenate(sample_images(config, 3))),
    )
    keep = CASES[name].budgets[-1]
    with torch.inference_mode():
        together, alone = model(images, keep), torch.cat([model(image[None], keep) for image in images])
    assert np.ptp(together.numpy(), axis=0).min() > 0.01
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


SAMPLED = {
    **{name: CASES[name].reductions for name in ("sample", "sample-by-values", "ats", "sizes-into-sample")},
    "merged-without-sizes": (Reduction(0, "merge", proportional=False), *Reduction.at(1, 3, method="sample")),
    "sample-then-patch_merger": CASES["sample-then-others"].reductions,
}
UNEVEN = [pytest.param(name, Attention(), id=name) for name in SAMPLED] + [
    pytest.param("sample", COSINE, id="e-attention"),
    pytest.param("sizes-into-sample", COSINE, id="sizes-into-e-attention"),
    pytest.param("sample", Attention("linear", reweight="cos2d", grid=4), id="sample-cos2d"),
]


@pytest.mark.parametrize(("name", "attention"), UNEVEN)
def test_items_of_a_batch_keep_different_numbers_of_tokens(tiny, random_state, name, attention):
    """What fills up the shorter items changes no logit and no gradient, and is listed as -1."""
    config = replace(tiny, reductions=SAMPLED[name], attention=(attention,) * 5, pooling="class_mean")
    # In the other memory format, PyTorch's batch norm has wrong gradients for a batch of one (2.15).
    model = _torch_model(config, random_state(config)).to(memory_format=torch.channels_last)
    images = torch.from_numpy(np.concatenate(sample_images(config, 4)))
    keep = (12,) * len(config.stages)
    (together, kept), alone = model.features(images, keep), [model.features(image[None], keep) for image in images]
    assert any(len(set((stage >= 0).sum(1).tolist())) > 1 for stage in kept)
    for stage, positions in enumerate(kept):
        np.testing.assert_array_equal(positions, torch.cat([listed[stage] for _, listed in alone]))
    expected = torch.cat([feature for feature, _ in alone])
    # Sums of at most 17 tokens, in another order, through five blocks.
    np.testing.assert_allclose(together.detach(), expected.detach(), rtol=0, atol=1e-5)
    model.head.requires_grad_(False)
    weights = [value for value in model.parameters() if value.requires_grad]
    for found, wanted in zip(*(torch.autograd.grad(y.square().sum(), weights) for y in (together, expected))):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(1.0, float(wanted.abs().max())))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.budgets != [()]])
def test_every_count_is_what_is_left(tiny, random_state, name):
    """`keep` is the number of patch tokens left, at most where the picture decides; each stands somewhere else."""
    config = _config(tiny, CASES[name])
    for keep in CASES[name].budgets:
        _, *kept = _run(config, random_state(config), sample_images(config, 1)[0], keep, "separate")
        assert [positions.shape[1] for positions in kept] == [1 + count for count in keep]
        places = [[place for place in positions[0].tolist() if place >= 0] for positions in kept]
        assert all(len(set(found)) == len(found) for found in places)
        assert all(places)


FULL = [name for name, case in CASES.items() if case.budgets[0] == (16, 16, 16) and case.attention.kind == "softmax"]


@pytest.mark.parametrize("name", [name for name in FULL if "sample" not in name and name != "ats"])
def test_full_budget_is_the_dense_model(tiny, random_state, name):
    """With nothing to reduce, a method gives the logits of the model without reductions; sampling never keeps all."""
    config = _config(tiny, CASES[name])
    dense, state, image = replace(config, reductions=()), random_state(config), sample_images(config, 1)[0]
    expected = session(build_model(dense, state).SerializeToString()).run(["logits"], {"image": image})[0]
    logits, *_ = _run(config, state, image, (16, 16, 16), "separate")
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def _by_distance(x, scores) -> np.ndarray:
    """Each token's score times its distance to the nearest token with a larger one, 2 for the first, by loops."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    larger = [[other for other in range(1, len(x)) if scores[other] > scores[token]] for token in range(len(x))]
    return np.array([s * min((1 - unit[t] @ unit[o] for o in larger[t]), default=2) for t, s in enumerate(scores)])


def _prune_merge(x, scores, size, count: int, merged: int) -> tuple[list, list, list]:
    """DiffRate's rule by loops, one item with one class token: rows, their places and sizes."""
    rank = sorted(range(1, len(x)), key=lambda token: (-scores[token], token))
    kept, source = sorted(rank[:count]), rank[count : count + merged]
    groups, sizes = {token: [x[token]] for token in kept}, {token: size[token] for token in kept}
    for token in source:
        cosine = {k: x[token] @ x[k] / np.linalg.norm(x[token]) / np.linalg.norm(x[k]) for k in kept}
        best = max(kept, key=lambda k: cosine[k])
        groups[best].append(x[token])
        sizes[best] += size[token] * max(cosine[best], 0)
    return [x[0], *(np.mean(groups[k], 0) for k in kept)], [0, *kept], [size[0], *(sizes[k] for k in kept)]


@pytest.mark.parametrize("rank", ["importance", "importance_distance"])
@pytest.mark.parametrize(
    ("count", "share", "merged"), [(5, 0.5, 3), (5, 1.0, 6), (9, 0.3, 1), (1, 0.4, 4), (11, 0.5, 0)]
)
def test_prune_merge_follows_its_rule(tiny, count, share, merged, rank):
    """Against loops in float64: which tokens go where, their means and what becomes of sizes."""
    rng = np.random.default_rng(count)
    x, scores, size = rng.standard_normal((12, 24)), rng.random(12), 1.0 + rng.integers(0, 3, 12)
    reduction = Reduction(1, "prune_merge", merge_share=share, rank=rank)
    tokens = Tokens(torch.from_numpy(x)[None], None, torch.from_numpy(size)[None])
    found = METHODS["prune_merge"].torch_face(reduction, tiny, tokens, None, torch.from_numpy(scores)[None], count)
    values = scores if rank == "importance" else _by_distance(x, scores)
    for array, expected in zip(found, _prune_merge(x, values, size, count, merged), strict=True):
        np.testing.assert_allclose(array[0], expected, rtol=0, atol=1e-12)


def _thresholds(x, keys, received, size, above: float, least: float) -> tuple[list, list, list]:
    """LTMP's rule by loops, one item with one class token: rows, their places and sizes."""
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    even, odd = [t for t in range(1, len(x)) if t % 2 == 0], [t for t in range(1, len(x)) if t % 2]
    groups = {token: [token] for token in range(len(x))}
    for token in even:
        best = max(odd, key=lambda target: unit[token] @ unit[target])
        if unit[token] @ unit[best] > above:
            groups[best] += groups.pop(token)
    stay = [0, *(t for t in (*even, *odd) if t in groups and max(received[groups[t]]) > least)]
    sizes = [size[groups[t]].sum() for t in stay]
    return [size[groups[t]] @ x[groups[t]] / s for t, s in zip(stay, sizes)], stay, sizes


@pytest.mark.parametrize(("above", "least"), [(0.0, 0.0), (0.2, 0.4), (0.5, 0.0), (1.0, 0.7)])
def test_threshold_follows_its_rule(tiny, above, least):
    """Against loops in float64: similar tokens merge first, then unimportant ones go, the largest importance counts."""
    rng = np.random.default_rng(int(10 * above))
    x, qkv = rng.standard_normal((1, 13, 24)), rng.standard_normal((1, 13, 72))
    received, size = rng.random((1, 13)), 1.0 + rng.integers(0, 3, (1, 13))
    keys = qkv.reshape(13, 3, 3, 8)[:, 1].mean(1)
    expected = _thresholds(x[0], keys, received[0], size[0], above, least)
    reduction = Reduction(1, "threshold", merge_threshold=above, prune_threshold=least)
    tokens = Tokens(torch.from_numpy(x), None, torch.from_numpy(size))
    face = METHODS["threshold"].torch_face
    found = face(reduction, tiny, tokens, torch.from_numpy(qkv), torch.from_numpy(received), None)
    for array, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(array[0], wanted, rtol=0, atol=1e-12)


def test_merging_counts_every_patch_once(tiny, random_state):
    """After three merges the sizes of the tokens still add up to all patches and the class token."""
    config = _config(tiny, CASES["merge"])
    model, image = _torch_model(config, random_state(config)), torch.from_numpy(sample_images(config, 1)[0])
    with torch.inference_mode():
        x = model.stem(image).flatten(2).transpose(1, 2)
        tokens = Tokens(torch.cat([model.cls_token, x], 1) + model.pos_embed, torch.arange(17)[None], None)
        for number, block in enumerate(model.blocks):
            tokens = block(tokens, dict(zip(AT, (10, 6, 3))).get(number))
    assert tokens.size.shape == (1, 4)
    assert tokens.size.sum() == 17


def test_sizes_change_the_attention(tiny, random_state):
    """Proportional attention gives other logits than merging without it."""
    both = [_config(tiny, CASES[name]) for name in ("merge", "merge-without-sizes")]
    state, image = random_state(both[0]), sample_images(both[0], 1)[0]
    logits = [_run(config, state, image, (12, 9, 8), "separate")[0] for config in both]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


@pytest.mark.parametrize(("name", "operator"), [("merge", "MergeTokens"), ("prune_merge", "PruneMergeTokens")])
def test_merging_uses_one_operator_a_stage(tiny, random_state, name, operator):
    """ToMe and DiffRate need one node of ours for each reduction and one for each attention."""
    config = _config(tiny, CASES[name])
    operators = used_operators(build_model(config, random_state(config), Flavour.SEPARATE))
    assert operators == {operator: 3, "TokenAttention": 5}


def test_merging_more_than_half_is_refused_in_a_ladder(tiny, tmp_path, random_state, tiny_spec):
    """A stage of 16 tokens cannot leave 7 by merging pairs; the refusal names block, tokens and count."""
    config = _config(tiny, Case(Reduction.at(1, 3, method="merge"), []))
    spec = replace(tiny_spec, rungs=(Rung("full", (16, 16)), Rung("half", (7, 4))))
    with pytest.raises(BundleError, match="rung half: block 1 merges at most half of 16 tokens and cannot leave 7"):
        write_bundle(tmp_path / "bundle", config, random_state(config), spec)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "tome"}, "reduction method: expected one of predictor, .*, threshold, found 'tome'"),
        ({"fuse": "max"}, "reduction fuse: expected one of none, mean, sum, found 'max'"),
        ({"method": "merge", "fuse": "mean"}, "only top_k fuses what it prunes; found fuse='mean' with merge"),
        ({"method": "sample", "rule": "top"}, "reduction rule: expected one of cdf, ats, found 'top'"),
        ({"method": "patch_merger", "outputs": 0}, "reduction outputs: expected at least one token, found 0"),
        ({"method": "static"}, r"reduction places: expected rising numbers, for static alone, found \(\)"),
        ({"places": (0, 1)}, r"reduction places: .* for static alone, found \(0, 1\)"),
        ({"method": "static", "places": (0, 2, 1)}, r"reduction places: expected rising numbers, .*\(0, 2, 1\)"),
        ({"rank": "size"}, "reduction rank: expected one of importance, importance_distance, found 'size'"),
        ({"merge_share": 1.5}, "reduction merge_share: expected a share from 0 to 1, found 1.5"),
    ],
)
def test_reduction_that_does_not_exist_is_refused(options, sentence):
    """The refusal names the attribute, what is allowed and what was found."""
    with pytest.raises(ValueError, match=sentence):
        Reduction(1, **options)


@pytest.mark.parametrize(
    ("reductions", "sentence"),
    [
        ((Reduction(1, "static", places=(1, 2)),), r"static places must have the 1 prefix tokens: \(1, 2\)"),
        ((Reduction(1, "static", places=(0, 17)),), r"static places must be among those that are left, found \[17\]"),
        (
            (Reduction(1, "static", places=(0, 3)), Reduction(2, "static", places=(0, 4))),
            r"static places must be among those that are left, found \[4\]",
        ),
        ((Reduction(1), Reduction(2, "static", places=(0, 4))), "static reductions come first"),
    ],
)
def test_places_that_are_not_there_are_refused(tiny, reductions, sentence):
    """Places are nested, have the class token, and do not follow a reduction that the picture decides."""
    with pytest.raises(ValueError, match=sentence):
        _config(tiny, Case(reductions, []))


def test_count_after_a_number_that_the_picture_decides_is_refused(tiny):
    """Sampling may leave fewer tokens than a later stage is to keep."""
    with pytest.raises(ValueError, match=r"how many tokens block 1 leaves, which may be fewer than block 3 is to keep"):
        _config(tiny, Case((Reduction(1, "sample"), Reduction(3)), []))


@pytest.mark.parametrize("method", ["sample", "top_k"])
def test_linear_scores_of_a_model_without_class_token_are_refused(tiny, method):
    """What replaces the class token's attention in a linear block needs a class token."""
    config = replace(tiny, pooling="mean", prefix_tokens=0, attention=(COSINE,) * 5, reductions=())
    with pytest.raises(ValueError, match="block 1 ranks tokens by a class token's scores, which tiny lacks"):
        replace(config, reductions=Reduction.at(1, method=method))


def test_mixed_tokens_are_refused_before_a_cosine(tiny):
    """A cosine of positions has nothing to work with where tokens have no place."""
    with pytest.raises(ValueError, match="a fused or mixed token has no position"):
        _config(tiny, Case((Reduction(2, "patch_merger"),), [], attention=COSINE))


@pytest.mark.parametrize("flavour", [Flavour.BLOCKS, Flavour.SEPARATE])
@pytest.mark.parametrize("attention", [Attention(), COSINE], ids=["softmax", "linear"])
def test_all_places_are_the_dense_model_bit_for_bit(tiny, random_state, attention, flavour):
    """Naming every token in every block changes no bit of the logits."""
    every = tuple(Reduction(b, "static", places=tuple(range(17))) for b in range(4))
    config = _config(tiny, Case(every, [()], attention=attention))
    state, image = random_state(config), sample_images(config, 1)[0]
    dense = session(build_model(replace(config, reductions=()), state, flavour).SerializeToString())
    logits = _run(config, state, image, (), flavour)[0]
    assert logits.tobytes() == dense.run(["logits"], {"image": image})[0].tobytes()


@pytest.mark.parametrize("flavour", Flavour)
def test_last_block_of_few_places_gives_the_dense_logits(tiny, random_state, flavour):
    """Which queries the last block computes besides the class token's does not matter."""
    config = _config(tiny, Case((Reduction(4, "static", places=(0, 3, 9)),), [()]))
    state, image = random_state(config), sample_images(config, 1)[0]
    expected = _run(replace(config, reductions=()), state, image, (), flavour)[0]
    np.testing.assert_allclose(_run(config, state, image, (), flavour)[0], expected, rtol=0, atol=1e-6)


def test_rows_of_a_static_block_are_those_of_the_whole_block(tiny, random_state):
    """Attention and MLP work row by row: the kept rows are the same as without the reduction."""
    config = _config(tiny, Case((Reduction(2, "static", places=PLACES[0]),), [()]))
    state, x = random_state(config), torch.from_numpy(np.random.default_rng(0).standard_normal((2, 17, 24), np.float32))
    tokens = Tokens(x, torch.arange(17).expand(2, -1), None)
    slim, whole = (_torch_model(c, state).blocks[2] for c in (config, replace(config, reductions=())))
    with torch.inference_mode():
        found, expected = slim(tokens), whole(tokens)
    np.testing.assert_allclose(found.x, expected.x[:, list(PLACES[0])], rtol=0, atol=1e-6)
    assert found.positions[1].tolist() == list(PLACES[0])


def test_static_shapes_are_numbers(tiny, random_state):
    """No shape of a static model depends on an input: what compilers without dynamic shapes need."""
    config = _config(tiny, CASES["static"])
    graph = build_model(config, random_state(config)).graph
    dims = [d for value in (*graph.input, *graph.output, *graph.value_info) for d in value.type.tensor_type.shape.dim]
    assert all(d.HasField("dim_value") for d in dims)
    assert [value.name for value in (*graph.input, *graph.output)] == ["image", "logits"]


def test_thresholds_leave_what_the_picture_has(tiny, random_state):
    """Two pictures keep different numbers of tokens, between one patch and all of them."""
    config = _config(tiny, CASES["threshold"])
    model, counts = _torch_model(config, random_state(config)), set()
    for image in sample_images(config, 4):
        with torch.inference_mode():
            x = model.stem(torch.from_numpy(image)).flatten(2).transpose(1, 2)
            tokens = Tokens(torch.cat([model.cls_token, x], 1) + model.pos_embed, torch.arange(17)[None], None)
            for block in model.blocks:
                tokens = block(tokens)
        counts.add(tokens.x.shape[1])
    assert len(counts) > 1
    assert min(counts) >= 2
    assert max(counts) < 17
