"""Folders of Hugging Face: ViT, DeiT and DINOv2 (with and without registers) for classification, and timm's own."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np

from .checkpoint import SourceError, read_arrays
from .config import Preprocessing
from .inference import Facts
from .timm_names import facts_of, timm_notes, timm_preprocessing

__all__ = ["preprocessing_of", "read_folder"]

# Their names as timm's; query, key and value are joined afterwards.
_NAMES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^(vit|deit|dinov2|dinov2_with_registers)\.", ""),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.cls_token$", "cls_token"),
        (r"^embeddings\.distillation_token$", "dist_token"),
        (r"^embeddings\.register_tokens$", "reg_token"),
        (r"^encoder\.layer\.", "blocks."),
        (r"^(blocks\.\d+)\.attention\.attention\.", r"\1.attn."),
        (r"^(blocks\.\d+)\.attention\.output\.dense\.", r"\1.attn.proj."),
        (r"^(blocks\.\d+)\.intermediate\.dense\.", r"\1.mlp.fc1."),
        (r"^(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
        (r"^(blocks\.\d+)\.layernorm_before\.", r"\1.norm1."),
        (r"^(blocks\.\d+)\.layernorm_after\.", r"\1.norm2."),
        (r"^(blocks\.\d+)\.layer_scale([12])\.lambda1$", r"\1.ls\2.gamma"),
        (r"^layernorm\.", "norm."),
        (r"^(classifier|cls_classifier)\.", "head."),
        (r"^distillation_classifier\.", "head_dist."),
    )
)
_UNUSED = "mask_token"  # DINOv2's, for its training
_TYPES = ("vit", "deit", "dinov2", "dinov2_with_registers")


def read_folder(folder: Path) -> tuple[dict[str, np.ndarray], Facts]:
    """The arrays under timm's names, and what config.json and preprocessor_config.json say.

    Raises SourceError for a model of another type or activation, and for missing files.
    """
    config = _json(folder / "config.json")
    if "architecture" in config:
        return _weights(folder), _timm_facts(folder, config)
    if config.get("model_type") not in _TYPES:
        raise SourceError(
            f"{folder}: expected a model_type of {', '.join(_TYPES)}, found {config.get('model_type')!r}."
        )
    if config.get("hidden_act", "gelu") != "gelu":
        raise SourceError(
            f"{folder}: expected hidden_act 'gelu', found {config['hidden_act']!r}; no other is computed."
        )
    arrays = {}
    for name, array in _weights(folder).items():
        for pattern, replacement in _NAMES:
            name = pattern.sub(replacement, name)
        if not name.endswith(_UNUSED):
            arrays[name] = array
    spec, notes = None, ()
    if (path := folder / "preprocessor_config.json").is_file():
        spec, notes = preprocessing_of(path)
    labels = {str(key): str(label) for key, label in (config.get("id2label") or {}).items()}
    return _join_projections(arrays), Facts(
        name=_name(folder),
        heads=config.get("num_attention_heads"),
        norm_eps=config.get("layer_norm_eps", 1e-12),
        preprocessing=spec,
        labels=tuple(labels[key] for key in sorted(labels, key=int))
        if all(map(str.isdigit, labels)) and labels
        else None,
        notes=notes,
        antialias=config["model_type"] != "dinov2",
    )


def _timm_facts(folder: Path, config: dict) -> Facts:
    """timm saves its own names, its architecture, and how its weights were trained."""
    cfg = config.get("pretrained_cfg") or {}
    labels = config.get("label_names") or cfg.get("label_names") or ()
    try:
        told = Facts(_name(folder), preprocessing=timm_preprocessing(cfg), notes=timm_notes(cfg))
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise SourceError(f"{folder}: pretrained_cfg needs input_size, crop_pct, mean and std ({error!r}).") from None
    known = facts_of(str(config["architecture"]), config.get("num_classes", 1000), config.get("global_pool"))
    return dataclasses.replace(told.completed(known), labels=tuple(map(str, labels)) or None, notes=told.notes)


def _name(folder: Path) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("-._") or "model"


def preprocessing_of(path: Path) -> tuple[Preprocessing, tuple[str, ...]]:
    """What a preprocessor_config.json asks for, and where the runtime, which resizes the short side bicubically and
    crops the centre, does otherwise."""
    spec = _json(path)
    size, crop, notes = spec.get("size", 224), spec.get("crop_size"), []
    try:
        if isinstance(size, dict):
            short = min(size.values())
            squashed = "shortest_edge" not in size
        else:
            short, squashed = int(size), False
        square = min(crop.values()) if isinstance(crop, dict) else crop
        square = int(square) if square and spec.get("do_center_crop", True) else int(short)
        mean, std = ([float(x) for x in spec.get(key, (0.5,) * 3)] for key in ("image_mean", "image_std"))
    except (TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{path}: sizes, mean and standard deviation must be numbers ({error}).") from None
    if len(mean) != 3 or len(std) != 3 or not 0 < square <= short or not all(map(math.isfinite, mean)) or min(std) <= 0:
        raise SourceError(
            f"{path}: expected three means, three deviations above 0 and a crop within the resized picture."
        )
    if squashed:
        notes.append(f"pictures are cropped to a square, not squashed to {short} x {short}")
    if spec.get("resample", 3) != 3:
        notes.append("pictures are resized bicubically, not as resample says")
    return Preprocessing(int(short), square, tuple(mean), tuple(std)), tuple(notes)


def _weights(folder: Path) -> dict[str, np.ndarray]:
    """model.safetensors, its shards, or pytorch_model.bin."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(map(str, _json(index).get("weight_map", {}).values())))
        if any(Path(shard).name != shard for shard in shards):
            raise SourceError(f"{index}: shards must lie in the folder itself, found {', '.join(shards)}.")
        return {name: array for shard in shards for name, array in read_arrays(folder / shard).items()}
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return read_arrays(folder / name)
    raise SourceError(f"{folder} has neither model.safetensors nor pytorch_model.bin; download one of them.")


def _join_projections(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """query, key and value, in that order, as the one matrix that timm has."""
    joined = dict(arrays)
    for name in arrays:
        if ".attn.query." in name:
            parts = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
            if all(part in arrays and arrays[part].shape == arrays[name].shape for part in parts):
                joined[name.replace(".query.", ".qkv.")] = np.concatenate([joined.pop(part) for part in parts])
    return joined


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not readable ({error}); a Hugging Face folder needs it.") from None
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected a JSON object, found {type(content).__name__}.")
    return content
