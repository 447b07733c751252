"""Reading bundles back, room on the disk, and what stands in a bundle that nobody described."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from coppice_export.bundle import write_bundle
from coppice_export.bundle_files import SIGNATURE, BundleError, read_bundle, staged


@pytest.fixture
def folder(tiny, tiny_state, tiny_spec, tmp_path):
    write_bundle(tmp_path / "tiny", tiny, tiny_state, tiny_spec)
    return tmp_path / "tiny"


def test_bundle_is_read_as_it_was_written(folder, tiny, tiny_spec):
    """Name, rungs, labels, preprocessing and inputs are those of the model."""
    bundle = read_bundle(folder)
    assert (bundle.name, bundle.precision, bundle.labels) == ("tiny 1.2.3", "float32", tiny_spec.labels)
    assert bundle.rungs == {"full": (16, 16), "half": (8, 4)}
    assert bundle.preprocessing == tiny.preprocessing
    feeds = bundle.feeds(np.zeros((3, 32, 32), np.float32), (8, 4))
    assert {name: array.shape for name, array in feeds.items()} == {"image": (1, 3, 32, 32), "keep": (2,)}


def test_signature_is_no_surplus_file(folder):
    """The one file that the manifest cannot list."""
    (folder / SIGNATURE).write_text("{}")
    assert read_bundle(folder).name == "tiny 1.2.3"


def _change(path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


FAULTS = {
    "changed": (lambda folder: _change(folder / "golden/1/input.bin"), "golden/1/input.bin is changed"),
    "missing": (lambda folder: (folder / "LICENSE").unlink(), "LICENSE is missing"),
    "surplus": (lambda folder: (folder / "notes.txt").write_text(""), "notes.txt is not listed"),
    "link": (lambda folder: os.symlink("LICENSE", folder / "COPYING"), "found the links COPYING"),
    "no-manifest": (lambda folder: (folder / "bundle.json").unlink(), "found no bundle.json"),
    "no-json": (lambda folder: (folder / "bundle.json").write_text("{"), "no readable manifest"),
    "no-object": (lambda folder: (folder / "bundle.json").write_text("[]"), "no readable manifest"),
    "format": (lambda folder: (folder / "bundle.json").write_text('{"format": 2, "files": {}}'), "format 1, found 2"),
}


@pytest.mark.parametrize(("spoil", "sentence"), FAULTS.values(), ids=FAULTS)
def test_spoilt_bundle_is_refused(folder, spoil, sentence):
    """One sentence that names the file."""
    spoil(folder)
    with pytest.raises(BundleError, match=sentence) as refusal:
        read_bundle(folder)
    assert "\n" not in str(refusal.value)


def test_disk_without_room_is_refused_before_anything_is_written(tmp_path):
    """A bundle of an exabyte: the sentence says what it needs, and the folder's parent stays empty."""
    with pytest.raises(BundleError, match=r"needs 1000000000000\.0 MB, .* MB free"), staged(tmp_path / "x", 10**18):
        pass
    assert list(tmp_path.iterdir()) == []


def test_card_states_what_is_known(tiny, tiny_state, tiny_spec, tmp_path):
    """Without a card of its own the bundle describes shape, rungs, accuracy and licence, and what it does not know."""
    terms = "Licence of my own\nDo no harm.\n"
    write_bundle(tmp_path / "tiny", tiny, tiny_state, replace(tiny_spec, licence=terms))
    card = (tmp_path / "tiny" / "README.md").read_text()
    for line in (
        "# tiny 1.2.3",
        "A vision transformer for 10 classes: label 0, label 1, ",
        "| input | 32x32 pixels: short side resized to 36, centre crop, mean 0.5 0.5 0.5, ",
        "| body | 5 blocks, 24 channels, 3 heads, 40 hidden |",
        "Top-1 on some photographs:",
        "| full | 16, 16 | 0 M | 80.00 % |",
        "| half (default) | 8, 4 | 0 M | 70.50 % |",
        "See LICENSE: Licence of my own",
    ):
        assert line in card
    assert (tmp_path / "tiny" / "LICENSE").read_text() == terms


def test_card_does_not_claim_what_was_not_measured(tiny, tiny_state, tiny_spec, tmp_path):
    """No top-1 and no licence: the card and LICENSE say so."""
    rungs = tuple(replace(rung, top1=None) for rung in tiny_spec.rungs)
    write_bundle(tmp_path / "tiny", tiny, tiny_state, replace(tiny_spec, rungs=rungs, accuracy_data=""))
    card = (tmp_path / "tiny" / "README.md").read_text()
    assert "Not measured.\n" in card
    assert "%" not in card
    assert card.endswith("None stated.\n")
    assert "was not stated" in (tmp_path / "tiny" / "LICENSE").read_text()
    assert "top1" not in json.dumps(json.loads((tmp_path / "tiny" / "bundle.json").read_text())["ladder"])
