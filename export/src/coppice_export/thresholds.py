"""Learns LTMP's thresholds, and nothing else, for a share of the multiply-adds: `coppice-export thresholds`.

The teacher is the model itself with all its tokens, so no label is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .checkpoint import SourceError
from .config import Reduction, ViTConfig
from .cost import model_macs
from .distill import distillation_loss
from .divergence import reference_of
from .examination import Examination
from .methods import ltmp
from .methods.soft_thresholds import soft_pass
from .optimizer import descend, learning_rate, progress_bar
from .photographs import Photograph
from .run_folder import RunFolder
from .views import as_on_board

__all__ = ["Recipe", "learn"]


BETAS = 0.8, 0.95  # Adam's memory is short, as steps are few


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result besides the model and the photographs; stored beside it.

    `share`: of the dense model's multiply-adds as papers count them. `held_out` photographs are never learned from.
    `budget_weight`: of the squared difference of shares in the loss (10 in the paper, beside the cross-entropy with
    labels; a divergence from the dense model is smaller).
    """

    share: float
    seed: int = 0
    held_out: int = 64
    epochs: int = 1
    batch: int = 8
    learning_rate: float = 0.02
    warmup_steps: int = 5
    feature_weight: float = 1.0
    budget_weight: float = 100.0


class _Thresholds(nn.Module):
    """merge, prune: (depth), in the units of `soft_pass`."""

    def __init__(self, depth: int):
        super().__init__()
        self.merge = nn.Parameter(torch.full((depth,), Reduction.merge_threshold))
        self.prune = nn.Parameter(torch.full((depth,), Reduction.prune_threshold))

    def applied(self, dense: ViTConfig) -> ViTConfig:
        return ltmp.preset(dense, list(zip(self.merge.tolist(), (self.prune / dense.tokens).tolist())))


def learn(
    dense: ViTConfig,
    state: dict[str, np.ndarray],
    photographs: Sequence[Photograph],
    out: Path,
    recipe: Recipe,
    checkpoint_steps: int = 10,
) -> tuple[ViTConfig, list[dict]]:
    """The configuration with learned thresholds; the curve has a row before, and one for each epoch.

    A row has the mean share of multiply-adds that the held-out photographs cost, its deviation among them, and
    agreement and KL with the dense model. Run again, it goes on from the last checkpoint in `out`. Raises SourceError
    for too few photographs and for an `out` that holds another run, ValueError for a model that LTMP does not fit.
    """
    order = np.random.default_rng(recipe.seed).permutation(len(photographs))
    held_out, learned = order[: recipe.held_out], order[recipe.held_out :]
    per_epoch = len(learned) // recipe.batch
    if not per_epoch:
        raise SourceError(
            f"Learning thresholds needs {recipe.held_out} photographs to measure by and {recipe.batch} for a step, "
            f"found {len(photographs)}: give more, or a smaller batch."
        )
    student, teacher = (reference_of(c, state).requires_grad_(False) for c in (ltmp.preset(dense), dense))
    folder, steps = RunFolder(out, student, teacher, photographs, (), recipe), recipe.epochs * per_epoch
    found, whole = _Thresholds(dense.depth), model_macs(dense, (), False)
    optimizer = torch.optim.Adam(found.parameters(), betas=BETAS)
    parts = {"thresholds": found, "optimizer": optimizer}
    examine = Examination([photographs[i] for i in held_out], None, teacher, student)

    def row(step: int, loss: float | None) -> dict:
        with torch.no_grad():
            lots = [soft_pass(student, lot, found.merge, found.prune)[1] for lot in examine.images.split(32)]
        shares = torch.cat(lots) / whole
        costs = {"share": float(shares.mean()), "share_deviation": float(shares.std())}
        return {"step": step, "loss": loss} | costs | examine(reference_of(found.applied(dense), state), None)

    first, total, rows = folder.resume(parts, torch.device("cpu")) or (0, 0.0, [row(0, None)])
    with progress_bar() as progress:
        task = progress.add_task("thresholds", total=steps, completed=first, note="")
        for step in range(first, steps):
            epoch, number = divmod(step, per_epoch)
            shuffled = np.random.default_rng((recipe.seed, epoch)).permutation(learned)
            pick = shuffled[number * recipe.batch : (number + 1) * recipe.batch]
            image = as_on_board([photographs[i] for i in pick], dense.preprocessing)
            with torch.no_grad():
                taught = teacher.features(image)[0]
            feature, macs = soft_pass(student, image, found.merge, found.prune)
            share = macs.mean() / whole
            loss = distillation_loss(feature, taught, teacher.head, recipe.feature_weight)
            loss = loss + recipe.budget_weight * (share - recipe.share).square()
            rate = learning_rate(step, steps, recipe.learning_rate, recipe.warmup_steps)
            descend(loss, found, optimizer, rate)
            total += loss.item()
            progress.update(task, advance=1, note=f"share {share.item():.3f} loss {loss.item():.3f}")
            if number + 1 == per_epoch:
                rows.append(row(step + 1, total / per_epoch))
                total = 0.0
            if number + 1 == per_epoch or (step + 1) % checkpoint_steps == 0:
                folder.save(parts, step + 1, total, rows)
    return found.applied(dense), rows
