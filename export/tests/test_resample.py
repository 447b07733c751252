"""Position tables at another resolution, against PyTorch's interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.layers import resample_abs_pos_embed
from torch.nn import functional as F

from coppice_export.resample import resample_table

# float32 in PyTorch, float64 here: two passes of at most 13 taps, weights of absolute sum 1.6 each, values below 5.
TOLERANCE = 2 * 13 * 2**-24 * 1.6**2 * 5
GRIDS = [(14, 16), (16, 14), (14, 24), (37, 16), (7, 14), (5, 2), (2, 9)]


def _table(grid: int, prefix: int) -> np.ndarray:
    return np.random.default_rng(grid).standard_normal((1, prefix + grid * grid, 6)).astype(np.float32)


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize(("old", "new"), GRIDS)
def test_antialiased_table_is_timms(old, new, prefix):
    """Larger, smaller and much smaller grids equal timm.layers.resample_abs_pos_embed."""
    table = _table(old, prefix)
    expected = resample_abs_pos_embed(torch.from_numpy(table), [new, new], num_prefix_tokens=prefix)
    np.testing.assert_allclose(resample_table(table, prefix, new), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("old", "new"), GRIDS)
def test_table_without_antialiasing_is_pytorchs(old, new):
    """The same without antialiasing equals torch.nn.functional.interpolate."""
    table = _table(old, 0)
    square = torch.from_numpy(table).reshape(1, old, old, 6).permute(0, 3, 1, 2)
    expected = F.interpolate(square, (new, new), mode="bicubic").permute(0, 2, 3, 1).reshape(1, -1, 6)
    np.testing.assert_allclose(resample_table(table, 0, new, antialias=False), expected, rtol=0, atol=TOLERANCE)


def test_both_kernels_differ_by_more_than_the_tolerance():
    """The comparisons above tell one kernel from the other."""
    table = _table(14, 1)
    assert np.abs(resample_table(table, 1, 16) - resample_table(table, 1, 16, antialias=False)).max() > 100 * TOLERANCE


def test_table_of_the_same_grid_is_untouched():
    """Nothing is rounded where nothing changes."""
    table = _table(7, 1)
    assert resample_table(table, 1, 7) is table


def test_constant_stays_constant():
    """Weights of every new place sum to 1."""
    table = np.ones((1, 49, 3), np.float32)
    np.testing.assert_allclose(resample_table(table, 0, 5), np.ones((1, 25, 3)), rtol=1e-6)
