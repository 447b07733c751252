"""Kernel attention without softmax; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..config import Attention
from ..graph import DOMAIN, Graph
from ._heads import merge_heads, split_heads, stock_heads, stock_merge

__all__ = ["ours", "reference", "stock", "torch_face"]


def reference(
    qkv: np.ndarray,
    heads: int,
    attention: Attention,
    length: int | None = None,
    query_index: np.ndarray | None = None,
    positions: np.ndarray | None = None,
    size: np.ndarray | None = None,
    eps_mode: str = "clamp",
) -> np.ndarray:
    """qkv: (batch, tokens, 3 * width) -> (batch, rows, width), in float64 and in the quadratic order."""
    q, k, v = split_heads(qkv.astype(np.float64), heads)
    batch, tokens = qkv.shape[:2]
    phi = (
        (lambda x: np.maximum(x, 0))
        if attention.feature_map == "relu"
        else (lambda x: np.where(x >= 0, x + 1, np.exp(np.minimum(x, 0))))
    )
    weights = phi(q) @ phi(k).swapaxes(-1, -2)
    if attention.reweight == "cos1d":
        p = np.broadcast_to(np.arange(tokens), (batch, tokens)) if positions is None else positions
        difference = p[:, :, None] - p[:, None, :]
        weights = weights * np.cos(math.pi * difference / (2 * (length or tokens)))[:, None]
    if size is not None:
        weights = weights * size.astype(np.float64)[:, None, None, :]
    total = weights.sum(-1, keepdims=True)
    if attention.normalize == "row_sum":
        weights = weights / (total + attention.eps if eps_mode == "add" else np.maximum(total, attention.eps))
    elif attention.normalize == "sqrt_d":
        weights = weights / math.sqrt(q.shape[-1])
    y = merge_heads(weights @ v)
    return y if query_index is None else np.take_along_axis(y, query_index[:, :, None], 1)


def torch_face(qkv, heads: int, attention: Attention, length: int, positions=None):
    """qkv: (batch, tokens, 3 * width) -> (batch, tokens, width); positions: (batch, tokens) if tokens were pruned."""
    import torch
    from torch.nn import functional as F

    q, k, v = split_heads(qkv, heads)
    phi = F.relu if attention.feature_map == "relu" else (lambda x: F.elu(x) + 1)
    weights = phi(q) @ phi(k).transpose(-1, -2)
    if attention.reweight == "cos1d":
        p = torch.arange(qkv.shape[1], device=qkv.device)[None] if positions is None else positions
        angle = (p[:, :, None] - p[:, None, :]).to(qkv.dtype) * (math.pi / (2 * length))
        weights = weights * torch.cos(angle)[:, None]
    if attention.normalize == "row_sum":
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(attention.eps)
    elif attention.normalize == "sqrt_d":
        weights = weights / math.sqrt(q.shape[-1])
    return merge_heads(weights @ v)


def ours(
    graph: Graph, qkv: str, heads: int, attention: Attention, length: int, positions: str = "", query_index: str = ""
) -> str:
    attributes = {
        "feature_map": attention.feature_map,
        "reweight": attention.reweight,
        "normalize": attention.normalize,
    }
    return graph.op(
        "LinearAttention",
        qkv,
        query_index,
        positions,
        domain=DOMAIN,
        num_heads=heads,
        length=length,
        eps=attention.eps,
        **attributes,
    )


def stock(
    graph: Graph, qkv: str, heads: int, width: int, attention: Attention, length: int, positions: str = ""
) -> str:
    """The linear order in standard operators. MatMul, as Einsum runs 1.6-2.1 times slower in ONNX Runtime."""
    q, k, v = stock_heads(graph, qkv, heads, width)
    phi = (
        (lambda x: graph.op("Relu", x))
        if attention.feature_map == "relu"
        else (lambda x: graph.op("Add", graph.op("Elu", x), graph.constant(np.float32(1))))
    )
    q, k = phi(q), phi(k)
    if attention.reweight == "cos1d":
        angle = np.arange(length) * math.pi / (2 * length)
        waves = [graph.constant(f(angle).astype(np.float32)) for f in (np.cos, np.sin)]
        if positions:
            waves = [graph.op("Gather", wave, positions, axis=0) for wave in waves]
        waves = [graph.op("Reshape", wave, graph.integers(1, 1, -1, 1)) for wave in waves]
        q, k = (graph.op("Concat", *(graph.op("Mul", x, wave) for wave in waves), axis=-1) for x in (q, k))
    summary = graph.op("MatMul", graph.op("Transpose", k, perm=[0, 1, 3, 2]), v)
    y = graph.op("MatMul", q, summary)
    if attention.normalize == "row_sum":
        key_sum = graph.op("Transpose", graph.op("ReduceSum", k, graph.integers(2), keepdims=1), perm=[0, 1, 3, 2])
        y = graph.op(
            "Div", y, graph.op("Max", graph.op("MatMul", q, key_sum), graph.constant(np.float32(attention.eps)))
        )
    elif attention.normalize == "sqrt_d":
        y = graph.op("Mul", y, graph.constant(np.float32(1 / math.sqrt(width // heads))))
    return stock_merge(graph, y, width)
