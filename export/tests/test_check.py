"""The check of every export goes red on what is wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from coppice_export import bundle, check
from coppice_export.check import CheckError, check_model, ops_library, sample_images, session
from coppice_export.config import Reduction
from coppice_export.divergence import reference_of
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
    assert report.operators == {"EncoderBlock": 5}


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


@pytest.fixture(scope="module")
def tie(tiny, tiny_state) -> np.ndarray:
    """A picture in which two tokens compete with scores equal but for rounding: PyTorch and the graph choose otherwise.

    Found between two pictures that keep different tokens: halving leads to where the choice changes, and around that
    place, in steps of the last bits, the two disagree.
    """
    model = reference_of(tiny, tiny_state)
    graph = session(build_model(tiny, tiny_state).SerializeToString())
    first, second = (image.astype(np.float64) for image in sample_images(tiny, 2))

    def kept(share: float) -> tuple[list, list, np.ndarray]:
        image = ((1 - share) * first + share * second).astype(np.float32)
        with torch.inference_mode():
            expected = model.features(torch.from_numpy(image), RUNGS["half"])[1][0]
        found = graph.run(["kept_0"], {"image": image, "keep": np.array(RUNGS["half"])})[0]
        return expected.tolist(), found.tolist(), image

    low, high, begins = 0.0, 1.0, kept(0.0)[0]
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle)[0] == begins else (low, middle)
    around = (kept(low + step * 1e-9) for step in range(-200, 200))
    return next(image for expected, found, image in around if expected != found)


@pytest.fixture
def pictures_with(monkeypatch):
    """Lets this picture be the first that graph and source are compared on."""

    def place(image) -> None:
        def drawn(config, count):
            return [image, *sample_images(config, count - 1)]

        monkeypatch.setattr(check, "sample_images", drawn)

    return place


def test_a_tie_by_rounding_decides_nothing(tiny, tiny_state, tie, pictures_with):
    """Where either choice is right, logits far apart refuse no graph: another picture takes the place of that one."""
    feeds = {"image": tie, "keep": np.array(RUNGS["half"])}
    found = session(build_model(tiny, tiny_state).SerializeToString()).run(["logits"], feeds)[0]
    with torch.inference_mode():
        expected = reference_of(tiny, tiny_state)(torch.from_numpy(tie), RUNGS["half"])
    assert np.abs(found - expected.numpy()).max() > 10 * check.TOLERANCE
    pictures_with(tie)
    assert max(check_model(build_model(tiny, tiny_state), tiny, tiny_state, RUNGS).differences.values()) < 1e-5


def test_a_tie_hides_no_wrong_graph(tiny, tiny_state, tie, pictures_with):
    """One element off by a twentieth is found on the pictures that take its place."""
    pictures_with(tie)
    wrong = build_model(tiny, _changed(tiny_state, "blocks.4.fc2.bias", _one_element))
    with pytest.raises(CheckError, match=r"differ from PyTorch .* by more than 0\.0001: full .*, half "):
        check_model(wrong, tiny, tiny_state, RUNGS)


def test_a_source_that_hangs_on_rounding_is_refused(tiny, tiny_state, tie, monkeypatch):
    """With no picture that could tell a right graph from a wrong one, there is no bundle."""
    monkeypatch.setattr(check, "sample_images", lambda config, count: [tie] * count)
    with pytest.raises(CheckError, match=r"rounding decides which tokens go on in 16 of 16 pictures.*No bundle was"):
        check_model(build_model(tiny, tiny_state), tiny, tiny_state, {"half": RUNGS["half"]})


def test_golden_pictures_hold_on_another_machine(tiny, tiny_state, tiny_spec, tie, monkeypatch, tmp_path):
    """A picture with a tie is no golden case: the next one is taken."""
    others = sample_images(tiny, 3)
    monkeypatch.setattr(bundle, "sample_images", lambda config, count: [others[0], tie, *others[1:]])
    bundle.write_bundle(tmp_path / "bundle", tiny, tiny_state, tiny_spec)
    cases = [np.fromfile(tmp_path / f"bundle/golden/{number}/input.bin", "<f4") for number in (0, 1)]
    np.testing.assert_array_equal(cases, [others[0].ravel(), others[1].ravel()])
