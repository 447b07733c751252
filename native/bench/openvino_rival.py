"""OpenVINO's int8 of a dense model, as far as its instruction sets are ours: AVX-512 with VNNI, no AMX."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from coppice_export.check import sample_images
from coppice_export.config import ViTConfig
from coppice_export.reference import VisionTransformer
from interleave import Call

# oneDNN reads it once, when OpenVINO is imported.
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE_VNNI"

__all__ = ["int8"]


class _Pictures(CalibrationDataReader):
    def __init__(self, config: ViTConfig):
        self.feeds = iter([{"image": image} for image in sample_images(config, 4)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def int8(config: ViTConfig, state: dict[str, np.ndarray]) -> Callable[[int], Call] | None:
    """A call with so many threads; None where OpenVINO is not installed (requirements.txt beside this file).

    The graph is that of PyTorch's exporter with QuantizeLinear and DequantizeLinear around all products, which
    OpenVINO fuses into products of int8; com.microsoft's operators it cannot read.
    """
    try:
        import openvino
    except ImportError:
        return None
    model = VisionTransformer(config).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
    image = sample_images(config, 1)[0]
    with tempfile.TemporaryDirectory() as folder:
        plain, quantised = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        names = {"input_names": ["image"], "output_names": ["logits"]}
        torch.onnx.export(model, (torch.from_numpy(image),), plain, opset_version=17, dynamo=False, **names)
        quantize_static(
            plain,
            quantised,
            _Pictures(config),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm", "Conv"],
        )
        graph = openvino.Core().read_model(quantised.read_bytes())

    def call(threads: int) -> Call:
        options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY"}
        options["INFERENCE_PRECISION_HINT"] = "f32"  # of what is not int8; by itself it takes bfloat16
        request = openvino.Core().compile_model(graph, "CPU", options).create_infer_request()
        return lambda: request.infer([image])

    return call
