"""Our operators against ONNX Runtime's own, one node at a time; writes target/bench/ops.json."""

from __future__ import annotations

import numpy as np
import onnx

from coppice_export.config import Attention
from coppice_export.graph import Graph
from coppice_export.operators import linear_attention, token_attention, top_k_tokens
from report import ROOT, Contest, run

HEADS, DIM = 3, 64
WIDTH = HEADS * DIM
TOKENS = (197, 577, 1025)  # 14, 24 and 32 patches along an edge, and the class token
FORMS = {
    "relu": Attention("linear", feature_map="relu"),
    "elu1": Attention("linear", feature_map="elu1"),
    "elu1 cos1d": Attention("linear", feature_map="elu1", reweight="cos1d"),
}
NOTES = {
    "inputs": "ours reads q, k and v packed as the projection leaves them; a rival gets them apart, in the layout it "
    "asks for, and does not pay for it: its best case",
    "MultiHeadAttention": "com.microsoft, softmax attention of every token to every token, without scores",
    "MultiHeadAttention, class row": "with the scores in stock operators: the same function as TokenAttention",
    "com.microsoft.LinearAttention": "update_rule linear, which is causal and has no feature map, no normaliser and no "
    "cosine term: less work than ours and another function, so it cannot replace ours",
    "MatMul": "the same function as LinearAttention in stock operators",
    "TopK, Gather": "the same function as TopKTokens in stock operators",
}

Graphed = tuple[bytes, dict[str, np.ndarray]]


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _packed(tokens: int) -> tuple[Graph, str]:
    graph = Graph("bench")
    return graph, graph.input("qkv", "float32", [1, tokens, 3 * WIDTH])


def _apart(graph: Graph, kind: str, outputs: list[str], arrays: list[np.ndarray]) -> Graphed:
    """The part of the graph behind its nodes of this kind, which take q, k and v apart: they are not run."""
    parts = [output for node in graph.model().graph.node if node.op_type == kind for output in node.output]
    for name, array in zip(parts, arrays, strict=True):
        graph.declare(name, "float32", list(array.shape))
    cut = onnx.utils.Extractor(graph.model()).extract_model(parts, outputs)
    return cut.SerializeToString(), dict(zip(parts, arrays))


def _linear(tokens: int, form: Attention) -> Graphed:
    graph, qkv = _packed(tokens)
    y = linear_attention.ours(graph, qkv, HEADS, form, tokens)
    graph.output(y, "float32", [1, tokens, WIDTH])
    return graph.model().SerializeToString(), {"qkv": _random(1, tokens, 3 * WIDTH)}


def _linear_stock(tokens: int, form: Attention) -> Graphed:
    graph, qkv = _packed(tokens)
    y = linear_attention.stock(graph, qkv, HEADS, WIDTH, form, tokens)
    graph.output(y, "float32", [1, tokens, WIDTH])
    return _apart(graph, "Squeeze", [y], list(_random(3, 1, HEADS, tokens, DIM)))


def _token(tokens: int) -> Graphed:
    graph, qkv = _packed(tokens)
    y, scores = token_attention.ours(graph, qkv, HEADS, scores=True)
    graph.output(y, "float32", [1, tokens, WIDTH])
    graph.output(scores, "float32", [1, tokens])
    return graph.model().SerializeToString(), {"qkv": _random(1, tokens, 3 * WIDTH)}


def _token_stock(tokens: int) -> Graphed:
    graph, qkv = _packed(tokens)
    y, scores = token_attention.stock(graph, qkv, HEADS, WIDTH, scores=True)
    graph.output(y, "float32", [1, tokens, WIDTH])
    graph.output(scores, "float32", [1, tokens])
    return _apart(graph, "Split", [y, scores], list(_random(3, 1, tokens, WIDTH)))


def _microsoft(kind: str, tokens: int, outputs: dict[str, list], **attributes) -> Graphed:
    graph, arrays = Graph("bench"), dict(zip("qkv", _random(3, 1, tokens, WIDTH)))
    parts = [graph.input(name, "float32", list(array.shape)) for name, array in arrays.items()]
    graph.op(kind, *parts, outputs=list(outputs), domain="com.microsoft", **attributes)
    for name, shape in outputs.items():
        graph.output(name, "float32", shape)
    return graph.model().SerializeToString(), arrays


def _softmax_rival(tokens: int) -> Graphed:
    return _microsoft("MultiHeadAttention", tokens, {"y": [1, tokens, WIDTH]}, num_heads=HEADS)


def _causal_rival(tokens: int) -> Graphed:
    outputs = {"y": [1, tokens, WIDTH], "state": [1, HEADS, DIM, DIM]}
    return _microsoft(
        "LinearAttention", tokens, outputs, q_num_heads=HEADS, kv_num_heads=HEADS, update_rule="linear", scale=1.0
    )


def _top_k(tokens: int, ours: bool) -> Graphed:
    graph = Graph("bench")
    scores = graph.input("scores", "float32", [1, tokens])
    count, x = graph.input("count", "int64", [1]), graph.input("x", "float32", [1, tokens, WIDTH])
    if ours:
        index, y = top_k_tokens.ours(graph, scores, count, x, prefix=1, fuse_pruned=False)
    else:
        index, y = top_k_tokens.stock(graph, scores, count, x, prefix=1)
    graph.output(index, "int64", [1, "kept"])
    graph.output(y, "float32", [1, "kept", WIDTH])
    feeds = {"scores": _random(1, tokens), "count": np.array([tokens // 2]), "x": _random(1, tokens, WIDTH)}
    return graph.model().SerializeToString(), feeds


def _contests(tokens: int) -> list[Contest]:
    shape = f"N={tokens} H={HEADS} d={DIM}"
    softmax, causal = _softmax_rival(tokens), _causal_rival(tokens)
    found = []
    for name, form in FORMS.items():
        rivals = {"MultiHeadAttention": softmax, "com.microsoft.LinearAttention": causal}
        rivals["MatMul"] = _linear_stock(tokens, form)
        found.append(Contest(f"LinearAttention {name}", shape, _linear(tokens, form), rivals))
    rivals = {"MultiHeadAttention": softmax, "MultiHeadAttention, class row": _token_stock(tokens)}
    found.append(Contest("TokenAttention, scores", shape, _token(tokens), rivals))
    rivals = {"TopK, Gather": _top_k(tokens, ours=False)}
    found.append(Contest("TopKTokens", f"N={tokens} D={WIDTH} K={tokens // 2}", _top_k(tokens, ours=True), rivals))
    return found


if __name__ == "__main__":
    contests = [contest for tokens in TOKENS for contest in _contests(tokens)]
    run("operators", contests, NOTES, ROOT / "target" / "bench" / "ops.json")
