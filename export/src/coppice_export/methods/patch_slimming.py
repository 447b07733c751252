"""Patch Slimming: which patches each block keeps, the same for every picture; page: docs/explanation/patch-slimming.md.

Tang et al. 2022 (arXiv 2106.02852): blocks are slimmed from the last to the first. A block keeps what the next one
keeps and as many of the patches that matter most to the class token as it takes to leave the next block unharmed.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional as F

from ..config import ViTConfig
from ..operators._heads import merge_heads, split_heads
from ..reference import Block, VisionTransformer
from ..slimming import Slimming, fingerprint

__all__ = ["Recipe", "path_energy", "slim", "slim_block"]

_log = logging.getLogger(__name__)

METRIC = "squared error of the next block's kept rows / their squared norm"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result besides model and photographs; stored beside it.

    `step` (r0), `epochs` and `tolerance` (eps: 0.01, 0.02) are the paper's, at its own, unstated norm of the error. The
    subset, the rate, the batch and that weights carry over from one step to the next are ours.
    """

    tolerance: float = 0.02
    step: int = 10  # patches added at a time
    epochs: int = 3  # over the photographs, after each step
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    batch: int = 32
    scored: int = 64  # photographs whose mean score ranks the patches
    seed: int = 0


def path_energy(maps: Tensor, inputs: Tensor, later: list[Tensor]) -> Tensor:
    """How much of each token of a block reaches the end: the mean over photographs, (tokens).

    maps: (batch, heads, tokens, tokens), the block's attention. inputs: (batch, tokens, width), what the block is
    given. later: the attention of the blocks after it, (batch, heads, rows, columns), whose rows are the tokens that
    are kept there and whose columns those that are kept before it; all tokens for the first of them.

    s_i = sum over head paths of |A[:, i] U[i, :]|², with A the product of later maps along a path and U = P |Z|. As
    |a bᵀ|² = |a|² |b|², paths need not be listed: with G = I, then G <- sum_h Pᵀ G P from the last block down, s_i =
    G_ii sum_h |U[i, :]|². Dividing by the heads at each step keeps numbers bounded and the order as it is.
    """
    reach = None
    for block in reversed(later):
        kept = block if reach is None else reach[:, None] @ block
        reach = (block.transpose(-1, -2) @ kept).mean(1)
    energy = (maps @ inputs.abs()[:, None]).square().sum((1, 3))
    return (torch.diagonal(reach, dim1=1, dim2=2) * energy).mean(0)


