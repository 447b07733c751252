"""Keeps the patch tokens with the highest class attention; one more may stand for the rest (EViT)."""

from __future__ import annotations

from ..config import Reduction, ViTConfig
from ..graph import Graph
from ..operators import top_k_tokens
from .tokens import Tokens

__all__ = ["graph_face", "in_block", "torch_face"]


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, qkv, scores, count: int):
    """scores: (batch, tokens), count: patch tokens to keep -> x, index, size."""
    import torch

    index, x = top_k_tokens.torch_face(scores, count, tokens.x, config.prefix_tokens, reduction.fuse)
    if tokens.size is None:
        return x, index, None
    size = tokens.size.gather(1, index)
    if x.shape[1] > index.shape[1]:
        size = torch.cat([size, tokens.size.sum(1, keepdim=True) - size.sum(1, keepdim=True)], 1)
    return x, index, size


def in_block(reduction: Reduction, config: ViTConfig) -> dict[str, int]:
    """The attributes of the selection inside `EncoderBlock`."""
    return top_k_tokens.attributes(config.prefix_tokens, reduction.fuse)


def graph_face(
    graph: Graph, reduction: Reduction, config: ViTConfig, ours: bool, tokens: Tokens, qkv: str, scores: str, count: str
) -> tuple[str, str, str]:
    """The names of x, index and size. count: shape [1]."""
    face = top_k_tokens.ours if ours else top_k_tokens.stock
    index, x, size = face(graph, scores, count, tokens.x, config.prefix_tokens, reduction.fuse, tokens.size)
    return x, index, size
