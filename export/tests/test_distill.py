"""Fine-tuning on a few generated pictures: what is learned, what is left alone, what an interruption changes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from coppice_export import distill
from coppice_export.bundle import Rung
from coppice_export.checkpoint import SourceError
from coppice_export.config import Attention, Preprocessing, Reduction
from coppice_export.distill import Recipe, distillation_loss, fine_tune, unchanged_blocks
from coppice_export.photographs import find_photographs
from coppice_export.reference import VisionTransformer
from coppice_export.run_folder import RunFolder
from coppice_export.views import random_views
from coppice_export.weights import load_state

RECIPE = Recipe(held_out=4, views=2, epochs=3, batch=6, learning_rate=3e-3, warmup_steps=1, average_decay=0.5)
LADDER = (Rung("full", (16, 16)), Rung("half", (8, 4)), Rung("lowest", (5, 2)))


@pytest.fixture(scope="module")
def plain(tiny):
    """Softmax in every block, two reductions."""
    return dataclasses.replace(tiny, attention=(Attention(),) * tiny.depth)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, noise_tar):
    names = [f"{folder}/{i}.jpg" for folder in range(4) for i in range(4)]
    return find_photographs(noise_tar(tmp_path_factory.mktemp("photographs") / "noise.tar", names, 0))


def _state(plain, random_state) -> dict[str, np.ndarray]:
    """Attention that chooses, so that it matters which tokens are left."""
    return {name: array * (4 if "qkv.weight" in name else 1) for name, array in random_state(plain).items()}


def _models(plain, random_state) -> tuple[VisionTransformer, VisionTransformer]:
    """The student with its reductions and the dense model it comes from."""
    state = {name: torch.from_numpy(array) for name, array in _state(plain, random_state).items()}
    models = [VisionTransformer(config) for config in (plain, dataclasses.replace(plain, reductions=()))]
    for model in models:
        model.load_state_dict(state, strict=False)
        model.eval()
    return models[0], models[1]


@pytest.fixture(scope="module")
def tuned(plain, random_state, photographs, tmp_path_factory) -> tuple[Path, list[dict]]:
    out = tmp_path_factory.mktemp("tuned") / "out"
    return out, fine_tune(*_models(plain, random_state), photographs, np.arange(16) // 4, LADDER, out, RECIPE)


def test_tuned_student_is_nearer_to_its_teacher(tuned):
    """On photographs that it never learned from, at the rungs that had lost most."""
    before, after = tuned[1][0]["rungs"], tuned[1][-1]["rungs"]
    assert all(after[rung]["divergence"] < 0.9 * before[rung]["divergence"] for rung in ("half", "lowest"))


def test_dense_rung_begins_as_the_teacher(tuned):
    """With every token the student of step 0 is the teacher; KL of float32 sums is 0 to rounding."""
    first = tuned[1][0]["rungs"]["full"]
    assert first["agreement"] == 100
    assert abs(first["divergence"]) < 1e-5


def test_curve_has_a_row_for_each_epoch_and_the_result(tuned):
    """Two steps an epoch; agreement and top-1 in quarters, as four photographs are held out."""
    out, rows = tuned
    assert json.loads((out / "curve.json").read_text()) == rows
    assert [row["step"] for row in rows] == [0, 2, 4, 6, 6]
    for row in rows:
        assert row["rungs"].keys() == {"full", "half", "lowest"}
        assert all(rung["agreement"] % 25 == rung["top1"] % 25 == 0 for rung in row["rungs"].values())


def test_what_comes_before_the_first_reduction_stays(tuned, plain, random_state):
    """Stem, position table, the first block and the head keep their bytes; the blocks from the reduction on do not."""
    before, after = _state(plain, random_state), load_state(tuned[0] / "weights.npz", plain)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    still = ("stem.", "cls_token", "pos_embed", "blocks.0.", "head.")
    assert not [name for name in moved if name.startswith(still)]
    assert {f"blocks.{b}.qkv.weight" for b in range(1, 5)} <= moved


def test_result_lies_on_the_way_back_to_the_source(plain, random_state, photographs, tmp_path):
    """With source_share 1 every array is the source's again; its own weights, not those of a sum: exact to rounding."""
    recipe = dataclasses.replace(RECIPE, epochs=1, source_share=1.0)
    fine_tune(*_models(plain, random_state), photographs, None, LADDER, tmp_path, recipe)
    before, after = _state(plain, random_state), load_state(tmp_path / "weights.npz", plain)
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, rtol=0, atol=2**-23 * np.abs(array).max())


class _PowerCut(Exception):
    pass


@pytest.mark.parametrize("saves", [1, 2, 3])
def test_interrupted_run_ends_in_the_same_bytes(saves, tuned, plain, random_state, photographs, tmp_path, monkeypatch):
    """Checkpoints after steps 2, 3 and 4: a run that dies behind one goes on there, also inside an epoch."""
    count, save = 0, RunFolder.save

    def dying(self, *arguments) -> None:
        nonlocal count
        save(self, *arguments)
        count += 1
        if count == saves:
            raise _PowerCut

    def run() -> list[dict]:
        return fine_tune(
            *_models(plain, random_state), photographs, np.arange(16) // 4, LADDER, tmp_path, RECIPE, checkpoint_steps=3
        )

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", dying)
        with pytest.raises(_PowerCut):
            run()
    assert run() == tuned[1]
    expected, found = (load_state(folder / "weights.npz", plain) for folder in (tuned[0], tmp_path))
    assert [name for name in expected if not np.array_equal(expected[name], found[name])] == []


