"""DynamicViT at inference (Rao et al. 2021, arXiv 2106.02034); page: docs/explanation/dynamic-vit.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import Rungs, distinct, quarters

__all__ = ["SHARES", "preset", "rungs"]

# The share of its incoming patches that a stage keeps; published models are trained for one of 0.9, 0.8 and 0.7.
SHARES = {"full": 1.0, "high": 0.9, "medium": 0.8, "low": 0.7}


def preset(config: ViTConfig) -> ViTConfig:
    """A predictor before the blocks at a quarter, half and three quarters: 3, 6 and 9 of 12."""
    return dataclasses.replace(config, reductions=Reduction.at(*quarters(config), method="predictor"))


def rungs(config: ViTConfig) -> Rungs:
    """int(patches * share^stage), as the published code rounds."""
    stages = range(1, len(config.stages) + 1)
    counts = {name: tuple(int(config.patches * share**stage) for stage in stages) for name, share in SHARES.items()}
    return distinct(counts)
