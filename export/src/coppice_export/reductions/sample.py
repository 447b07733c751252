"""Keeps the tokens at even steps of the summed class attention: queries of those rows, keys and values of all.

With linear attention and `rule=cdf` this is e-attention, with softmax and `rule=ats` it is ATS.
"""

from __future__ import annotations

from ..config import Reduction, ViTConfig
from ..graph import Graph
from ..operators import sample_tokens, token_scores
from .tokens import Tokens

__all__ = ["graph_face", "in_block", "torch_face"]


def _form(reduction: Reduction) -> dict:
    """Each head's row sums to 1 over the patches, or the sum is over all that heads and values give."""
    return {"value_norm": int(reduction.value_norm), "renormalise": "total" if reduction.value_norm else "per_head"}


def in_block(reduction: Reduction, config: ViTConfig) -> dict[str, int | str]:
    """The attributes of the scores and of the selection inside `EncoderBlock`."""
    return _form(reduction) | {"prefix_tokens": config.prefix_tokens, "rule": reduction.rule}


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, qkv, size, count: int):
    """qkv: (batch, tokens, 3 * width), count: sample points -> index (batch, rows), -1 where an item keeps fewer."""
    prefix, present = config.prefix_tokens, None if size is None else (size > 0).sum(1)
    scores = token_scores.torch_face(qkv, config.heads, size, **_form(reduction), prefix=prefix)
    return sample_tokens.torch_face(scores, count, tokens.x, prefix, reduction.rule, present)[0]


def graph_face(
    graph: Graph, reduction: Reduction, config: ViTConfig, ours: bool, tokens: Tokens, qkv: str, size: str, count: str
) -> tuple[str, str]:
    """The names of the rows of x that are kept, and of index. count: shape [1]."""
    prefix, heads = config.prefix_tokens, config.heads
    if ours:
        scores = token_scores.ours(graph, qkv, heads, size, prefix_tokens=prefix, **_form(reduction))
        index, x = sample_tokens.ours(graph, scores, count, tokens.x, prefix, rule=reduction.rule)
        return x, index
    if reduction.rule != "cdf":
        raise ValueError(
            f"the stock flavour samples by the rule cdf alone, found {reduction.rule}; compare with PyTorch"
        )
    scores = token_scores.stock(
        graph, qkv, heads, config.width, prefix, size, reduction.value_norm, not reduction.value_norm
    )
    index, x = sample_tokens.stock(graph, scores, count, tokens.x, prefix)
    return x, index
