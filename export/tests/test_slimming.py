"""A slimmed model as a graph, and the way from photographs to a bundle on the command line."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from coppice_export import config as config_module
from coppice_export.check import sample_images, session
from coppice_export.config import VIT_TINY, Attention
from coppice_export.cost import block_macs, model_macs
from coppice_export.methods.patch_slimming import slim_block
from coppice_export.model import Flavour, build_model
from coppice_export.reference import VisionTransformer
from coppice_export.slimming import Slimming, fingerprint, slimmed
from coppice_export.weights import SourceError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "patch-slimming.md"
KEEP = (tuple(range(17)), (0, 1, 2, 5, 8, 13, 16), (0, 1, 2, 5, 8, 13, 16), (0,))


@pytest.fixture(scope="module")
def small(tiny, random_state):
    """Four softmax blocks, 17 tokens."""
    config = replace(tiny, name="small", attention=(Attention(),) * 4, reductions=())
    return config, random_state(config)


@pytest.fixture(scope="module")
def slimming(small):
    return Slimming(KEEP, (0.0,) * 4, "metric", fingerprint(small[1]), "the source", 17, 1, 8)


@pytest.mark.parametrize("flavour", Flavour)
def test_graph_equals_the_slim_blocks_of_the_search(small, slimming, flavour):
    """Logits are those of the blocks that the search fitted, which compute the kept rows one block after the other."""
    config, state = small
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    image = sample_images(config, 1)[0]
    with torch.inference_mode():
        x, incoming = model.embed(torch.from_numpy(image)).x, torch.arange(17)
        for block, places in zip(model.blocks, KEEP):
            x, _ = slim_block(block, x, torch.searchsorted(incoming, torch.tensor(places)))
            incoming = torch.tensor(places)
        expected = model.head(model.norm(x)[:, 0]).numpy()
        whole = model(torch.from_numpy(image)).numpy()
    runner = session(build_model(slimmed(config, state, slimming), state, flavour).SerializeToString())
    (found,) = runner.run(["logits"], {"image": image})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert np.abs(found - whole).max() > 1e-2


def test_keeping_every_token_is_the_model_itself(small):
    """Then no block reduces, and the graph has the bytes of the model's own."""
    config, state = small
    every = Slimming((tuple(range(17)),) * 3 + ((0,),), (0.0,) * 4, "metric", fingerprint(state), "", 17, 1, 8)
    assert slimmed(config, state, every) == config


def test_graph_has_static_shapes_and_no_selection(small, slimming):
    """No value depends on a name, nothing is ranked, and the image is the only input."""
    config, state = small
    model = build_model(slimmed(config, state, slimming), state, "stock")
    shapes = onnx.shape_inference.infer_shapes(model, strict_mode=False).graph
    values = (*shapes.input, *shapes.output, *shapes.value_info)
    assert not [v.name for v in values for d in v.type.tensor_type.shape.dim if d.dim_param]
    assert not {"TopK", "NonZero"} & {node.op_type for node in model.graph.node}
    assert [value.name for value in model.graph.input] == ["image"]


def test_cost_counts_queries_and_mlp_of_the_kept_rows(small, slimming):
    """Keys and values of 17, 17, 7 and 7 tokens, queries of 17, 7, 7 and 1."""
    config, state = small
    shape = config.width, config.heads, config.hidden
    whole, slim = ((17, 17), (17, 17), (17, 17), (17, 1)), ((17, 17), (17, 7), (7, 7), (7, 1))
    dense, kept = (
        sum(block_macs(Attention(), *shape, n, rows, rows) for n, rows in blocks) for blocks in (whole, slim)
    )
    assert model_macs(config) - model_macs(slimmed(config, state, slimming)) == dense - kept


def test_slimming_of_other_weights_is_refused(small, slimming):
    """The refusal says which weights it was made with and what to give."""
    config, state = small
    other = state | {"norm.bias": state["norm.bias"] + 1}
    with pytest.raises(SourceError, match=r"searched for weights the source .* give the weights\.npz beside it"):
        slimmed(config, other, slimming)


def test_slimming_of_another_shape_is_refused(small, slimming, random_state):
    """Blocks and tokens are compared first."""
    deeper = replace(small[0], attention=(Attention(),) * 5)
    with pytest.raises(SourceError, match=r"\(4, 17, 1\), small has \(5, 17, 1\)"):
        slimmed(deeper, random_state(deeper), slimming)


@pytest.fixture
def call(call, monkeypatch, tmp_path, small):
    """Runs the command line in a folder with weights of the preset `small` and eight photographs."""
    monkeypatch.setitem(config_module.PRESETS, "small", small[0])
    monkeypatch.chdir(tmp_path)
    np.savez("source.npz", **small[1])
    rng = np.random.default_rng(0)
    for number in range(8):
        path = Path("photographs") / "label 0" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    return call


SLIM = ("slim", "source.npz", "--preset", "small", "--photographs", "photographs", "--out", "slim", "--epochs", "1")


def test_commands_of_the_page_make_a_bundle(call, monkeypatch, small):
    """As they stand, with a small model in the place of vit-tiny: a bundle without stages that keeps what was found."""
    monkeypatch.setitem(config_module.PRESETS, "vit-tiny", small[0])
    Path("source.npz").rename("weights.npz")
    with tarfile.open("photographs.tar", "w") as tar:
        tar.add("photographs")
    for command in re.findall(r"^coppice-export (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        code, error = call(*command.split())
        assert code == 0, error
    manifest = json.loads(Path("vit-tiny-slim/bundle.json").read_text())
    assert manifest["keep"]["stages"] == 0
    kept = json.loads(Path("slim/slimming.json").read_text())["keep"]
    arrays = onnx.load("vit-tiny-slim/model.onnx").graph.initializer
    assert any(list(array.dims) == [1, len(places)] for places in kept[:-1] for array in arrays)


def test_multiply_adds_of_the_page_follow_from_its_counts():
    """Three searches of vit-tiny; which patches they are does not matter to the cost."""
    rows = re.findall(
        r"^\| 0\.\d+ \| ([\d x,]+), 1 \| (\d+) M \((-\d+) %\)", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) == 3
    dense = replace(VIT_TINY, reductions=())
    for counts, macs, saved in rows:
        parts = [(int(n), int(times or 1)) for n, times in re.findall(r"(\d+)(?: x(\d+))?", counts)]
        kept = [n for n, times in parts for _ in range(times)]
        keep = (*(tuple(range(n)) for n in kept), (0,))
        result = Slimming(keep, (0.0,) * 12, "", fingerprint({}), "", 197, 1, 1)
        found = model_macs(slimmed(dense, {}, result))
        assert (round(found / 1e6), round(100 * found / model_macs(dense) - 100)) == (int(macs), int(saved))


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--photographs", "nowhere.tar"), 1, "nowhere.tar"),
        (("--preset", "tinier"), 2, "found 'tinier'"),
        (("--count", "0"), 2, "--count"),
    ],
)
def test_slim_refuses_what_it_cannot_use(call, arguments, code, sentence):
    """Nothing is written then."""
    found, error = call(*SLIM, *arguments)
    assert (found, sentence in error) == (code, True), error
    assert not Path("slim").exists()


def test_slimming_and_stages_do_not_go_together(call):
    """A budget at run time and fixed places are two models."""
    options = ("--preset", "small", "--out", "bundle", "--slimming", "x.json", "--reduce-at", "1")
    code, error = call("convert", "source.npz", *options)
    assert code == 2
    assert "--slimming replaces --reduce-at" in error
