"""ONNX graphs of ViTs as exporters write them: what is recognised, what it computes, and what is refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from timm.layers import set_fused_attn

from coppice_export.check import sample_images, session
from coppice_export.checkpoint import SourceError
from coppice_export.config import Preprocessing, Reduction
from coppice_export.model import build_model
from coppice_export.sources import Source, open_source

from .test_architectures import CASES, CONFIG, Case, timm_model

SPELLINGS = [(17, True), (17, False), (20, True), (20, False)]


def _export(model: torch.nn.Module, path: Path, opset: int = 20, dynamic: bool = False) -> Path:
    axes = {"image": {0: "batch"}} if dynamic else None
    with warnings.catch_warnings():  # the exporter calls itself old
        warnings.simplefilter("ignore")
        torch.onnx.export(
            *(model, torch.zeros(1, 3, 32, 32), path),
            **{"opset_version": opset, "dynamo": False, "input_names": ["image"], "dynamic_axes": axes},
        )
    return path


def _difference(source: Source, path: Path) -> float:
    """Our graph against the file, in ONNX Runtime; the largest difference of logits that are not all alike."""
    original = onnxruntime.InferenceSession(path)
    ours = session(build_model(source.config, source.state).SerializeToString())
    image = sample_images(source.config, 1)[0]
    expected = original.run(None, {original.get_inputs()[0].name: image})[0]
    assert np.ptp(expected) > 0.5
    return float(np.abs(ours.run(["logits"], {"image": image})[0] - expected).max())


@pytest.mark.parametrize("name", CASES)
def test_every_architecture_is_read_from_its_graph(name, tmp_path):
    """Configuration and logits of all that state dicts may be, also of what their shapes do not tell."""
    path = _export(timm_model(CASES[name]), tmp_path / "w.onnx")
    source = open_source(path)
    changes = CASES[name].ours
    assert source.config == replace(CONFIG, name="w", preprocessing=Preprocessing(32, 32), **changes)
    assert _difference(source, path) <= 1e-4


@pytest.mark.parametrize("dynamic", [False, True], ids=["one-picture", "any-batch"])
@pytest.mark.parametrize(("opset", "fused"), SPELLINGS, ids=str)
def test_every_spelling_of_attention_is_recognised(opset, fused, dynamic, tmp_path):
    """Scaled dot products and plain products, GELU whole and in pieces, fixed and free batch."""
    set_fused_attn(fused)
    try:
        path = _export(timm_model(CASES["dinov2"]), tmp_path / "w.onnx", opset, dynamic)
    finally:
        set_fused_attn(True)
    source = open_source(path)
    assert (source.config.heads, source.config.prefix_tokens) == (2, 5)
    assert _difference(source, path) <= 1e-4


@pytest.mark.parametrize("pooling", ["class", "class_distilled", "mean", "class_mean"])
def test_stock_graph_of_this_project_comes_back(pooling, random_state, tmp_path):
    """Packed Attention, MultiHeadAttention and a last block of the rows that are read."""
    config = replace(CONFIG, name="w", preprocessing=Preprocessing(32, 32), prefix_tokens=2, pooling=pooling)
    path = tmp_path / "w.onnx"
    onnx.save(build_model(config, random_state(config), "stock"), path)
    source = open_source(path)
    assert source.config == config
    assert _difference(source, path) <= 1e-4


def test_weights_are_those_of_the_file(tmp_path):
    """Matrices come back as they were; the head, read by probing, to float32's last digits."""
    model = timm_model(CASES["class-token"])
    state, expected = open_source(_export(model, tmp_path / "w.onnx")).state, model.state_dict()
    assert all(array.flags.writeable for array in state.values())  # PyTorch warns of others
    for name in ("attn.qkv.weight", "attn.proj.bias", "mlp.fc1.weight", "norm2.weight"):
        ours = name.removeprefix("attn.").removeprefix("mlp.")
        np.testing.assert_array_equal(state[f"blocks.1.{ours}"], expected[f"blocks.1.{name}"])
    np.testing.assert_allclose(state["head.weight"], expected["head.weight"], rtol=1e-5, atol=1e-6)


