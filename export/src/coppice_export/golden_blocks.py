"""The golden cases of the blocks, in all precisions of their weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from .golden_case import Case, in_half
from .operators import attention_block, mlp_block
from .operators.blocks import SLOTS
from .operators.panels import linear, packed, quantised

__all__ = ["block_cases"]

# Of the longest sum, with a norm or an attention before it: so many roundings of 2^-24.
_TERMS = 128
# Of a step, for numbers of up to 127 steps.
_MARGIN = _TERMS * 2**-24 * 127
Arrays = dict[str, np.ndarray]
Precisions = str | dict[str, str]


def block_cases() -> list[Case]:
    """The cases in the order of their folders."""
    rng = np.random.default_rng(1)
    rows, size = np.array([[0, 3, 8]], np.int64), rng.integers(1, 5, (1, 9)).astype(np.float32)
    far = np.sort(rng.choice(20, 9, replace=False))[None].astype(np.int64)
    cos = {"attention": "linear", "reweight": "cos1d", "length": 20, "positions": far}
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
        _attention("linear", "linear attention, int8 weights", "int8", attention="linear"),
        _attention("cosine", "linear attention by position, three query rows", "float16", query_index=rows, **cos),
        _attention("grid", "linear attention in two dimensions, int8, sizes", "int8", attention="linear",
                   feature_map="relu", reweight="cos2d", grid=4, size=size, projection=True),
        _attention("hallucinated", "half of the maps made from the others, int8", "int8", attention="hallucinated",
                   heads=4, dim=6, dw_kernel=3),
        _attention("convolved", "a map made by convolution alone", attention="hallucinated", made=1, mix=False,
                   dw_kernel=3),
        _attention("one", "a single token", "int8", tokens=1, score="cls"),
        in_half(_attention("half", "with scores", score="cls", half=True)),
    ]  # fmt: skip


class _NearBorderError(ValueError):
    """Another order of sums could round a number to another step."""


def _steady(build: Callable[[np.random.Generator], Case]) -> Case:
    """The case of the first seed that keeps all numbers away from the borders between steps."""
    for seed in range(100):
        with suppress(_NearBorderError):
            return build(np.random.default_rng(seed))
    raise ValueError("no seed of 100 keeps all numbers away from the borders between steps; take fewer tokens")


def _layer(x: np.ndarray, values: np.ndarray, bias: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    if scale is not None:
        _, unit, _ = quantised(x)
        steps = np.concatenate([x, x.min(-1, keepdims=True)], -1) / unit
        if np.abs(steps - np.floor(steps) - 0.5).min() < _MARGIN:
            raise _NearBorderError
    return linear(x, values, bias, scale)


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
    expected = {slot: array.astype(np.float32) for slot, array in outputs.items()}
    # Two layers of numbers as large as the outputs.
    tolerance = 2 * _TERMS * 2**-24 * max(1.0, *(float(np.abs(array).max()) for array in expected.values()))
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
        found = attention_block.reference(given, linear=_layer, **attributes)
        outputs = {slot: array for slot, array in found.items() if asked[slot]}
        return _case("AttentionBlock", name, description, attributes, inputs, constants, outputs)

    return _steady(build)
