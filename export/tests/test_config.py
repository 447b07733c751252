"""What a configuration refuses, and what it derives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coppice_export.config import FINE, MINI, MINI_SOFTMAX, PRESETS, VIT_TINY, Attention, Conv, Reduction
from coppice_export.weights import expected_shapes


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("heads", 5, "width must be a multiple of heads: width=128, heads=5"),
        ("stem", (Conv(64, 16, 16),), "the stem must end in the model's width: 64 against 128"),
        ("reductions", Reduction.at(4, 2), r"reductions must be at rising block numbers below 6: \(4, 2\)"),
        ("reductions", Reduction.at(2, 2), r"reductions must be at rising block numbers below 6: \(2, 2\)"),
        ("reductions", Reduction.at(6), r"reductions must be at rising block numbers below 6: \(6,\)"),
        (
            "reductions",
            Reduction.at(1, 4, method="threshold"),
            "block 1 ranks tokens by what they receive from all, so it must be softmax",
        ),
        ("pooling", "max", "pooling: expected one of class, class_distilled, mean, class_mean, found 'max'"),
        ("pooling", "class_distilled", "pooling class_distilled reads 2 prefix tokens, found 1"),
        ("prefix_tokens", 0, "pooling class reads 1 prefix tokens, found 0"),
        ("fc_norm", True, "fc_norm follows the mean of the patch tokens, so it needs pooling mean: class"),
    ],
)
def test_configuration_that_cannot_be_built_is_refused(field, value, sentence):
    """The refusal names the field and the values that do not fit."""
    with pytest.raises(ValueError, match=sentence):
        replace(MINI, **{field: value})


def test_fused_token_without_position_is_refused_before_a_cosine():
    """A cosine of positions after a fusing reduction has nothing to work with."""
    late = (*(Attention(),) * 5, Attention("linear", reweight="cos1d"))
    with pytest.raises(ValueError, match="a fused or mixed token has no position"):
        replace(MINI, attention=late, reductions=Reduction.at(2, 4, fuse="mean"))


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "Linear"), ("feature_map", "elu"), ("reweight", "cos"), ("normalize", "")]
)
def test_attention_of_an_unknown_form_is_refused(field, value):
    """The refusal names the attribute, what is allowed and what was found."""
    with pytest.raises(ValueError, match=f"attention {field}: expected one of .*found {value!r}"):
        Attention(**{field: value})


@pytest.mark.parametrize(("config", "grid", "tokens"), [(MINI, 10, 101), (FINE, 32, 1025), (VIT_TINY, 14, 197)])
def test_grid_follows_from_the_stem(config, grid, tokens):
    """An edge of 160 pixels behind strides 4, 2 and 2 is 10 patches, of 256 behind 4 and 2 it is 32."""
    assert (config.grid, config.tokens) == (grid, tokens)


def test_presets_go_by_their_own_names():
    """`--preset NAME` finds the configuration of that name."""
    names = ("imagenette-softmax", "imagenette-mini", "imagenette-fine", "vit-tiny")
    assert {name: config.name for name, config in PRESETS.items()} == {n: n for n in names}


def test_mini_has_the_arrays_of_its_softmax_model():
    """What a run of imagenette-softmax has learned fits imagenette-mini."""
    assert expected_shapes(MINI) == expected_shapes(MINI_SOFTMAX)


def test_fine_is_mini_but_for_its_position_table():
    """What a run of either has learned fits imagenette-fine in every other array."""
    shapes = [expected_shapes(config) for config in (MINI, FINE)]
    assert {name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name)} == {"pos_embed"}
