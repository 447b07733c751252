"""Half the bytes: weights stored as float16, computed with in float32, or the whole graph in float16."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from .operators.panels import require_range
from .repack import block_inputs, repacked

__all__ = ["float16_computed", "float16_stored"]

SMALLEST_ARRAY = 64  # elements; below, the node that widens the array takes more bytes than it saves


def float16_stored(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights in float16 behind a Cast, which ONNX Runtime folds when it opens the graph: the speed is float32's.

    Blocks widen theirs as they compute. Raises ValueError for a weight beyond float16's range.
    """
    stored, casts = repacked(model, "float16"), []
    inside = block_inputs(stored)
    for array in stored.graph.initializer:
        if array.data_type != TensorProto.FLOAT or np.prod(array.dims) < SMALLEST_ARRAY or array.name in inside:
            continue
        name, values = array.name, numpy_helper.to_array(array)
        require_range(name, values)
        array.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        casts.append(helper.make_node("Cast", [array.name], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *stored.graph.node]
    del stored.graph.node[:]
    stored.graph.node.extend(nodes)
    return stored


def float16_computed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every operator in float16, ours included; the image and the logits stay float32."""
    for array in model.graph.initializer:
        if array.data_type == TensorProto.FLOAT:
            require_range(array.name, numpy_helper.to_array(array))
    converted = onnx.ModelProto()
    converted.CopyFrom(model)
    # No operator is left out (the library leaves out some for other processors), nor guessed by shape inference.
    converted = convert_float_to_float16(converted, keep_io_types=True, disable_shape_infer=True, op_block_list=[])
    # The library appends the image's cast behind the nodes that read it; ONNX wants it before them.
    inputs = {value.name for value in converted.graph.input}
    nodes = sorted(converted.graph.node, key=lambda node: not (node.op_type == "Cast" and node.input[0] in inputs))
    del converted.graph.node[:]
    converted.graph.node.extend(nodes)
    return converted
