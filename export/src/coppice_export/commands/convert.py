"""`coppice-export convert`: from a model to a bundle."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..bundle import BundleSpec, Rung, validate, write_bundle
from ..checkpoint import SourceError
from ..config import Attention, Reduction, ViTConfig
from ..cost import model_macs
from ..labels import IMAGENETTE, labels_for, read_labels
from ..methods import presets, schedules
from ..model import DEFAULT
from ..photographs import find_photographs, spread
from ..schedule import load_schedule
from ..slimming import read_slimming, slimmed
from ..sources import open_source
from .compaction import Compaction
from .options import ComputedHeads, DwKernel, FfnRank, Operators, PresetName, Settings, named_rung, numbers, settings
from .options import preset as known_preset

__all__ = ["convert"]

console = Console(stderr=True)


def convert(
    source: Annotated[
        Path,
        typer.Argument(help="A state dict (.npz, .safetensors, .pth; timm names), .onnx or a Hugging Face folder."),
    ],
    out: Annotated[Path, typer.Option(help="The bundle's folder.")],
    preset: PresetName = None,
    model: Annotated[
        str | None, typer.Option(help="timm's name of the model: heads, norms, pooling and preprocessing are its.")
    ] = None,
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads; width / 64 if nothing says otherwise.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Pixels along an edge; the position table is interpolated.")
    ] = None,
    preprocessor: Annotated[
        Path | None, typer.Option(help="A preprocessor_config.json (Hugging Face) with size, crop, mean and deviation.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Names of the classes, one a line.")] = None,
    linear: Annotated[
        str | None,
        typer.Option(help="Blocks with linear attention (elu1, cos1d, row_sum), as in 0,1; the rest is softmax."),
    ] = None,
    reduce_at: Annotated[
        str | None,
        typer.Option(
            help="Blocks that keep only the best tokens, as in 3,6,9; empty for none; each quarter without preset."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help=f"A published method in place of --reduce-at: {', '.join(presets.PRESETS)}."),
    ] = None,
    setting: Settings = None,
    schedule: Annotated[
        Path | None, typer.Option(help="What `search` wrote: blocks, reductions and rungs, in place of these options.")
    ] = None,
    slimming: Annotated[
        Path | None, typer.Option(help="The slimming.json of `slim`, for its weights.npz: the tokens of each block.")
    ] = None,
    rung: Annotated[
        list[str] | None, typer.Option(help="A token budget: NAME=COUNT,COUNT. Repeat for a ladder.")
    ] = None,
    default: Annotated[
        str | None, typer.Option(help="The rung used when nobody asks for another; the first if left out.")
    ] = None,
    fuse_pruned: Annotated[bool, typer.Option(help="Keep one token for the pruned ones (EViT).")] = False,
    hallucinate: ComputedHeads = 0,
    dw_kernel: DwKernel = 0,
    ffn_rank: FfnRank = 0,
    photographs: Annotated[
        Path | None, typer.Option(help="--hallucinate, --ffn-rank: tar or folder of photographs to fit to.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Photographs to fit to, spread over the folders.")] = 64,
    name: Annotated[
        str | None, typer.Option(help="The bundle's name; the preset's or the source's if left out.")
    ] = None,
    version: Annotated[str, typer.Option(help="The bundle's SemVer.")] = "1.0.0",
    accuracy: Annotated[Path | None, typer.Option(help='JSON: {"data": NAME, "top1": {RUNG: PERCENT}}.')] = None,
    card: Annotated[
        Path | None, typer.Option(help="Markdown for the bundle's README.md; written from what is known if left out.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="The weights' licence: a file with its text, or apache-2.0.")
    ] = None,
    operators: Operators = DEFAULT,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing bundle.")] = False,
) -> None:
    """Turn a model into a bundle. Needs no PyTorch; compares with it where it is installed."""
    known, options = known_preset(preset), settings(setting)
    if method is not None and method not in presets.PRESETS:
        raise typer.BadParameter(
            f"expected one of {', '.join(presets.PRESETS)}, found {method!r}", param_hint="--method"
        )
    if (method and (reduce_at is not None or fuse_pruned)) or (options and not method):
        raise typer.BadParameter("--method replaces --reduce-at and --fuse-pruned, and --set belongs to it")
    if schedule and (reduce_at is not None or fuse_pruned or method or rung):
        raise typer.BadParameter("--schedule replaces --reduce-at, --fuse-pruned, --method and --rung")
    if slimming and (reduce_at is not None or fuse_pruned or method or schedule or rung):
        raise typer.BadParameter("--slimming replaces --reduce-at, --fuse-pruned, --method, --schedule and --rung")
    compaction = Compaction(hallucinate, dw_kernel, ffn_rank)
    if bool(photographs) != compaction.asked:
        raise typer.BadParameter("--hallucinate and --ffn-rank are fitted to --photographs; give both or neither")
    searched = load_schedule(schedule) if schedule else None

    def adapt(config: ViTConfig) -> ViTConfig:
        if searched:
            return searched.applied(_configured(config, linear, None, False, None, {}))
        if slimming:
            return _configured(config, linear, "", False, None, {})
        every = None if known or method else ",".join(map(str, schedules.quarters(config)))
        return _configured(config, linear, every if reduce_at is None else reduce_at, fuse_pruned, method, options)

    opened = open_source(source, known, model, heads, preprocessor, image_size, adapt)
    for note in opened.notes:
        console.print(f"note: {note}")
    config = opened.config
    if slimming:
        config = slimmed(config, opened.state, read_slimming(slimming))
    budgets = (presets.PRESETS[method].rungs if method else schedules.by_share)(config) if config.stages else {}
    rungs = [named_rung(text) for text in rung or ()] or [Rung(name, keep) for name, keep in budgets.items()]
    rungs = searched.ladder if searched else rungs
    data, rungs = _measured(accuracy, rungs)
    names = read_labels(labels) if labels else opened.labels
    if known and config.classes == len(IMAGENETTE):
        names = names or tuple(label for _, label, _ in IMAGENETTE)
    text, terms = card.read_text(encoding="utf-8") if card else "", _licence(licence)
    names = names or labels_for(config.classes)
    default = (default or rungs[0].name) if rungs else ""
    spec = BundleSpec(name or config.name, version, names, tuple(rungs), default, data, text, terms)
    validate(out, config, spec, overwrite)
    chosen = spread(find_photographs(photographs), count) if photographs else ()
    config, state = compaction.applied(config, opened.state, chosen, console)
    report = write_bundle(out, config, state, spec, overwrite, operators)
    table = Table("rung", "tokens kept", "multiply-adds", f"largest difference to {report.reference}")
    for r in rungs:
        table.add_row(
            r.name,
            " ".join(map(str, r.keep)),
            f"{model_macs(config, r.keep) / 1e6:.0f} M",
            f"{report.differences[r.name]:.1e}",
        )
    console.print(table)
    console.print(
        f"operators: {', '.join(f'{n} x{c}' for n, c in report.operators.items()) or 'none of ours'}; wrote {out}"
    )


def _configured(
    config: ViTConfig,
    linear: str | None,
    reduce_at: str | None,
    fuse: bool,
    method: str | None,
    options: dict[str, str],
) -> ViTConfig:
    changes: dict = {}
    if linear is not None:
        chosen = numbers("--linear", linear)
        if not set(chosen) <= set(range(config.depth)):
            raise typer.BadParameter(
                f"{config.name} has blocks 0..{config.depth - 1}, found {linear}", param_hint="--linear"
            )
        form = Attention("linear", feature_map="elu1", reweight="cos1d", normalize="row_sum")
        changes["attention"] = tuple(form if i in chosen else Attention() for i in range(config.depth))
    if reduce_at is not None or fuse:
        blocks = config.reduce_at if reduce_at is None else numbers("--reduce-at", reduce_at)
        changes["reductions"] = Reduction.at(*blocks, fuse="mean" if fuse else "none")
    config = dataclasses.replace(config, **changes)
    return presets.with_method(config, method, options) if method else config


def _measured(accuracy: Path | None, rungs: list[Rung]) -> tuple[str, list[Rung]]:
    """The name of the data and the rungs with their top-1."""
    if accuracy is None:
        return "", rungs
    try:
        content = json.loads(accuracy.read_text(encoding="utf-8"))
        data, top1 = str(content["data"]), {str(name): float(percent) for name, percent in content["top1"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceError(
            f'{accuracy}: expected {{"data": NAME, "top1": {{RUNG: PERCENT}}}}, found {error!r}.'
        ) from None
    if strangers := sorted(top1.keys() - {rung.name for rung in rungs}):
        raise SourceError(
            f"{accuracy}: measured {', '.join(strangers)}, which the ladder does not have; name its rungs."
        )
    return data, [dataclasses.replace(rung, top1=top1.get(rung.name)) for rung in rungs]


def _licence(given: str | None) -> str:
    """The text of the licence."""
    if given is None:
        return ""
    if given.lower() == "apache-2.0":
        return (resources.files("coppice_export") / "LICENSE").read_text(encoding="utf-8")
    return Path(given).read_text(encoding="utf-8")
