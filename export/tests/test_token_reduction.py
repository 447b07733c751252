"""Every method of reducing tokens in whole models: ours, stock and PyTorch agree, and loops confirm the rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coppice_export.check import sample_images, session, used_operators
from coppice_export.config import Attention, Reduction, ViTConfig
from coppice_export.model import build_model
from coppice_export.reductions import METHODS, Tokens
from coppice_export.reference import VisionTransformer

# Method by name: reductions of a model of five blocks and 16 patches, and token budgets that each can leave.
MERGED = [(16, 16, 16), (12, 9, 8), (16, 8, 4), (8, 4, 2)]
PRUNED = [(16, 16, 16), (12, 9, 8), (9, 9, 1), (1, 1, 1)]
AT = (1, 2, 4)
CASES = {
    "top_k": (Reduction.at(*AT), PRUNED),
    "fuse-mean": (Reduction.at(*AT, fuse="mean"), PRUNED),
    "fuse-sum": (Reduction.at(*AT, fuse="sum"), PRUNED),
    "merge": (Reduction.at(*AT, method="merge"), MERGED),
    "merge-without-sizes": (Reduction.at(*AT, method="merge", proportional=False), MERGED),
    "prune_merge": (Reduction.at(*AT, method="prune_merge"), PRUNED),
    "merge-all-that-go": (Reduction.at(*AT, method="prune_merge", merge_share=1.0), PRUNED),
    "drop-all-that-go": (Reduction.at(*AT, method="prune_merge", merge_share=0.0), PRUNED),
    "sizes-into-top_k": (
        (Reduction(0, "merge"), Reduction(1, "top_k", fuse="mean"), Reduction(3, "merge")),
        [(16, 16, 16), (12, 9, 8), (9, 7, 4), (8, 4, 3)],
    ),
    "sizes-into-both": ((Reduction(0, "prune_merge"), Reduction(1, "merge"), Reduction(3)), MERGED),
}


def _config(tiny: ViTConfig, reductions: tuple[Reduction, ...]) -> ViTConfig:
    return replace(tiny, reductions=reductions, attention=(Attention(),) * 5)


def _torch_model(config: ViTConfig, state) -> VisionTransformer:
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    return model


def _run(config: ViTConfig, state, image, keep, flavour) -> list[np.ndarray]:
    """Logits and the kept positions of each stage."""
    names = ["logits", *(f"kept_{stage}" for stage in range(len(keep)))]
    runner = session(build_model(config, state, flavour).SerializeToString())
    return runner.run(names, {"image": image, "keep": np.array(keep, np.int64)})


def _listed(positions: torch.Tensor, reduction: Reduction) -> torch.Tensor:
    """The positions that an output lists: not the fused token's, which this stage makes last."""
    return positions[:, :-1] if reduction.fuses and positions[0, -1] == -1 else positions


PARITY = [
    pytest.param(name, keep, flavour, id=f"{name}-{keep}-{flavour}")
    for name, (reductions, budgets) in CASES.items()
    for keep in budgets
    for flavour in ("coppice", "stock")
    if flavour == "coppice" or not any(reduction.fuses for reduction in reductions)
]


@pytest.mark.parametrize(("name", "keep", "flavour"), PARITY)
def test_graph_equals_pytorch(tiny, random_state, name, keep, flavour):
    """Logits and positions are those of PyTorch at every budget, in our operators and in stock ones."""
    config = _config(tiny, CASES[name][0])
    state, image = random_state(config), sample_images(config, 1)[0]
    logits, *kept = _run(config, state, image, keep, flavour)
    model = _torch_model(config, state)
    with torch.inference_mode():
        feature, positions = model.features(torch.from_numpy(image), keep)
        np.testing.assert_allclose(logits, model.head(feature), rtol=0, atol=1e-4)
    for found, expected, reduction in zip(kept, positions, config.reductions, strict=True):
        np.testing.assert_array_equal(found, _listed(expected, reduction))


