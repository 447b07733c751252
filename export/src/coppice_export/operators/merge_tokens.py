"""Merges similar tokens; contract in docs/reference/operators.md."""

from __future__ import annotations

import numpy as np

from ..graph import DOMAIN, Graph

__all__ = ["ours", "reference", "similarities", "stock", "torch_face"]


def _keys(metric: np.ndarray, heads: int) -> np.ndarray:
    """The metric in float64; with heads it is the packed projection, whose keys are averaged over them."""
    metric = metric.astype(np.float64)
    if heads == 0:
        return metric
    batch, tokens, width3 = metric.shape
    return metric.reshape(batch, tokens, 3, heads, width3 // (3 * heads))[:, :, 1].mean(2)


def similarities(metric: np.ndarray, prefix: int = 1, heads: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """metric: (batch, tokens, dim) -> cosines (batch, sources, targets), the source tokens and the target tokens."""
    keys = _keys(metric, heads)
    length = np.sqrt((keys**2).sum(-1, keepdims=True))
    unit = keys / np.where(length == 0, 1, length)
    tokens = np.arange(prefix, metric.shape[1])
    sources, targets = tokens[tokens % 2 == 0], tokens[tokens % 2 == 1]
    return unit[:, sources] @ unit[:, targets].swapaxes(1, 2), sources, targets


def _merge_one(
    cosine, sources, targets, tokens: int, count: int | None, threshold: float | None, prefix: int, order: str
):
    """The rows of the result as lists of tokens, the one that stays first."""
    best = [max(((v, -j) for j, v in enumerate(row) if not np.isnan(v)), default=(np.nan, 0)) for row in cosine]
    rank = sorted(
        range(len(sources)), key=lambda s: (bool(np.isnan(best[s][0])), 0 if np.isnan(best[s][0]) else -best[s][0], s)
    )
    most = min((tokens - prefix) // 2, tokens if count is None else count)
    if threshold is not None:
        rank = [s for s in rank if best[s][0] > np.float32(threshold)]
    merged = sorted(rank[:most])
    into = {int(sources[s]): int(targets[-best[s][1]]) for s in merged}
    stay = [t for t in range(tokens) if t not in into]
    if order == "tome" and into:
        stay.sort(key=lambda t: (t >= prefix and t % 2 == 1, t) if t >= prefix else (False, t))
    return [[t, *(s for s in into if into[s] == t)] for t in stay]


def reference(
    x: np.ndarray,
    metric: np.ndarray,
    count: int | None = None,
    size: np.ndarray | None = None,
    threshold: float | None = None,
    prefix: int = 1,
    order: str = "tome",
    heads: int = 0,
    pad: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x: (batch, tokens, width), metric: (batch, tokens, dim) -> y, its sizes, each token's row, rows (batch,)."""
    batch, tokens, width = x.shape
    cosine, sources, targets = similarities(metric, prefix, heads)
    items = [_merge_one(cosine[b], sources, targets, tokens, count, threshold, prefix, order) for b in range(batch)]
    rows = tokens if pad and threshold is not None else len(items[0])
    sizes = np.ones((batch, tokens)) if size is None else size.astype(np.float64)
    y, merged_size, group = np.zeros((batch, rows, width)), np.zeros((batch, rows)), np.zeros((batch, tokens), np.int64)
    for b, item in enumerate(items):
        for row, members in enumerate(item):
            weights = sizes[b, members]
            total = weights.sum()
            mean = weights / total if total else np.full(len(members), 1 / len(members))
            y[b, row] = mean @ x[b, members].astype(np.float64)
            merged_size[b, row] = total
            group[b, members] = row
    return y, merged_size, group, np.array([len(item) for item in items], np.int64)


def torch_face(x, metric, count: int, size, prefix: int = 1, threshold: float | None = None):
    """In the order `tome`; one item where a threshold decides.

    x: (batch, tokens, width), metric: (batch, tokens, dim), size: (batch, tokens) -> y, its sizes, each token's row,
    and the token at whose place each row stands.
    """
    import torch
    from torch.nn import functional as F

    batch, tokens, width = x.shape
    numbers = torch.arange(tokens, device=x.device)
    free = numbers[prefix:]
    sources, targets = free[free % 2 == 0], free[free % 2 == 1]
    unit = F.normalize(metric, dim=-1)
    best, partner = (unit[:, sources] @ unit[:, targets].transpose(1, 2)).max(-1)
    count = min(count, (tokens - prefix) // 2)
    if threshold is not None:
        count = min(count, int((best > threshold).sum()))
    if count == 0:
        every = numbers.expand(batch, -1)
        return x, size, every, every
    rank = best.argsort(dim=1, descending=True, stable=True)
    merged, rest = rank[:, :count], rank[:, count:].sort(1).values
    every = [part.expand(batch, -1) for part in (numbers[:prefix], targets)]
    stays = torch.cat([every[0], sources[rest], every[1]], 1)
    rows = torch.arange(tokens - count, device=x.device).expand(batch, -1)
    group = torch.zeros(batch, tokens, dtype=torch.int64, device=x.device).scatter(1, stays, rows)
    into = group.gather(1, targets[partner.gather(1, merged)])
    group = group.scatter(1, sources[merged], into)
    total = size.new_zeros(rows.shape).scatter_add(1, group, size)
    sums = x.new_zeros(*rows.shape, width).scatter_add(1, group[:, :, None].expand(-1, -1, width), x * size[:, :, None])
    return sums / total[:, :, None], total, group, stays


def ours(
    graph: Graph, x: str, metric: str, count: str, size: str, prefix: int, threshold: str = "", **attributes
) -> tuple[str, str, str]:
    """The names of y, its sizes and the group of each token."""
    rule = {"rule": "threshold"} if threshold else {}
    return tuple(
        graph.op(
            "MergeTokens",
            x,
            metric,
            count,
            size,
            threshold,
            outputs=3,
            domain=DOMAIN,
            prefix_tokens=prefix,
            **rule,
            **attributes,
        )
    )


def stock(graph: Graph, x: str, metric: str, count: str, size: str, width: int, prefix: int) -> tuple[str, str, str]:
    """The rule `bipartite` in the order `tome`, for one item and at most one prefix token. count: shape [1].

    The names of y (1, rows, width), its sizes (1, rows) and the token at whose place each row stands (1, rows).
    """
    end = graph.integers(np.iinfo(np.int64).max)
    zero, one, two = graph.integers(0), graph.integers(1), graph.integers(2)

    def every_second(value: str, begin: int) -> str:
        return graph.op("Slice", value, graph.integers(begin), end, one, two)

    first_source, first_target = prefix + prefix % 2, prefix + 1 - prefix % 2
    unit = graph.op("Div", metric, graph.op("ReduceL2", metric, two, keepdims=1))
    targets = graph.op("Transpose", every_second(unit, first_target), perm=[0, 2, 1])
    cosine = graph.op("MatMul", every_second(unit, first_source), targets)
    best, partner = graph.op("TopK", cosine, one, outputs=2, axis=-1)
    best, partner = (graph.op("Squeeze", value, graph.integers(0, 2)) for value in (best, partner))
    _, rank = graph.op("TopK", best, graph.op("Shape", best), outputs=2, axis=-1)
    merged = graph.op("Slice", rank, zero, count, zero)
    rest = graph.op("Slice", rank, count, end, zero)
    rest, _ = graph.op("TopK", rest, graph.op("Shape", rest), outputs=2, axis=-1, largest=0)
    into = graph.op("Gather", partner, merged, axis=0)

    column = graph.op("Unsqueeze", size, two)
    weighted = graph.op("Concat", graph.op("Mul", x, column), column, axis=2)
    sources, kept = every_second(weighted, first_source), every_second(weighted, first_target)
    moved = graph.op("Squeeze", graph.op("Gather", sources, merged, axis=1), zero)
    place = graph.op("Unsqueeze", into, one)
    kept = graph.op("ScatterND", graph.op("Squeeze", kept, zero), place, moved, reduction="add")
    parts = [graph.op("Gather", sources, rest, axis=1), graph.op("Unsqueeze", kept, zero)]
    begin, step = graph.constant(np.array(0)), graph.constant(np.array(1))
    numbers = graph.op("Range", begin, graph.op("Size", size), step)
    numbers = graph.op("Unsqueeze", numbers, zero)
    stays = [graph.op("Gather", every_second(numbers, first_source), rest, axis=1), every_second(numbers, first_target)]
    if prefix:
        parts.insert(0, graph.op("Slice", weighted, zero, graph.integers(prefix), one))
        stays.insert(0, graph.op("Slice", numbers, zero, graph.integers(prefix), one))
    sums, sizes = graph.op("Split", graph.op("Concat", *parts, axis=1), graph.integers(width, 1), outputs=2, axis=2)
    return graph.op("Div", sums, sizes), graph.op("Squeeze", sizes, two), graph.op("Concat", *stays, axis=1)
