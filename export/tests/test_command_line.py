"""`coppice-export` as it is called: what it writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coppice_export import config as config_module

FROM_PRESET = ("convert", "weights.npz", "--preset", "tiny", "--out", "bundle")


@pytest.fixture
def call(call, monkeypatch, tmp_path, tiny, tiny_state):
    """Runs the command line in a folder with `weights.npz` of the preset `tiny`; gives exit code and stderr."""
    monkeypatch.setitem(config_module.PRESETS, "tiny", tiny)
    monkeypatch.chdir(tmp_path)
    np.savez("weights.npz", **tiny_state)
    return call


@pytest.fixture
def softmax_only(monkeypatch, tiny):
    """The preset `tiny` with softmax attention in every block, which some methods need."""
    monkeypatch.setitem(config_module.PRESETS, "tiny", replace(tiny, attention=(tiny.attention[1],) * 5))


def test_convert_makes_a_ladder_of_its_own(call):
    """Without `--rung` a model with stages gets five rungs, by shares of the incoming patches."""
    code, error = call(*FROM_PRESET)
    assert code == 0, error
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    rungs = {rung["name"]: rung["keep"] for rung in manifest["ladder"]}
    assert rungs == {"full": [16, 16], "high": [15, 14], "medium": [12, 9], "low": [8, 4], "lowest": [5, 2]}
    assert (manifest["name"], manifest["version"], manifest["default"]) == ("tiny", "1.0.0", "full")


def test_convert_says_what_it_compared_and_wrote(call):
    """The table has a line for each rung with the difference to PyTorch; the last line counts our operators."""
    _, error = call(*FROM_PRESET, "--rung", "all=16,16", "--rung", "few=4,2")
    assert json.loads(Path("bundle/bundle.json").read_text())["default"] == "all"
    assert re.search(r"all .* 16 16 .* \d\.\de-0[67]", error)
    assert "largest difference to PyTorch" in error
    assert "operators: EncoderBlock x5; wrote bundle" in error


def test_convert_takes_accuracy_card_name_and_version(call):
    """What is measured and written elsewhere goes into the bundle unchanged."""
    Path("accuracy.json").write_text('{"data": "holiday", "top1": {"full": 81.25}}')
    Path("card.md").write_text("# My card\n")
    files = ("--accuracy", "accuracy.json", "--card", "card.md")
    code, error = call(*FROM_PRESET, *files, "--name", "x", "--version", "2.0.1")
    assert code == 0, error
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    assert [rung.get("top1") for rung in manifest["ladder"]] == [81.25, None, None, None, None]
    assert (manifest["name"], manifest["version"], manifest["accuracy"]["data"]) == ("x", "2.0.1", "holiday")
    assert Path("bundle/README.md").read_text() == "# My card\n"


def test_convert_changes_attention_and_stages_on_request(call):
    """`--linear` and `--reduce-at` replace the preset's choice; an empty list means none."""
    code, error = call(*FROM_PRESET, "--linear", "0,4", "--reduce-at", "", "--operators", "separate")
    assert code == 0, error
    assert "operators: LinearAttention x2, TokenAttention x3; wrote bundle" in error
    assert json.loads(Path("bundle/bundle.json").read_text())["keep"]["stages"] == 0


def _write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def test_convert_takes_a_method_by_name(call, softmax_only):
    """`--method` puts a paper's schedule in the place of the preset's stages, `--set` changes its settings."""
    code, error = call(*FROM_PRESET, "--method", "tome", "--set", "proportional=false")
    assert code == 0, error
    assert "operators: AttentionBlock x3, EncoderBlock x2, MergeTokens x3, MlpBlock x3; wrote bundle" in error
    ladder = json.loads(Path("bundle/bundle.json").read_text())["ladder"]
    assert [rung["keep"] for rung in ladder] == [[16] * 4, [15, 14, 13, 12], [14, 12, 10, 8], [13, 10, 7, 4]]


def test_convert_makes_a_bundle_without_budgets(call, softmax_only):
    """A method whose counts the picture decides has neither stages nor rungs."""
    code, error = call(*FROM_PRESET, "--method", "ltmp", "--set", "thresholds=[[0.9, 0.03]]")
    assert code == 0, error
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    assert (manifest["keep"]["stages"], manifest["ladder"]) == (0, [])


def _write_accuracy(text: str) -> tuple[str, ...]:
    return "--accuracy", _write("accuracy.json", text)


