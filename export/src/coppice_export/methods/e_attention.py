"""e-attention (Zheng et al. 2024, PeerJ Computer Science e1755); page: docs/explanation/e-attention.md."""

from __future__ import annotations

from ..config import ViTConfig
from . import linear_attention, token_sampling
from .token_sampling import rungs

__all__ = ["preset", "rungs"]


def preset(config: ViTConfig, normalize: str = "row_sum") -> ViTConfig:
    """Linear attention with cosine weights in every block, and sampling from the third on.

    The weights must have been trained with this attention. normalize: what they were trained with; the thesis writes no
    denominator (`none`), its open implementation divides by the root of the head's width (`sqrt_d`).
    """
    return token_sampling.preset(linear_attention.preset(config, normalize=normalize))
