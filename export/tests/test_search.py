"""The schedule search: what it measures, what it chooses, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from coppice_export import divergence as measuring
from coppice_export.__main__ import app
from coppice_export.check import sample_images
from coppice_export.checkpoint import SourceError
from coppice_export.config import VIT_TINY, Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.cost import model_macs
from coppice_export.divergence import Divergence, judge, reference_of
from coppice_export.schedule import Schedule, ScheduledRung, load_schedule, save_schedule
from coppice_export.search import Search

MERGING = Reduction(0, "prune_merge", merge_share=1.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small lose time to a second one, much of it on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def config() -> ViTConfig:
    """36 patches, 5 blocks of plain attention."""
    stem, attention = (Conv(64, 8, 8),), (Attention(),) * 5
    return ViTConfig("small", Preprocessing(48, 48), stem, 64, 1, 128, 6, attention)


@pytest.fixture(scope="module")
def state(config, random_state):
    return random_state(config)


@pytest.fixture(scope="module")
def pictures(config):
    return torch.from_numpy(np.concatenate(sample_images(config, 8)))


def _search(config, reduction=MERGING, shares=(0.8, 0.6), stages=2) -> Search:
    whole = model_macs(dataclasses.replace(config, reductions=()), (), False)
    return Search(config, reduction, model_macs, whole, shares, stages)


@pytest.fixture(scope="module")
def model(config, state):
    search = _search(config)
    return reference_of(search.reducing(search.candidates), state)


@pytest.fixture
def divergence(model, pictures):
    return Divergence(model, pictures)


def _float64(config, state, pictures, plan) -> float:
    """The mean of sum p (log p - log q), by a model of its own with a reduction in the plan's blocks alone."""
    reductions = tuple(dataclasses.replace(MERGING, block=block) for block, _ in plan)
    dense = reference_of(dataclasses.replace(config, reductions=()), state).double()
    reduced = reference_of(dataclasses.replace(config, reductions=reductions), state).double()
    with torch.inference_mode():
        p, q = (
            np.exp(z := m(pictures.double(), keep).numpy()) / np.exp(z).sum(1, keepdims=True)
            for m, keep in ((dense, None), (reduced, tuple(count for _, count in plan)))
        )
    return float((p * np.log(p / q)).sum(1).mean())


# Logits of float32 models differ from those of float64 by some 1e-5 here; p log(p/q) passes that on once.
TOLERANCE = 1e-4


@pytest.mark.parametrize("plan", [((1, 20),), ((2, 30), (3, 9)), ((1, 35), (2, 12), (3, 11))])
def test_measures_what_a_model_with_only_these_stages_gives(config, state, pictures, divergence, plan):
    """Also after other plans have left their shared blocks behind."""
    divergence.measure([((1, 20), (3, 5)), ((1, 35), (2, 3)), ((3, 1),)], 0)
    expected = _float64(config, state, pictures, plan)
    assert divergence.mean(plan) == pytest.approx(expected, abs=TOLERANCE)
    assert divergence.mean(((1, 4),)) > expected + TOLERANCE


def test_nothing_reduced_is_no_divergence(divergence, config):
    assert divergence.mean(((1, config.patches), (3, config.patches))) == pytest.approx(0, abs=1e-6)


def test_shares_the_blocks_that_plans_have_in_common(model, pictures, monkeypatch):
    """Three plans that part in block 3 run blocks 0 to 2 once: 3 + 3 * 2 block runs instead of 3 * 5."""
    divergence, runs = Divergence(model, pictures), []
    forward = measuring.VisionTransformer.__init__.__globals__["Block"].forward
    monkeypatch.setattr(
        measuring.VisionTransformer.__init__.__globals__["Block"],
        "forward",
        lambda block, *arguments: runs.append(block) or forward(block, *arguments),
    )
    divergence.measure([((1, 20), (3, count)) for count in (5, 6, 7)], 0)
    assert len(runs) == 3 + 3 * 2


def test_remembers_across_processes(model, pictures, tmp_path, monkeypatch):
    """What a first search measured, a second one does not measure again; a line cut short is dropped."""
    memory, plan = tmp_path / "memory", ((2, 9),)
    first = Divergence(model, pictures, memory, "key").mean(plan)
    memory.write_text(memory.read_text() + "[[[2, 8")
    again = Divergence(model, pictures, memory, "key")
    monkeypatch.setattr(again, "_log_probabilities", None)
    assert again.mean(plan) == first
    assert not Divergence(model, pictures, memory, "another key").known


