"""Dynamically quantised graphs: our operators stand between int8 products with nothing in between."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from coppice_export.check import ops_library, sample_images, session
from coppice_export.model import build_model


@pytest.fixture(scope="module")
def quantised(tiny, tiny_state, tmp_path_factory):
    """The tiny model with int8 products, as ONNX Runtime's own quantiser leaves it."""
    folder = tmp_path_factory.mktemp("int8")
    onnx.save(build_model(tiny, tiny_state), folder / "model.onnx")
    # The quantiser cannot infer what our operators give; they give float32.
    options = {"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(
        folder / "model.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8, extra_options=options
    )
    return folder / "int8.onnx"


def _optimised(path, out) -> onnx.GraphProto:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 4, str(out)
    options.register_custom_ops_library(str(ops_library()))
    onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return onnx.load(out).graph


def test_attention_stands_between_int8_products(quantised, tmp_path):
    """What gives qkv and what takes y is ONNX Runtime's fused int8 product: no cast, no copy, no scaling in between."""
    graph = _optimised(quantised, tmp_path / "optimised.onnx")
    made_by = {name: node for node in graph.node for name in node.output}
    attention = [node for node in graph.node if node.op_type in ("TokenAttention", "LinearAttention")]
    assert len(attention) == 5
    for node in attention:
        takers = [taker.op_type for taker in graph.node if node.output[0] in taker.input]
        assert made_by[node.input[0]].op_type == "DynamicQuantizeMatMul"
        assert takers == ["DynamicQuantizeMatMul"]


def test_int8_model_gives_nearly_the_same_logits(quantised, tiny, tiny_state):
    """Quantisation moves the logits a little, and not at all into another order of magnitude."""
    exact = session(build_model(tiny, tiny_state).SerializeToString())
    int8 = session(quantised)
    feeds = [{"image": image, "keep": np.array([8, 4])} for image in sample_images(tiny, 4)]
    expected, found = (np.concatenate([s.run(["logits"], feed)[0] for feed in feeds]) for s in (exact, int8))
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.95
    assert np.abs(found - expected).max() > 0  # the products are int8 indeed
