"""Top-1, agreement and their standard errors, and the file that `convert --accuracy` reads."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from coppice_export.bundle import write_bundle
from coppice_export.bundle_files import read_bundle
from coppice_export.check import session
from coppice_export.evaluate import Answers, ask, score
from coppice_export.photographs import class_numbers, find_photographs
from coppice_export.preprocess import preprocess


@pytest.fixture(scope="module")
def bundle(tiny, tiny_state, tiny_spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate") / "tiny"
    write_bundle(folder, tiny, tiny_state, tiny_spec)
    return read_bundle(folder)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Twelve pictures of noise in folders named after four of the ten labels."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for number in range(12):
        path = folder / f"label {number % 4}" / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    return folder


def test_answers_are_those_of_the_graph(bundle, photographs):
    """Each rung's best class is the largest logit of a run with that rung's counts."""
    found, runner = find_photographs(photographs), session(bundle.model)
    answers = ask(runner, bundle, found)
    for name, keep in bundle.rungs.items():
        feeds = [bundle.feeds(preprocess(p.pixels(), bundle.preprocessing), keep) for p in found]
        assert answers[name].best.tolist() == [int(runner.run(["logits"], f)[0].argmax()) for f in feeds]
        assert (answers[name].milliseconds > 0).all()


def test_score_is_the_closed_form():
    """Of 8: five right, the reference four; they differ for better at two and for worse at one."""
    truth, times = np.arange(8), np.arange(8.0)
    mine = Answers(np.array([0, 1, 2, 3, 4, 9, 9, 8]), times)
    other = Answers(np.array([0, 1, 2, 9, 9, 5, 9, 9]), times)
    s = score(mine, other, truth)
    assert (s.top1, s.difference, s.agreement, s.median_ms) == (62.5, 12.5, 50.0, 3.5)
    # Binomial: sqrt(p (1 - p) / n). Paired: sqrt((b + c) / n - mean^2) / sqrt(n), McNemar's variance.
    assert s.top1_error == pytest.approx(100 * np.sqrt(5 / 8 * 3 / 8 / 8))
    assert s.difference_error == pytest.approx(100 * np.sqrt((3 / 8 - 1 / 64) / 8))


def test_evaluate_writes_what_convert_reads(call, bundle, photographs, tiny, tiny_state, tmp_path):
    """The JSON has top-1 by rung as counted here, and goes back into a bundle as its measured accuracy."""
    code, error = call("evaluate", bundle.folder, "--photographs", photographs, "--out", tmp_path / "accuracy.json")
    assert code == 0, error
    content = json.loads((tmp_path / "accuracy.json").read_text())
    found = find_photographs(photographs)
    truth = class_numbers(found, bundle.labels)
    right = {name: a.best == truth for name, a in ask(session(bundle.model), bundle, found).items()}
    assert content["top1"] == {name: pytest.approx(100 * r.mean(), abs=1e-4) for name, r in right.items()}
    assert content["agreement"]["full"] == 100
    assert content["data"] == f"{photographs.stem} (12 photographs)"


def test_other_bundle_is_the_reference_by_rung(call, bundle, photographs, tiny, tiny_state, tiny_spec, tmp_path):
    """The same weights under another name agree at every rung, and a shifted head at few."""
    write_bundle(tmp_path / "twin", tiny, tiny_state, replace(tiny_spec, name="twin"))
    shifted = tiny_state | {"head.bias": np.roll(np.linspace(-20, 20, 10), 3).astype(np.float32)}
    write_bundle(tmp_path / "shifted", tiny, shifted, replace(tiny_spec, name="shifted"))
    for name, agrees in (("twin", True), ("shifted", False)):
        out = tmp_path / f"{name}.json"
        code, error = call(
            *("evaluate", bundle.folder, "--photographs", photographs, "--reference", tmp_path / name, "--out", out)
        )
        assert code == 0, error
        assert (set(json.loads(out.read_text())["agreement"].values()) == {100}) is agrees


def test_limit_takes_an_equal_share_of_every_class(call, bundle, photographs, tmp_path):
    """Four of twelve: one of each folder."""
    out = tmp_path / "accuracy.json"
    code, error = call("evaluate", bundle.folder, "--photographs", photographs, "--limit", 4, "--out", out)
    assert code == 0, error
    assert json.loads(out.read_text())["photographs"] == 4


@pytest.mark.parametrize("missing", ["bundle", "photographs"])
def test_missing_input_is_one_sentence(call, bundle, photographs, tmp_path, missing):
    """Exit code 1 and the name of what is not there."""
    places = {"bundle": bundle.folder, "photographs": photographs, missing: tmp_path / "nowhere"}
    code, error = call("evaluate", places["bundle"], "--photographs", places["photographs"])
    assert code == 1
    assert "nowhere" in error
    assert error.count("\n") == 1
