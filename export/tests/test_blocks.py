"""Linear layers in panels, the references of the blocks, and graphs made of them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch.nn import functional as F

from coppice_export import parity
from coppice_export.check import CheckError, sample_images, session, used_operators
from coppice_export.config import Attention, Reduction
from coppice_export.float16 import float16_stored
from coppice_export.halves import halved
from coppice_export.model import Flavour, build_model
from coppice_export.operators import attention_block, int8_attention, mlp_block, panels, token_attention
from coppice_export.quantize import activation_ranges, block_limits, int8_dynamic, matrix_layers, quantised_layers
from coppice_export.reductions import Tokens
from coppice_export.reference import Block
from coppice_export.repack import block_attentions, block_layers
from coppice_export.sensitivity import logits, relative_error
from coppice_export.separate import separated

SHAPES = [(1, 1), (16, 4), (17, 5), (40, 27)]


def _weight(columns: int, depth: int) -> np.ndarray:
    return np.random.default_rng(columns).standard_normal((columns, depth)).astype(np.float32)


@pytest.mark.parametrize(("columns", "depth"), SHAPES)
@pytest.mark.parametrize("precision", panels.PRECISIONS)
def test_weight_stands_where_the_contract_says(columns, depth, precision):
    """Panel n / 16 has column n, a depth (or four of them) after the other; what fills a panel is 0."""
    weight = _weight(columns, depth)
    values, scale = panels.packed(weight, precision)
    steps = weight if scale is None else np.rint(weight / scale[:, None])
    assert values.dtype == precision
    assert np.count_nonzero(values) == np.count_nonzero(steps)
    for n in range(columns):
        for k in range(depth):
            found = values[n // 16, k, n % 16] if scale is None else values[n // 16, k // 4, n % 16, k % 4]
            assert found == steps[n, k].astype(precision)


@pytest.mark.parametrize(("columns", "depth"), SHAPES)
def test_int8_weight_is_within_half_a_step(columns, depth):
    """Each column has a scale of its own, at which its largest weight is 127 steps."""
    weight = _weight(columns, depth)
    values, scale = panels.packed(weight, "int8")
    np.testing.assert_allclose(scale, np.abs(weight).max(1) / 127, rtol=1e-6)
    error = np.abs(panels.unpacked(values, columns, depth, scale) - weight)
    assert (error <= (0.5 + 1e-5) * scale[:, None]).all()


def test_column_of_zeros_stays_zero():
    """Nothing to scale by: the scale is 1."""
    values, scale = panels.packed(np.zeros((3, 5), np.float32), "int8")
    assert not values.any()
    assert (scale == 1).all()


@pytest.mark.parametrize(
    "row", [[-3, 0.5, 2], [1, 2, 5], [-4, -1, -2], [0, 0, 0], [1e-30, 0, 0], [7, 7, 7]], ids=lambda row: str(row)
)
def test_activation_is_within_half_a_step_and_zero_is_exact(row):
    """254 steps span a row and 0; padding of 0 adds nothing."""
    x = np.array([[*row, 0]], np.float32)
    steps, unit, zero = (value.astype(np.float64) for value in panels.quantised(x))
    assert np.abs(steps).max() <= 127
    # The zero is rounded to a step as well, so ends may be cut by half a step more.
    assert (np.abs((steps - zero) * unit - x) <= (1 + 1e-5) * unit).all()
    assert ((steps - zero)[x == 0] == 0).all()


def test_given_range_clips_and_has_one_step_for_all_rows():
    """Rows inside keep within half a step, what is beyond becomes an end, and a row with NaN stays one."""
    x = np.array([[-1, 0, 0.3], [2, 9, -7], [0, np.nan, 1], [np.inf, 0, 0]], np.float32)
    steps, unit, zero = (value.astype(np.float64) for value in panels.quantised(x, (-1.0, 2.0)))
    assert unit[:, 0].tolist()[:2] == [float(np.float32(3 / 254))] * 2
    assert np.isnan(unit[2:]).all()
    found = (steps - zero) * unit
    assert np.abs(found[0] - x[0]).max() <= (0.5 + 1e-5) * unit[0]
    # The zero is rounded to a step as well.
    np.testing.assert_allclose(found[1], [2, 2, -1], rtol=0, atol=float(unit[0, 0]))


def test_int8_layer_is_the_product_of_what_the_steps_stand_for():
    """unit scale (sum of products - zero * sum of weights) + bias."""
    x, weight, bias = np.random.default_rng(0).standard_normal((2, 5, 27)), _weight(40, 27), np.arange(40.0)
    values, scale = panels.packed(weight, "int8")
    steps, unit, zero = (value.astype(np.float64) for value in panels.quantised(x))
    expected = (steps - zero) * unit @ panels.unpacked(values, 40, 27, scale).T.astype(np.float64) + bias
    np.testing.assert_allclose(panels.linear(x, values, bias, scale), expected, rtol=0, atol=1e-5)
    assert 1e-3 < np.abs(expected - (x @ weight.T + bias)).max() < 0.5


def _by_slot(block: Block, half: str) -> dict[str, np.ndarray]:
    layers = {"mlp": ("norm2", "fc1", "fc2"), "attention": ("norm1", "qkv", "proj")}[half]
    arrays = {name: array.detach().numpy() for name, array in block.named_parameters()}
    norm, *rest = layers
    slots = {f"norm_{kind}": arrays[f"{norm}.{kind}"] for kind in ("weight", "bias")}
    for layer in rest:
        slots |= {
            layer: panels.packed(arrays[f"{layer}.weight"], "float32")[0],
            f"{layer}_bias": arrays[f"{layer}.bias"],
        }
    return slots


@pytest.mark.parametrize("kind", ["softmax", "linear"])
def test_references_of_both_halves_are_pytorchs_block(tiny, kind):
    """Attention, then MLP, each with its norm and residual sum."""
    config = replace(tiny, attention=(Attention(kind),) * 5, reductions=())
    block = Block(config, 0).double()
    for norm in (block.norm1, block.norm2):
        torch.nn.init.normal_(norm.weight), torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 9, config.width, dtype=torch.float64)
    with torch.inference_mode():
        expected = block(Tokens(x, torch.arange(9).expand(2, -1), None)).x
    first, second = (_by_slot(block, half) for half in ("attention", "mlp"))
    y = attention_block.reference({"x": x.numpy()} | first, config.heads, attention=kind)["y"]
    # Panels hold float32.
    np.testing.assert_allclose(mlp_block.reference({"x": y} | second), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "swiglu"])
def test_activations_are_pytorchs(activation):
    """The hidden layer of an MLP whose matrices change nothing."""
    x, eye = np.random.default_rng(0).standard_normal((1, 7, 8)), np.eye(8, dtype=np.float32)
    columns = np.concatenate([eye, 2 * eye]) if activation == "swiglu" else eye
    arrays = {
        "norm_weight": np.ones(8),
        "norm_bias": np.zeros(8),
        "fc1_bias": np.zeros(len(columns)),
        "fc2_bias": 0 * x[0, 0],
    }
    arrays |= {"fc1": panels.packed(columns, "float32")[0], "fc2": panels.packed(eye, "float32")[0]}
    normed = F.layer_norm(torch.from_numpy(x), (8,), eps=1e-6)
    if activation == "swiglu":
        expected = F.silu(normed) * 2 * normed
    else:
        expected = F.gelu(normed, approximate="tanh" if activation == "gelu_tanh" else "none")
    found = mlp_block.reference({"x": x} | arrays, activation=activation) - x
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_two_factors_are_their_product():
    """fc2_u, then fc2, is the matrix that they make."""
    rng, u, v = np.random.default_rng(0), _weight(7, 40), _weight(24, 7)
    arrays = {"x": rng.standard_normal((1, 3, 24)), "norm_weight": np.ones(24), "norm_bias": np.zeros(24)}
    arrays |= {"fc1": panels.packed(_weight(40, 24), "float32")[0], "fc1_bias": np.zeros(40), "fc2_bias": np.ones(24)}
    factors = {"fc2_u": panels.packed(u, "float32")[0], "fc2": panels.packed(v, "float32")[0]}
    whole = {"fc2": panels.packed(v @ u, "float32")[0]}
    found, expected = (mlp_block.reference(arrays | matrices) for matrices in (factors, whole))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * math.sqrt(40))


@pytest.fixture(scope="module")
def model(tiny, tiny_state):
    return build_model(tiny, tiny_state, Flavour.BLOCKS)


def _arrays(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}


def test_every_block_is_one_operator(model):
    """Five blocks, two reductions, and no product outside but the head's."""
    assert used_operators(model) == {"EncoderBlock": 5}
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMul") == kinds.count("LayerNormalization") - 1 == kinds.count("Softmax") == 0
    layers = [f"blocks.{b}.{part}" for b in range(5) for part in ("qkv", "proj", "fc1", "fc2")]
    assert quantised_layers(model) == [*layers, *(f"blocks.{b}.attention" for b in (1, 3, 4)), "head"]


