"""Drops the patch tokens with the least class attention and merges the next least into the most similar kept ones.

DiffRate's rule (Chen et al. 2023, with its code): similarity is the cosine of the tokens themselves, a kept token
becomes the plain mean of itself and what merges into it, and a merged token's size counts as far as it is similar.
No operator of ours pairs tokens so, and both flavours use ONNX's own.
"""

from __future__ import annotations

import math

import numpy as np

from ..config import Reduction, ViTConfig
from ..graph import Graph
from .tokens import Tokens, graph_sizes

__all__ = ["graph_face", "torch_face"]


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, qkv, scores, count: int):
    """scores: (batch, tokens), count: patch tokens to be left -> x, index, size."""
    import torch
    from torch.nn import functional as F

    prefix, (batch, rows, width) = config.prefix_tokens, tokens.x.shape
    size = torch.ones_like(scores) if tokens.size is None else tokens.size
    merged = math.floor(reduction.merge_share * (rows - prefix - count) + 0.5)
    rank = scores[:, prefix:].argsort(dim=1, descending=True, stable=True) + prefix
    kept, source = rank[:, :count].sort(1).values, rank[:, count : count + merged]
    index = torch.cat([torch.arange(prefix, device=kept.device).expand(batch, prefix), kept], 1)

    def pick(values, places):
        return values.gather(1, places[:, :, None].expand(-1, -1, width))

    y, size_of_kept = pick(tokens.x, index), size.gather(1, index)
    if merged == 0:
        return y, index, size_of_kept
    unit = F.normalize(tokens.x, dim=-1)
    cosine, partner = (pick(unit, source) @ pick(unit, kept).transpose(1, 2)).max(-1)
    partner = partner + prefix
    wide = partner[:, :, None].expand(-1, -1, width)
    y = y.scatter_add(1, wide, pick(tokens.x, source))
    members = torch.ones_like(size_of_kept).scatter_add(1, partner, torch.ones_like(cosine))
    return (
        y / members[:, :, None],
        index,
        size_of_kept.scatter_add(1, partner, size.gather(1, source) * cosine.clamp(0)),
    )


def graph_face(
    graph: Graph, reduction: Reduction, config: ViTConfig, ours: bool, tokens: Tokens, qkv: str, scores: str, count: str
) -> tuple[str, str, str]:
    """The names of x, index and size, for one item. count: shape [1]."""
    zero, one, prefix = graph.integers(0), graph.integers(1), graph.integers(config.prefix_tokens)
    end = graph.integers(np.iinfo(np.int64).max)
    patches = graph.op("Slice", scores, prefix, end, one)
    gone = graph.op("Sub", graph.op("Shape", patches, start=1, end=2), count)
    share = graph.op("Mul", graph.op("Cast", gone, to=11), graph.constant(np.array(reduction.merge_share)))
    merged = graph.op("Cast", graph.op("Floor", graph.op("Add", share, graph.constant(np.array(0.5)))), to=7)
    _, rank = graph.op("TopK", patches, graph.op("Add", count, merged), outputs=2, axis=-1)
    rank = graph.op("Add", graph.op("Squeeze", rank, zero), prefix)
    kept, _ = graph.op("TopK", graph.op("Slice", rank, zero, count, zero), count, outputs=2, axis=-1, largest=0)
    # One more source that weighs nothing: ONNX Runtime's TopK dies of a division by zero where there is none.
    source = graph.op("Concat", graph.op("Slice", rank, count, end, zero), zero, axis=0)
    weight = graph.op("Expand", graph.constant(np.float32(1)), merged)
    weight = graph.op("Concat", weight, graph.constant(np.zeros(1, np.float32)), axis=0)
    index = graph.op("Concat", graph.integers(*range(config.prefix_tokens)), kept, axis=0)

    x = graph.op("Squeeze", tokens.x, zero)
    size = graph.op("Squeeze", graph_sizes(graph, tokens), zero)
    moved, targets = graph.op("Gather", x, source), graph.op("Gather", x, kept)
    cosine = graph.op("MatMul", _unit(graph, moved), graph.op("Transpose", _unit(graph, targets), perm=[1, 0]))
    best, partner = graph.op("TopK", cosine, one, outputs=2, axis=-1)
    best = graph.op("Mul", graph.op("Relu", graph.op("Squeeze", best, one)), weight)
    moved = graph.op("Mul", moved, graph.op("Unsqueeze", weight, one))

    def add(values: str, updates: str) -> str:
        return graph.op("ScatterND", values, graph.op("Add", partner, prefix), updates, reduction="add")

    sums = add(graph.op("Gather", x, index), moved)
    members = add(graph.op("Expand", graph.constant(np.float32(1)), graph.op("Shape", index)), weight)
    size = add(graph.op("Gather", size, index), graph.op("Mul", graph.op("Gather", size, source), best))
    y = graph.op("Div", sums, graph.op("Unsqueeze", members, one))
    return tuple(graph.op("Unsqueeze", value, zero) for value in (y, index, size))


def _unit(graph: Graph, x: str) -> str:
    """x: (rows, width), each row divided by its length."""
    return graph.op("Div", x, graph.op("ReduceL2", x, graph.integers(1), keepdims=1))
