"""The nodes of a `ViTConfig` with each half of a block in one operator."""

from __future__ import annotations

import numpy as np

from .builder import Builder
from .operators import attention_block, mlp_block
from .operators.panels import packed
from .reductions import Tokens

__all__ = ["FusedBuilder"]


class FusedBuilder(Builder):
    """`AttentionBlock` and `MlpBlock` with float32 weights; what reduces tokens stands before or between them."""

    def _block(self, number: int, tokens: Tokens, branch: str) -> tuple[Tokens, str]:
        graph, config, reduction = self.graph, self.config, self.config.reduction(number)
        if reduction and reduction.place == "before":
            tokens = self._before(reduction, tokens)
        size = tokens.size if config.weighs_sizes(number) else ""
        index, rows = self._query_index(number)
        x, scores, projection = self._attention_half(number, tokens, size, index, rows)
        if (head_rows := self._head_rows(number)) and not index:
            x, rows = self._first(x, head_rows), head_rows
        if reduction and reduction.place == "after":
            tokens = self._reduce(reduction, tokens._replace(x=x), projection, scores)
        elif reduction and reduction.method == "sample":
            # The projection tells which rows go on, so the block computes them all.
            tokens, _ = self._select(reduction, tokens._replace(x=x), projection, size)
        elif reduction and reduction.method == "static":
            left = graph.op("GatherElements", tokens.size, index, axis=1) if tokens.size else ""
            tokens = self._left(reduction, tokens, x, index, left, "")
        else:
            tokens = tokens._replace(x=x)
        x = mlp_block.ours(graph, self._mlp_inputs(number, tokens.x), config.norm_eps)
        graph.declare(x, "float32", [1, rows or self.tokens, config.width])
        return tokens._replace(x=x), ""

    def _query_index(self, number: int) -> tuple[str, int]:
        """The rows that attention computes and their number, where they are known beforehand; "" and 0 for all."""
        config, reduction, rows = self.config, self.config.reduction(number), self._head_rows(number)
        if reduction and reduction.method == "static":
            chosen = config.static_index(reduction)
        elif rows and config.attention[number].kind != "hallucinated":  # which makes its maps of all rows
            chosen = range(rows)
        else:
            return "", 0
        return self.graph.constant(np.array([chosen], np.int64)), len(chosen)

    def _attention_half(self, number: int, tokens: Tokens, size: str, index: str, rows: int) -> tuple[str, str, str]:
        """The names of the rows after attention, and what a reduction asks for: the tokens' scores, the projection."""
        graph, config, name, reduction = self.graph, self.config, f"blocks.{number}", self.config.reduction(number)
        attention, method = config.attention[number], reduction.method if reduction else ""
        inputs = {"x": tokens.x, "query_index": index, "size": size, **self._norm(f"{name}.norm1")}
        inputs |= self._layer("qkv", f"{name}.qkv") | self._layer("proj", f"{name}.proj")
        if attention.kind == "linear":
            inputs["positions"] = tokens.positions
        inputs |= {array: self._weight(f"{name}.{array}") for array in ("mix", "dw") if f"{name}.{array}" in self.state}
        scored, softmax = bool(reduction and reduction.scored), attention.kind == "softmax"
        score = ("received" if method == "threshold" else config.score) if scored and softmax else ""
        handed_on = method in ("merge", "threshold", "sample") or (scored and not softmax)
        form = config.norm_eps, attention, config.tokens, f"{name}.attention"
        x, scores, projection = attention_block.ours(graph, inputs, config.heads, *form, score, handed_on)
        graph.declare(x, "float32", [1, rows or self.tokens, config.width])
        if projection:
            graph.declare(projection, "float32", [1, self.tokens, config.qkv_width(number)])
        if scored:
            scores = scores or self._class_scores(projection, size)
            graph.declare(scores, "float32", [1, self.tokens])
        return x, scores, projection

    def _mlp_inputs(self, number: int, x: str) -> dict[str, str]:
        name, (matrices, bias) = f"blocks.{number}", self._fc2_matrices(number)
        inputs = {"x": x, **self._norm(f"{name}.norm2"), **self._layer("fc1", f"{name}.fc1")}
        *factor, last = (self._panels(layer, matrix) for layer, matrix in matrices.items())
        return inputs | {"fc2": last, "fc2_bias": self._weight(bias)} | ({"fc2_u": factor[0]} if factor else {})

    def _norm(self, name: str) -> dict[str, str]:
        return {f"norm_{array}": self._weight(f"{name}.{array}") for array in ("weight", "bias")}

    def _layer(self, slot: str, name: str) -> dict[str, str]:
        matrix, bias = self.state[f"{name}.weight"], self._weight(f"{name}.bias")
        return {slot: self._panels(name, matrix), f"{slot}_bias": bias}

    def _panels(self, name: str, matrix: np.ndarray) -> str:
        return self.graph.constant(packed(matrix, "float32")[0], f"{name}.weight")
