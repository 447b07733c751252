"""Token sampling by importance (Zheng et al. 2024, PeerJ CS e1755); page: docs/explanation/e-attention.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import from_block
from .schedules import same_count as rungs

__all__ = ["preset", "rungs"]

_UNREDUCED = 2  # blocks before the first that samples, in the open implementation


def preset(config: ViTConfig) -> ViTConfig:
    """Sampling from the third block on; attention is as it is in the given model."""
    reductions = Reduction.at(*from_block(config, _UNREDUCED), method="sample")
    return dataclasses.replace(config, reductions=reductions)