def test_int8_blocks_hold_rounded_weights_but_for_those_kept(model, tiny_state):
    """Panels and scales of the state's weights; the kept layer is as it was."""
    made = int8_dynamic(model, ["blocks.1.fc2"])
    arrays, before = _arrays(made), _arrays(model)
    for name, layer in block_layers(made).items():
        weight = f"{name}.weight"
        if name == "blocks.1.fc2":
            assert np.array_equal(arrays[weight], before[weight])
            assert len(layer.node.input) <= layer.scale or not layer.node.input[layer.scale]
            continue
        values, scale = panels.packed(tiny_state[weight], "int8")
        assert np.array_equal(arrays[weight], values)
        assert np.array_equal(arrays[layer.node.input[layer.scale]], scale)


def test_int8_blocks_have_softmax_attention_of_bytes_but_for_those_kept(model):
    """Blocks 0 and 2 have linear attention."""
    made = int8_dynamic(model, ["blocks.3.attention"])
    found = {name for name, node in block_attentions(made).items() if b"int8" in (a.s for a in node.attribute)}
    assert found == {"blocks.1.attention", "blocks.4.attention"}


def test_attention_in_bytes_is_near_that_of_floats():
    """Steps of 1/254 of the ranges and of 1/255 of the largest weight; a rule of coarser steps is further away."""
    rng = np.random.default_rng(0)
    qkv, index = rng.standard_normal((2, 50, 3 * 32)), np.array([[0, 7, 9], [3, 4, 5]])
    size = rng.integers(1, 5, (2, 50))
    for score in ("cls", "cls_value_norm", "received"):
        found = int8_attention.reference(qkv, 2, index, size, score=score)
        exact = token_attention.reference(qkv, 2, index, size, score=score)
        for a, b in zip(found, exact):
            assert 0 < np.abs(a - b).max() < 0.03 * np.abs(b).max()


