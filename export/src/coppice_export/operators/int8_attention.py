"""Softmax attention in bytes, as AttentionBlock has it; contract in docs/reference/operators.md."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import token_attention
from ._heads import merge_heads, split_heads
from .panels import LARGEST, SMALLEST_UNIT

__all__ = ["LARGEST_WEIGHT", "reference", "to_even"]

LARGEST_WEIGHT = 255
Round = Callable[[np.ndarray, int], np.ndarray]


def to_even(x: np.ndarray, largest: int) -> np.ndarray:
    """x: numbers of up to `largest` steps."""
    return np.rint(x)


def _steps(x: np.ndarray, axis: int, rint: Round) -> tuple[np.ndarray, np.ndarray]:
    """x: (batch, heads, tokens, dim) -> its steps and their unit along `axis`, found in float32 as in every body."""
    largest = np.abs(x).max(axis, keepdims=True)
    unit = (largest / np.float32(LARGEST)).astype(np.float32)
    unit = np.where(np.isfinite(largest), np.where(unit < SMALLEST_UNIT, np.float32(1), unit), np.float32(np.nan))
    return rint(x * (np.float32(1) / unit), LARGEST).astype(np.float64), unit.astype(np.float64)


def reference(
    qkv: np.ndarray,
    heads: int,
    query_index: np.ndarray | None = None,
    size: np.ndarray | None = None,
    scale: float = 0,
    score: str = "cls",
    rint: Round = to_even,
) -> tuple[np.ndarray, np.ndarray]:
    """As `token_attention.reference`; `rint` rounds."""
    q, k, v = split_heads(qkv.astype(np.float32), heads)
    (q, q_unit), (k, k_unit), (steps, v_unit) = _steps(q, -1, rint), _steps(k, -1, rint), _steps(v, -2, rint)
    factor = q_unit * k_unit.swapaxes(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    logits = q @ k.swapaxes(-1, -2) * factor
    if size is not None:
        logits = logits + np.log(size.astype(np.float64))[:, None, None, :]
    e = np.exp(logits - logits.max(-1, keepdims=True))
    weights = rint(LARGEST_WEIGHT * e, LARGEST_WEIGHT)
    y = merge_heads(v_unit * (weights @ steps) / weights.sum(-1, keepdims=True))
    y, scores = token_attention.outputs(y, e / e.sum(-1, keepdims=True), v.astype(np.float64), query_index, score)
    if query_index is not None and score != "received":
        # Where token 0 has no row its scores are those of float32.
        exact = token_attention.reference(qkv, heads, query_index, size, scale, score)[1]
        scores = np.where((query_index == 0).any(1, keepdims=True), scores, exact)
    return y, scores
