"""Class-token scores without the attention itself; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph
from ._heads import split_heads
from .token_attention import softmax

__all__ = ["ours", "reference"]


def reference(
    qkv: np.ndarray,
    heads: int,
    size: np.ndarray | None = None,
    source: str = "cls_row",
    value_norm: bool = False,
    renormalise: str = "none",
    prefix: int = 1,
) -> np.ndarray:
    """qkv: (batch, tokens, 3 * width) -> scores (batch, tokens), in float64."""
    q, k, v = split_heads(qkv.astype(np.float64), heads)
    fixed, other = (q, k) if source == "cls_row" else (k, q)
    logits = (other @ fixed[:, :, 0, :, None])[..., 0] / math.sqrt(q.shape[-1])
    if size is not None:
        logits = logits + np.log(size.astype(np.float64))[:, None]
    rows = softmax(logits)
    if renormalise == "per_head":
        rows = rows / rows[:, :, prefix:].sum(-1, keepdims=True)
    scores = rows.mean(1)
    if value_norm:
        scores = scores * np.sqrt((v**2).sum((1, 3)))
    if renormalise == "total":
        scores = scores / scores[:, prefix:].sum(-1, keepdims=True)
    return scores


def ours(graph: Graph, qkv: str, heads: int, **attributes) -> str:
    return graph.op("TokenScores", qkv, domain=DOMAIN, num_heads=heads, **attributes)
