"""`coppice-export curve`: the latency curve of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ..config import Reduction
from ..latency import measure_curve, save_curve
from ..model import DEFAULT
from ..sources import open_source
from .options import MergeShare, Method, Operators, PresetName, Rank, SourcePath
from .options import preset as known_preset

__all__ = ["curve"]


def curve(
    source: SourcePath,
    out: Annotated[Path, typer.Option(help="The file to write (JSON).")],
    preset: PresetName = None,
    method: Method = "prune_merge",
    merge_share: MergeShare = 1.0,
    rank: Rank = "importance_distance",
    operators: Operators = DEFAULT,
    threads: Annotated[int, typer.Option(min=1, help="Threads of ONNX Runtime.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Times that every part is measured.")] = 9,
) -> None:
    """Measure how long each block takes at every number of tokens, here and now."""
    reduction = Reduction(0, method, merge_share=merge_share, rank=rank)
    opened = open_source(source, known_preset(preset))
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        task = progress.add_task("curve", total=None)
        found = measure_curve(
            opened.config,
            opened.state,
            reduction,
            threads,
            rounds,
            operators,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    save_curve(found, out)
    console.print(f"{found.model} takes {found.dense_ms:.2f} ms with all tokens on {found.machine.board}; wrote {out}")
