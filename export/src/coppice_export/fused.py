"""The nodes of a `ViTConfig` with each block, or each half of one, in one operator."""

from __future__ import annotations

import numpy as np

from .builder import Builder
from .config import Reduction
from .operators import attention_block, encoder_block, mlp_block
from .operators.panels import packed
from .reductions import METHODS, Tokens, merge

__all__ = ["FusedBuilder"]


# What a selection inside a block gives beside its rows.
_ASKED = {
    "top_k": ("index", "kept_size"),
    "sample": ("index",),
    "merge": ("kept_size", "group"),
    "prune_merge": ("index", "kept_size"),
}


class FusedBuilder(Builder):
    """`EncoderBlock` with float32 weights, or `AttentionBlock` and `MlpBlock` where something stands between them that
    the whole block has not."""

    def _block(self, number: int, tokens: Tokens, branch: str) -> tuple[Tokens, str]:
        graph, config, reduction = self.graph, self.config, self.config.reduction(number)
        if reduction and reduction.place == "before":
            tokens = self._before(reduction, tokens)
        size = tokens.size if config.weighs_sizes(number) else ""
        index, rows = self._query_index(number)
        if self._is_whole(number, tokens, size, index):
            return self._whole(number, tokens, size, index, rows), ""
        x, scores, projection = self._attention_half(number, tokens, size, index, rows)
        if (head_rows := self._head_rows(number)) and not index:
            x, rows = self._first(x, head_rows), head_rows
        if reduction and reduction.place == "after":
            tokens = self._reduce(reduction, tokens._replace(x=x), projection, scores)
        elif reduction and reduction.method == "sample":
            # The projection tells which rows go on, so the block computes them all.
            tokens, _ = self._select(reduction, tokens._replace(x=x), projection, size)
        else:
            tokens = tokens._replace(x=x)
        x = mlp_block.ours(graph, self._mlp_inputs(number, tokens.x), config.norm_eps)
        graph.declare(x, "float32", [1, rows or self.tokens, config.width])
        return tokens._replace(x=x), ""

    def _is_whole(self, number: int, tokens: Tokens, size: str, index: str) -> bool:
        """Whether one operator does all that the block does."""
        reduction = self.config.reduction(number)
        if reduction and reduction.place != "before" and reduction.method != "static":
            # It has one input for the sizes that weigh and for those that are counted.
            return reduction.method in _ASKED and size == tokens.size
        return bool(index) or not self._head_rows(number)

    def _whole(self, number: int, tokens: Tokens, size: str, index: str, rows: int) -> Tokens:
        graph, config, reduction = self.graph, self.config, self.config.reduction(number)
        inputs = encoder_block.joined(self._attention_inputs(number, tokens, size, index), self._mlp_inputs(number, ""))
        form = config.heads, config.norm_eps, config.attention[number], config.tokens, f"blocks.{number}"
        if not reduction or reduction.method not in _ASKED:
            x = encoder_block.ours(graph, inputs, *form)["y"]
            if not reduction or reduction.method != "static":
                graph.declare(x, "float32", [1, rows or self.tokens, config.width])
                return tokens._replace(x=x)
            left = graph.op("GatherElements", tokens.size, index, axis=1) if tokens.size else ""
            return self._left(reduction, tokens, x, index, left, "")
        return self._selected(reduction, tokens, inputs, form)

    def _selected(self, reduction: Reduction, tokens: Tokens, inputs: dict[str, str], form: tuple) -> Tokens:
        """What the whole block leaves, and where it stands."""
        graph, method, left = self.graph, reduction.method, self._count(reduction)
        count = left
        if method == "merge":
            before, count = merge.merges(graph, self.config, tokens.x, left)
        select = {"select": method} | METHODS[method].in_block(reduction, self.config)
        asked = [output for output in _ASKED[method] if output != "kept_size" or reduction.merges or tokens.size]
        score = self._score(reduction)
        found = encoder_block.ours(graph, inputs | {"count": count}, *form, score, select, tuple(asked))
        index, kept = found.get("index", ""), found.get("kept_size", "")
        if method == "merge":
            index = merge.standing(graph, self.config, found["group"], before, kept)
        elif method == "sample" and tokens.size:
            kept = graph.op("GatherElements", tokens.size, index, axis=1)
        return self._left(reduction, tokens, found["y"], index, kept, left)

    def _score(self, reduction: Reduction | None) -> str:
        """What the block's softmax attention tells of each token; "" where nothing asks it."""
        if not (reduction and reduction.scored and self.config.attention[reduction.block].kind == "softmax"):
            return ""
        return "received" if reduction.method == "threshold" else self.config.score

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

    def _attention_inputs(self, number: int, tokens: Tokens, size: str, index: str) -> dict[str, str]:
        config, name = self.config, f"blocks.{number}"
        inputs = {"x": tokens.x, "query_index": index, "size": size, **self._norm(f"{name}.norm1")}
        inputs |= self._layer("qkv", f"{name}.qkv") | self._layer("proj", f"{name}.proj")
        if config.attention[number].kind == "linear":
            inputs["positions"] = tokens.positions
        made = {array: f"{name}.{array}" for array in ("mix", "dw")}
        return inputs | {array: self._weight(own) for array, own in made.items() if own in self.state}

    def _attention_half(self, number: int, tokens: Tokens, size: str, index: str, rows: int) -> tuple[str, str, str]:
        """The names of the rows after attention, and what a reduction asks for: the tokens' scores, the projection."""
        graph, config, name, reduction = self.graph, self.config, f"blocks.{number}", self.config.reduction(number)
        attention, method = config.attention[number], reduction.method if reduction else ""
        inputs, score = self._attention_inputs(number, tokens, size, index), self._score(reduction)
        scored = bool(reduction and reduction.scored)
        handed_on = method in ("merge", "threshold", "sample") or (scored and not score)
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