def test_halving_finds_the_best_of_clearly_different_plans(divergence):
    plans = [((2, count),) for count in (2, 5, 11, 30, 17)]
    assert divergence.best(plans) == ((2, 30),)


@pytest.fixture(scope="module")
def found(config, model, pictures):
    search, divergence = _search(config), Divergence(model, pictures)
    return search, divergence, search.run(divergence)


def test_every_rung_keeps_to_its_cost(found):
    """At most the share asked for, and less than a token of every stage below it."""
    search, _, ladder = found
    for share, plan in zip(search.shares, ladder):
        blocks, keep = zip(*plan)
        cost = model_macs(search.reducing(blocks), keep) / search.dense
        assert share - 0.05 < cost <= share


def test_all_rungs_have_the_same_blocks_and_falling_counts(found):
    _, _, ladder = found
    assert len({tuple(block for block, _ in plan) for plan in ladder}) == 1
    assert all(list(keep) == sorted(keep, reverse=True) for keep in ([c for _, c in plan] for plan in ladder))


def test_no_exchange_of_tokens_betters_what_was_found(found):
    """Every neighbour at equal cost, measured on all photographs: a search that stops early fails here."""
    search, divergence, ladder = found
    plan = ladder[-1]
    rivals = set(itertools.chain(*(search._exchanged(plan, step, search.shares[-1] * search.dense) for step in (1, 2))))
    beaten = [rival for rival in rivals if divergence.mean(rival) < 0.9 * divergence.mean(plan)]
    assert rivals
    assert not beaten


def test_beats_evenly_spread_stages(found):
    """At the middle rung's cost, no worse than where it started."""
    search, divergence, ladder = found
    start = search._fit(((1, 25), (3, 18)), search.shares[-1] * search.dense)
    assert divergence.mean(ladder[-1]) <= divergence.mean(start)


def test_finds_the_same_again(found, config, model, pictures):
    search, _, ladder = found
    assert search.run(Divergence(model, pictures)) == ladder


def test_a_dear_stage_is_left_out(config, model, pictures):
    """Where a stage costs as much as it saves, one stage does the work of two."""
    plain = _search(config)

    def cost(config, keep):
        return model_macs(config, keep) + 0.1 * plain.dense * len(keep)

    ladder = dataclasses.replace(plain, cost=cost, shares=(0.7,), stages=3).run(Divergence(model, pictures))
    assert len(ladder[0]) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shares": ()}, "fall from rung to rung"),
        ({"shares": (0.5, 0.7)}, "fall from rung to rung"),
        ({"shares": (1.2, 0.7)}, "between 0 and 1"),
        ({"stages": 0}, "and a stage"),
        ({"reduction": Reduction(0, "threshold")}, "no count to search"),
    ],
)
def test_refuses_what_cannot_be_searched(config, changes, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(_search(config), **changes)


def test_refuses_a_cost_that_no_plan_reaches(config, divergence):
    with pytest.raises(ValueError, match="cannot go down to 5% of the dense cost"):
        _search(config, shares=(0.05,)).run(divergence)


def test_merging_leaves_half_at_least(config, state, pictures):
    search = _search(config, Reduction(0, "merge"), shares=(0.7,))
    model = reference_of(search.reducing(search.candidates), state)
    (plan,) = search.run(Divergence(model, pictures))
    left = [config.patches, *(count for _, count in plan)]
    assert all(after >= before - before // 2 for before, after in itertools.pairwise(left))


def test_judges_with_standard_errors(config, state, pictures):
    """KL as in float64; n photographs of which m answer alike have an error of sqrt(m (n - m) / (n - 1)) / n."""
    reducing, batches = (
        dataclasses.replace(config, reductions=(dataclasses.replace(MERGING, block=2),)),
        pictures.numpy(),
    )
    full, few = judge(state, reducing, [(36,), (3,)], [batches[:5], batches[5:]])
    assert full == pytest.approx((0, 0, 100, 0), abs=1e-6)
    assert few[0] == pytest.approx(_float64(config, state, pictures, ((2, 3),)), abs=TOLERANCE)
    alike = round(8 * few[2] / 100)
    assert few[3] == pytest.approx(100 * math.sqrt(alike * (8 - alike) / 7) / 8)


def _schedule(config) -> Schedule:
    rung = ScheduledRung("cost-80", (30, 20), 1000, 0.8, 0.01, 0.001, 98.0, 0.5)
    reductions = tuple(dataclasses.replace(MERGING, block=b) for b in (1, 3))
    return Schedule(config.name, "multiply-adds", reductions, (rung,))


def test_a_schedule_comes_back_from_its_file(config, tmp_path):
    save_schedule(_schedule(config), tmp_path / "schedule.json")
    assert load_schedule(tmp_path / "schedule.json") == _schedule(config)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda c: c.update(format=3), "format 1"),
        (lambda c: c.pop("rungs"), "rungs"),
        (lambda c: c["rungs"][0].pop("keep"), "keep"),
        (lambda c: c["reductions"][0].update(method="magic"), "magic"),
    ],
)
def test_refuses_what_is_no_schedule(config, tmp_path, spoil, said):
    path = tmp_path / "schedule.json"
    save_schedule(_schedule(config), path)
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=said):
        load_schedule(path)


