"""Reads state dicts without PyTorch: numpy archives, with timm's names mapped to ours."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

__all__ = ["load_state", "SourceError"]

_TIMM = (
    (re.compile(r"^patch_embed\.proj\."), "stem.0.conv."),
    (re.compile(r"^(blocks\.\d+\.)attn\."), r"\1"),
    (re.compile(r"^(blocks\.\d+\.)mlp\."), r"\1"),
)


class SourceError(ValueError):
    """A model source that cannot be read or does not fit its configuration."""


def load_state(path: Path) -> dict[str, np.ndarray]:
    """The float32 arrays of an `.npz` state dict under this project's names; pickled objects are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise SourceError(f"{path}: not a readable .npz state dict ({error}). Give an archive of plain arrays.") from error
    mapped = {}
    for name, array in state.items():
        for pattern, replacement in _TIMM:
            name = pattern.sub(replacement, name)
        mapped[name] = array
    return mapped
