"""The nodes of a `ViTConfig`: embedding, blocks, reductions and head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from .config import Reduction, ViTConfig
from .graph import Graph
from .operators import hallucinated_attention, linear_attention, token_attention, token_scores
from .reductions import METHODS, Tokens

__all__ = ["Builder"]


class Builder:
    """Separate operators: ours and ONNX's, or ONNX Runtime's own alone."""

    def __init__(self, config: ViTConfig, state: dict[str, np.ndarray], ours: bool):
        self.config, self.state, self.ours = config, state, ours
        self.graph = Graph(config.name)
        self.tokens: int | str = config.tokens  # known until a stage makes it depend on `keep`

    def build(self) -> onnx.ModelProto:
        graph, config = self.graph, self.config
        size = config.preprocessing.crop
        image = graph.input("image", "float32", [1, 3, size, size])
        if config.reduce_at:
            graph.input("keep", "int64", [len(config.reduce_at)])
        tokens, branch = Tokens(self._embed(image), "", ""), ""
        for block in range(config.depth):
            tokens, branch = self._block(block, tokens, branch)
        x = self._pooled(tokens, branch)
        graph.op("Gemm", x, self._weight("head.weight"), self._weight("head.bias"), outputs=["logits"], transB=1)
        graph.output("logits", "float32", [1, config.classes])
        return graph.model()

    def build_blocks(self, blocks: Sequence[int], side_by_side: bool) -> onnx.ModelProto:
        graph, config = self.graph, self.config
        width, self.tokens = config.width, "tokens"
        start = Tokens(graph.input("x", "float32", [1, "tokens", width]), "", "")
        if config.reduce_at:
            graph.input("keep", "int64", [len(config.reduce_at)])
        tokens, branch = start, ""
        for number, block in enumerate(blocks):
            tokens, branch = self._block(block, tokens, branch)
            if side_by_side or block == blocks[-1]:
                graph.op("Sum", *filter(None, (tokens.x, branch)), outputs=[f"y_{number}"])
                graph.output(f"y_{number}", "float32", [1, f"y_{number}_tokens", width])
            if side_by_side:
                tokens, branch, self.tokens = start, "", "tokens"
        return graph.model()

    def _pooled(self, tokens: Tokens, branch: str) -> str:
        """What the head reads: (1, pooled width)."""
        graph, config = self.graph, self.config
        if config.fc_norm:
            mean = self._patch_mean(graph.op("Add", tokens.x, branch) if branch else tokens.x, tokens.size)
            return self._add_and_norm(mean, "", "norm")[1]
        _, normed = self._add_and_norm(tokens.x, branch, "norm")
        if config.pooling == "mean":
            return self._patch_mean(normed, tokens.size)
        if config.pooling == "class_distilled":
            return graph.op("Reshape", self._first(normed, 2), graph.integers(1, config.pooled_width))
        token = graph.op("Gather", normed, graph.constant(np.array(0, np.int64)), axis=1)
        if config.pooling == "class":
            return token
        return graph.op("Concat", token, self._patch_mean(normed, tokens.size), axis=1)

    def _patch_mean(self, x: str, size: str) -> str:
        """The mean of the patch tokens, each counted as often as tokens were merged into it."""
        graph, axis = self.graph, self.graph.integers(1)
        if self.config.prefix_tokens:
            patches = [graph.integers(i) for i in (self.config.prefix_tokens, np.iinfo(np.int64).max, 1)]
            x, size = graph.op("Slice", x, *patches), graph.op("Slice", size, *patches) if size else ""
        if not size:
            return graph.op("ReduceMean", x, axis, keepdims=0)
        share = graph.op("Div", size, graph.op("ReduceSum", size, axis, keepdims=1))
        return graph.op("Squeeze", graph.op("MatMul", graph.op("Unsqueeze", share, axis), x), axis)

    def _first(self, x: str, rows: int) -> str:
        return self.graph.op("Slice", x, *(self.graph.integers(i) for i in (0, rows, 1)))

    def _weight(self, name: str) -> str:
        return self.graph.constant(self.state[name], name)

    def _linear(self, x: str, name: str) -> str:
        weight = self.graph.constant(self.state[f"{name}.weight"].T, f"{name}.weight")
        return self.graph.op("Add", self.graph.op("MatMul", x, weight), self._weight(f"{name}.bias"))

    def _add_and_norm(self, x: str, branch: str, name: str) -> tuple[str, str]:
        """x + branch (x, where the branch is empty) and its layer norm.

        In one node for our flavour: ONNX Runtime makes the same one of stock graphs, but not around operators whose
        shapes it cannot infer, and it is worth 10 % of a ViT-Tiny (AMD Zen 4, keep 0.7, 2026-11-21).
        """
        weights = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        if branch and self.ours:
            kind, epsilon = "SkipLayerNormalization", self.config.norm_eps
            outputs = [f"{name}.normed", "", "", f"{name}.sum"]
            self.graph.op(kind, x, branch, *weights, outputs=outputs, domain="com.microsoft", epsilon=epsilon)
            return outputs[3], outputs[0]
        x = self.graph.op("Add", x, branch) if branch else x
        return x, self.graph.op("LayerNormalization", x, *weights, axis=-1, epsilon=self.config.norm_eps)

    def _embed(self, image: str) -> str:
        """Stem, prefix tokens and position table: (1, tokens, width)."""
        graph, prefix = self.graph, self.config.prefix_tokens
        table = self.state["pos_embed"]
        patches = graph.op("Add", self._patches(image), graph.constant(table[:, prefix:], "pos_embed.patches"))
        if not prefix:
            return patches
        return graph.op(
            "Concat", graph.constant(self.state["cls_token"] + table[:, :prefix], "pos_embed.prefix"), patches, axis=1
        )

    def _patches(self, x: str) -> str:
        """image -> (1, patches, width)."""
        graph, config = self.graph, self.config
        for number, conv in enumerate(config.stem):
            weight, bias = self._folded(number)
            y = graph.op(
                "Conv",
                x,
                weight,
                bias,
                kernel_shape=[conv.kernel] * 2,
                strides=[conv.stride] * 2,
                pads=[conv.padding] * 4,
            )
            y = graph.op("Gelu", y) if conv.gelu else y
            x = graph.op("Add", x, y) if conv.residual else y
        x = graph.op("Reshape", x, graph.integers(1, config.width, config.patches))
        return graph.op("Transpose", x, perm=[0, 2, 1])

    def _folded(self, number: int) -> tuple[str, str]:
        """Weight and bias of a stem layer, batch norm merged in: y = gamma (Wx - mean) / sqrt(var + eps) + beta."""
        weight = self.state[f"stem.{number}.conv.weight"]
        if self.config.stem[number].norm:
            norm = {
                k: self.state[f"stem.{number}.norm.{k}"].astype(np.float64)
                for k in ("weight", "bias", "running_mean", "running_var")
            }
            factor = norm["weight"] / np.sqrt(norm["running_var"] + 1e-5)
            weight = (weight * factor[:, None, None, None]).astype(np.float32)
            bias = (norm["bias"] - factor * norm["running_mean"]).astype(np.float32)
        else:
            bias = self.state[f"stem.{number}.conv.bias"]
        return self.graph.constant(weight, f"stem.{number}.weight"), self.graph.constant(bias, f"stem.{number}.bias")

    def _block(self, number: int, tokens: Tokens, branch: str) -> tuple[Tokens, str]:
        """The tokens and the branch that the next norm adds to them, before and after the block."""
        graph, config, name = self.graph, self.config, f"blocks.{number}"
        reduction = config.reduction(number)
        place = reduction.place if reduction else ""
        if place == "before":
            x = graph.op("Add", tokens.x, branch) if branch else tokens.x
            tokens, branch = self._before(reduction, tokens._replace(x=x)), ""
        size, positions = tokens.size if config.weighs_sizes(number) else "", tokens.positions
        inside = place in ("queries", "after")
        rows = self._head_rows(number)
        x, normed = self._add_and_norm(tokens.x, branch, f"{name}.norm1")
        tokens = tokens._replace(x=x)
        plain = config.attention[number].kind == "softmax" and not (size or inside or rows)
        qkv = scores = index = ""
        if plain and not self.ours:
            weight = graph.constant(self.state[f"{name}.qkv.weight"].T, f"{name}.qkv.weight")
            y = token_attention.stock_packed(graph, normed, weight, self._weight(f"{name}.qkv.bias"), config.heads)
        else:
            qkv = self._linear(normed, f"{name}.qkv")
            if place == "queries":
                tokens, index = self._select(reduction, tokens, qkv, size)
            y, scores = self._attention(number, qkv, positions, size, rows, index)
        if rows:
            tokens = tokens._replace(x=self._first(x, rows))
        branch = self._linear(y, f"{name}.proj")
        if place == "after":
            tokens, branch = self._reduce(reduction, tokens._replace(x=graph.op("Add", x, branch)), qkv, scores), ""
        x, normed = self._add_and_norm(tokens.x, branch, f"{name}.norm2")
        hidden = graph.op("Gelu", self._linear(normed, f"{name}.fc1"))
        return tokens._replace(x=x), self._fc2(hidden, number)

    def _head_rows(self, number: int) -> int | None:
        """How many rows of the block the head reads, of the last one where it reduces nothing; None for all."""
        reduction = self.config.reduction(number)
        reduces = reduction and reduction.place != "before"
        return self.config.head_rows if number == self.config.depth - 1 and not reduces else None

    def _fc2(self, hidden: str, number: int) -> str:
        matrices, bias = self._fc2_matrices(number)
        for name, matrix in matrices.items():
            hidden = self.graph.op("MatMul", hidden, self.graph.constant(matrix.T, f"{name}.weight"))
        return self.graph.op("Add", hidden, self._weight(bias))

    def _fc2_matrices(self, number: int) -> tuple[dict[str, np.ndarray], str]:
        """The second MLP matrix by name, in the order of the product, and the name of the bias behind it.

        One, or two factors where those are fewer multiply-adds: rank * (hidden + width) < hidden * width.
        """
        config, name, rank = self.config, f"blocks.{number}.fc2", self.config.rank(number)
        if not rank:
            return {name: self.state[f"{name}.weight"]}, f"{name}.bias"
        factors = {f"{name}.{factor}": self.state[f"{name}.{factor}.weight"] for factor in "uv"}
        if rank * (config.hidden + config.width) >= config.hidden * config.width:
            u, v = (factor.astype(np.float64) for factor in factors.values())
            factors = {name: (v @ u).astype(np.float32)}
        return factors, f"{name}.v.bias"

    def _attention(
        self, number: int, qkv: str, positions: str, size: str, rows: int | None, index: str
    ) -> tuple[str, str]:
        """The first `rows` of the attention, those of `index` or all and, for a reduction that asks, tokens' scores."""
        graph, config, attention = self.graph, self.config, self.config.attention[number]
        reduction, s = config.reduction(number), ""
        scored = bool(reduction and reduction.scored)
        score = "received" if reduction and reduction.method == "threshold" else config.score
        query_index = graph.constant(np.arange(rows, dtype=np.int64)[None]) if self.ours and rows else index
        chosen = graph.op("Squeeze", index, graph.integers(0)) if index and not self.ours else ""
        if attention.kind == "linear":
            options = config.heads, attention, config.tokens, positions
            if self.ours:
                y = linear_attention.ours(graph, qkv, *options, query_index, size)
            else:
                y = linear_attention.stock(graph, qkv, config.heads, config.width, *options[1:], size, chosen)
                y = self._first(y, rows) if rows else y
            s = self._class_scores(qkv, size) if scored else ""
        elif attention.kind == "hallucinated":
            y = self._hallucinated(number, qkv)
            y = self._first(y, rows) if rows else y
        elif self.ours:
            y, s = token_attention.ours(graph, qkv, config.heads, scored, query_index, score, size)
        else:
            y, s = token_attention.stock(graph, qkv, config.heads, config.width, scored, rows, score, size, chosen)
        graph.declare(y, "float32", [1, rows or self.tokens, config.width])
        if s:
            graph.declare(s, "float32", [1, self.tokens])
        return y, s

    def _class_scores(self, qkv: str, size: str) -> str:
        """What softmax attention would give to each token, where the attention itself is linear."""
        graph, config = self.graph, self.config
        if self.ours:
            return token_scores.ours(graph, qkv, config.heads, size, prefix_tokens=config.prefix_tokens)
        return token_scores.stock(graph, qkv, config.heads, config.width, config.prefix_tokens, size)

    def _hallucinated(self, number: int, qkv: str) -> str:
        graph, heads, attention = self.graph, self.config.heads, self.config.attention[number]
        arrays = {
            array: f"blocks.{number}.{array}" for array in ("mix", "dw") if f"blocks.{number}.{array}" in self.state
        }
        form = {"stage": attention.stage, "renorm": attention.renorm, "eps": attention.eps}
        if self.ours:
            form |= {array: self._weight(name) for array, name in arrays.items()}
            return hallucinated_attention.ours(graph, qkv, heads, dw_kernel=attention.dw_kernel, **form)
        form |= {array: self.state[name] for array, name in arrays.items()}
        return hallucinated_attention.stock(graph, qkv, heads, self.config.width // heads, **form)

    def _count(self, reduction: Reduction) -> str:
        """The reduction's element of `keep`, shape [1]; empty where it has none."""
        if not reduction.has_budget:
            return ""
        stage = self.config.stages.index(reduction)
        integers = self.graph.integers
        return self.graph.op("Slice", "keep", integers(stage), integers(stage + 1), integers(0))

    def _before(self, reduction: Reduction, tokens: Tokens) -> Tokens:
        """Tokens chosen or mixed by a network of the block's own."""
        prefix = f"blocks.{reduction.block}.{'merger' if reduction.method == 'patch_merger' else 'predictor'}."
        count, face = self._count(reduction), METHODS[reduction.method].graph_face

        def array(name: str) -> np.ndarray:
            return self.state[prefix + name]

        found = face(self.graph, reduction, self.config, self.ours, tokens, count, array)
        return self._left(reduction, tokens, *found, count)

    def _select(self, reduction: Reduction, tokens: Tokens, qkv: str, size: str) -> tuple[Tokens, str]:
        """The tokens whose queries attention computes, and their numbers."""
        count, face = self._count(reduction), METHODS[reduction.method].graph_face
        x, index = face(self.graph, reduction, self.config, self.ours, tokens, qkv, size, count)
        left = self.graph.op("GatherElements", tokens.size, index, axis=1) if tokens.size else ""
        return self._left(reduction, tokens, x, index, left, count), index

    def _reduce(self, reduction: Reduction, tokens: Tokens, qkv: str, scores: str) -> Tokens:
        count, face = self._count(reduction), METHODS[reduction.method].graph_face
        found = face(self.graph, reduction, self.config, self.ours, tokens, qkv, scores, count)
        return self._left(reduction, tokens, *found, count)

    def _left(self, reduction: Reduction, tokens: Tokens, x: str, index: str, size: str, count: str) -> Tokens:
        """Declares what a reduction leaves, follows the positions, and makes the output of a stage."""
        graph, config = self.graph, self.config
        if reduction.method in ("static", "patch_merger"):  # the same for every picture
            places = reduction.places or (*range(config.prefix_tokens), *[-1] * reduction.outputs)
            self.tokens, listed = len(places), len(reduction.places) or config.prefix_tokens
            positions = graph.constant(np.array([places], np.int64))
        else:
            stage = config.stages.index(reduction) if reduction.has_budget else f"of_block_{reduction.block}"
            kept, self.tokens = f"kept_{stage}", f"tokens_{stage}"
            listed = self.tokens if reduction.varies else f"{kept}_tokens"
            positions = ""
        graph.declare(index, "int64", [1, listed])
        graph.declare(x, "float32", [1, self.tokens, config.width])
        if size:
            graph.declare(size, "float32", [1, self.tokens])
        if positions:
            return Tokens(x, positions, size)
        every = tokens.positions or graph.constant(np.arange(config.tokens, dtype=np.int64)[None])
        if reduction.varies:
            positions = graph.op("GatherElements", every, index, axis=1)
            if count:
                self._padded(positions, graph.op("Add", count, graph.integers(config.prefix_tokens)), [kept])
        else:
            positions = graph.op("GatherElements", every, index, outputs=[kept], axis=1)
        if count:
            graph.output(kept, "int64", [1, f"{kept}_tokens"])
        if reduction.fuses:
            positions = self._padded(kept, graph.op("Shape", x, start=1, end=2))
        return Tokens(x, positions, size)

    def _padded(self, positions: str, rows: str, outputs: int | list[str] = 1) -> str:
        """With -1 up to so many rows: a fused token has no place, nor has a token that is not there."""
        graph = self.graph
        missing = graph.op("Sub", rows, graph.op("Shape", positions, start=1, end=2))
        pads = graph.op("Concat", graph.integers(0, 0, 0), missing, axis=0)
        return graph.op("Pad", positions, pads, graph.constant(np.array(-1, np.int64)), outputs=outputs)
