"""Keeps the best patch tokens; contract in docs/reference/operators.md."""

from __future__ import annotations

import numpy as np

from ..graph import DOMAIN, Graph

__all__ = ["ours", "reference", "stock", "torch_face"]


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
    attributes = {"prefix_tokens": prefix, "fuse_pruned": int(fuse != "none")}
    if fuse == "sum":
        attributes["normalize_fused"] = 0
    outputs = 3 if size else 2
    names = graph.op("TopKTokens", scores, count, x, size, outputs=outputs, domain=DOMAIN, **attributes)
    return (*names, "")[:3]


def stock(graph: Graph, scores: str, count: str, x: str, prefix: int) -> tuple[str, str]:
    """TopK, the index back in raster order, one Gather. count: shape [1]."""
    end = np.iinfo(np.int64).max
    patches = graph.op("Slice", scores, graph.integers(prefix), graph.integers(end), graph.integers(1))
    _, best = graph.op("TopK", patches, count, outputs=2, axis=-1, sorted=0)
    index = graph.op(
        "Concat",
        graph.integers(*range(prefix)),
        graph.op("Reshape", graph.op("Add", best, graph.integers(prefix)), graph.integers(-1)),
        axis=0,
    )
    ascending = graph.op("Add", count, graph.integers(prefix))
    index, _ = graph.op("TopK", index, ascending, outputs=2, axis=-1, largest=0, sorted=1)
    return graph.op("Unsqueeze", index, graph.integers(0)), graph.op("Gather", x, index, axis=1)