SOURCES = {
    "no-such-file": (lambda: ("convert", "nowhere.npz", "--preset", "tiny", "--out", "bundle"), "nowhere.npz"),
    "other-preset": (
        lambda: ("convert", "weights.npz", "--preset", "vit-tiny", "--out", "bundle"),
        "does not fit vit-tiny: .*Choose the preset",
    ),
    "stem-without-preset": (
        lambda: ("convert", "weights.npz", "--out", "bundle"),
        "tell its strides; give the --preset",
    ),
    "preset-and-heads": (lambda: (*FROM_PRESET, "--heads", "3"), "a preset has heads and preprocessing"),
    "size-between-patches": (lambda: (*FROM_PRESET, "--image-size", "33"), "a multiple of the patch, 8 pixels: 33"),
    "labels-of-other-classes": (
        lambda: (*FROM_PRESET, "--labels", _write("labels.txt", "cat\ndog\n")),
        "expected 10 labels, found 2",
    ),
    "rung-of-one-stage": (lambda: (*FROM_PRESET, "--rung", "full=16"), "rung full: expected 2 counts"),
    "unknown-default": (lambda: (*FROM_PRESET, "--default", "best"), "default must be one of the rungs"),
    "bad-version": (lambda: (*FROM_PRESET, "--version", "one"), "SemVer, found 'one'"),
    "no-card": (lambda: (*FROM_PRESET, "--card", "nowhere.md"), "nowhere.md"),
    "accuracy-no-json": (lambda: (*FROM_PRESET, *_write_accuracy("top1: 80")), "accuracy.json: expected {"),
    "accuracy-no-object": (lambda: (*FROM_PRESET, *_write_accuracy("[80]")), "accuracy.json: expected {"),
    "accuracy-nan": (
        lambda: (*FROM_PRESET, *_write_accuracy('{"data": "x", "top1": {"full": NaN}}')),
        "top-1 is a percentage, found nan",
    ),
    "accuracy-of-a-stranger": (
        lambda: (*FROM_PRESET, *_write_accuracy('{"data": "x", "top1": {"best": 80}}')),
        "measured best, which the ladder does not have",
    ),
    "method-of-another-model": (lambda: (*FROM_PRESET, "--method", "diffrate"), "DiffRate's schedules are for DeiT"),
    "unknown-setting": (
        lambda: (*FROM_PRESET, "--method", "tome", "--set", "r=8"),
        "method tome has proportional, found r; leave these out",
    ),
    "method-without-its-weights": (
        lambda: (*FROM_PRESET, "--method", "dynamic-vit"),
        "predictor.norm.weight is missing",
    ),
    "thresholds-in-a-linear-block": (
        lambda: (*FROM_PRESET, "--method", "ltmp"),
        "block 0 ranks tokens by what they receive",
    ),
    "falling-stages": (lambda: (*FROM_PRESET, "--reduce-at", "3,1"), "reductions must be at rising block numbers"),
    "fused-before-cosine": (lambda: (*FROM_PRESET, "--fuse-pruned"), "a fused or mixed token has no position"),
}


@pytest.mark.parametrize(("arguments", "sentence"), SOURCES.values(), ids=SOURCES)
def test_refused_source_is_one_sentence_and_exit_code_1(call, arguments, sentence):
    """One line on stderr that names the fault, and neither a bundle nor a partial one."""
    code, error = call(*arguments())
    assert code == 1
    assert re.match(rf"coppice-export: .*{sentence.replace('{', '[{]')}.*\n\Z", error), error
    assert not [path for path in Path().iterdir() if path.is_dir()]


TRAIN = ("train", "--photographs", "no.tar", "--validation", "no.tar", "--teacher", "no.npz", "--out", "trained")
USAGE = {
    "unknown-preset": (("convert", "weights.npz", "--preset", "vit-huge", "--out", "bundle"), "found 'vit-huge'"),
    "unknown-option": ((*FROM_PRESET, "--fast"), "--fast"),
    "unknown-command": (("export",), "export"),
    "rung-without-name": ((*FROM_PRESET, "--rung", "16,16"), "expected NAME=COUNT,COUNT, found '16,16'"),
    "rung-of-words": ((*FROM_PRESET, "--rung", "full=all"), "expected whole numbers as in 3,6,9, found 'all'"),
    "unknown-method": ((*FROM_PRESET, "--method", "prune"), "expected one of top-k, evit, tome"),
    "method-and-blocks": ((*FROM_PRESET, "--method", "evit", "--reduce-at", "1"), "--method replaces --reduce-at"),
    "setting-without-method": ((*FROM_PRESET, "--set", "outputs=3"), "--set belongs to it"),
    "setting-without-value": ((*FROM_PRESET, "--method", "tome", "--set", "r"), "expected NAME=VALUE, found 'r'"),
    "linear-beyond-depth": ((*FROM_PRESET, "--linear", "5"), "tiny has blocks 0..4, found 5"),
    "linear-negative": ((*FROM_PRESET, "--linear", "-1"), "tiny has blocks 0..4, found -1"),
    "no-epochs": ((*TRAIN, "--epochs", "0"), "--epochs"),
    "preset-without-recipe": (
        (*TRAIN, "--preset", "vit-tiny"),
        "expected one of imagenette-softmax, imagenette-mini, imagenette-fine",
    ),
    "start-from-nowhere": ((*TRAIN, "--start", "nowhere"), "dir 'nowhere' does not exist"),
}


@pytest.mark.parametrize(("arguments", "fragment"), USAGE.values(), ids=USAGE)
def test_wrong_usage_is_exit_code_2(call, arguments, fragment):
    """The message names the option and what was found; nothing is written."""
    code, error = call(*arguments)
    assert code == 2
    assert fragment in re.sub(r"[│\s]+", " ", error)
    assert not Path("bundle").exists()


def test_existing_bundle_needs_overwrite(call):
    """The second export to a folder is refused, and done with `--overwrite`."""
    assert call(*FROM_PRESET)[0] == 0
    code, error = call(*FROM_PRESET)
    assert (code, error) == (1, "coppice-export: bundle exists; choose another folder or pass --overwrite.\n")
    assert call(*FROM_PRESET, "--overwrite")[0] == 0


def test_training_without_photographs_is_refused(call):
    """A missing archive is one line with its name."""
    code, error = call(*TRAIN)
    assert code == 1
    assert re.match(r"coppice-export: .*no\.tar.*\n\Z", error)


def test_program_runs_as_a_module(tmp_path):
    """`python -m coppice_export` gives the exit code to the shell."""
    command = [sys.executable, "-m", "coppice_export", "convert", "nowhere.npz", "--preset", "imagenette-mini"]
    run = subprocess.run([*command, "--out", tmp_path / "bundle"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("coppice-export: nowhere.npz")
