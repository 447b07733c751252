"""ATS, adaptive token sampling (Fayyaz et al. 2022, arXiv 2111.15667); page: docs/explanation/ats.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import from_block
from .schedules import same_count as rungs

__all__ = ["preset", "rungs"]


def preset(config: ViTConfig) -> ViTConfig:
    """All blocks behind the first quarter sample, from the fourth of 12 on."""
    blocks = from_block(config, config.depth // 4)
    reductions = Reduction.at(*blocks, method="sample", rule="ats", value_norm=True)
    return dataclasses.replace(config, reductions=reductions)
