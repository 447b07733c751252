"""Each operator four ways: our node, stock nodes, PyTorch and float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from coppice_export.check import session
from coppice_export.config import Attention
from coppice_export.graph import Graph
from coppice_export.operators import linear_attention, token_attention, token_scores, top_k_tokens

HEADS, DIM = 3, 8
WIDTH = HEADS * DIM
TOKENS = (1, 2, 7, 17, 101)
FACES = ("ours", "stock", "torch")
FORMS = {
    "relu": Attention("linear", "relu"),
    "elu1": Attention("linear", "elu1"),
    "elu1-cos1d": Attention("linear", "elu1", "cos1d"),
    "relu-cos1d-sqrt_d": Attention("linear", "relu", "cos1d", "sqrt_d"),
    "elu1-none": Attention("linear", "elu1", normalize="none"),
    "relu_pow3": Attention("linear", "relu_pow3"),
    "relu_pow3-sqrt_d": Attention("linear", "relu_pow3", normalize="sqrt_d"),
    "elu1-cos2d": Attention("linear", "elu1", "cos2d", grid=15),
    "relu-cos2d-no-prefix": Attention("linear", "relu", "cos2d", grid=15, prefix_tokens=0),
}
STOCK_FORMS = ("relu", "elu1", "elu1-cos1d", "relu-cos1d-sqrt_d", "elu1-none")


def _tolerance(expected: np.ndarray, terms: int) -> float:
    """`terms` float32 roundings of 2^-24, and as many again for the divisor, of values as large as the output."""
    return 2 * terms * 2**-24 * max(1.0, float(np.abs(expected).max()))


def _qkv(tokens: int) -> np.ndarray:
    return np.random.default_rng(tokens).standard_normal((1, tokens, 3 * WIDTH)).astype(np.float32)


def _run(graph: Graph, outputs: dict[str, list], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    for name, shape in outputs.items():
        graph.output(name, "float32", shape)
    return session(graph.model().SerializeToString()).run(list(outputs), feeds)


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize(
    ("face", "name"), [*itertools.product(("ours", "torch"), FORMS), *itertools.product(("stock",), STOCK_FORMS)]
)
def test_linear_attention_equals_its_reference(face, name, tokens):
    """Every face gives the float64 reference's rows, at positions with gaps."""
    form = FORMS[name]
    qkv, length = _qkv(tokens), 2 * tokens
    positions = np.sort(np.random.default_rng(1).choice(length, tokens, replace=False))[None]
    expected = linear_attention.reference(qkv, HEADS, form, length, positions=positions)
    if face == "torch":
        y = linear_attention.torch_face(torch.from_numpy(qkv), HEADS, form, length, torch.from_numpy(positions))
    else:
        graph = Graph("test")
        graph.input("qkv", "float32", list(qkv.shape))
        graph.input("positions", "int64", list(positions.shape))
        if face == "ours":
            name = linear_attention.ours(graph, "qkv", HEADS, form, length, "positions")
        else:
            name = linear_attention.stock(graph, "qkv", HEADS, WIDTH, form, length, "positions")
        (y,) = _run(graph, {name: [1, tokens, WIDTH]}, {"qkv": qkv, "positions": positions})
    # A cosine weight is rounded against its largest term: features of magnitude 4, DIM products of them, `tokens` keys.
    np.testing.assert_allclose(y, expected, rtol=0, atol=_tolerance(expected, tokens + 4 * DIM))


@pytest.mark.parametrize("name", sorted(FORMS.keys() - set(STOCK_FORMS)))
def test_stock_graph_refuses_what_it_does_not_have(name):
    """A form without a stock graph is refused by name."""
    with pytest.raises(ValueError, match=f"no stock graph of {FORMS[name].feature_map}"):
        linear_attention.stock(Graph("test"), "qkv", HEADS, WIDTH, FORMS[name], 17)


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize(
    ("face", "score"),
    [("stock", "cls"), *itertools.product(("ours", "torch"), ("cls", "cls_value_norm", "received"))],
)
def test_token_attention_equals_its_reference(face, score, tokens):
    """Every face gives the float64 reference's rows and scores; the stock graph has those of the class token."""
    qkv = _qkv(tokens)
    expected_y, expected_scores = token_attention.reference(qkv, HEADS, score=score)
    if face == "torch":
        y, scores = token_attention.torch_face(torch.from_numpy(qkv), HEADS, score)
    else:
        graph = Graph("test")
        graph.input("qkv", "float32", list(qkv.shape))
        if face == "ours":
            names = token_attention.ours(graph, "qkv", HEADS, scores=True, score=score)
        else:
            names = token_attention.stock(graph, "qkv", HEADS, WIDTH, scores=True)
        y, scores = _run(graph, dict(zip(names, ([1, tokens, WIDTH], [1, tokens]))), {"qkv": qkv})
    np.testing.assert_allclose(y, expected_y, rtol=0, atol=_tolerance(expected_y, tokens + 4 * DIM))
    np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=_tolerance(expected_scores, 4 * DIM))


