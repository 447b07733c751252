"""Encoder blocks as AttentionBlock and MlpBlock against ONNX Runtime's own operators; writes target/bench/blocks.json.

Twelve blocks of DeiT-Tiny and DeiT-Small with random weights, at the tokens that keep 0.7 leaves: no stem, no head.
"""

from __future__ import annotations

import numpy as np

from coppice_export.graph import DOMAIN, Graph
from coppice_export.operators.panels import packed
from report import ROOT, Contest, run
from rivals import quantised

DEPTH = 12
WIDTHS = {"DeiT-Ti": 192, "DeiT-S": 384}
TOKENS = (197, 138, 97)
FORMS = {
    "float32": ("float32",),
    "float16": ("float16",),
    "int8, float attention": ("int8",),
    "int8": ("int8", "int8"),
}
NOTES = {
    "stock": "packed com.microsoft Attention, LayerNormalization, MatMul, Gelu",
    "stock int8": "that graph after ONNX Runtime's dynamic quantiser",
}

Layer = tuple[np.ndarray, np.ndarray]


class Encoder:
    """One set of weights as three graphs: ours of a precision, and stock."""

    def __init__(self, tokens: int, width: int, depth: int = DEPTH) -> None:
        rng = np.random.default_rng(0)
        shapes = ((width, 3 * width), (width, width), (width, 4 * width), (4 * width, width))
        self.tokens, self.width = tokens, width
        self.blocks: list[list[Layer]] = [
            [
                (
                    rng.normal(scale=s[0] ** -0.5, size=s).astype(np.float32),
                    rng.normal(size=s[1]).astype(np.float32) * 0.1,
                )
                for s in shapes
            ]
            for _ in range(depth)
        ]
        self.feeds = {"x": rng.normal(size=(1, tokens, width)).astype(np.float32)}

    def ours(self, precision: str, attention: str = "float32") -> bytes:
        """Layers of `precision`, the attention itself of float32 or int8."""
        graph, x = self._begin()
        norm = self._norm(graph)

        def constants(layer: Layer) -> list[str]:
            weight, bias = layer
            panels, scale = packed(weight.T, precision)
            return [graph.constant(panels), graph.constant(bias), "" if scale is None else graph.constant(scale)]

        for qkv, proj, fc1, fc2 in self.blocks:
            form = {"num_heads": self.width // 64, "attention_precision": attention}
            x = graph.op("AttentionBlock", x, *norm, *constants(qkv), *constants(proj), domain=DOMAIN, **form)
            x = graph.op("MlpBlock", x, *norm, *constants(fc1), *constants(fc2), domain=DOMAIN)
        return self._end(graph, x)

    def stock(self) -> bytes:
        graph, x = self._begin()

        def linear(x: str, layer: Layer) -> str:
            return graph.op("Add", graph.op("MatMul", x, graph.constant(layer[0])), graph.constant(layer[1]))

        def normed(x: str) -> str:
            return graph.op("LayerNormalization", x, *self._norm(graph), axis=-1, epsilon=1e-6)

        for qkv, proj, fc1, fc2 in self.blocks:
            weights = (graph.constant(qkv[0]), graph.constant(qkv[1]))
            mixed = graph.op("Attention", normed(x), *weights, domain="com.microsoft", num_heads=self.width // 64)
            x = graph.op("Add", x, linear(mixed, proj))
            x = graph.op("Add", x, linear(graph.op("Gelu", linear(normed(x), fc1)), fc2))
        return self._end(graph, x)

    def _begin(self) -> tuple[Graph, str]:
        graph = Graph("blocks")
        return graph, graph.input("x", "float32", [1, self.tokens, self.width])

    def _end(self, graph: Graph, x: str) -> bytes:
        graph.output(x, "float32", [1, self.tokens, self.width])
        return graph.model().SerializeToString()

    def _norm(self, graph: Graph) -> list[str]:
        return [graph.constant(np.full(self.width, value, np.float32)) for value in (1, 0)]


def main() -> None:
    contests = []
    for name, width in WIDTHS.items():
        for tokens in TOKENS:
            encoder = Encoder(tokens, width)
            stock, feeds = encoder.stock(), encoder.feeds
            rivals = {"stock": (stock, feeds), "stock int8": (quantised(stock), feeds)}
            shape = f"12 x [{tokens}, {width}]"
            contests += [
                Contest(f"{name} {label}", shape, (encoder.ours(*precisions), feeds), rivals)
                for label, precisions in FORMS.items()
            ]
    run("Encoder blocks", contests, NOTES, ROOT / "target" / "bench" / "blocks.json")


if __name__ == "__main__":
    main()
