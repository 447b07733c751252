"""`coppice-export fine-tune`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ..branches import merge_branches
from ..bundle import BundleSpec, Rung, validate, write_bundle
from ..checkpoint import SourceError
from ..config import ViTConfig
from ..cost import model_macs
from ..labels import labels_for
from ..model import DEFAULT, Flavour, build_model
from ..photographs import Photograph, class_numbers, find_photographs, spread
from ..sources import open_source
from .compaction import Compaction
from .options import ComputedHeads, DwKernel, FfnRank, MergeShare, Operators, PresetName, Rank, Settings, SourcePath
from .options import preset as known_preset
from .student import Plan, changes_more_than_counts

__all__ = ["fine_tune"]

console = Console(stderr=True)


def _classes(found: Sequence[Photograph], labels: Sequence[str]) -> np.ndarray | None:
    """None, with a note, where the folders are not the model's classes: they are not needed to learn."""
    try:
        return class_numbers(found, labels)
    except SourceError as error:
        console.print(f"note: no top-1, agreement with the teacher alone: {error}")
        return None


def fine_tune(
    source: SourcePath,
    photographs: Annotated[Path, typer.Option(help="Tar or folder of photographs to learn from; no labels needed.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, curve and weights; goes on with what it holds.")],
    bundle: Annotated[Path, typer.Option(help="The bundle's folder.")],
    preset: PresetName = None,
    reduce_at: Annotated[str, typer.Option(help="Blocks that reduce their tokens, as in 3,5,7,9.")] = "",
    rung: Annotated[
        list[str] | None, typer.Option(help="A token budget: NAME=COUNT,COUNT. Repeat for a ladder.")
    ] = None,
    schedule: Annotated[
        Path | None, typer.Option(help="A schedule of `search`, in place of --reduce-at, --method and --rung.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(help="How tokens are reduced: top_k, merge, prune_merge; or a published method, as in convert."),
    ] = "merge",
    setting: Settings = None,
    merge_share: MergeShare = 1.0,
    rank: Rank = "importance_distance",
    linear: Annotated[
        str | None, typer.Option(help="Blocks that learn linear attention (elu1, row_sum) in place of softmax.")
    ] = None,
    hallucinate: ComputedHeads = 0,
    dw_kernel: DwKernel = 0,
    ffn_rank: FfnRank = 0,
    ffn_branches: Annotated[
        int, typer.Option(min=1, help="--ffn-rank: parallel maps whose sum each factor is while it learns.")
    ] = 2,
    count: Annotated[
        int, typer.Option(min=2, help="--hallucinate, --ffn-rank: photographs to fit to before learning.")
    ] = 64,
    epochs: Annotated[int, typer.Option(min=0, help="0: the model as learning would begin with it.")] = 3,
    views: Annotated[int, typer.Option(min=1, help="Random crops of each photograph, one an epoch.")] = 1,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest; a half cosine leads to 0.")] = 1e-4,
    batch: Annotated[int, typer.Option(min=1)] = 32,
    source_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Way back to the weights it came from: 0.4, or 0 if these were made for it."),
    ] = None,
    held_out: Annotated[int, typer.Option(min=2, help="Photographs to measure by, never learned from.")] = 128,
    seed: int = 0,
    bfloat16: Annotated[bool, typer.Option(help="Compute with 8 significant bits where that is faster.")] = True,
    device: Annotated[str, typer.Option(help="cpu, cuda, or cuda where there is one.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Of the training, and of the timed runs.")] = 2,
    operators: Operators = DEFAULT,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing bundle.")] = False,
) -> None:
    """Teach a model its ladder by its own dense self, and write the bundle (needs the torch group)."""
    try:
        import torch

        from .. import distill
        from ..methods.cffn import branched
    except ImportError as error:
        raise SourceError(f"Fine-tuning needs PyTorch ({error}): install coppice-export[torch].") from None
    plan = Plan(reduce_at, rung, schedule, method, setting, merge_share, rank, linear)
    compaction = Compaction(hallucinate, dw_kernel, ffn_rank)
    opened = open_source(source, known_preset(preset))
    dense = dataclasses.replace(opened.config, reductions=())
    config, rungs = plan.applied(dense)
    labels = opened.labels or labels_for(config.classes)
    if config.stages and not rungs:
        raise typer.BadParameter("expected a budget for each block of --reduce-at, found none", param_hint="--rung")
    if source_share is None:
        another = compaction.asked or changes_more_than_counts(config, dense)
        source_share = 0.0 if another else distill.Recipe.source_share
    recipe = distill.Recipe(
        seed=seed,
        held_out=held_out,
        views=views,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        bfloat16=bfloat16,
        source_share=source_share,
    )
    spec = BundleSpec(f"{config.name}-tuned", "1.0.0", labels, rungs, rungs[0].name if rungs else "")
    validate(bundle, config, spec, overwrite)
    ladder = rungs or (Rung("all", ()),)
    found = find_photographs(photographs)
    torch.set_num_threads(threads)
    available = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)
    if device not in ("auto", *available):
        raise SourceError(f"device {device!r}: PyTorch has {' and '.join(available)} here; name one, or auto.")
    place = available[0] if device == "auto" else device
    chosen = spread([found[i] for i in sorted(distill.divided(len(found), recipe)[1])], count)
    config, state = compaction.applied(config, opened.state, chosen, console)
    torch.manual_seed(seed)
    student = _model(config, state)
    if ffn_rank:
        student = branched(student, ffn_branches, seed=seed)
    build_model(config, _state(student), operators)  # refuses what these operators cannot compute, before hours
    models = [model.to(place) for model in (student, _model(dense, opened.state))]
    rows = distill.fine_tune(*models, found, _classes(found, labels), ladder, out, recipe)
    state = _state(student)
    _report(config, state, opened.state, ladder, rows, out, threads, operators)
    last = rows[-1]["rungs"]
    spec = dataclasses.replace(spec, rungs=tuple(dataclasses.replace(r, top1=last[r.name].get("top1")) for r in rungs))
    if rungs and "top1" in rows[0]["teacher"]:
        spec = dataclasses.replace(spec, accuracy_data=f"{held_out} held-out photographs of {photographs.stem}")
    write_bundle(bundle, config, state, spec, overwrite, operators)
    console.print(f"wrote {out}/curve.json, tradeoff.png, tradeoff.svg, weights.npz and the bundle {bundle}")


