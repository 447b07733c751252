"""The recipe on a few generated pictures: what an epoch leaves behind, and what an interruption changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coppice_export import optimizer, training
from coppice_export.bundle import write_bundle
from coppice_export.config import VIT_TINY, Attention, Preprocessing, Reduction
from coppice_export.labels import IMAGENETTE
from coppice_export.reference import load_reference
from coppice_export.training import Recipe
from coppice_export.weights import SourceError, load_state

RECIPE = Recipe(views=2, view_pixels=40, epochs=2, batch=4, warmup_steps=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, random_state, tiny, noise_tar) -> Path:
    """Archives of pictures, a teacher, and what `prepare` makes of them."""
    folder = tmp_path_factory.mktemp("training")
    synsets = [synset for synset, _, _ in IMAGENETTE]
    noise_tar(folder / "train.tar", [f"{synset}/{i}.jpg" for i in range(2) for synset in synsets[:4]], 0)
    noise_tar(folder / "validation.tar", [f"{synset}/{i}.jpg" for i in range(1) for synset in synsets[:4]], 1)
    np.savez(folder / "teacher.npz", **random_state(VIT_TINY))
    training.prepare(folder / "train.tar", folder / "teacher.npz", folder / "prepared", RECIPE)
    return folder


@pytest.fixture(scope="module")
def trained(folder, tiny) -> Path:
    training.train(folder / "prepared", folder / "validation.tar", folder / "out", tiny, RECIPE, threads=1)
    return folder / "out"


def test_photographs_come_in_name_order_with_their_class(folder):
    """The folder is the class; its number is the place of the synset in our list."""
    images, labels = training.read_photographs(folder / "train.tar")
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {(image.mode, image.size) for image in images} == {("RGB", (40, 44))}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["n01440764/1.jpg", "dogs/2.jpg"], "expected folders named after the model's classes .*found 'dogs'"),
        ([], "expected photographs, found no file"),
    ],
    ids=["dogs", "empty"],
)
def test_archive_with_other_folders_is_refused(tmp_path, noise_tar, names, sentence):
    """The refusal says what folders it expects and what it found."""
    with pytest.raises(SourceError, match=sentence):
        training.read_photographs(noise_tar(tmp_path / "x.tar", names, 0))


def test_file_that_is_no_archive_is_refused(tmp_path):
    """A text file in the archive's place is refused by its path."""
    (tmp_path / "x.tar").write_text("no tar")
    with pytest.raises(SourceError, match=r"x\.tar: not a readable tar of photographs"):
        training.read_photographs(tmp_path / "x.tar")


def test_prepared_opinions_are_those_of_the_teacher(folder):
    """The stored logits are the teacher's of the stored crop, enlarged to its 224 pixels."""
    pixels, opinions = (np.load(folder / "prepared" / f"{name}.npy") for name in ("pixels", "teacher"))
    assert (pixels.shape, opinions.shape) == ((2, 8, 40, 40, 3), (2, 8, 1000))
    large = np.asarray(Image.fromarray(pixels[1, 5]).resize((224, 224), Image.Resampling.BICUBIC), np.float32)
    with torch.inference_mode():
        expected = load_reference(VIT_TINY, folder / "teacher.npz")(
            torch.from_numpy((large / 127.5 - 1).transpose(2, 0, 1)[None].copy())
        )[0]
    # float16 keeps 11 bits.
    np.testing.assert_allclose(opinions[1, 5], expected, rtol=0, atol=2**-11 * float(expected.abs().max()) + 1e-4)


def test_prepared_views_differ(folder):
    """Each view is another crop of the same photograph."""
    pixels = np.load(folder / "prepared" / "pixels.npy").astype(int)
    assert all(np.abs(pixels[0, i] - pixels[1, i]).mean() > 1 for i in range(8))


def test_prepare_keeps_what_is_complete(folder, tiny):
    """A finished preparation is used again: the archive and the teacher are not even opened."""
    training.prepare(folder / "gone.tar", folder / "gone.npz", folder / "prepared", RECIPE)


