"""Softmax attention that also gives the class token's attention; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph
from ._heads import merge_heads, split_heads

__all__ = ["ours", "outputs", "reference", "softmax", "stock", "stock_packed", "torch_face"]


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def reference(
    qkv: np.ndarray,
    heads: int,
    query_index: np.ndarray | None = None,
    size: np.ndarray | None = None,
    scale: float = 0,
    score: str = "cls",
) -> tuple[np.ndarray, np.ndarray]:
    """qkv: (batch, tokens, 3 * width) -> y (batch, rows, width) and scores (batch, tokens), in float64."""
    q, k, v = split_heads(qkv.astype(np.float64), heads)
    logits = q @ k.swapaxes(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    if size is not None:
        logits = logits + np.log(size.astype(np.float64))[:, None, None, :]
    weights = softmax(logits)
    return outputs(merge_heads(weights @ v), weights, v, query_index, score)


def outputs(
    y: np.ndarray, weights: np.ndarray, v: np.ndarray, query_index: np.ndarray | None, score: str
) -> tuple[np.ndarray, np.ndarray]:
    """weights: (batch, heads, tokens, tokens) -> the rows of y (batch, tokens, width) asked for, and scores."""
    if query_index is not None:
        y = np.take_along_axis(y, query_index[:, :, None], 1)
    if score == "received":
        rows = weights if query_index is None else np.take_along_axis(weights, query_index[:, None, :, None], 2)
        return y, rows.mean((1, 2))
    scores = weights[:, :, 0].mean(1)
    return y, scores * np.linalg.norm(merge_heads(v), axis=-1) if score == "cls_value_norm" else scores


def torch_face(qkv, heads: int, score: str = "cls", size=None, query_index=None):
    """qkv: (batch, tokens, 3 * width) -> y (batch, rows, width), scores (batch, tokens).

    size: (batch, tokens); query_index: (batch, rows), all rows without.
    """
    import torch
    from torch.nn import functional as F

    q, k, v = split_heads(qkv, heads)
    asked = q if score == "received" else q[:, :, :1]
    if query_index is not None:
        q = q.gather(2, query_index[:, None, :, None].expand(-1, heads, -1, q.shape[-1]))
    bias = None if size is None else size.log()[:, None, None, :]
    logits = asked @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    scores = torch.softmax(logits if bias is None else logits + bias, -1).mean((1, 2))
    if score == "cls_value_norm":
        scores = scores * merge_heads(v).norm(dim=-1)
    return merge_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=bias)), scores


def ours(
    graph: Graph, qkv: str, heads: int, scores: bool, query_index: str = "", score: str = "cls", size: str = ""
) -> tuple[str, str]:
    """The names of y and of scores (empty without)."""
    if not scores:
        return graph.op("TokenAttention", qkv, query_index, size, domain=DOMAIN, num_heads=heads), ""
    attributes = {"num_heads": heads, "score": score}
    return tuple(graph.op("TokenAttention", qkv, query_index, size, outputs=2, domain=DOMAIN, **attributes))


def stock(
    graph: Graph,
    qkv: str,
    heads: int,
    width: int,
    scores: bool,
    rows: int | None = None,
    score: str = "cls",
    size: str = "",
    query_index: str = "",
) -> tuple[str, str]:
    """com.microsoft.MultiHeadAttention of the first `rows` queries, and the weights again where scores are asked for.

    score: `cls` or `received`. query_index: the queries, shape [rows], in place of the first ones.
    """
    q, k, v = graph.op("Split", qkv, graph.integers(width, width, width), outputs=3, axis=-1)
    queries = graph.op("Slice", q, graph.integers(0), graph.integers(rows), graph.integers(1)) if rows else q
    if query_index:
        queries = graph.op("Gather", q, query_index, axis=1)
    bias = every_bias = ""
    if size:
        bias = graph.op("Unsqueeze", graph.op("Log", size), graph.integers(1, 2))  # (1, 1, 1, tokens)
        asked = graph.op("Shape", queries, start=1, end=2)
        shape = graph.op("Concat", graph.integers(1, 1), asked, graph.integers(1), axis=0)
        every_bias = graph.op("Expand", bias, shape)
    y = graph.op("MultiHeadAttention", queries, k, v, "", "", every_bias, domain="com.microsoft", num_heads=heads)
    if not scores:
        return y, ""
    dim = width // heads
    keys = graph.op("Transpose", graph.op("Reshape", k, graph.integers(1, -1, heads, dim)), perm=[0, 2, 3, 1])
    asked = q if score == "received" else graph.op("Slice", q, graph.integers(0), graph.integers(1), graph.integers(1))
    asked = graph.op("Transpose", graph.op("Reshape", asked, graph.integers(1, -1, heads, dim)), perm=[0, 2, 1, 3])
    logits = graph.op("Mul", graph.op("MatMul", asked, keys), graph.constant(np.float32(1 / math.sqrt(dim))))
    weights = graph.op("Softmax", graph.op("Add", logits, bias) if bias else logits, axis=-1)
    return y, graph.op("ReduceMean", weights, graph.integers(1, 2), keepdims=0)


def stock_packed(graph: Graph, x: str, weight: str, bias: str, heads: int) -> str:
    """com.microsoft.Attention, projection included: ONNX Runtime's fastest softmax attention at 197 tokens."""
    return graph.op("Attention", x, weight, bias, domain="com.microsoft", num_heads=heads)
