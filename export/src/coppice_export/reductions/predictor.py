"""Keeps the patch tokens that a small learned network scores highest, before the block (DynamicViT at inference).

The network sees half of a token's embedding and, for the other half, its mean over all patches. Its two outputs are
the logits of keeping and dropping; their difference ranks as the probability of keeping does.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from ..config import Reduction, ViTConfig
from ..graph import Graph
from ..operators import top_k_tokens
from .tokens import Tokens

__all__ = ["NORM_EPS", "graph_face", "own_names", "shapes", "torch_face"]

NORM_EPS = 1e-5
_LAYERS = {"in_conv.0": "norm", "in_conv.1": "embed", "out_conv.0": "fc1", "out_conv.2": "fc2", "out_conv.4": "fc3"}
_PUBLISHED = re.compile(r"score_predictor\.(\d+)\.(in_conv\.[01]|out_conv\.[024])\.(weight|bias)")


def shapes(config: ViTConfig) -> dict[str, tuple[int, ...]]:
    """The arrays of one predictor by name."""
    width = config.width
    matrices = {"embed": (width, width), "fc1": (width // 2, width), "fc2": (width // 4, width // 2)}
    matrices["fc3"] = (2, width // 4)
    found = {"norm.weight": (width,), "norm.bias": (width,)}
    for name, shape in matrices.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def own_names(arrays: dict[str, np.ndarray], config: ViTConfig) -> dict[str, np.ndarray]:
    """Arrays of published models under our names: their i-th predictor is that of the i-th block that has one."""
    blocks = [reduction.block for reduction in config.reductions if reduction.method == "predictor"]
    result = {}
    for name, array in arrays.items():
        match = _PUBLISHED.fullmatch(name)
        if match and int(match[1]) < len(blocks):
            name = f"blocks.{blocks[int(match[1])]}.predictor.{_LAYERS[match[2]]}.{match[3]}"
        result[name] = array
    return result


def torch_face(reduction: Reduction, config: ViTConfig, tokens: Tokens, layers, count: int):
    """layers: module with norm, embed and fc1 to fc3; count: patch tokens to keep -> x, index, size."""
    import torch
    from torch.nn import functional as F

    prefix, half = config.prefix_tokens, config.width // 2
    h = F.gelu(layers.embed(layers.norm(tokens.x[:, prefix:])))
    mean = h[:, :, half:].mean(1, keepdim=True).expand(-1, h.shape[1], -1)
    h = F.gelu(layers.fc2(F.gelu(layers.fc1(torch.cat([h[:, :, :half], mean], 2)))))
    logits = layers.fc3(h)
    scores = F.pad(logits[:, :, 0] - logits[:, :, 1], (prefix, 0))
    index, x = top_k_tokens.torch_face(scores, count, tokens.x, prefix)
    return x, index, None if tokens.size is None else tokens.size.gather(1, index)


def graph_face(
    graph: Graph,
    reduction: Reduction,
    config: ViTConfig,
    ours: bool,
    tokens: Tokens,
    count: str,
    array: Callable[[str], np.ndarray],
) -> tuple[str, str, str]:
    """The names of x, index and size. array: the weights by name; count: shape [1]."""
    prefix, half, name = config.prefix_tokens, config.width // 2, f"blocks.{reduction.block}.predictor"

    def constant(values: np.ndarray, what: str) -> str:
        return graph.constant(np.ascontiguousarray(values), f"{name}.{what}")

    def linear(x: str, layer: str) -> str:
        product = graph.op("MatMul", x, constant(array(f"{layer}.weight").T, f"{layer}.weight"))
        return graph.op("Gelu", graph.op("Add", product, constant(array(f"{layer}.bias"), f"{layer}.bias")))

    end, one = graph.integers(np.iinfo(np.int64).max), graph.integers(1)
    patches = graph.op("Slice", tokens.x, graph.integers(prefix), end, one) if prefix else tokens.x
    norm = (constant(array(f"norm.{part}"), f"norm.{part}") for part in ("weight", "bias"))
    h = linear(graph.op("LayerNormalization", patches, *norm, axis=-1, epsilon=NORM_EPS), "embed")
    local, shared = graph.op("Split", h, graph.integers(half, config.width - half), outputs=2, axis=2)
    # The mean is the same for every token, so its part of the product is made once.
    weight = array("fc1.weight").T
    shared = graph.op("ReduceMean", shared, one, keepdims=1)
    shared = graph.op("MatMul", shared, constant(weight[half:], "fc1.shared"))
    shared = graph.op("Add", shared, constant(array("fc1.bias"), "fc1.bias"))
    h = graph.op("Gelu", graph.op("Add", graph.op("MatMul", local, constant(weight[:half], "fc1.local")), shared))
    keep, drop = array("fc3.weight")
    difference = graph.op("MatMul", linear(h, "fc2"), constant((keep - drop)[:, None], "fc3.difference"))
    scores = graph.op("Squeeze", difference, graph.integers(2))
    if prefix:
        scores = graph.op("Concat", graph.constant(np.zeros((1, prefix), np.float32)), scores, axis=1)
    face = top_k_tokens.ours if ours else top_k_tokens.stock
    index, x, size = face(graph, scores, count, tokens.x, prefix, size=tokens.size)
    return x, index, size
