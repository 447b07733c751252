"""Keeps the tokens at even steps of the cumulative score; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph
from ._ragged import padded

__all__ = ["ours", "reference", "stock", "torch_face", "weights"]


def weights(scores: np.ndarray) -> np.ndarray:
    """One item's patch scores -> what each weighs, in float64."""
    plain = np.where(scores > 0, scores, 0).astype(np.float64)
    if np.isinf(plain).any():
        return np.isinf(plain).astype(np.float64)
    return plain if plain.any() else np.ones_like(plain)


def _cdf(weight: np.ndarray, count: int) -> list[int]:
    kept, last, total, running = [], -1, weight.cumsum()[-1], 0.0
    for i, w in enumerate(weight):
        running += w
        number = math.floor(count * running / total - 0.5)
        if number > last:
            kept.append(i)
            last = number
    return kept


def _ats(weight: np.ndarray, count: int) -> list[int]:
    order = np.argsort(weight, kind="stable")
    sums = weight[order].cumsum()
    low, span = sums[0], sums[-1] - sums[0]
    sums = (sums - low) / span if span > 0 else np.ones_like(sums)
    start = sums[sums > 0].min()
    step = (1 - start) / (count - 1) if count > 1 else 0
    return sorted({int(order[np.abs(sums - (start + k * step)).argmin()]) for k in range(count)})


def reference(
    scores: np.ndarray, count: int, x: np.ndarray | None = None, prefix: int = 1, rule: str = "cdf", pad: bool = False
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """scores: (batch, tokens) -> index (batch, rows), y of the kept tokens, and their number (batch,)."""
    patches = scores.shape[1] - prefix
    pick = _cdf if rule == "cdf" else _ats
    kept = [
        [*range(prefix), *(prefix + i for i in (pick(weights(row[prefix:]), count) if count and patches else []))]
        for row in scores
    ]
    return padded(kept, x, prefix + min(count, patches) if pad else None)


def _torch_pick(weight, count: int, rule: str):
    """weight: (patches) of one item, positive -> the patches that are kept, ascending."""
    import torch

    weight = weight.detach().double()
    if rule == "cdf":
        points = (2 * torch.arange(1, count + 1, device=weight.device) - 1) / (2 * count)
        return torch.searchsorted(weight.cumsum(0) / weight.sum(), points.double()).unique()
    ascending, order = weight.sort(stable=True)
    sums = ascending.cumsum(0)
    span = sums.max() - sums.min()
    sums = (sums - sums.min()) / span if span > 0 else torch.ones_like(sums)
    points = torch.linspace(float(sums[sums > 0].min()), 1, count, dtype=torch.float64, device=weight.device)
    return order[(points[:, None] - sums).abs().argmin(1)].unique()


def torch_face(scores, count: int, x, prefix: int = 1, rule: str = "cdf", present=None):
    """scores: (batch, tokens) of positive numbers, x: (batch, tokens, width) -> index (batch, rows), y.

    present: (batch), the leading tokens of each item that are tokens at all; all without. Where an item keeps fewer
    than another, its index ends in -1 and its y in zeros.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ends = [scores.shape[1]] * len(scores) if present is None else present.tolist()
    leading = torch.arange(prefix, device=scores.device)
    kept = [
        torch.cat([leading, _torch_pick(item[prefix:end], count, rule) + prefix]) for item, end in zip(scores, ends)
    ]
    y = [item[index] for item, index in zip(x, kept)]
    return pad_sequence(kept, batch_first=True, padding_value=-1), pad_sequence(y, batch_first=True)


def ours(graph: Graph, scores: str, count: str, x: str, prefix: int, **attributes) -> tuple[str, str]:
    """The names of index and y."""
    return tuple(
        graph.op("SampleTokens", scores, count, x, outputs=2, domain=DOMAIN, prefix_tokens=prefix, **attributes)
    )


def stock(graph: Graph, scores: str, count: str, x: str, prefix: int) -> tuple[str, str]:
    """The rule `cdf` of one item in float32: a token stays where the number of its point is above the one before."""
    end = graph.integers(np.iinfo(np.int64).max)
    first, one = graph.integers(1), graph.integers(1)
    patches = graph.op("Slice", scores, graph.integers(prefix), end, first)
    share = graph.op(
        "Div", graph.op("CumSum", patches, graph.integers(1)), graph.op("ReduceSum", patches, graph.integers(1))
    )
    points = graph.op("Mul", share, graph.op("Cast", count, to=1))
    number = graph.op("Floor", graph.op("Sub", points, graph.constant(np.float32(0.5))))
    before = graph.op(
        "Concat",
        graph.constant(np.full((1, 1), -1, np.float32)),
        graph.op("Slice", number, graph.integers(0), graph.integers(-1), one),
        axis=1,
    )
    places = graph.op("NonZero", graph.op("Greater", number, before))
    kept = graph.op("Add", graph.op("Gather", places, graph.integers(1), axis=0), graph.integers(prefix))
    index = graph.op("Concat", graph.integers(*range(prefix)), graph.op("Squeeze", kept, graph.integers(0)), axis=0)
    return graph.op("Unsqueeze", index, graph.integers(0)), graph.op("Gather", x, index, axis=1)
