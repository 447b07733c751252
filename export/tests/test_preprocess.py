"""Pixels to tensor against an implementation of the written rule in integers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from coppice_export.config import Preprocessing
from coppice_export.preprocess import preprocess

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
FIXED_POINT_BITS = 22


def _bicubic(x: float) -> float:
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def _matrix(length: int, size: int) -> np.ndarray:
    """int64 (size, length): weights of the inputs for each output in fixed point, support scaled by the reduction."""
    scale = length / size
    spread = max(scale, 1.0)
    matrix = np.zeros((size, length), np.int64)
    for row in range(size):
        centre = (row + 0.5) * scale
        first, last = max(0, int(centre - 2 * spread + 0.5)), min(length, int(centre + 2 * spread + 0.5))
        weights = [_bicubic((x - centre + 0.5) / spread) for x in range(first, last)]
        total = sum(weights)
        for x, weight in zip(range(first, last), weights):
            share = weight / total * (1 << FIXED_POINT_BITS)
            matrix[row, x] = math.trunc(share + math.copysign(0.5, share))
    return matrix


def _pass(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resample the first axis into 8 bits."""
    sums = np.tensordot(_matrix(len(pixels), size), pixels.astype(np.int64), 1) + (1 << (FIXED_POINT_BITS - 1))
    return np.clip(sums >> FIXED_POINT_BITS, 0, 255).astype(np.uint8)


def _by_the_rule(pixels: np.ndarray, spec: Preprocessing) -> np.ndarray:
    height, width = pixels.shape[:2]
    short = min(width, height)
    new_width, new_height = int(width * spec.short_side / short), int(height * spec.short_side / short)
    horizontal = _pass(pixels.swapaxes(0, 1), new_width).swapaxes(0, 1)
    resized = _pass(horizontal, new_height)
    margins = [(new_height - spec.crop) / 2, (new_width - spec.crop) / 2]
    top, left = (math.floor(m) + (m % 1 == 0.5 and math.floor(m) % 2 == 1) for m in margins)
    square = resized[top : top + spec.crop, left : left + spec.crop].astype(np.float32)
    channels = [
        (square[:, :, c] / np.float32(255) - np.float32(spec.mean[c])) / np.float32(spec.std[c]) for c in range(3)
    ]
    return np.stack(channels)


def _photograph(width: int, height: int, seed: int) -> np.ndarray:
    """Waves, edges of full contrast, where the filter overshoots, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = 127 + 90 * np.sin(x[..., None] * rng.uniform(0, 1, 3) + y[..., None] * rng.uniform(0, 1, 3))
    edges = np.where((x // 7 + y // 5) % 3 == 0, rng.choice([-255, 255]), 0)[..., None]
    return np.clip(waves + edges + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


@st.composite
def _tasks(draw) -> tuple[int, int, int, Preprocessing]:
    short_side = draw(st.integers(1, 48))
    spec = Preprocessing(short_side, draw(st.integers(1, short_side)), **draw(st.sampled_from([{}, IMAGENET])))
    return draw(st.integers(1, 130)), draw(st.integers(1, 130)), draw(st.integers(0, 99)), spec


@given(_tasks())
@example((1, 1, 0, Preprocessing(9, 7)))
@example((45, 20, 1, Preprocessing(20, 17)))
@example((23, 23, 2, Preprocessing(23, 23)))
@example((30, 80, 3, Preprocessing(16, 16)))  # Pillow 13 alone would resize it vertically first
def test_preprocessing_follows_its_written_rule(task):
    """Every float equals that of the rule: two 8-bit passes in 22-bit fixed point, cropped half to even, scaled."""
    width, height, seed, spec = task
    pixels = _photograph(width, height, seed)
    np.testing.assert_array_equal(preprocess(pixels, spec), _by_the_rule(pixels, spec))


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.LANCZOS])
def test_another_filter_is_noticed(resample):
    """The rule tells bicubic from its neighbours: a picture resized otherwise is another tensor."""
    pixels, spec = _photograph(61, 47, 3), Preprocessing(24, 24)
    other = np.asarray(Image.fromarray(pixels).resize((31, 24), resample))
    assert np.abs(preprocess(other, spec) - _by_the_rule(pixels, spec)).max() > 0.05


def test_portrait_and_landscape_keep_their_middle():
    """A mark in the middle stays there; marks at the ends of the long side are cropped away."""
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :4] = pixels[:, -4:] = 255
    pixels[:, 28:32] = 128
    landscape = preprocess(pixels, Preprocessing(20, 20))
    portrait = preprocess(pixels.swapaxes(0, 1), Preprocessing(20, 20))
    assert landscape.max() == (np.float32(128) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    np.testing.assert_array_equal(landscape, portrait.swapaxes(1, 2))


def test_fixtures_of_the_java_tests_are_what_python_computes():
    """The tensors stored for the Java tests are those of today's Python, so both follow one rule."""
    folder = Path(__file__).resolve().parents[2] / "runtime/core/src/test/resources/preprocess"
    pictures = sorted(folder.glob("*.png"))
    if not pictures:
        pytest.skip(f"no pictures in {folder}: export/tools/make_preprocess_fixtures.py writes them")
    for picture in pictures:
        values = dict(line.split("=") for line in picture.with_suffix(".properties").read_text().splitlines())
        mean, std = (tuple(map(float, values[key].split(","))) for key in ("mean", "std"))
        spec = Preprocessing(int(values["short_side"]), int(values["crop"]), mean, std)
        found = preprocess(np.asarray(Image.open(picture).convert("RGB")), spec)
        assert found.tobytes() == picture.with_suffix(".bin").read_bytes(), picture.name
