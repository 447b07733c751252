"""hMHSA: attention that computes some maps and makes the others; page: docs/explanation/hallucinated-attention.md.

Xu et al. 2023 (arXiv 2306.10875), of which only the abstract is known to us; the operator's page lists our hypotheses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import Attention, ViTConfig
from ..operators._heads import split_heads
from ..reference import Block
from .least_squares import RIDGE, Moments, Streams, block_of, passing

__all__ = ["hallucinate"]


def hallucinate(
    config: ViTConfig,
    state: dict[str, np.ndarray],
    images: np.ndarray,
    form: Attention | None = None,
    blocks: tuple[int, ...] | None = None,
    ridge: float = RIDGE,
    advance: Callable[[], None] = lambda: None,
) -> tuple[ViTConfig, dict[str, np.ndarray]]:
    """Softmax `blocks` (all but the last, if left out) with attention of this form, fitted to trained heads.

    In each block the heads to compute are those from which the others' outputs can be made best; the made maps are
    least-squares mixes (and convolutions) of them, and the output projection is refitted to what the given model has
    there. `images`: float32 (count, 3, size, size). The last block has one query when exported and gains nothing.
    """
    form = form or Attention("hallucinated", computed_heads=config.heads // 2)
    if form.stage != "post_softmax" or form.renorm == "layernorm":
        raise ValueError(
            "made maps are fitted as sums of maps: expected stage post_softmax and renorm none or row_sum, found "
            f"{form.stage} and {form.renorm}"
        )
    blocks = tuple(range(config.depth - 1)) if blocks is None else blocks
    for b in blocks:
        if config.attention[b].kind != "softmax":
            raise ValueError(f"{config.name}: block {b} is {config.attention[b].kind}; only softmax heads can be mixed")
    attention = tuple(form if b in blocks else a for b, a in enumerate(config.attention))
    compact, state = replace(config, attention=attention), dict(state)
    streams = Streams(config, state, images)
    for number in range(max(blocks) + 1):
        prefix, block = f"blocks.{number}.", None
        if number in blocks:
            arrays = {name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)}
            arrays |= _made_maps(streams, number, form)
            arrays |= _projection(streams, number, block_of(compact, number, arrays), ridge)
            block = block_of(compact, number, arrays)
            state |= {f"{prefix}{name}": array for name, array in arrays.items()}
        streams.advance(number, block)
        advance()
    return compact, state


def _made_maps(streams: Streams, number: int, form: Attention) -> dict[str, np.ndarray]:
    """mix and dw, and the projections in the heads' new order, for the best choice of heads to compute."""
    block = streams.model.blocks[number]
    heads, computed = block.config.heads, form.computed_heads
    grams = sum(_grams(block, passing(block.qkv, block, x)[1], form.dw_kernel) for x in streams.found)
    grams = grams.double().numpy()
    orders = []
    for chosen in combinations(range(heads), computed):
        others = tuple(h for h in range(heads) if h not in chosen)
        # Which computed head a made one is paired with matters to the convolution alone.
        turns = range(computed if form.dw_kernel else 1)
        orders += [chosen[turn:] + chosen[:turn] + others for turn in turns]
    fits = [[_fit(grams[h], order, made, form) for made, h in enumerate(order[computed:])] for order in orders]
    best = min(range(len(orders)), key=lambda i: sum(error for error, _ in fits[i]))
    order, weights = list(orders[best]), np.array([weight for _, weight in fits[best]], np.float32)
    arrays, mixed = {}, computed if form.mix == "cross_head" else 0
    if mixed:
        arrays["mix"] = weights[:, :mixed]
    if form.dw_kernel:
        arrays["dw"] = weights[:, mixed:].reshape(-1, form.dw_kernel, form.dw_kernel)
    rows = np.arange(block.config.width).reshape(heads, -1)
    asked, every = rows[order[:computed]].ravel(), rows[order].ravel()
    kept = np.concatenate([asked, block.config.width + asked, 2 * block.config.width + every])
    arrays |= {f"qkv.{name}": value.numpy()[kept] for name, value in block.qkv.state_dict().items()}
    return arrays | {"proj.weight": np.ascontiguousarray(block.proj.weight.numpy()[:, every])}


def _grams(block: Block, qkv: Tensor, side: int) -> Tensor:
    """Inner products of what each head would give with the maps of the others, shifted ones too, summed over rows.

    (heads, heads * taps, heads * taps): for head h and maps B_i, sum <B_i V_h W_h, B_j V_h W_h>, with map i = r * taps
    + tap of head r moved as the convolution's tap does, the middle one unmoved.
    """
    q, k, v = split_heads(qkv, block.config.heads)
    maps = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)
    side, tokens = max(side, 1), maps.shape[-1]
    padded = F.pad(maps, [side // 2] * 4)
    shifted = [padded[:, :, up : up + tokens, left : left + tokens] for up in range(side) for left in range(side)]
    basis = torch.stack(shifted, 2).flatten(1, 2)
    weight = block.proj.weight.unflatten(1, (block.config.heads, -1))
    grams = []
    for head in range(block.config.heads):
        gives = (basis @ v[:, head : head + 1]).movedim(1, 0).flatten(1, 2)  # (maps, batch * tokens, dim)
        metric = weight[:, head].T @ weight[:, head]
        grams.append((gives @ metric).flatten(1) @ gives.flatten(1).T)
    return torch.stack(grams)


def _fit(gram: np.ndarray, order: tuple[int, ...], made: int, form: Attention) -> tuple[float, np.ndarray]:
    """Squared error and weights of one made map: of the computed ones, then of the taps of its partner."""
    taps, computed = max(form.dw_kernel, 1) ** 2, form.computed_heads
    middle = taps // 2
    chosen = [head * taps + middle for head in order[:computed]] if form.mix == "cross_head" else []
    if form.dw_kernel:
        chosen += range(order[made % computed] * taps, order[made % computed] * taps + taps)
    target = order[computed + made] * taps + middle
    # The unmoved partner may stand in both sums; the solution of least norm shares it between them.
    weights = np.linalg.pinv(gram[np.ix_(chosen, chosen)], rcond=1e-10, hermitian=True) @ gram[chosen, target]
    return float(gram[target, target] - weights @ gram[chosen, target]), weights


def _projection(streams: Streams, number: int, compact: Block, ridge: float) -> dict[str, np.ndarray]:
    """The output projection that brings the compact copy to what the model has after attention."""
    block, moments = streams.model.blocks[number], Moments()
    for found, wanted in zip(streams.found, streams.wanted):
        moments.add(passing(compact.proj, compact, found)[0], wanted + passing(block.proj, block, wanted)[1] - found)
    weight = moments.fit(compact.proj.weight.double().numpy(), ridge)
    return {"proj.weight": weight.astype(np.float32), "proj.bias": moments.bias(weight).astype(np.float32)}
