"""The latency curve: what it predicts, what it is measured from, and which files are refused."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from coppice_export import latency
from coppice_export.__main__ import app
from coppice_export.check import sample_images, session, used_operators
from coppice_export.config import Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.latency import Curve, Machine, load_curve, measure_curve, save_curve, this_machine
from coppice_export.model import Flavour, build_model
from coppice_export.weights import SourceError

MERGING = Reduction(0, "prune_merge", merge_share=1.0)


def _linear(config) -> Curve:
    """n tokens take 2n ms in a softmax block, n in a linear one, n/2 in the last; a reducing block 1.5n + 0.25 out,
    or 0.5n + 0.25 out."""
    tokens, grid = tuple(range(2, 18)), (2, 7, 12, 17)
    kinds = list(dict.fromkeys(config.attention[:-1]))
    return Curve(
        model=config.name,
        machine=Machine("a board", "neon", 4, "1.29.0"),
        operators="blocks",
        reduction={"method": "prune_merge"},
        groups=tuple(kinds.index(a) for a in config.attention[:-1]),
        tokens=tokens,
        block_ms=tuple(tuple((2.0 if a.kind == "softmax" else 1.0) * n for n in tokens) for a in kinds),
        last_ms=tuple(n / 2 for n in tokens),
        reducing_tokens=grid,
        reducing_ms=tuple(
            tuple(
                tuple((1.5 if a.kind == "softmax" else 0.5) * n + 0.25 * o if o <= n else 0.0 for o in grid)
                for n in grid
            )
            for a in kinds
        ),
        fixed_ms=3.0,
        dense_ms=0.0,
    )


def test_adds_up_the_parts_of_a_schedule(tiny):
    """linear 17, reducing 17 -> 9, linear 9, reducing 9 -> 5, last 5, all else: the sum by hand."""
    by_hand = 17 + (1.5 * 17 + 0.25 * 9) + 9 + (1.5 * 9 + 0.25 * 5) + 5 / 2 + 3
    assert _linear(tiny).latency_ms(tiny, (8, 4)) == pytest.approx(by_hand, rel=1e-12)


def test_a_block_reduces_at_the_price_of_its_own_attention(tiny):
    """Block 2 is linear: reducing 17 -> 9 there costs 0.5 a token that enters, not 1.5."""
    config = dataclasses.replace(tiny, reductions=Reduction.at(2))
    by_hand = 17 + 2 * 17 + (0.5 * 17 + 0.25 * 9) + 2 * 9 + 9 / 2 + 3
    assert _linear(tiny).latency_ms(config, (8,)) == pytest.approx(by_hand, rel=1e-12)


def test_refuses_a_schedule_that_reduces_where_nothing_was_measured(tiny):
    """A group without a block that could reduce has no times, and none are made up."""
    curve = dataclasses.replace(_linear(tiny), reducing_ms=((), _linear(tiny).reducing_ms[1]))
    config = dataclasses.replace(tiny, reductions=Reduction.at(2))
    with pytest.raises(ValueError, match="curve of tiny has no times for a reduction in block 2"):
        curve.latency_ms(config, (8,))


def test_counts_the_fused_token(tiny):
    """One more token goes on where top_k fuses what it prunes, and none where nothing is pruned."""
    config = dataclasses.replace(tiny, attention=tiny.attention[1:2] * 5, reductions=Reduction.at(1, fuse="mean"))
    curve = _linear(config)
    by_hand = 2 * 17 + (1.5 * 17 + 0.25 * 10) + 2 * 2 * 10 + 10 / 2 + 3
    assert curve.latency_ms(config, (8,)) == pytest.approx(by_hand, rel=1e-12)
    assert curve.latency_ms(config, (16,)) == pytest.approx(6 * 17 + 1.75 * 17 + 17 / 2 + 3, rel=1e-12)


def test_keeps_the_stairs(tiny):
    """A step between two counts is in the prediction, not smoothed away."""
    config = dataclasses.replace(tiny, attention=tiny.attention[1:2] * 5, reductions=Reduction.at(0))
    step = tuple(10.0 if n > 12 else 5.0 for n in range(2, 18))
    curve = dataclasses.replace(_linear(config), block_ms=(step,))
    assert curve.latency_ms(config, (12,)) - curve.latency_ms(config, (11,)) > 3 * 5


def test_comes_back_from_its_file(tiny, tmp_path):
    save_curve(_linear(tiny), tmp_path / "curve.json")
    assert load_curve(tmp_path / "curve.json", tiny) == _linear(tiny)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda c: c.pop("tokens"), "tokens"),
        (lambda c: c.update(format=3), "format 1"),
        (lambda c: c.update(surplus=0), "surplus"),
        (lambda c: c["tokens"].reverse(), "must rise"),
        (lambda c: c["last_ms"].pop(), "one time for each"),
        (lambda c: c["block_ms"][0].__setitem__(3, float("nan")), "finite"),
        (lambda c: c["reducing_ms"].pop(), "one time for each"),
        (lambda c: c["reducing_ms"][1].pop(), "one time for each"),
        (lambda c: c.update(groups=[7] * 4), "groups"),
        (lambda c: c.update(groups=[0]), "2 blocks"),
        (lambda c: c.update(operators="ours"), "'ours' is not a valid Flavour"),
    ],
)
def test_refuses_what_is_no_curve_of_the_model(tiny, tmp_path, spoil, said):
    path = tmp_path / "curve.json"
    save_curve(_linear(tiny), path)
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=said):
        load_curve(path, tiny)


def test_curve_without_operators_is_of_separate_ones(tiny, tmp_path):
    """It was written when a curve could be of no others."""
    path = tmp_path / "curve.json"
    save_curve(_linear(tiny), path)
    content = json.loads(path.read_text())
    del content["operators"]
    path.write_text(json.dumps(content))
    assert load_curve(path, tiny).operators == "separate"


@pytest.fixture(scope="module")
def wide(tiny):
    """Large enough that arithmetic, not dispatch, takes the time."""
    stem = (*tiny.stem[:-1], dataclasses.replace(tiny.stem[-1], out=192, residual=False))
    preprocessing = dataclasses.replace(tiny.preprocessing, crop=48, short_side=48)
    changes = {"stem": stem, "preprocessing": preprocessing, "width": 192, "hidden": 768}
    return dataclasses.replace(tiny, attention=tiny.attention[1:2] * 6, reductions=Reduction.at(1, 3), **changes)


@pytest.fixture(scope="module")
def measured(wide, random_state):
    """In processor time, so that other work on the machine does not count; one thread does all of it."""
    state = random_state(wide)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter_ns", time.process_time_ns)
        return state, measure_curve(wide, state, MERGING, rounds=5)


def _run_ms(config, state, keep) -> float:
    """Of processor time, the fastest of thirty runs, as a curve has the fastest of some."""
    runner = session(build_model(config, state).SerializeToString())
    feeds = {"image": sample_images(config, 1)[0], "keep": np.array(keep, np.int64)}
    times = []
    for _ in range(30):
        start = time.process_time()
        runner.run(None, feeds)
        times.append((time.process_time() - start) * 1e3)
    return min(times)


def _ratio(curve, config, state, keep) -> float:
    return curve.latency_ms(config, keep) / _run_ms(config, state, keep)


def test_predicts_what_a_run_takes(wide, measured):
    """Within a factor of 2, which leaves room for a busy machine. A curve that forgets that a chain has six blocks is
    out by more."""
    state, curve = measured
    config = dataclasses.replace(wide, reductions=Reduction.at(1, 3, method="prune_merge", merge_share=1.0))
    assert 1 / 2 < _ratio(curve, config, state, (24, 12)) < 2
    forgetful = dataclasses.replace(curve, block_ms=tuple(tuple(6 * v for v in row) for row in curve.block_ms))
    assert _ratio(forgetful, config, state, (24, 12)) > 2


def test_measures_every_count_and_names_the_machine(wide, measured):
    _, curve = measured
    assert curve.tokens == tuple(range(2, wide.tokens + 1))
    assert curve.machine == this_machine(1)
    assert statistics.median(curve.block_ms[0][-9:]) > 1.5 * statistics.median(curve.block_ms[0][:9])


def test_measures_a_merge_no_further_than_half(wide, random_state):
    """Where merging cannot leave so few tokens, the time of the fewest that it can."""
    curve = measure_curve(wide, random_state(wide), Reduction(0, "merge"), rounds=1)
    (table,) = curve.reducing_ms
    assert table[-1][0] == table[-1][1] > 0
    assert table[0][-1] == 0


@pytest.mark.parametrize(
    ("method", "pooling", "groups"),
    [("prune_merge", "class", [0, 1]), ("prune_merge", "mean", [1]), ("merge", "mean", [0, 1])],
)
def test_measures_reductions_in_every_block_that_can_reduce(tiny, random_state, method, pooling, groups):
    """Linear blocks rank by a class token's scores, and where no head reads that token only softmax blocks do; merging
    ranks nothing; hallucinated blocks never reduce."""
    made = Attention("hallucinated", computed_heads=1)
    linear = dataclasses.replace(tiny.attention[0], reweight="none")
    config = dataclasses.replace(
        tiny, attention=(made, linear, *tiny.attention[3:4] * 2), pooling=pooling, reductions=()
    )
    curve = measure_curve(config, random_state(config), Reduction(0, method), rounds=1)
    assert curve.groups == (0, 1, 2)
    assert [g for g, table in enumerate(curve.reducing_ms, -1) if table] == groups


@pytest.mark.parametrize("method", ["top_k", "merge", "prune_merge"])
def test_measures_the_operators_that_will_run(tiny, tiny_state, monkeypatch, method):
    """Whole, chained, last and reducing: each graph has one operator for each of its blocks."""
    seen, runner = [], latency._runner
    monkeypatch.setattr(
        latency, "_runner", lambda model, threads: (seen.append(used_operators(model)), runner(model, threads))[1]
    )
    curve = measure_curve(tiny, tiny_state, Reduction(0, method), rounds=1, operators=Flavour.BLOCKS)
    assert curve.operators == "blocks"
    # The model, two chains of linear and softmax blocks, the last block, and the reducing ones of both kinds.
    assert seen == [{"EncoderBlock": blocks} for blocks in (5, 2, 2, 1, 2, 2)]


@pytest.mark.parametrize("operators", Flavour)
def test_curve_is_a_command(tmp_path, random_state, operators):
    """From a state dict alone to a file that the model's configuration accepts."""
    stem, attention = (Conv(64, 8, 8),), (Attention(),) * 3
    config = ViTConfig("small", Preprocessing(32, 32), stem, 64, 1, 128, 5, attention)
    np.savez(tmp_path / "small.npz", **random_state(config))
    options = ["--out", str(tmp_path / "curve.json"), "--rounds", "1", "--method", "top_k", "--operators", operators]
    assert CliRunner().invoke(app, ["curve", str(tmp_path / "small.npz"), *options]).exit_code == 0
    found = load_curve(tmp_path / "curve.json", config)
    assert (found.reduction["method"], found.operators) == ("top_k", operators)


@pytest.mark.parametrize(("method", "said"), [("threshold", "no count"), ("sample", "no count"), ("top_k", "no block")])
def test_refuses_what_cannot_be_measured(tiny, tiny_state, method, said):
    """A method without a count to set, and one that ranks by scores that no block gives."""
    config = dataclasses.replace(tiny, attention=tiny.attention[:1] * 5, pooling="mean", reductions=())
    with pytest.raises(ValueError, match=said):
        measure_curve(config, tiny_state, Reduction(0, method))
