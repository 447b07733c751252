"""Position tables at another resolution."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["resample_table"]


def resample_table(table: np.ndarray, prefix: int, grid: int, antialias: bool = True) -> np.ndarray:
    """table: (1, prefix + g * g, width) -> float32 (1, prefix + grid * grid, width); the prefix stays as it is.

    Bicubic, horizontally and vertically, in float64. With antialiasing as timm does: a = -0.5 and a kernel that grows
    with the reduction, cut off and scaled to sum 1 at the edges. Without, as Hugging Face's DINOv2 does: a = -0.75,
    edges repeated. Both are torch.nn.functional.interpolate with align_corners=False.
    """
    edge = math.isqrt(table.shape[1] - prefix)
    if edge == grid:
        return table
    weights = _antialiased(edge, grid) if antialias else _four_taps(edge, grid)
    patches = table[0, prefix:].astype(np.float64).reshape(edge, edge, -1)
    patches = np.einsum("yi,xj,ijd->yxd", weights, weights, patches, optimize=True).reshape(grid * grid, -1)
    return np.concatenate([table[:, :prefix], patches[None].astype(np.float32)], 1)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _antialiased(edge: int, grid: int) -> np.ndarray:
    """(grid, edge): the weight of each old place in each new one."""
    scale = max(edge / grid, 1)
    centres = (np.arange(grid) + 0.5) * edge / grid
    weights = _cubic((np.arange(edge) + 0.5 - centres[:, None]) / scale, -0.5)
    return weights / weights.sum(1, keepdims=True)


def _four_taps(edge: int, grid: int) -> np.ndarray:
    """(grid, edge): the same from the four places around a new one."""
    places = (np.arange(grid) + 0.5) * edge / grid - 0.5
    weights = np.zeros((grid, edge))
    for tap in range(-1, 3):
        old = np.floor(places) + tap
        np.add.at(weights, (np.arange(grid), np.clip(old, 0, edge - 1).astype(int)), _cubic(places - old, -0.75))
    return weights
