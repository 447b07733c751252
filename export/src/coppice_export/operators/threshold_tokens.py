"""Keeps the tokens above a threshold; contract in docs/reference/operators.md."""

from __future__ import annotations

import numpy as np

from ..graph import DOMAIN, Graph
from . import top_k_tokens
from ._ragged import padded

__all__ = ["ours", "reference", "stock", "torch_face"]


def reference(
    scores: np.ndarray,
    threshold: float,
    x: np.ndarray | None = None,
    prefix: int = 1,
    min_tokens: int = 0,
    pad: bool = False,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """scores: (batch, tokens) -> index (batch, rows), y of the kept tokens, and their number (batch,)."""
    tokens = scores.shape[1]
    kept = []
    for row in scores:
        passing = [i for i in range(prefix, tokens) if row[i] > np.float32(threshold)]
        least = min(min_tokens, tokens - prefix)
        best = top_k_tokens.reference(row[None], least, prefix=prefix)[0][0].tolist()
        kept.append([*range(prefix), *passing] if len(passing) >= least else best)
    return padded(kept, x, tokens if pad else None)


def torch_face(scores, threshold: float, x, prefix: int = 1, min_tokens: int = 0):
    """scores: (1, tokens), x: (1, tokens, width) -> index (1, rows), y (1, rows, width)."""
    import torch

    rank = torch.argsort(torch.argsort(scores[0, prefix:], descending=True, stable=True))
    keep = (scores[0, prefix:] > threshold) | (rank < min_tokens)
    index = torch.cat([torch.ones(prefix, dtype=torch.bool), keep]).nonzero()[:, 0]
    return index[None], x[:, index]


def ours(graph: Graph, scores: str, threshold: str, x: str, prefix: int, **attributes) -> tuple[str, str]:
    """The names of index and y."""
    return tuple(
        graph.op("ThresholdTokens", scores, threshold, x, outputs=2, domain=DOMAIN, prefix_tokens=prefix, **attributes)
    )


def stock(graph: Graph, scores: str, threshold: str, x: str, prefix: int) -> tuple[str, str]:
    """Greater, NonZero and Gather, for one item and without a least number."""
    end = graph.integers(np.iinfo(np.int64).max)
    patches = graph.op("Slice", scores, graph.integers(prefix), end, graph.integers(1))
    places = graph.op("NonZero", graph.op("Greater", patches, threshold))
    kept = graph.op("Add", graph.op("Gather", places, graph.integers(1), axis=0), graph.integers(prefix))
    index = graph.op("Concat", graph.integers(*range(prefix)), graph.op("Squeeze", kept, graph.integers(0)), axis=0)
    return graph.op("Unsqueeze", index, graph.integers(0)), graph.op("Gather", x, index, axis=1)
