"""The configuration of a ViT from the shapes of its arrays and what else is known of it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from .checkpoint import SourceError
from .config import Attention, Conv, Preprocessing, ViTConfig

__all__ = ["Facts", "at_size", "configured"]

_HEAD_WIDTH = 64  # of every published ViT, DeiT and DINOv2


@dataclass(frozen=True)
class Facts:
    """What the shapes of arrays do not tell; None where nobody said.

    `antialias`: how the model's own code interpolates its position table. `notes`: what the runtime does otherwise.
    """

    name: str
    heads: int | None = None
    norm_eps: float | None = None
    pooling: str | None = None
    fc_norm: bool | None = None
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None
    antialias: bool = True
    notes: tuple[str, ...] = ()

    def completed(self, other: Facts) -> Facts:
        """What is not known here is taken from `other`."""
        missing = {f.name: getattr(other, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) is None}
        return dataclasses.replace(self, **missing, notes=(*self.notes, *other.notes))


def configured(arrays: dict[str, np.ndarray], facts: Facts, source: object) -> tuple[ViTConfig, tuple[str, ...]]:
    """The configuration that arrays under timm's parts and our names have, and what was assumed about it."""
    shapes = {name: array.shape for name, array in arrays.items()}
    _refuse_strangers(shapes, source)
    width, _, patch, _ = shapes["stem.0.conv.weight"]
    prefix = sum(shapes[n][1] for n in ("cls_token", "dist_token", "reg_token") if len(shapes.get(n, ())) == 3)
    heads = facts.heads or width // _HEAD_WIDTH
    if not heads or width % heads:
        raise SourceError(f"{source}: width {width} is no multiple of {heads or _HEAD_WIDTH} heads; give --heads.")
    size = _grid(shapes["pos_embed"], prefix, source) * patch
    spec = facts.preprocessing or Preprocessing(size, size)
    notes = [] if facts.heads else [f"{heads} heads of {_HEAD_WIDTH}, as in every published ViT (--heads, --model)"]
    if not facts.preprocessing:
        notes.append("whole picture, mean and standard deviation 0.5 (--model, --preprocessor)")
    pooling, fc_norm = _pooling(shapes, width)
    config = ViTConfig(
        name=facts.name,
        preprocessing=at_size(spec, size),
        stem=(Conv(width, patch, patch),),
        width=width,
        heads=heads,
        hidden=shapes["blocks.0.fc1.weight"][0],
        classes=shapes["head.bias"][0],
        attention=(Attention(),) * len({n.split(".")[1] for n in shapes if n.startswith("blocks.")}),
        prefix_tokens=prefix,
        norm_eps=1e-6 if facts.norm_eps is None else facts.norm_eps,
        pooling=facts.pooling or pooling,
        fc_norm=fc_norm if facts.fc_norm is None else facts.fc_norm,
    )
    return config, tuple(notes)


def _refuse_strangers(shapes: dict[str, tuple[int, ...]], source: object) -> None:
    """What no configuration can be read from: it has to be named exactly, before shapes are trusted."""
    if "stem.0.norm.weight" in shapes or "stem.1.conv.weight" in shapes:
        raise SourceError(f"{source}: a stem of convolutions does not tell its strides; give the --preset it is of.")
    ranks = {"stem.0.conv.weight": 4, "pos_embed": 3, "blocks.0.qkv.weight": 2, "blocks.0.fc1.weight": 2}
    missing = [name for name, rank in ranks.items() if len(shapes.get(name, ())) != rank]
    if missing:
        raise SourceError(
            f"{source} is no vision transformer known here: expected timm's patch_embed, pos_embed and blocks, found "
            f"{', '.join(list(shapes)[:4]) or 'nothing'}; docs/reference/export.md lists what is known."
        )
    if len(shapes.get("head.bias", ())) != 1 or not shapes["head.bias"][0]:
        raise SourceError(
            f"{source} has no classification head (head.bias); give weights that were trained to classify."
        )


def _grid(table: tuple[int, ...], prefix: int, source: object) -> int:
    """Patches along one edge: the table has entries for all prefix tokens, for none, or for the class token."""
    for placed in sorted({0, min(1, prefix), prefix}):
        edge = math.isqrt(max(table[1] - placed, 0))
        if edge and edge**2 == table[1] - placed:
            return edge
    raise SourceError(f"{source}: a position table of {table[1]} rows with {prefix} prefix tokens is no square grid.")


def _pooling(shapes: dict[str, tuple[int, ...]], width: int) -> tuple[str, bool]:
    """What the head reads, as far as names and shapes tell."""
    if "head_dist.weight" in shapes:
        return "class_distilled", False
    if "fc_norm.weight" in shapes or "cls_token" not in shapes:
        return "mean", "fc_norm.weight" in shapes
    return ("class_mean" if shapes["head.weight"][-1:] == (2 * width,) else "class"), False


def at_size(spec: Preprocessing, size: int) -> Preprocessing:
    """The same share of the picture at another resolution."""
    return dataclasses.replace(spec, short_side=spec.short_side * size // spec.crop, crop=size)
