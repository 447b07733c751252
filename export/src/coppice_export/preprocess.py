"""From decoded pixels to the model's input, the way the Java runtime does it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .config import Preprocessing

__all__ = ["preprocess"]


def preprocess(pixels: np.ndarray, spec: Preprocessing) -> np.ndarray:
    """pixels: uint8 (height, width, 3) -> float32 (3, crop, crop).

    The short side becomes `short_side`, the long side keeps the aspect ratio (rounded down), bicubic with antialiasing
    (a = -0.5, support scaled by the reduction), horizontally, then vertically; then the centre square, then
    (x / 255 - mean) / std.
    """
    height, width = pixels.shape[:2]
    side = spec.short_side
    size = (side, height * side // width) if width <= height else (width * side // height, side)
    # One pass at a time, as each rounds to 8 bits: in a single call, Pillow 13 resizes tall pictures vertically first.
    across = Image.fromarray(pixels).resize((size[0], height), Image.Resampling.BICUBIC)
    resized = across.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - spec.crop) / 2), round((size[1] - spec.crop) / 2)
    square = np.asarray(resized.crop((left, top, left + spec.crop, top + spec.crop)), np.float32)
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
    return np.ascontiguousarray(((square / 255 - mean) / std).transpose(2, 0, 1))
