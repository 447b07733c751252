"""A picture, resized, cropped and normalised as in training; contract in docs/reference/operators.md."""

from __future__ import annotations

import math

import numpy as np

from ..graph import DOMAIN, Graph

__all__ = ["ours", "reference", "resized_size", "stock", "torch_face"]

_WEIGHT_BITS = 22


def resized_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width where the short side becomes `size` and the long side keeps the aspect ratio, rounded down."""
    return (height * size // width, size) if width <= height else (size, width * size // height)


def _bicubic(x: float) -> float:
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * -0.5 if x < 2 else 0.0


def _matrix(old: int, new: int, interpolation: str) -> np.ndarray:
    """Pillow's weights of `old` pixels in each of `new`, in units of 2^-22: int64 (new, old)."""
    weights = np.zeros((new, old), np.int64)
    scale = old / new
    if interpolation == "nearest":
        at = scale * 0.5
        for row in weights:
            row[min(int(at), old - 1)] = 1 << _WEIGHT_BITS
            at += scale
        return weights
    kernel, support = (_bicubic, 2.0) if interpolation == "bicubic" else (lambda x: max(1 - abs(x), 0.0), 1.0)
    stretch = max(scale, 1.0)
    for i, row in enumerate(weights):
        centre = (i + 0.5) * scale
        low = max(int(centre - support * stretch + 0.5), 0)
        high = min(int(centre + support * stretch + 0.5), old)
        exact = [kernel((j - centre + 0.5) * (1 / stretch)) for j in range(low, high)]
        total = sum(exact)
        row[low:high] = [int(math.copysign(0.5, w) + w / total * (1 << _WEIGHT_BITS)) for w in exact]
    return weights


def _round(sums: np.ndarray) -> np.ndarray:
    return np.clip((sums + (1 << (_WEIGHT_BITS - 1))) >> _WEIGHT_BITS, 0, 255)


def rgb_of_nv12(image: np.ndarray, range: str = "limited") -> np.ndarray:
    """(height * 3 / 2, width) -> (height, width, 3): BT.601 in fixed point of 20 bits, chroma repeated."""
    height = image.shape[0] * 2 // 3
    y = image[:height].astype(np.int64)
    u, v = (image[height:, i::2].astype(np.int64).repeat(2, 0).repeat(2, 1) - 128 for i in (0, 1))
    dark, gain, rv, gu, gv, bu = (
        (16, 1220542, 1673527, -409993, -852492, 2116026)
        if range == "limited"
        else (0, 1 << 20, 1470104, -360853, -748826, 1858077)
    )
    y = np.maximum(y - dark, 0) * gain + (1 << 19)
    return np.clip(np.stack([y + rv * v, y + gv * v + gu * u, y + bu * u], -1) >> 20, 0, 255).astype(np.uint8)


def reference(
    image: np.ndarray,
    size: int,
    crop: tuple[int, int] | None = None,
    mean: tuple[float, ...] = (0.5, 0.5, 0.5),
    std: tuple[float, ...] = (0.5, 0.5, 0.5),
    interpolation: str = "bicubic",
    layout: str = "rgb",
    range: str = "limited",
) -> np.ndarray:
    """uint8 (height, width, 3), or (height * 3 / 2, width) of nv12 -> float32 (1, 3, *crop), in whole numbers."""
    pixels = image if layout == "rgb" else rgb_of_nv12(image, range)
    height, width = resized_size(*pixels.shape[:2], size)
    crop = crop or (size, size)
    top, left = (round((a - b) / 2) for a, b in zip((height, width), crop))
    columns = _matrix(pixels.shape[1], width, interpolation)[left : left + crop[1]]
    rows = _matrix(pixels.shape[0], height, interpolation)[top : top + crop[0]]
    across = _round(np.einsum("xj,ijc->ixc", columns, pixels.astype(np.int64)))
    levels = _round(np.einsum("yi,ixc->yxc", rows, across)).astype(np.float32)
    normal = (levels / 255 - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1))[None]


def torch_face(image, size: int, crop: tuple[int, int], mean, std, interpolation: str = "bicubic"):
    """uint8 (height, width, 3) -> float (1, 3, *crop), differentiable and without rounding to 8 bits in between."""
    from torch.nn import functional as F

    pixels = image.permute(2, 0, 1)[None].double()
    height, width = resized_size(*image.shape[:2], size)
    options = {"mode": interpolation, "antialias": True} if interpolation != "nearest" else {"mode": "nearest"}
    resized = F.interpolate(pixels, (height, width), **options).clamp(0, 255)
    top, left = (round((a - b) / 2) for a, b in zip((height, width), crop))
    square = resized[:, :, top : top + crop[0], left : left + crop[1]] / 255
    return (square - square.new_tensor(mean)[:, None, None]) / square.new_tensor(std)[:, None, None]


def ours(
    graph: Graph,
    image: str,
    size: int,
    crop: tuple[int, int] | None = None,
    mean: tuple[float, ...] = (0.5, 0.5, 0.5),
    std: tuple[float, ...] = (0.5, 0.5, 0.5),
    interpolation: str = "bicubic",
    layout: str = "rgb",
    range: str = "limited",
) -> str:
    return graph.op(
        "ImageToTensor",
        image,
        domain=DOMAIN,
        size=size,
        crop=list(crop or (size, size)),
        mean=[float(m) for m in mean],
        std=[float(s) for s in std],
        interpolation=interpolation,
        layout=layout,
        range=range,
    )


def stock(
    graph: Graph,
    image: str,
    height: int,
    width: int,
    size: int,
    crop: tuple[int, int],
    mean: tuple[float, ...] = (0.5, 0.5, 0.5),
    std: tuple[float, ...] = (0.5, 0.5, 0.5),
    interpolation: str = "bicubic",
) -> str:
    """Standard operators for pictures of one size: Resize with antialiasing, in float, without rounding to 8 bits."""
    new_height, new_width = resized_size(height, width, size)
    pixels = graph.op("Cast", graph.op("Transpose", image, perm=[2, 0, 1]), to=1)
    pixels = graph.op("Unsqueeze", pixels, graph.integers(0))
    mode = {"bicubic": "cubic", "bilinear": "linear"}[interpolation]
    resized = graph.op(
        "Resize",
        pixels,
        "",
        "",
        graph.integers(1, 3, new_height, new_width),
        mode=mode,
        antialias=1,
        cubic_coeff_a=-0.5,
        exclude_outside=1,
    )
    top, left = (round((a - b) / 2) for a, b in zip((new_height, new_width), crop))
    square = graph.op(
        "Slice",
        graph.op("Clip", resized, graph.constant(np.float32(0)), graph.constant(np.float32(255))),
        graph.integers(top, left),
        graph.integers(top + crop[0], left + crop[1]),
        graph.integers(2, 3),
    )
    scaled = graph.op("Div", square, graph.constant(np.float32(255)))
    mean_column, std_column = (graph.constant(np.array(v, np.float32).reshape(1, 3, 1, 1)) for v in (mean, std))
    return graph.op("Div", graph.op("Sub", scaled, mean_column), std_column)