@pytest.mark.parametrize("form", ["none", "per_head", "value_norm"])
@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("face", FACES)
def test_token_scores_equal_their_reference(face, sized, form):
    """Every face gives the class token's row, of tokens with and without sizes."""
    qkv, sizes = _qkv(17), np.random.default_rng(1).integers(1, 5, (1, 17)).astype(np.float32) if sized else None
    value_norm, per_head = form == "value_norm", form == "per_head"
    options = {"value_norm": value_norm, "renormalise": "per_head" if per_head else "none"}
    expected = token_scores.reference(qkv, HEADS, sizes, **options)
    if face == "torch":
        size = torch.from_numpy(sizes) if sized else None
        found = token_scores.torch_face(torch.from_numpy(qkv), HEADS, size, **options)
    else:
        graph = Graph("test")
        graph.input("qkv", "float32", list(qkv.shape))
        size = graph.input("size", "float32", [1, 17]) if sized else ""
        if face == "ours":
            name = token_scores.ours(graph, "qkv", HEADS, size, **options | {"value_norm": int(value_norm)})
        else:
            name = token_scores.stock(graph, "qkv", HEADS, HEADS * DIM, 1, size, value_norm, per_head)
        (found,) = _run(graph, {name: [1, 17]}, {"qkv": qkv} | ({"size": sizes} if sized else {}))
    np.testing.assert_allclose(found, expected, rtol=0, atol=_tolerance(expected, 4 * DIM))


def test_token_scores_equal_those_of_token_attention():
    """The scores without the attention are those with it."""
    qkv = _qkv(17)
    graph = Graph("test")
    graph.input("qkv", "float32", list(qkv.shape))
    names = [token_scores.ours(graph, "qkv", HEADS), token_attention.ours(graph, "qkv", HEADS, scores=True)[1]]
    alone, beside = _run(graph, {name: [1, 17] for name in names}, {"qkv": qkv})
    np.testing.assert_allclose(alone, beside, rtol=0, atol=_tolerance(beside, 4 * DIM))


@pytest.mark.parametrize("count", [0, 1, 8, 15, 16])
@pytest.mark.parametrize("face", FACES)
def test_top_k_tokens_equals_its_reference(face, count):
    """Every face keeps the same tokens in raster order, and copies their rows."""
    rng = np.random.default_rng(count)
    scores, x = rng.random((1, 17), np.float32), rng.standard_normal((1, 17, 5)).astype(np.float32)
    expected_index, expected_y, _ = top_k_tokens.reference(scores, count, x)
    if face == "torch":
        index, y = top_k_tokens.torch_face(torch.from_numpy(scores), count, torch.from_numpy(x))
    else:
        graph = Graph("test")
        graph.input("scores", "float32", [1, 17])
        graph.input("count", "int64", [1])
        graph.input("x", "float32", [1, 17, 5])
        if face == "ours":
            names = top_k_tokens.ours(graph, "scores", "count", "x", 1)[:2]
        else:
            names = top_k_tokens.stock(graph, "scores", "count", "x", 1)[:2]
        graph.output(names[0], "int64", [1, "kept"])
        graph.output(names[1], "float32", [1, "kept", 5])
        feeds = {"scores": scores, "count": np.array([count]), "x": x}
        index, y = session(graph.model().SerializeToString()).run(list(names), feeds)
    np.testing.assert_array_equal(index, expected_index)
    np.testing.assert_array_equal(y, expected_y.astype(np.float32))


@pytest.mark.parametrize("count", [0, 6, 15, 16])
def test_fused_token_of_torch_equals_its_reference(count):
    """PyTorch appends the same weighted mean of the pruned tokens, and none when nothing was pruned."""
    rng = np.random.default_rng(count)
    scores, x = rng.random((2, 17), np.float32), rng.standard_normal((2, 17, 5)).astype(np.float32)
    _, expected, _ = top_k_tokens.reference(scores, count, x, fuse_pruned=True)
    _, y = top_k_tokens.torch_face(torch.from_numpy(scores), count, torch.from_numpy(x), fuse="mean")
    np.testing.assert_allclose(y, expected, rtol=0, atol=_tolerance(expected, 17))


def test_tolerance_goes_red_when_one_key_is_left_out():
    """One key of 101 left out is far beyond the tolerance."""
    qkv = _qkv(101)
    expected = linear_attention.reference(qkv, HEADS, FORMS["elu1"])
    without_last = linear_attention.reference(qkv[:, :-1], HEADS, FORMS["elu1"])
    assert np.abs(without_last - expected[:, :-1]).max() > 10 * _tolerance(expected, 101 + 4 * DIM)
