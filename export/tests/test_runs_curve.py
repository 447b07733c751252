"""Curves of whole runs, as the Java side measures them: what follows from them, and which are refused.

`data/curve-of-runs.json` was written by Java, whose TokenCurveTest keeps it as it writes it. Its model has five blocks,
and every part of it a known time: the closed form below.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from coppice_export.config import Reduction
from coppice_export.latency import load_curve
from coppice_export.weights import SourceError

FILE = Path(__file__).parent / "data" / "curve-of-runs.json"


@pytest.fixture(scope="module")
def alike(tiny):
    """Five softmax blocks, 16 patches and a class token."""
    return dataclasses.replace(tiny, attention=tiny.attention[1:2] * 5, reductions=())


def _ms(blocks, keep) -> float:
    """5 ms, one for every four tokens of a block (half of them before it reduces), and 0.1 for a token that is left."""
    tokens, total, counts = 17, 5.0, dict(zip(blocks, keep, strict=True))
    for block in range(4):
        out = counts.get(block, tokens - 1) + 1
        total += (-(-tokens // 4) + -(-out // 4)) / 2
        tokens = out
    return total + 0.1 * tokens


def _at(config, *blocks):
    return dataclasses.replace(config, reductions=Reduction.at(*blocks, method="prune_merge", merge_share=1.0))


@pytest.mark.parametrize("blocks", [(1, 3), (1, 2), (2, 3), (0, 3)])
@pytest.mark.parametrize("keep", [(16, 16), (16, 1), (12, 5), (10, 3), (5, 3), (3, 1)])
def test_predicts_other_schedules_from_what_java_wrote(alike, blocks, keep):
    """Exact at counts of the grid (1, 3, 5, 7, 10, 12, 14, 16), in whichever blocks the stages are. To the file's tenth
    of a microsecond, of which at most thirty times enter."""
    curve = load_curve(FILE, alike)
    assert curve.latency_ms(_at(alike, *blocks), keep) == pytest.approx(_ms(blocks, keep), abs=30 * 5e-5)


def test_a_wrong_time_shows_in_the_prediction(alike, tmp_path):
    """The twin: 5 % more at (5, 5) is more than the tolerance above in a schedule that goes there."""
    content = json.loads(FILE.read_text())
    next(p for p in content["points"] if p["keep"] == [5, 5])["ms"] *= 1.05
    (tmp_path / "curve.json").write_text(json.dumps(content))
    found = load_curve(tmp_path / "curve.json", alike).latency_ms(_at(alike, 1, 2), (5, 3))
    assert abs(found - _ms((1, 2), (5, 3))) > 0.1


def test_names_machine_and_method(alike):
    curve = load_curve(FILE, alike)
    assert (curve.machine.board, curve.machine.isa, curve.machine.threads) == ("a board", "neon", 4)
    assert curve.operators == "separate"
    assert (curve.reduction, curve.dense_ms) == ({"method": "prune_merge"}, pytest.approx(_ms((), ())))


def test_runs_of_blocks_are_a_curve_of_blocks(alike, tmp_path):
    """A bundle names its operators, and a schedule is searched with those."""
    content = json.loads(FILE.read_text()) | {"operators": ["AttentionBlock", "MlpBlock", "PruneMergeTokens"]}
    (tmp_path / "curve.json").write_text(json.dumps(content))
    assert load_curve(tmp_path / "curve.json", alike).operators == "blocks"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda c: c.update(format=3), "format 1 or 2"),
        (lambda c: c.update(operators=["SampleTokens"]), "TopKTokens, MergeTokens, PruneMergeTokens"),
        (lambda c: c.update(blocks=[1]), "two or more stages"),
        (lambda c: c.update(blocks=[1, 4]), "before the last block"),
        (lambda c: c.update(patches=196), "expected 16 patches"),
        (lambda c: c.pop("grid"), "grid"),
        (lambda c: c["points"].pop(0), "1 to 16 tokens"),
        (lambda c: c.update(points=[p for p in c["points"] if p["keep"] != [16, 5]]), r"no run at \(16, 5\)"),
        (lambda c: c["points"][3].update(ms="fast"), "fast"),
    ],
)
def test_refuses_runs_that_tell_no_curve(alike, tmp_path, spoil, said):
    content = json.loads(FILE.read_text())
    spoil(content)
    (tmp_path / "curve.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=said):
        load_curve(tmp_path / "curve.json", alike)


def test_refuses_blocks_of_different_forms(tiny):
    with pytest.raises(SourceError, match="different forms"):
        load_curve(FILE, tiny)
