"""Patch Slimming: its score against all head paths, its blocks against whole ones, and the search on a small model."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from coppice_export.check import sample_images
from coppice_export.config import Attention
from coppice_export.methods.patch_slimming import Recipe, path_energy, slim, slim_block
from coppice_export.reference import VisionTransformer
from coppice_export.slimming import Slimming, fingerprint, read_slimming, write_slimming
from coppice_export.weights import SourceError

QUICK = Recipe(tolerance=0.02, step=4, epochs=1, learning_rate=1e-3, batch=4, scored=6)


@pytest.fixture(scope="module")
def small(tiny, random_state):
    """Four softmax blocks, 17 tokens, no reduction."""
    config = replace(tiny, attention=(Attention(),) * 4, reductions=())
    return config, random_state(config)


@pytest.fixture(scope="module")
def images(tiny):
    return np.concatenate(sample_images(tiny, 8))


@pytest.fixture(scope="module")
def found(small, images, tmp_path_factory):
    return slim(*small, images, QUICK, tmp_path_factory.mktemp("slim"))


def _random_maps(rng, rows: int, columns: int) -> torch.Tensor:
    weights = np.exp(rng.standard_normal((2, 2, rows, columns)))
    return torch.from_numpy(weights / weights.sum(-1, keepdims=True))


def test_path_energy_is_the_sum_over_all_head_paths():
    """Three layers of two heads, eight paths, each a product of whole masked maps, in float64."""
    rng, tokens, masks = np.random.default_rng(0), 9, ([0, 1, 2, 4, 7], [0, 2, 7])
    maps, inputs = _random_maps(rng, tokens, tokens), torch.from_numpy(rng.standard_normal((2, tokens, 5)))
    later = [_random_maps(rng, len(masks[0]), tokens), _random_maps(rng, len(masks[1]), len(masks[0]))]
    whole = [torch.zeros(2, 2, tokens, tokens, dtype=torch.float64) for _ in later]
    whole[0][:, :, masks[0]] = later[0]
    for row, place in enumerate(masks[1]):
        whole[1][:, :, place, masks[0]] = later[1][:, :, row]
    energy = torch.zeros(2, tokens, dtype=torch.float64)
    for first, second, third in product(range(2), repeat=3):
        path = whole[1][:, third] @ whole[0][:, second]
        value = maps[:, first] @ inputs.abs()
        for token in range(tokens):
            outer = path[:, :, token, None] * value[:, token, None, :]
            energy[:, token] += outer.square().sum((1, 2))
    # Two steps down, each divided by the two heads.
    np.testing.assert_allclose(path_energy(maps, inputs, later), energy.mean(0) / 4, rtol=1e-12)
    assert not np.allclose(path_energy(maps, inputs, later[:1]), energy.mean(0) / 4, rtol=0.1)


def test_kept_rows_of_a_slim_block_are_those_of_the_whole_block(small, images):
    """Attention rows and MLP rows do not depend on other rows of the output (float32, width 24: 1e-5)."""
    model = VisionTransformer(small[0]).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in small[1].items()}, strict=False)
    rows = torch.tensor([0, 3, 4, 16])
    with torch.inference_mode():
        x = model.embed(torch.from_numpy(images)).x
        whole, _ = slim_block(model.blocks[0], x, torch.arange(17))
        part, maps = slim_block(model.blocks[0], x, rows)
        for block in model.blocks[1:]:
            whole, _ = slim_block(block, whole, torch.arange(17))
        np.testing.assert_allclose(model.head(model.norm(whole)[:, 0]), model(torch.from_numpy(images)), atol=1e-5)
        first, _ = slim_block(model.blocks[0], x, torch.arange(17))
    np.testing.assert_allclose(part, first[:, rows], rtol=0, atol=1e-5)
    assert maps.shape == (8, 3, 4, 17)


def test_sets_are_nested_and_end_with_the_class_token(found):
    """Each block keeps part of what the one before it keeps; some block drops something, the last one all patches."""
    slimming, _ = found
    sets = [set(rows) for rows in slimming.keep]
    assert all(after <= before for before, after in pairwise(sets))
    assert sets[-1] == {0}
    assert 1 < len(sets[0]) < 17


def test_search_stops_at_the_tolerance(found):
    """No block that still drops patches is above it, and none adds more patches than a step beyond need."""
    slimming, _ = found
    assert all(e <= QUICK.tolerance or len(rows) == 17 for e, rows in zip(slimming.errors, slimming.keep))
    assert {(len(b) - len(a)) % 4 for a, b in zip(slimming.keep[1:], slimming.keep) if len(b) < 17} == {0}


def _class_token(config, state, images, keep):
    """What the head reads with these weights and sets."""
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    with torch.inference_mode():
        x, incoming = model.embed(torch.from_numpy(images)).x, torch.arange(config.tokens)
        for block, rows in zip(model.blocks, keep):
            x, _ = slim_block(block, x, torch.searchsorted(incoming, torch.tensor(rows)))
            incoming = torch.tensor(rows)
        return model.norm(x)[:, 0]


def test_fitted_weights_bring_the_class_token_nearer(small, images, found):
    """Only blocks before the last are changed, and with their sets they come nearer to the whole model."""
    config, state = small
    slimming, fitted = found
    changed = {name for name in state if not np.array_equal(state[name], fitted[name])}
    assert changed
    assert all(name.startswith(("blocks.0.", "blocks.1.", "blocks.2.")) for name in changed)
    wanted = _class_token(config, state, images, [range(17)] * 4)
    before, after = (
        float((_class_token(config, s, images, slimming.keep) - wanted).square().sum()) for s in (state, fitted)
    )
    assert 0 < after < before


def test_fingerprints_are_those_of_the_two_state_dicts(small, found):
    """The result says which weights it began with and which belong to it."""
    slimming, fitted = found
    assert (slimming.source_sha256, slimming.model_sha256) == (fingerprint(small[1]), fingerprint(fitted))


def test_same_seed_gives_the_same_sets_and_bytes(small, images, found, tmp_path):
    """A second search and a resumed one end as the first did."""
    again, state = slim(*small, images, QUICK, tmp_path)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for part in ("keep", "errors", "blocks"):
        saved[part] = {k: v for k, v in saved[part].items() if int(k) > 1}
    torch.save(saved, tmp_path / "checkpoint.pt")
    resumed, resumed_state = slim(*small, images, QUICK, tmp_path)
    assert again == resumed == found[0]
    assert fingerprint(state) == fingerprint(resumed_state) == fingerprint(found[1])


def test_checkpoint_of_another_search_is_refused(small, images, tmp_path):
    """Another tolerance is another search."""
    slim(*small, images, QUICK, tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint\.pt belongs to another search"):
        slim(*small, images, replace(QUICK, tolerance=0.3), tmp_path)


@pytest.mark.parametrize(
    ("changes", "count", "sentence"),
    [
        ({"pooling": "mean"}, 8, "found pooling mean and 0 reductions"),
        ({"attention": (Attention("linear"),) * 4}, 8, "expected softmax attention, block 0 has another"),
        ({}, 0, "expected photographs to score the patches by, found none"),
    ],
)
def test_model_that_cannot_be_slimmed_is_refused(small, images, changes, count, sentence, tmp_path):
    """The refusal comes before anything is written."""
    with pytest.raises(ValueError, match=sentence):
        slim(replace(small[0], **changes), small[1], images[:count], QUICK, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_result_is_read_as_it_was_written(found, tmp_path):
    """Every field comes back."""
    write_slimming(tmp_path / "slimming.json", found[0])
    assert read_slimming(tmp_path / "slimming.json") == found[0]


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ([[0, 2, 1], [0]], "keep of block 0 must be rising token numbers below 5"),
        ([[0, 1, 1], [0]], "keep of block 0 must be rising"),
        ([[0, 5], [0]], "keep of block 0 must be rising"),
        ([[0, 1], [1]], r"keep of block 1 must have the prefix tokens \[0\]"),
        ([[0, 1], [0, 2]], r"keep of block 1 has tokens that block 0 dropped: \[2\]"),
        ([[0, 1]], "expected an error for each of 1 blocks, found 2"),
    ],
)
def test_sets_that_break_a_rule_are_refused(keep, sentence, tmp_path):
    """A changed file is refused with its path and the rule."""
    good = Slimming(((0, 1), (0,)), (0.0, 0.0), "metric", "a", "b", 5, 1, 3)
    write_slimming(tmp_path / "slimming.json", good)
    content = json.loads((tmp_path / "slimming.json").read_text()) | {"keep": keep}
    (tmp_path / "slimming.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=rf"slimming\.json: .*{sentence}"):
        read_slimming(tmp_path / "slimming.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "method": "patch-slimming"}', '{"format": 1}'])
def test_file_that_is_no_result_is_refused(text, tmp_path):
    """One sentence with the path, whatever the file holds."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(SourceError, match=r"x\.json: not a result of `coppice-export slim`"):
        read_slimming(tmp_path / "x.json")
