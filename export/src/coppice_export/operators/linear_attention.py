"""Kernel attention without softmax; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..config import Attention
from ..graph import DOMAIN, Graph
from ._heads import merge_heads, split_heads, stock_heads, stock_merge

__all__ = ["attributes", "ours", "reference", "stock", "torch_face"]


def _features(x: np.ndarray, feature_map: str) -> np.ndarray:
    """x: (batch, heads, tokens, dim) -> the same shape, not negative."""
    if feature_map == "elu1":
        return np.where(x >= 0, x + 1, np.exp(np.minimum(x, 0)))
    positive = np.maximum(x, 0)
    if feature_map == "relu":
        return positive
    # FLatten sharpens a token's features over all heads and gives them their old norm back.
    norm = np.sqrt((positive**2).sum((1, 3), keepdims=True))
    cubed_norm = np.sqrt((positive**6).sum((1, 3), keepdims=True))
    return positive**3 * np.divide(norm, cubed_norm, out=np.zeros_like(norm), where=cubed_norm > 0)


def _reweight(positions: np.ndarray, attention: Attention, length: int) -> np.ndarray:
    """positions: (batch, tokens) -> the factor of each pair, (batch, tokens, tokens)."""

    def cosine(place: np.ndarray, scale: int) -> np.ndarray:
        return np.cos(math.pi * (place[:, :, None] - place[:, None, :]) / (2 * scale))

    if attention.reweight == "cos1d":
        return cosine(positions, length)
    patch = positions - attention.prefix_tokens
    factor = cosine(patch // attention.grid, attention.grid) * cosine(patch % attention.grid, attention.grid)
    outside = patch < 0
    return np.where(outside[:, :, None] | outside[:, None, :], 1.0, factor)


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
    weights = _features(q, attention.feature_map) @ _features(k, attention.feature_map).swapaxes(-1, -2)
    if attention.reweight != "none":
        p = np.broadcast_to(np.arange(tokens), (batch, tokens)) if positions is None else positions
        weights = weights * _reweight(p, attention, length or tokens)[:, None]
    if size is not None:
        weights = weights * size.astype(np.float64)[:, None, None, :]
    total = weights.sum(-1, keepdims=True)
    if attention.normalize == "row_sum":
        weights = weights / (total + attention.eps if eps_mode == "add" else np.maximum(total, attention.eps))
    elif attention.normalize == "sqrt_d":
        weights = weights / math.sqrt(q.shape[-1])
    y = merge_heads(weights @ v)
    return y if query_index is None else np.take_along_axis(y, query_index[:, :, None], 1)


def _torch_cubed(x):
    positive = x.clamp_min(0)
    norm = positive.pow(2).sum((1, 3), keepdim=True).sqrt()
    return positive.pow(3) * (norm / positive.pow(6).sum((1, 3), keepdim=True).sqrt().clamp_min(1e-30))


def _torch_waves(attention: Attention, length: int, positions, dtype):
    """Two factors (batch, tokens, rank) of the reweighting: the weight of a pair is the product of its rows."""
    import torch

    def waves(place, scale: int):
        # bfloat16 has no odd numbers above 256: places and angles need more.
        angle = place.to(torch.promote_types(dtype, torch.float32)) * (math.pi / (2 * scale))
        return torch.stack([angle.cos(), angle.sin()], -1).to(dtype)

    if attention.reweight == "cos1d":
        both = waves(positions, length)
        return both, both
    patch = positions - attention.prefix_tokens
    inside = (patch >= 0).to(dtype)[..., None]
    rows = waves(patch.div(attention.grid, rounding_mode="floor"), attention.grid)
    columns = waves(patch % attention.grid, attention.grid)
    # 1 for all pairs, less 1 for those of two patches, which have the product of their cosines instead.
    grid, ones = (rows[..., :, None] * columns[..., None, :]).flatten(-2) * inside, torch.ones_like(inside)
    return torch.cat([grid, ones, inside], -1), torch.cat([grid, ones, -inside], -1)


def torch_face(qkv, heads: int, attention: Attention, length: int, positions=None, size=None, query_index=None):
    """qkv: (batch, tokens, 3 * width) -> (batch, rows, width), in the order with fewer multiply-adds.

    positions: (batch, tokens) if tokens were pruned; size: (batch, tokens) if some were merged; query_index: (batch,
    rows), all rows without.
    """
    import torch
    from torch.nn import functional as F

    q, k, v = split_heads(qkv, heads)
    phi = {"relu": F.relu, "elu1": lambda x: F.elu(x) + 1, "relu_pow3": _torch_cubed}[attention.feature_map]
    q, k = phi(q), phi(k)
    if size is not None:
        k = k * size[:, None, :, None]
    tokens, dim = q.shape[2:]
    left = right = torch.ones(1, tokens, 1, dtype=qkv.dtype, device=qkv.device)
    if attention.reweight != "none":
        p = torch.arange(tokens, device=qkv.device)[None] if positions is None else positions
        left, right = _torch_waves(attention, length, p, qkv.dtype)
    if left.shape[-1] * dim < tokens:
        # One product a column of the factor: an outer product would sum over that short axis backwards.
        q, k = (
            torch.cat([x * w[:, None, :, None] for w in wave.unbind(-1)], -1) for x, wave in ((q, left), (k, right))
        )
        y, total = q @ (k.transpose(-1, -2) @ v), q @ k.sum(2)[..., None]
    else:
        weights = (q @ k.transpose(-1, -2)) * (left @ right.transpose(-1, -2))[:, None]
        y, total = weights @ v, weights.sum(-1, keepdim=True)
    if attention.normalize == "row_sum":
        y = y / total.clamp_min(attention.eps)
    elif attention.normalize == "sqrt_d":
        y = y / math.sqrt(dim)
    y = merge_heads(y)
    return y if query_index is None else y.gather(1, query_index[:, :, None].expand(-1, -1, y.shape[2]))


def attributes(attention: Attention, length: int) -> dict[str, int | float | str]:
    """The operator's, as the configuration has them."""
    found = {name: getattr(attention, name) for name in ("feature_map", "reweight", "normalize", "eps")}
    if attention.reweight == "cos1d":
        found["length"] = length
    if attention.reweight == "cos2d":
        found |= {"grid": attention.grid, "prefix_tokens": attention.prefix_tokens}
    return found


def ours(
    graph: Graph,
    qkv: str,
    heads: int,
    attention: Attention,
    length: int,
    positions: str = "",
    query_index: str = "",
    size: str = "",
) -> str:
    return graph.op(
        "LinearAttention",
        qkv,
        query_index,
        positions,
        size,
        domain=DOMAIN,
        num_heads=heads,
        **attributes(attention, length),
    )


def stock(
    graph: Graph,
    qkv: str,
    heads: int,
    width: int,
    attention: Attention,
    length: int,
    positions: str = "",
    size: str = "",
    query_index: str = "",
) -> str:
    """The linear order in standard operators, of relu and elu1 without or with cos1d; query_index has shape [rows].

    MatMul, as Einsum runs 1.6-2.1 times slower in ONNX Runtime.
    """
    if attention.feature_map == "relu_pow3" or attention.reweight == "cos2d":
        raise ValueError(f"no stock graph of {attention.feature_map} with {attention.reweight}; compare with PyTorch")
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
    if query_index:
        q = graph.op("Gather", q, query_index, axis=2)
    if size:
        k = graph.op("Mul", k, graph.op("Unsqueeze", size, graph.integers(1, 3)))
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
