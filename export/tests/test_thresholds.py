"""Learned thresholds: the masked pass against the model that removes tokens, what is learned, and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coppice_export.check import sample_images
from coppice_export.checkpoint import SourceError
from coppice_export.config import Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.cost import model_macs
from coppice_export.divergence import judge, reference_of
from coppice_export.methods import ltmp
from coppice_export.methods.soft_thresholds import soft_pass
from coppice_export.photographs import find_photographs
from coppice_export.run_folder import RunFolder
from coppice_export.schedule import load_schedule
from coppice_export.thresholds import Recipe, learn
from coppice_export.views import as_on_board

CONFIG = ViTConfig("small", Preprocessing(32, 32), (Conv(24, 4, 4),), 24, 3, 48, 10, (Attention(),) * 4)


@pytest.fixture(scope="module")
def state(random_state):
    """Attention that looks at few tokens, and a head with opinions: without them nothing would matter."""
    state = random_state(CONFIG)
    for block in range(CONFIG.depth):
        state[f"blocks.{block}.qkv.weight"][:48] *= 2
    return state | {"head.weight": 5 * state["head.weight"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """160 smooth random pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, image in enumerate(sample_images(CONFIG, 160)):
        pixels = np.clip(64 * image[0].transpose(1, 2, 0) + 128, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def images(folder) -> torch.Tensor:
    return as_on_board(find_photographs(folder)[:32], CONFIG.preprocessing)


def _soft(config, state, images, pairs) -> tuple[torch.Tensor, torch.Tensor]:
    merge, prune = torch.tensor(pairs).T
    with torch.no_grad():
        return soft_pass(reference_of(config, state), images, merge, prune * config.tokens)


@pytest.mark.parametrize("pooling", ["class", "mean"])
@pytest.mark.parametrize("pair", [(0.97, 0.01), (0.9, 0.0), (2.0, 0.014), (2.0, 0.0), (-2.0, 2.0)], ids=str)
def test_mask_reads_what_is_read_where_tokens_are_removed(state, images, pair, pooling):
    """Merging, pruning, neither, and all that either can: logits and multiply-adds are those of the model that removes
    its tokens one picture at a time. Four blocks on values of about 10 leave 1e-4."""
    config = ltmp.preset(replace(CONFIG, pooling=pooling), [pair])
    model, entered = reference_of(config, state), []
    for block in model.blocks:
        block.register_forward_hook(lambda _, given, tokens: entered.append(tokens.x.shape[1] - 1))
    with torch.no_grad():
        expected = model.features(images)[0]
    feature, macs = _soft(config, state, images, [pair] * 4)
    torch.testing.assert_close(feature, expected, rtol=0, atol=1e-4)
    blocks = [reduction.block for reduction in config.reductions]
    counted = replace(config, reductions=Reduction.at(*blocks))
    left = [tuple(entered[i : i + 4][b] for b in blocks) for i in range(0, len(entered), 4)]
    assert macs.tolist() == [model_macs(counted, keep) for keep in left]


def test_thresholds_have_the_gradients_of_their_budget(state, images):
    """A higher merging threshold costs more, a higher pruning threshold less, in every block that reduces."""
    merge, prune = torch.full((4,), 0.97).requires_grad_(), torch.full((4,), 0.5).requires_grad_()
    soft_pass(reference_of(ltmp.preset(CONFIG), state), images, merge, prune)[1].mean().backward()
    assert (merge.grad[:3] > 0).all()
    assert (prune.grad[:3] < 0).all()


RECIPE = Recipe(0.7, held_out=32, epochs=2)


@pytest.fixture(scope="module")
def learned(state, folder, tmp_path_factory):
    return learn(CONFIG, state, find_photographs(folder), tmp_path_factory.mktemp("learned"), RECIPE)


def _uniform(state, images, share: float, merge: float | None) -> ViTConfig:
    """All blocks alike at this share, by bisection: pruning besides this merging threshold, or merging alone."""
    low, high = (0.5, 1.0) if merge is None else (1.0, 0.0)
    for _ in range(20):
        middle = (low + high) / 2
        pair = (middle, 0.0) if merge is None else (merge, middle)
        cost = float(_soft(ltmp.preset(CONFIG), state, images, [pair] * 4)[1].mean())
        low, high = (middle, high) if cost < share * model_macs(CONFIG, (), False) else (low, middle)
    return ltmp.preset(CONFIG, [pair])


def test_learned_thresholds_reach_the_budget_and_beat_uniform_ones(state, folder, learned):
    """Within 3 % of the share that was asked for, on pictures that were not learned from, and nearer to the dense model
    than equal thresholds in all blocks that cost the same, whether these merge, prune or do both."""
    config, rows = learned
    assert rows[-1]["share"] == pytest.approx(0.7, abs=0.03)
    found = find_photographs(folder)
    chosen = np.random.default_rng(RECIPE.seed).permutation(len(found))[: RECIPE.held_out]
    held_out = as_on_board([found[i] for i in chosen], CONFIG.preprocessing)
    rivals = [_uniform(state, held_out, rows[-1]["share"], merge) for merge in (None, 0.98, 2.0)]
    kl = [judge(state, c, [()], [held_out.numpy()])[0][0] for c in (config, *rivals)]
    assert kl[0] == pytest.approx(rows[-1]["divergence"], rel=1e-3)
    assert kl[0] < min(kl[1:])


class _PowerCut(Exception):
    pass


def test_interrupted_run_ends_in_the_same_thresholds(state, folder, tmp_path, monkeypatch):
    """Dying behind the checkpoint of the second of three steps, it goes on there."""
    few, recipe = find_photographs(folder)[:32], Recipe(0.7, held_out=8)
    whole = learn(CONFIG, state, few, tmp_path / "whole", recipe)
    save = RunFolder.save

    def dying(self, *arguments) -> None:
        save(self, *arguments)
        raise _PowerCut

    monkeypatch.setattr(RunFolder, "save", dying)
    with pytest.raises(_PowerCut):
        learn(CONFIG, state, few, tmp_path / "cut", recipe, checkpoint_steps=2)
    monkeypatch.undo()
    assert learn(CONFIG, state, few, tmp_path / "cut", recipe, checkpoint_steps=2) == whole


def test_refuses_too_few_photographs_and_another_run(state, folder, tmp_path):
    """One sentence each, before anything is learned."""
    few = find_photographs(folder)[:15]
    with pytest.raises(SourceError, match="needs 8 photographs to measure by and 8 for a step, found 15"):
        learn(CONFIG, state, few, tmp_path / "out", Recipe(0.7, held_out=8))
    assert not (tmp_path / "out").exists()
    learn(CONFIG, state, few, tmp_path / "out", Recipe(0.7, held_out=7))
    with pytest.raises(SourceError, match="holds a run with another recipe: choose another folder"):
        learn(CONFIG, state, few, tmp_path / "out", Recipe(0.6, held_out=7))


@pytest.fixture
def call(call, monkeypatch, tmp_path, random_state):
    """Runs the command line beside the weights of a model with one head, which is what their shapes tell."""
    monkeypatch.chdir(tmp_path)
    config = replace(CONFIG, stem=(Conv(64, 8, 8),), width=64, heads=1, attention=(Attention(),) * 3)
    np.savez("small.npz", **random_state(config))
    return call


def test_convert_takes_what_the_command_writes(call, folder):
    """From weights to thresholds.json to a bundle without budgets whose operators are those of LTMP."""
    options = ("--photographs", folder, "--count", "24", "--held-out", "8", "--out", "learned", "--cost", "70")
    code, error = call("thresholds", "small.npz", *options)
    assert code == 0, error
    assert "wrote learned/thresholds.json; `coppice-export convert --schedule learned/thresholds.json`" in error
    schedule = load_schedule(Path("learned/thresholds.json"))
    assert [reduction.method for reduction in schedule.reductions] == ["threshold"] * 2
    code, error = call("convert", "small.npz", "--schedule", "learned/thresholds.json", "--out", "bundle")
    assert code == 0, error
    assert (
        "operators: AttentionBlock x2, EncoderBlock x1, MergeTokens x2, MlpBlock x2, ThresholdTokens x2; wrote bundle"
        in error
    )


def test_cost_beyond_the_dense_model_is_wrong_usage(call, folder):
    code, error = call("thresholds", "small.npz", "--photographs", folder, "--out", "learned", "--cost", "120")
    assert (code, Path("learned").exists()) == (2, False)
    assert "--cost" in error


def test_refuses_attention_that_gives_no_importance(state, folder, tmp_path):
    """Linear attention has no weights that a token could receive."""
    linear = replace(CONFIG, attention=(Attention("linear"), *CONFIG.attention[1:]))
    with pytest.raises(ValueError, match="block 0 ranks tokens by what they receive from all"):
        learn(linear, state, find_photographs(folder), tmp_path / "out", RECIPE)
    assert not (tmp_path / "out").exists()
