"""The MLP half of an encoder block in one operator; contract in docs/reference/operators.md."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..graph import DOMAIN, Graph
from .panels import depth, linear

__all__ = ["SLOTS", "layer_norm", "ours", "reference"]

SLOTS = (
    *("x", "norm_weight", "norm_bias", "fc1", "fc1_bias", "fc1_scale"),
    *("fc2", "fc2_bias", "fc2_scale", "fc2_u", "fc2_u_scale"),
)


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float) -> np.ndarray:
    x = x.astype(np.float64)
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weight + bias


def _activated(x: np.ndarray, activation: str) -> np.ndarray:
    """x: (..., fc1's columns) -> (..., hidden)."""
    if activation == "swiglu":
        gate, value = np.split(x, 2, -1)
        return gate / (1 + np.exp(-gate)) * value
    if activation == "gelu_tanh":
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))) / 2


def reference(
    inputs: Mapping[str, np.ndarray],
    epsilon: float = 1e-6,
    activation: str = "gelu",
    linear=linear,
    fc1_range: tuple[float, float] | None = None,
    fc2_range: tuple[float, float] | None = None,
    fc2_u_range: tuple[float, float] | None = None,
) -> np.ndarray:
    """inputs: by slot -> y (batch, tokens, width) in float64. `linear` computes the layers."""
    get, x = inputs.get, inputs["x"]
    normed = layer_norm(x, inputs["norm_weight"], inputs["norm_bias"], epsilon)
    hidden = _activated(linear(normed, inputs["fc1"], inputs["fc1_bias"], get("fc1_scale"), fc1_range), activation)
    if "fc2_u" in inputs:
        scale = get("fc2_u_scale")
        rank = depth(inputs["fc2"]) if scale is None else len(scale)
        hidden = linear(hidden, inputs["fc2_u"], np.zeros(rank), scale, fc2_u_range)
    return x + linear(hidden, inputs["fc2"], inputs["fc2_bias"], get("fc2_scale"), fc2_range)


def ours(graph: Graph, inputs: Mapping[str, str], epsilon: float, activation: str = "gelu") -> str:
    """inputs: names of values by slot."""
    slots = (inputs.get(slot, "") for slot in SLOTS)
    return graph.op("MlpBlock", *slots, domain=DOMAIN, epsilon=epsilon, activation=activation)
