"""The packed projection, taken apart and put together again. Works on numpy arrays and torch tensors alike."""

from __future__ import annotations

from ..graph import Graph


def split_heads(qkv, heads: int):
    """qkv: (batch, tokens, 3 * width) -> q, k, v: (batch, heads, tokens, dim)."""
    batch, tokens, width3 = qkv.shape
    parts = qkv.reshape(batch, tokens, 3, heads, width3 // (3 * heads))
    return tuple(parts[:, :, i].swapaxes(1, 2) for i in range(3))


def merge_heads(y):
    """y: (batch, heads, tokens, dim) -> (batch, tokens, width)."""
    batch, heads, tokens, dim = y.shape
    return y.swapaxes(1, 2).reshape(batch, tokens, heads * dim)


def stock_heads(graph: Graph, qkv: str, heads: int, width: int) -> list[str]:
    """The same as standard operators: q, k, v of shape (1, heads, tokens, dim)."""
    parts = graph.op("Reshape", qkv, graph.integers(1, -1, 3, heads, width // heads))
    parts = graph.op(
        "Split", graph.op("Transpose", parts, perm=[2, 0, 3, 1, 4]), graph.integers(1, 1, 1), outputs=3, axis=0
    )
    return [graph.op("Squeeze", part, graph.integers(0)) for part in parts]


def stock_merge(graph: Graph, y: str, width: int) -> str:
    return graph.op("Reshape", graph.op("Transpose", y, perm=[0, 2, 1, 3]), graph.integers(1, -1, width))
