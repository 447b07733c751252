"""Keeps the best patch tokens and merges the next best into the most similar kept ones; contract in
docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph

__all__ = ["RANKS", "attributes", "decisions", "merged_count", "ours", "reference", "stock", "torch_face"]

RANKS = ("importance", "importance_distance")


def merged_count(share: float, gone: int) -> int:
    """How many of the tokens that go merge; the share is the float32 number that the node's attribute can hold."""
    return math.floor(float(np.float32(share)) * gone + 0.5)


def _ranked(values: np.ndarray, prefix: int) -> list[int]:
    """Patch tokens by falling value; of equal ones the lower first, NaN last."""
    return sorted(range(prefix, len(values)), key=lambda t: (bool(np.isnan(values[t])), -np.nan_to_num(values[t]), t))


def _best(cosines: np.ndarray) -> int:
    """The place of the largest, the first of equal ones; 0 if all are NaN."""
    return int(np.argmax(np.where(np.isnan(cosines), -np.inf, cosines)))


def decisions(scores: np.ndarray, x: np.ndarray, prefix: int, rank: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Of one item, scores: (tokens,), x: (tokens, width) -> all cosines, what ranks the tokens, their order."""
    x, values = x.astype(np.float64), scores.astype(np.float64)
    length = np.sqrt((x**2).sum(1, keepdims=True))
    unit = x / np.where(length == 0, 1, length)
    cosine, order = unit @ unit.T, _ranked(values, prefix)
    if rank == "importance":
        return cosine, values, order
    weighed = values.copy()
    for place, token in enumerate(order):
        nearest = -1.0
        if place:
            among = cosine[token, order[:place]]
            nearest = among[_best(among)]
        weighed[token] *= np.maximum(0, 1 - nearest)
    return cosine, weighed, _ranked(weighed, prefix)


def reference(
    scores: np.ndarray,
    count: int,
    x: np.ndarray,
    size: np.ndarray | None = None,
    prefix: int = 1,
    merge_share: float = 0.5,
    rank: str = "importance",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """scores: (batch, tokens), x: (batch, tokens, width) -> index (batch, prefix + count), y, its sizes."""
    sizes = np.ones(scores.shape) if size is None else size.astype(np.float64)
    merged = merged_count(merge_share, scores.shape[1] - prefix - count) if count else 0
    index, y, merged_size = [], [], []
    for b in range(len(scores)):
        cosine, _, order = decisions(scores[b], x[b], prefix, rank)
        kept = sorted(order[:count])
        groups = {token: [token] for token in (*range(prefix), *kept)}
        total = {token: sizes[b, token] for token in groups}
        for token in sorted(order[count : count + merged]):
            target = kept[_best(cosine[token, kept])]
            groups[target].append(token)
            total[target] += sizes[b, token] * max(0.0, np.nan_to_num(cosine[token, target]))
        index.append(list(groups))
        y.append([x[b, members].astype(np.float64).mean(0) for members in groups.values()])
        merged_size.append(list(total.values()))
    shape = len(scores), prefix + count
    return (
        np.array(index, np.int64).reshape(shape),
        np.array(y, np.float64).reshape(*shape, x.shape[2]),
        np.array(merged_size, np.float64).reshape(shape),
    )


def torch_face(scores, count: int, x, size=None, prefix: int = 1, merge_share: float = 0.5, rank: str = "importance"):
    """scores: (batch, tokens), x: (batch, tokens, width), size: (batch, tokens) -> index, y, its sizes."""
    import torch
    from torch.nn import functional as F

    batch, tokens, width = x.shape
    size = torch.ones_like(scores) if size is None else size
    merged = merged_count(merge_share, tokens - prefix - count) if count else 0
    unit = F.normalize(x, dim=-1)

    def ranked(values):
        return values[:, prefix:].argsort(dim=1, descending=True, stable=True) + prefix

    def pick(values, places):
        return values.gather(1, places[:, :, None].expand(-1, -1, width))

    order = ranked(scores)
    if rank == "importance_distance" and prefix + count < tokens:
        by_importance = pick(unit, order)
        cosine = by_importance @ by_importance.transpose(1, 2)
        later = torch.ones_like(cosine[0], dtype=torch.bool).triu()
        distance = (1 - cosine.masked_fill(later, -1).amax(-1)).clamp(0)
        order = ranked(scores.scatter(1, order, scores.gather(1, order) * distance))
    kept, source = order[:, :count].sort(1).values, order[:, count : count + merged]
    index = torch.cat([torch.arange(prefix, device=kept.device).expand(batch, prefix), kept], 1)
    y, size_of_kept = pick(x, index), size.gather(1, index)
    if merged == 0:
        return index, y, size_of_kept
    cosine, partner = (pick(unit, source) @ pick(unit, kept).transpose(1, 2)).max(-1)
    partner = partner + prefix
    y = y.scatter_add(1, partner[:, :, None].expand(-1, -1, width), pick(x, source))
    members = torch.ones_like(size_of_kept).scatter_add(1, partner, torch.ones_like(cosine))
    gained = size.gather(1, source) * cosine.clamp(0)
    return index, y / members[:, :, None], size_of_kept.scatter_add(1, partner, gained)


def ours(
    graph: Graph, scores: str, count: str, x: str, size: str, prefix: int, merge_share: float, rank: str
) -> tuple[str, str, str]:
    """The names of index, y and its sizes."""
    form = attributes(prefix, merge_share, rank)
    return tuple(graph.op("PruneMergeTokens", scores, count, x, size, outputs=3, domain=DOMAIN, **form))


def attributes(prefix: int, merge_share: float, rank: str) -> dict[str, int | float | str]:
    return {"prefix_tokens": prefix, "merge_share": float(merge_share), "rank": rank}


def stock(
    graph: Graph, scores: str, count: str, x: str, size: str, prefix: int, merge_share: float, rank: str
) -> tuple[str, str, str]:
    """The names of index, y and its sizes, for one item, one kept patch at least and no token of length 0.

    count: shape [1].
    """
    zero, one, first = graph.integers(0), graph.integers(1), graph.integers(prefix)
    end = graph.integers(np.iinfo(np.int64).max)
    x, size = graph.op("Squeeze", x, zero), graph.op("Squeeze", size, zero)
    patches = graph.op("Squeeze", graph.op("Slice", scores, first, end, one), zero)
    if rank == "importance_distance":
        patches = _weighed(graph, patches, graph.op("Slice", x, first, end, zero))
    gone = graph.op("Sub", graph.op("Shape", patches), count)
    share = graph.op("Mul", graph.op("Cast", gone, to=11), graph.constant(np.float64(np.float32(merge_share))))
    merged = graph.op("Cast", graph.op("Floor", graph.op("Add", share, graph.constant(np.array(0.5)))), to=7)
    _, order = graph.op("TopK", patches, graph.op("Add", count, merged), outputs=2, axis=-1)
    order = graph.op("Add", order, first)
    kept, _ = graph.op("TopK", graph.op("Slice", order, zero, count, zero), count, outputs=2, axis=-1, largest=0)
    # One more source that weighs nothing: ONNX Runtime's TopK dies of a division by zero where there is none.
    source = graph.op("Concat", graph.op("Slice", order, count, end, zero), zero, axis=0)
    weight = graph.op("Expand", graph.constant(np.float32(1)), merged)
    weight = graph.op("Concat", weight, graph.constant(np.zeros(1, np.float32)), axis=0)
    index = graph.op("Concat", graph.integers(*range(prefix)), kept, axis=0)

    moved, targets = graph.op("Gather", x, source), graph.op("Gather", x, kept)
    cosine = graph.op("MatMul", _unit(graph, moved), graph.op("Transpose", _unit(graph, targets), perm=[1, 0]))
    best, partner = graph.op("TopK", cosine, one, outputs=2, axis=-1)
    best = graph.op("Mul", graph.op("Relu", graph.op("Squeeze", best, one)), weight)
    moved = graph.op("Mul", moved, graph.op("Unsqueeze", weight, one))

    def add(values: str, updates: str) -> str:
        return graph.op("ScatterND", values, graph.op("Add", partner, first), updates, reduction="add")

    sums = add(graph.op("Gather", x, index), moved)
    members = add(graph.op("Expand", graph.constant(np.float32(1)), graph.op("Shape", index)), weight)
    size = add(graph.op("Gather", size, index), graph.op("Mul", graph.op("Gather", size, source), best))
    y = graph.op("Div", sums, graph.op("Unsqueeze", members, one))
    return tuple(graph.op("Unsqueeze", value, zero) for value in (index, y, size))


def _unit(graph: Graph, x: str) -> str:
    """x: (rows, width), each row divided by its length."""
    return graph.op("Div", x, graph.op("ReduceL2", x, graph.integers(1), keepdims=1))


def _weighed(graph: Graph, scores: str, x: str) -> str:
    """scores: (patches,), x: (patches, width) -> each score times the distance to the nearest with a larger one."""
    falling, order = graph.op("TopK", scores, graph.op("Shape", scores), outputs=2, axis=-1)
    unit = _unit(graph, graph.op("Gather", x, order))
    cosine = graph.op("MatMul", unit, graph.op("Transpose", unit, perm=[1, 0]))
    # Cosines lie above the zeros that Trilu leaves once 2 is added; the first token has none and counts as if at -1.
    raised = graph.op("Add", cosine, graph.constant(np.float32(2)))
    raised = graph.op("Trilu", raised, graph.constant(np.array(-1)), upper=0)
    nearest = graph.op("ReduceMax", raised, graph.integers(1), keepdims=0)
    nearest = graph.op("Max", nearest, graph.constant(np.float32(1)))
    distance = graph.op("Relu", graph.op("Sub", graph.constant(np.float32(3)), nearest))
    return graph.op("ScatterElements", scores, order, graph.op("Mul", falling, distance), axis=0)
