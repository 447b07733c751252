"""PatchMerger (Renggli et al. 2022, arXiv 2202.12015); page: docs/explanation/patch-merger.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import Rungs

__all__ = ["preset", "rungs"]


def preset(config: ViTConfig, outputs: int = 8, layer_norm: bool = True, scale: float = 1.0) -> ViTConfig:
    """One merger half-way, as published; the class token is carried around it.

    layer_norm and scale (0 stands for width^-1/2): the paper's order of norm and scale is not confirmed. The defaults
    are those of the public implementation that has a class token.
    """
    merger = Reduction(config.depth // 2, "patch_merger", outputs=outputs, layer_norm=layer_norm, scale=scale)
    return dataclasses.replace(config, reductions=(merger,))


def rungs(config: ViTConfig) -> Rungs:
    """None: the number of outputs is a part of the weights."""
    return {}
