"""What one block hands to the next."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..graph import Graph

__all__ = ["Tokens", "graph_sizes"]


class Tokens(NamedTuple):
    """PyTorch tensors, or the names of values in a graph.

    x: (batch, tokens, width). positions: (batch, tokens), the place of each in the full grid; "" in a graph where token
    i is at place i. size: (batch, tokens), how many original tokens each stands for; None or "" where that is 1.
    """

    x: Any
    positions: Any
    size: Any


def graph_sizes(graph: Graph, tokens: Tokens) -> str:
    """The name of the sizes, ones where none are known."""
    if tokens.size:
        return tokens.size
    shape = graph.op("Shape", tokens.x, start=0, end=2)
    return graph.op("Expand", graph.constant(np.float32(1)), shape)
