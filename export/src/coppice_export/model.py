"""A `ViTConfig` and its weights as an ONNX graph, with our operators or with stock ones only."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import onnx

from .builder import Builder
from .config import ViTConfig
from .fused import FusedBuilder

__all__ = ["DEFAULT", "Flavour", "build_blocks", "build_model"]


class Flavour(StrEnum):
    """A graph's operators: ours for blocks or halves, for attention and reductions alone, or none of ours."""

    BLOCKS = "blocks"
    SEPARATE = "separate"
    STOCK = "stock"


DEFAULT = Flavour.BLOCKS


def build_model(config: ViTConfig, state: dict[str, np.ndarray], flavour: Flavour = DEFAULT) -> onnx.ModelProto:
    """Inputs image float32 [1,3,S,S] and, with stages, keep int64 [stages]; outputs logits and one kept_s a stage.

    Flavours compute the same function; the stock one is the rival in benchmarks and a second opinion in checks. In all,
    a last block without a reduction computes only the rows that the head reads, which is exact.
    """
    return _builder(config, state, flavour).build()


def build_blocks(
    config: ViTConfig,
    state: dict[str, np.ndarray],
    blocks: Sequence[int],
    side_by_side: bool = False,
    flavour: Flavour = DEFAULT,
) -> onnx.ModelProto:
    """These blocks alone, as they are in the whole model, to measure them: x float32 [1,tokens,width], and keep.

    One feeds the next, or each works on x and has an output of its own.
    """
    return _builder(config, state, flavour).build_blocks(blocks, side_by_side)


def _builder(config: ViTConfig, state: dict[str, np.ndarray], flavour: Flavour) -> Builder:
    return (FusedBuilder if flavour == "blocks" else Builder)(config, state, flavour != "stock")
