"""The published methods by name: what they make of a model, and what the command line makes of them."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from coppice_export import config as config_module
from coppice_export.__main__ import app
from coppice_export.bundle import BundleSpec, Rung, write_bundle
from coppice_export.check import sample_images, session
from coppice_export.config import VIT_TINY, Attention, Conv, Reduction
from coppice_export.cost import incoming_counts, model_macs
from coppice_export.methods import diffrate, dynamic_vit, ltmp, patch_merger, tome
from coppice_export.methods.presets import PRESETS, with_method
from coppice_export.model import build_model
from coppice_export.reductions import METHODS, Tokens, predictor
from coppice_export.reference import VisionTransformer
from coppice_export.weights import fitted

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED_BLOCKS = {
    "top-k": (3, 6, 9),
    "evit": (3, 6, 9),
    "tome": tuple(range(11)),
    "diffrate": tuple(range(1, 11)),
    "ltmp": tuple(range(11)),
    "ats": tuple(range(3, 11)),
    "linear-attention": (),
    "token-sampling": tuple(range(2, 11)),
    "e-attention": tuple(range(2, 11)),
    "dynamic-vit": (3, 6, 9),
    "patch-merger": (6,),
}
SHARED_PAGE = ("top-k", "token-sampling")  # whose page has the table of another method


@pytest.mark.parametrize("name", PRESETS)
def test_preset_reduces_where_its_paper_does(name):
    """On twelve blocks, those that the papers or their code name, but for the last, whose patches change no logit."""
    assert tuple(r.block for r in PRESETS[name].preset(VIT_TINY).reductions) == PUBLISHED_BLOCKS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_ladder_of_a_preset_can_be_had(name):
    """Every rung is a budget of the configuration, and costs less than the one before."""
    config = PRESETS[name].preset(VIT_TINY)
    rungs = PRESETS[name].rungs(config)
    macs = [model_macs(config, keep) for keep in rungs.values()]
    assert [config.fault_of(keep) for keep in rungs.values()] == [""] * len(rungs)
    assert macs == sorted(macs, reverse=True)
    assert bool(rungs) == bool(config.stages)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "diffrate"])
def test_preset_of_a_small_model_becomes_a_bundle(tiny, random_state, tmp_path, name):
    """Export, comparison with PyTorch at every rung, golden cases: five blocks of softmax attention."""
    config = PRESETS[name].preset(replace(tiny, attention=(Attention(),) * 5, reductions=()))
    # Of 16 patches `high` keeps as many as `full`, but for the fused token: no ratio would select it.
    rungs = tuple(Rung(rung, keep) for rung, keep in PRESETS[name].rungs(config).items() if rung != "high")
    spec = BundleSpec("tiny", "1.0.0", tuple(map(str, range(10))), rungs, rungs[0].name if rungs else "")
    report = write_bundle(tmp_path / "bundle", config, random_state(config), spec)
    assert max(report.differences.values()) < 1e-4
    assert len(report.differences) == max(1, len(rungs))


DEIT_SMALL = replace(VIT_TINY, stem=(Conv(384, 16, 16),), width=384, heads=6, hidden=1536)
DEIT_BASE = replace(VIT_TINY, stem=(Conv(768, 16, 16),), width=768, heads=12, hidden=3072)


@pytest.mark.parametrize(
    ("config", "name", "published"),
    [
        (DEIT_SMALL, "2.9", 2.905),
        (DEIT_BASE, "11.5", 11.517),
        *((VIT_TINY, name, float(name)) for name in ("1.0", "0.9", "0.8")),
    ],
    ids=lambda value: getattr(value, "width", value),
)
def test_diffrate_costs_what_was_published(config, name, published):
    """README of DiffRate for S and B, to a million; for Ti the billions that schedules are named after."""
    config = diffrate.preset(replace(config, pooling="mean"), name)  # so that the last block counts as published
    macs = model_macs(config, diffrate.schedule(config, name), class_row_only=False) / 1e9
    assert macs == pytest.approx(published, abs=0.0005 if published in (2.905, 11.517) else 0.015)


def test_diffrate_prunes_and_merges_as_many_as_published():
    """At its own counts, each block of a schedule drops and merges exactly the published numbers of tokens."""
    config, tokens = diffrate.preset(replace(VIT_TINY, pooling="mean"), "0.8"), 197
    pruned, merged = diffrate.SCHEDULES[192]["0.8"]
    keep = diffrate.schedule(config, "0.8")
    for reduction, left, after_pruning, after_merging in zip(config.reductions, keep, pruned[1:], merged[1:]):
        gone = tokens - 1 - left
        assert int(reduction.merge_share * gone + 0.5) == after_pruning - after_merging
        assert left == after_merging - 1
        tokens = left + 1


def test_diffrate_refuses_models_without_a_schedule(tiny):
    """Its schedules belong to three models; the refusal says to which."""
    with pytest.raises(ValueError, match=r"12 blocks, 197 tokens and a width of 192, 384, 768; found 5, 17 and 24"):
        diffrate.preset(tiny)


@pytest.mark.parametrize(("merged", "last"), [(0, 196), (8, 108), (13, 53), (16, 20), (60, 1)])
def test_tome_schedule_merges_as_many_in_each_block(merged, last):
    """r tokens a block, at most half of those that are left."""
    config = tome.preset(VIT_TINY)
    keep = tome.schedule(config, merged)
    assert keep[-1] == last
    assert config.fault_of(keep) == ""


def test_evit_counts_are_those_of_its_code(tiny):
    """The weighted sum goes on, not the mean; plain top-k has no such token."""
    assert {r.fuse for r in PRESETS["evit"].preset(VIT_TINY).reductions} == {"sum"}
    assert {r.fuse for r in PRESETS["top-k"].preset(VIT_TINY).reductions} == {"none"}


def test_dynamic_vit_keeps_what_its_code_keeps():
    """int(196 * 0.7), int(196 * 0.49) and int(196 * 0.343)."""
    assert dynamic_vit.rungs(dynamic_vit.preset(VIT_TINY))["low"] == (137, 96, 67)


class _Published(nn.Module):
    """The predictor as its paper's figure has it, in layers of PyTorch."""

    def __init__(self, width: int):
        super().__init__()
        self.in_conv = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        sizes = (width, width // 2, width // 4, 2)
        linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.out_conv = nn.Sequential(linear[0], nn.GELU(), linear[1], nn.GELU(), linear[2])

    def forward(self, patches):
        local, shared = self.in_conv(patches).chunk(2, -1)
        h = self.out_conv(torch.cat([local, shared.mean(1, keepdim=True).expand_as(shared)], -1))
        return F.log_softmax(h, -1)[:, :, 0]


def test_published_predictors_keep_the_same_tokens(tiny):
    """Weights under the names of the published code choose what its formula chooses, in each stage's own block."""
    config = replace(tiny, reductions=Reduction.at(1, 3, method="predictor"))
    torch.manual_seed(0)
    published, x = [_Published(config.width) for _ in range(2)], torch.randn(1, 17, config.width)
    arrays = {f"score_predictor.{i}.{n}": a.numpy() for i, p in enumerate(published) for n, a in p.state_dict().items()}
    own = predictor.own_names(arrays, config)
    assert {name.split(".")[1] for name in own} == {"1", "3"}
    model = VisionTransformer(config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()}, strict=False)
    for block, network in zip((1, 3), published):
        with torch.inference_mode():
            best = network(x[:, 1:])[0].argsort(descending=True)[:5].sort().values + 1
            tokens = Tokens(x, torch.arange(17)[None], None)
            face = METHODS["predictor"].torch_face
            _, index, _ = face(config.reduction(block), config, tokens, model.blocks[block].predictor, 5)
        assert index[0].tolist() == [0, *best.tolist()]