def test_curve_has_a_row_for_each_epoch(trained):
    """Loss, seconds and top-1 at the full and at half the budget; four validation pictures give quarters."""
    curve = json.loads((trained / "curve.json").read_text())
    assert [row["epoch"] for row in curve] == [1, 2]
    for row in curve:
        assert row.keys() == {"epoch", "loss", "seconds", "top1_full", "top1_half"}
        assert row["top1_full"] % 25 == row["top1_half"] % 25 == 0
        assert 0 < row["loss"] < 20
    assert Image.open(trained / "curve.png").size[0] > 300


def test_training_moves_the_weights(trained, folder, tiny):
    """The averaged weights are not those of a fresh student with the same seed."""
    torch.manual_seed(RECIPE.seed)
    fresh = training._Student(tiny).model.state_dict()
    state = load_state(trained / "weights.npz", tiny)
    assert np.abs(state["head.weight"] - fresh["head.weight"].numpy()).max() > 1e-4


def test_trained_weights_become_a_bundle(trained, tiny, tiny_spec, tmp_path):
    """What training leaves is what `convert` reads."""
    report = write_bundle(tmp_path / "tiny", tiny, load_state(trained / "weights.npz", tiny), tiny_spec)
    assert max(report.differences.values()) <= 1e-4


class _PowerCut(Exception):
    pass


def test_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(trained, folder, tiny, tmp_path, monkeypatch):
    """A run that dies in its second epoch goes on from its last checkpoint and loses nothing."""
    steps = iter(range(3))

    def die_at_the_fourth(*arguments) -> None:
        if next(steps, None) is None:
            raise _PowerCut
        optimizer.descend(*arguments)

    arguments = (folder / "prepared", folder / "validation.tar", tmp_path, tiny, RECIPE)
    with monkeypatch.context() as patch:
        patch.setattr(training, "descend", die_at_the_fourth)
        with pytest.raises(_PowerCut):
            training.train(*arguments, threads=1, checkpoint_steps=3)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3
    training.train(*arguments, threads=1)
    expected, found = load_state(trained / "weights.npz", tiny), load_state(tmp_path / "weights.npz", tiny)
    assert [name for name in expected if not np.array_equal(expected[name], found[name])] == []
    curves = [json.loads((run / "curve.json").read_text()) for run in (trained, tmp_path)]
    assert [row | {"seconds": 0} for row in curves[0]] == [row | {"seconds": 0} for row in curves[1]]


def test_finished_run_is_not_trained_again(trained, folder, tiny):
    """Starting a finished run leaves its weights as they are."""
    before = (trained / "weights.npz").read_bytes()
    training.train(folder / "prepared", folder / "validation.tar", trained, tiny, RECIPE, threads=1)
    assert (trained / "weights.npz").read_bytes() == before


@pytest.fixture(scope="module")
def fine(tiny):
    """The same arrays at four times the patches, linear attention, merging: as imagenette-fine to imagenette-mini."""
    linear = (Attention("linear", reweight="cos1d"),) * 5
    return replace(
        tiny, preprocessing=Preprocessing(72, 64), attention=linear, reductions=Reduction.at(1, 3, method="merge")
    )


