"""Multiply-adds against counts by hand and published figures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from coppice_export.config import MINI, VIT_TINY, Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.cost import block_macs, incoming_counts, model_macs

# Four patches of 2x2 pixels, width 6 in 2 heads, hidden 10, 3 classes.
SMALL = ViTConfig(
    name="small",
    preprocessing=Preprocessing(4, 4),
    stem=(Conv(6, 2, 2),),
    width=6,
    heads=2,
    hidden=10,
    classes=3,
    attention=(Attention(), Attention()),
    reductions=Reduction.at(0),
)
DEIT_SMALL = replace(VIT_TINY, name="deit-small", stem=(Conv(384, 16, 16),), width=384, heads=6, hidden=1536)


def test_small_model_is_counted_by_hand():
    """Each product of the small model, written out."""
    stem = 4 * (2 * 2 * 3) * 6
    first = 5 * 6 * 18 + 5 * 5 * 6 * 2 + 5 * 6 * 6 + 3 * (6 * 10 + 10 * 6)  # 5 tokens, 3 of them reach the MLP
    last = 3 * 6 * 12 + 1 * 6 * 6 + 1 * 3 * 6 * 2 + 1 * 6 * 6 + 1 * (6 * 10 + 10 * 6)  # keys of 3, the class row alone
    assert model_macs(SMALL, (2,)) == stem + first + last + 6 * 3


@pytest.mark.parametrize(
    ("pooling", "prefix", "rows", "pooled"),
    [("class", 3, 1, 6), ("class_distilled", 2, 2, 12), ("mean", 0, None, 6), ("class_mean", 1, None, 12)],
)
def test_last_block_costs_the_rows_that_the_head_reads(pooling, prefix, rows, pooled):
    """Keys and values of all tokens; queries, output projection and MLP of the rows that are read."""
    config = replace(SMALL, pooling=pooling, prefix_tokens=prefix, reductions=(), attention=(Attention(),))
    tokens = prefix + 4
    rows = rows or tokens
    stem = 4 * (2 * 2 * 3) * 6
    block = tokens * 6 * 12 + rows * 6 * 6 + rows * tokens * 6 * 2 + rows * 6 * 6 + rows * (6 * 10 + 10 * 6)
    assert model_macs(config) == stem + block + pooled * 3


def test_fused_token_costs_one_more_row():
    """The fused token goes through the first block's MLP and is a key of the last one."""
    fused = replace(SMALL, reductions=Reduction.at(0, fuse="mean"))
    assert model_macs(fused, (2,)) - model_macs(SMALL, (2,)) == (6 * 10 + 10 * 6) + (6 * 12 + 6 * 2)
    assert model_macs(fused, (4,)) == model_macs(SMALL, (4,))


@pytest.mark.parametrize(
    ("attention", "tokens", "core"),
    [
        (Attention(), 5, 5 * 5 * 8 * 2),
        (Attention("linear"), 100, (100 + 100) * 8 * 4),
        (Attention("linear", reweight="cos1d"), 100, 2 * (100 + 100) * 8 * 4),
        (Attention("linear", reweight="cos2d", grid=10, prefix_tokens=0), 100, 4 * (100 + 100) * 8 * 4),
        (Attention("linear", reweight="cos2d", grid=10), 101, 6 * (101 + 101) * 8 * 4),
        (Attention("linear"), 3, 3 * 3 * 8 * 2),
    ],
    ids=["softmax", "linear", "cosine-doubles-the-features", "two-cosines", "prefix", "quadratic-below-break-even"],
)
def test_core_of_a_block_is_counted_by_hand(attention, tokens, core):
    """Width 8 in 2 heads of 4: linear attention makes and reads a 4 x 4 summary a head, or the matrix if it is less."""
    projections = tokens * 8 * 24 + tokens * 8 * 8
    assert block_macs(attention, 8, 2, 0, tokens, tokens, tokens) == projections + core


PUBLISHED = {1.0: 4.6, 0.9: 4.0, 0.8: 3.5, 0.7: 3.0, 0.6: 2.6, 0.5: 2.3}


@pytest.mark.parametrize(("keep", "published"), PUBLISHED.items())
def test_deit_small_with_evit_costs_what_was_published(keep, published):
    """EViT's table for DeiT-S, reductions after blocks 3, 6 and 9 with a fused token, in billions of multiply-adds."""
    config = replace(DEIT_SMALL, reductions=Reduction.at(3, 6, 9, fuse="sum"))
    macs = model_macs(config, incoming_counts(config, keep), class_row_only=False)
    assert macs / 1e9 == pytest.approx(published, abs=0.06)


