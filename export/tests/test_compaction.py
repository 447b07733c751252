"""`convert --hallucinate` and `--ffn-rank`: which blocks are changed, what is written, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from coppice_export import config as config_module
from coppice_export.config import Attention, Reduction
from coppice_export.methods.cffn import factorise
from coppice_export.methods.hmhsa import hallucinate
from coppice_export.photographs import find_photographs
from coppice_export.preprocess import preprocess
from coppice_export.reference import VisionTransformer

CONVERT = ("convert", "weights.npz", "--preset", "plain", "--out", "bundle")
FIT = ("--photographs", "photographs.tar", "--count", "6")


@pytest.fixture
def plain(tiny):
    """Five softmax blocks of three heads that keep the best tokens in blocks 1 and 3."""
    return replace(tiny, name="plain", attention=(Attention(),) * 5)


@pytest.fixture
def call(call, monkeypatch, tmp_path, plain, random_state, noise_tar):
    """Runs the command line in a folder with `weights.npz` of the preset `plain` and six pictures."""
    monkeypatch.setitem(config_module.PRESETS, "plain", plain)
    monkeypatch.chdir(tmp_path)
    np.savez("weights.npz", **random_state(plain))
    noise_tar(Path("photographs.tar"), [f"{i}/{i}.jpg" for i in range(6)], 0)
    return call


def _golden(number: int) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    case = Path(f"bundle/golden/{number}")
    image = np.fromfile(case / "input.bin", "<f4").reshape(1, 3, 32, 32)
    return image, tuple(json.loads((case / "case.json").read_text())["keep"]), np.fromfile(case / "logits.bin", "<f4")


def test_fits_the_blocks_that_neither_reduce_nor_read_the_class_row_alone(call, plain, random_state):
    """Maps are made in blocks 0 and 2 of five, fc2 is factorised in all but the last; golden logits are those of the
    same fits called from Python."""
    code, error = call(*CONVERT, *FIT, "--hallucinate", "2", "--ffn-rank", "6", "--operators", "separate")
    assert code == 0, error
    assert "maps made in blocks 0,2, fitted to 6 photographs" in error
    assert "fc2 of rank 6 in blocks 0,1,2,3, fitted likewise" in error
    assert "operators: HallucinatedAttention x2, TokenAttention x3, TopKTokens x2; wrote bundle" in error
    found = find_photographs(Path("photographs.tar"))
    images = np.stack([preprocess(photograph.pixels(), plain.preprocessing) for photograph in found])
    form = Attention("hallucinated", computed_heads=2)
    config, state = hallucinate(plain, random_state(plain), images, form, (0, 2))
    config, state = factorise(config, state, images, 6, (0, 1, 2, 3))
    model = VisionTransformer(config).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
    image, keep, expected = _golden(1)
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.from_numpy(image), keep)[0].numpy(), expected, rtol=0, atol=1e-4)


def test_predictors_stay_with_their_blocks(call, monkeypatch, plain, random_state):
    """A block with a network of its own before it, as DynamicViT has, can be compacted like any other."""
    config = replace(plain, reductions=Reduction.at(1, 3, method="predictor"))
    monkeypatch.setitem(config_module.PRESETS, "plain", config)
    np.savez("weights.npz", **random_state(config))
    code, error = call(*CONVERT, *FIT, "--hallucinate", "1", "--dw-kernel", "3")
    assert code == 0, error
    assert "maps made in blocks 0,1,2,3, fitted" in error


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--ffn-rank", "6"), 2, "are fitted to --photographs"),
        (FIT, 2, "are fitted to --photographs"),
        ((*FIT, "--ffn-rank", "6", "--dw-kernel", "3"), 2, "--dw-kernel belongs to --hallucinate"),
        ((*FIT, "--hallucinate", "3"), 1, "computes the maps of 1..2 of its 3 heads"),
        ((*FIT, "--hallucinate", "2", "--dw-kernel", "5"), 1, "attention dw_kernel: expected one of 0, 1, 3, found 5"),
        ((*FIT, "--ffn-rank", "25"), 1, "fc2_rank must have a rank of 0..24"),
        ((*FIT, "--hallucinate", "2", "--reduce-at", "0,1,2,3"), 1, "so none can hallucinate"),
        ((*FIT, "--hallucinate", "2", "--linear", "0,1,2,3,4", "--reduce-at", ""), 1, "so none can hallucinate"),
        (("--photographs", "nowhere.tar", "--hallucinate", "2"), 1, "nowhere.tar"),
        ((*FIT, "--hallucinate", "2", "--version", "one"), 1, "version must be SemVer"),
    ],
)
def test_refuses_in_one_sentence_and_writes_nothing(call, options, code, said):
    """Options that do not go together, numbers that do not fit, blocks that cannot."""
    found, error = call(*CONVERT, *options)
    assert found == code
    assert said in error
    assert not [path for path in Path().iterdir() if path.is_dir()]
