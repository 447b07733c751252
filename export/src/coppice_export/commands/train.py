"""`coppice-export train`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from ..bundle import Rung
from ..checkpoint import SourceError
from ..config import PRESETS
from ..timing import time_rungs
from ..weights import load_state

__all__ = ["train"]


def train(
    photographs: Annotated[Path, typer.Option(help="Tar of training photographs, one folder a class.")],
    validation: Annotated[Path, typer.Option(help="Tar of validation photographs.")],
    teacher: Annotated[Path, typer.Option(help="State dict of the ViT-Tiny that teaches.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, curve and weights; resumes what it holds.")],
    preset: Annotated[str, typer.Option(help="The model, which has a recipe: imagenette-softmax, -mini, -fine.")] = (
        "imagenette-softmax"
    ),
    start: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="The folder of another model's run to begin with, as --out left it."
        ),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(min=0.01, help="In place of the recipe's; 0.5 is half of one.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Train a model of ten classes by its recipe (needs the torch group)."""
    try:
        from .. import training
        from ..plots import draw_tradeoff
    except ImportError as error:
        raise SourceError(f"Training needs PyTorch ({error}): install coppice-export[torch].") from None
    if preset not in training.RECIPES:
        known = ", ".join(training.RECIPES)
        raise typer.BadParameter(f"expected one of {known}, found {preset!r}", param_hint="--preset")
    config, recipe = PRESETS[preset], training.RECIPES[preset]
    recipe = dataclasses.replace(recipe, epochs=epochs or recipe.epochs)
    state = training.starting_state(start, config) if start else None
    training.prepare(photographs, teacher, out / "prepared", recipe)
    training.train(out / "prepared", validation, out, config, recipe, threads, state)
    last = json.loads((out / "curve.json").read_text(encoding="utf-8"))[-1]
    stages = len(config.reduce_at)
    ladder = (Rung("full", (config.patches,) * stages), Rung("half", (config.patches // 2,) * stages))
    times = time_rungs(config, load_state(out / "weights.npz", config), ladder, threads)
    draw_tradeoff(
        times, {config.name: {rung.name: last[f"top1_{rung.name}"] for rung in ladder}}, "top-1", threads, out
    )
