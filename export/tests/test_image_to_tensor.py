"""Pictures to tensors: the operator, its reference in whole numbers, Pillow, PyTorch and standard operators."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from coppice_export.check import session
from coppice_export.config import Preprocessing
from coppice_export.graph import Graph
from coppice_export.operators import image_to_tensor
from coppice_export.preprocess import preprocess

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# (height, width), size, crop: reduced, enlarged, unchanged, odd margins, single pixels, heights around twice the width.
CASES = [
    ((53, 37), 32, 32),
    ((160, 200), 80, 72),
    ((20, 45), 20, 17),
    ((300, 8), 24, 20),
    ((5, 61), 16, 16),
    ((24, 24), 24, 24),
    ((1, 1), 9, 7),
    ((1, 100), 3, 1),
    ((257, 331), 7, 6),
    ((120, 60), 20, 18),
    ((122, 60), 20, 18),
    ((301, 150), 40, 32),
    ((3000, 31), 5, 5),
]


def _picture(height: int, width: int) -> np.ndarray:
    """Noise under edges of full contrast, so that the filter overshoots and is clipped."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3))
    return np.where(((x // 9 + y // 7) % 3 == 0)[..., None], 255, noise).astype(np.uint8)


def _run(image: np.ndarray, **options) -> np.ndarray:
    graph = Graph("test")
    graph.input("image", "uint8", list(image.shape))
    graph.output(image_to_tensor.ours(graph, "image", **options), "float32", [1, 3, "h", "w"])
    return session(graph.model().SerializeToString()).run(None, {"image": image})[0]


@pytest.mark.parametrize(("shape", "size", "crop"), CASES)
def test_equals_preprocess_to_the_bit(shape, size, crop):
    """The operator and its reference give exactly the floats of `preprocess`, which calls Pillow."""
    pixels = _picture(*shape)
    expected = preprocess(pixels, Preprocessing(size, crop, **IMAGENET))[None]
    np.testing.assert_array_equal(_run(pixels, size=size, crop=(crop, crop), **IMAGENET), expected)
    np.testing.assert_array_equal(image_to_tensor.reference(pixels, size, (crop, crop), **IMAGENET), expected)


@pytest.mark.parametrize(("shape", "size", "crop"), CASES)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_other_filters_equal_pillow(interpolation, shape, size, crop):
    """Bilinear and nearest give Pillow's pixels too."""
    pixels = _picture(*shape)
    height, width = image_to_tensor.resized_size(*shape, size)
    kind = Image.Resampling[interpolation.upper()]
    resized = Image.fromarray(pixels).resize((width, shape[0]), kind).resize((width, height), kind)
    top, left = round((height - crop) / 2), round((width - crop) / 2)
    square = np.asarray(resized, np.float32)[top : top + crop, left : left + crop]
    expected = ((square / 255 - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1)[None]
    found = _run(pixels, size=size, crop=(crop, crop), interpolation=interpolation)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("range", ["limited", "full"])
@pytest.mark.parametrize(("shape", "size"), [((2, 2), 3), ((40, 60), 16), ((50, 34), 17), ((90, 30), 7)])
def test_nv12_equals_the_reference(shape, size, range):
    """A camera's picture, wide, square, and more than twice as high as wide."""
    image = np.random.default_rng(3).integers(0, 256, (shape[0] * 3 // 2, shape[1])).astype(np.uint8)
    options = {"size": size, "layout": "nv12", "range": range}
    np.testing.assert_array_equal(_run(image, **options), image_to_tensor.reference(image, **options))


def test_grey_nv12_keeps_its_levels():
    """Without colour, limited range stretches 16..235 to 0..255 and full range changes nothing."""
    image = np.full((6, 4), 128, np.uint8)
    image[:4] = np.array([16, 235, 0, 255], np.uint8)[:, None]
    limited, full = (image_to_tensor.rgb_of_nv12(image, range)[:, 0, 0] for range in ("limited", "full"))
    np.testing.assert_array_equal(limited, [0, 255, 0, 255])
    np.testing.assert_array_equal(full, [16, 235, 0, 255])


@pytest.mark.parametrize("face", ["torch", "stock"])
def test_faces_without_rounding_stay_within_two_levels(face):
    """PyTorch and ONNX Runtime do not round between the passes; where nothing overshoots that is all that differs."""
    y, x = np.mgrid[0:96, 0:144]
    pixels = np.stack([x + 40, 2 * y + 20, x // 2 + y + 30], -1).astype(np.uint8)
    crop = (40, 44)
    expected = image_to_tensor.reference(pixels, 48, crop, **IMAGENET)
    if face == "torch":
        found = image_to_tensor.torch_face(torch.from_numpy(pixels), 48, crop, **IMAGENET).numpy()
    else:
        graph = Graph("test")
        graph.input("image", "uint8", list(pixels.shape))
        name = image_to_tensor.stock(graph, "image", 96, 144, 48, crop, **IMAGENET)
        graph.output(name, "float32", [1, 3, *crop])
        found = session(graph.model().SerializeToString()).run(None, {"image": pixels})[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2 / 255 / min(IMAGENET["std"]))


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        ((10, 10, 4), {"size": 8}, r"must have shape \[H,W,3\] for layout=rgb, found \[10,10,4\]"),
        ((10, 10), {"size": 8, "layout": "nv12"}, r"must have shape \[H\*3/2,W\] with even H and W"),
        ((10, 20, 3), {"size": 8, "crop": (9, 8)}, r"crop=\[9,8\] must fit into the resized picture \[8,16\]"),
        ((10, 10, 3), {"size": 8, "std": (1.0, 0.0, 1.0)}, "attribute std must be finite and above 0"),
        (
            (10, 10, 3),
            {"size": 8, "interpolation": "lanczos"},
            "must be one of bicubic, bilinear, nearest, found lanczos",
        ),
    ],
)
def test_refusals_say_what_was_found_and_what_to_do(shape, options, sentence):
    """A wrong call ends in one sentence, never in an answer."""
    with pytest.raises(Exception, match=sentence):
        _run(np.zeros(shape, np.uint8), **options)
