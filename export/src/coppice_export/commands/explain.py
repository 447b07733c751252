"""`coppice-export explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..bundle_files import read_bundle
from ..check import session
from ..checkpoint import SourceError
from ..explain import draw, kept_patches
from ..photographs import Photograph

__all__ = ["explain"]

console = Console(stderr=True)


def explain(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    image: Annotated[Path, typer.Argument(help="A photograph.")],
    out: Annotated[Path | None, typer.Option(help="PNG to write; IMAGE-kept.png here if left out.")] = None,
    rung: Annotated[list[str] | None, typer.Option(help="A rung to show; repeat for more; all if left out.")] = None,
) -> None:
    """Draw the tokens that each stage keeps over the photograph, side by side, a row for each rung."""
    shown = read_bundle(bundle)
    if not shown.manifest["outputs"]["kept"]:
        raise SourceError(f"{bundle}: the model reduces no tokens, so there is nothing to show.")
    if strangers := sorted(set(rung or ()) - shown.rungs.keys()):
        raise SourceError(f"{bundle}: no rung {', '.join(strangers)}; it has {', '.join(shown.rungs)}.")
    pixels = Photograph(image.name, image, 0, image.stat().st_size).pixels()
    found = kept_patches(session(shown.model), shown, pixels)
    target = out or Path(f"{image.stem}-kept.png")
    draw(shown, pixels, {name: result for name, result in found.items() if not rung or name in rung}).save(
        target, "PNG"
    )
    console.print(f"wrote {target}")
