"""Quantised graphs: our operators stand between int8 products with nothing in between."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest

from coppice_export.check import ops_library
from coppice_export.model import Flavour, build_model
from coppice_export.quantize import Range, int8_dynamic, int8_static, matrix_layers


@pytest.fixture(scope="module")
def graphs(tiny, tiny_state):
    """The tiny model with int8 products, of either kind."""
    model = build_model(tiny, tiny_state, Flavour.SEPARATE)
    ranges = {node.input[0]: Range(-4, 4, 2 + (name != "head")) for name, node in matrix_layers(model).items()}
    return {"dynamic": int8_dynamic(model), "static": int8_static(model, ranges)}


def _optimised(model, out) -> onnx.GraphProto:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 4, str(out)
    options.register_custom_ops_library(str(ops_library()))
    onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return onnx.load(out).graph


def test_attention_stands_between_int8_products(graphs, tmp_path):
    """What gives qkv and what takes y is ONNX Runtime's fused int8 product: no cast, no copy, no scaling in between."""
    graph = _optimised(graphs["dynamic"], tmp_path / "optimised.onnx")
    made_by = {name: node for node in graph.node for name in node.output}
    attention = [node for node in graph.node if node.op_type in ("TokenAttention", "LinearAttention")]
    assert len(attention) == 5
    for node in attention:
        assert made_by[node.input[0]].op_type == "DynamicQuantizeMatMul"
        assert _takers(graph, node) == ["DynamicQuantizeMatMul"]


def test_attention_stands_between_calibrated_products(graphs, tmp_path):
    """A product with calibrated ranges gives float32, its bias is added, and what y goes into rounds it: no more."""
    graph = _optimised(graphs["static"], tmp_path / "optimised.onnx")
    made_by = {name: node for node in graph.node for name in node.output}
    attention = [node for node in graph.node if node.op_type in ("TokenAttention", "LinearAttention")]
    assert len(attention) == 5
    for node in attention:
        bias = made_by[node.input[0]]
        assert (bias.op_type, made_by[bias.input[0]].op_type) == ("Add", "MatMulIntegerToFloat")
        assert _takers(graph, node) == ["QuantizeLinear"]


def _takers(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[str]:
    return [taker.op_type for taker in graph.node if node.output[0] in taker.input]