@pytest.mark.parametrize(
    ("config", "ratio", "counts"),
    [
        (MINI, 1, (100, 100)),
        (MINI, 0.55, (55, 31)),
        (MINI, 0.07, (7, 1)),
        (MINI, Fraction(1, 3), (34, 12)),
        (VIT_TINY, 0.7, (138, 97, 68)),
        (replace(VIT_TINY, reductions=Reduction.at(3, 6, 9, fuse="mean")), 0.7, (138, 98, 70)),
    ],
)
def test_ratio_keeps_the_ceiling_of_the_incoming_patches(config, ratio, counts):
    """0.55 of 100 is 55, not 56 as binary fractions have it; a fused token counts as incoming."""
    assert incoming_counts(config, ratio) == counts


@pytest.mark.parametrize("keep", [(100,), (100, 100, 100), ()], ids=str)
def test_budget_needs_one_count_for_each_stage(keep):
    """A budget of another length is refused."""
    with pytest.raises(ValueError, match="zip"):
        model_macs(MINI, keep)


TOME = {8: 3.42, 13: 2.70, 16: 2.29}


@pytest.mark.parametrize(("merged", "published"), TOME.items())
def test_deit_small_with_tome_costs_what_was_published(merged, published):
    """ToMe's table for DeiT-S, r tokens merged in every block, in billions of multiply-adds."""
    config = replace(DEIT_SMALL, reductions=Reduction.at(*range(12), method="merge"))
    keep, patches = [], 196
    for _ in range(12):
        patches -= min(merged, patches // 2)
        keep.append(patches)
    assert model_macs(config, tuple(keep), class_row_only=False) / 1e9 == pytest.approx(published, abs=0.005)


MERGERS = {"tiny": (192, 3, 0.66), "small": (384, 6, 2.41), "base": (768, 12, 9.18)}


@pytest.mark.parametrize(("width", "heads", "expected"), MERGERS.values(), ids=MERGERS)
def test_merger_half_way_saves_nearly_half(width, heads, expected):
    """DeiT with 8 tokens after block 6, the class token among them: 47 % less, by the formula of every block."""
    config = replace(DEIT_SMALL, width=width, heads=heads, hidden=4 * width, stem=(Conv(width, 16, 16),))
    config = replace(config, reductions=(Reduction(6, "patch_merger", outputs=7),))
    assert model_macs(config, (), class_row_only=False) / 1e9 == pytest.approx(expected, abs=0.006)


def test_queries_of_few_rows_are_counted_by_hand():
    """Keys and values of all five tokens, queries and everything after of three rows; in both such methods."""
    block = 2 * 5 * 6 * 6 + 2 * 3 * 6 * 6 + 2 * 3 * 5 * 6 + 3 * (6 * 10 + 10 * 6)
    last = 3 * 6 * 12 + 1 * 6 * 6 + 1 * 3 * 6 * 2 + 1 * 6 * 6 + 1 * (6 * 10 + 10 * 6)
    total = 4 * (2 * 2 * 3) * 6 + block + last + 6 * 3
    assert model_macs(replace(SMALL, reductions=Reduction.at(0, method="sample")), (2,)) == total
    assert model_macs(replace(SMALL, reductions=(Reduction(0, "static", places=(0, 1, 4)),)), ()) == total


def test_predictor_is_counted_by_hand():
    """A network over four patches of width 8, its mean half once; two of them go through the block."""
    config = replace(SMALL, width=8, stem=(Conv(8, 2, 2),), reductions=Reduction.at(0, method="predictor"))
    network = 4 * (8 * 8 + 4 * 4 + 4 * 2 + 2) + 4 * 4
    block = 4 * 3 * 8 * 8 + 2 * 3 * 3 * 8 + 3 * (8 * 10 + 10 * 8)
    last = 2 * 3 * 8 * 8 + 2 * 1 * 8 * 8 + 2 * 1 * 3 * 8 + 1 * (8 * 10 + 10 * 8)
    assert model_macs(config, (2,)) == 4 * (2 * 2 * 3) * 8 + network + block + last + 8 * 3
