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

    Where items of a batch have different numbers of tokens, rows of size 0 at place -1 fill up the shorter ones: no
    attention, score or mean counts them.
    """

    x: Any
    positions: Any
    size: Any

    def left(self, x, index, size) -> Tokens:
        """What a PyTorch face leaves of these; rows beyond the index are at place -1."""
        from torch.nn import functional as F

        positions = self.positions.gather(1, index)
        return Tokens(x, F.pad(positions, (0, x.shape[1] - index.shape[1]), value=-1), size)

    def rows(self, index) -> Tokens:
        """Those of these PyTorch tokens that index (batch, rows) names; -1 fills up an item that has fewer."""
        from torch import ones_like

        there, index = index >= 0, index.clamp_min(0)
        size = None if self.size is None else self.size.gather(1, index)
        if not there.all():
            size = (ones_like(self.x[:, :1, 0]) if size is None else size) * there
        x = self.x.gather(1, index[:, :, None].expand(-1, -1, self.x.shape[2]))
        return Tokens(x, self.positions.gather(1, index).where(there, -1), size)


def graph_sizes(graph: Graph, tokens: Tokens) -> str:
    """The name of the sizes, ones where none are known."""
    if tokens.size:
        return tokens.size
    shape = graph.op("Shape", tokens.x, start=0, end=2)
    return graph.op("Expand", graph.constant(np.float32(1)), shape)
