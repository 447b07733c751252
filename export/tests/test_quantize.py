"""int8 and float16 forms of a model: what is quantised, what it costs, and what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from PIL import Image

from coppice_export.bundle import write_bundle
from coppice_export.bundle_files import read_bundle
from coppice_export.check import ops_library, sample_images, session
from coppice_export.config import Conv
from coppice_export.float16 import float16_computed, float16_stored
from coppice_export.model import Flavour, build_model
from coppice_export.quantize import activation_ranges, int8_dynamic, int8_static, matrix_layers, quantised_layers
from coppice_export.repack import block_layers
from coppice_export.sensitivity import LayerError, layer_errors, logits, relative_error, worst_layers


@pytest.fixture(scope="module")
def model(tiny, tiny_state):
    return build_model(tiny, tiny_state, Flavour.SEPARATE)


@pytest.fixture(scope="module")
def feeds(tiny):
    budgets = ([16, 16], [8, 4])
    return [{"image": image, "keep": np.array(budgets[i % 2])} for i, image in enumerate(sample_images(tiny, 8))]


@pytest.fixture(scope="module")
def ranges(model, feeds):
    return activation_ranges(model, feeds)


def _forms(model, ranges, keep_float=()):
    return {"dynamic": int8_dynamic(model, keep_float), "static": int8_static(model, ranges, keep_float)}


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_head_stays_float_where_it_is_kept(model, ranges, form):
    """The quantiser renames it on the way, as it is a Gemm; its weight is as it was."""
    arrays = {a.name: numpy_helper.to_array(a) for a in _forms(model, ranges, ["head"])[form].graph.initializer}
    weight = {a.name: numpy_helper.to_array(a) for a in model.graph.initializer}["head.weight"]
    assert any(array.dtype == np.float32 and array.size == weight.size for array in arrays.values())
    assert "head.weight_quantized" not in arrays


def _optimised(model, folder) -> onnx.GraphProto:
    """The graph that ONNX Runtime runs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 4, str(folder / "optimised.onnx")
    options.register_custom_ops_library(str(ops_library()))
    onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx").graph


def test_layers_are_the_products_with_constant_matrices(model):
    """Four in each of five blocks, and the head; not the products inside attention."""
    names = [f"blocks.{b}.{part}" for b in range(5) for part in ("qkv", "proj", "fc1", "fc2")]
    assert list(matrix_layers(model)) == [*names, "head"]