def test_finished_run_is_not_trained_again(tuned, plain, random_state, photographs):
    """The same command leaves the weights as they are."""
    out, rows = tuned
    before = (out / "weights.npz").read_bytes()
    assert fine_tune(*_models(plain, random_state), photographs, np.arange(16) // 4, LADDER, out, RECIPE) == rows
    assert (out / "weights.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "named"),
    [({"recipe": dataclasses.replace(RECIPE, seed=1)}, "recipe"), ({"ladder": LADDER[:2]}, "ladder")],
    ids=["recipe", "ladder"],
)
def test_folder_of_another_run_is_refused(change, named, tuned, plain, random_state, photographs):
    """The refusal names what differs."""
    arguments = {"ladder": LADDER, "recipe": RECIPE} | change
    with pytest.raises(SourceError, match=f"holds a run with another {named}: choose another folder"):
        fine_tune(*_models(plain, random_state), photographs, None, out=tuned[0], **arguments)


def test_too_few_photographs_are_refused(plain, random_state, photographs, tmp_path):
    """Sixteen photographs, four of them held out, cannot fill a batch of thirteen; nothing is written."""
    recipe = dataclasses.replace(RECIPE, batch=13)
    with pytest.raises(SourceError, match="needs 4 photographs to measure by and 13 for a step, found 16"):
        fine_tune(*_models(plain, random_state), photographs, None, LADDER, tmp_path / "out", recipe)
    assert not (tmp_path / "out").exists()


def test_diverging_run_is_stopped(plain, random_state, photographs, tmp_path, monkeypatch):
    """A loss that is not a number ends the run before it reaches the weights."""
    monkeypatch.setattr(distill, "distillation_loss", lambda feature, *_: feature.sum() * float("nan"))
    with pytest.raises(SourceError, match="loss of step 1 is nan; begin anew at a lower rate"):
        fine_tune(*_models(plain, random_state), photographs, None, LADDER, tmp_path / "out", RECIPE)


def test_loss_is_divergence_plus_relative_error():
    """Against float64 sums in numpy; 60 float32 operations on values below 4 leave 1e-5."""
    rng, head = np.random.default_rng(0), nn.Linear(6, 5)
    feature, taught = rng.standard_normal((2, 3, 6))

    def log_probabilities(x: np.ndarray) -> np.ndarray:
        z = x @ head.weight.detach().double().numpy().T + head.bias.detach().double().numpy()
        return z - np.log(np.exp(z).sum(1, keepdims=True))

    student, teacher = log_probabilities(feature), log_probabilities(taught)
    expected = (np.exp(teacher) * (teacher - student)).sum() / 3 + 0.5 * ((feature - taught) ** 2).sum() / (
        taught**2
    ).sum()
    found = distillation_loss(*(torch.from_numpy(x).float() for x in (feature, taught)), head, feature_weight=0.5)
    assert found.item() == pytest.approx(expected, abs=1e-5)


def test_student_with_other_attention_learns_from_the_first_changed_block(tiny, plain, random_state):
    """Blocks 0 and 2 of the tiny model are linear; with another input size nothing is left alone."""
    _, teacher = _models(plain, random_state)
    late = dataclasses.replace(plain, attention=(Attention(),) * 4 + (Attention("linear"),), reductions=())
    larger = dataclasses.replace(late, preprocessing=Preprocessing(44, 40))
    merging = dataclasses.replace(plain, reductions=Reduction.at(3, method="merge"))
    found = [unchanged_blocks(VisionTransformer(config), teacher) for config in (tiny, late, larger, merging)]
    assert found == [0, 4, -1, 3]


def test_linear_attention_is_learned_from_softmax(plain, random_state, photographs, tmp_path):
    """One method for both: the student of another attention, at another resolution, comes nearer to its teacher."""
    _, teacher = _models(plain, random_state)
    config = dataclasses.replace(plain, attention=(Attention(),) * 2 + (Attention("linear"),) * 3, reductions=())
    student = VisionTransformer(config)
    student.load_state_dict(teacher.state_dict())
    rows = fine_tune(student, teacher, photographs, None, (Rung("all", ()),), tmp_path / "out", RECIPE)
    first, last = (rows[i]["rungs"]["all"]["divergence"] for i in (0, -1))
    assert last < 0.9 * first


def test_view_is_the_same_at_every_size(photographs, plain):
    """A view of 32 pixels is that of 64 with every two averaged, up to bicubic rounding; another seed is another."""
    small = random_views(photographs, np.arange(3), plain.preprocessing, 0.5, (0, 1))
    large = random_views(photographs, np.arange(3), Preprocessing(64, 64), 0.5, (0, 1))
    other = random_views(photographs, np.arange(3), plain.preprocessing, 0.5, (0, 2))
    halved = nn.functional.avg_pool2d(large, 2)
    assert (small - halved).abs().mean() < 0.05 < (small - other).abs().mean()
