"""The linear layers inside a graph's blocks, stored in another precision."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

import onnx
from onnx import helper, numpy_helper

from .graph import DOMAIN
from .operators.blocks import SLOTS
from .operators.panels import packed, require_range, unpacked

__all__ = ["block_attentions", "block_inputs", "block_layers", "blocks", "repacked"]


class Layer(NamedTuple):
    """A node of blocks, where a layer's panels and scale stand among its inputs, and the layer's outputs."""

    node: onnx.NodeProto
    panels: int
    scale: int
    columns: int


def blocks(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.domain == DOMAIN and node.op_type in SLOTS]


def block_inputs(model: onnx.ModelProto) -> set[str]:
    """The names of all that blocks read."""
    return {name for node in blocks(model) for name in node.input}


def block_layers(model: onnx.ModelProto) -> dict[str, Layer]:
    """The layers by the name of their weight, as in `blocks.7.fc2`; none where the graph has no blocks."""
    shapes, layers = {array.name: array.dims for array in model.graph.initializer}, {}
    for node in blocks(model):
        slots = SLOTS[node.op_type]
        names = dict(zip(slots, node.input))
        for slot in (slot for slot in slots if f"{slot}_scale" in slots and names.get(slot)):
            # Without a bias it is the first of two factors, and has as many outputs as the second has rows.
            (columns,) = shapes[names[f"{slot}_bias"]] if f"{slot}_bias" in slots else shapes[names["fc2"]][1:2]
            name = names[slot].removesuffix(".weight")
            layers[name] = Layer(node, slots.index(slot), slots.index(f"{slot}_scale"), columns)
    return layers


def block_attentions(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The softmax attentions inside blocks by name, as in `blocks.7.attention`: those that can be of bytes."""
    return {
        name.removesuffix("qkv") + "attention": layer.node
        for name, layer in block_layers(model).items()
        if name.endswith("qkv") and _text(layer.node, "attention", "softmax") == "softmax"
    }


def _text(node: onnx.NodeProto, name: str, default: str) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == name), default)


def repacked(
    model: onnx.ModelProto,
    precision: str,
    keep_float: Collection[str] = (),
    limits: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> onnx.ModelProto:
    """The graph of float32 blocks with the weights of their layers in `precision`, float16 or int8, but for those kept.

    `limits`: of the int8 layers whose input has the same range in every call, the least and the greatest value.
    With int8 softmax attentions are of bytes too, but for those kept.
    Raises ValueError for a weight beyond float16's range.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    arrays = {array.name: array for array in made.graph.initializer}
    for name, layer in block_layers(made).items():
        if name in keep_float:
            continue
        inputs, stored = layer.node.input, arrays[layer.node.input[layer.panels]]
        panels = numpy_helper.to_array(stored)
        if precision == "float16":
            require_range(stored.name, panels)
        values, scale = packed(unpacked(panels, layer.columns, panels.shape[1]), precision)
        stored.CopyFrom(numpy_helper.from_array(values, stored.name))
        if scale is not None:
            inputs.extend([""] * (layer.scale + 1 - len(inputs)))
            inputs[layer.scale] = f"{name}.scale"
            made.graph.initializer.append(numpy_helper.from_array(scale, inputs[layer.scale]))
        if name in limits:
            slot = SLOTS[layer.node.op_type][layer.panels]
            layer.node.attribute.append(helper.make_attribute(f"{slot}_range", limits[name]))
    for name, node in block_attentions(made).items():
        if precision == "int8" and name not in keep_float:
            node.attribute.append(onnx.helper.make_attribute("attention_precision", "int8"))
    return made
