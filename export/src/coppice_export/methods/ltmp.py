"""LTMP, learned thresholds (Bonnaerens and Dambre 2023, arXiv 2307.10780); page: docs/explanation/ltmp.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..config import Reduction, ViTConfig
from .schedules import Rungs, from_block

__all__ = ["preset", "rungs"]


def preset(config: ViTConfig, thresholds: Sequence[tuple[float, float]] = ()) -> ViTConfig:
    """Every block whose tokens matter merges above its first threshold and drops what is not above its second one.

    thresholds: one pair a block, or one for all; without, those that learning starts from (0.9 and 0).
    """
    if len(thresholds) not in (0, 1, config.depth) or any(
        not isinstance(pair, Sequence) or len(pair) != 2 for pair in thresholds
    ):
        raise ValueError(f"thresholds: expected one pair or one for each of {config.depth} blocks, found {thresholds}")
    given = tuple(thresholds) or ((Reduction.merge_threshold, Reduction.prune_threshold),)
    pairs = given * config.depth if len(given) == 1 else given
    reductions = tuple(
        Reduction(block, "threshold", merge_threshold=merge, prune_threshold=prune)
        for block, (merge, prune) in zip(from_block(config, 0), pairs)
    )
    return dataclasses.replace(config, reductions=reductions)


def rungs(config: ViTConfig) -> Rungs:
    """None: the picture decides."""
    return {}
