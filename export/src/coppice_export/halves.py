"""Whole encoder blocks as their operators: two halves, and a selection between them."""

from __future__ import annotations

import onnx
from onnx import helper

from .graph import DOMAIN
from .operators import attention_block, mlp_block
from .operators.encoder_block import MLP_RANGES, OUTPUTS, SCORER, SELECTIONS, SLOTS, attention_form, halves

__all__ = ["halved", "operators_of"]


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with `AttentionBlock`, the selection and `MlpBlock` in the place of each `EncoderBlock`."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    for node in model.graph.node:
        whole = node.domain == DOMAIN and node.op_type == "EncoderBlock"
        made.graph.node.extend(operators_of(node) if whole else [node])
    return made


def operators_of(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The operators of an `EncoderBlock`, one after the other, under names that begin with the node's."""
    inputs = {slot: name for slot, name in zip(SLOTS, node.input) if name}
    outputs = {slot: name for slot, name in zip(OUTPUTS, node.output) if name}
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    select, first, second = attributes.get("select", b"none").decode(), *halves(inputs)
    size, count, threshold = (inputs.get(slot, "") for slot in ("size", "count", "threshold"))
    common = {name: attributes[name] for name in ("num_heads", "prefix_tokens") if name in attributes}
    nodes = []

    def op(kind: str, inputs: list[str], outputs: list[str], form: dict) -> None:
        name = f"{node.name}/{kind}"
        nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=DOMAIN, **form))

    def own(slot: str) -> str:
        return outputs.get(slot, f"{node.name}/{slot}")

    rows, scores, projection, chosen = (f"{node.name}/{what}" for what in ("rows", "scores", "projection", "chosen"))
    given = attributes.get("score", b"none") != b"none"
    names = [rows, outputs.get("scores", scores) if given else "", outputs.get("projection", projection)]
    slots = [first.get(slot, "") for slot in attention_block.SLOTS]
    op("AttentionBlock", slots, names, attention_form(attributes))
    if select in ("top_k", "sample", "prune_merge") and not given:
        form = common | {name: attributes[name] for name in SCORER if name in attributes}
        op("TokenScores", [names[2], size], [scores], form)
    if select == "none":
        chosen = rows
    else:
        kind, named = SELECTIONS[select]
        form = common | {own: attributes[name] for name, own in named.items() if name in attributes}
        ranking = [names[1] or scores, count, rows]
        if select == "merge":
            op(kind, [rows, names[2], count, size, threshold], [chosen, *map(own, OUTPUTS[4:])], form)
        elif select == "sample":
            op(kind, ranking, [own("index"), chosen, own("kept_count")], form)
        else:
            kept = own("kept_size") if size or select == "prune_merge" else ""
            op(kind, [*ranking, size], [own("index"), chosen, kept], form)
    form = {name: attributes[name] for name in ("epsilon", "activation", *MLP_RANGES) if name in attributes}
    slots = [(second | {"x": chosen}).get(slot, "") for slot in mlp_block.SLOTS]
    op("MlpBlock", slots, [outputs["y"]], form)
    return nodes
