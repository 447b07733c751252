"""ToMe, token merging (Bolya et al. 2023, arXiv 2210.09461); page: docs/explanation/tome.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import Rungs, distinct, from_block

__all__ = ["preset", "rungs", "schedule"]

# Tokens merged in each block, as a share of the most that all blocks can merge: r = 0, 4, 8, 13 and 16 of 196 / 12.
_SHARES = {"full": 0.0, "high": 0.25, "medium": 0.5, "low": 0.8, "lowest": 1.0}


def preset(config: ViTConfig, proportional: bool = True) -> ViTConfig:
    """Every block merges whose tokens matter.

    proportional: off for weights of masked autoencoders that nobody fine-tuned for merging.
    """
    blocks = from_block(config, 0)
    return dataclasses.replace(config, reductions=Reduction.at(*blocks, method="merge", proportional=proportional))


def schedule(config: ViTConfig, merged: int) -> tuple[int, ...]:
    """The patch tokens left after each block that merges `merged` pairs (r), at most half of what reaches it."""
    keep, patches = [], config.patches
    for _ in config.stages:
        patches -= min(merged, patches // 2)
        keep.append(patches)
    return tuple(keep)


def rungs(config: ViTConfig) -> Rungs:
    """Five values of r from none to as many as there are."""
    most = config.patches / config.depth
    return distinct({name: schedule(config, int(share * most)) for name, share in _SHARES.items()})
