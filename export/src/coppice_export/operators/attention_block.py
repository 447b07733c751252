"""The attention half of an encoder block in one operator; contract in docs/reference/operators.md."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..config import Attention
from ..graph import DOMAIN, Graph
from . import hallucinated_attention, int8_attention, linear_attention, token_attention
from .mlp_block import layer_norm
from .panels import linear

__all__ = ["OUTPUTS", "SLOTS", "attributes", "ours", "reference"]

SLOTS = (
    *("x", "norm_weight", "norm_bias", "qkv", "qkv_bias", "qkv_scale", "proj", "proj_bias", "proj_scale"),
    *("query_index", "positions", "size", "mix", "dw"),
)
OUTPUTS = ("y", "scores", "projection")


def reference(
    inputs: Mapping[str, np.ndarray],
    num_heads: int,
    epsilon: float = 1e-6,
    linear=linear,
    rint=int8_attention.to_even,
    qkv_range: tuple[float, float] | None = None,
    proj_range: tuple[float, float] | None = None,
    **attributes,
) -> dict[str, np.ndarray]:
    """inputs: by slot -> y (batch, rows, width), the projection and, of softmax attention, scores; in float64.

    `linear` computes the layers; `rint` rounds in attention of bytes.
    """
    get, x = inputs.get, inputs["x"]
    normed = layer_norm(x, inputs["norm_weight"], inputs["norm_bias"], epsilon)
    projection = linear(normed, inputs["qkv"], inputs["qkv_bias"], get("qkv_scale"), qkv_range)
    y, scores = _attention(projection, inputs, num_heads, rint, **attributes)
    y = _rows(x.astype(np.float64), get("query_index")) + linear(
        y, inputs["proj"], inputs["proj_bias"], get("proj_scale"), proj_range
    )
    outputs = {"y": y, "projection": projection}
    return outputs if scores is None else outputs | {"scores": scores}


def _rows(x: np.ndarray, index: np.ndarray | None) -> np.ndarray:
    return x if index is None else np.take_along_axis(x, index[:, :, None], 1)


def _attention(
    qkv: np.ndarray,
    inputs: Mapping[str, np.ndarray],
    heads: int,
    rint,
    attention: str = "softmax",
    attention_precision: str = "float32",
    **attributes,
) -> tuple[np.ndarray, np.ndarray | None]:
    index, size = inputs.get("query_index"), inputs.get("size")
    if attention == "softmax":
        form = {name: attributes[name] for name in ("scale", "score") if name in attributes}
        if attention_precision == "int8":
            return int8_attention.reference(qkv, heads, index, size, **form, rint=rint)
        return token_attention.reference(qkv, heads, index, size, **form)
    if attention == "hallucinated":
        form = {name: attributes[name] for name in ("stage", "renorm", "eps") if name in attributes}
        return hallucinated_attention.reference(qkv, heads, inputs.get("mix"), inputs.get("dw"), **form), None
    length, eps_mode = attributes.pop("length", None), attributes.pop("eps_mode", "clamp")
    attributes.pop("order", None)  # both give the same numbers
    form, positions = Attention("linear", **attributes), inputs.get("positions")
    return linear_attention.reference(qkv, heads, form, length, index, positions, size, eps_mode), None


def ours(
    graph: Graph,
    inputs: Mapping[str, str],
    heads: int,
    epsilon: float,
    attention: Attention,
    length: int,
    name: str,
    score: str = "",
    projection: bool = False,
) -> tuple[str, str, str]:
    """inputs: names of values by slot. The names of y, of scores and of the projection, "" unless asked for."""
    slots, asked = (inputs.get(slot, "") for slot in SLOTS), (True, bool(score), projection)
    outputs = [f"{name}.{output}" if wanted else "" for output, wanted in zip(OUTPUTS, asked)]
    form = attributes(heads, epsilon, attention, length, score)
    graph.op("AttentionBlock", *slots, outputs=outputs, domain=DOMAIN, **form)
    return tuple(outputs)


def attributes(heads: int, epsilon: float, attention: Attention, length: int, score: str = "") -> dict:
    """The node's attributes, but for defaults."""
    attributes = {"num_heads": heads, "epsilon": epsilon, "attention": attention.kind}
    if attention.kind == "linear":
        attributes |= linear_attention.attributes(attention, length)
    elif attention.kind == "hallucinated":
        attributes |= {name: getattr(attention, name) for name in ("dw_kernel", "stage", "renorm", "eps")}
    elif score:
        attributes["score"] = score
    return attributes
