"""What several commands ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..bundle import Rung
from ..config import PRESETS, ViTConfig
from ..model import Flavour

__all__ = [
    "ComputedHeads",
    "DwKernel",
    "FfnRank",
    "MergeShare",
    "Method",
    "Operators",
    "PresetName",
    "Rank",
    "Settings",
    "SourcePath",
    "named_rung",
    "numbers",
    "preset",
    "settings",
]

SourcePath = Annotated[
    Path, typer.Argument(help="A state dict (.npz, .safetensors, .pth; timm's names) or a Hugging Face folder.")
]
PresetName = Annotated[
    str | None,
    typer.Option(help=f"The model the weights belong to, read from them if left out: {', '.join(PRESETS)}."),
]
Method = Annotated[str, typer.Option(help="How tokens are reduced: top_k, merge, prune_merge.")]
MergeShare = Annotated[float, typer.Option(help="prune_merge: share of the tokens that go which merge.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the method: NAME=VALUE. Repeat for more.")
]
ComputedHeads = Annotated[
    int,
    typer.Option(
        "--hallucinate", min=0, help="Heads that compute attention maps; the others' are made of these (hMHSA)."
    ),
]
DwKernel = Annotated[int, typer.Option(help="--hallucinate: edge of the convolution over maps: 0, 1 or 3.")]
FfnRank = Annotated[int, typer.Option(min=0, help="Rank of the second MLP matrix as two factors (cFFN).")]
Operators = Annotated[
    Flavour,
    typer.Option(help="Whole blocks in one operator, attention and reductions alone, or stock ones."),
]
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


def settings(texts: list[str] | None) -> dict[str, str]:
    """NAME=VALUE of each `--set`."""
    pairs = [text.partition("=") for text in texts or ()]
    if wrong := [text for text, (name, equals, _) in zip(texts or (), pairs) if not (name and equals)]:
        raise typer.BadParameter(f"expected NAME=VALUE, found {wrong[0]!r}", param_hint="--set")
    return {name: value for name, _, value in pairs}
