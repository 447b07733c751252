"""A vision transformer that somebody already has, as configuration and arrays."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .checkpoint import FORMATS, SourceError, read_arrays
from .config import Preprocessing, ViTConfig
from .huggingface import preprocessing_of, read_folder
from .inference import Facts, at_size, configured
from .pieces import load_pieces
from .resample import resample_table
from .rewrite import read_graph
from .timm_names import facts_of
from .weights import fitted, load_state, renamed

__all__ = ["Source", "open_source", "resized"]


@dataclass(frozen=True)
class Source:
    """A model ready to export; `notes` say what was assumed."""

    config: ViTConfig
    state: dict[str, np.ndarray]
    labels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def open_source(
    path: Path,
    preset: ViTConfig | None = None,
    model: str | None = None,
    heads: int | None = None,
    preprocessor: Path | None = None,
    size: int | None = None,
    adapt: Callable[[ViTConfig], ViTConfig] = lambda config: config,
) -> Source:
    """A state dict under timm's names, a Hugging Face folder, or an ONNX graph.

    preset: the configuration, where it is known; nothing is inferred then. model: the timm name that tells what shapes
    do not. preprocessor: a preprocessor_config.json with Hugging Face's keys. size: pixels along an edge of the input,
    if not what the source says. adapt: what the model is to do besides, known before its arrays are asked for. Raises
    SourceError for what is not recognised.
    """
    if preset and (model or heads or preprocessor):
        raise SourceError("a preset has heads and preprocessing; leave out --model, --heads and --preprocessor.")
    if preset:
        config = adapt(preset)
        source = Source(config, load_state(path, config))
        return resized(source, at_size(preset.preprocessing, size)) if size else source
    arrays, facts = _read(path)
    arrays = renamed(arrays)
    if model:
        facts = facts.completed(facts_of(model, len(arrays.get("head.bias", ()))))
    if preprocessor:
        spec, notes = preprocessing_of(preprocessor)
        facts = dataclasses.replace(facts, preprocessing=spec, notes=notes)
    if heads and facts.heads not in (None, heads):
        raise SourceError(f"{path} has {facts.heads} heads, not {heads}; leave out --heads.")
    facts = facts.completed(Facts(facts.name, heads))
    config, assumed = configured(arrays, facts, path)
    config = adapt(config)
    advice = "Only plain pre-norm ViTs can be read; docs/reference/export.md lists what is known."
    source = Source(config, fitted(arrays, config, path, advice), facts.labels, (*facts.notes, *assumed))
    spec = facts.preprocessing or config.preprocessing
    return resized(source, at_size(spec, size) if size else spec, facts.antialias)


def _read(path: Path) -> tuple[dict[str, np.ndarray], Facts]:
    if path.is_dir():
        return read_folder(path)
    name = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._") or "model"
    if path.suffix == ".onnx":
        return read_graph(load_pieces(path), name)
    if path.suffix not in FORMATS:
        known = ", ".join((*FORMATS, ".onnx"))
        raise SourceError(f"{path}: expected a Hugging Face folder or a file of {known}; found neither.")
    return read_arrays(path), Facts(name)


def resized(source: Source, spec: Preprocessing, antialias: bool = True) -> Source:
    """The model for pictures of another resolution, its position table interpolated."""
    patch = math.prod(conv.stride for conv in source.config.stem)
    if spec.crop < patch or spec.crop % patch:
        raise SourceError(f"the image size must be a multiple of the patch, {patch} pixels: {spec.crop}.")
    config = dataclasses.replace(source.config, preprocessing=spec)
    table = resample_table(source.state["pos_embed"], config.prefix_tokens, config.grid, antialias)
    return dataclasses.replace(source, config=config, state=source.state | {"pos_embed": table})