def test_predictor_of_a_model_without_one_is_refused(tiny, tiny_state):
    """Dense weights have no predictor; the refusal names the arrays."""
    config = replace(tiny, reductions=Reduction.at(1, 3, method="predictor"))
    with pytest.raises(ValueError, match=r"blocks\.1\.predictor\.embed\.weight is missing.*Advice\."):
        fitted(tiny_state, config, "weights", "Advice.")


def test_full_budgets_are_those_of_the_method(tiny):
    """The budget of all tokens follows fixed reductions: three outputs of a merger are all that a later stage has."""
    reductions = (Reduction(1, "patch_merger", outputs=3), Reduction(3))
    config = replace(tiny, reductions=reductions, attention=(Attention(),) * 5)
    assert incoming_counts(config, 1) == (3,)
    assert config.fault_of((4,)) == "block 3 is given 3 tokens and cannot leave 4"


@pytest.mark.parametrize(
    ("method", "options", "check"),
    [
        ("patch-merger", {"outputs": "4", "scale": "0"}, lambda r, _: (r[0].outputs, r[0].scale) == (4, 0.0)),
        ("tome", {"proportional": "false"}, lambda r, _: not r[0].proportional),
        ("ltmp", {"thresholds": "[[0.8, 0.01]]"}, lambda r, _: {x.merge_threshold for x in r} == {0.8}),
        ("diffrate", {"name": "0.6"}, lambda r, _: r[0].merge_share == 0.9),
        (
            "linear-attention",
            {"feature_map": "relu", "reweight": "cos2d", "normalize": "none"},
            lambda _, a: set(a) == {Attention("linear", "relu", "cos2d", "none", grid=14, prefix_tokens=1)},
        ),
        ("e-attention", {"normalize": "sqrt_d"}, lambda _, a: {x.normalize for x in a} == {"sqrt_d"}),
    ],
)
def test_settings_come_as_text(method, options, check):
    """`--set` values become what the preset takes."""
    config = with_method(VIT_TINY, method, options)
    assert check(config.reductions, config.attention)


def test_token_sampling_leaves_attention_as_it_is():
    """e-attention is linear attention and this, in the same blocks."""
    sampling, both = (PRESETS[name].preset(VIT_TINY) for name in ("token-sampling", "e-attention"))
    assert sampling.attention == VIT_TINY.attention
    assert sampling.reductions == both.reductions


