"""`coppice-export thresholds`: how alike tokens must be to merge and how important to stay, learned (LTMP)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..checkpoint import SourceError
from ..photographs import find_photographs, spread
from ..schedule import Schedule, save_schedule
from ..sources import open_source
from .options import PresetName, SourcePath
from .options import preset as known_preset

__all__ = ["thresholds"]


def thresholds(
    source: SourcePath,
    photographs: Annotated[Path, typer.Option(help="Tar or folder of photographs to learn from; no labels needed.")],
    out: Annotated[Path, typer.Option(help="Folder for thresholds.json; goes on with what it holds.")],
    preset: PresetName = None,
    cost: Annotated[
        float, typer.Option(min=1, max=100, help="Multiply-adds to reach, in percent of the dense model's.")
    ] = 60,
    count: Annotated[int, typer.Option(min=2, help="Photographs to use, spread over the folders.")] = 384,
    held_out: Annotated[int, typer.Option(min=2, help="Those of them to measure by, never learned from.")] = 64,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    batch: Annotated[int, typer.Option(min=1)] = 8,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest; a half cosine leads to 0.")] = 0.02,
    seed: int = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
) -> None:
    """Learn the merging and pruning thresholds of every block for a budget (needs the torch group)."""
    try:
        import torch

        from ..thresholds import Recipe, learn
    except ImportError as error:
        raise SourceError(f"Learning thresholds needs PyTorch ({error}): install coppice-export[torch].") from None
    torch.set_num_threads(threads)
    opened = open_source(source, known_preset(preset))
    recipe = Recipe(cost / 100, seed=seed, held_out=held_out, epochs=epochs, batch=batch, learning_rate=learning_rate)
    dense = replace(opened.config, reductions=())
    config, rows = learn(dense, opened.state, spread(find_photographs(photographs), count), out, recipe)
    file = out / "thresholds.json"
    save_schedule(Schedule(dense.name, "multiply-adds", config.reductions, ()), file)
    table = Table(
        "step", "multiply-adds", "same answer as dense", "KL to dense", title=f"{held_out} held-out photographs"
    )
    for row in rows:
        spent = f"{100 * row['share']:.1f} % ± {100 * row['share_deviation']:.1f} among them"
        table.add_row(str(row["step"]), spent, f"{row['agreement']:.1f} %", f"{row['divergence']:.4f}")
    console = Console(stderr=True)
    console.print(table)
    console.print(f"wrote {file}; `coppice-export convert --schedule {file}` makes the bundle", highlight=False)