def test_the_schedule_in_the_repository_fits_its_model(root):
    """Its multiply-adds are those of the cost model, and its rungs cost what their names say."""
    schedule = load_schedule(root / "export" / "recipes" / "vit-tiny" / "schedule.json")
    config = schedule.applied(VIT_TINY)
    assert [rung.macs for rung in schedule.rungs] == [model_macs(config, rung.keep) for rung in schedule.rungs]
    assert [f"cost-{round(100 * rung.cost)}" for rung in schedule.rungs[1:]] == [r.name for r in schedule.rungs[1:]]


def test_refuses_another_models_schedule(config):
    with pytest.raises(SourceError, match="searched for small, not for other"):
        _schedule(config).applied(dataclasses.replace(config, name="other"))


@pytest.fixture(scope="module")
def sources(config, state, tmp_path_factory):
    """A state dict and a folder of 24 photographs."""
    folder, rng = tmp_path_factory.mktemp("sources"), np.random.default_rng(1)
    np.savez(folder / "small.npz", **state)
    (folder / "photographs").mkdir()
    for number in range(24):
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        small.resize((60, 50)).save(folder / "photographs" / f"{number:02}.png")
    return folder


def _command(sources, out, *more) -> int:
    given = [str(sources / "small.npz"), "--photographs", str(sources / "photographs"), "--out", str(out)]
    result = CliRunner().invoke(app, ["search", *given, "--costs", "85,65", "--stages", "2", *more])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code


def test_search_makes_a_schedule_that_convert_takes(sources, tmp_path):
    """The same command writes the same bytes, and the bundle has the schedule's ladder."""
    for name in ("one", "two"):
        assert _command(sources, tmp_path / f"{name}.json", "--count", "8", "--held-out", "8") == 0
    for suffix in ("json", "png", "svg"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    options = ["--out", str(tmp_path / "bundle"), "--schedule", str(tmp_path / "one.json")]
    assert CliRunner().invoke(app, ["convert", str(sources / "small.npz"), *options]).exit_code == 0
    ladder = json.loads((tmp_path / "bundle" / "bundle.json").read_text())["ladder"]
    rungs = load_schedule(tmp_path / "one.json").rungs
    assert [(r["name"], tuple(r["keep"]), r["macs"]) for r in ladder] == [(r.name, r.keep, r.macs) for r in rungs]


def test_search_wants_photographs_it_has_not_seen(sources, tmp_path):
    with pytest.raises(SourceError, match="expected 20 photographs to choose by and 5 others"):
        _command(sources, tmp_path / "no.json", "--count", "20", "--held-out", "5")
    assert not list(tmp_path.iterdir())


def test_search_by_a_boards_curve(sources, tmp_path):
    """Costs are then shares of the measured time, and the schedule names the board and the operators."""
    curve = tmp_path / "curve.json"
    options = ["--out", str(curve), "--rounds", "1", "--operators", "blocks"]
    measured = CliRunner().invoke(app, ["curve", str(sources / "small.npz"), *options])
    assert measured.exit_code == 0
    content = json.loads(curve.read_text())
    content["machine"]["board"] = "a board"
    # Times that no other process can disturb: a microsecond a token.
    content |= {"block_ms": [[n / 1e3 for n in content["tokens"]]], "last_ms": [0.001] * len(content["tokens"])}
    grid = content["reducing_tokens"]
    content["reducing_ms"] = [[[(n + o) / 2e3 * (o <= n) for o in grid] for n in grid]]
    content |= {"fixed_ms": 0.0, "dense_ms": 4 * 0.037 + 0.001}
    curve.write_text(json.dumps(content))
    out = tmp_path / "schedule.json"
    assert _command(sources, out, "--curve", str(curve), "--count", "8", "--held-out", "8") == 0
    schedule = load_schedule(out)
    assert schedule.unit == "ms on a board, 1 threads, operators blocks"
    assert [rung.cost <= share for rung, share in zip(schedule.rungs[1:], (0.85, 0.65))] == [True, True]
