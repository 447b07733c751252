"""A factorised fc2: the factors against the singular values, branches against what they merge to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coppice_export.branches import merge_branches
from coppice_export.check import sample_images
from coppice_export.methods.cffn import branched, factorise
from coppice_export.methods.least_squares import Moments, reduced_rank
from coppice_export.reference import VisionTransformer
from coppice_export.weights import SourceError, load_state


def _model(config, state) -> VisionTransformer:
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    return model


@pytest.fixture(scope="module")
def images(tiny):
    """More rows than hidden units: 12 pictures of 17 tokens."""
    return np.concatenate(sample_images(tiny, 12))


@pytest.mark.parametrize("rank", [1, 7, 24])
def test_factors_without_photographs_are_the_truncated_svd(tiny, tiny_state, rank):
    """The error of each matrix is the rest of its singular values (Eckart and Young), computed by another routine."""
    config, state = factorise(tiny, tiny_state, rank=rank)
    assert config.fc2_rank == (rank,) * 5
    whole = tiny_state["blocks.3.fc2.weight"].astype(np.float64)
    product = state["blocks.3.fc2.v.weight"].astype(np.float64) @ state["blocks.3.fc2.u.weight"]
    rest = np.linalg.norm(np.linalg.svd(whole, compute_uv=False)[rank:])
    # Two factors rounded to float32: 24 products of magnitude below 2 each.
    assert np.linalg.norm(product - whole) == pytest.approx(rest, abs=24 * 2 * 2**-24 * np.sqrt(whole.size))
    np.testing.assert_array_equal(state["blocks.3.fc2.v.bias"], tiny_state["blocks.3.fc2.bias"])


@pytest.mark.parametrize("rank", [1, 5])
def test_factors_for_given_inputs_leave_the_least_error_in_the_outputs(rank):
    """No rank-r map gives outputs nearer than the leading singular vectors of the outputs themselves."""
    rng = np.random.default_rng(rank)
    x = rng.standard_normal((200, 12)) @ rng.standard_normal((12, 12))
    weight = rng.standard_normal((8, 12))
    u, v = reduced_rank(weight, x.T @ x, rank)
    rest = np.linalg.norm(np.linalg.svd(x @ weight.T, compute_uv=False)[rank:])
    assert np.linalg.norm(x @ (weight - v @ u).T) == pytest.approx(rest, rel=1e-9)
    plain_u, plain_v = reduced_rank(weight, np.eye(12), rank)
    assert np.linalg.norm(x @ (weight - plain_v @ plain_u).T) > 1.01 * rest


def test_moments_give_the_least_squares_of_the_rows():
    """Without ridge the fit is numpy's own; with a huge one it is the prior, with the bias that then is best."""
    rng, moments = np.random.default_rng(0), Moments()
    x, y, prior = rng.standard_normal((60, 5)) + 2, rng.standard_normal((60, 3)), rng.standard_normal((3, 5))
    for part in (slice(0, 20), slice(20, 60)):
        moments.add(torch.from_numpy(x[part]), torch.from_numpy(y[part]))
    expected = np.linalg.lstsq(np.c_[x, np.ones(60)], y, rcond=None)[0]
    weight = moments.fit(prior, 0)
    np.testing.assert_allclose(weight, expected[:5].T, rtol=1e-9)
    np.testing.assert_allclose(moments.bias(weight), expected[5], rtol=1e-9)
    far = moments.fit(prior, 1e12)
    np.testing.assert_allclose(far, prior, rtol=1e-9)
    np.testing.assert_allclose(moments.bias(far), (y - x @ prior.T).mean(0), rtol=1e-9)


def test_photographs_make_better_factors_than_the_matrix_alone(tiny, tiny_state, images):
    """On the pictures of the calibration the logits come nearer to the model's."""
    config, tokens = replace(tiny, reductions=()), torch.from_numpy(images)
    with torch.inference_mode():
        wanted = _model(config, tiny_state)(tokens)
        errors = [
            float((_model(*factorise(config, tiny_state, given, rank=6))(tokens) - wanted).square().mean())
            for given in (images, None)
        ]
    assert errors[0] < 0.8 * errors[1]


def test_only_the_named_blocks_are_factorised(tiny, tiny_state, images):
    """Other blocks keep their matrix, and a block that has factors already is refused."""
    config, state = factorise(tiny, tiny_state, images, rank=4, blocks=(1, 3))
    assert config.fc2_rank == (0, 4, 0, 4, 0)
    np.testing.assert_array_equal(state["blocks.2.fc2.weight"], tiny_state["blocks.2.fc2.weight"])
    assert "blocks.3.fc2.weight" not in state
    with pytest.raises(ValueError, match="fc2 of block 1 has rank 4 already"):
        factorise(config, state, images)


def test_one_photograph_is_no_calibration(tiny, tiny_state, images):
    """A covariance needs two."""
    with pytest.raises(ValueError, match="expected at least 2 photographs for a covariance, found 1"):
        factorise(tiny, tiny_state, images[:1])


@pytest.fixture(scope="module")
def factorised(tiny, random_state):
    """A rank below the width, and the width itself, at which an identity branch fits."""
    config = replace(tiny, reductions=(), fc2_rank=(6, 0, 24, 6, 6))
    return config, random_state(config)


