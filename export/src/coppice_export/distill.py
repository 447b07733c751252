"""Fine-tunes a model for its whole ladder, taught by its own dense self: `coppice-export fine-tune`.

The teacher sees each view of a photograph once, and what its head reads is stored. Every step then draws one rung, so
that one set of weights serves them all. No label is used: a model of 1,000 classes that is tuned on photographs of ten
learns to say what its teacher says, not which ten classes to guess.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .bundle import Rung
from .checkpoint import SourceError
from .examination import Examination
from .optimizer import descend, learning_rate, parameter_groups, progress_bar, update_average
from .photographs import Photograph
from .reference import VisionTransformer
from .run_folder import RunFolder
from .views import random_views

__all__ = ["Recipe", "distillation_loss", "divided", "fine_tune", "unchanged_blocks"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result besides the photographs, the models and the ladder; stored beside it.

    `held_out` photographs are never learned from. Of every other one, `views` random crops of at least `smallest_crop`
    of its area are learned in turn, one an epoch. `average_decay`: of the average of the weights. The result is that
    average, moved back to the weights it came from by `source_share` of the way (Wortsman et al. 2022).
    `bfloat16`: the student computes with 8 significant bits; its weights, the loss and the teacher keep 24.
    """

    seed: int = 0
    held_out: int = 128
    views: int = 1
    smallest_crop: float = 0.35
    epochs: int = 3
    batch: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_steps: int = 50
    feature_weight: float = 1.0
    average_decay: float = 0.99
    source_share: float = 0.4
    bfloat16: bool = True


def divided(photographs: int, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the photographs held out, and of those to learn from, in random order."""
    order = np.random.default_rng(recipe.seed).permutation(photographs)
    return order[: recipe.held_out], order[recipe.held_out :]


def distillation_loss(feature: Tensor, taught: Tensor, head: nn.Module, feature_weight: float) -> Tensor:
    """KL(teacher || student) of the class probabilities plus the relative squared error of the features.

    feature, taught: (batch, pooled width), what the head reads in student and teacher; the head is the teacher's.
    """
    probabilities = [F.log_softmax(head(f), 1) for f in (feature, taught)]
    divergence = F.kl_div(*probabilities, log_target=True, reduction="batchmean")
    return divergence + feature_weight * F.mse_loss(feature, taught) / taught.square().mean()


def unchanged_blocks(student: VisionTransformer, teacher: VisionTransformer) -> int:
    """Leading blocks in which the student computes what the teacher does; -1 where already what enters them differs."""
    own, other = student.config, teacher.config
    if (own.preprocessing, own.stem) != (other.preprocessing, other.stem):
        return -1
    changed = {reduction.block for reduction in own.reductions}
    changed |= {b for b in range(own.depth) if own.attention[b] != other.attention[b] or own.rank(b) != other.rank(b)}
    return min(changed, default=own.depth)


def _freeze(student: VisionTransformer, blocks: int) -> None:
    """What comes before the first change is as good as the teacher's, and so is the head, which reads the same."""
    student.train().head.requires_grad_(False)
    if blocks >= 0:
        student.stem.eval().requires_grad_(False), student.blocks[:blocks].requires_grad_(False)
        student.cls_token.requires_grad_(False), student.pos_embed.requires_grad_(False)


def fine_tune(
    student: VisionTransformer,
    teacher: VisionTransformer,
    photographs: Sequence[Photograph],
    classes: np.ndarray | None,
    ladder: Sequence[Rung],
    out: Path,
    recipe: Recipe,
    checkpoint_steps: int = 50,
) -> list[dict]:
    """Trains the student in place; the curve has a row before, one for each epoch, and one of the result.

    classes: (photographs), for the curve alone. Run again, it goes on from the last checkpoint in `out` and ends, on
    the same machine, in the same bytes.
    Raises SourceError for too few photographs, for an `out` that holds another run, and for a loss that diverges.
    """
    held_out, learned = divided(len(photographs), recipe)
    per_epoch = len(learned) // recipe.batch
    if not per_epoch:
        raise SourceError(
            f"Fine-tuning needs {recipe.held_out} photographs to measure by and {recipe.batch} for a step, found "
            f"{len(photographs)}: give more, or a smaller batch."
        )
    folder = RunFolder(out, student, teacher, photographs, ladder, recipe)
    device, steps = next(student.parameters()).device, recipe.epochs * per_epoch
    teacher.eval().requires_grad_(False)
    _freeze(student, unchanged_blocks(student, teacher))
    average = copy.deepcopy(student).eval()
    source = [value.detach().clone() for value in student.parameters()]
    optimizer = torch.optim.AdamW(parameter_groups(student, recipe.weight_decay))
    parts = {"student": student, "average": average, "optimizer": optimizer}
    examine = Examination(
        [photographs[i] for i in held_out], None if classes is None else classes[held_out], teacher, student
    )

    def row(step: int, loss: float | None) -> dict:
        return {"step": step, "loss": loss, "rungs": {rung.name: examine(average, rung.keep) for rung in ladder}}

    first, total, rows = folder.resume(parts, device) or (0, 0.0, [row(0, None) | {"teacher": examine.teacher}])
    taught = None
    with progress_bar() as progress:
        task = progress.add_task("fine-tune", total=steps, completed=first, note="")
        for step in range(first, steps):
            epoch, number = divmod(step, per_epoch)
            view = epoch % recipe.views
            if taught is None or number == 0:
                taught = folder.lessons(view)
                shuffled = np.random.default_rng((recipe.seed, epoch)).permutation(learned)
            pick = shuffled[number * recipe.batch : (number + 1) * recipe.batch]
            rung = ladder[np.random.default_rng((recipe.seed, epoch, number)).integers(len(ladder))]
            spec, seed = student.config.preprocessing, (recipe.seed, view)
            image = random_views(photographs, pick, spec, recipe.smallest_crop, seed).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
                feature = student.features(image, rung.keep)[0].float()
            goal = torch.from_numpy(taught[pick]).to(device)
            loss = distillation_loss(feature, goal, teacher.head, recipe.feature_weight)
            if not loss.isfinite():
                raise SourceError(f"{out}: the loss of step {step + 1} is {loss.item()}; begin anew at a lower rate.")
            rate = learning_rate(step, steps, recipe.learning_rate, recipe.warmup_steps)
            descend(loss, student, optimizer, rate)
            update_average(average, student, step, recipe.average_decay)
            total += loss.item()
            progress.update(task, advance=1, note=f"epoch {epoch + 1} rung {rung.name} loss {loss.item():.3f}")
            if number + 1 == per_epoch:
                rows.append(row(step + 1, total / per_epoch))
                total = 0.0
            if number + 1 == per_epoch or (step + 1) % checkpoint_steps == 0:
                folder.save(parts, step + 1, total, rows)
    with torch.no_grad():
        for value, came in zip(average.parameters(), source):
            value.lerp_(came, recipe.source_share)
    rows = [*rows, row(steps, None)]
    student.load_state_dict(average.state_dict())
    folder.finish(student.eval(), rows)
    return rows
