"""Parts of timm's models that are the same function in fewer arrays."""

from __future__ import annotations

import numpy as np

from .config import ViTConfig

__all__ = ["fold"]


def fold(arrays: dict[str, np.ndarray], config: ViTConfig) -> dict[str, np.ndarray]:
    """Prefix tokens as one array, a position for each of them, no layer scale, a bias everywhere, one head.

    What does not fit the configuration stays as it is, to be refused by its name.
    """
    arrays = dict(arrays)
    _join_prefix_tokens(arrays, config)
    _place_prefix_tokens(arrays, config)
    for block in range(config.depth):
        _scale_layer(arrays, f"blocks.{block}.ls1.gamma", f"blocks.{block}.proj", (config.width, config.width))
        _scale_layer(arrays, f"blocks.{block}.ls2.gamma", f"blocks.{block}.fc2", (config.width, config.hidden))
        if f"blocks.{block}.qkv.weight" in arrays:
            arrays.setdefault(f"blocks.{block}.qkv.bias", np.zeros(config.qkv_width(block), np.float32))
    if config.pooling == "class_distilled":
        _average_heads(arrays, config)
    if config.fc_norm:
        arrays |= {name.removeprefix("fc_"): arrays.pop(name) for name in list(arrays) if name.startswith("fc_norm.")}
    return arrays


def _fit(arrays: dict[str, np.ndarray], **shapes: tuple[int, ...]) -> bool:
    return all(name in arrays and arrays[name].shape == shape for name, shape in shapes.items())


def _join_prefix_tokens(arrays: dict[str, np.ndarray], config: ViTConfig) -> None:
    """Class token, distillation token and registers, in the order that timm concatenates them."""
    names = [name for name in ("cls_token", "dist_token", "reg_token") if name in arrays]
    parts = [arrays[name] for name in names if arrays[name].shape[::2] == (1, config.width)]
    if len(parts) == len(names) and sum(part.shape[1] for part in parts) == config.prefix_tokens:
        for name in names:
            del arrays[name]
        arrays["cls_token"] = np.concatenate([np.zeros((1, 0, config.width), np.float32), *parts], 1)


def _place_prefix_tokens(arrays: dict[str, np.ndarray], config: ViTConfig) -> None:
    """A prefix token without an entry in the position table has nothing added to it: a zero entry."""
    table = arrays.get("pos_embed", np.empty(0))
    placed = table.shape[1] - config.patches if table.ndim == 3 else config.prefix_tokens
    if placed in (0, 1) and placed < config.prefix_tokens:
        missing = np.zeros((1, config.prefix_tokens - placed, table.shape[2]), table.dtype)
        arrays["pos_embed"] = np.concatenate([table[:, :placed], missing, table[:, placed:]], 1)


def _scale_layer(arrays: dict[str, np.ndarray], gamma: str, layer: str, shape: tuple[int, int]) -> None:
    """gamma * (W x + b) = (gamma W) x + gamma b."""
    if _fit(arrays, **{gamma: shape[:1], f"{layer}.weight": shape, f"{layer}.bias": shape[:1]}):
        factor = arrays.pop(gamma)
        arrays[f"{layer}.weight"] = factor[:, None] * arrays[f"{layer}.weight"]
        arrays[f"{layer}.bias"] = factor * arrays[f"{layer}.bias"]


def _average_heads(arrays: dict[str, np.ndarray], config: ViTConfig) -> None:
    """(W x + b + V y + c) / 2 = [W/2 V/2] [x y] + (b + c)/2: timm's inference with a distillation token."""
    matrix, bias = (config.classes, config.width), (config.classes,)
    heads = ("head", "head_dist")
    if _fit(arrays, **{f"{h}.weight": matrix for h in heads}, **{f"{h}.bias": bias for h in heads}):
        arrays["head.weight"] = np.concatenate([arrays["head.weight"], arrays.pop("head_dist.weight")], 1) / 2
        arrays["head.bias"] = (arrays["head.bias"] + arrays.pop("head_dist.bias")) / 2
