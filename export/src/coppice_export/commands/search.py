"""`coppice-export search`: a schedule for a model, from photographs without labels."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..checkpoint import SourceError
from ..config import Reduction, ViTConfig
from ..cost import model_macs
from ..latency import load_curve
from ..photographs import Photograph, find_photographs
from ..preprocess import preprocess
from ..schedule import Schedule, ScheduledRung, save_schedule
from ..sources import Source, open_source
from .options import MergeShare, Method, PresetName, Rank, SourcePath
from .options import preset as known_preset

__all__ = ["search"]


def search(
    source: SourcePath,
    photographs: Annotated[Path, typer.Option(help="Tar or folder of photographs; labels are not needed.")],
    out: Annotated[Path, typer.Option(help="The schedule to write (JSON), a picture (PNG and SVG) beside it.")],
    preset: PresetName = None,
    curve: Annotated[
        Path | None, typer.Option(help="Latency curve of the board; multiply-adds are the cost without one.")
    ] = None,
    costs: Annotated[str, typer.Option(help="Cost of each rung in percent of the dense model's.")] = "85,70,60,50,40",
    method: Method = "prune_merge",
    merge_share: MergeShare = 1.0,
    rank: Rank = "importance_distance",
    stages: Annotated[int, typer.Option(min=1, help="Blocks that reduce tokens, at most.")] = 4,
    count: Annotated[int, typer.Option(min=8, help="Photographs to choose by.")] = 128,
    held_out: Annotated[int, typer.Option(min=2, help="Other photographs to judge the result by.")] = 500,
    seed: Annotated[int, typer.Option(help="Draws the photographs.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
) -> None:
    """Choose blocks and token counts that keep a model's answers, without training. Resumes where it stopped."""
    try:
        import torch

        from .. import divergence, drawing
        from ..search import Search
    except ImportError as error:
        raise SourceError(f"Searching needs PyTorch ({error}): install coppice-export[torch].") from None
    torch.set_num_threads(threads)
    console = Console(stderr=True)
    opened = open_source(source, known_preset(preset))
    dense = replace(opened.config, reductions=())
    board = load_curve(curve, dense) if curve else None
    if board and board.reduction.get("method", method) != method:
        measured = board.reduction["method"]
        raise SourceError(
            f"{curve}: the curve is of {measured}, asked for {method}; measure that, or search {measured}."
        )
    cost, whole = (board.latency_ms, board.dense_ms) if board else (model_macs, model_macs(dense, (), False))
    unit, as_measured = "multiply-adds", ""
    if board:
        unit = f"ms on {board.machine.board}, {board.machine.threads} threads, operators {board.operators}"
        as_measured = f" --operators {board.operators}"
    asked = Search(dense, Reduction(0, method, merge_share=merge_share, rank=rank), cost, whole, _shares(costs), stages)
    chosen, others = _drawn(find_photographs(photographs), count, held_out, seed)
    model = divergence.reference_of(asked.reducing(asked.candidates), opened.state)
    memory, key = out.with_name(f".{out.name}.progress"), _key(opened, asked, chosen, board)
    measured = divergence.Divergence(model, torch.from_numpy(_pictures(chosen, dense)), memory, key)
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("search", total=len(asked.shares) + 1)
        plans = asked.run(measured, lambda text: console.print(text, highlight=False), lambda: progress.advance(task))
    blocks = tuple(block for block, _ in plans[0])
    config, keeps = asked.reducing(blocks), [(dense.patches,) * len(blocks)]
    keeps += [tuple(tokens for _, tokens in plan) for plan in plans]
    names = ["full", *(f"cost-{round(100 * share)}" for share in asked.shares)]
    judged = divergence.judge(opened.state, config, keeps, _batches(others, dense))
    rungs = tuple(
        ScheduledRung(name, keep, model_macs(config, keep), cost(config, keep) / whole, *figures)
        for name, keep, figures in zip(names, keeps, judged)
    )
    schedule = Schedule(dense.name, unit, config.reductions, rungs)
    save_schedule(schedule, out)
    drawing.draw_schedule(schedule, out)
    memory.unlink()
    console.print(_table(schedule))
    console.print(f"wrote {out}; `coppice-export convert --schedule {out}{as_measured}` makes the bundle")


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) / 100 for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"expected percentages as in 85,70,60, found {text!r}", param_hint="--costs") from None


def _drawn(found: list[Photograph], count: int, held_out: int, seed: int) -> tuple[list[Photograph], list[Photograph]]:
    """Photographs to choose by, and others to judge by."""
    if len(found) < count + held_out:
        raise SourceError(
            f"{found[0].file}: expected {count} photographs to choose by and {held_out} others to judge by, "
            f"found {len(found)}; give more, or lower --count or --held-out."
        )
    order = [found[i] for i in np.random.default_rng(seed).permutation(len(found))]
    return order[:count], order[count : count + held_out]


def _pictures(photographs: list[Photograph], config: ViTConfig) -> np.ndarray:
    return np.stack([preprocess(p.pixels(), config.preprocessing) for p in photographs])


def _batches(photographs: list[Photograph], config: ViTConfig):
    return (_pictures(photographs[i : i + 25], config) for i in range(0, len(photographs), 25))


def _key(opened: Source, asked, chosen: list[Photograph], board) -> str:
    """Stands for all that a measured divergence depends on; what was asked may change, plans are remembered."""
    digest = hashlib.sha256(repr((opened.config, asked.reduction)).encode())
    for name in sorted(opened.state):
        digest.update(opened.state[name].tobytes())
    for photograph in chosen:
        digest.update(photograph.pixels().tobytes())
    return digest.hexdigest()


def _table(schedule: Schedule) -> Table:
    title = f"{schedule.model}: tokens left after blocks {', '.join(str(r.block) for r in schedule.reductions)}"
    table = Table("rung", "tokens", "multiply-adds", "cost", "KL to dense", "same answer as dense", title=title)
    for r in schedule.rungs:
        kl, same = f"{r.kl:.4f} ± {r.kl_error:.4f}", f"{r.agreement:.1f} ± {r.agreement_error:.1f} %"
        table.add_row(r.name, " ".join(map(str, r.keep)), f"{r.macs / 1e6:.0f} M", f"{r.cost:.1%}", kl, same)
    return table
