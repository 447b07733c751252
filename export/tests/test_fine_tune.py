"""`coppice-export fine-tune` from an archive of pictures to a bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from coppice_export import config as config_module
from coppice_export import timing
from coppice_export.bundle import BundleError
from coppice_export.bundle_files import read_bundle
from coppice_export.checkpoint import SourceError
from coppice_export.commands.compaction import Compaction
from coppice_export.commands.fine_tune import fine_tune
from coppice_export.config import Attention, Reduction
from coppice_export.methods.presets import with_method
from coppice_export.model import Flavour
from coppice_export.photographs import find_photographs
from coppice_export.reference import load_reference
from coppice_export.schedule import Schedule, ScheduledRung, save_schedule
from coppice_export.weights import load_state

RUNGS = ["full=16,16", "half=8,4"]


@pytest.fixture
def run(monkeypatch, tmp_path, tiny, tiny_state, noise_tar):
    """The command with `weights.npz` of the preset `tiny` and sixteen pictures in folders named after its classes."""
    monkeypatch.setitem(config_module.PRESETS, "tiny", tiny)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    np.savez("weights.npz", **tiny_state)
    noise_tar(Path("noise.tar"), [f"{folder}/{i}.jpg" for folder in range(4) for i in range(4)], 0)

    def call(**changes) -> None:
        paths = {"source": "weights.npz", "photographs": "noise.tar", "out": "out", "bundle": "bundle"}
        arguments = {name: Path(value) for name, value in paths.items()}
        arguments |= {"preset": "tiny", "reduce_at": "1,3", "rung": RUNGS, "method": "merge"}
        arguments |= {"epochs": 1, "batch": 6, "held_out": 4, "threads": 1, "device": "cpu"}
        fine_tune(**arguments | changes)

    return call


@pytest.fixture
def softmax(monkeypatch, tiny, random_state):
    """The preset `tiny` with softmax in every block and all tokens, as a trained model comes."""
    config = replace(tiny, attention=(Attention(),) * 5, reductions=())
    monkeypatch.setitem(config_module.PRESETS, "tiny", config)
    np.savez("weights.npz", **random_state(config))
    return config


def test_bundle_has_the_tuned_ladder_with_its_accuracy(run, capsys):
    """The weights of the run, the rungs as asked for, and top-1 on the pictures held out."""
    run()
    bundle = read_bundle(Path("bundle"))
    assert bundle.rungs == {"full": (16, 16), "half": (8, 4)}
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    last = json.loads(Path("out/curve.json").read_text())[-1]["rungs"]
    assert {rung["name"]: rung["top1"] for rung in manifest["ladder"]} == {r: last[r]["top1"] for r in last}
    assert manifest["accuracy"]["data"] == "4 held-out photographs of noise"
    assert {"checkpoint.pt", "settings.json", "tradeoff.png", "tradeoff.svg", "weights.npz"} <= {
        path.name for path in Path("out").iterdir()
    }
    assert "top1 before" in capsys.readouterr().err


def test_pictures_of_other_classes_teach_as_well(run, noise_tar, capsys):
    """Without classes there is no top-1: the pictures alone teach, and agreement is what is reported."""
    noise_tar(Path("noise.tar"), [f"holiday 2024/{i}.jpg" for i in range(16)], 0)
    run()
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    assert "accuracy" not in manifest
    assert not [rung for rung in manifest["ladder"] if "top1" in rung]
    assert "agreement before" in capsys.readouterr().err


def test_softmax_blocks_can_become_linear(run):
    """Without stages there is one budget; the tiny model has two linear blocks already."""
    run(linear="1,3,4", reduce_at="", rung=None, operators=Flavour.SEPARATE)
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    assert (manifest["operators"]["used"], manifest["ladder"]) == (["LinearAttention"], [])


@pytest.mark.parametrize(
    ("operators", "used"),
    [
        (Flavour.BLOCKS, ["EncoderBlock"]),
        (Flavour.SEPARATE, ["LinearAttention", "MergeTokens", "TokenAttention"]),
        (Flavour.STOCK, []),
    ],
)
def test_bundle_has_the_operators_that_were_timed(run, monkeypatch, operators, used):
    """The report's runs and the bundle are of one flavour."""
    timed, real = [], timing.build_model
    monkeypatch.setattr(timing, "build_model", lambda c, s, flavour: timed.append(flavour) or real(c, s, flavour))
    run(operators=operators, epochs=0)
    assert json.loads(Path("bundle/bundle.json").read_text())["operators"]["used"] == used
    assert timed == [operators, "stock"]


def test_schedule_of_a_search_is_learned(run, tiny):
    """Its reductions and its rungs, in place of options."""
    reductions = (Reduction(1, "merge"), Reduction(3, "prune_merge", merge_share=0.5))
    rungs = (ScheduledRung("all", (16, 16), 1, 1.0, 0, 0, 100, 0), ScheduledRung("few", (8, 3), 1, 0.5, 0, 0, 90, 0))
    save_schedule(Schedule("tiny", "multiply-adds", reductions, rungs), Path("schedule.json"))
    run(schedule=Path("schedule.json"), reduce_at="", rung=None)
    assert read_bundle(Path("bundle")).rungs == {"all": (16, 16), "few": (8, 3)}


