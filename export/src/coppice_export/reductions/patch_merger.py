"""Mixes all patch tokens into a fixed number of new ones, before the block (PatchMerger).

A new token has no place and no size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..config import Reduction, ViTConfig
from ..graph import Graph
from ..operators import patch_merger
from .tokens import Tokens

__all__ = ["NORM_EPS", "graph_face", "shapes", "torch_face"]

NORM_EPS = 1e-5


def shapes(config: ViTConfig, reduction: Reduction) -> dict[str, tuple[int, ...]]:
    """The arrays of one merger by name."""
    norm = {f"norm.{part}": (config.width,) for part in ("weight", "bias")} if reduction.layer_norm else {}
    return {"queries": (reduction.outputs, config.width)} | norm


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, layers, count: None):
    """layers: module with queries (outputs, width) and norm -> x, the prefix tokens as index, and no size."""
    import torch

    norm = (layers.norm.weight, layers.norm.bias) if reduction.layer_norm else ()
    options = {"softmax_axis": reduction.softmax_axis, "scale": reduction.scale, "layer_norm": reduction.layer_norm}
    x = patch_merger.torch_face(tokens.x, layers.queries.T, *norm, prefix=config.prefix_tokens, **options)
    return x, torch.arange(config.prefix_tokens, device=x.device).expand(len(x), -1), None


def graph_face(
    graph: Graph,
    reduction: Reduction,
    config: ViTConfig,
    ours: bool,
    tokens: Tokens,
    count: str,
    array: Callable[[str], np.ndarray],
) -> tuple[str, str, str]:
    """The names of x and of the prefix tokens as index, and no size. array: the weights by name."""
    name = f"blocks.{reduction.block}.merger"
    names = ["norm.weight", "norm.bias"] if reduction.layer_norm else []
    norm = [graph.constant(array(part), f"{name}.{part}") for part in names]
    w = graph.constant(np.ascontiguousarray(array("queries").T), f"{name}.queries")
    index = graph.constant(np.arange(config.prefix_tokens, dtype=np.int64)[None])
    if ours:
        attributes = {"prefix_tokens": config.prefix_tokens, "softmax_axis": reduction.softmax_axis}
        attributes |= {"scale": reduction.scale, "layer_norm": int(reduction.layer_norm), "eps": NORM_EPS}
        return patch_merger.ours(graph, tokens.x, w, *norm, **attributes), index, ""
    if reduction.softmax_axis != "tokens":
        raise ValueError("the stock flavour mixes by a softmax over tokens alone; compare with PyTorch")
    scale = reduction.scale or config.width**-0.5
    return patch_merger.stock(graph, tokens.x, w, *norm, prefix=config.prefix_tokens, scale=scale), index, ""
