"""The golden cases of the blocks, in all precisions of their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from .golden_case import Case, in_half
from .operators import attention_block, encoder_block, mlp_block
from .operators.blocks import SLOTS
from .operators.int8_attention import LARGEST_WEIGHT, to_even
from .operators.panels import linear, packed, quantised

__all__ = ["block_cases"]

# Of the longest sum, with a norm or an attention before it: so many roundings of 2^-24.
_TERMS = 128
# Of a step, for numbers of up to 127 steps.
_MARGIN = _TERMS * 2**-24 * 127
# Far more than roundings do to a token, which choices have to bear.
_NEAR = 1e-3
# Of a step of 255 of a weight: two such errors in the factors of a logit, for logits of up to 2.
_WEIGHT_MARGIN = 2 * 2 * _TERMS * 2**-24 * 255
Arrays = dict[str, np.ndarray]
Precisions = str | dict[str, str]


def block_cases() -> list[Case]:
    """The cases in the order of their folders."""
    rng = np.random.default_rng(1)
    rows, size = np.array([[0, 3, 8]], np.int64), rng.integers(1, 5, (1, 9)).astype(np.float32)
    far = np.sort(rng.choice(20, 9, replace=False))[None].astype(np.int64)
    cos = {"attention": "linear", "reweight": "cos1d", "length": 20, "positions": far}
    in_bytes = {"attention_precision": "int8"}
    mixed = {"qkv": "int8", "fc1": "int8", "fc2_u": "float16"}
    return [
        _mlp("plain", "float32 weights"),
        _mlp("half-weights", "float16 weights", "float16"),
        _mlp("int8", "int8 weights, a width and a hidden width that fill neither panels nor groups", "int8", width=27),
        _mlp("mixed", "an int8 layer before a float32 one", mixed, batch=2, tokens=3),
        _mlp("compact", "a second matrix of two factors", rank=7),
        _mlp("compact-int8", "int8 factors", "int8", rank=9),
        _mlp("compact-mixed", "a float16 factor between int8 and float32", mixed, rank=6),
        _mlp("tanh", "the approximation of GELU by the hyperbolic tangent", activation="gelu_tanh"),
        _mlp("swiglu", "a gated hidden layer", activation="swiglu", hidden=19),
        _mlp("swiglu-int8", "a gated hidden layer, int8", "int8", activation="swiglu"),
        _mlp("calibrated", "int8 weights, each layer with a range that clips", "int8", rank=9, fc1_range=(-1.5, 1.75),
             fc2_u_range=(-0.125, 1.5), fc2_range=(-0.75, 0.5)),
        _mlp("one", "one token, one hidden number, another epsilon", tokens=1, hidden=1, epsilon=1e-3),
        _mlp("wide", "more than one tile of rows and of columns", "int8", tokens=9, width=48, hidden=96),
        in_half(_mlp("half", "int8 weights", "int8", half=True)),
        _attention("plain", "softmax, float32 weights"),
        _attention("half-weights", "softmax, float16 weights", "float16"),
        _attention("int8", "softmax, int8 weights, a width that fills no panel", "int8", heads=3, dim=9),
        _attention("mixed", "int8 projection in, float32 projection out, batch of 2", mixed, batch=2, tokens=4),
        _attention("scores", "class-token scores and three query rows", "int8", score="cls", query_index=rows),
        _attention("sizes", "proportional attention, scores received, the projection handed on", "int8",
                   score="received", size=size, projection=True),
        _attention("scale", "a scale of its own", scale=0.5),
        _attention("bytes", "attention in bytes, a width that fills no group", dim=7, tokens=6, **in_bytes),
        _attention("bytes-int8", "attention in bytes, int8 weights, batch of 2", "int8", batch=2, tokens=4, **in_bytes),
        _attention("bytes-rows", "attention in bytes with class-token scores, three query rows and sizes",
                   score="cls", query_index=rows, size=size, **in_bytes),
        _attention("bytes-received", "attention in bytes with scores received and a scale of its own",
                   tokens=6, score="received", scale=0.5, **in_bytes),
        _attention("linear", "linear attention, int8 weights", "int8", attention="linear"),
        _attention("cosine", "linear attention by position, three query rows", "float16", query_index=rows, **cos),
        _attention("grid", "linear attention in two dimensions, int8, sizes", "int8", attention="linear",
                   feature_map="relu", reweight="cos2d", grid=4, size=size, projection=True),
        _attention("hallucinated", "half of the maps made from the others, int8", "int8", attention="hallucinated",
                   heads=4, dim=6, dw_kernel=3),
        _attention("convolved", "a map made by convolution alone", attention="hallucinated", made=1, mix=False,
                   dw_kernel=3),
        _attention("calibrated", "int8 weights, the first layer with a range that clips and the second without", "int8",
                   qkv_range=(-1.75, 1.5)),
        _attention("one", "a single token", "int8", tokens=1, score="cls"),
        in_half(_attention("half", "with scores", score="cls", half=True)),
        _encoder("plain", "nothing selected, float32 weights"),
        _encoder("queries", "three query rows, int8 weights, the projection handed on", "int8", ["projection"],
                 query_index=rows),
        _encoder("cosine", "linear attention by position, sizes, a gated hidden layer", mixed, size=size,
                 activation="swiglu", **cos),
        _encoder("top-k", "the best by the class token's attention", "int8", ["index"], select="top_k", score="cls",
                 count=4),
        _encoder("fused", "one more row for the pruned, sizes, batch of 2", mixed, ["index", "kept_size"], batch=2,
                 select="top_k", score="cls_value_norm", fuse_pruned=1, count=3, size=np.tile(size, (2, 1))),
        _encoder("token-scores", "linear attention, the best by their attention to the class token", "float16",
                 ["index"], attention="linear", select="top_k", source="cls_col", count=5),
        _encoder("sample", "tokens at even steps, as e-attention", "int8", ["index", "kept_count"], attention="linear",
                 select="sample", renormalise="per_head", count=5),
        _encoder("ats", "tokens at even steps of sorted scores, padded, as ATS", outputs=["index", "kept_count"],
                 batch=2, select="sample", rule="ats", value_norm=1, renormalise="total", pad=1, count=4),
        _encoder("merge", "the most similar keys merged, sizes, int8", "int8", ["kept_size", "group"], select="merge",
                 count=3, size=size),
        _encoder("merge-threshold", "keys merged above a similarity, in raster order", mixed,
                 ["kept_size", "group", "kept_count"], select="merge", rule="threshold", merge_order="raster",
                 threshold=0.1),
        _encoder("prune-merge", "pruned and merged by importance and distance", "int8", ["index", "kept_size"],
                 select="prune_merge", score="cls", rank="importance_distance", merge_share=0.75, count=3),
        _encoder("calibrated", "int8 weights, a layer of each half with a range that clips", "int8",
                 qkv_range=(-1.5, 1.75), fc2_range=(-0.3, 0.75), tokens=4),
        _encoder("one", "a single token, nothing of which may go", "int8", ["index"], tokens=1, select="top_k",
                 score="cls", count=0),
        in_half(_encoder("half", "merged", outputs=["kept_size", "group"], select="merge", count=2, half=True)),
    ]  # fmt: skip


class _NearBorderError(ValueError):
    """Another order of sums could round a number to another step."""


def _steady(build: Callable[[np.random.Generator], Case]) -> Case:
    """The case of the first seed that keeps all numbers away from the borders between steps."""
    for seed in range(100):
        with suppress(_NearBorderError):
            return build(np.random.default_rng(seed))
    raise ValueError("no seed of 100 keeps all numbers away from the borders between steps; take fewer tokens")


def _layer(
    x: np.ndarray,
    values: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray | None,
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    if scale is not None:
        _, unit, _ = quantised(x, limits)
        inside = x.clip(*limits) if limits else np.concatenate([x, x.min(-1, keepdims=True)], -1)
        _require_margin(inside / unit, _MARGIN)
    return linear(x, values, bias, scale, limits)


def _rint(x: np.ndarray, largest: int) -> np.ndarray:
    _require_margin(x, _WEIGHT_MARGIN if largest == LARGEST_WEIGHT else _MARGIN)
    return to_even(x, largest)


def _require_margin(steps: np.ndarray, margin: float) -> None:
    if np.abs(steps - np.floor(steps) - 0.5).min() < margin:
        raise _NearBorderError


def _arrays(
    rng: np.random.Generator, norm: int, shapes: dict[str, tuple[int, int]], precisions: Precisions, half: bool
) -> Arrays:
    """A norm of that width, and the panels, bias and scale of each layer, of the size that training leaves."""
    arrays = {"norm_weight": np.exp(rng.standard_normal(norm) / 4), "norm_bias": rng.standard_normal(norm) / 4}
    for layer, (columns, depth) in shapes.items():
        precision = precisions if isinstance(precisions, str) else precisions.get(layer, "float32")
        values, scale = packed((rng.standard_normal((columns, depth)) / np.sqrt(depth)).astype(np.float32), precision)
        arrays[layer] = values
        if layer != "fc2_u":
            arrays[f"{layer}_bias"] = rng.standard_normal(columns) / 4
        if scale is not None:
            arrays[f"{layer}_scale"] = scale
    return {name: _rounded(array, half) if array.dtype == np.float64 else array for name, array in arrays.items()}


def _rounded(x: np.ndarray, half: bool) -> np.ndarray:
    """float32, of numbers that float16 has."""
    return (x.astype(np.float16) if half else x).astype(np.float32)


def _case(
    operator: str, name: str, description: str, attributes: dict, inputs: Arrays, constants: Arrays, outputs: Arrays
) -> Case:
    given = {slot: array for slot, array in inputs.items() if array is not None}
    expected = {k: v if v.dtype == np.int64 else v.astype(np.float32) for k, v in outputs.items()}
    # Two layers a half of numbers as large as the outputs.
    layers = 4 if operator == "EncoderBlock" else 2
    largest = max(1.0, *(float(np.abs(array).max()) for array in expected.values() if array.dtype == np.float32))
    tolerance = layers * _TERMS * 2**-24 * largest
    return Case(operator, name, description, attributes, given, expected, tolerance, SLOTS[operator], constants)


def _mlp(
    name: str, description: str, precisions: Precisions = "float32", batch=1, tokens=5, width=24, hidden=40, rank=0,
    half=False, **options,
) -> Case:  # fmt: skip
    columns = 2 * hidden if options.get("activation") == "swiglu" else hidden
    shapes = {"fc1": (columns, width)} | ({"fc2_u": (rank, hidden)} if rank else {})
    shapes["fc2"] = width, rank or hidden

    def build(rng: np.random.Generator) -> Case:
        constants, x = _arrays(rng, width, shapes, precisions, half), rng.standard_normal((batch, tokens, width))
        x = _rounded(x, half)
        y = mlp_block.reference({"x": x} | constants, linear=_layer, **options)
        return _case("MlpBlock", name, description, options, {"x": x}, constants, {"y": y})

    return _steady(build)


def _attention(
    name: str, description: str, precisions: Precisions = "float32", batch=1, tokens=9, heads=2, dim=8, made=2,
    mix=True, half=False, projection=False, query_index=None, positions=None, size=None, **options,
) -> Case:  # fmt: skip
    width, side = heads * dim, options.get("dw_kernel", 0)
    hallucinated = options.get("attention") == "hallucinated"
    real = heads - made if hallucinated else heads
    shapes = {"qkv": ((2 * real + heads) * dim, width), "proj": (width, width)}
    attributes, asked = (
        {"num_heads": heads} | options,
        {"y": True, "scores": "score" in options, "projection": projection},
    )

    def build(rng: np.random.Generator) -> Case:
        constants, x = _arrays(rng, width, shapes, precisions, half), rng.standard_normal((batch, tokens, width))
        if hallucinated and mix:
            constants["mix"] = (rng.standard_normal((made, real)) / real).astype(np.float32)
        if side:
            constants["dw"] = (rng.standard_normal((made, side, side)) / side).astype(np.float32)
        inputs = {"x": _rounded(x, half), "query_index": query_index, "positions": positions, "size": size}
        given = {slot: array for slot, array in (inputs | constants).items() if array is not None}
        found = attention_block.reference(given, linear=_layer, rint=_rint, **attributes)
        outputs = {slot: array for slot, array in found.items() if asked[slot]}
        return _case("AttentionBlock", name, description, attributes, inputs, constants, outputs)

    return _steady(build)


def _encoder(
    name: str, description: str, precisions: Precisions = "float32", outputs: Sequence[str] = (), batch=1, tokens=9,
    heads=2, dim=8, hidden=24, half=False, query_index=None, positions=None, size=None, count=None, threshold=None,
    **options,
) -> Case:  # fmt: skip
    width, attributes = heads * dim, {"num_heads": heads} | options
    columns = 2 * hidden if options.get("activation") == "swiglu" else hidden
    halves = {"qkv": (3 * width, width), "proj": (width, width)}, {"fc1": (columns, width), "fc2": (width, hidden)}

    def build(rng: np.random.Generator) -> Case:
        constants = encoder_block.joined(*(_arrays(rng, width, shapes, precisions, half) for shapes in halves))
        inputs = {"x": _rounded(rng.standard_normal((batch, tokens, width)), half)}
        inputs |= {"query_index": query_index, "positions": positions, "size": size}
        inputs["count"] = None if count is None else np.array(count, np.int64)
        inputs["threshold"] = None if threshold is None else np.array(threshold, np.float32)
        given = {slot: array for slot, array in (inputs | constants).items() if array is not None}
        found = encoder_block.reference(given, linear=_layer, **attributes)
        _require_decided(rng, given, attributes, found)
        return _case(
            "EncoderBlock", name, description, attributes, inputs, constants, {k: found[k] for k in ("y", *outputs)}
        )

    return _steady(build)


def _require_decided(rng: np.random.Generator, given: Arrays, attributes: dict, found: Arrays) -> None:
    """Refuses tokens of which rounding could decide which stay: others near them would be chosen alike."""
    chosen = found.keys() & {"index", "group", "kept_count"}
    for _ in range(8):
        near = given | {"x": given["x"] + _NEAR * rng.standard_normal(given["x"].shape)}
        again = encoder_block.reference(near, **attributes)
        if not all(np.array_equal(again[slot], found[slot]) for slot in chosen):
            raise _NearBorderError