def test_start_keeps_the_features_of_another_run(trained, tiny, fine):
    """Every array is that of the finished run but for the position table, which is PyTorch's interpolation of it."""
    came = torch.load(trained / "checkpoint.pt", weights_only=True)["average"]
    state = training.starting_state(trained, fine)
    assert [name for name in came if not torch.equal(came[name], state[name])] == ["model.pos_embed"]
    table, grown = came["model.pos_embed"], state["model.pos_embed"]
    grid = table[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    expected = torch.nn.functional.interpolate(grid, size=(8, 8), mode="bicubic", antialias=True)
    torch.testing.assert_close(grown[:, 1:], expected.flatten(2).transpose(1, 2), rtol=0, atol=1e-6)
    assert torch.equal(grown[:, :1], table[:, :1])


def test_start_of_another_shape_is_refused(trained, tiny):
    """A run of 5 blocks is no beginning for 4; the refusal names the run, the model and an array."""
    shallow = replace(tiny, name="shallow", attention=tiny.attention[:4])
    with pytest.raises(SourceError, match=r"out holds no run that shallow can begin with: .*blocks\.4"):
        training.starting_state(trained, shallow)


def test_grown_model_learns_in_bfloat16(trained, folder, fine, tmp_path):
    """Linear attention and merging train: from the start of another run, each array but the counters has moved."""
    state = training.starting_state(trained, fine)
    recipe = replace(RECIPE, epochs=1, smallest_keep=0.25, bfloat16=True)
    training.train(folder / "prepared", folder / "validation.tar", tmp_path, fine, recipe, 1, state)
    found = load_state(tmp_path / "weights.npz", fine)
    assert [name for name in found if np.array_equal(found[name], state[f"model.{name}"])] == []
    assert max(np.abs(found[name] - state[f"model.{name}"].numpy()).max() for name in found) < 0.2


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"epochs": 3}, "recipe"), ({"heads": 2}, "model"), ({"epochs": 3, "heads": 2}, "model and another recipe")],
    ids=["recipe", "model", "both"],
)
def test_folder_of_another_run_is_refused(trained, folder, tiny, changes, named):
    """A run goes on only with the settings that it began with; the refusal says which differ."""
    config = replace(tiny, **{name: value for name, value in changes.items() if name == "heads"})
    recipe = replace(RECIPE, **{name: value for name, value in changes.items() if name == "epochs"})
    with pytest.raises(SourceError, match=f"out holds a run with another {named}: choose another folder"):
        training.train(folder / "prepared", folder / "validation.tar", trained, config, recipe, threads=1)


def test_batch_larger_than_the_photographs_is_refused(folder, tiny, tmp_path):
    """Eight photographs cannot fill a batch of nine."""
    with pytest.raises(SourceError, match="expected at least 9 photographs for a batch, found 8"):
        training.train(
            folder / "prepared", folder / "validation.tar", tmp_path, tiny, replace(RECIPE, batch=9), threads=1
        )


@pytest.mark.parametrize("seed", range(20))
def test_random_budgets_fall_and_stay_within_the_recipe(tiny, seed):
    """Counts fall from stage to stage, between the smallest share and all patches."""
    keep = training._random_keep(tiny, replace(RECIPE, full_share=0.0, smallest_keep=0.25), np.random.default_rng(seed))
    assert 16 >= keep[0] >= keep[1] >= 4


@pytest.mark.parametrize("seed", range(20))
def test_random_budgets_can_be_had_where_tokens_merge(fine, seed):
    """A stage leaves at least half of what reaches it, however little the recipe asks for."""
    recipe = replace(RECIPE, full_share=0.0, smallest_keep=0.01)
    keep = training._random_keep(fine, recipe, np.random.default_rng(seed))
    assert fine.fault_of(keep) == ""


def test_mixed_targets_are_shares_of_the_area(tiny):
    """The share of the next image in the targets is the share of its pixels."""
    image = torch.stack([torch.zeros(3, 32, 32), torch.ones(3, 32, 32)])
    mixed, (target,) = training._mix(image, [torch.eye(2)], np.random.default_rng(4))
    assert 0 < mixed[0].mean() < 1
    torch.testing.assert_close(target[0], torch.stack([1 - mixed[0].mean(), mixed[0].mean()]))


def test_full_budget_is_drawn_as_often_as_the_recipe_says(tiny):
    """About two fifths of the steps keep every patch (random budgets hit it too, rarely)."""
    rng = np.random.default_rng(0)
    full = sum(training._random_keep(tiny, RECIPE, rng) == (16, 16) for _ in range(1000))
    assert 0.36 <= full / 1000 <= 0.46
