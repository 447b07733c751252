"""What several commands ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import PRESETS, ViTConfig

__all__ = ["MergeShare", "Method", "PresetName", "SourcePath", "preset"]

SourcePath = Annotated[
    Path, typer.Argument(help="A state dict (.npz, .safetensors, .pth; timm's names) or a Hugging Face folder.")
]
PresetName = Annotated[
    str | None,
    typer.Option(help=f"The model the weights belong to, read from them if left out: {', '.join(PRESETS)}."),
]
Method = Annotated[str, typer.Option(help="How tokens are reduced: top_k, merge, prune_merge.")]
MergeShare = Annotated[float, typer.Option(help="prune_merge: share of the tokens that go which merge.")]


def preset(name: str | None) -> ViTConfig | None:
    if name is not None and name not in PRESETS:
        raise typer.BadParameter(f"expected one of {', '.join(PRESETS)}, found {name!r}", param_hint="--preset")
    return PRESETS[name] if name else None
