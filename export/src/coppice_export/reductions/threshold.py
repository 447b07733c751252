"""Merges tokens more similar than one learned number, then drops those less important than another (LTMP).

A token's importance is what it receives from all queries of all heads; a merged one has the largest of its tokens'.
"""

from __future__ import annotations

import numpy as np

from ..config import Reduction, ViTConfig
from ..graph import Graph
from ..operators import merge_tokens, threshold_tokens
from . import merge
from .tokens import Tokens

__all__ = ["graph_face", "torch_face"]

_LEAST = 1  # a picture of which nothing is important keeps its best patch, so that later blocks have something to see


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, qkv, scores, count: None):
    """scores: (1, tokens), what each receives -> x, index, size."""
    size, prefix = scores.new_ones(scores.shape) if tokens.size is None else tokens.size, config.prefix_tokens
    x, size, group, stays = merge_tokens.torch_face(
        tokens.x, merge.keys(config, qkv), scores.shape[1], size, prefix, reduction.merge_threshold
    )
    importance = scores.new_zeros(size.shape).scatter_reduce(1, group, scores, "amax")
    index, x = threshold_tokens.torch_face(importance, reduction.prune_threshold, x, prefix, _LEAST)
    return x, stays.gather(1, index), size.gather(1, index)


def graph_face(
    graph: Graph, reduction: Reduction, config: ViTConfig, ours: bool, tokens: Tokens, qkv: str, scores: str, count: str
) -> tuple[str, str, str]:
    """The names of x, index and size."""
    if not ours:
        raise ValueError("the stock flavour has no merging by threshold; compare with PyTorch")
    prefix = config.prefix_tokens
    above, least = (
        graph.constant(np.array(value, np.float32)) for value in (reduction.merge_threshold, reduction.prune_threshold)
    )
    x, size, group = merge_tokens.ours(graph, tokens.x, qkv, "", tokens.size, prefix, above, num_heads=config.heads)
    rows = graph.op("Shape", tokens.x, start=1, end=2)
    zeros = graph.op("Expand", graph.constant(np.float32(0)), graph.op("Shape", size))
    importance = graph.op("ScatterElements", zeros, group, scores, axis=1, reduction="max")
    index, x = threshold_tokens.ours(graph, importance, least, x, prefix, min_tokens=_LEAST)
    stays = merge.standing(graph, config, group, rows, size)
    return x, graph.op("GatherElements", stays, index, axis=1), graph.op("GatherElements", size, index, axis=1)
