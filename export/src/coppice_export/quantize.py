"""int8 forms of a graph's matrix products: inside blocks by repacking, outside by ONNX Runtime's quantiser.

Weights are symmetric int8, one scale a column. Activations are uint8, one scale a tensor; inside blocks int8, one scale
a token, or the calibrated one of a layer. Convolutions, but that of patches that tile the picture, and all that is no
product of an activation with a constant matrix stay in float32.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.calibrate import TensorData, TensorsData, save_tensors_data

from .check import session
from .config import Preprocessing
from .patches import EMBEDDING, has_patches, int8_patches
from .repack import block_attentions, block_layers, repacked
from .separate import separated

__all__ = [
    "Range",
    "activation_ranges",
    "block_limits",
    "int8_dynamic",
    "int8_static",
    "matrix_layers",
    "quantised_layers",
]

Feeds = dict[str, np.ndarray]
Limits = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Range:
    """The least and greatest value of an activation, and the number of its axes."""

    low: float
    high: float
    axes: int


def matrix_layers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The products with a constant matrix, by the name of its weight, as in `blocks.7.fc2`."""
    constants = {array.name for array in model.graph.initializer}
    nodes = [n for n in model.graph.node if n.op_type in ("MatMul", "Gemm") and n.input[1] in constants]
    return {node.input[1].removesuffix(".weight"): node for node in nodes}


def quantised_layers(model: onnx.ModelProto) -> list[str]:
    """What int8 concerns: the patch embedding, layers and attentions inside blocks, and layers outside."""
    embedding = [EMBEDDING] if has_patches(model) else []
    return [*embedding, *block_layers(model), *block_attentions(model), *matrix_layers(model)]


def activation_ranges(model: onnx.ModelProto, feeds: Iterable[Feeds]) -> dict[str, Range]:
    """The range of every activation that a matrix layer takes, over all `feeds`.

    The whole range, not the one of least squared error: on ViT-Tiny clipping costs more than coarse steps (relative
    error of the logits 0.15 against 0.12 at keep 138 97 68; AMD Zen 4, 2026-11-21), as few large values carry much.
    """
    names = list(dict.fromkeys(node.input[0] for node in matrix_layers(model).values()))
    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    given = {output.name for output in model.graph.output}
    wider.graph.output.extend(
        helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names if n not in given
    )
    runner, ranges = session(wider.SerializeToString()), {}
    for feed in feeds:
        for name, array in zip(names, runner.run(names, feed)):
            seen = ranges.get(name, Range(np.inf, -np.inf, array.ndim))
            ranges[name] = Range(min(seen.low, float(array.min())), max(seen.high, float(array.max())), array.ndim)
    return ranges


def block_limits(model: onnx.ModelProto, feeds: Iterable[Feeds]) -> dict[str, tuple[float, float]]:
    """The least and the greatest value, 0 among them, that each layer inside blocks takes, over all `feeds`."""
    apart = separated(model)
    ranges, layers = activation_ranges(apart, feeds), matrix_layers(apart)
    found = {name: ranges[layers[name].input[0]] for name in block_layers(model)}
    return {name: (min(r.low, 0.0), max(r.high, 0.0)) for name, r in found.items() if r.low != r.high}


def int8_dynamic(
    model: onnx.ModelProto,
    keep_float: Collection[str] = (),
    reduce_range: bool = False,
    preprocessing: Preprocessing | None = None,
    limits: Limits = MappingProxyType({}),
) -> onnx.ModelProto:
    """Each call finds the ranges of its activations itself, inside blocks for each token, but for layers with `limits`.

    `keep_float`: layers that stay in float32; the patch embedding does where `preprocessing` is not known either.
    """
    model = repacked(model, "int8", keep_float, limits)
    if preprocessing and has_patches(model) and EMBEDDING not in keep_float:
        model = int8_patches(model, preprocessing, reduce_range)
    # The quantiser cannot infer what our operators give; they give float32.
    options = {"MatMulConstBOnly": True, "DefaultTensorType": TensorProto.FLOAT}
    with _quantiser() as out:
        quantize_dynamic(model, out, **_common(model, keep_float, reduce_range), extra_options=options)
        return _as_exported(onnx.load(out), model)


def int8_static(
    model: onnx.ModelProto, ranges: dict[str, Range], keep_float: Collection[str] = (), reduce_range: bool = False
) -> onnx.ModelProto:
    """QuantizeLinear and DequantizeLinear around each product, with the calibrated ranges.

    Products whose activation has two axes, such as the head, stay in float32.
    """
    prepared, layers = onnx.ModelProto(), matrix_layers(model)
    prepared.CopyFrom(model)
    flat = {name for name, node in layers.items() if ranges[node.input[0]].axes != 3}
    _declare(prepared, ranges)
    _shield_biases(prepared, {node.output[0] for name, node in layers.items() if name not in flat})
    data = {n: TensorData(lowest=np.float32(r.low), highest=np.float32(r.high)) for n, r in ranges.items()}
    options = {"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]}
    with _quantiser() as out:
        cache = out.with_name("ranges.json")
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, data), cache)
        quantize_static(
            prepared,
            out,
            None,
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            calibration_cache_path=cache,
            **_common(model, {*keep_float, *flat}, reduce_range),
            extra_options=options,
        )
        return _as_exported(onnx.load(out), model)


def _common(model: onnx.ModelProto, keep_float: Collection[str], reduce_range: bool) -> dict:
    """op_types: without it convolutions go to int8 too, and the patch embedding's errors go through all blocks."""
    kept = [node.name for name, node in matrix_layers(model).items() if name in keep_float]
    return {
        "op_types_to_quantize": ["MatMul", "Gemm"],
        "nodes_to_exclude": [*kept, *(f"{name}_MatMul" for name in kept)],  # what the quantiser makes of a Gemm
        "weight_type": QuantType.QInt8,
        "per_channel": True,
        "reduce_range": reduce_range,
    }


def _declare(model: onnx.ModelProto, ranges: dict[str, Range]) -> None:
    """State the type of every product's activation: the quantiser passes over those it cannot infer."""
    known = {value.name for value in model.graph.value_info} | {value.name for value in model.graph.output}
    model.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * r.axes)
        for name, r in ranges.items()
        if name not in known
    )


def _shield_biases(model: onnx.ModelProto, products: set[str]) -> None:
    """Give the biases of products three axes instead of one.

    ONNX Runtime makes Gemm of MatMul and a bias of one axis before it looks for int8 products, and then finds none:
    a third of ViT-Tiny stays in float32, at half of the speed (1.29.0, AMD Zen 4, 2026-11-21).
    """
    biases = {node.input[1] for node in model.graph.node if node.op_type == "Add" and node.input[0] in products}
    for array in model.graph.initializer:
        if array.name in biases and len(array.dims) == 1:
            array.dims[:] = [1, 1, *array.dims]


@contextmanager
def _quantiser():
    """A place for the quantiser's file, and silence: it asks for a pass that knows no custom operators."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "int8.onnx"
    finally:
        logging.disable(before)


def _as_exported(quantised: onnx.ModelProto, model: onnx.ModelProto) -> onnx.ModelProto:
    """The versions and the producer of the graph it was made from."""
    quantised.ir_version, quantised.producer_name = model.ir_version, model.producer_name
    quantised.producer_version = model.producer_version
    return quantised
