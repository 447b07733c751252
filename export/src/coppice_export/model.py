"""A `ViTConfig` and its weights as an ONNX graph, with our operators or with stock ones only."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx

from .config import Reduction, ViTConfig
from .graph import Graph
from .operators import hallucinated_attention, linear_attention, token_attention
from .reductions import METHODS, Tokens

__all__ = ["Flavour", "build_model"]

Flavour = Literal["coppice", "stock"]


def build_model(config: ViTConfig, state: dict[str, np.ndarray], flavour: Flavour = "coppice") -> onnx.ModelProto:
    """Inputs image float32 [1,3,S,S] and, with stages, keep int64 [stages]; outputs logits and one kept_s a stage.

    The stock flavour computes the same function with ONNX Runtime's own operators: the rival in benchmarks, and a
    second opinion in checks. In both, a last block without a reduction computes only the rows that the head reads,
    which is exact.
    """
    if flavour == "stock" and any(reduction.fuses for reduction in config.reductions):
        raise ValueError("the stock flavour has no fused token; compare a model without")
    return _Builder(config, state, flavour).build()


class _Builder:
    def __init__(self, config: ViTConfig, state: dict[str, np.ndarray], flavour: Flavour):
        self.config, self.state, self.ours = config, state, flavour == "coppice"
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
        x = self._pooled(tokens.x, branch)
        graph.op("Gemm", x, self._weight("head.weight"), self._weight("head.bias"), outputs=["logits"], transB=1)
        graph.output("logits", "float32", [1, config.classes])
        return graph.model()

    def _pooled(self, x: str, branch: str) -> str:
        """What the head reads: (1, pooled width)."""
        graph, config = self.graph, self.config
        if config.fc_norm:
            return self._add_and_norm(self._patch_mean(graph.op("Add", x, branch)), "", "norm")[1]
        _, normed = self._add_and_norm(x, branch, "norm")
        if config.pooling == "mean":
            return self._patch_mean(normed)
        if config.pooling == "class_distilled":
            return graph.op("Reshape", self._first(normed, 2), graph.integers(1, config.pooled_width))
        token = graph.op("Gather", normed, graph.constant(np.array(0, np.int64)), axis=1)
        return token if config.pooling == "class" else graph.op("Concat", token, self._patch_mean(normed), axis=1)

    def _patch_mean(self, x: str) -> str:
        end, prefix = np.iinfo(np.int64).max, self.config.prefix_tokens
        x = self.graph.op("Slice", x, *(self.graph.integers(i) for i in (prefix, end, 1))) if prefix else x
        return self.graph.op("ReduceMean", x, self.graph.integers(1), keepdims=0)

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
        graph, config = self.graph, self.config
        x = image
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
        x = graph.op("Transpose", x, perm=[0, 2, 1])
        prefix = config.prefix_tokens
        table = self.state["pos_embed"]
        patches = graph.op("Add", x, graph.constant(table[:, prefix:], "pos_embed.patches"))
        if not prefix:
            return patches
        return graph.op(
            "Concat", graph.constant(self.state["cls_token"] + table[:, :prefix], "pos_embed.prefix"), patches, axis=1
        )

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
        reduction, size = config.reduction(number), tokens.size if config.weighs_sizes(number) else ""
        rows = config.head_rows if number == config.depth - 1 and not reduction else None
        x, normed = self._add_and_norm(tokens.x, branch, f"{name}.norm1")
        plain = config.attention[number].kind == "softmax" and not (size or reduction or rows)
        qkv = scores = ""
        if plain and not self.ours:
            weight = graph.constant(self.state[f"{name}.qkv.weight"].T, f"{name}.qkv.weight")
            y = token_attention.stock_packed(graph, normed, weight, self._weight(f"{name}.qkv.bias"), config.heads)
        else:
            qkv = self._linear(normed, f"{name}.qkv")
            y, scores = self._attention(number, qkv, tokens.positions, size, rows)
        if rows:
            x = self._first(x, rows)
        branch = self._linear(y, f"{name}.proj")
        tokens = tokens._replace(x=x)
        if reduction:
            tokens = self._reduce(reduction, tokens._replace(x=graph.op("Add", x, branch)), qkv, scores)
            branch = ""
        x, normed = self._add_and_norm(tokens.x, branch, f"{name}.norm2")
        hidden = graph.op("Gelu", self._linear(normed, f"{name}.fc1"))
        return tokens._replace(x=x), self._fc2(hidden, number)

    def _fc2(self, hidden: str, number: int) -> str:
        """One matrix, or two where that is fewer multiply-adds: rank * (hidden + width) < hidden * width."""
        config, name = self.config, f"blocks.{number}.fc2"
        rank = config.rank(number)
        if not rank:
            return self._linear(hidden, name)
        if rank * (config.hidden + config.width) < config.hidden * config.width:
            u = self.graph.constant(self.state[f"{name}.u.weight"].T, f"{name}.u.weight")
            return self._linear(self.graph.op("MatMul", hidden, u), f"{name}.v")
        u, v = (self.state[f"{name}.{factor}.weight"].astype(np.float64) for factor in "uv")
        weight = self.graph.constant((v @ u).T.astype(np.float32), f"{name}.weight")
        return self.graph.op("Add", self.graph.op("MatMul", hidden, weight), self._weight(f"{name}.v.bias"))

    def _attention(self, number: int, qkv: str, positions: str, size: str, rows: int | None) -> tuple[str, str]:
        """The first `rows` of the attention (None: all) and, where a reduction asks for them, the tokens' scores."""
        graph, config, attention = self.graph, self.config, self.config.attention[number]
        reduction, s = config.reduction(number), ""
        scored = bool(reduction and reduction.scored)
        query_index = graph.constant(np.arange(rows, dtype=np.int64)[None]) if self.ours and rows else ""
        if attention.kind == "linear":
            options = config.heads, attention, config.tokens, positions
            if self.ours:
                y = linear_attention.ours(graph, qkv, *options, query_index, size)
            else:
                y = linear_attention.stock(graph, qkv, config.heads, config.width, *options[1:], size)
                if rows:
                    y = self._first(y, rows)
        elif attention.kind == "hallucinated":
            y = self._hallucinated(number, qkv)
            if rows:
                y = self._first(y, rows)
        elif self.ours:
            y, s = token_attention.ours(graph, qkv, config.heads, scored, query_index, config.score, size)
        else:
            y, s = token_attention.stock(graph, qkv, config.heads, config.width, scored, rows, config.score, size)
        graph.declare(y, "float32", [1, rows or self.tokens, config.width])
        if s:
            graph.declare(s, "float32", [1, self.tokens])
        return y, s

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

    def _reduce(self, reduction: Reduction, tokens: Tokens, qkv: str, scores: str) -> Tokens:
        graph, config = self.graph, self.config
        stage = config.reductions.index(reduction)
        count = graph.op("Slice", "keep", graph.integers(stage), graph.integers(stage + 1), graph.integers(0))
        face = METHODS[reduction.method].graph_face
        x, index, size = face(graph, reduction, config, self.ours, tokens, qkv, scores, count)
        kept = f"kept_{stage}"
        self.tokens = f"tokens_{stage}"
        graph.declare(index, "int64", [1, f"{kept}_tokens"])
        graph.declare(x, "float32", [1, self.tokens, config.width])
        if size:
            graph.declare(size, "float32", [1, self.tokens])
        positions = tokens.positions or graph.constant(np.arange(config.tokens, dtype=np.int64)[None])
        graph.op("GatherElements", positions, index, outputs=[kept], axis=1)
        graph.output(kept, "int64", [1, f"{kept}_tokens"])
        return Tokens(x, self._with_fused_position(kept, x) if reduction.fuses else kept, size)

    def _with_fused_position(self, kept: str, x: str) -> str:
        """The positions of all rows of x: those kept, and -1 for the row that stands for the pruned ones, if any."""
        graph = self.graph
        rows = graph.op("Slice", graph.op("Shape", x), graph.integers(1), graph.integers(2))
        missing = graph.op(
            "Sub", rows, graph.op("Slice", graph.op("Shape", kept), graph.integers(1), graph.integers(2))
        )
        pads = graph.op("Concat", graph.integers(0, 0, 0), missing, axis=0)
        return graph.op("Pad", kept, pads, graph.constant(np.array(-1, np.int64)))
