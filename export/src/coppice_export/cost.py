"""Multiply-adds at a token budget: the cost model that reproduces the published figures of DeiT, ToMe and EViT."""

from __future__ import annotations

import math
from fractions import Fraction

from .config import Attention, Reduction, ViTConfig
from .weights import expected_shapes

__all__ = ["block_macs", "incoming_counts", "model_macs", "parameter_count"]


def _core(attention: Attention, width: int, dim: int, rows: int, tokens: int) -> int:
    quadratic = 2 * rows * tokens * width
    if attention.kind == "softmax":
        return quadratic
    if attention.kind == "hallucinated":
        computed, made = attention.computed_heads, width // dim - attention.computed_heads
        mixed = computed if attention.mix == "cross_head" else 0
        return rows * tokens * (computed * dim + width + made * (mixed + attention.dw_kernel**2))
    features = {"none": 1, "cos1d": 2, "cos2d": 6 if attention.prefix_tokens else 4}[attention.reweight]
    return min(quadratic, features * width * dim * (tokens + rows))


def block_macs(
    attention: Attention, width: int, heads: int, hidden: int, tokens: int, rows: int, out: int, rank: int = 0
) -> int:
    """One block: `tokens` enter, `rows` of them are queries, `out` enter the MLP, whose fc2 has rank `rank` or 0."""
    dim, queries, keyed = width // heads, rows, width
    if attention.kind == "hallucinated":  # the operator has every row as a query, whichever go on
        queries, keyed = tokens, attention.computed_heads * dim
    projections = (tokens + queries) * width * keyed + (tokens + rows) * width**2
    whole = width * hidden
    fc2 = min(whole, rank * (width + hidden)) if rank else whole
    return projections + _core(attention, width, dim, queries, tokens) + out * (whole + fc2)


def _before(reduction: Reduction, config: ViTConfig, patches: int) -> int:
    """What choosing or mixing the tokens costs where a network does it."""
    width = config.width
    if reduction.method == "patch_merger":
        return 2 * patches * reduction.outputs * width
    half, quarter = width // 2, width // 4
    every = width**2 + (width - half) * half + half * quarter + quarter  # the mean half is multiplied once
    return patches * every + half * half


def model_macs(config: ViTConfig, keep: tuple[int, ...] | None = None, class_row_only: bool = True) -> int:
    """The whole model, one image; the most, where the number of tokens depends on the picture.

    class_row_only: the last block computes what the head reads, as in graphs. What scoring and sorting cost is left
    out, as it is in the published figures.
    """
    keep = config.patches if keep is None else keep
    keep = (keep,) * len(config.stages) if isinstance(keep, int) else keep
    left = {reduction.block: config.prefix_tokens + out for reduction, _, _, out in config.steps(keep)}
    total, inputs, edge = 0, 3, config.preprocessing.crop
    for conv in config.stem:
        edge = (edge + 2 * conv.padding - conv.kernel) // conv.stride + 1
        total += edge * edge * conv.kernel**2 * inputs * conv.out
        inputs = conv.out
    tokens = config.tokens
    for number, attention in enumerate(config.attention):
        rows = out = tokens
        reduction = config.reduction(number)
        if reduction and reduction.place == "before":
            total += _before(reduction, config, tokens - config.prefix_tokens)
            tokens = rows = out = left[number]
        if reduction and reduction.place != "before":
            out = left[number]
            rows = out if reduction.place == "queries" else tokens
        elif class_row_only and number == config.depth - 1:
            rows = out = config.head_rows or tokens
        shape = config.width, config.heads, config.hidden
        total += block_macs(attention, *shape, tokens, rows, out, config.rank(number))
        tokens = out
    return total + config.pooled_width * config.classes


def parameter_count(config: ViTConfig) -> int:
    """Learned numbers of the model; the statistics of batch norms are measured, not learned."""
    return sum(math.prod(shape) for name, shape in expected_shapes(config).items() if ".running_" not in name)


def incoming_counts(config: ViTConfig, ratio: float | Fraction) -> tuple[int, ...]:
    """ceil(ratio * incoming patches) at every stage, or the fewest that it can leave.

    A float counts as the decimal it prints as: 0.55 is 55/100.
    """
    ratio = Fraction(str(ratio)) if isinstance(ratio, float) else ratio
    counts, patches = [], config.patches
    for reduction in config.reductions:
        kept = max(math.ceil(ratio * patches), reduction.least(patches)) if reduction.has_budget else None
        counts += [kept] if reduction.has_budget else []
        patches = reduction.outgoing(patches, kept, config.prefix_tokens)
    return tuple(counts)
