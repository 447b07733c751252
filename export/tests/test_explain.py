"""Pictures of the kept tokens: which patches are dimmed, and how the photograph is cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from coppice_export.bundle import write_bundle
from coppice_export.bundle_files import read_bundle
from coppice_export.check import session
from coppice_export.config import Preprocessing
from coppice_export.explain import draw, kept_patches, seen_square
from coppice_export.preprocess import preprocess


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(60, 256, (48, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def bundle(tiny, tiny_state, tiny_spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain") / "tiny"
    write_bundle(folder, tiny, tiny_state, tiny_spec)
    return read_bundle(folder)


@pytest.fixture(scope="module")
def found(bundle, pixels):
    return kept_patches(session(bundle.model), bundle, pixels)


def test_masks_are_the_graphs_positions(bundle, pixels, found):
    """As many patches as the rung keeps, at the places that the graph gives, the class token left out."""
    assert list(found) == ["full", "half"]
    image = preprocess(pixels, bundle.preprocessing)
    logits, *stages = session(bundle.model).run(["logits", "kept_0", "kept_1"], bundle.feeds(image, (8, 4)))
    best, share, masks = found["half"]
    for mask, positions in zip(masks, stages):
        assert (np.flatnonzero(mask) + 1).tolist() == positions[0, 1:].tolist()
    assert [int(mask.sum()) for mask in masks] == [8, 4]
    shares = np.exp(logits[0].astype(np.float64)) / np.exp(logits[0].astype(np.float64)).sum()
    assert (best, share) == (logits.argmax(), pytest.approx(shares.max(), rel=1e-5))


def test_dropped_patches_are_dimmed_and_kept_ones_are_the_photograph(bundle, pixels, found):
    """In the last panel of the last row, patch by patch."""
    sheet = np.asarray(draw(bundle, pixels, found))
    mask, cell = found["half"][2][1], 224 // 4
    square = seen_square(pixels, bundle.preprocessing, 224)
    panel = sheet[-10 - 224 : -10, -10 - 224 : -10]
    for row, column in np.ndindex(4, 4):
        place = np.s_[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        expected = square[place] if mask[row, column] else np.round(square[place] * 0.16)
        assert (panel[place] == expected).all()


def test_square_is_what_the_model_sees(pixels):
    """Short side to 48, the middle 32 of it: the model's own input, but for roundings to 8 bits."""
    spec = Preprocessing(short_side=48, crop=32)
    square = seen_square(pixels, spec, 32).astype(float)
    expected = (preprocess(pixels, spec).transpose(1, 2, 0) * 0.5 + 0.5) * 255
    np.testing.assert_allclose(square, expected, atol=1)


@pytest.fixture
def call(call, monkeypatch, tmp_path, pixels):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(pixels).save(tmp_path / "dog.png")
    return call


def test_command_writes_one_row_for_each_rung(call, bundle, tmp_path):
    """Two rungs by three panels; one row where one is asked for."""
    assert call("explain", bundle.folder, "dog.png") == (0, "wrote dog-kept.png\n")
    assert Image.open("dog-kept.png").size == (10 + 3 * 234, 10 + 2 * 254)
    assert call("explain", bundle.folder, "dog.png", "--rung", "half", "--out", "half.png")[0] == 0
    assert Image.open("half.png").size == (10 + 3 * 234, 10 + 254)


REFUSALS = {
    "no-image": (("nowhere.png",), "nowhere.png"),
    "unknown-rung": (("dog.png", "--rung", "best"), "no rung best; it has full, half"),
    "no-picture": (("text.png",), "text.png is no readable image"),
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_one_sentence(call, bundle, tmp_path, arguments, sentence):
    """And no picture is written."""
    (tmp_path / "text.png").write_text("hello")
    code, error = call("explain", bundle.folder, *arguments)
    assert (code, error.count("\n")) == (1, 1)
    assert sentence in error
    assert not list(tmp_path.glob("*-kept.png"))


def test_model_without_stages_has_nothing_to_show(call, random_state, tiny, tiny_spec, tmp_path):
    """Refused by its name."""
    plain = replace(tiny, reductions=())
    write_bundle(tmp_path / "plain", plain, random_state(plain), replace(tiny_spec, rungs=(), default=""))
    code, error = call("explain", "plain", "dog.png")
    assert (code, error) == (
        1,
        "coppice-export: plain: the model reduces no tokens, so there is nothing to show.\n",
    )
