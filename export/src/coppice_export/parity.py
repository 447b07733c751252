"""Each half of a block of a graph, alone, against its float64 reference, and whole blocks against their operators."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .check import CheckError, session
from .halves import halved, operators_of
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

    Raises CheckError for a block beyond the tolerance, and for a whole block that is not what its operators give to
    the last bit, naming its node: a choice of tokens may differ from the reference's by rounding.
    """
    for node in blocks(model):
        if node.op_type == "EncoderBlock":
            _check_whole(node, model, min(tokens, TOKENS))
    model = halved(model)
    arrays = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
    found = {node.name: _error(node, arrays, min(tokens, TOKENS)) for node in blocks(model)}
    for node in blocks(model):
        in_bytes = any(a.name == "attention_precision" and a.s == b"int8" for a in node.attribute)
        kind = "int8" if in_bytes or any(arrays[n].dtype == np.int8 for n in node.input if n in arrays) else "float"
        if not found[node.name] <= LARGEST[kind]:
            raise CheckError(
                f"{node.name}: differs from its reference by {found[node.name]:.2g} of what it adds, at most "
                f"{LARGEST[kind]} is accepted: the operator library is not of this version; run `make build`."
            )
    return max(found.values(), default=0)


def _check_whole(node: onnx.NodeProto, model: onnx.ModelProto, tokens: int) -> None:
    arrays = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
    feeds = _feeds(node, arrays, tokens)
    found, expected = (_alone(nodes, arrays, feeds) for nodes in ([node], operators_of(node)))
    if not np.array_equal(found, expected):
        raise CheckError(
            f"{node.name}: differs from its operators, one after the other: the operator library is not of this "
            "version; run `make build`."
        )


def _feeds(node: onnx.NodeProto, arrays: dict[str, np.ndarray], tokens: int) -> dict[str, np.ndarray]:
    """Random values of the inputs that are not stored; so many tokens or as many as a stored index asks for."""
    inputs = {slot: name for slot, name in zip(SLOTS[node.op_type], node.input) if name}
    index = arrays.get(inputs.get("query_index", ""))
    tokens = tokens if index is None else max(tokens, int(index.max()) + 1)
    norm = inputs.get("norm1_bias") or inputs["norm_bias"]
    rng = np.random.default_rng(0)
    random = {
        "x": rng.standard_normal((1, tokens, len(arrays[norm]))).astype(np.float32),
        "size": rng.integers(1, 5, (1, tokens)).astype(np.float32),
        "positions": np.arange(tokens)[None],
        "count": np.array([tokens // 3]),
    }
    return {name: random[slot] for slot, name in inputs.items() if name not in arrays}


def _error(node: onnx.NodeProto, arrays: dict[str, np.ndarray], tokens: int) -> float:
    inputs = {slot: name for slot, name in zip(SLOTS[node.op_type], node.input) if name}
    constants = {slot: arrays[name] for slot, name in inputs.items() if name in arrays}
    index, named = constants.get("query_index"), _feeds(node, arrays, tokens)
    feeds = {slot: named[name] for slot, name in inputs.items() if name in named}
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    attributes = {name: v.decode() if isinstance(v, bytes) else v for name, v in attributes.items()}
    if node.op_type == "MlpBlock":
        expected, x = mlp_block.reference(feeds | constants, **attributes), feeds["x"]
    else:
        expected = attention_block.reference(feeds | constants, **attributes)["y"]
        x = feeds["x"] if index is None else feeds["x"][:, index[0]]
    y = _alone([node], arrays, named)
    return float(np.sqrt(np.mean((y - expected) ** 2) / np.mean((expected - x) ** 2)))


def _alone(nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray], feeds: dict[str, np.ndarray]) -> np.ndarray:
    """y of the last node in a graph of these."""
    node = nodes[-1]
    types = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in feeds.items()}
    given = [helper.make_tensor_value_info(name, types[name], array.shape) for name, array in feeds.items()]
    read = dict.fromkeys(name for each in nodes for name in each.input)
    stored = [numpy_helper.from_array(arrays[name], name) for name in read if name in arrays]
    outputs = [helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, node.name, given, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, 1)], ir_version=10)
    return session(model.SerializeToString()).run([node.output[0]], feeds)[0]
