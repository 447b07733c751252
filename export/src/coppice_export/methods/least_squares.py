"""Layer-wise least squares: refits one linear layer at a time so that a compact model follows the dense one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ..config import ViTConfig
from ..reductions import Tokens
from ..reference import Block, VisionTransformer

__all__ = ["RIDGE", "Moments", "Streams", "block_of", "passing", "reduced_rank"]

# Of the mean variance of a layer's inputs: what rarely varies among the photographs stays near its trained weights.
RIDGE = 1e-3
BATCH = 32  # photographs at a time; the moments do not depend on it but for rounding


class Moments:
    """Sums over rows x: (rows, p) and wanted y: (rows, q), in float64; the rows themselves are not kept."""

    def __init__(self) -> None:
        self.rows, self.x, self.y, self.xx, self.xy = 0, 0, 0, 0, 0

    def add(self, x: Tensor, y: Tensor) -> None:
        """x: (..., p), y: (..., q)."""
        x, y = (t.flatten(0, -2).double().numpy() for t in (x, y))
        self.rows += len(x)
        self.x, self.y = self.x + x.sum(0), self.y + y.sum(0)
        self.xx, self.xy = self.xx + x.T @ x, self.xy + x.T @ y

    def covariance(self, ridge: float) -> np.ndarray:
        """Of x about its mean, plus `ridge` times its mean variance on the diagonal: (p, p)."""
        covariance = self.xx / self.rows - np.outer(self.x, self.x) / self.rows**2
        return covariance + ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))

    def fit(self, prior: np.ndarray, ridge: float) -> np.ndarray:
        """The weight W: (q, p) that minimises |x Wᵀ + b - y|² + ridge var(x) |W - prior|², for the best b."""
        covariance = self.covariance(ridge)
        cross = self.xy / self.rows - np.outer(self.x, self.y) / self.rows**2
        spread = covariance - self.covariance(0)
        return np.linalg.solve(covariance, cross + spread @ prior.T).T

    def bias(self, weight: np.ndarray) -> np.ndarray:
        """The best b: (q) beside a weight: the means of both sides are equal."""
        return (self.y - weight @ self.x) / self.rows


def reduced_rank(weight: np.ndarray, covariance: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """u: (rank, p), v: (q, rank) with the least |x weightᵀ - x (v u)ᵀ|² over x of this covariance.

    Truncated SVD of the outputs (reduced-rank regression): v holds their leading principal directions. With the
    identity as covariance it is the truncated SVD of `weight`: (q, p) itself.
    """
    _, directions = np.linalg.eigh(weight @ covariance @ weight.T)
    v = directions[:, ::-1][:, :rank]
    return v.T @ weight, v


class Streams:
    """Calibration photographs on their way through a model, `wanted`, and through its compact copy, `found`.

    Block by block, in batches: a layer is refitted where the compact copy stands, to what the model has there, so that
    later blocks make up for earlier ones. Token reductions are left out, as their budgets are free.
    """

    def __init__(self, config: ViTConfig, state: dict[str, np.ndarray], images: np.ndarray):
        """images: float32 (count, 3, size, size), preprocessed."""
        if len(images) < 2:
            raise ValueError(f"calibration: expected at least 2 photographs for a covariance, found {len(images)}")
        self.model = VisionTransformer(replace(config, reductions=())).eval().requires_grad_(False)
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
        self.wanted = [self.model.embed(batch).x for batch in torch.from_numpy(images).split(BATCH)]
        self.found = list(self.wanted)

    def advance(self, number: int, compact: Block | None = None) -> None:
        """Past one block, which the compact copy has as it is, or as `compact`."""
        block = self.model.blocks[number]
        self.found = [_run(compact or block, x) for x in self.found]
        self.wanted = [_run(block, x) for x in self.wanted]


def block_of(config: ViTConfig, number: int, arrays: dict[str, np.ndarray]) -> Block:
    """One block alone, whose arrays go without the block's name; those of a reduction are not its own."""
    block = Block(replace(config, reductions=()), number).eval().requires_grad_(False)
    block.load_state_dict({name: torch.from_numpy(arrays[name]) for name in block.state_dict()})
    return block


def passing(layer: nn.Module, block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What goes into a layer and comes out of it when the block is given x, and what the block gives."""
    seen = []
    handle = layer.register_forward_hook(lambda _, inputs, output: seen.extend((inputs[0], output)))
    y = _run(block, x)
    handle.remove()
    return seen[0], seen[1], y


def _run(block: Block, x: Tensor) -> Tensor:
    return block(Tokens(x, torch.arange(x.shape[1]).expand(len(x), -1), None)).x
