"""Keeps the best patch tokens; contract in docs/reference/operators.md."""

from __future__ import annotations

import numpy as np

from ..graph import DOMAIN, Graph

__all__ = ["attributes", "ours", "reference", "stock", "torch_face"]


def reference(
    scores: np.ndarray,
    count: int,
    x: np.ndarray | None = None,
    size: np.ndarray | None = None,
    prefix: int = 1,
    fuse_pruned: bool = False,
    normalize_fused: bool = True,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """scores: (batch, tokens) -> index (batch, prefix + count), y and size of the kept tokens (and the fused one)."""
    tokens = scores.shape[1]
    index, rows, sizes = [], [], []
    for b, row in enumerate(scores):
        rank = sorted(
            range(prefix, tokens), key=lambda j: (bool(np.isnan(row[j])), -row[j] if not np.isnan(row[j]) else 0, j)
        )
        kept = [*range(prefix), *sorted(rank[:count])]
        pruned = rank[count:]
        index.append(kept)
        weights = row[pruned].astype(np.float64)
        if x is not None:
            kept_rows = x[b, kept].astype(np.float64)
            if fuse_pruned and pruned:
                total = weights.sum()
                if normalize_fused:
                    weights = weights / total if total else np.full(len(pruned), 1 / len(pruned))
                kept_rows = np.vstack([kept_rows, weights @ x[b, pruned].astype(np.float64)])
            rows.append(kept_rows)
        if size is not None:
            fused = [size[b, pruned].astype(np.float64).sum()] if fuse_pruned and pruned else []
            sizes.append(np.concatenate([size[b, kept].astype(np.float64), fused]))
    return np.array(index, np.int64), np.array(rows) if rows else None, np.array(sizes) if sizes else None


def torch_face(scores, count: int, x, prefix: int = 1, fuse: str = "none"):
    """scores: (batch, tokens), x: (batch, tokens, width) -> index (batch, prefix + count), y: those rows of x.

    fuse: none, or the score-weighted mean or sum of the pruned rows comes last.
    """
    import torch

    batch, tokens, width = x.shape
    order = torch.argsort(scores[:, prefix:], dim=1, descending=True, stable=True)
    kept = order[:, :count].sort(1).values + prefix
    index = torch.cat([torch.arange(prefix, device=x.device).expand(batch, prefix), kept], 1)
    y = x.gather(1, index[:, :, None].expand(-1, -1, width))
    if fuse != "none" and count < tokens - prefix:
        pruned = order[:, count:] + prefix
        weights = scores.gather(1, pruned)
        fused = (weights[:, :, None] * x.gather(1, pruned[:, :, None].expand(-1, -1, width))).sum(1, keepdim=True)
        y = torch.cat([y, fused / weights.sum(1)[:, None, None] if fuse == "mean" else fused], 1)
    return index, y


def ours(
    graph: Graph, scores: str, count: str, x: str, prefix: int, fuse: str = "none", size: str = ""
) -> tuple[str, str, str]:
    """The names of index, y and the kept sizes (empty without sizes)."""
    outputs = 3 if size else 2
    names = graph.op("TopKTokens", scores, count, x, size, outputs=outputs, domain=DOMAIN, **attributes(prefix, fuse))
    return (*names, "")[:3]


def attributes(prefix: int, fuse: str) -> dict[str, int]:
    form = {"prefix_tokens": prefix, "fuse_pruned": int(fuse != "none")}
    return form | {"normalize_fused": 0} if fuse == "sum" else form


def stock(
    graph: Graph, scores: str, count: str, x: str, prefix: int, fuse: str = "none", size: str = ""
) -> tuple[str, str, str]:
    """TopK, the index back in raster order, one Gather; a fused row by a product with the scores of the others.

    The names of index, y and the kept sizes (empty without sizes), of one item with scores above 0. count: shape [1].
    """
    end = np.iinfo(np.int64).max
    zero, one = graph.integers(0), graph.integers(1)
    patches = graph.op("Slice", scores, graph.integers(prefix), graph.integers(end), one)
    _, best = graph.op("TopK", patches, count, outputs=2, axis=-1, sorted=0)
    index = graph.op(
        "Concat",
        graph.integers(*range(prefix)),
        graph.op("Reshape", graph.op("Add", best, graph.integers(prefix)), graph.integers(-1)),
        axis=0,
    )
    ascending = graph.op("Add", count, graph.integers(prefix))
    index, _ = graph.op("TopK", index, ascending, outputs=2, axis=-1, largest=0, sorted=1)
    named, y = graph.op("Unsqueeze", index, zero), graph.op("Gather", x, index, axis=1)
    kept_size = graph.op("Gather", size, index, axis=1) if size else ""
    if fuse == "none":
        return named, y, kept_size
    rows = graph.op("Shape", x, start=1, end=2)
    ones = graph.op("Expand", graph.constant(np.float32(1)), rows)
    none = graph.op("Expand", graph.constant(np.float32(0)), ascending)
    pruned = graph.op("ScatterElements", ones, index, none, axis=0)  # 1 for each token that goes
    weights = graph.op("Mul", scores, pruned)
    if fuse == "mean":
        weights = graph.op("Div", weights, graph.op("ReduceSum", weights, one, keepdims=1))
    some = graph.op("Min", graph.op("Sub", rows, ascending), one)  # no fused row where nothing is pruned

    def with_fused(kept: str, fused: str) -> str:
        return graph.op("Concat", kept, graph.op("Slice", fused, zero, some, one), axis=1)

    y = with_fused(y, graph.op("MatMul", graph.op("Unsqueeze", weights, one), x))
    if size:
        kept_size = with_fused(kept_size, graph.op("ReduceSum", graph.op("Mul", size, pruned), one, keepdims=1))
    return named, y, kept_size
