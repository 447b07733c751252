"""LTMP's training pass: no token is removed, and a mask that has a gradient says which are left.

Bonnaerens and Dambre 2023 (arXiv 2307.10780), section 3.3; page: docs/explanation/ltmp.md. Forward, the mask is 0 or 1
and what is read equals what the graph computes; backward, a threshold moves by the sigmoid in its place.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..cost import block_macs, model_macs
from ..operators._heads import merge_heads, split_heads
from ..reductions.merge import keys
from ..reference import Block, VisionTransformer

__all__ = ["soft_pass"]

TEMPERATURE = 0.1


class _Masked(NamedTuple):
    """x: (batch, tokens, width). size, left: (batch, tokens), what each stands for, and 1 where it is left.

    place: (batch, tokens), its number among those that are left: which pairs may merge depends on it.
    """

    x: Tensor
    size: Tensor
    left: Tensor
    place: Tensor


def soft_pass(model: VisionTransformer, image: Tensor, merge: Tensor, prune: Tensor) -> tuple[Tensor, Tensor]:
    """image: (batch, 3, size, size) -> what the head reads (batch, pooled width), multiply-adds (batch).

    merge, prune: (depth), the cosine above which a token merges, and the attention it must receive to stay, as a
    multiple of 1 / tokens; only those of blocks with a `threshold` reduction count.
    """
    config, tokens = model.config, model.embed(image)
    ones = torch.ones_like(tokens.x[:, :, 0])
    state = _Masked(tokens.x, ones, ones, tokens.positions)
    shape, all_tokens = (config.width, config.heads, config.hidden), config.tokens
    macs = torch.full_like(ones[:, 0], model_macs(replace(config, reductions=()), ()))
    for number, block in enumerate(model.blocks):
        entered = state.left.sum(1)
        reduces = config.reduction(number) is not None
        state = _block(block, state, (merge[number], prune[number]) if reduces else None)
        rest = config.attention[number], *shape
        rows = config.head_rows if number == config.depth - 1 and not reduces else None
        goes_on = rows or state.left.sum(1)
        macs = macs + block_macs(*rest, entered, rows or entered, goes_on, config.rank(number))
        macs = macs - block_macs(*rest, all_tokens, rows or all_tokens, rows or all_tokens, config.rank(number))
    return model.pooled(tokens._replace(x=state.x, size=state.size * state.left)), macs


def _passes(value: Tensor, threshold: Tensor) -> Tensor:
    """1 where value > threshold, else 0; the gradient is that of a sigmoid (straight-through)."""
    soft = torch.sigmoid((value - threshold) / TEMPERATURE)
    return (value > threshold).float() + (soft - soft.detach())


def _block(block: Block, state: _Masked, thresholds: tuple[Tensor, Tensor] | None) -> _Masked:
    qkv = block.qkv(block.norm1(state.x))
    q, k, v = split_heads(qkv, block.config.heads)
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    weights = (logits - logits.amax(-1, keepdim=True)).exp() * (state.size * state.left)[:, None, None]
    weights = weights / weights.sum(-1, keepdim=True)
    state = state._replace(x=state.x + block.proj(merge_heads(weights @ v)))
    if thresholds:
        asked = state.left / state.left.sum(1, keepdim=True)
        received = (weights.mean(1) * asked[:, :, None]).sum(1)
        state, received = _merged(block, state, keys(block.config, qkv), received.detach(), thresholds[0])
        state = _pruned(block, state, received, thresholds[1])
    return state._replace(x=state.x + block.fc2(F.gelu(block.fc1(block.norm2(state.x)))))


def _merged(block: Block, state: _Masked, metric: Tensor, received: Tensor, threshold: Tensor):
    """The tokens after merging, those at even places into those at odd ones, and what each now receives."""
    x, size, left, place = state
    free = (left > 0) & (place >= block.config.prefix_tokens)
    sources, targets = free & (place % 2 == 0), free & (place % 2 == 1)
    unit = F.normalize(metric, dim=-1)
    cosine = (unit @ unit.transpose(1, 2)).detach().masked_fill(~targets[:, None], -1)
    best, partner = cosine.max(-1)
    merges = _passes(best, threshold) * sources
    moved = merges * size
    wide = partner[:, :, None].expand_as(x)
    total = size.scatter_add(1, partner, moved)
    x = (x * size[:, :, None]).scatter_add(1, wide, x * moved[:, :, None]) / total[:, :, None]
    received = received.scatter_reduce(1, partner, received * (merges > 0), "amax")
    # Where something merged, sources that are left come first; otherwise nothing moves.
    order = place + block.config.tokens * (targets & (merges > 0).any(1, keepdim=True))
    return _placed(_Masked(x, total, left * (1 - merges), order)), received


def _pruned(block: Block, state: _Masked, received: Tensor, threshold: Tensor) -> _Masked:
    prefix, patches = block.config.prefix_tokens, received.masked_fill(state.left <= 0, -1)
    stays = state.place < prefix
    best = patches.masked_fill(stays, -1).argmax(1, keepdim=True)
    passes = _passes(received * block.config.tokens, threshold)
    # A picture of which nothing is important keeps its best patch, as reductions/threshold.py does.
    nothing = ((passes > 0) & (state.left > 0) & ~stays).sum(1, keepdim=True) == 0
    stays = stays | torch.zeros_like(stays).scatter(1, best, nothing)
    return _placed(state._replace(left=state.left * torch.where(stays, 1, passes)))


def _placed(state: _Masked) -> _Masked:
    """The places counted anew over what is left, in their order."""
    last = state.place.masked_fill(state.left <= 0, torch.iinfo(torch.int64).max)
    return state._replace(place=last.argsort(stable=True).argsort())
