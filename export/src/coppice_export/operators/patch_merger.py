"""Mixes all tokens into a fixed number of them; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph
from .token_attention import softmax

__all__ = ["ours", "reference", "stock", "torch_face"]


def reference(
    x: np.ndarray,
    w: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    prefix: int = 0,
    softmax_axis: str = "tokens",
    scale: float = 1,
    layer_norm: bool = False,
    eps: float = 1e-5,
) -> np.ndarray:
    """x: (batch, tokens, width), w: (width, outputs) -> y (batch, prefix + outputs, width), in float64."""
    x = x.astype(np.float64)
    t = x[:, prefix:]
    if layer_norm:
        t = (t - t.mean(-1, keepdims=True)) / np.sqrt(t.var(-1, keepdims=True) + eps)
        t = t * (1 if gamma is None else gamma) + (0 if beta is None else beta)
    logits = (scale or 1 / math.sqrt(x.shape[2])) * (t @ w.astype(np.float64))
    weights = softmax(logits.swapaxes(1, 2)) if softmax_axis == "tokens" else softmax(logits).swapaxes(1, 2)
    return np.concatenate([x[:, :prefix], weights @ t], 1)


def torch_face(
    x,
    w,
    gamma=None,
    beta=None,
    prefix: int = 0,
    softmax_axis: str = "tokens",
    scale: float = 1,
    layer_norm: bool = False,
):
    """x: (batch, tokens, width), w: (width, outputs) -> y (batch, prefix + outputs, width)."""
    import torch
    from torch.nn import functional as F

    t = F.layer_norm(x[:, prefix:], x.shape[-1:], gamma, beta) if layer_norm else x[:, prefix:]
    logits = torch.einsum("bnd,dm->bmn", t, w) * (scale or x.shape[2] ** -0.5)
    mixed = torch.einsum("bmn,bnd->bmd", logits.softmax(2 if softmax_axis == "tokens" else 1), t)
    return torch.cat([x[:, :prefix], mixed], 1)


def ours(graph: Graph, x: str, w: str, gamma: str = "", beta: str = "", **attributes) -> str:
    return graph.op("PatchMerger", x, w, gamma, beta, domain=DOMAIN, **attributes)


def stock(graph: Graph, x: str, w: str, gamma: str = "", beta: str = "", prefix: int = 0, scale: float = 1) -> str:
    """Softmax over the tokens; a layer norm where gamma and beta are given."""
    end = graph.integers(np.iinfo(np.int64).max)
    rows_axis = graph.integers(1)
    patches = graph.op("Slice", x, graph.integers(prefix), end, rows_axis) if prefix else x
    t = graph.op("LayerNormalization", patches, gamma, beta, axis=-1, epsilon=1e-5) if gamma else patches
    logits = graph.op("MatMul", t, w)
    if scale != 1:
        logits = graph.op("Mul", logits, graph.constant(np.float32(scale)))
    weights = graph.op("Softmax", graph.op("Transpose", logits, perm=[0, 2, 1]), axis=-1)
    y = graph.op("MatMul", weights, t)
    if not prefix:
        return y
    return graph.op("Concat", graph.op("Slice", x, graph.integers(0), graph.integers(prefix), rows_axis), y, axis=1)