@pytest.mark.parametrize("name", CASES)
def test_batch_gives_what_its_items_give(tiny, random_state, name):
    """Training runs many pictures at once; each gets its own tokens."""
    config = _config(tiny, CASES[name][0])
    model, images = (
        _torch_model(config, random_state(config)),
        torch.from_numpy(np.concatenate(sample_images(config, 3))),
    )
    keep = CASES[name][1][1]
    with torch.inference_mode():
        together, alone = model(images, keep), torch.cat([model(image[None], keep) for image in images])
    assert np.ptp(together.numpy(), axis=0).min() > 0.01
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_every_count_is_what_is_left(tiny, random_state, name):
    """`keep` is the number of patch tokens left, whatever the method."""
    reductions, budgets = CASES[name]
    config = _config(tiny, reductions)
    for keep in budgets:
        _, *kept = _run(config, random_state(config), sample_images(config, 1)[0], keep, "coppice")
        assert [positions.shape[1] for positions in kept] == [1 + count for count in keep]
        assert all(len(set(positions[0])) == len(positions[0]) for positions in kept)


def test_full_budget_is_the_dense_model(tiny, random_state):
    """With nothing to reduce, every method gives the logits of the model without reductions."""
    config = _config(tiny, ())
    state, image = random_state(config), sample_images(config, 1)[0]
    dense = session(build_model(config, state).SerializeToString()).run(["logits"], {"image": image})[0]
    for reductions, _ in CASES.values():
        logits, *_ = _run(_config(tiny, reductions), state, image, (16, 16, 16), "coppice")
        np.testing.assert_allclose(logits, dense, rtol=0, atol=1e-5)


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


@pytest.mark.parametrize(
    ("count", "share", "merged"), [(5, 0.5, 3), (5, 1.0, 6), (9, 0.3, 1), (1, 0.4, 4), (11, 0.5, 0)]
)
def test_prune_merge_follows_its_rule(tiny, count, share, merged):
    """Against loops in float64: which tokens go where, their means and what becomes of sizes."""
    rng = np.random.default_rng(count)
    x, scores, size = rng.standard_normal((12, 24)), rng.random(12), 1.0 + rng.integers(0, 3, 12)
    reduction = Reduction(1, "prune_merge", merge_share=share)
    tokens = Tokens(torch.from_numpy(x)[None], None, torch.from_numpy(size)[None])
    found = METHODS["prune_merge"].torch_face(reduction, tiny, tokens, None, torch.from_numpy(scores)[None], count)
    for array, expected in zip(found, _prune_merge(x, scores, size, count, merged), strict=True):
        np.testing.assert_allclose(array[0], expected, rtol=0, atol=1e-12)


def test_merging_counts_every_patch_once(tiny, random_state):
    """After three merges the sizes of the tokens still add up to all patches and the class token."""
    config = _config(tiny, CASES["merge"][0])
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
    both = [_config(tiny, CASES[name][0]) for name in ("merge", "merge-without-sizes")]
    state, image = random_state(both[0]), sample_images(both[0], 1)[0]
    logits = [_run(config, state, image, (12, 9, 8), "coppice")[0] for config in both]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_merging_uses_one_operator_a_stage(tiny, random_state):
    """ToMe needs one node of ours for each reduction and one for each attention."""
    config = _config(tiny, CASES["merge"][0])
    operators = used_operators(build_model(config, random_state(config)))
    assert operators == {"MergeTokens": 3, "TokenAttention": 5}


def test_merging_more_than_half_is_refused_in_a_ladder(tiny, tmp_path, random_state, tiny_spec):
    """A stage of 16 tokens cannot leave 7 by merging pairs; the refusal names block, tokens and count."""
    from coppice_export.bundle import BundleError, Rung, write_bundle

    config = _config(tiny, Reduction.at(1, 3, method="merge"))
    spec = replace(tiny_spec, rungs=(Rung("full", (16, 16)), Rung("half", (7, 4))))
    with pytest.raises(BundleError, match="rung half: block 1 merges at most half of 16 tokens and cannot leave 7"):
        write_bundle(tmp_path / "bundle", config, random_state(config), spec)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "tome"}, "reduction method: expected one of top_k, merge, prune_merge, found 'tome'"),
        ({"fuse": "max"}, "reduction fuse: expected one of none, mean, sum, found 'max'"),
        ({"method": "merge", "fuse": "mean"}, "only top_k fuses what it prunes; found fuse='mean' with merge"),
        ({"merge_share": 1.5}, "reduction merge_share: expected a share from 0 to 1, found 1.5"),
    ],
)
def test_reduction_that_does_not_exist_is_refused(options, sentence):
    """The refusal names the attribute, what is allowed and what was found."""
    with pytest.raises(ValueError, match=sentence):
        Reduction(1, **options)