def _model(config: ViTConfig, state: dict[str, np.ndarray]):
    import torch

    from ..reference import VisionTransformer

    model = VisionTransformer(config).eval()
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    began = {name: value for name, value in model.state_dict().items() if ".merger." in name}
    model.load_state_dict(began | {name: torch.from_numpy(array) for name, array in state.items()} | counters)
    return model


def _state(student) -> dict[str, np.ndarray]:
    """The arrays of a bundle."""
    state = {name: value.cpu().numpy() for name, value in student.state_dict().items() if value.is_floating_point()}
    return merge_branches(state)


def _report(
    config: ViTConfig,
    state,
    dense_state,
    ladder: Sequence[Rung],
    rows: list[dict],
    out: Path,
    threads: int,
    operators: Flavour,
) -> None:
    """A table of the rungs, and their accuracy against their latency before and after."""
    from ..plots import draw_tradeoff
    from ..timing import DENSE, time_rungs

    times = time_rungs(config, state, ladder, threads, dense_state=dense_state, operators=operators)
    metric = "top1" if "top1" in rows[0]["teacher"] else "agreement"
    before, after = ({name: rung[metric] for name, rung in row["rungs"].items()} for row in (rows[0], rows[-1]))
    table = Table("rung", "tokens kept", "multiply-adds", "run", "speed", f"{metric} before", f"{metric} after")
    for rung in ladder:
        table.add_row(
            rung.name,
            " ".join(map(str, rung.keep)),
            f"{model_macs(config, rung.keep) / 1e6:.0f} M",
            f"{times[rung.name]:.2f} ms",
            f"{times[DENSE] / times[rung.name]:.2f}x",
            f"{before[rung.name]:.1f} %",
            f"{after[rung.name]:.1f} %",
        )
    console.print(table)
    series = {"as it came": before, "fine-tuned": after, DENSE: {DENSE: rows[0]["teacher"][metric]}}
    draw_tradeoff(times, series, {"top1": "top-1"}.get(metric, metric), threads, out)
