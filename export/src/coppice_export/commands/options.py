"""What several commands ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..bundle import Rung
from ..config import PRESETS, ViTConfig

__all__ = ["MergeShare", "Method", "PresetName", "Rank", "SourcePath", "named_rung", "numbers", "preset"]

SourcePath = Annotated[
    Path, typer.Argument(help="A state dict (.npz, .safetensors, .pth; timm's names) or a Hugging Face folder.")
]
PresetName = Annotated[
    str | None,
    typer.Option(help=f"The model the weights belong to, read from them if left out: {', '.join(PRESETS)}."),
]
Method = Annotated[str, typer.Option(help="How tokens are reduced: top_k, merge, prune_merge.")]
MergeShare = Annotated[float, typer.Option(help="prune_merge: share of the tokens that go which merge.")]
Rank = Annotated[str, typer.Option(help="prune_merge: tokens by importance, or by importance_distance.")]


def preset(name: str | None) -> ViTConfig | None:
    if name is not None and name not in PRESETS:
        raise typer.BadParameter(f"expected one of {', '.join(PRESETS)}, found {name!r}", param_hint="--preset")
    return PRESETS[name] if name else None


def numbers(option: str, text: str) -> tuple[int, ...]:
    """As in 3,6,9; none in an empty text."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(f"expected whole numbers as in 3,6,9, found {text!r}", param_hint=option) from None


def named_rung(text: str) -> Rung:
    """As in NAME=COUNT,COUNT."""
    name, equals, counts = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"expected NAME=COUNT,COUNT, found {text!r}", param_hint="--rung")
    return Rung(name, numbers("--rung", counts))
