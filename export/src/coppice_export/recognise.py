"""What a part of a graph computes, found by running it on random numbers.

Exporters spell the same function in many ways; a function equals softmax attention or it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np

from .operators import token_attention

__all__ = ["attention_of", "is_gelu", "linear_head", "same"]

# Random numbers of size 1 in sums of up to 4,096 terms: float32 is off by about sqrt(4096) * 2**-24 = 4e-6. Another
# head count, scale or order of q, k and v, another row or another pooling differ by 0.01 and more.
_CLOSE = 1e-4
# Numbers of size 9 in a formula of five steps: 9 * 5 * 2**-24 = 3e-6. GELU by the hyperbolic tangent differs by 5e-4.
_CLOSE_ACTIVATION = 1e-5
_PROBE = 1024.0  # large, so that adding the bias rounds nothing of the weight away

_POOLINGS = {
    ("first",): "class",
    ("first", "second"): "class_distilled",
    ("patches",): "mean",
    ("first", "patches"): "class_mean",
}


def same(found: np.ndarray, expected: np.ndarray, close: float = _CLOSE) -> bool:
    """Equal up to float32's rounding, whatever axes of length 1 there are."""
    return found.size == expected.size and bool(np.abs(found.reshape(expected.shape) - expected).max() < close)


def is_gelu(part: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> bool:
    """Whether `part` is x (1 + erf(x / sqrt 2)) / 2."""
    x = 3 * _random(4096)
    expected = x * (1 + np.vectorize(math.erf)(x.astype(np.float64) / math.sqrt(2))) / 2
    return same(part(np.resize(x, shape)), np.resize(expected, shape), _CLOSE_ACTIVATION)


def attention_of(
    part: Callable[..., np.ndarray], inputs: int, tokens: int, width: int, heads: int
) -> tuple[int, tuple[int, ...], int] | None:
    """Heads, order of the inputs as q, k, v, and first rows that are computed; None if it is no softmax attention.

    part: of one array (1, tokens, 3 * width) or of three (1, tokens, width). heads: the only count tried; 0 for all.
    """
    parts = np.split(_random(1, tokens, 3 * width), inputs, axis=2)
    found = part(*parts).reshape(1, -1, width)
    for count in (h for h in range(1, width + 1) if width % h == 0 and heads in (0, h)):
        for order in permutations(range(inputs)):
            expected, _ = token_attention.reference(np.concatenate([parts[i] for i in order], 2), count)
            if same(found, expected[:, : found.shape[1]]):
                return count, order, found.shape[1]
    return None


def linear_head(
    part: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], prefix: int
) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Pooling, weight and bias of a linear head; None if `part` is something else.

    part: of the normed tokens (1, tokens, width), or of one (1, width). The weight of what the head reads is what a
    probe in each column of it adds to the logits.
    """
    rows = np.arange(math.prod(shape[:-1]))
    groups = {"first": rows}
    if len(shape) == 3:
        groups = {"first": rows[:prefix][:1], "second": rows[:prefix][1:2], "patches": rows[prefix:]}
    groups = {name: chosen for name, chosen in groups.items() if len(chosen)}
    bias = part(np.zeros(shape)).reshape(-1)
    weights = {name: _probed(part, shape, chosen, bias) for name, chosen in groups.items()}
    x = _random(*shape)
    tokens = x.reshape(-1, shape[-1])
    expected = bias + sum(weights[name] @ tokens[chosen].mean(0) for name, chosen in groups.items())
    read = tuple(name for name in groups if weights[name].any())
    if read not in _POOLINGS or not same(part(x), expected):
        return None
    return _POOLINGS[read], np.concatenate([weights[name] for name in read], 1), bias


def _probed(
    part: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], rows: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """(classes, width): the logits of a probe in each column of these rows, without the bias."""
    columns = []
    for column in range(shape[-1]):
        probe = np.zeros(shape, np.float32)
        probe.reshape(-1, shape[-1])[rows, column] = _PROBE
        columns.append((part(probe).reshape(-1).astype(np.float64) - bias) / _PROBE)
    return np.stack(columns, 1).astype(np.float32)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
