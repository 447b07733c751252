"""The check of every export goes red on what is wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from coppice_export.check import CheckError, check_model, ops_library, sample_images, session
from coppice_export.config import Reduction
from coppice_export.model import build_model

RUNGS = {"full": (16, 16), "half": (8, 4)}


def _changed(state, name, change):
    return state | {name: change(state[name].copy())}


def _one_element(array):
    array.flat[0] += 0.05
    return array


def _one_nan(array):
    array.flat[0] = np.nan
    return array


def test_right_graph_passes_with_a_difference_for_every_rung(tiny, tiny_state):
    """The report names what was compared, each rung's difference, and the operators."""
    report = check_model(build_model(tiny, tiny_state), tiny, tiny_state, RUNGS)
    assert report.reference.startswith("PyTorch 2.")
    assert report.differences.keys() == RUNGS.keys()
    assert all(0 < difference < 1e-5 for difference in report.differences.values())
    assert report.operators == {"LinearAttention": 2, "TokenAttention": 3, "TopKTokens": 2}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("blocks.0.qkv.weight", _one_element),
        ("blocks.4.fc2.bias", _one_element),
        ("stem.1.norm.running_mean", _one_element),
        ("pos_embed", _one_element),
        ("head.weight", np.zeros_like),
        ("blocks.2.norm1.weight", _one_nan),
        ("head.bias", _one_nan),
    ],
)
def test_graph_with_other_weights_is_refused(tiny, tiny_state, name, change):
    """One changed element, a head of zeros or one NaN in the graph is a difference to the source."""
    wrong = build_model(tiny, _changed(tiny_state, name, change))
    with pytest.raises(CheckError, match=r"Logits of tiny differ from PyTorch .* No bundle was written\.$"):
        check_model(wrong, tiny, tiny_state, RUNGS)


def test_source_that_gives_no_numbers_is_refused(tiny, tiny_state):
    """A source whose logits are NaN equals nothing, though the graph gives finite ones."""
    wrong = _changed(tiny_state, "head.bias", _one_nan)
    with pytest.raises(CheckError, match="differ from PyTorch"):
        check_model(build_model(tiny, tiny_state), tiny, wrong, RUNGS)


def test_source_that_gives_the_same_logits_for_every_picture_is_refused(tiny, tiny_state):
    """A head of zeros would make every comparison pass, so there is nothing to compare."""
    dead = _changed(tiny_state, "head.weight", np.zeros_like)
    with pytest.raises(CheckError, match="same logits"):
        check_model(build_model(tiny, dead), tiny, dead, RUNGS)


def test_wrong_rung_is_named_with_its_difference(tiny, tiny_state):
    """Only the rung that differs is named: without its second reduction, a graph is right at the full budget."""
    wrong = build_model(replace(tiny, reductions=Reduction.at(1, 4)), tiny_state)
    with pytest.raises(CheckError) as refusal:
        check_model(wrong, tiny, tiny_state, RUNGS)
    assert re.search(r"by more than 0\.0001: half [0-9.e-]+\.", str(refusal.value))
    assert "full" not in str(refusal.value)


@pytest.mark.parametrize(("version", "change"), [("IR 9", "ir"), ("'': 19", "opset"), ("'dev.coppice': 2", "domain")])
def test_graph_of_another_version_is_refused(tiny, tiny_state, version, change):
    """A graph that the runtime cannot read is refused with what was found and expected."""
    model = build_model(tiny, tiny_state)
    versions = {entry.domain: entry for entry in model.opset_import}
    if change == "ir":
        model.ir_version = 9
    elif change == "opset":
        versions[""].version = 19
    else:
        versions["dev.coppice"].version = 2
    with pytest.raises(CheckError, match=f"{version}.*expected IR 10, opset 20 and dev.coppice 1"):
        check_model(model, tiny, tiny_state, RUNGS)


def test_ladder_may_be_empty(tiny, tiny_state):
    """Without rungs the graph is compared with all tokens kept."""
    assert list(check_model(build_model(tiny, tiny_state), tiny, tiny_state, {}).differences) == ["all tokens"]


def test_sample_images_differ_and_are_always_the_same(tiny):
    """Two calls give the same pictures, which differ from each other."""
    first, again = sample_images(tiny, 2), sample_images(tiny, 2)
    assert [a.tobytes() for a in first] == [a.tobytes() for a in again]
    assert np.abs(first[0] - first[1]).max() > 0.5


def test_missing_library_is_refused_with_its_path(monkeypatch, tmp_path):
    """The refusal says where the library was looked for and how to get it."""
    monkeypatch.setenv("COPPICE_OPS_LIBRARY", str(tmp_path / "libcoppice_ops.so"))
    with pytest.raises(CheckError, match=rf"No operator library at {tmp_path}.*make build"):
        ops_library()


def test_file_that_is_no_library_is_refused_in_one_line(monkeypatch, tmp_path, tiny, tiny_state):
    """A text file in the library's place is refused by its path, without a second line."""
    (tmp_path / "libcoppice_ops.so").write_text("not a library")
    monkeypatch.setenv("COPPICE_OPS_LIBRARY", str(tmp_path / "libcoppice_ops.so"))
    with pytest.raises(CheckError, match="is no operator library of this machine") as refusal:
        session(build_model(tiny, tiny_state).SerializeToString())
    assert "\n" not in str(refusal.value)


def test_invalid_graph_is_refused(tiny, tiny_state):
    """A node that reads a value nobody makes is refused before anything is run."""
    model = build_model(tiny, tiny_state)
    model.graph.node[-1].input[0] = "nobody"
    with pytest.raises(CheckError, match=r"no valid ONNX.*nobody") as refusal:
        check_model(model, tiny, tiny_state, RUNGS)
    assert "\n" not in str(refusal.value)