def test_ranges_are_those_of_the_activations(model, feeds, ranges):
    """Least and greatest value over all inputs, from a graph that gives one activation out."""
    name = matrix_layers(model)["blocks.3.fc2"].input[0]
    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    wider.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    runner = session(wider.SerializeToString())
    values = [runner.run([name], feed)[0] for feed in feeds]
    # Other outputs let ONNX Runtime fuse other nodes: the sums differ in the last bits.
    assert ranges[name].low == pytest.approx(min(v.min() for v in values), rel=1e-5)
    assert ranges[name].high == pytest.approx(max(v.max() for v in values), rel=1e-5)
    assert ranges[name].axes == 3


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_logits_move_a_little(model, feeds, ranges, form):
    """Closer than a tenth of their spread, yet not equal: the products are int8 indeed."""
    error = relative_error(logits(_forms(model, ranges)[form], feeds), logits(model, feeds))
    assert 1e-4 < error < 0.1


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_every_product_runs_in_int8_and_none_kept(model, ranges, form, tmp_path):
    """Of 20 products in blocks, 19 run as int8 once one is kept; no cast, and no product in float but the kept ones."""
    graph = _optimised(_forms(model, ranges, ["blocks.1.fc2"])[form], tmp_path)
    kinds = [node.op_type for node in graph.node]
    int8 = {"dynamic": "DynamicQuantizeMatMul", "static": "MatMulIntegerToFloat"}[form]
    head = int(form == "dynamic")  # the static head stays in float32
    assert kinds.count(int8) == 19 + head
    assert kinds.count("MatMul") + kinds.count("Gemm") == 2 - head
    assert kinds.count("Cast") == 0
    assert kinds.count("DequantizeLinear") == 0


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_same_inputs_give_the_same_graph(model, ranges, form):
    """Byte for byte."""
    first, second = (_forms(model, ranges)[form].SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_weights_have_a_scale_for_each_column(model, tiny_state):
    """scale = largest absolute weight of the column / 127, and the rounded weight is within half a step."""
    arrays = {a.name: numpy_helper.to_array(a) for a in int8_dynamic(model).graph.initializer}
    weight, scale = tiny_state["blocks.0.fc1.weight"].T, arrays["blocks.0.fc1.weight_scale"]
    np.testing.assert_allclose(scale, np.abs(weight).max(0) / 127, rtol=1e-2)
    steps = arrays["blocks.0.fc1.weight_quantized"].astype(np.float64)
    # Half a step, and float32's rounding of the quotient.
    assert np.abs(steps * scale - weight).max() <= (0.5 + 1e-4) * scale.max()


def test_reduced_range_leaves_a_bit_free(model):
    """No weight beyond 64: pairs of products with uint8 stay within int16."""
    arrays = {a.name: numpy_helper.to_array(a) for a in int8_dynamic(model, reduce_range=True).graph.initializer}
    quantised = [np.abs(a.astype(int)).max() for name, a in arrays.items() if name.endswith("weight_quantized")]
    assert max(quantised) <= 64
    assert 2 * 64 * 255 < 2**15


@pytest.mark.parametrize("flavour", [Flavour.BLOCKS, Flavour.SEPARATE])
def test_layer_with_an_outlier_costs_most(tiny, tiny_state, feeds, flavour):
    """One input of a layer made a thousand times as large takes the steps of all the others."""
    state = {name: array.copy() for name, array in tiny_state.items()}
    state["blocks.2.norm2.weight"][0] *= 1000
    state["blocks.2.fc1.weight"][:, 0] /= 1000
    spoilt = build_model(tiny, state, flavour)
    errors = list(layer_errors(spoilt, int8_dynamic, quantised_layers(spoilt), feeds[:4]))
    by_name = {e.layer: e for e in errors}
    assert worst_layers(errors, 1) == ["blocks.2.fc1"]
    assert "blocks.2.fc1" in worst_layers(errors)
    assert min(errors, key=lambda e: e.without).layer == "blocks.2.fc1"
    assert by_name["blocks.2.fc1"].alone > 3 * by_name["blocks.0.fc1"].alone


def test_worst_layers_are_those_with_over_a_tenth_of_the_squares():
    """4 + 8 * 1 squares of 0.1: the first has a third, the others a twelfth each."""
    errors = [LayerError("a", 0.2, 0.0), *(LayerError(c, 0.1, 0.0) for c in "bcdefghi")]
    assert worst_layers(errors) == ["a"]
    assert worst_layers(errors, 0) == []


def test_patches_that_tile_are_bytes_and_only_their_weights_are_rounded(tiny, random_state):
    """Pictures of whole pixels give what a convolution with the rounded weights gives."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    preprocessing = replace(tiny.preprocessing, mean=mean, std=std)
    config = replace(tiny, stem=(Conv(24, 8, 8),), preprocessing=preprocessing)
    state, pixels = random_state(config), np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32))
    weight = state["stem.0.conv.weight"] / np.array(std, np.float32)[:, None, None]
    step = np.abs(weight).max((1, 2, 3), keepdims=True) / 127
    rounded = (np.rint(weight / step) * step * np.array(std)[:, None, None]).astype(np.float32)
    image = ((pixels / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))).astype(np.float32)
    feeds = [{"image": image, "keep": np.array([9, 4])}]
    plain = build_model(config, state, Flavour.SEPARATE)
    kept = list(matrix_layers(plain))
    made = int8_dynamic(plain, kept, preprocessing=preprocessing)
    assert [node.op_type for node in made.graph.node].count("Conv") == 0
    expected = logits(build_model(config, state | {"stem.0.conv.weight": rounded}), feeds)
    np.testing.assert_allclose(logits(made, feeds), expected, rtol=0, atol=1e-4)
    assert np.abs(expected - logits(plain, feeds)).max() > 1e-3
    whole = int8_dynamic(plain, [*kept, "stem.0"], preprocessing=preprocessing)
    assert [node.op_type for node in whole.graph.node].count("Conv") == 1


def test_stored_float16_is_half_as_large_and_folded_on_opening(model, feeds, tmp_path):
    """No cast is left when it runs, and the logits move by float16's rounding of the weights."""
    stored = float16_stored(model)
    assert len(stored.SerializeToString()) < 0.6 * len(model.SerializeToString())
    assert "Cast" not in [node.op_type for node in _optimised(stored, tmp_path).node]
    # 2**-11 is float16's rounding; errors of 21 layers add up in squares, and norms stretch them at most a few times.
    assert 0 < relative_error(logits(stored, feeds), logits(model, feeds)) < 2**-11 * np.sqrt(21) * 4


def test_computed_float16_takes_our_operators_along(model, feeds):
    """The operators take and give float16; image and logits stay float32."""
    computed = float16_computed(model)
    types = {value.name: value.type.tensor_type.elem_type for value in (*computed.graph.input, *computed.graph.output)}
    assert (types["image"], types["logits"]) == (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT)
    assert [node.op_type for node in computed.graph.node].count("Cast") == 2
    assert 0 < relative_error(logits(computed, feeds), logits(model, feeds)) < 2**-11 * 100


def test_weight_beyond_float16_is_refused(tiny, tiny_state):
    """The sentence names the weight."""
    state = tiny_state | {"blocks.0.fc1.weight": np.full_like(tiny_state["blocks.0.fc1.weight"], 1e5)}
    with pytest.raises(ValueError, match=r"blocks\.0\.fc1\.weight: float16 holds numbers up to 65504, found 100000"):
        float16_stored(build_model(tiny, state))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Twenty pictures of smooth noise in folders named after two of the ten labels."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for number in range(20):
        path = folder / f"label {number % 2}" / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((40, 40), Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture(scope="module")
def source(tiny, tiny_state, tiny_spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "tiny"
    write_bundle(folder, tiny, tiny_state, tiny_spec)
    return folder


@pytest.fixture
def call(call, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return call


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static", "float16", "float16-compute"])
def test_quantised_bundle_says_its_precision_and_reproduces_its_golden_cases(
    call, source, photographs, precision, tmp_path
):
    """Manifest, card, ladder without the old graph's accuracy, and golden logits of the new graph."""
    options = ("--worst", 0) if precision.startswith("int8") else ()
    code, error = call(
        *("quantize", source, "--out", "made", "--precision", precision, "--photographs", photographs, *options)
    )
    assert code == 0, error
    made = read_bundle(tmp_path / "made")
    assert (made.precision, made.name) == (precision, f"tiny-{precision} 1.2.3")
    assert [rung.get("top1") for rung in made.manifest["ladder"]] == [None, None]
    assert "accuracy" not in made.manifest
    card = (tmp_path / "made" / "README.md").read_text()
    assert f"| precision | {precision} |" in card
    assert "tiny 1.2.3 (float32) is the bundle that this one was made from" in card
    runner = session(made.model)
    for case in made.manifest["golden"]:
        image = np.fromfile(made.folder / case / "input.bin", "<f4").reshape(3, 32, 32)
        keep = tuple(json.loads((made.folder / case / "case.json").read_text())["keep"])
        (found,) = runner.run(["logits"], made.feeds(image, keep))
        np.testing.assert_allclose(found[0], np.fromfile(made.folder / case / "logits.bin", "<f4"), rtol=0, atol=1e-5)


def test_golden_case_of_int8_holds_with_other_sums(call, source, photographs, tmp_path):
    """The scalar bodies of our operators sum in another order: the logits stay within the case's tolerance."""
    assert call("quantize", source, "--out", "made", "--photographs", photographs, "--worst", 0)[0] == 0
    program = (
        "import json, sys, numpy as np\nfrom pathlib import Path\n"
        "from coppice_export.bundle_files import read_bundle\nfrom coppice_export.check import session\n"
        "made = read_bundle(Path(sys.argv[1]))\nrunner = session(made.model)\n"
        "for case in made.manifest['golden']:\n"
        "    stored = json.loads((made.folder / case / 'case.json').read_text())\n"
        "    image = np.fromfile(made.folder / case / 'input.bin', '<f4').reshape(3, 32, 32)\n"
        "    found = runner.run(['logits'], made.feeds(image, tuple(stored['keep'])))[0]\n"
        "    expected = np.fromfile(made.folder / case / 'logits.bin', '<f4')\n"
        "    assert np.abs(found - expected).max() <= stored['tolerance'], case\n"
    )
    environment = os.environ | {"COPPICE_ISA": "scalar", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, tmp_path / "made"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_quantize_reports_layers_rungs_and_accuracy(call, source, photographs, tmp_path):
    """The table of layers, the error at each rung, and top-1 on photographs of known class in the new ladder."""
    code, error = call(
        *("quantize", source, "--out", "made", "--photographs", photographs, "--validation", photographs),
        *("--sensitivity", "--worst", 2, "--keep-float", "blocks.2.qkv", "--name", "small", "--version", "3.0.0"),
    )
    assert code == 0, error
    assert error.count("stays float32") == 3
    assert "in float32: the stem, blocks.2.qkv, " in error
    assert "against float32 on 20 photographs" in error
    manifest = read_bundle(tmp_path / "made").manifest
    assert (manifest["name"], manifest["version"]) == ("small", "3.0.0")
    assert all(0 <= rung["top1"] <= 100 for rung in manifest["ladder"])
    assert manifest["accuracy"] == {"data": f"{photographs.name} (20 photographs)", "metric": "top1"}


def test_blocks_that_one_range_would_spoil_are_quantised_by_token(call, source, photographs, tmp_path):
    """The two worst layers are int8 without a range, the named one is float32, all others have one."""
    code, error = call(
        *("quantize", source, "--out", "made", "--photographs", photographs, "--precision", "int8-static"),
        *("--sensitivity", "--worst", 2, "--keep-float", "blocks.2.qkv"),
    )
    assert code == 0, error
    (by_token,) = (line.split(", ") for line in re.findall("by token: (.*)", error))
    (kept,) = (line.split(", ") for line in re.findall("in float32: the stem, (.*)", error))
    assert len(by_token) + len(kept) == 3
    assert set(kept) <= {"blocks.2.qkv", "head"}  # the head has no range to lose
    model = onnx.load(read_bundle(tmp_path / "made").model)
    layers, types = block_layers(model), {array.name: array.data_type for array in model.graph.initializer}
    ranges = {}
    for name, layer in layers.items():
        slot = name.rpartition(".")[2]
        ranges[name] = f"{slot}_range" in {attribute.name for attribute in layer.node.attribute}
    assert {name for name, found in ranges.items() if not found} == {*by_token, "blocks.2.qkv"}
    assert {name for name in layers if types[f"{name}.weight"] != onnx.TensorProto.INT8} == {"blocks.2.qkv"}


def _one_image_many_times(folder):
    folder.mkdir()
    for number in range(20):
        Image.fromarray(np.full((40, 40, 3), 99, np.uint8)).save(folder / f"{number}.png")
    return folder


REFUSALS = {
    "one-image": (
        lambda tmp: ("--photographs", _one_image_many_times(tmp / "same")),
        "expected at least 16 different photographs, found 1",
    ),
    "no-photographs": (lambda tmp: (), "give --photographs"),
    "unknown-layer": (
        lambda tmp: ("--keep-float", "blocks.9.fc1"),
        r"no layer blocks\.9\.fc1; it has blocks\.0\.qkv, ",
    ),
    "bad-name": (lambda tmp: ("--worst", 0, "--name", "A B"), "name must match"),
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_refused_quantisation_writes_nothing(call, source, photographs, tmp_path, arguments, sentence):
    """One sentence on the last line, exit code 1, no folder."""
    given = arguments(tmp_path)
    if "--photographs" not in given and sentence != "give --photographs":
        given = (*given, "--photographs", photographs)
    code, error = call("quantize", source, "--out", "made", *given)
    assert code == 1
    assert re.search(rf"coppice-export: .*{sentence}.*\n\Z", error), error
    assert not [p for p in tmp_path.iterdir() if "made" in p.name]


def test_quantised_bundle_is_not_quantised_again(call, source, photographs, tmp_path):
    """Errors would add up unseen."""
    assert call("quantize", source, "--out", "made", "--precision", "float16", "--photographs", photographs)[0] == 0
    code, error = call("quantize", "made", "--out", "again", "--photographs", photographs)
    assert (code, error) == (
        1,
        "coppice-export: made: expected precision float32, found float16; give the original bundle.\n",
    )