@pytest.mark.parametrize(
    ("method", "options", "sentence"),
    [
        ("evit", {"ratio": "0.5"}, "method evit has no settings, found ratio; leave these out"),
        ("tome", {"r": "8"}, "method tome has proportional, found r; leave these out"),
        ("tome", {"proportional": "1"}, "proportional: expected a value like true, found '1'"),
        ("patch-merger", {"outputs": "4.5"}, r"outputs: expected a value like 8, found '4\.5'"),
        ("patch-merger", {"outputs": "true"}, "outputs: expected a value like 8, found 'true'"),
        ("ltmp", {"thresholds": "[0.9, 0.1]"}, "thresholds: expected one pair or one for each of 12 blocks"),
        ("ltmp", {"thresholds": "0.9"}, r"thresholds: expected a value like \[\], found '0\.9'"),
        ("diffrate", {"name": "5"}, "DiffRate's schedules of width 192 are 1.0, .*; found '5'"),
    ],
)
def test_setting_that_does_not_exist_is_refused(method, options, sentence):
    """The refusal names the setting and what the method has."""
    with pytest.raises(ValueError, match=sentence):
        with_method(VIT_TINY, method, options)


def test_thresholds_may_differ_by_block():
    """Learned thresholds are a pair a block."""
    pairs = [(0.9 - b / 100, b / 1000) for b in range(12)]
    reductions = ltmp.preset(VIT_TINY, pairs).reductions
    assert [(r.merge_threshold, r.prune_threshold) for r in reductions] == pairs[:-1]


def test_merger_stands_half_way(tiny, random_state):
    """After it, blocks see the class token and as many tokens as there are outputs."""
    config = patch_merger.preset(replace(tiny, reductions=(), attention=(Attention(),) * 5), outputs=3)
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in random_state(config).items()}, strict=False)
    seen = []
    for block in model.blocks:
        block.norm2.register_forward_hook(lambda _, __, y: seen.append(y.shape[1]))
    model(torch.from_numpy(np.concatenate(sample_images(config, 2))))
    assert seen == [17, 17, 4, 4, 4]


def _page(name: str) -> str:
    """The explanation that a method's module names."""
    path = re.search(r"page: (docs/explanation/[a-z0-9-]+\.md)", PRESETS[name].__doc__)[1]
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [name for name, preset in PRESETS.items() if preset.rungs(preset.preset(VIT_TINY)) and name not in SHARED_PAGE],
)
def test_table_of_a_page_is_true(name):
    """Rungs, counts and multiply-adds of vit-tiny are those that the preset gives."""
    config = PRESETS[name].preset(VIT_TINY)
    found = re.findall(r"^\| `(.+)` \| ([\d ]+) \| (\d+) M \|$", _page(name), re.MULTILINE)
    rungs = PRESETS[name].rungs(config).items()
    expected = [(r, " ".join(map(str, keep)), f"{model_macs(config, keep) / 1e6:.0f}") for r, keep in rungs]
    assert found == expected


@pytest.mark.parametrize("name", PRESETS)
def test_command_of_a_page_makes_a_bundle(monkeypatch, tmp_path, tiny, random_state, name):
    """The command as it stands, with a small model in the place of vit-tiny."""
    command = re.search(rf"^coppice-export (.*--method {name} .*)$", _page(name), re.MULTILINE)[1].split()
    small = replace(tiny, attention=(Attention(),) * 5, reductions=())
    model = replace(VIT_TINY, hidden=16, classes=10) if name == "diffrate" else small
    monkeypatch.setitem(config_module.PRESETS, "vit-tiny", model)
    monkeypatch.chdir(tmp_path)
    settings = dict(command[i + 1].split("=") for i, word in enumerate(command) if word == "--set")
    np.savez(command[1], **random_state(with_method(model, name, settings)))
    # Of 16 patches some rungs keep as many as others, and no ratio would select them.
    few = ("--rung", "full=16,16,16", "--rung", "low=8,4,2") if name in ("evit", "top-k", "dynamic-vit") else ()
    monkeypatch.setattr(sys, "argv", ["coppice-export", *command, *few])
    with pytest.raises(SystemExit) as end:
        app()
    assert end.value.code == 0
    assert (tmp_path / command[-1] / "bundle.json").is_file()


def test_reducing_in_the_last_block_changes_no_logit(random_state, tiny):
    """Why presets leave the last block alone: merging there too gives the same class token."""
    config = replace(tiny, reductions=(), attention=(Attention(),) * 5)
    state, image = random_state(config), sample_images(config, 1)[0]
    every = replace(config, reductions=Reduction.at(*range(5), method="merge"))
    logits = []
    for model, keep in ((tome.preset(config), (14, 12, 10, 8)), (every, (14, 12, 10, 8, 4))):
        feeds = {"image": image, "keep": np.array(keep)}
        logits.append(session(build_model(model, state).SerializeToString()).run(["logits"], feeds)[0])
    np.testing.assert_allclose(logits[0], logits[1], rtol=0, atol=1e-5)
