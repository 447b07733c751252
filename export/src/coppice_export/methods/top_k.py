"""Plain top-k pruning by class attention; page: docs/explanation/evit.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import by_share as rungs
from .schedules import quarters

__all__ = ["preset", "rungs"]


def preset(config: ViTConfig) -> ViTConfig:
    """The best patch tokens go on after a quarter, half and three quarters of the blocks."""
    return dataclasses.replace(config, reductions=Reduction.at(*quarters(config)))
