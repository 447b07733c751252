"""Each block of a graph, alone, against its float64 reference."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .check import CheckError, session
from .operators import attention_block, mlp_block
from .operators.blocks import SLOTS
from .repack import blocks

__all__ = ["check_blocks"]

TOKENS = 32  # at most; a query index may ask for more
# Root mean squares of the difference and of what the block adds to its tokens. Sums of up to 4,096 terms are off by
# sqrt(4096) 2^-24 = 4e-6 of their size, and the exponentials of logits of size 30 by 30 times that. In int8, rounding
# moves a number to the other side of a border as often as it lies within that of one, once in 500 or less, and by 1/100
# of the numbers' size.
LARGEST = {"float": 2e-4, "int8": 2e-3}


def check_blocks(model: onnx.ModelProto, tokens: int) -> float:
    """The largest relative error of a block on random tokens; `tokens` enter the model.

    Raises CheckError for a block beyond the tolerance, naming its node.
    """
    arrays = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
    found = {node.name: _error(node, arrays, min(tokens, TOKENS)) for node in blocks(model)}
    for node in blocks(model):
        kind = "int8" if any(arrays[name].dtype == np.int8 for name in node.input if name in arrays) else "float"
        if not found[node.name] <= LARGEST[kind]:
            raise CheckError(
                f"{node.name}: differs from its reference by {found[node.name]:.2g} of what it adds, at most "
                f"{LARGEST[kind]} is accepted: the operator library is not of this version; run `make build`."
            )
    return max(found.values(), default=0)


def _error(node: onnx.NodeProto, arrays: dict[str, np.ndarray], tokens: int) -> float:
    inputs = {slot: name for slot, name in zip(SLOTS[node.op_type], node.input) if name}
    constants = {slot: arrays[name] for slot, name in inputs.items() if name in arrays}
    index = constants.get("query_index")
    tokens = tokens if index is None else max(tokens, int(index.max()) + 1)
    rng = np.random.default_rng(0)
    random = {
        "x": rng.standard_normal((1, tokens, len(constants["norm_bias"]))).astype(np.float32),
        "size": rng.integers(1, 5, (1, tokens)).astype(np.float32),
        "positions": np.arange(tokens)[None],
    }
    feeds = {slot: random[slot] for slot in inputs if slot not in constants}
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    attributes = {name: v.decode() if isinstance(v, bytes) else v for name, v in attributes.items()}
    if node.op_type == "MlpBlock":
        expected, x = mlp_block.reference(feeds | constants, **attributes), feeds["x"]
    else:
        expected = attention_block.reference(feeds | constants, **attributes)["y"]
        x = feeds["x"] if index is None else feeds["x"][:, index[0]]
    y = _alone(node, arrays, {inputs[slot]: array for slot, array in feeds.items()})
    return float(np.sqrt(np.mean((y - expected) ** 2) / np.mean((expected - x) ** 2)))


def _alone(node: onnx.NodeProto, arrays: dict[str, np.ndarray], feeds: dict[str, np.ndarray]) -> np.ndarray:
    """y of the node in a graph of its own."""
    types = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in feeds.items()}
    given = [helper.make_tensor_value_info(name, types[name], array.shape) for name, array in feeds.items()]
    stored = [numpy_helper.from_array(arrays[name], name) for name in dict.fromkeys(node.input) if name in arrays]
    outputs = [helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], node.name, given, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, 1)], ir_version=10)
    return session(model.SerializeToString()).run([node.output[0]], feeds)[0]
