"""The arrays of a model by name: what a configuration needs, and how timm's become ours."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .branches import merge_branches
from .checkpoint import SourceError, read_arrays
from .config import ViTConfig
from .fold import fold
from .reductions import patch_merger, predictor

__all__ = ["SourceError", "expected_shapes", "fitted", "load_state", "renamed"]

_TIMM = (
    (re.compile(r"^patch_embed\.proj\."), "stem.0.conv."),
    (re.compile(r"^(blocks\.\d+\.)(attn|mlp)\."), r"\1"),
    (re.compile(r"^(blocks\.\d+\.)gamma_([12])$"), r"\1ls\2.gamma"),  # DeiT-III as its authors saved it
)


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
        if learned := _learned(config, b):
            shapes |= {f"blocks.{b}.{name}": shape for name, shape in learned.items()}
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


def _learned(config: ViTConfig, block: int) -> dict[str, tuple[int, ...]]:
    """The arrays of a reduction that is a network, under the name of what it is."""
    reduction = config.reduction(block)
    if reduction and reduction.method == "predictor":
        return {f"predictor.{name}": shape for name, shape in predictor.shapes(config).items()}
    if reduction and reduction.method == "patch_merger":
        return {f"merger.{name}": shape for name, shape in patch_merger.shapes(config, reduction).items()}
    return {}


def renamed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """timm's names as ours. Raises SourceError for an array that is given under both."""
    result: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        for pattern, replacement in _TIMM:
            name = pattern.sub(replacement, name)
        if name in result:
            raise SourceError(f"{name} is given twice, under two names; keep one of them.")
        result[name] = array
    return result


def fitted(arrays: dict[str, np.ndarray], config: ViTConfig, source: object, advice: str) -> dict[str, np.ndarray]:
    """The float32 arrays of the configuration, from arrays under our names or with timm's parts.

    Raises SourceError that names the source, lists every missing, surplus and misshapen array, and ends in the advice.
    """
    try:
        arrays = merge_branches(arrays)
    except (ValueError, IndexError) as error:  # numpy's own words for arrays of the wrong rank or shape
        raise SourceError(f"{source}: branches that do not fit together ({error}). {advice}") from error
    arrays, expected = predictor.own_names(fold(arrays, config), config), expected_shapes(config)
    faults = [f"{name} is missing" for name in expected.keys() - arrays.keys()]
    faults += [f"{name} is not part of {config.name}" for name in arrays.keys() - expected.keys()]
    for name in expected.keys() & arrays.keys():
        array = arrays[name]
        if array.shape != expected[name] or array.dtype != np.float32:
            faults.append(f"{name}: expected float32 {list(expected[name])}, found {array.dtype} {list(array.shape)}")
        elif not np.isfinite(array).all():
            faults.append(f"{name} has values that are not finite")
    if faults:
        raise SourceError(f"{source} does not fit {config.name}: {'; '.join(sorted(faults))}. {advice}")
    return {name: arrays[name] for name in expected}


def load_state(path: Path, config: ViTConfig) -> dict[str, np.ndarray]:
    """The arrays of a state dict, of any format that `read_arrays` knows, under this project's names."""
    return fitted(renamed(read_arrays(path)), config, path, "Choose the preset the weights were made for.")
