"""Merges the patch tokens with the most similar keys, in pairs of an even and an odd one (ToMe)."""

from __future__ import annotations

import numpy as np

from ..config import Reduction, ViTConfig
from ..graph import Graph
from ..operators import merge_tokens
from .tokens import Tokens, graph_sizes

__all__ = ["graph_face", "in_block", "keys", "merges", "standing", "torch_face"]


def keys(config: ViTConfig, qkv):
    """qkv: (batch, tokens, 3 * width) -> the mean key of all heads (batch, tokens, dim)."""
    batch, rows, _ = qkv.shape
    return qkv.reshape(batch, rows, 3, config.heads, -1)[:, :, 1].mean(2)


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, qkv, scores, count: int):
    """qkv: (batch, tokens, 3 * width), count: patch tokens to be left -> x, index, size."""
    metric = keys(config, qkv)
    size = metric.new_ones(metric.shape[:2]) if tokens.size is None else tokens.size
    merged = metric.shape[1] - config.prefix_tokens - count
    x, size, _, index = merge_tokens.torch_face(tokens.x, metric, merged, size, config.prefix_tokens)
    return x, index, size


def in_block(reduction: Reduction, config: ViTConfig) -> dict[str, int]:
    """The attributes of the selection inside `EncoderBlock`."""
    return {"prefix_tokens": config.prefix_tokens}


def merges(graph: Graph, config: ViTConfig, x: str, count: str) -> tuple[str, str]:
    """How many tokens x has, and how many merge so that `count` patch tokens are left."""
    rows = graph.op("Shape", x, start=1, end=2)
    return rows, graph.op("Sub", graph.op("Sub", rows, graph.integers(config.prefix_tokens)), count)


def graph_face(
    graph: Graph, reduction: Reduction, config: ViTConfig, ours: bool, tokens: Tokens, qkv: str, scores: str, count: str
) -> tuple[str, str, str]:
    """The names of x, index and size. count: shape [1]."""
    prefix, width = config.prefix_tokens, config.width
    rows, merged = merges(graph, config, tokens.x, count)
    if ours:
        x, size, group = merge_tokens.ours(graph, tokens.x, qkv, merged, tokens.size, prefix, num_heads=config.heads)
        return x, standing(graph, config, group, rows, size), size
    if prefix > 1:
        raise ValueError("the stock flavour merges behind one prefix token at most; compare with PyTorch")
    metric = graph.op("Slice", qkv, graph.integers(width), graph.integers(2 * width), graph.integers(2))
    metric = graph.op("Reshape", metric, graph.integers(1, -1, config.heads, width // config.heads))
    metric = graph.op("ReduceMean", metric, graph.integers(2), keepdims=0)
    half = graph.op("Div", graph.op("Sub", rows, graph.integers(prefix)), graph.integers(2))
    merged = graph.op("Min", merged, half)
    x, size, index = merge_tokens.stock(graph, tokens.x, metric, merged, graph_sizes(graph, tokens), width, prefix)
    return _unmoved(graph, config, merged, x, index, size)


def _unmoved(graph: Graph, config: ViTConfig, merged: str, x: str, index: str, size: str) -> tuple[str, str, str]:
    """Where nothing merged, the tokens back in the order they came in, or other pairs would meet in the next block."""
    left = graph.op("Shape", index, start=1, end=2)
    numbers = graph.constant(np.arange(config.tokens, dtype=np.int64)[None])
    numbers = graph.op("Slice", numbers, graph.integers(0), left, graph.integers(1))
    key = graph.op("Where", graph.op("Equal", merged, graph.integers(0)), index, numbers)
    _, order = graph.op("TopK", key, left, outputs=2, axis=-1, largest=0)
    x = graph.op("Gather", x, graph.op("Squeeze", order, graph.integers(0)), axis=1)
    return x, *(graph.op("GatherElements", value, order, axis=1) for value in (index, size))


def standing(graph: Graph, config: ViTConfig, group: str, rows: str, size: str) -> str:
    """The incoming token at whose place each row stands: the target, or the only one.

    Of a row's tokens only the target is odd, so the largest of token + tokens * (token mod 2) is the target's.
    """
    token = np.arange(config.tokens, dtype=np.int64)
    rank = graph.constant((token + config.tokens * (token % 2))[None])
    rank = graph.op("Slice", rank, graph.integers(0), rows, graph.integers(1))
    zeros = graph.op("Expand", graph.integers(0), graph.op("Shape", size))
    highest = graph.op("ScatterElements", zeros, group, rank, axis=1, reduction="max")
    return graph.op("Mod", highest, graph.integers(config.tokens))
