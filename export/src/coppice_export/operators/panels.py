"""Weights of linear layers as the blocks read them in place; contract in docs/reference/operators.md."""

from __future__ import annotations

import numpy as np

__all__ = ["PRECISIONS", "depth", "linear", "packed", "quantised", "require_range", "unpacked"]

COLUMNS = 16  # of a panel
DEPTH = 4  # consecutive int8 weights of a column
LARGEST = 127
SMALLEST_UNIT = np.float32(2.0**-126)  # of a step: its inverse is finite
LARGEST_HALF = float(np.finfo(np.float16).max)
PRECISIONS = {"float32": np.float32, "float16": np.float16, "int8": np.int8}


def packed(weight: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray | None]:
    """weight: (columns, depth), as a state dict has it -> its panels, and with int8 the scale of each column.

    float32, float16: (panels, depth, 16). int8: (panels, depth / 4, 16, 4), rounded up, the largest weight of a column
    at 127. Columns and depths beyond the weight's are 0.
    """
    columns, depth = weight.shape
    scale, group = None, DEPTH if precision == "int8" else 1
    if precision == "int8":
        largest = np.abs(weight).max(1, initial=0).astype(np.float32)
        scale = np.where(largest > 0, largest / np.float32(LARGEST), np.float32(1)).astype(np.float32)
        weight = np.rint(weight / scale[:, None]).clip(-LARGEST, LARGEST)
    padded = np.pad(weight.astype(PRECISIONS[precision]), [(0, -columns % COLUMNS), (0, -depth % group)])
    values = padded.reshape(-1, COLUMNS, padded.shape[1] // group, group).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(values if precision == "int8" else values[..., 0]), scale


def require_range(name: str, values: np.ndarray) -> None:
    """Raises ValueError for a weight that float16 cannot hold."""
    if np.abs(values).max(initial=0) > LARGEST_HALF:
        largest = np.abs(values).max()
        raise ValueError(f"{name}: float16 holds numbers up to {LARGEST_HALF:g}, found {largest:g}; keep float32.")


def unpacked(values: np.ndarray, columns: int, depth: int, scale: np.ndarray | None = None) -> np.ndarray:
    """The float32 weight (columns, depth) that these panels stand for."""
    if values.ndim == 3:
        values = values[..., None]
    weight = values.astype(np.float32).transpose(0, 2, 1, 3).reshape(len(values) * COLUMNS, -1)[:columns, :depth]
    return weight if scale is None else weight * scale[:, None]


def depth(values: np.ndarray) -> int:
    """Rows of the weight, with int8 up to a multiple of 4."""
    return values.shape[1] * (values.shape[3] if values.ndim == 4 else 1)


def quantised(x: np.ndarray, limits: tuple[float, float] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x: (..., depth) -> its int8 steps (as integers), the size of a step and the step of 0, both (..., 1).

    In float32, as in every body. The range of a row has 0 in it; a row of no finite range becomes NaN. With
    `limits` all rows have that range and are clipped to it.
    """
    x = x.astype(np.float32)
    low, high = np.minimum(x.min(-1, keepdims=True), 0), np.maximum(x.max(-1, keepdims=True), 0)
    if limits:
        finite = np.isfinite(high - low)
        low, high = (np.where(finite, np.float32(limit), np.float32(np.nan)) for limit in limits)
        x = x.clip(low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        unit = ((high - low) / np.float32(2 * LARGEST)).astype(np.float32)
    unit = np.where(np.isfinite(unit), np.where(unit < SMALLEST_UNIT, np.float32(1), unit), np.float32(np.nan))
    zero = np.rint(-low / unit) - LARGEST
    return np.minimum(np.rint(x * (np.float32(1) / unit)) + zero, LARGEST), unit, zero


def linear(
    x: np.ndarray,
    values: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray | None = None,
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """x: (..., depth) -> x W + bias (..., columns) in float64; with int8 panels of the steps of x within `limits`."""
    shape = len(bias), x.shape[-1]
    if scale is None:
        return x @ unpacked(values, *shape).T.astype(np.float64) + bias
    steps, unit, zero = (value.astype(np.float64) for value in quantised(x, limits))
    weight = unpacked(values, *shape).astype(np.float64)
    return unit * scale * (steps @ weight.T - zero * weight.sum(1)) + bias
