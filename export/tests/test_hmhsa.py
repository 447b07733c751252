"""Hallucinated attention from trained heads: what the fit finds where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coppice_export.check import sample_images
from coppice_export.config import Attention
from coppice_export.methods.hmhsa import hallucinate
from coppice_export.reference import VisionTransformer

FORM = Attention("hallucinated", computed_heads=2)


def _logits(config, state, images):
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    with torch.inference_mode():
        return model(torch.from_numpy(images)).numpy()


@pytest.fixture(scope="module")
def images(tiny):
    return np.concatenate(sample_images(tiny, 12))


@pytest.fixture(scope="module")
def softmax(tiny, random_state):
    """Five softmax blocks of three heads, no reduction."""
    config = replace(tiny, attention=(Attention(),) * 5, reductions=())
    return config, random_state(config)


def _twin_heads(state, block: int, first: int, second: int):
    """Head `second` asks and answers as head `first` does, so their maps are equal; values stay different."""
    state, dim, width = dict(state), 8, 24
    for array in ("weight", "bias"):
        name = f"blocks.{block}.qkv.{array}"
        state[name] = state[name].copy()
        for part in (0, width):
            source, target = part + first * dim, part + second * dim
            state[name][target : target + dim] = state[name][source : source + dim]
    return state


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)], ids=str)
@pytest.mark.parametrize(
    "form",
    [FORM, replace(FORM, dw_kernel=3), replace(FORM, mix="none", dw_kernel=1), replace(FORM, renorm="row_sum")],
    ids=["mix", "mix and convolution", "scale", "rows sum to 1"],
)
def test_head_with_the_map_of_another_is_made_exactly(softmax, images, pair, form):
    """Where two heads have one map, one is made from the other and the logits stay, whichever heads they are."""
    config, state = softmax
    state = _twin_heads(state, 1, *pair)
    compact, arrays = hallucinate(config, state, images, form, blocks=(1,))
    assert compact.attention[1] == form
    np.testing.assert_allclose(_logits(compact, arrays, images), _logits(config, state, images), rtol=0, atol=2e-4)


def test_weights_of_a_known_mix_are_found(softmax, images):
    """A head with equal queries and keys has the mix (1, 0) or (0, 1) of the two that are computed."""
    config, state = softmax
    _, arrays = hallucinate(config, _twin_heads(state, 2, 0, 2), images, FORM, blocks=(2,))
    np.testing.assert_allclose(np.sort(arrays["blocks.2.mix"][0]), [0, 1], rtol=0, atol=1e-3)


def test_fit_comes_nearer_than_the_mean_of_the_computed_maps(softmax, images):
    """On pictures of the calibration, with unrelated heads; the mean is where an untrained module begins."""
    config, state = softmax
    compact, arrays = hallucinate(config, state, images, FORM)
    assert [a.kind for a in compact.attention] == ["hallucinated"] * 4 + ["softmax"]
    mean = {n: np.full_like(a, 0.5) if n.endswith(".mix") else a for n, a in arrays.items()}
    wanted = _logits(config, state, images)
    fitted, plain = (np.square(_logits(compact, s, images) - wanted).mean() for s in (arrays, mean))
    assert fitted < 0.9 * plain


@pytest.mark.parametrize(
    ("form", "blocks", "sentence"),
    [
        (
            replace(FORM, stage="pre_softmax"),
            (1,),
            "expected stage post_softmax and renorm none or row_sum, found pre_s",
        ),
        (FORM, (0, 1), "tiny: block 0 is linear; only softmax heads can be mixed"),
    ],
)
def test_what_cannot_be_fitted_is_refused(tiny, tiny_state, images, form, blocks, sentence):
    """The refusal says what was expected."""
    with pytest.raises(ValueError, match=sentence):
        hallucinate(replace(tiny, reductions=()), tiny_state, images, form, blocks)
