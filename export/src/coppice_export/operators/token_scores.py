"""Class-token scores without the attention itself; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph
from ._heads import split_heads, stock_heads
from .token_attention import softmax

__all__ = ["ours", "reference", "stock", "torch_face"]


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


def torch_face(qkv, heads: int, size=None, value_norm: bool = False, renormalise: str = "none", prefix: int = 1):
    """qkv: (batch, tokens, 3 * width) -> scores (batch, tokens), of the class token's row."""
    import torch

    q, k, v = split_heads(qkv, heads)
    logits = (k @ q[:, :, 0, :, None])[..., 0] / math.sqrt(q.shape[-1])
    rows = torch.softmax(logits if size is None else logits + size.log()[:, None], -1)
    if renormalise == "per_head":
        rows = rows / rows[:, :, prefix:].sum(-1, keepdim=True)
    scores = rows.mean(1)
    if value_norm:
        scores = scores * v.square().sum((1, 3)).sqrt()
    return scores / scores[:, prefix:].sum(-1, keepdim=True) if renormalise == "total" else scores


def ours(graph: Graph, qkv: str, heads: int, size: str = "", **attributes) -> str:
    return graph.op("TokenScores", qkv, size, domain=DOMAIN, num_heads=heads, **attributes)


def stock(
    graph: Graph,
    qkv: str,
    heads: int,
    width: int,
    prefix: int,
    size: str = "",
    value_norm: bool = False,
    per_head: bool = False,
) -> str:
    """The class token's row for one item; per_head: each head divided by its sum over patch tokens."""
    q, k, v = stock_heads(graph, qkv, heads, width)
    zero, one, rows_axis = graph.integers(0), graph.integers(1), graph.integers(2)
    q = graph.op("Slice", q, zero, one, rows_axis)
    logits = graph.op("MatMul", q, graph.op("Transpose", k, perm=[0, 1, 3, 2]))
    logits = graph.op("Mul", logits, graph.constant(np.float32(1 / math.sqrt(width // heads))))
    if size:
        logits = graph.op("Add", logits, graph.op("Unsqueeze", graph.op("Log", size), graph.integers(1, 2)))
    rows = graph.op("Softmax", logits, axis=-1)
    if per_head:
        end = graph.integers(np.iinfo(np.int64).max)
        patches = graph.op("Slice", rows, graph.integers(prefix), end, graph.integers(3))
        rows = graph.op("Div", rows, graph.op("ReduceSum", patches, graph.integers(3), keepdims=1))
    scores = graph.op("ReduceMean", rows, graph.integers(1, 2), keepdims=0)
    return graph.op("Mul", scores, graph.op("ReduceL2", v, graph.integers(1, 3), keepdims=0)) if value_norm else scores
