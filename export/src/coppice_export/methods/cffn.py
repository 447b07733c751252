"""cFFN: the second MLP matrix as two thin ones; page: docs/explanation/compact-ffn.md.

Xu et al. 2023 (arXiv 2306.10875), of which only the abstract is known to us: y = GELU(x W1 + b1) U V + b2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..branches import BATCH_NORM_EPS
from ..config import ViTConfig
from ..reference import VisionTransformer
from .least_squares import RIDGE, Moments, Streams, block_of, passing, reduced_rank

__all__ = ["branched", "factorise"]


def factorise(
    config: ViTConfig,
    state: dict[str, np.ndarray],
    images: np.ndarray | None = None,
    rank: int = 0,
    blocks: tuple[int, ...] | None = None,
    ridge: float = RIDGE,
    advance: Callable[[], None] = lambda: None,
) -> tuple[ViTConfig, dict[str, np.ndarray]]:
    """fc2 of `blocks` (all, if left out) with `rank` (half the width, if 0); from trained weights.

    With photographs, float32 (count, 3, size, size), the factors are those of the least error in the layer's outputs,
    refitted block by block to what the given model has there. Without, the truncated SVD of each matrix.
    """
    rank = rank or config.width // 2
    blocks = tuple(range(config.depth)) if blocks is None else blocks
    if taken := [b for b in blocks if config.rank(b)]:
        raise ValueError(f"{config.name}: fc2 of block {taken[0]} has rank {config.rank(taken[0])} already")
    compact = replace(config, fc2_rank=tuple(rank if b in blocks else config.rank(b) for b in range(config.depth)))
    state = dict(state)
    streams = Streams(config, state, images) if images is not None else None
    for number in range(max(blocks) + 1):
        prefix, block = f"blocks.{number}.", None
        if number in blocks:
            weight, bias = (state.pop(f"{prefix}fc2.{a}").astype(np.float64) for a in ("weight", "bias"))
            covariance = np.eye(config.hidden)
            if streams:
                moments = _moments(streams, number)
                covariance, weight = moments.covariance(ridge), moments.fit(weight, ridge)
            u, v = reduced_rank(weight, covariance, rank)
            bias = moments.bias(v @ u) if streams else bias
            for name, array in (("u.weight", u), ("v.weight", v), ("v.bias", bias)):
                state[f"{prefix}fc2.{name}"] = array.astype(np.float32)
            arrays = {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
            block = block_of(compact, number, arrays)
        if streams:
            streams.advance(number, block)
        advance()
    return compact, state


def _moments(streams: Streams, number: int) -> Moments:
    """Hidden units of the compact copy, and what fc2 should make of them so that the block ends as the model's."""
    block, moments = streams.model.blocks[number], Moments()
    for found, wanted in zip(streams.found, streams.wanted):
        hidden, old, ended = passing(block.fc2, block, found)
        _, _, target = passing(block.fc2, block, wanted)
        moments.add(hidden, target - (ended - old))
    return moments


class _Branch(nn.Module):
    """A linear map, or the identity, and a batch norm or a scale per channel after it."""

    def __init__(self, weight: Tensor | None, channels: int, norm: bool):
        super().__init__()
        self.weight = None if weight is None else nn.Parameter(weight)
        self.norm = nn.BatchNorm1d(channels, eps=BATCH_NORM_EPS) if norm else None
        self.scale = None if norm else nn.Parameter(torch.ones(channels))

    def linear(self, x: Tensor) -> Tensor:
        return x if self.weight is None else F.linear(x, self.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        return y * self.scale if self.norm is None else self.norm(y)


class _Branches(nn.Module):
    """The sum of some branches in the place of one linear layer; x: (batch, tokens, in) -> (batch, tokens, out)."""

    def __init__(self, layer: nn.Linear, count: int, norm: bool, generator: torch.Generator):
        super().__init__()
        weight, channels = layer.weight.detach(), layer.out_features
        identity = layer.in_features == channels
        noise = torch.randn(count, *weight.shape, generator=generator) * weight.std() / 4
        whole = weight - torch.eye(channels) if identity else weight
        parts = [whole / count + n for n in noise - noise.mean(0)]
        self.branches = nn.ModuleList(_Branch(part, channels, norm) for part in [*parts, *[None] * identity])
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        y = sum(branch(rows) for branch in self.branches).unflatten(0, x.shape[:2])
        return y if self.bias is None else y + self.bias

    def measure(self, x: Tensor) -> None:
        """Give the batch norms the statistics of these inputs, and the gains and shifts that undo them."""
        for branch in self.branches:
            if branch.norm is not None:
                variance, mean = torch.var_mean(branch.linear(x.flatten(0, 1)), 0, correction=0)
                norm = branch.norm
                norm.running_mean.copy_(mean), norm.running_var.copy_(variance)
                norm.weight.copy_((variance + norm.eps).sqrt()), norm.bias.copy_(mean)


def branched(
    model: VisionTransformer, count: int = 2, images: np.ndarray | None = None, seed: int = 0
) -> VisionTransformer:
    """A copy to train whose factors are sums of `count` branches, and of the identity where the rank is the width.

    It computes what the model computes until it is trained. With photographs, float32 (images, 3, size, size), each
    branch ends in a batch norm of their statistics, else in a scale per channel. `merge_branches`, which every reader
    of weights applies, makes plain factors of its state dict again.
    """
    model, generator = copy.deepcopy(model).eval(), torch.Generator().manual_seed(seed)
    handles = []
    for number, block in enumerate(model.blocks):
        if model.config.rank(number):
            for name in ("u", "v"):
                layer = _Branches(getattr(block.fc2, name), count, images is not None, generator)
                setattr(block.fc2, name, layer.eval())
                handles.append(layer.register_forward_pre_hook(lambda layer, inputs: layer.measure(inputs[0])))
    if images is not None:
        with torch.no_grad():
            model(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    return model
