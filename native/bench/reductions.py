"""What reducing tokens costs beside a slice that gives as few for nothing; writes target/bench/reductions.json.

Twelve blocks of DeiT-Tiny with random weights, 197 tokens: the graph with the reduction against the graph in which a
plain Slice stands in its place. A ratio of 1 means that the reduction is free.
"""

from __future__ import annotations

import functools

import numpy as np

from coppice_export.graph import Graph
from coppice_export.operators import merge_tokens, prune_merge_tokens, token_attention, top_k_tokens
from report import ROOT, Contest, run

HEADS, DIM, DEPTH, TOKENS = 3, 64, 12, 197
WIDTH = HEADS * DIM
MERGED = 13  # tokens a block: the schedule that ToMe publishes for DeiT
STAGES = {3: 138, 6: 97, 9: 68}  # patches left: 0.7 of the incoming ones
NOTES = {
    "free slice": "the first tokens instead of chosen ones; attention without scores",
    "stock": "the same function in stock operators",
}

Graphed = tuple[bytes, dict[str, np.ndarray]]


class _Encoder:
    """DeiT-Tiny without stem and head. reduce(block, qkv, scores, x) gives the reduced x, or x itself."""

    def __init__(self) -> None:
        self.graph = Graph("reduction")
        self.rng = np.random.default_rng(0)
        self.size = ""

    def build(self, reduce, scored: tuple[int, ...] = ()) -> bytes:
        graph, x = self.graph, self.graph.input("x", "float32", [1, TOKENS, WIDTH])
        for block in range(DEPTH):
            qkv = self._linear(self._norm(x), WIDTH, 3 * WIDTH)
            graph.declare(qkv, "float32", [1, f"tokens_{block}", 3 * WIDTH])
            y, scores = token_attention.ours(graph, qkv, HEADS, scores=block in scored)
            graph.declare(y, "float32", [1, f"tokens_{block}", WIDTH])
            x = graph.op("Add", x, self._linear(y, WIDTH, WIDTH))
            x = reduce(block, qkv, scores, x)
            graph.declare(x, "float32", [1, f"tokens_{block + 1}", WIDTH])
            hidden = graph.op("Gelu", self._linear(self._norm(x), WIDTH, 4 * WIDTH))
            x = graph.op("Add", x, self._linear(hidden, 4 * WIDTH, WIDTH))
        graph.output(x, "float32", [1, "tokens", WIDTH])
        return graph.model().SerializeToString()

    def _linear(self, x: str, width: int, out: int) -> str:
        weight = self.rng.normal(scale=width**-0.5, size=(width, out)).astype(np.float32)
        product = self.graph.op("MatMul", x, self.graph.constant(weight))
        return self.graph.op("Add", product, self.graph.constant(np.zeros(out, np.float32)))

    def _norm(self, x: str) -> str:
        ones, zeros = (self.graph.constant(np.full(WIDTH, value, np.float32)) for value in (1, 0))
        return self.graph.op("LayerNormalization", x, ones, zeros, axis=-1)

    def slice(self, x: str, tokens: str) -> str:
        return self.graph.op("Slice", x, self.graph.integers(0), tokens, self.graph.integers(1))


def _feeds(**counts: np.ndarray) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(1).normal(size=(1, TOKENS, WIDTH)).astype(np.float32)} | counts


def _staged(kind: str, chosen) -> Graphed:
    """Budgets at run time after three blocks. chosen(graph, scores, count, x): the tokens that are left."""
    encoder = _Encoder()
    graph = encoder.graph
    keep = graph.input("keep", "int64", [len(STAGES)])

    def reduce(block: int, qkv: str, scores: str, x: str) -> str:
        if block not in STAGES:
            return x
        stage = list(STAGES).index(block)
        count = graph.op("Slice", keep, graph.integers(stage), graph.integers(stage + 1), graph.integers(0))
        if kind == "free slice":
            return encoder.slice(x, graph.op("Add", count, graph.integers(1)))
        return chosen(graph, scores, count, x)

    model = encoder.build(reduce, scored=() if kind == "free slice" else tuple(STAGES))
    return model, _feeds(keep=np.array(list(STAGES.values()), np.int64))


def _top_k(kind: str) -> Graphed:
    face = top_k_tokens.stock if kind == "stock" else top_k_tokens.ours
    return _staged(kind, lambda graph, scores, count, x: face(graph, scores, count, x, prefix=1)[1])


def _prune_merge(kind: str, rank: str) -> Graphed:
    face = prune_merge_tokens.stock if kind == "stock" else prune_merge_tokens.ours
    size = ""

    def chosen(graph: Graph, scores: str, count: str, x: str) -> str:
        nonlocal size
        size = size or graph.constant(np.ones((1, TOKENS), np.float32))
        _, x, size = face(graph, scores, count, x, size, prefix=1, merge_share=1.0, rank=rank)
        return x

    return _staged(kind, chosen)


def _merge(kind: str) -> Graphed:
    encoder = _Encoder()
    graph = encoder.graph
    count = graph.input("count", "int64", [1])
    size, tokens = graph.constant(np.ones((1, TOKENS), np.float32)), TOKENS

    def reduce(block: int, qkv: str, scores: str, x: str) -> str:
        nonlocal size, tokens
        merged = min(MERGED, (tokens - 1) // 2)
        tokens -= merged
        if kind == "free slice":
            return encoder.slice(x, graph.integers(tokens))
        if kind == "stock":
            keys = graph.op("Slice", qkv, graph.integers(WIDTH), graph.integers(2 * WIDTH), graph.integers(2))
            heads = graph.op("Reshape", keys, graph.integers(1, -1, HEADS, DIM))
            metric = graph.op("ReduceMean", heads, graph.integers(2), keepdims=0)
            x, size, _ = merge_tokens.stock(graph, x, metric, graph.integers(merged), size, WIDTH, 1)
        else:
            x, size, _ = merge_tokens.ours(graph, x, qkv, count, size, 1, num_heads=HEADS)
        return x

    return encoder.build(reduce), _feeds(count=np.array([MERGED], np.int64))


def main() -> None:
    contests = []
    staged = f"N={TOKENS} to {' '.join(map(str, STAGES.values()))}"
    for name, graphed, shape in (
        ("TopKTokens, keep at run time", _top_k, staged),
        ("MergeTokens", _merge, f"N={TOKENS}, {MERGED} a block"),
        *(
            (f"PruneMergeTokens, {rank}", functools.partial(_prune_merge, rank=rank), staged)
            for rank in prune_merge_tokens.RANKS
        ),
    ):
        rivals = {rival: graphed(rival) for rival in ("free slice", "stock")}
        contests.append(Contest(f"{name}, DeiT-Tiny", shape, graphed("ours"), rivals))
    run("reductions", contests, NOTES, ROOT / "target" / "bench" / "reductions.json")


if __name__ == "__main__":
    main()
