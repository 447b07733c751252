"""What every training here shares: weight decay by kind, the learning rate, a step, averaged weights, checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

__all__ = ["descend", "learning_rate", "parameter_groups", "progress_bar", "save_checkpoint", "update_average"]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay, vectors (biases, norms) do not; what is frozen is left out."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def learning_rate(step: int, steps: int, peak: float, warmup_steps: int) -> float:
    """A straight rise to `peak`, then half a cosine down to 0."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


def descend(loss: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer, rate: float) -> None:
    """One step down the loss at this learning rate, by gradients whose norm is cut off at 1."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def update_average(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Exponential average of the weights, with a shorter memory in the first steps."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), model.state_dict().values()):
            slow.lerp_(fast, 1 - decay) if slow.is_floating_point() else slow.copy_(fast)


def save_checkpoint(path: Path, state: dict) -> None:
    """The file holds the old state or the new one, whenever the process dies."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def progress_bar() -> Progress:
    """Steps done, time that remains, and a note."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
