"""The exported graph: what it declares, what it computes at each budget, and in which operators."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from coppice_export.check import ops_library, sample_images, session, used_operators
from coppice_export.config import FINE, MINI, MINI_SOFTMAX, VIT_TINY, Reduction
from coppice_export.graph import Graph
from coppice_export.model import Flavour, build_model
from coppice_export.reference import VisionTransformer

BUDGETS = [(16, 16), (15, 14), (8, 4), (5, 5), (1, 1)]


def _torch_model(config, state) -> VisionTransformer:
    model = VisionTransformer(config)
    missing, strange = model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    assert not strange
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return model.eval()


def _run(config, state, image, keep, flavour="separate") -> list[np.ndarray]:
    """Logits and the kept positions of both stages."""
    runner = session(build_model(config, state, flavour).SerializeToString())
    return runner.run(["logits", "kept_0", "kept_1"], {"image": image, "keep": np.array(keep, np.int64)})


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("keep", BUDGETS, ids=str)
def test_graph_equals_pytorch(tiny, tiny_state, keep, flavour):
    """Logits and kept positions are those of PyTorch at every budget, in our operators and in stock ones."""
    image = sample_images(tiny, 1)[0]
    logits, *kept = _run(tiny, tiny_state, image, keep, flavour)
    model = _torch_model(tiny, tiny_state)
    with torch.inference_mode():
        feature, positions = model.features(torch.from_numpy(image), keep)
        np.testing.assert_allclose(logits, model.head(feature), rtol=0, atol=1e-4)
    for found, expected in zip(kept, positions, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("config", "keep"),
    [(MINI, (100, 100)), (MINI, (70, 49)), (MINI, (30, 9)), (FINE, (1024, 1024)), (FINE, (700, 400))],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_shipped_architecture_with_random_weights_equals_pytorch(random_state, config, keep):
    """The architectures of the shipped bundles equal PyTorch whatever their weights are."""
    state, image = random_state(config, 5), sample_images(config, 1)[0]
    with torch.inference_mode():
        expected = _torch_model(config, state)(torch.from_numpy(image), keep)
    np.testing.assert_allclose(_run(config, state, image, keep)[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("reduce_at", [(), (4,), (0, 4), (1, 3)], ids=str)
def test_reductions_may_stand_in_any_softmax_block(tiny, random_state, reduce_at):
    """Without a stage, with one in the first and in the last block, the graph equals PyTorch."""
    softmax_first = (tiny.attention[1], *tiny.attention[1:])
    config = replace(tiny, reductions=Reduction.at(*reduce_at), attention=softmax_first)
    state, image, keep = random_state(config), sample_images(config, 1)[0], (9, 4)[: len(reduce_at)]
    runner = session(build_model(config, state).SerializeToString())
    feeds = {"image": image} | ({"keep": np.array(keep, np.int64)} if keep else {})
    with torch.inference_mode():
        expected = _torch_model(config, state)(torch.from_numpy(image), keep)
    np.testing.assert_allclose(runner.run(["logits"], feeds)[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("keep", [(16, 16), (8, 4), (1, 1)], ids=str)
def test_fused_token_equals_pytorch_and_is_not_listed(tiny, random_state, keep):
    """With fusing, the logits are those of PyTorch; `kept` lists the kept tokens alone."""
    config = replace(tiny, reductions=Reduction.at(1, 3, fuse="mean"), attention=(tiny.attention[1],) * 5)
    state, image = random_state(config), sample_images(config, 1)[0]
    logits, first, _ = _run(config, state, image, keep)
    model = _torch_model(config, state)
    with torch.inference_mode():
        feature, _ = model.features(torch.from_numpy(image), keep)
        np.testing.assert_allclose(logits, model.head(feature), rtol=0, atol=1e-4)
    assert len(first[0]) == 1 + keep[0]
    assert first.min() == 0


def test_budget_at_run_time_decides_what_is_kept(tiny, tiny_state):
    """One session keeps 1 + K tokens for each K it is given; a smaller K keeps a part of a larger one's."""
    runner, image = session(build_model(tiny, tiny_state).SerializeToString()), sample_images(tiny, 1)[0]
    kept = [runner.run(["kept_0"], {"image": image, "keep": np.array([k, 1])})[0][0].tolist() for k in range(1, 17)]
    assert [len(positions) for positions in kept] == list(range(2, 18))
    assert all(set(few) < set(many) for few, many in pairwise(kept))


def test_positions_are_those_of_the_full_grid(tiny, tiny_state):
    """The second stage's positions are some of the first stage's: ascending, the class token first."""
    _, first, second = _run(tiny, tiny_state, sample_images(tiny, 1)[0], (8, 4))
    assert set(second[0]) <= set(first[0]) <= set(range(17))
    assert second[0].tolist() == sorted(second[0])
    assert second[0, 0] == 0