def test_float16_blocks_hold_halves_and_float32_biases(model, tiny_state):
    """Every layer's weights, and behind casts those outside blocks."""
    arrays = _arrays(float16_stored(model))
    assert {arrays[f"{name}.weight"].dtype for name in block_layers(model)} == {np.dtype("float16")}
    assert arrays["blocks.0.fc1.bias"].dtype == arrays["blocks.0.norm1.weight"].dtype == np.float32
    assert arrays["head.weight.float16"].dtype == np.float16


def test_weight_beyond_float16_is_refused(tiny, tiny_state):
    """The sentence names the weight."""
    state = tiny_state | {"blocks.0.fc1.weight": np.full_like(tiny_state["blocks.0.fc1.weight"], 1e5)}
    with pytest.raises(ValueError, match=r"blocks\.0\.fc1\.weight: float16 holds numbers up to 65504, found 100000"):
        float16_stored(build_model(tiny, state, Flavour.BLOCKS))


def _logits(model: onnx.ModelProto, tiny, keep=(9, 4)) -> np.ndarray:
    feeds = [{"image": image, "keep": np.array(keep)} for image in sample_images(tiny, 4)]
    runner = session(model.SerializeToString())
    return np.concatenate([runner.run(["logits"], feed)[0] for feed in feeds])


@pytest.fixture(scope="module")
def feeds(tiny):
    budgets = ([16, 16], [8, 4])
    return [{"image": image, "keep": np.array(budgets[i % 2])} for i, image in enumerate(sample_images(tiny, 4))]


