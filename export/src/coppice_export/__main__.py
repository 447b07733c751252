"""`coppice-export`: from a state dict to a bundle, from photographs to a state dict."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import click
import typer
from rich.console import Console
from rich.table import Table

from .bundle import BundleError, BundleSpec, Rung, write_bundle
from .check import CheckError
from .config import PRESETS, Attention, ViTConfig
from .cost import incoming_counts, model_macs
from .labels import IMAGENETTE, imagenet_labels
from .weights import SourceError, load_state

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(stderr=True)

# Shares of the incoming patches for the rungs that `convert` makes on its own. The names go into `--keep`.
DEFAULT_RUNGS = {"full": 1.0, "high": 0.9, "medium": 0.7, "low": 0.5, "lowest": 0.3}


def _blocks(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())


def _rung(text: str) -> Rung:
    name, _, counts = text.partition("=")
    return Rung(name, _blocks(counts))


def _configured(preset: str, linear: str | None, reduce_at: str | None, fuse: bool) -> ViTConfig:
    if preset not in PRESETS:
        raise BundleError(f"--preset must be one of {', '.join(PRESETS)}, found {preset!r}.")
    config = PRESETS[preset]
    if linear is not None:
        chosen = set(_blocks(linear))
        form = Attention("linear", feature_map="elu1", reweight="cos1d", normalize="row_sum")
        config = dataclasses.replace(
            config, attention=tuple(form if i in chosen else Attention() for i in range(config.depth))
        )
    if reduce_at is not None:
        config = dataclasses.replace(config, reduce_at=_blocks(reduce_at))
    return dataclasses.replace(config, fuse_pruned=fuse)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="An .npz state dict (timm names or this project's).")],
    preset: Annotated[str, typer.Option(help=f"The model the weights belong to: {', '.join(PRESETS)}.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder.")],
    linear: Annotated[
        str | None,
        typer.Option(help="Blocks with linear attention (elu1, cos1d, row_sum), as in 0,1; the rest is softmax."),
    ] = None,
    reduce_at: Annotated[
        str | None, typer.Option(help="Blocks that keep only the best tokens, as in 3,6,9; empty for none.")
    ] = None,
    rung: Annotated[
        list[str] | None, typer.Option(help="A token budget: NAME=COUNT,COUNT. Repeat for a ladder.")
    ] = None,
    default: Annotated[str, typer.Option(help="The rung used when nobody asks for another.")] = "full",
    fuse_pruned: Annotated[bool, typer.Option(help="Keep one token for the pruned ones (EViT).")] = False,
    name: Annotated[str | None, typer.Option(help="The bundle's name; the preset's if left out.")] = None,
    version: Annotated[str, typer.Option(help="The bundle's SemVer.")] = "1.0.0",
    accuracy: Annotated[Path | None, typer.Option(help='JSON: {"data": NAME, "top1": {RUNG: PERCENT}}.')] = None,
    card: Annotated[Path | None, typer.Option(help="Markdown for the bundle's README.md.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing folder.")] = False,
) -> None:
    """Turn a state dict into a bundle. Needs no PyTorch; compares with it where it is installed."""
    config = _configured(preset, linear, reduce_at, fuse_pruned)
    state = load_state(source, config)
    measured = json.loads(accuracy.read_text()) if accuracy else {"data": "", "top1": {}}
    if rung:
        rungs = [_rung(text) for text in rung]
    else:
        rungs = (
            [Rung(n, incoming_counts(config, share)) for n, share in DEFAULT_RUNGS.items()] if config.reduce_at else []
        )
    rungs = [dataclasses.replace(r, top1=measured["top1"].get(r.name)) for r in rungs]
    labels = tuple(label for _, label, _ in IMAGENETTE) if config.classes == len(IMAGENETTE) else imagenet_labels()
    text = card.read_text(encoding="utf-8") if card else ""
    spec = BundleSpec(name or preset, version, labels, tuple(rungs), default if rungs else "", measured["data"], text)
    report = write_bundle(out, config, state, spec, overwrite)
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


@app.command()
def train(
    photographs: Annotated[Path, typer.Option(help="Tar of training photographs, one folder a class.")],
    validation: Annotated[Path, typer.Option(help="Tar of validation photographs.")],
    teacher: Annotated[Path, typer.Option(help="State dict of the ViT-Tiny that teaches.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, curve and weights; resumes what it holds.")],
    epochs: Annotated[int, typer.Option(min=1)] = 26,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Train imagenette-mini from scratch (needs the torch group)."""
    from . import training

    recipe = training.Recipe(epochs=epochs)
    config = PRESETS["imagenette-mini"]
    training.prepare(photographs, teacher, out / "prepared", config, recipe)
    training.train(out / "prepared", validation, out, config, recipe, threads)


def main() -> int:
    """Exit code 0; 1 with one sentence for a source or graph that is refused; 2 for wrong usage."""
    try:
        app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (BundleError, CheckError, SourceError, OSError, ValueError) as error:
        print(f"coppice-export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
