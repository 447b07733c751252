"""EViT (Liang et al. 2022, arXiv 2202.07800); page: docs/explanation/evit.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import by_share as rungs
from .schedules import quarters

__all__ = ["preset", "rungs"]


def preset(config: ViTConfig) -> ViTConfig:
    """As top-k, and one token more: the pruned ones weighted by their scores, which are not made to sum to 1."""
    return dataclasses.replace(config, reductions=Reduction.at(*quarters(config), fuse="sum"))