class _Separate(torch.nn.Module):
    """Attention as Hugging Face writes it: three projections, in an order of their own."""

    def __init__(self, attention: torch.nn.Module):
        super().__init__()
        self.heads, self.proj, self.layers = attention.num_heads, attention.proj, torch.nn.ModuleList()
        for weight, bias in zip(attention.qkv.weight.chunk(3), attention.qkv.bias.chunk(3)):
            layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight, layer.bias = torch.nn.Parameter(weight.clone()), torch.nn.Parameter(bias.clone())
            self.layers.append(layer)

    def forward(self, x, attn_mask=None, is_causal=False):
        def split(y):
            return y.view(y.shape[0], -1, self.heads, y.shape[2] // self.heads).transpose(1, 2)

        k, v, q = (split(self.layers[i](x)) for i in (1, 2, 0))
        y = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1) @ v
        return self.proj(y.transpose(1, 2).flatten(2))


def test_separate_projections_are_joined(tmp_path):
    """Which projection is which follows from what the block computes."""
    model = timm_model(CASES["class-token"])
    expected = model.state_dict()["blocks.0.attn.qkv.weight"].clone()
    for block in model.blocks:
        block.attn = _Separate(block.attn)
    source = open_source(_export(model, tmp_path / "w.onnx"))
    np.testing.assert_array_equal(source.state["blocks.0.qkv.weight"], expected)


def test_graph_tells_heads_and_timm_the_preprocessing(tmp_path):
    """A name completes what no graph has; heads that contradict the graph are refused."""
    path = _export(timm_model(CASES["class-token"]), tmp_path / "w.onnx")
    config = open_source(path, model="vit_tiny_patch16_224", size=32).config
    assert (config.name, config.heads, config.preprocessing) == ("w", 2, Preprocessing(35, 32))
    with pytest.raises(SourceError, match="has 2 heads, not 4; leave out --heads"):
        open_source(path, heads=4)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return _export(timm_model(CASES["class-token"]), tmp_path_factory.mktemp("onnx") / "plain.onnx")


def _variant(**arguments):
    """Another timm model, exported."""

    def write(_, path):
        _export(timm_model(Case(arguments)), path)

    return write


def _edited(change):
    """The plain graph with a change."""

    def write(plain, path):
        model = onnx.load(plain)
        change(model)
        onnx.save(model, path)

    return write


def _softmax_at_the_end(model):
    logits = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Softmax", [logits], ["share"], name="final_softmax"))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("share", TensorProto.FLOAT, [1, 7]))


def _other_scale(model):
    """Attention twice as sharp in the second block."""
    soft = [node for node in model.graph.node if node.op_type == "Softmax"][1]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(2), "two"))
    index = list(model.graph.node).index(soft)
    model.graph.node.insert(index, helper.make_node("Mul", [soft.input[0], "two"], ["sharp"], name="sharpened"))
    soft.input[0] = "sharp"


def _post_norm(model):
    """The second norm reads another block's sum."""
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    norms[3].input[0] = norms[2].input[0]


def _opset(version):
    def change(model):
        model.opset_import[0].version = version

    return change


def _operator(model):
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    node = next(node for node in model.graph.node if node.op_type == "Gelu")
    node.op_type, node.domain = "FancyGelu", "com.example"


def _free_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def _half(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def _second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("keep", TensorProto.INT64, [3]))


def _other_epsilon(model):
    norm = [node for node in model.graph.node if node.op_type == "LayerNormalization"][-1]
    next(a for a in norm.attribute if a.name == "epsilon").f = 0.25