def test_published_method_is_learned_at_its_own_ladder(run, softmax):
    """The preset's blocks, attention and rungs; `full` would keep as many of 16 patches as `high`."""
    run(method="e-attention", reduce_at="", rung=["full=16,16", "half=8,4"])
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    assert manifest["operators"]["used"] == ["EncoderBlock"]
    assert json.loads(Path("out/settings.json").read_text())["recipe"]["source_share"] == 0


def test_merger_is_learned_from_a_model_without_one(run, softmax, tiny):
    """Its queries begin at random, the same for the same seed, and `convert` reads what was learned."""
    options = {"method": "patch-merger", "setting": ["outputs=3"], "reduce_at": "", "rung": None}
    run(**options)
    run(**options, epochs=0, out=Path("again"), bundle=Path("start"))
    run(**options, epochs=0, out=Path("third"), bundle=Path("other"), seed=1)
    name, config = "blocks.2.merger.queries", with_method(softmax, "patch-merger", {"outputs": "3"})
    learned, began, other = (load_state(Path(f"{f}/weights.npz"), config)[name] for f in ("out", "again", "third"))
    assert learned.shape == (3, 24)
    # Adam moves by the rate at most, here 1e-4 in each of two steps of a warm-up of 50.
    assert 0 < np.abs(learned - began).max() < 1e-4
    assert np.abs(began - other).max() > 0.1


def test_compact_model_is_fitted_and_then_learned(run, softmax):
    """Made maps and factors whose branches, merged, are what the bundle computes."""
    run(reduce_at="", rung=None, hallucinate=2, dw_kernel=3, ffn_rank=6, count=6, learning_rate=1e-2)
    manifest = json.loads(Path("bundle/bundle.json").read_text())
    assert manifest["operators"]["used"] == ["EncoderBlock"]
    form = Attention("hallucinated", computed_heads=2, dw_kernel=3)
    config = replace(softmax, attention=(form,) * 4 + (Attention(),), fc2_rank=(6,) * 4 + (0,))
    with np.load("out/weights.npz") as arrays:
        assert "blocks.0.fc2.u.branches.1.weight" in arrays
    model = load_reference(config, Path("out/weights.npz"))
    case = Path("bundle/golden/0")
    image = torch.from_numpy(np.fromfile(case / "input.bin", "<f4").reshape(1, 3, 32, 32))
    with torch.inference_mode():
        found = model(image)[0].numpy()
    np.testing.assert_allclose(found, np.fromfile(case / "logits.bin", "<f4"), rtol=0, atol=1e-4)


def test_fit_leaves_out_what_is_held_out(run, softmax, monkeypatch):
    """Pictures to measure by are not fitted to either."""
    seen = []
    fit = Compaction.applied
    monkeypatch.setattr(
        Compaction,
        "applied",
        lambda self, c, s, photographs, *a: seen.extend(photographs) or fit(self, c, s, photographs, *a),
    )
    run(reduce_at="", rung=None, ffn_rank=6, count=16, epochs=0)
    order = np.random.default_rng(0).permutation(16)
    names = [photograph.name for photograph in find_photographs(Path("noise.tar"))]
    assert {p.name for p in seen} == {names[i] for i in order[4:]}


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (
            {"rung": ["full=16,16", "half=8,3"]},
            BundleError,
            "rung half: block 3 merges at most half of 8 tokens and cannot leave 3",
        ),
        ({"rung": ["full=16"]}, BundleError, r"rung full: expected 2"),
        ({"rung": ["full"]}, typer.BadParameter, "expected NAME=COUNT,COUNT, found 'full'"),
        ({"rung": None}, typer.BadParameter, "expected a budget for each block of --reduce-at, found none"),
        ({"schedule": Path("x.json")}, typer.BadParameter, "--schedule replaces --reduce-at and --rung"),
        ({"method": "evit", "linear": "1"}, typer.BadParameter, "--method evit replaces --schedule, --reduce-at and"),
        ({"method": "dynamic-vit", "reduce_at": ""}, typer.BadParameter, "predictors are not learned here"),
        ({"method": "prune"}, ValueError, "reduction method: expected one of"),
        ({"setting": ["outputs=3"]}, typer.BadParameter, "--set belongs to a published --method"),
        ({"dw_kernel": 3}, typer.BadParameter, "--dw-kernel belongs to --hallucinate"),
        ({"hallucinate": 2, "reduce_at": "", "rung": None, "dw_kernel": 5}, ValueError, "dw_kernel: expected one of"),
        ({"linear": "9"}, typer.BadParameter, "tiny has blocks 0..4, found 9"),
        ({"photographs": Path("no.tar")}, OSError, r"no\.tar"),
        ({"batch": 13}, SourceError, "needs 4 photographs to measure by and 13 for a step, found 16"),
        ({"device": "tpu"}, SourceError, "device 'tpu'"),
        (
            {"method": "ats", "reduce_at": "", "rung": None, "operators": Flavour.STOCK},
            ValueError,
            "the stock flavour samples by the rule cdf alone, found ats",
        ),
    ],
    ids=[
        "count",
        "stages",
        "rung",
        "none",
        "schedule",
        "published",
        "predictor",
        "method",
        "setting",
        "convolution",
        "edge",
        "linear",
        "photographs",
        "batch",
        "device",
        "operators",
    ],
)
def test_refusals_come_before_anything_is_written(changes, error, sentence, run):
    """One sentence, and neither the run's folder nor the bundle."""
    with pytest.raises(error, match=sentence):
        run(**changes)
    assert not Path("out").exists()
    assert not Path("bundle").exists()
