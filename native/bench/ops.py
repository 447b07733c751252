"""Our operators against ONNX Runtime's own, one node at a time; writes target/bench/ops.json."""

from __future__ import annotations

import numpy as np
import onnx

from coppice_export.config import Attention
from coppice_export.graph import Graph
from coppice_export.operators import (
    hallucinated_attention,
    image_to_tensor,
    linear_attention,
    token_attention,
    top_k_tokens,
)
from report import ROOT, Contest, run

DIM = 64
# Tokens and heads: 14, 24, 32 and 64 patches along an edge; the width of DeiT-Tiny and of DeiT-Small.
SHAPES = ((197, 3), (577, 3), (1025, 3), (4096, 3), (197, 6), (1025, 6))
FORMS = {
    "relu": Attention("linear", feature_map="relu"),
    "elu1": Attention("linear", feature_map="elu1"),
    "elu1 cos1d": Attention("linear", feature_map="elu1", reweight="cos1d"),
}
NOTES = {
    "inputs": "ours reads q, k and v packed as the projection leaves them; a rival gets them apart, in the layout it "
    "asks for, and does not pay for it: its best case",
    "MultiHeadAttention": "com.microsoft, softmax attention of every token to every token, without scores",
    "MatMul, Softmax": "the same as MultiHeadAttention in plain operators: the better of the two is the rival to beat",
    "MultiHeadAttention, class row": "with the scores in stock operators: the same function as TokenAttention",
    "com.microsoft.LinearAttention": "update_rule linear, which is causal and has no feature map, no normaliser and no "
    "cosine term: less work than ours and another function, so it cannot replace ours",
    "MatMul": "the same function as LinearAttention in stock operators",
    "our TokenAttention": "all heads computed: a ratio of 1 / (1 - s) would show the multiply-adds saved, s, as time",
    "Resize": "the same picture by standard operators, antialiased, in float",
    "TopK, Gather": "the same function as TopKTokens in stock operators",
}

Graphed = tuple[bytes, dict[str, np.ndarray]]


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _packed(tokens: int, width: int) -> tuple[Graph, str]:
    graph = Graph("bench")
    return graph, graph.input("qkv", "float32", [1, tokens, 3 * width])


def _apart(graph: Graph, kind: str, outputs: list[str], arrays: list[np.ndarray]) -> Graphed:
    """The part of the graph behind its nodes of this kind, which take q, k and v apart: they are not run."""
    parts = [output for node in graph.model().graph.node if node.op_type == kind for output in node.output]
    for name, array in zip(parts, arrays, strict=True):
        graph.declare(name, "float32", list(array.shape))
    cut = onnx.utils.Extractor(graph.model()).extract_model(parts, outputs)
    return cut.SerializeToString(), dict(zip(parts, arrays))


def _linear(tokens: int, heads: int, form: Attention) -> Graphed:
    width = heads * DIM
    graph, qkv = _packed(tokens, width)
    y = linear_attention.ours(graph, qkv, heads, form, tokens)
    graph.output(y, "float32", [1, tokens, width])
    return graph.model().SerializeToString(), {"qkv": _random(1, tokens, 3 * width)}


def _linear_stock(tokens: int, heads: int, form: Attention) -> Graphed:
    width = heads * DIM
    graph, qkv = _packed(tokens, width)
    y = linear_attention.stock(graph, qkv, heads, width, form, tokens)
    graph.output(y, "float32", [1, tokens, width])
    return _apart(graph, "Squeeze", [y], list(_random(3, 1, heads, tokens, DIM)))


def _token(tokens: int, heads: int, scores: bool = True) -> Graphed:
    width = heads * DIM
    graph, qkv = _packed(tokens, width)
    y, score = token_attention.ours(graph, qkv, heads, scores=scores)
    graph.output(y, "float32", [1, tokens, width])
    if scores:
        graph.output(score, "float32", [1, tokens])
    return graph.model().SerializeToString(), {"qkv": _random(1, tokens, 3 * width)}


def _token_stock(tokens: int, heads: int) -> Graphed:
    width = heads * DIM
    graph, qkv = _packed(tokens, width)
    y, scores = token_attention.stock(graph, qkv, heads, width, scores=True)
    graph.output(y, "float32", [1, tokens, width])
    graph.output(scores, "float32", [1, tokens])
    return _apart(graph, "Split", [y, scores], list(_random(3, 1, tokens, width)))


def _microsoft(kind: str, tokens: int, width: int, outputs: dict[str, list], **attributes) -> Graphed:
    graph, arrays = Graph("bench"), dict(zip("qkv", _random(3, 1, tokens, width)))
    parts = [graph.input(name, "float32", list(array.shape)) for name, array in arrays.items()]
    graph.op(kind, *parts, outputs=list(outputs), domain="com.microsoft", **attributes)
    for name, shape in outputs.items():
        graph.output(name, "float32", shape)
    return graph.model().SerializeToString(), arrays


def _softmax_rival(tokens: int, heads: int) -> Graphed:
    width = heads * DIM
    return _microsoft("MultiHeadAttention", tokens, width, {"y": [1, tokens, width]}, num_heads=heads)


