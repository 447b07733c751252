"""The graphs that ours have to beat: the same model in ONNX Runtime's own operators, as a user has it today."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer

from coppice_export.config import ViTConfig
from coppice_export.model import build_model

__all__ = ["quantised", "stock_graph"]


def stock_graph(config: ViTConfig, state: dict[str, np.ndarray], fused: bool = False) -> bytes:
    """With packed `Attention`; fused: after onnxruntime.transformers.optimizer as well."""
    model = build_model(config, state, "stock")
    if fused:
        model = optimizer.optimize_model(
            model, model_type="vit", num_heads=config.heads, hidden_size=config.width, opt_level=0
        ).model
    return model.SerializeToString()


def quantised(model: bytes) -> bytes:
    """The model after ONNX Runtime's own dynamic quantiser; convolutions stay float32, as ConvInteger is slower."""
    options = {"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT}
    original = onnx.load_from_string(model)
    convolutions = [node.name for node in original.graph.node if node.op_type == "Conv"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "int8.onnx"
        quantize_dynamic(
            original, out, weight_type=QuantType.QInt8, nodes_to_exclude=convolutions, extra_options=options
        )
        return out.read_bytes()
