"""Linear attention in every block (Zheng et al. 2024, PeerJ CS e1755); page: docs/explanation/linear-attention.md."""

from __future__ import annotations

import dataclasses

from ..config import Attention, ViTConfig
from .schedules import Rungs

__all__ = ["preset", "rungs"]


def preset(
    config: ViTConfig, feature_map: str = "elu1", reweight: str = "cos1d", normalize: str = "row_sum"
) -> ViTConfig:
    """Every block has linear attention and keeps all tokens; the weights must have been trained with it.

    feature_map: relu, elu1 or relu_pow3. reweight: none, or by the cosine of distances along the raster (cos1d) or in
    both directions of the grid (cos2d). normalize: row_sum, sqrt_d or none. All as the weights were trained with.
    """
    places = {"grid": config.grid, "prefix_tokens": config.prefix_tokens} if reweight == "cos2d" else {}
    form = Attention("linear", feature_map=feature_map, reweight=reweight, normalize=normalize, **places)
    return dataclasses.replace(config, attention=(form,) * config.depth, reductions=())


def rungs(config: ViTConfig) -> Rungs:
    """None: every token is kept."""
    return {}