def test_limits_are_the_ranges_of_separate_operators(model, tiny, tiny_state, feeds):
    """What goes into each layer of a graph that was never one of blocks; 0 is among it."""
    separate = build_model(tiny, tiny_state, Flavour.SEPARATE)
    ranges, layers, limits = activation_ranges(separate, feeds), matrix_layers(separate), block_limits(model, feeds)
    assert list(limits) == list(block_layers(model))
    expected = [ranges[layers[name].input[0]] for name in limits]
    expected = [(min(r.low, 0), max(r.high, 0)) for r in expected]
    np.testing.assert_allclose(list(limits.values()), expected, rtol=1e-4)


def test_calibrated_layers_say_their_ranges_but_those_kept(model, feeds):
    """An attribute for each int8 layer; logits move, and those of the pictures that were calibrated with a little."""
    limits = block_limits(model, feeds)
    made = int8_dynamic(model, ["blocks.1.fc2"], limits=limits)
    found = {}
    for name, layer in block_layers(made).items():
        ranges = {a.name: list(a.floats) for a in layer.node.attribute if a.name.endswith("_range")}
        found |= {name: ranges.get(f"{name.rpartition('.')[2]}_range")}
    assert found.pop("blocks.1.fc2") is None
    np.testing.assert_allclose(list(found.values()), [limits[name] for name in found], rtol=1e-6)
    exact, dynamic, static = (logits(graph, feeds) for graph in (model, int8_dynamic(model), made))
    assert 1e-3 < relative_error(static, exact) < 0.1
    assert np.abs(static - dynamic).max() > 1e-3
    # Other pictures are clipped: a tenth of the range is another model.
    narrow = int8_dynamic(model, limits={name: (low / 10, high / 10) for name, (low, high) in limits.items()})
    assert relative_error(logits(narrow, feeds), exact) > 0.2


@pytest.mark.parametrize("attention", ["softmax", "linear", "hallucinated"])
def test_blocks_taken_apart_are_the_graph_of_separate_operators(tiny, random_state, attention):
    """The same logits without blocks, at a budget, with factors of fc2."""
    form = Attention(attention, computed_heads=2, reweight="cos1d" if attention == "linear" else "none")
    config = replace(tiny, attention=(*[form] * 1, *tiny.attention[1:]), fc2_rank=(0, 9, 9, 9, 24))
    state = random_state(config)
    apart = separated(build_model(config, state, Flavour.BLOCKS))
    assert used_operators(apart) == used_operators(build_model(config, state, Flavour.SEPARATE))
    np.testing.assert_allclose(
        _logits(apart, tiny), _logits(build_model(config, state, Flavour.SEPARATE), tiny), rtol=0, atol=1e-4
    )


def test_int8_blocks_taken_apart_keep_their_rounded_weights(tiny, model):
    """As far from the original as int8 weights are, and int8 blocks are as near to them as rounding activations is."""
    made = int8_dynamic(model)
    exact, apart, int8 = (_logits(graph, tiny) for graph in (model, separated(made), made))
    weights, both = np.abs(apart - exact).max(), np.abs(int8 - exact).max()
    assert 1e-3 < weights < 0.1 * np.std(exact)
    assert 1e-3 < both < 0.1 * np.std(exact)
    assert np.abs(int8 - apart).max() < 0.1 * np.std(exact)


def test_blocks_taken_apart_keep_the_names_of_their_layers(tiny, random_state):
    """So `quantize --keep-float blocks.7.fc2` means the same; a constant that several blocks read is there once."""
    places = tuple(range(17))
    config = replace(tiny, reductions=Reduction.at(1, 3, method="static", places=places), fc2_rank=(9,) * 5)
    model = build_model(config, random_state(config), Flavour.BLOCKS)
    apart = separated(model)
    assert sorted(matrix_layers(apart)) == sorted([*block_layers(model), "head"])
    names = [array.name for array in apart.graph.initializer]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int8 with limits"])
