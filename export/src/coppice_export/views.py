"""Random views of photographs, and batches of them as tensors: what training looks at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .config import Preprocessing
from .photographs import Photograph
from .preprocess import preprocess

__all__ = ["as_on_board", "random_crop", "random_views", "to_tensor"]


def random_crop(image: Image.Image, size: int, smallest: float, rng: np.random.Generator) -> Image.Image:
    """A crop of `smallest`..1 of the area, aspect ratio 3/4..4/3, resized to size x size."""
    width, height = image.size
    area, ratio = rng.uniform(smallest, 1) * width * height, math.exp(rng.uniform(-1, 1) * math.log(4 / 3))
    w, h = min(width, round(math.sqrt(area * ratio))), min(height, round(math.sqrt(area / ratio)))
    left, top = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + w, top + h))


def to_tensor(pixels: np.ndarray, spec: Preprocessing) -> Tensor:
    """pixels: uint8 (batch, height, width, 3) -> float32 (batch, 3, height, width), (x / 255 - mean) / std."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255 * std).sub_(mean / std)
    return image.contiguous(memory_format=torch.channels_last)


def random_views(
    photographs: Sequence[Photograph], numbers: np.ndarray, spec: Preprocessing, smallest: float, seed: tuple[int, ...]
) -> Tensor:
    """A crop of each numbered photograph, half of them mirrored: float32 (batch, 3, crop, crop).

    The view depends on the seed and the photograph's number alone, so a model with another input size sees the same.
    """
    views = []
    for number in numbers:
        rng = np.random.default_rng((*seed, int(number)))
        mirrored = rng.random() < 0.5
        crop = random_crop(Image.fromarray(photographs[number].pixels()), spec.crop, smallest, rng)
        views.append(np.asarray(crop)[:, ::-1] if mirrored else np.asarray(crop))
    return to_tensor(np.stack(views), spec)


def as_on_board(photographs: Sequence[Photograph], spec: Preprocessing) -> Tensor:
    """The photographs as a board sees them: float32 (batch, 3, crop, crop)."""
    return torch.from_numpy(np.stack([preprocess(photograph.pixels(), spec) for photograph in photographs]))
