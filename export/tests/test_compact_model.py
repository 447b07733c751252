"""Models with hallucinated attention and a factorised fc2: graph against PyTorch, cost against the derivation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coppice_export.check import sample_images, session, used_operators
from coppice_export.config import VIT_TINY, Attention, Conv
from coppice_export.cost import block_macs, model_macs, parameter_count
from coppice_export.model import Flavour, build_model
from coppice_export.reference import VisionTransformer

DEIT_SMALL = replace(
    VIT_TINY, name="deit-small", stem=(Conv(384, 16, 16),), width=384, heads=6, hidden=1536, reductions=()
)
HALF = Attention("hallucinated", computed_heads=3)

FORMS = {
    "mix": Attention("hallucinated", computed_heads=2),
    "convolution": Attention("hallucinated", computed_heads=2, mix="none", dw_kernel=3),
    "scale": Attention("hallucinated", computed_heads=2, mix="none", dw_kernel=1),
    "both, rows sum to 1": Attention("hallucinated", computed_heads=2, dw_kernel=3, renorm="row_sum"),
    "one head computed, norm": Attention("hallucinated", computed_heads=1, renorm="layernorm", eps=1e-3),
    "before the softmax": Attention("hallucinated", computed_heads=1, dw_kernel=3, stage="pre_softmax"),
}


def _compact(tiny, form: Attention, rank: tuple[int, ...] = ()):
    """Hallucinated attention around the reductions of the small model, and in its last block."""
    softmax = Attention()
    return replace(tiny, attention=(form, softmax, form, softmax, form), fc2_rank=rank)


def _difference(config, state, flavour) -> float:
    image, keep = sample_images(config, 1)[0], (9, 4)
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    runner = session(build_model(config, state, flavour).SerializeToString())
    (found,) = runner.run(["logits"], {"image": image, "keep": np.array(keep, np.int64)})
    with torch.inference_mode():
        return float(np.abs(found - model(torch.from_numpy(image), keep).numpy()).max())


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_graph_with_hallucinated_attention_equals_pytorch(tiny, random_state, form, flavour):
    """Every form of the made maps, in our operator and in stock ones, within the tolerance of an export."""
    config = _compact(tiny, form)
    assert _difference(config, random_state(config), flavour) <= 1e-4


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("array", ["mix", "dw"])
def test_graph_with_other_made_maps_does_not_equal_pytorch(tiny, random_state, array, flavour):
    """The comparison notices a tenth more of one made map, so it would notice a wrong one."""
    config = _compact(tiny, FORMS["both, rows sum to 1"])
    state = random_state(config)
    image, keep = sample_images(config, 1)[0], np.array((9, 4), np.int64)
    found = []
    for factor in (1, 1.1):
        changed = state | {f"blocks.2.{array}": state[f"blocks.2.{array}"] * np.float32(factor)}
        changed[f"blocks.2.{array}"][..., 0] = state[f"blocks.2.{array}"][..., 0]
        runner = session(build_model(config, changed, flavour).SerializeToString())
        found.append(runner.run(["logits"], {"image": image, "keep": keep})[0])
    assert np.abs(found[0] - found[1]).max() > 1e-4


@pytest.mark.parametrize("flavour", Flavour)
def test_graph_with_factorised_fc2_equals_pytorch(tiny, random_state, flavour):
    """Ranks below and above break-even (24 * 40 / 64 = 15), and a whole matrix, in one model."""
    config = _compact(tiny, Attention("linear"), (1, 0, 14, 15, 24))
    assert _difference(config, random_state(config), flavour) <= 1e-4


def test_fc2_is_two_matrices_only_where_that_is_cheaper(tiny, random_state):
    """At break-even and above the factors are multiplied out: one matrix of the plain shape is stored."""
    config = replace(tiny, fc2_rank=(1, 0, 14, 15, 24))
    shapes = {
        i.name: tuple(i.dims) for i in build_model(config, random_state(config), Flavour.SEPARATE).graph.initializer
    }
    stored = {n: s for n, s in shapes.items() if ".fc2." in n and n.endswith(".weight")}
    whole, factors = (40, 24), lambda rank: ((40, rank), (rank, 24))
    expected = {f"blocks.{b}.fc2.weight": whole for b in (1, 3, 4)}
    for block, rank in ((0, 1), (2, 14)):
        expected |= {f"blocks.{block}.fc2.{n}.weight": s for n, s in zip("uv", factors(rank))}
    assert stored == expected


def test_hallucinated_blocks_use_our_operator(tiny, random_state):
    """One operator for each of the three blocks."""
    config = _compact(tiny, FORMS["mix"])
    operators = used_operators(build_model(config, random_state(config), Flavour.SEPARATE))
    assert operators == {"HallucinatedAttention": 3, "TokenAttention": 2, "TopKTokens": 2}


def test_hallucinated_block_is_counted_by_hand():
    """Width 8 in 4 heads of 2, one computed: q and k of 2 columns, one map, three mixed and convolved, four read."""
    form = Attention("hallucinated", computed_heads=1, dw_kernel=3)
    attention = 5 * 8 * (2 + 2 + 8) + 5 * 5 * 2 + 3 * 5 * 5 * (1 + 9) + 4 * 5 * 5 * 2
    assert block_macs(form, 8, 4, 10, 5, 5, 5) == attention + 5 * 8 * 8 + 5 * (8 * 10 + 10 * 8)
    # One row goes on, in the last block of an exported graph; the operator computes all of them nevertheless.
    assert block_macs(form, 8, 4, 10, 5, 1, 1) == attention + 8 * 8 + (8 * 10 + 10 * 8)


@pytest.mark.parametrize(
    ("changes", "macs", "parameters"),
    [
        ({"attention": (HALF,) * 12}, 0.438e9, 1.77e6),
        ({"fc2_rank": (288,) * 12}, 0.019 * 4.599e9, 0.44e6),
        ({"fc2_rank": (192,) * 12}, 0.114 * 4.599e9, 2.65e6),
        ({"attention": (HALF,) * 12, "fc2_rank": (192,) * 12}, 0.209 * 4.599e9, 4.42e6),
    ],
    ids=["hMHSA", "cFFN at 0.75 D", "cFFN at half the width", "both"],
)
def test_deit_small_saves_what_was_derived(changes, macs, parameters):
    """The derivation leaves out the sum over maps, 9 N^2 a block, and the biases of q and k; it gives three digits."""
    compact = replace(DEIT_SMALL, **changes)
    mixing, small = (12 * 9 * 197**2, 12 * (384 - 9)) if "attention" in changes else (0, 0)
    saved = model_macs(DEIT_SMALL, class_row_only=False) - model_macs(compact, class_row_only=False)
    assert saved + mixing == pytest.approx(macs, abs=0.0005 * 4.599e9)
    assert parameter_count(DEIT_SMALL) == pytest.approx(22.05e6, abs=5e3)
    assert parameter_count(DEIT_SMALL) - parameter_count(compact) - small == pytest.approx(parameters, abs=5e3)


@pytest.mark.parametrize("rank", [308, 384])
def test_fc2_beyond_break_even_costs_no_more_than_the_whole_matrix(rank):
    """0.8 D is 307.2 at width 384; the exported graph multiplies out from there on."""
    compact = replace(DEIT_SMALL, fc2_rank=(rank,) * 12)
    assert model_macs(compact) == model_macs(DEIT_SMALL)
    assert model_macs(replace(DEIT_SMALL, fc2_rank=(307,) * 12)) < model_macs(DEIT_SMALL)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mix": "none"}, "makes its maps by mix, by dw_kernel or by both, found neither"),
        ({"dw_kernel": 5}, "attention dw_kernel: expected one of 0, 1, 3, found 5"),
        ({"stage": "pre_softmax", "renorm": "row_sum"}, "row_sum is refused there"),
    ],
)
def test_form_of_made_maps_that_cannot_be_is_refused(changes, sentence):
    """The refusal says which attributes do not go together."""
    with pytest.raises(ValueError, match=sentence):
        replace(HALF, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"attention": (Attention("hallucinated", computed_heads=6),) * 12}, r"block 0 computes the maps of 1\.\.5 of"),
        ({"attention": (Attention("hallucinated"),) * 12}, "makes the others: computed_heads=0"),
        (
            {"attention": (Attention("hallucinated", computed_heads=5, renorm="layernorm"),) * 12},
            r"the maps of 1\.\.4 of its 6 heads",
        ),
        ({"fc2_rank": (1,)}, r"fc2_rank must have a rank of 0\.\.384 for each of 12 blocks: \(1,\)"),
        ({"fc2_rank": (385,) * 12}, r"fc2_rank must have a rank of 0\.\.384"),
    ],
)
def test_compact_model_that_cannot_be_built_is_refused(changes, sentence):
    """The refusal has the block, the limits and what was found."""
    with pytest.raises(ValueError, match=sentence):
        replace(DEIT_SMALL, **changes)
