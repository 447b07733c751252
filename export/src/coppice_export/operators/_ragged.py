"""Selections whose length differs from item to item."""

from __future__ import annotations

import numpy as np


def padded(
    kept: list[list[int]], x: np.ndarray | None, rows: int | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Index, y and count of the kept tokens, with zeros up to `rows`; None: all items keep equally many."""
    count = np.array([len(tokens) for tokens in kept], np.int64)
    rows = int(count[0]) if rows is None else rows
    index = np.zeros((len(kept), rows), np.int64)
    y = None if x is None else np.zeros((len(kept), rows, x.shape[2]))
    for b, tokens in enumerate(kept):
        index[b, : len(tokens)] = tokens
        if y is not None:
            y[b, : len(tokens)] = x[b, tokens]
    return index, y, count
