"""Blocks taken apart again: for runtimes without them, and as a second opinion. The linear layers become ONNX's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from .graph import DOMAIN, Graph
from .halves import halved
from .operators.blocks import SLOTS
from .operators.panels import depth, unpacked

__all__ = ["separated"]

_CORES = {"softmax": "TokenAttention", "linear": "LinearAttention", "hallucinated": "HallucinatedAttention"}


def separated(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without blocks: norms, products and sums around our attentions, with weights widened to float32.

    Layers of int8 keep their rounded weights, and what they multiply is not rounded or clipped any more; neither is
    attention. Weights keep their names.
    """
    model = halved(model)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    arrays = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
    del made.graph.node[:]
    for node in model.graph.node:
        if node.domain != DOMAIN or node.op_type not in SLOTS:
            made.graph.node.append(node)
            continue
        part = _Parts(node, arrays).graph.model().graph
        part = compose.add_prefix_graph(part, f"{node.name}/", rename_inputs=False, rename_outputs=False)
        original = {f"{node.name}/{name}": name for name in node.input}
        for array in part.initializer:
            array.name = original.get(array.name, array.name)
        for piece in part.node:
            piece.input[:] = [original.get(name, name) for name in piece.input]
        made.graph.node.extend(part.node)
        made.graph.initializer.extend(part.initializer)
    read = {name for node in made.graph.node for name in node.input}
    kept = {array.name: array for array in made.graph.initializer if array.name in read}.values()
    del made.graph.initializer[:], made.graph.value_info[:]
    made.graph.initializer.extend(kept)
    return made


class _Parts:
    """The nodes of one block."""

    def __init__(self, node: onnx.NodeProto, arrays: Mapping[str, np.ndarray]):
        self.graph, self.arrays = Graph(node.name), arrays
        self.inputs = {slot: name for slot, name in zip(SLOTS[node.op_type], node.input) if name}
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self.attributes = {name: value for name, value in given.items() if not name.endswith("_range")}
        for name in self.inputs.values():
            if name not in arrays:
                self.graph.input(name, "float32", None)
        getattr(self, node.op_type)(*node.output)
        for name in filter(None, node.output):
            self.graph.output(name, "float32", None)

    def MlpBlock(self, y: str) -> None:
        graph, inputs, x = self.graph, self.inputs, self.inputs["x"]
        hidden = self._activated(self._linear(self._normed(x), "fc1", self._length("norm_bias")))
        columns = self._length("fc1_bias") // (2 if self.attributes.get("activation") == b"swiglu" else 1)
        if "fc2_u" in inputs:
            rank = self._length("fc2_u_scale") or depth(self.arrays[inputs["fc2"]])
            hidden, columns = graph.op("MatMul", hidden, self._matrix("fc2_u", rank, columns)), rank
        graph.op("Add", x, self._linear(hidden, "fc2", columns), outputs=[y])

    def AttentionBlock(self, y: str, scores: str = "", projection: str = "") -> None:
        graph, x, width = self.graph, self.inputs["x"], self._length("norm_bias")
        qkv = self._linear(self._normed(x), "qkv", width, [projection] if projection else 1)
        index = self._given("query_index")
        kind = self.attributes.pop("attention", b"softmax").decode()
        self.attributes.pop("attention_precision", None)
        if kind == "softmax":
            rows = qkv, index, self._given("size")
        elif kind == "linear":
            rows = qkv, index, self._given("positions"), self._given("size")
        else:
            rows = qkv, self._given("mix"), self._given("dw")
        outputs = [f"{y}_rows", scores] if scores else 1
        made = graph.op(_CORES[kind], *rows, outputs=outputs, domain=DOMAIN, **self.attributes)
        branch = self._linear(made[0] if scores else made, "proj", width)
        if index:  # those rows of x
            x = graph.op("GatherND", x, graph.op("Unsqueeze", index, graph.integers(2)), batch_dims=1)
        graph.op("Add", x, branch, outputs=[y])

    def _given(self, slot: str) -> str:
        name = self.inputs.get(slot, "")
        return self.graph.constant(self.arrays[name], name) if name in self.arrays else name

    def _normed(self, x: str) -> str:
        norm, epsilon = (self._given(f"norm_{array}") for array in ("weight", "bias")), self.attributes.pop("epsilon")
        return self.graph.op("LayerNormalization", x, *norm, axis=-1, epsilon=epsilon)

    def _length(self, slot: str) -> int:
        return len(self.arrays[self.inputs[slot]]) if slot in self.inputs else 0

    def _linear(self, x: str, slot: str, rows: int, outputs: int | list[str] = 1) -> str:
        product = self.graph.op("MatMul", x, self._matrix(slot, self._length(f"{slot}_bias"), rows))
        return self.graph.op("Add", product, self._given(f"{slot}_bias"), outputs=outputs)

    def _matrix(self, slot: str, columns: int, rows: int) -> str:
        scale = self.arrays[self.inputs[f"{slot}_scale"]] if f"{slot}_scale" in self.inputs else None
        name = self.inputs[slot]
        return self.graph.constant(unpacked(self.arrays[name], columns, rows, scale).T, name)

    def _activated(self, x: str) -> str:
        graph, kind = self.graph, self.attributes.pop("activation", b"gelu").decode()
        if kind != "swiglu":
            return graph.op("Gelu", x, approximate="tanh" if kind == "gelu_tanh" else "none")
        gate, value = graph.op("Split", x, outputs=2, axis=-1, num_outputs=2)
        return graph.op("Mul", graph.op("Mul", gate, graph.op("Sigmoid", gate)), value)
