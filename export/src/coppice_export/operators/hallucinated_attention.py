"""Attention that computes some maps and makes the others from them; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph
from ._heads import merge_heads, stock_merge
from .token_attention import softmax

__all__ = ["ours", "reference", "stock", "torch_face"]


def split(qkv, real: int, heads: int):
    """qkv: (batch, tokens, (2 * real + heads) * dim) -> q, k: (batch, real, tokens, dim), v: (batch, heads, ...)."""
    batch, tokens, width = qkv.shape
    parts = qkv.reshape(batch, tokens, 2 * real + heads, width // (2 * real + heads)).swapaxes(1, 2)
    return parts[:, :real], parts[:, real : 2 * real], parts[:, 2 * real :]


def reference(
    qkv: np.ndarray,
    heads: int,
    mix: np.ndarray | None = None,
    dw: np.ndarray | None = None,
    stage: str = "post_softmax",
    renorm: str = "none",
    eps: float = 1e-6,
) -> np.ndarray:
    """mix: (made, real), dw: (made, k, k) -> (batch, tokens, heads * dim), in float64 with whole maps."""
    made = len(mix if mix is not None else dw)
    real = heads - made
    q, k, v = split(qkv.astype(np.float64), real, heads)
    maps = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    maps = softmax(maps) if stage == "post_softmax" else maps
    tokens = maps.shape[-1]
    new = np.zeros((len(maps), made, tokens, tokens))
    if mix is not None:
        new += np.einsum("gr,brij->bgij", mix.astype(np.float64), maps)
    if dw is not None:
        side = dw.shape[-1]
        partner = np.pad(maps[:, np.arange(made) % real], [(0, 0), (0, 0), *[(side // 2, side // 2)] * 2])
        for up in range(side):
            for left in range(side):
                weight = dw[:, up, left].astype(np.float64)[:, None, None]
                new += weight * partner[:, :, up : up + tokens, left : left + tokens]
    if renorm == "row_sum":
        new = new / np.maximum(new.sum(-1, keepdims=True), eps)
    elif renorm == "layernorm":
        new = (new - new.mean(1, keepdims=True)) / np.sqrt(new.var(1, keepdims=True) + eps)
    weights = np.concatenate([maps, new], 1)
    return merge_heads((weights if stage == "post_softmax" else softmax(weights)) @ v)


def torch_face(
    qkv, heads: int, mix=None, dw=None, stage: str = "post_softmax", renorm: str = "none", eps: float = 1e-6
):
    """qkv: (batch, tokens, (2 * real + heads) * dim) -> (batch, tokens, heads * dim)."""
    import torch
    from torch.nn import functional as F

    made = len(mix if mix is not None else dw)
    real = heads - made
    q, k, v = split(qkv, real, heads)
    maps = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    maps = torch.softmax(maps, -1) if stage == "post_softmax" else maps
    new = 0
    if mix is not None:
        new = new + F.conv2d(maps, mix[:, :, None, None])
    if dw is not None:
        partner = maps[:, torch.arange(made, device=maps.device) % real]
        new = new + F.conv2d(partner, dw[:, None], padding=dw.shape[-1] // 2, groups=made)
    if renorm == "row_sum":
        new = new / new.sum(-1, keepdim=True).clamp_min(eps)
    elif renorm == "layernorm":
        new = F.layer_norm(new.movedim(1, -1), (made,), eps=eps).movedim(-1, 1)
    weights = torch.cat([maps, new], 1)
    return merge_heads((weights if stage == "post_softmax" else torch.softmax(weights, -1)) @ v)


def ours(
    graph: Graph,
    qkv: str,
    heads: int,
    mix: str = "",
    dw: str = "",
    dw_kernel: int = 0,
    stage: str = "post_softmax",
    renorm: str = "none",
    eps: float = 1e-6,
) -> str:
    return graph.op(
        "HallucinatedAttention",
        qkv,
        mix,
        dw,
        domain=DOMAIN,
        num_heads=heads,
        dw_kernel=dw_kernel,
        stage=stage,
        renorm=renorm,
        eps=eps,
    )


def stock(
    graph: Graph,
    qkv: str,
    heads: int,
    dim: int,
    mix: np.ndarray | None = None,
    dw: np.ndarray | None = None,
    stage: str = "post_softmax",
    renorm: str = "none",
    eps: float = 1e-6,
) -> str:
    """Standard operators with whole maps: the sum and the convolution are one convolution, batch 1."""
    made = len(mix if mix is not None else dw)
    real = heads - made
    side = dw.shape[-1] if dw is not None else 1
    kernel = np.zeros((made, real, side, side), np.float32)
    if mix is not None:
        kernel[:, :, side // 2, side // 2] = mix
    if dw is not None:
        kernel[np.arange(made), np.arange(made) % real] += dw
    parts = graph.op("Reshape", qkv, graph.integers(1, -1, 2 * real + heads, dim))
    q, k, v = graph.op(
        "Split",
        graph.op("Transpose", parts, perm=[0, 2, 1, 3]),
        graph.integers(real, real, heads),
        outputs=3,
        axis=1,
    )
    logits = graph.op("MatMul", q, graph.op("Transpose", k, perm=[0, 1, 3, 2]))
    maps = graph.op("Mul", logits, graph.constant(np.float32(1 / math.sqrt(dim))))
    if stage == "post_softmax":
        maps = graph.op("Softmax", maps, axis=-1)
    new = graph.op("Conv", maps, graph.constant(kernel), pads=[side // 2] * 4)
    if renorm == "row_sum":
        total = graph.op("ReduceSum", new, graph.integers(-1), keepdims=1)
        new = graph.op("Div", new, graph.op("Max", total, graph.constant(np.float32(eps))))
    elif renorm == "layernorm":
        centred = graph.op("Sub", new, graph.op("ReduceMean", new, graph.integers(1), keepdims=1))
        variance = graph.op("ReduceMean", graph.op("Mul", centred, centred), graph.integers(1), keepdims=1)
        spread = graph.op("Sqrt", graph.op("Add", variance, graph.constant(np.float32(eps))))
        new = graph.op("Div", centred, spread)
    weights = graph.op("Concat", maps, new, axis=1)
    if stage == "pre_softmax":
        weights = graph.op("Softmax", weights, axis=-1)
    return stock_merge(graph, graph.op("MatMul", weights, v), heads * dim)
