"""`coppice-export slim`: which patches each block keeps in every picture (Patch Slimming)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ..checkpoint import SourceError
from ..config import PRESETS
from ..cost import model_macs
from ..photographs import find_photographs, spread
from ..preprocess import preprocess
from ..slimming import slimmed, write_slimming
from ..sources import open_source

__all__ = ["slim"]


def slim(
    source: Annotated[Path, typer.Argument(help="A state dict or a Hugging Face folder, as for convert.")],
    photographs: Annotated[Path, typer.Option(help="A tar or a folder of training photographs; labels are not used.")],
    out: Annotated[Path, typer.Option(help="Folder for weights.npz and slimming.json; resumes what it holds.")],
    preset: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(PRESETS)}; read from the source if left out.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="timm's name of the model.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Photographs to use, spread over the folders.")] = 256,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest error of a block's kept rows, relative to their norm.")
    ] = 0.02,
    step: Annotated[int, typer.Option(min=1, help="Patches added at a time.")] = 10,
    epochs: Annotated[int, typer.Option(min=0, help="Over the photographs, after each step, for one block.")] = 3,
    seed: Annotated[int, typer.Option(help="Decides the order of the photographs and the scored subset.")] = 0,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Search the patches that each block needs and fit the blocks to them (needs the torch group)."""
    try:
        import torch

        from ..methods import patch_slimming
    except ImportError as error:
        raise SourceError(f"Patch Slimming needs PyTorch ({error}): install coppice-export[torch].") from None
    if preset is not None and preset not in PRESETS:
        raise typer.BadParameter(f"expected one of {', '.join(PRESETS)}, found {preset!r}", param_hint="--preset")
    torch.set_num_threads(threads)
    opened = open_source(source, PRESETS[preset] if preset else None, model)
    config = dataclasses.replace(opened.config, reductions=())
    chosen = spread(find_photographs(photographs), count)
    images = np.stack([preprocess(photograph.pixels(), config.preprocessing) for photograph in chosen])
    recipe = patch_slimming.Recipe(tolerance=tolerance, step=step, epochs=epochs, seed=seed)
    slimming, state = patch_slimming.slim(config, opened.state, images, recipe, out)
    np.savez(out / "weights.npz", **state)
    write_slimming(out / "slimming.json", slimming)
    share = model_macs(slimmed(config, state, slimming)) / model_macs(config)
    kept = " ".join(str(len(places)) for places in slimming.keep)
    typer.echo(f"tokens kept by block: {kept}; {share:.0%} of the multiply-adds; wrote {out}", err=True)