def _plain_softmax(tokens: int, heads: int) -> Graphed:
    graph, arrays = Graph("bench"), dict(zip("qkv", _random(3, 1, heads, tokens, DIM)))
    arrays["k"] = np.ascontiguousarray(arrays["k"].swapaxes(2, 3))
    q, k, v = (graph.input(name, "float32", list(array.shape)) for name, array in arrays.items())
    weights = graph.op("Softmax", graph.op("Mul", graph.op("MatMul", q, k), graph.constant(np.float32(DIM**-0.5))))
    graph.output(graph.op("MatMul", weights, v), "float32", [1, heads, tokens, DIM])
    return graph.model().SerializeToString(), arrays


def _causal_rival(tokens: int, heads: int) -> Graphed:
    width, attributes = heads * DIM, {"q_num_heads": heads, "kv_num_heads": heads, "update_rule": "linear"}
    outputs = {"y": [1, tokens, width], "state": [1, heads, DIM, DIM]}
    return _microsoft("LinearAttention", tokens, width, outputs, scale=1.0, **attributes)


def _top_k(tokens: int, width: int, ours: bool) -> Graphed:
    graph = Graph("bench")
    scores = graph.input("scores", "float32", [1, tokens])
    count, x = graph.input("count", "int64", [1]), graph.input("x", "float32", [1, tokens, width])
    if ours:
        index, y, _ = top_k_tokens.ours(graph, scores, count, x, prefix=1)
    else:
        index, y, _ = top_k_tokens.stock(graph, scores, count, x, prefix=1)
    graph.output(index, "int64", [1, "kept"])
    graph.output(y, "float32", [1, "kept", width])
    feeds = {"scores": _random(1, tokens), "count": np.array([tokens // 2]), "x": _random(1, tokens, width)}
    return graph.model().SerializeToString(), feeds


def _hallucinated(tokens: int, heads: int, kernel: int) -> Graphed:
    """Half of the maps computed, half made from them."""
    real, rng = heads // 2, np.random.default_rng(0)
    graph = Graph("bench")
    qkv = graph.input("qkv", "float32", [1, tokens, (2 * real + heads) * DIM])
    mix = graph.constant((rng.random((heads - real, real)) / real).astype(np.float32))
    dw = graph.constant(rng.random((heads - real, kernel, kernel)).astype(np.float32)) if kernel else ""
    y = hallucinated_attention.ours(graph, qkv, heads, mix, dw, kernel)
    graph.output(y, "float32", [1, tokens, heads * DIM])
    return graph.model().SerializeToString(), {"qkv": _random(1, tokens, (2 * real + heads) * DIM)}


def _image(ours: bool) -> Graphed:
    graph, height, width = Graph("bench"), 1080, 1920
    image = graph.input("image", "uint8", [height, width, 3])
    if ours:
        tensor = image_to_tensor.ours(graph, image, 224, (224, 224))
    else:
        tensor = image_to_tensor.stock(graph, image, height, width, 224, (224, 224))
    graph.output(tensor, "float32", [1, 3, 224, 224])
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return graph.model().SerializeToString(), {"image": pixels}


def _others() -> list[Contest]:
    found = []
    for tokens in (197, 1025):
        rivals, shape = {"our TokenAttention": _token(tokens, 6, scores=False)}, f"N={tokens} H=6 of which 3 made"
        for name, kernel in (("mix", 0), ("mix and 3x3", 3)):
            found.append(
                Contest(f"HallucinatedAttention {name}", shape, _hallucinated(tokens, 6, kernel), dict(rivals))
            )
    found.append(Contest("ImageToTensor", "1920x1080 to 224x224", _image(ours=True), {"Resize": _image(ours=False)}))
    return found


def contests(tokens: int, heads: int = 3) -> list[Contest]:
    width, shape = heads * DIM, f"N={tokens} H={heads} d={DIM}"
    softmax = {"MultiHeadAttention": _softmax_rival(tokens, heads), "MatMul, Softmax": _plain_softmax(tokens, heads)}
    found = []
    for name, form in FORMS.items():
        rivals = softmax | {"com.microsoft.LinearAttention": _causal_rival(tokens, heads)}
        rivals["MatMul"] = _linear_stock(tokens, heads, form)
        found.append(Contest(f"LinearAttention {name}", shape, _linear(tokens, heads, form), rivals))
    rivals = softmax | {"MultiHeadAttention, class row": _token_stock(tokens, heads)}
    found.append(Contest("TokenAttention, scores", shape, _token(tokens, heads), rivals))
    rivals = {"TopK, Gather": _top_k(tokens, width, ours=False)}
    shape = f"N={tokens} D={width} K={tokens // 2}"
    found.append(Contest("TopKTokens", shape, _top_k(tokens, width, ours=True), rivals))
    return found


if __name__ == "__main__":
    every = [contest for shape in SHAPES for contest in contests(*shape)] + _others()
    run("operators", every, NOTES, ROOT / "target" / "bench" / "ops.json")