def test_budget_beyond_the_incoming_tokens_is_refused_with_the_numbers(tiny, tiny_state):
    """The second stage cannot keep more than the first has left."""
    with pytest.raises(Exception, match=r"TopKTokens: count must be 0\.\.8 .*found 9"):
        _run(tiny, tiny_state, sample_images(tiny, 1)[0], (8, 9))


@pytest.mark.parametrize(
    ("flavour", "others"),
    [
        (Flavour.BLOCKS, {"dev.coppice": 1}),
        (Flavour.SEPARATE, {"com.microsoft": 1, "dev.coppice": 1}),
        (Flavour.STOCK, {"com.microsoft": 1}),
    ],
)
def test_graph_has_the_versions_of_the_contract(tiny, tiny_state, flavour, others):
    """IR 10, opset 20, our domain, ONNX Runtime's own for fused norms and attention, and no other domain."""
    model = build_model(tiny, tiny_state, flavour)
    assert model.ir_version == 10
    versions = {entry.domain: entry.version for entry in model.opset_import}
    assert versions == {"": 20} | others


def test_gelu_is_one_node_before_and_after_optimisation(tiny, tiny_state, tmp_path):
    """One for each of five blocks and three layers of the stem: opset 18 would spell it Div, Erf, Add and Mul, which
    ONNX Runtime leaves in pieces for one of PyTorch's exporters."""
    model, options = build_model(tiny, tiny_state, Flavour.SEPARATE), onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(ops_library()))
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    for graph in (model.graph, onnx.load(tmp_path / "optimised.onnx").graph):
        kinds = Counter(node.op_type for node in graph.node)
        assert (kinds["Gelu"] + kinds["BiasGelu"], kinds["Erf"]) == (8, 0)


def test_graph_has_the_inputs_and_outputs_of_the_contract(tiny, tiny_state):
    """image and keep go in, logits and one list of positions a stage come out."""
    graph = build_model(tiny, tiny_state).graph
    values = (*graph.input, *graph.output)
    shapes = {v.name: [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim] for v in values}
    kept = {f"kept_{stage}": [1, f"kept_{stage}_tokens"] for stage in (0, 1)}
    assert shapes == {"image": [1, 3, 32, 32], "keep": [2], "logits": [1, 10]} | kept


def test_graph_without_stages_has_no_budget(tiny, tiny_state):
    """A model that reduces nothing takes the image alone."""
    graph = build_model(replace(tiny, reductions=()), tiny_state).graph
    assert [value.name for value in (*graph.input, *graph.output)] == ["image", "logits"]


@pytest.mark.parametrize(
    ("config", "operators"),
    [
        (MINI_SOFTMAX, {"LinearAttention": 2, "TokenAttention": 4, "TopKTokens": 2}),
        (MINI, {"LinearAttention": 6, "TokenScores": 2, "SampleTokens": 2}),
        (FINE, {"LinearAttention": 6, "MergeTokens": 2}),
        (VIT_TINY, {"TokenAttention": 12, "TopKTokens": 3}),
    ],
    ids=["imagenette-softmax", "imagenette-mini", "imagenette-fine", "vit-tiny"],
)
def test_operators_of_a_preset_are_counted(random_state, config, operators):
    """Each block has one attention of ours, each stage one reduction."""
    assert used_operators(build_model(config, random_state(config), Flavour.SEPARATE)) == operators


@pytest.mark.parametrize("flavour", Flavour)
def test_graph_carries_no_unused_array(tiny, tiny_state, flavour):
    """Every initialiser is read by some node, and none is stored twice."""
    graph = build_model(tiny, tiny_state, flavour).graph
    read = {name for node in graph.node for name in node.input}
    names = [initialiser.name for initialiser in graph.initializer]
    assert set(names) <= read
    assert max(Counter(names).values()) == 1


def test_stock_graph_has_none_of_our_operators(tiny, tiny_state):
    """The rival in benchmarks runs without our library."""
    model = build_model(tiny, tiny_state, "stock")
    assert {entry.domain for entry in model.opset_import} == {"", "com.microsoft"}


def test_same_weights_give_the_same_bytes(tiny, random_state):
    """Two builds from equal weights are one file."""
    first, second = (build_model(tiny, random_state(tiny)).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_equal_constants_of_a_graph_are_one():
    """Constants are shared by content, unless they are named or differ in type or shape."""
    graph = Graph("test")
    one, again = graph.integers(1), graph.integers(1)
    other = graph.constant(np.array([1], np.int32))
    assert one == again != other
    assert graph.constant(np.array(1, np.int64)) not in (one, other)


def test_left_out_inputs_at_the_end_are_not_written():
    """Trailing empty names are dropped, so that an optional input is absent and not empty."""
    graph = Graph("test")
    graph.op("LinearAttention", graph.input("qkv", "float32", [1, 2, 3]), "", "", domain="dev.coppice", num_heads=1)
    assert list(graph.model().graph.node[0].input) == ["qkv"]
    onnx.checker.check_model(graph.model(), full_check=False)