def _external(plain, path):
    onnx.save(onnx.load(plain), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (path.parent / "weights.bin").unlink()


REFUSED = {
    "tanh-gelu": (_variant(act_layer="gelu_tanh"), r"node .*: expected GELU with the error function"),
    "silu": (_variant(act_layer=torch.nn.SiLU), r"node .*: expected GELU"),
    "normed-queries": (_variant(qk_norm=True), r"node .*: expected softmax attention"),
    "norm-before-the-blocks": (_variant(pre_norm=True), r"expected a LayerNormalization before every .* found 8"),
    "normed-attention": (_variant(scale_attn_norm=True), r"found 10"),
    "maximum": (_variant(global_pool="max"), r"node .*: expected the norm of all tokens, of the first, or of the mean"),
    "sharp-attention": (_edited(_other_scale), r"node .*: expected softmax attention of 2 heads"),
    "other-sum": (_edited(_post_norm), r"node .*: expected"),
    "softmax-at-the-end": (_edited(_softmax_at_the_end), r"node 'final_softmax' \(Softmax\): expected a linear head"),
    "two-epsilons": (_edited(_other_epsilon), r"node .*: expected the same epsilon in all norms"),
    "opset-too-new": (_edited(_opset(99)), r"ONNX Runtime 1.29.0 cannot run it .*99.*; export it with opset 20"),
    "operator-unknown": (_edited(_operator), r"ONNX Runtime 1.29.0 cannot run it .*FancyGelu"),
    "any-height": (
        _edited(_free_size),
        r"expected an input .* of a fixed size, found \[1, 3, height, 32\]",
    ),
    "half-precision": (_edited(_half), "expected one float32 picture in and one output, found image"),
    "two-inputs": (_edited(_second_input), "expected one float32 picture in and one output, found image, keep"),
    "external-data-missing": (_external, "not a readable ONNX graph .*weights.bin"),
    "text": (lambda _, path: path.write_text("no graph"), "not a readable ONNX graph"),
    "empty": (lambda _, path: path.write_bytes(b""), "expected one float32 picture in and one output"),
}


@pytest.mark.parametrize(("write", "sentence"), REFUSED.values(), ids=REFUSED)
def test_graph_that_is_not_recognised_is_refused(plain, write, sentence, tmp_path):
    """One sentence with the file, the node where there is one, and what was expected there."""
    path = tmp_path / "w.onnx"
    write(plain, path)
    with pytest.raises(SourceError, match=sentence) as refusal:
        open_source(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_graph_that_reduces_already_is_refused(random_state, tmp_path):
    """A graph of this project with stages has its operators inside."""
    config = replace(CONFIG, reductions=Reduction.at(1))
    onnx.save(build_model(config, random_state(config), "stock"), tmp_path / "w.onnx")
    with pytest.raises(SourceError, match="found image, keep, kept_0, logits"):
        open_source(tmp_path / "w.onnx")


def test_what_is_recognised_but_computes_otherwise_is_refused(plain, tmp_path, monkeypatch):
    """The last word has the comparison of logits: a misread weight does not get through."""
    from coppice_export import rewrite

    read = rewrite._Reader.read

    def misread(self, name):
        arrays, facts = read(self, name)
        arrays["blocks.1.fc1.bias"] = arrays["blocks.1.fc1.bias"] + 0.01
        return arrays, facts

    monkeypatch.setattr(rewrite._Reader, "read", misread)
    with pytest.raises(SourceError, match="what was recognised gives logits that differ by"):
        open_source(plain)


def test_blocks_of_vit_tiny_are_read_from_their_graph(tmp_path):
    """A real size: 3 heads of 64, 197 tokens."""
    model = timm.create_model("vit_tiny_patch16_224", num_classes=20, depth=3).eval()
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "w.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.zeros(1, 3, 224, 224), path, opset_version=17, dynamo=False)
    source = open_source(path)
    assert (source.config.heads, source.config.tokens) == (3, 197)
    assert _difference(source, path) <= 1e-4