@pytest.mark.parametrize("norm", ["batch", "scale"])
def test_branches_begin_as_the_model_they_are_made_of(factorised, images, norm):
    """Splitting changes nothing but rounding, in evaluation and, for a scale, in training."""
    model = _model(*factorised)
    split = branched(model, 3, images if norm == "batch" else None)
    with torch.inference_mode():
        wanted = model(torch.from_numpy(images))
        np.testing.assert_allclose(split(torch.from_numpy(images)), wanted, rtol=0, atol=1e-4)
        if norm == "scale":
            split.blocks.train()
            np.testing.assert_allclose(split(torch.from_numpy(images)), wanted, rtol=0, atol=1e-4)


@pytest.fixture(params=["batch", "scale"])
def trained(request, factorised, images):
    """Branches whose every number, statistics too, has moved away from where it began."""
    split = branched(_model(*factorised), 2, images if request.param == "batch" else None, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in split.state_dict().items():
            if ".branches." in name and value.is_floating_point():
                moved = torch.randn(value.shape, generator=generator) / 10
                value.mul_(moved.exp()) if name.endswith("running_var") else value.add_(moved * value.std())
    return split


def test_merged_branches_equal_the_branches(factorised, images, trained):
    """The merged state dict fits the plain model and gives the same logits to 1e-5."""
    config, state = factorised
    merged = merge_branches({name: value.numpy() for name, value in trained.state_dict().items()})
    arrays = {name: array for name, array in merged.items() if not name.endswith("num_batches_tracked")}
    assert arrays.keys() == state.keys()
    with torch.inference_mode():
        wanted, before = trained(torch.from_numpy(images)), _model(config, state)(torch.from_numpy(images))
        found = _model(config, arrays)(torch.from_numpy(images))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert (before - wanted).abs().max() > 1e-2


def test_merging_follows_the_formula_in_float64():
    """One layer with two norms and an identity, written out; a forgotten mean would be far outside."""
    rng, layer = np.random.default_rng(3), {}
    for b in range(3):
        for name in ("weight", "bias", "running_mean"):
            layer[f"f.v.branches.{b}.norm.{name}"] = rng.standard_normal(4)
        layer[f"f.v.branches.{b}.norm.running_var"] = np.exp(rng.standard_normal(4))
        if b < 2:
            layer[f"f.v.branches.{b}.weight"] = rng.standard_normal((4, 4))
    x, wanted = rng.standard_normal(4), np.full(4, 0.5)
    for b in range(3):
        norm = {n: layer[f"f.v.branches.{b}.norm.{n}"] for n in ("weight", "bias", "running_mean", "running_var")}
        y = layer[f"f.v.branches.{b}.weight"] @ x if b < 2 else x
        wanted += norm["weight"] * (y - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5) + norm["bias"]
    merged = merge_branches(layer | {"f.v.bias": np.full(4, 0.5)})
    assert merged.keys() == {"f.v.weight", "f.v.bias"}
    # Stored in float32: four products and a bias of magnitude below 10.
    np.testing.assert_allclose(merged["f.v.weight"] @ x + merged["f.v.bias"], wanted, rtol=0, atol=5 * 10 * 2**-24)


def test_archive_with_branches_is_read_as_plain_factors(factorised, trained, tmp_path):
    """What training saves can be converted."""
    config, state = factorised
    arrays = {n: v.numpy() for n, v in trained.state_dict().items() if not n.endswith("num_batches_tracked")}
    np.savez(tmp_path / "w.npz", **arrays)
    assert load_state(tmp_path / "w.npz", config).keys() == state.keys()


@pytest.mark.parametrize("gone", ["norm.running_var", "norm.weight"])
def test_archive_with_half_a_branch_is_refused(factorised, images, gone, tmp_path):
    """The refusal names the layer and what a branch has."""
    config, state = factorised
    arrays = {n: v.numpy() for n, v in branched(_model(config, state), 2, images).state_dict().items()}
    arrays = {n: v for n, v in arrays.items() if not n.endswith("num_batches_tracked")}
    del arrays[f"blocks.0.fc2.u.branches.1.{gone}"]
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(SourceError, match=r"\(blocks\.0\.fc2\.u: branch 1 lacks " + gone):
        load_state(tmp_path / "w.npz", config)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("fc2.u.branches.1.weight", np.zeros((6, 39), np.float32)),
        ("fc2.u.branches.1.norm.bias", np.zeros(5, np.float32)),
        ("fc2.v.branches.0.norm.weight", np.float32(1)),
        ("fc2.v.bias", np.zeros(7, np.float32)),
    ],
)
def test_archive_with_branches_of_other_shapes_is_refused(factorised, images, name, array, tmp_path):
    """One sentence with the path, whichever array is wrong."""
    config, state = factorised
    arrays = {n: v.numpy() for n, v in branched(_model(config, state), 2, images).state_dict().items()}
    arrays = {n: v for n, v in arrays.items() if not n.endswith("num_batches_tracked")}
    np.savez(tmp_path / "w.npz", **arrays | {f"blocks.0.{name}": array})
    with pytest.raises(SourceError, match=r"w\.npz: branches that do not fit together"):
        load_state(tmp_path / "w.npz", config)