def test_every_block_equals_its_reference(tiny, model, precision, feeds):
    """Alone, on random tokens; far enough from 0 that the comparison is one."""
    limits = block_limits(model, feeds) if precision == "int8 with limits" else {}
    made = {"float32": lambda m: m, "float16": float16_stored}.get(precision, partial(int8_dynamic, limits=limits))(
        model
    )
    assert 0 < parity.check_blocks(made, tiny.tokens) < 1e-3


def test_wrong_range_is_refused_by_its_block(tiny, model, feeds, monkeypatch):
    """The twin: a reference that leaves ranges out."""
    right = mlp_block.reference
    monkeypatch.setattr(mlp_block, "reference", lambda inputs, epsilon, **ranges: right(inputs, epsilon))
    with pytest.raises(CheckError, match=r"EncoderBlock_\d+/MlpBlock: differs from its reference"):
        parity.check_blocks(int8_dynamic(model, limits=block_limits(model, feeds)), tiny.tokens)


@pytest.mark.parametrize("operator", ["MlpBlock", "AttentionBlock"])
def test_wrong_block_is_refused_by_its_name(tiny, model, operator, monkeypatch):
    """A norm with another epsilon than the graph says."""
    module = {"MlpBlock": mlp_block, "AttentionBlock": attention_block}[operator]
    right = module.reference
    monkeypatch.setattr(module, "reference", lambda inputs, **options: right(inputs, **options | {"epsilon": 1e-2}))
    with pytest.raises(
        CheckError, match=rf"EncoderBlock_\d+/{operator}: differs from its reference by 0\.00\d+ of what it adds"
    ):
        parity.check_blocks(model, tiny.tokens)


@pytest.mark.parametrize(
    ("method", "operator"),
    [
        ("top_k", "TopKTokens"),
        ("sample", "SampleTokens"),
        ("merge", "MergeTokens"),
        ("prune_merge", "PruneMergeTokens"),
    ],
)
def test_whole_blocks_are_their_operators_to_the_last_bit(tiny, random_state, method, operator):
    """Halves with the selection between them give the same logits, at several budgets."""
    config = replace(tiny, reductions=Reduction.at(1, 3, method=method))
    whole = build_model(config, random_state(config), Flavour.BLOCKS)
    apart = halved(whole)
    assert used_operators(whole) == {"EncoderBlock": 5}
    found = used_operators(apart)
    assert (found["AttentionBlock"], found["MlpBlock"], found[operator]) == (5, 5, 2)
    for keep in ((12, 8), (9, 5), (tiny.patches, tiny.patches)):
        np.testing.assert_array_equal(_logits(whole, tiny, keep), _logits(apart, tiny, keep))


def test_sizes_that_are_counted_but_do_not_weigh_keep_the_halves(tiny, random_state):
    """The whole block has one input for both."""
    config = replace(tiny, reductions=Reduction.at(1, 3, method="merge", proportional=False))
    found = used_operators(build_model(config, random_state(config), Flavour.BLOCKS))
    assert found == {"AttentionBlock": 1, "EncoderBlock": 4, "MergeTokens": 1, "MlpBlock": 1}


def test_whole_block_that_is_not_its_operators_is_refused(tiny, model, monkeypatch):
    """The second half's norm with another epsilon."""
    right = parity.operators_of

    def wrong(node):
        *nodes, last = right(node)
        del last.attribute[:]
        last.attribute.append(onnx.helper.make_attribute("epsilon", 1e-2))
        return [*nodes, last]

    monkeypatch.setattr(parity, "operators_of", wrong)
    with pytest.raises(CheckError, match=r"EncoderBlock_\d+: differs from its operators, one after the other"):
        parity.check_blocks(model, tiny.tokens)


def test_calibrated_whole_blocks_are_their_operators(tiny, model):
    """The ranges of both halves go with them."""
    made = int8_dynamic(model)
    node = next(node for node in made.graph.node if node.op_type == "EncoderBlock")
    for layer in ("qkv", "fc1"):
        node.attribute.append(onnx.helper.make_attribute(f"{layer}_range", [-0.5, 0.5]))
    assert np.abs(_logits(made, tiny) - _logits(int8_dynamic(model), tiny)).max() > 0
    np.testing.assert_array_equal(_logits(made, tiny), _logits(halved(made), tiny))