def slim_block(block: Block, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """x: (batch, tokens, width), rows: (kept) -> those rows of the block's output, and the maps of these queries.

    Keys and values are of all incoming tokens; whatever follows works row by row, so that the kept rows equal those of
    the whole block.
    """
    q, k, v = split_heads(block.qkv(block.norm1(x)), block.config.heads)
    maps = torch.softmax(q[:, :, rows] @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)
    x = x[:, rows] + block.proj(merge_heads(maps @ v))
    return x + block.fc2(F.gelu(block.fc1(block.norm2(x)))), maps


def slim(
    config: ViTConfig, state: dict[str, np.ndarray], images: np.ndarray, recipe: Recipe, folder: Path
) -> tuple[Slimming, dict[str, np.ndarray]]:
    """The patches to keep and the weights fitted to them; images: float32 (count, 3, size, size).

    `folder` holds the blocks done so far; the same call goes on from there, another one is refused.
    """
    return _Search(config, state, images, recipe, folder).run()


class _Search:
    def __init__(self, config: ViTConfig, state: dict, images: np.ndarray, recipe: Recipe, folder: Path):
        if config.pooling != "class" or config.reduce_at:
            raise ValueError(
                f"{config.name}: Patch Slimming starts from the class token of a model that reduces nothing else, "
                f"found pooling {config.pooling} and {len(config.reduce_at)} reductions"
            )
        if wrong := [b for b, a in enumerate(config.attention) if a.kind != "softmax"]:
            raise ValueError(f"{config.name}: expected softmax attention, block {wrong[0]} has another")
        if not len(images):
            raise ValueError(f"{config.name}: expected photographs to score the patches by, found none")
        self.config, self.recipe, self.source, self.folder = config, recipe, state, folder
        self.model = VisionTransformer(config).eval()
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
        self.model.requires_grad_(False)
        self.identity = fingerprint(state | {"photographs": images}) + json.dumps(asdict(recipe))
        self.streams = self._dense(torch.from_numpy(images))
        self.blocks = list(self.model.blocks)  # from the last on, those that have been fitted
        self.keep: dict[int, list[int]] = {config.depth - 1: list(range(config.prefix_tokens))}
        self.errors: dict[int, float] = {config.depth - 1: 0.0}

    def _dense(self, images: Tensor) -> list[Tensor]:
        """What each block of the model is given, and what the last one gives: depth + 1 of (count, tokens, width)."""
        every = torch.arange(self.config.tokens)
        parts = []
        for batch in images.split(self.recipe.batch):
            x = self.model.embed(batch).x
            parts.append([x] + [x := slim_block(block, x, every)[0] for block in self.model.blocks])
        return [torch.cat(stream) for stream in zip(*parts)]

    def run(self) -> tuple[Slimming, dict[str, np.ndarray]]:
        self._resume()
        depth = self.config.depth
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, TextColumn("{task.fields[note]}"), disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("slim", total=depth - 1, completed=len(self.keep) - 1, note="")
            for block in range(depth - 1 - len(self.keep), -1, -1):
                self._slim(block, lambda note: progress.update(task, note=note))
                self._save()
                progress.advance(task)
        state = dict(self.source)
        for number, block in enumerate(self.blocks):
            state |= {f"blocks.{number}.{name}": value.detach().numpy() for name, value in block.state_dict().items()}
        keep, errors = (tuple(found[b] for b in range(depth)) for found in (self.keep, self.errors))
        return Slimming(
            tuple(tuple(rows) for rows in keep),
            errors,
            METRIC,
            fingerprint(state),
            fingerprint(self.source),
            self.config.tokens,
            self.config.prefix_tokens,
            len(self.streams[0]),
            asdict(self.recipe),
        ), state

    def _slim(self, number: int, note) -> None:
        """Grow this block's set from the next one's until the next one's kept rows are right."""
        recipe, block = self.recipe, copy.deepcopy(self.blocks[number]).requires_grad_(True)
        optimizer = torch.optim.AdamW(block.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
        generator = torch.Generator().manual_seed(recipe.seed * self.config.depth + number)
        score = self._score(number, generator)
        following = self.keep[number + 1]
        score[following] = -1  # they are kept anyway; energies are not negative
        best = torch.argsort(score, descending=True, stable=True).tolist()[: self.config.tokens - len(following)]
        for added in range(0, len(best) + recipe.step, recipe.step):
            rows = torch.tensor(sorted([*following, *best[:added]]))
            for _ in range(recipe.epochs):
                for pick in torch.randperm(len(self.streams[0]), generator=generator).split(recipe.batch):
                    optimizer.zero_grad()
                    wrong, norm = self._error(number, block, rows, pick)
                    (wrong / norm).backward()
                    optimizer.step()
            with torch.no_grad():
                parts = [
                    self._error(number, block, rows, pick)
                    for pick in torch.arange(len(self.streams[0])).split(recipe.batch)
                ]
            error = float(sum(wrong for wrong, _ in parts) / sum(norm for _, norm in parts))
            note(f"block {number}: {len(rows)} tokens, error {error:.4f}")
            _log.info("block %d: %d tokens, error %.5f", number, len(rows), error)
            if error <= recipe.tolerance:
                break
        self.blocks[number] = block.requires_grad_(False)
        self.keep[number], self.errors[number] = rows.tolist(), error

    def _score(self, number: int, generator: torch.Generator) -> Tensor:
        """Path energy of the block's tokens over a random subset: blocks up to this one whole, later ones slim."""
        subset = torch.randperm(len(self.streams[0]), generator=generator)[: self.recipe.scored]
        every, total = torch.arange(self.config.tokens), torch.zeros(self.config.tokens, dtype=torch.float64)
        with torch.no_grad():
            for pick in subset.split(self.recipe.batch):
                inputs = self.streams[number][pick]
                _, maps = slim_block(self.blocks[number], inputs, every)
                x, incoming, later = self.streams[number + 1][pick], every, []
                for after in range(number + 1, self.config.depth):
                    kept = torch.tensor(self.keep[after])
                    x, weights = slim_block(self.blocks[after], x, torch.searchsorted(incoming, kept))
                    later.append(weights)
                    incoming = kept
                total += path_energy(maps, inputs, later).double() * len(pick)
        return total / len(subset)

    def _error(self, number: int, block: Block, rows: Tensor, pick: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error of the next block's kept rows against the dense model, and their squared norm."""
        following = torch.tensor(self.keep[number + 1])
        x, _ = slim_block(block, self.streams[number][pick], rows)
        found, _ = slim_block(self.blocks[number + 1], x, torch.searchsorted(rows, following))
        wanted = self.streams[number + 2][pick][:, following]
        return (found - wanted).square().sum(), wanted.square().sum()

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        done = {str(b): self.blocks[b].state_dict() for b in self.keep}
        content = {"identity": self.identity, "keep": self.keep, "errors": self.errors, "blocks": done}
        torch.save(content, self.folder / "checkpoint.part")
        (self.folder / "checkpoint.part").replace(self.folder / "checkpoint.pt")

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        saved = torch.load(path, weights_only=True)
        if saved["identity"] != self.identity:
            raise ValueError(
                f"{path} belongs to another search (model, photographs or recipe differ): choose another folder, or "
                "remove it to start anew"
            )
        self.keep, self.errors = saved["keep"], saved["errors"]
        for number, arrays in saved["blocks"].items():
            self.blocks[int(number)] = copy.deepcopy(self.blocks[int(number)])
            self.blocks[int(number)].load_state_dict(arrays)
