"""Keeps the same places in every picture: queries of those rows, keys and values of all (Patch Slimming)."""

from __future__ import annotations

import numpy as np

from ..config import Reduction, ViTConfig
from ..graph import Graph
from .tokens import Tokens

__all__ = ["graph_face", "torch_face"]


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, qkv, size, count: None):
    """index: (batch, rows)."""
    import torch

    index = torch.tensor(config.static_index(reduction), device=tokens.x.device)
    return index.expand(len(tokens.x), -1)


def graph_face(
    graph: Graph, reduction: Reduction, config: ViTConfig, ours: bool, tokens: Tokens, qkv: str, size: str, count: str
) -> tuple[str, str]:
    """The names of those rows of x, and of index."""
    index = np.array(config.static_index(reduction), np.int64)
    return graph.op("Gather", tokens.x, graph.constant(index), axis=1), graph.constant(index[None])
