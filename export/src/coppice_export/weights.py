"""The arrays of a model by name: what a configuration needs, and how timm's become ours."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .config import ViTConfig
from .fold import fold

__all__ = ["SourceError", "expected_shapes", "load_state"]

_TIMM = (
    (re.compile(r"^patch_embed\.proj\."), "stem.0.conv."),
    (re.compile(r"^(blocks\.\d+\.)(attn|mlp)\."), r"\1"),
    (re.compile(r"^(blocks\.\d+\.)gamma_([12])$"), r"\1ls\2.gamma"),  # DeiT-III as its authors saved it
)


class SourceError(ValueError):
    """A model source that cannot be read or does not fit its configuration."""


def expected_shapes(config: ViTConfig) -> dict[str, tuple[int, ...]]:
    """Every array a state dict of this configuration has."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = 3
    for i, conv in enumerate(config.stem):
        shapes[f"stem.{i}.conv.weight"] = (conv.out, inputs, conv.kernel, conv.kernel)
        if conv.norm:
            shapes |= {f"stem.{i}.norm.{n}": (conv.out,) for n in ("weight", "bias", "running_mean", "running_var")}
        else:
            shapes[f"stem.{i}.conv.bias"] = (conv.out,)
        inputs = conv.out
    shapes["cls_token"] = (1, config.prefix_tokens, config.width)
    shapes["pos_embed"] = (1, config.tokens, config.width)
    for b, attention in enumerate(config.attention):
        matrices = {"qkv": (config.qkv_width(b), config.width), "proj": (config.width, config.width)}
        matrices["fc1"] = (config.hidden, config.width)
        if attention.kind == "hallucinated":
            computed, side = attention.computed_heads, attention.dw_kernel
            made = config.heads - computed
            shapes |= {f"blocks.{b}.mix": (made, computed)} if attention.mix == "cross_head" else {}
            shapes |= {f"blocks.{b}.dw": (made, side, side)} if side else {}
        if config.rank(b):
            shapes[f"blocks.{b}.fc2.u.weight"] = (config.rank(b), config.hidden)
            matrices["fc2.v"] = (config.width, config.rank(b))
        else:
            matrices["fc2"] = (config.width, config.hidden)
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{b}.{norm}.{n}": (config.width,) for n in ("weight", "bias")}
        for name, shape in matrices.items():
            shapes |= {f"blocks.{b}.{name}.weight": shape, f"blocks.{b}.{name}.bias": shape[:1]}
    shapes |= {f"norm.{n}": (config.width,) for n in ("weight", "bias")}
    return shapes | {"head.weight": (config.classes, config.pooled_width), "head.bias": (config.classes,)}


def load_state(path: Path, config: ViTConfig) -> dict[str, np.ndarray]:
    """The float32 arrays of an `.npz` state dict under this project's names; pickled objects are refused.

    Raises SourceError that lists every missing, surplus and misshapen array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive also ends in zlib.error, TypeError, MemoryError, NotImplementedError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{path}: not a readable .npz state dict ({reason}); give an archive of plain arrays."
        ) from error
    renamed, faults = {}, []
    for name, array in state.items():
        for pattern, replacement in _TIMM:
            name = pattern.sub(replacement, name)
        if name in renamed:
            faults.append(f"{name} is given twice, under two names")
        renamed[name] = array
    renamed = fold(renamed, config)
    expected = expected_shapes(config)
    faults += [f"{name} is missing" for name in expected.keys() - renamed.keys()]
    faults += [f"{name} is not part of {config.name}" for name in renamed.keys() - expected.keys()]
    for name in expected.keys() & renamed.keys():
        array = renamed[name]
        if array.shape != expected[name] or array.dtype != np.float32:
            faults.append(f"{name}: expected float32 {list(expected[name])}, found {array.dtype} {list(array.shape)}")
        elif not np.isfinite(array).all():
            faults.append(f"{name} has values that are not finite")
    if faults:
        listed = "; ".join(sorted(faults))
        raise SourceError(f"{path} does not fit {config.name}: {listed}. Choose the preset the weights were made for.")
    return {name: renamed[name] for name in expected}
