"""Drops the patch tokens with the least class attention and merges the next least into the most similar kept ones.

DiffRate's rule (Chen et al. 2023, with its code): similarity is the cosine of the tokens themselves, a kept token
becomes the plain mean of itself and what merges into it, and a merged token's size counts as far as it is similar.
"""

from __future__ import annotations

from ..config import Reduction, ViTConfig
from ..graph import Graph
from ..operators import prune_merge_tokens
from .tokens import Tokens, graph_sizes

__all__ = ["graph_face", "in_block", "torch_face"]


def _options(reduction: Reduction, config: ViTConfig) -> dict[str, int | float | str]:
    return {"prefix": config.prefix_tokens, "merge_share": reduction.merge_share, "rank": reduction.rank}


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, qkv, scores, count: int):
    """scores: (batch, tokens), count: patch tokens to be left -> x, index, size."""
    options = _options(reduction, config)
    index, x, size = prune_merge_tokens.torch_face(scores, count, tokens.x, tokens.size, **options)
    return x, index, size


def in_block(reduction: Reduction, config: ViTConfig) -> dict[str, int | float | str]:
    """The attributes of the selection inside `EncoderBlock`."""
    return prune_merge_tokens.attributes(**_options(reduction, config))


def graph_face(
    graph: Graph, reduction: Reduction, config: ViTConfig, ours: bool, tokens: Tokens, qkv: str, scores: str, count: str
) -> tuple[str, str, str]:
    """The names of x, index and size, for one item. count: shape [1]."""
    face = prune_merge_tokens.ours if ours else prune_merge_tokens.stock
    size = tokens.size if ours else graph_sizes(graph, tokens)
    index, x, size = face(graph, scores, count, tokens.x, size, **_options(reduction, config))
    return x, index, size
