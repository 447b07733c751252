"""`coppice-export train`."""

from __future__ import annotations

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
    epochs: Annotated[int, typer.Option(min=1)] = 26,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Train imagenette-mini from scratch (needs the torch group)."""
    try:
        from .. import training
        from ..plots import draw_tradeoff
    except ImportError as error:
        raise SourceError(f"Training needs PyTorch ({error}): install coppice-export[torch].") from None
    recipe = training.Recipe(epochs=epochs)
    config = PRESETS["imagenette-mini"]
    training.prepare(photographs, teacher, out / "prepared", config, recipe)
    training.train(out / "prepared", validation, out, config, recipe, threads)
    last = json.loads((out / "curve.json").read_text(encoding="utf-8"))[-1]
    stages = len(config.reduce_at)
    ladder = (Rung("full", (config.patches,) * stages), Rung("half", (config.patches // 2,) * stages))
    times = time_rungs(config, load_state(out / "weights.npz", config), ladder, threads)
    draw_tradeoff(
        times, {config.name: {rung.name: last[f"top1_{rung.name}"] for rung in ladder}}, "top-1", threads, out
    )
