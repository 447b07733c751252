"""A whole encoder block in one operator, with a selection of tokens between its halves; contract in
docs/reference/operators.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from ..config import Attention
from ..graph import DOMAIN, Graph
from . import attention_block, merge_tokens, mlp_block, prune_merge_tokens, sample_tokens, token_scores, top_k_tokens
from .panels import linear

__all__ = [
    "MLP_RANGES",
    "OUTPUTS",
    "SCORER",
    "SELECTIONS",
    "SLOTS",
    "attention_form",
    "halves",
    "joined",
    "ours",
    "reference",
]

# The operator of each selection, and the attributes that it and the scores have beside `prefix_tokens` and `num_heads`,
# by their names in this operator.
SELECTIONS = {
    "top_k": ("TopKTokens", {"fuse_pruned": "fuse_pruned", "normalize_fused": "normalize_fused"}),
    "sample": ("SampleTokens", {"rule": "rule", "pad": "pad"}),
    "merge": ("MergeTokens", {"rule": "rule", "merge_order": "order", "pad": "pad"}),
    "prune_merge": ("PruneMergeTokens", {"merge_share": "merge_share", "rank": "rank"}),
}
SCORER = ("source", "value_norm", "renormalise")
MLP_RANGES = ("fc1_range", "fc2_range", "fc2_u_range")
_NOT_ATTENTION = {
    "select",
    "activation",
    *MLP_RANGES,
    *SCORER,
    *(name for _, names in SELECTIONS.values() for name in names),
}
_HALVES = attention_block.SLOTS, mlp_block.SLOTS[1:]
_NAMES = tuple(
    tuple(f"norm{number}_{slot[5:]}" if slot.startswith("norm_") else slot for slot in slots)
    for number, slots in enumerate(_HALVES, 1)
)
SLOTS = (*_NAMES[0], *_NAMES[1], "count", "threshold")
OUTPUTS = (*attention_block.OUTPUTS, "index", "kept_size", "group", "kept_count")
Value = TypeVar("Value")


def halves(inputs: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """The inputs of `AttentionBlock`, and those of `MlpBlock` but for x, by their own slots."""
    return tuple(
        {slot: inputs[name] for slot, name in zip(slots, names) if name in inputs}
        for slots, names in zip(_HALVES, _NAMES)
    )


def joined(attention: Mapping[str, Value], mlp: Mapping[str, Value]) -> dict[str, Value]:
    """The inputs of both halves, by this operator's slots."""
    return {
        name: inputs[slot]
        for inputs, slots, names in zip((attention, mlp), _HALVES, _NAMES)
        for slot, name in zip(slots, names)
        if slot in inputs
    }


def attention_form(attributes: Mapping) -> dict:
    """Those of the attributes that are the attention's."""
    kept = {name: value for name, value in attributes.items() if name not in _NOT_ATTENTION}
    if kept.get("attention", "softmax") != "linear":
        kept.pop("prefix_tokens", None)
    return kept


def reference(
    inputs: Mapping[str, np.ndarray],
    num_heads: int,
    epsilon: float = 1e-6,
    activation: str = "gelu",
    select: str = "none",
    linear=linear,
    **attributes,
) -> dict[str, np.ndarray]:
    """inputs: by slot -> y (batch, rows, width) and all other outputs that there are; in float64.

    `linear` computes the layers.
    """
    first, second = halves(inputs)
    found = attention_block.reference(first, num_heads, epsilon, linear, **attention_form(attributes))
    if select != "none":
        found |= _selected(select, found, inputs, num_heads, attributes)
    ranges = {name: value for name, value in attributes.items() if name in MLP_RANGES}
    return found | {"y": mlp_block.reference({"x": found["y"]} | second, epsilon, activation, linear, **ranges)}


def _selected(
    select: str, found: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray], heads: int, attributes: Mapping
) -> dict[str, np.ndarray]:
    x, size, prefix = found["y"], inputs.get("size"), attributes.get("prefix_tokens", 1)
    count, threshold = (inputs[name].item() if name in inputs else None for name in ("count", "threshold"))
    form = {own: attributes[name] for name, own in SELECTIONS[select][1].items() if name in attributes}
    if select == "merge":
        form.pop("rule", None)
        made = merge_tokens.reference(x, found["projection"], count, size, threshold, prefix, heads=heads, **form)
        return dict(zip(("y", "kept_size", "group", "kept_count"), made))
    scores = found.get("scores")
    if attributes.get("score", "none") == "none":
        scorer = {name: attributes[name] for name in SCORER if name in attributes}
        scores = token_scores.reference(found["projection"], heads, size, prefix=prefix, **scorer)
    if select == "sample":
        return dict(zip(("index", "y", "kept_count"), sample_tokens.reference(scores, count, x, prefix, **form)))
    face = top_k_tokens if select == "top_k" else prune_merge_tokens
    index, y, kept = face.reference(scores, count, x, size, prefix=prefix, **form)
    return {"index": index, "y": y} | ({} if kept is None else {"kept_size": kept})


def ours(
    graph: Graph,
    inputs: Mapping[str, str],
    heads: int,
    epsilon: float,
    attention: Attention,
    length: int,
    name: str,
    score: str = "",
    select: Mapping[str, int | float | str] | None = None,
    asked: tuple[str, ...] = (),
) -> dict[str, str]:
    """inputs: names of values by slot. select: the attributes of a selection. The names of y and of what is asked."""
    outputs = [f"{name}.{output}" if output in ("y", *asked) else "" for output in OUTPUTS]
    attributes = attention_block.attributes(heads, epsilon, attention, length, score) | (select or {})
    slots = (inputs.get(slot, "") for slot in SLOTS)
    graph.op("EncoderBlock", *slots, outputs=outputs, domain=DOMAIN, **attributes)
    return {output: value for output, value in zip(OUTPUTS, outputs) if value}
