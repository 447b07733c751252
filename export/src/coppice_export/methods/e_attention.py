"""e-attention (Zheng et al. 2024, PeerJ Computer Science e1755); page: docs/explanation/e-attention.md."""

from __future__ import annotations

import dataclasses

from ..config import Attention, Reduction, ViTConfig
from .schedules import from_block
from .schedules import same_count as rungs

__all__ = ["preset", "rungs"]

_UNREDUCED = 2  # blocks before the first that samples, in the open implementation


def preset(config: ViTConfig, normalize: str = "row_sum") -> ViTConfig:
    """Linear attention with cosine weights in every block, and sampling from the third on.

    The weights must have been trained with this attention. normalize: what they were trained with; the thesis writes no
    denominator (`none`), its open implementation divides by the root of the head's width (`sqrt_d`).
    """
    linear = Attention("linear", feature_map="elu1", reweight="cos1d", normalize=normalize)
    reductions = Reduction.at(*from_block(config, _UNREDUCED), method="sample")
    return dataclasses.replace(config, attention=(linear,) * config.depth, reductions=reductions)
