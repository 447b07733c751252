"""The float64 references against loops, closed forms and PyTorch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from coppice_export.config import Attention
from coppice_export.operators import linear_attention, token_attention, token_scores, top_k_tokens

# Sums of at most 40 float64 products of magnitude 10: 40 * 10 * 2^-53 is below 1e-13.
EXACT = {"rtol": 0, "atol": 1e-12}
FORMS = list(itertools.product(("relu", "elu1"), ("none", "cos1d"), ("none", "sqrt_d", "row_sum")))


def _qkv(batch: int, tokens: int, heads: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, tokens, 3 * heads * dim))


def _head(qkv: np.ndarray, part: int, heads: int, head: int) -> np.ndarray:
    """q (part 0), k or v of one head and one batch entry: (tokens, dim)."""
    dim = qkv.shape[1] // (3 * heads)
    start = part * heads * dim + head * dim
    return qkv[:, start : start + dim]


def _feature(value: float, kind: str) -> float:
    if kind == "relu":
        return value if value > 0 else 0.0
    return value + 1 if value >= 0 else math.exp(value)


def _linear_loop(qkv, heads, feature_map, reweight, normalize, length, positions, size) -> np.ndarray:
    """y of one batch entry by the contract's formula, one weight at a time."""
    tokens, dim = len(qkv), qkv.shape[1] // (3 * heads)
    y = np.zeros((tokens, heads * dim))
    for h in range(heads):
        q, k, v = (_head(qkv, part, heads, h) for part in range(3))
        for i in range(tokens):
            total, row = 0.0, np.zeros(dim)
            for j in range(tokens):
                weight = sum(_feature(a, feature_map) * _feature(b, feature_map) for a, b in zip(q[i], k[j]))
                if reweight == "cos1d":
                    weight *= math.cos(math.pi * (positions[i] - positions[j]) / (2 * length))
                weight *= size[j]
                total, row = total + weight, row + weight * v[j]
            divisor = {"none": 1, "sqrt_d": math.sqrt(dim), "row_sum": max(total, 1e-6)}[normalize]
            y[i, h * dim : (h + 1) * dim] = row / divisor
    return y


@pytest.mark.parametrize(("feature_map", "reweight", "normalize"), FORMS)
def test_linear_attention_equals_its_formula(feature_map, reweight, normalize):
    """Every form, with positions and sizes, equals a loop over single weights."""
    qkv, positions, size = _qkv(2, 7, 2, 3), np.array([[0, 2, 3, 5, 8, 9, 11]] * 2), np.arange(1.0, 8)
    form = Attention("linear", feature_map, reweight, normalize)
    y = linear_attention.reference(qkv, 2, form, 12, positions=positions, size=np.array([size] * 2))
    loops = [_linear_loop(b, 2, feature_map, reweight, normalize, 12, positions[0], size) for b in qkv]
    np.testing.assert_allclose(y, loops, **EXACT)


def test_sharpened_features_keep_the_norm_of_the_token():
    """Cubed features of a token have the norm, over all heads, that its ReLU features had (FLatten)."""
    q = np.random.default_rng(3).standard_normal((1, 2, 1, 5))
    cubed = linear_attention._features(q, "relu_pow3")
    assert np.linalg.norm(cubed) == pytest.approx(np.linalg.norm(np.maximum(q, 0)), rel=1e-12)
    largest = np.maximum(q, 0).max()
    np.testing.assert_allclose(cubed / cubed.max(), np.maximum(q / largest, 0) ** 3, **EXACT)


@pytest.mark.parametrize("prefix", [0, 1])
def test_grid_reweighting_equals_its_formula(prefix):
    """cos2d weighs patches by the product of two cosines; prefix tokens weigh 1."""
    tokens, grid = prefix + 6, 4
    qkv = _qkv(1, tokens, 1, 3)
    positions = np.concatenate([np.arange(prefix), prefix + np.array([0, 3, 5, 6, 10, 15])])
    form = Attention("linear", "elu1", "cos2d", "none", grid=grid, prefix_tokens=prefix)
    y = linear_attention.reference(qkv, 1, form, positions=positions[None])[0]
    for i, j in itertools.product(range(tokens), range(3)):
        total = 0.0
        for other in range(tokens):
            weight = sum(_feature(a, "elu1") * _feature(b, "elu1") for a, b in zip(qkv[0, i, :3], qkv[0, other, 3:6]))
            if i >= prefix and other >= prefix:
                a, b = divmod(int(positions[i]) - prefix, grid), divmod(int(positions[other]) - prefix, grid)
                weight *= math.prod(math.cos(math.pi * (m - n) / (2 * grid)) for m, n in zip(a, b))
            total += weight * qkv[0, other, 6 + j]
        assert y[i, j] == pytest.approx(total, abs=1e-12)


def test_waves_of_bfloat16_know_every_place():
    """Places above 256 are not all numbers of bfloat16; the factors are off by their own rounding alone, 2**-9."""
    places = torch.arange(1025)[None]
    exact, _ = linear_attention._torch_waves(Attention("linear", reweight="cos1d"), 1025, places, torch.float64)
    found, _ = linear_attention._torch_waves(Attention("linear", reweight="cos1d"), 1025, places, torch.bfloat16)
    # The angle in float32 adds 3 roundings of at most pi / 2.
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2**-9 + 3 * 2**-24 * math.pi / 2)


def test_linear_attention_of_equal_values_gives_that_value():
    """A weighted mean of one value is this value, whatever the weights are."""
    qkv = _qkv(1, 9, 2, 4)
    qkv[:, :, 16:] = np.arange(8)
    y = linear_attention.reference(qkv, 2, Attention("linear", "elu1", "cos1d"))
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(8.0), (1, 9, 8)), **EXACT)


@pytest.mark.parametrize(("mode", "expected"), [("clamp", 0.0), ("add", 0.0)])
def test_linear_attention_without_weight_gives_zero(mode, expected):
    """Negative queries have no ReLU feature: the sum of no weight is zero, not a division by zero."""
    qkv = -np.abs(_qkv(1, 5, 1, 4))
    y = linear_attention.reference(qkv, 1, Attention("linear", "relu"), eps_mode=mode)
    np.testing.assert_array_equal(y, np.full((1, 5, 4), expected))


@pytest.mark.parametrize(
    ("query", "mode", "expected"),
    [(2.0, "clamp", 5.0), (2.0, "add", 5 * 6 / 6.5), (0.1, "clamp", 5 * 0.3 / 0.5), (0.1, "add", 5 * 0.3 / 0.8)],
)
def test_linear_attention_adds_or_clamps_epsilon(query, mode, expected):
    """One token with query q, key 3 and value 5 has the weight 3q; epsilon is 0.5."""
    qkv = np.array([[[query, 3.0, 5.0]]])
    y = linear_attention.reference(qkv, 1, Attention("linear", "relu", eps=0.5), eps_mode=mode)
    assert y.item() == pytest.approx(expected, abs=1e-12)


def test_linear_attention_takes_rows_by_query_index():
    """Row m of the output is the row of the token that the index names."""
    qkv, index = _qkv(2, 6, 2, 3), np.array([[5, 0, 5], [1, 2, 3]])
    form = Attention("linear", reweight="cos1d")
    y, full = linear_attention.reference(qkv, 2, form, query_index=index), linear_attention.reference(qkv, 2, form)
    np.testing.assert_array_equal(y, [full[0, [5, 0, 5]], full[1, [1, 2, 3]]])


def test_token_attention_equals_scaled_dot_product_attention():
    """The reference equals PyTorch's own attention in float64."""
    qkv = _qkv(2, 11, 3, 5)
    q, k, v = (torch.from_numpy(qkv).reshape(2, 11, 3, 3, 5)[:, :, i].transpose(1, 2) for i in range(3))
    expected = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 11, 15)
    np.testing.assert_allclose(token_attention.reference(qkv, 3)[0], expected, **EXACT)


def test_received_attention_is_the_mean_over_rows_and_heads():
    """Without a query index the received scores of a sequence sum to 1; of one row they are its attention."""
    qkv = _qkv(1, 7, 2, 3)
    assert token_attention.reference(qkv, 2, score="received")[1].sum() == pytest.approx(1, abs=1e-12)
    first = np.zeros((1, 1), np.int64)
    scores = token_attention.reference(qkv, 2, query_index=first, score="received")[1]
    np.testing.assert_allclose(scores, token_attention.reference(qkv, 2)[1], **EXACT)


def test_value_norm_multiplies_the_class_row():
    """cls_value_norm is the class row times the norm of all of a token's values."""
    qkv = _qkv(1, 7, 2, 3)
    expected = token_attention.reference(qkv, 2)[1] * np.sqrt((qkv[:, :, 12:] ** 2).sum(-1))
    np.testing.assert_allclose(token_attention.reference(qkv, 2, score="cls_value_norm")[1], expected, **EXACT)


def test_token_attention_takes_a_scale_of_its_own():
    """A scale of 0.25 equals PyTorch's attention with that scale."""
    qkv = _qkv(1, 6, 1, 4)
    q, k, v = torch.from_numpy(qkv).split(4, -1)
    expected = F.scaled_dot_product_attention(q, k, v, scale=0.25)
    np.testing.assert_allclose(token_attention.reference(qkv, 1, scale=0.25)[0], expected, **EXACT)


def test_size_counts_a_key_several_times():
    """Attention with sizes equals attention over keys that are repeated as often; a score is the sum of its copies."""
    qkv, size = _qkv(1, 4, 2, 3), np.array([1, 3, 1, 2])
    y, scores = token_attention.reference(qkv, 2, size=size[None])
    repeated, single = token_attention.reference(np.repeat(qkv, size, 1), 2)
    np.testing.assert_allclose(y, repeated[:, [0, 1, 4, 5]], **EXACT)
    np.testing.assert_allclose(scores, np.add.reduceat(single, [0, 1, 4, 5], 1), **EXACT)


def _scores_loop(qkv, heads, size, source, value_norm, renormalise, prefix) -> np.ndarray:
    """Scores of one batch entry by the contract's words."""
    tokens, dim = len(qkv), qkv.shape[1] // (3 * heads)
    rows = []
    for h in range(heads):
        q, k = _head(qkv, 0, heads, h), _head(qkv, 1, heads, h)
        pairs = [(q[0], k[j]) if source == "cls_row" else (q[j], k[0]) for j in range(tokens)]
        weights = [s * math.exp(sum(a * b for a, b in zip(*pair)) / math.sqrt(dim)) for s, pair in zip(size, pairs)]
        row = np.array([w / sum(weights) for w in weights])
        rows.append(row / sum(row[prefix:]) if renormalise == "per_head" else row)
    scores = sum(rows) / heads
    if value_norm:
        values = [[x for h in range(heads) for x in _head(qkv, 2, heads, h)[j]] for j in range(tokens)]
        scores = scores * [math.sqrt(sum(x * x for x in value)) for value in values]
    return scores / sum(scores[prefix:]) if renormalise == "total" else scores


@pytest.mark.parametrize("renormalise", ["none", "per_head", "total"])
@pytest.mark.parametrize("value_norm", [False, True])
@pytest.mark.parametrize("source", ["cls_row", "cls_col"])
def test_token_scores_equal_their_formula(source, value_norm, renormalise):
    """Every form equals a loop over single weights, with two prefix tokens and sizes."""
    qkv, size = _qkv(2, 6, 2, 3), np.array([1.0, 2, 1, 3, 1, 5])
    scores = token_scores.reference(qkv, 2, np.array([size] * 2), source, value_norm, renormalise, prefix=2)
    loops = [_scores_loop(b, 2, size, source, value_norm, renormalise, 2) for b in qkv]
    np.testing.assert_allclose(scores, loops, **EXACT)


def test_scores_of_token_attention_are_the_class_row():
    """The scores are the class token's weights, averaged over the heads."""
    qkv, size = _qkv(2, 6, 2, 3), np.array([1.0, 2, 1, 3, 1, 5])
    _, scores = token_attention.reference(qkv, 2, size=np.array([size] * 2))
    loops = [_scores_loop(b, 2, size, "cls_row", False, "none", 1) for b in qkv]
    np.testing.assert_allclose(scores, loops, **EXACT)


@pytest.mark.parametrize("count", [0, 1, 7, 15, 16])
def test_top_k_equals_torch_for_distinct_scores(count):
    """The kept tokens are those of torch.topk, in raster order behind the class token."""
    scores = np.random.default_rng(3).random((2, 17))
    expected = torch.topk(torch.from_numpy(scores[:, 1:]), count).indices.sort(1).values + 1
    np.testing.assert_array_equal(top_k_tokens.reference(scores, count)[0][:, 1:], expected)


@pytest.mark.parametrize(
    ("scores", "count", "kept"),
    [
        ([9, 1, 2, 2, 2], 2, [0, 2, 3]),
        ([9, 1, 1, 1, 1], 3, [0, 1, 2, 3]),
        ([0, -0.0, 0.0, -1, 5], 2, [0, 1, 4]),
        ([9, math.nan, 1, math.nan, -math.inf], 2, [0, 2, 4]),
        ([9, math.nan, 1, math.nan, -math.inf], 3, [0, 1, 2, 4]),
        ([math.nan, math.inf, 1, 2, math.inf], 2, [0, 1, 4]),
    ],
    ids=["ties", "all-equal", "signed-zeros", "nan-last", "nan-by-index", "infinities"],
)
def test_top_k_breaks_ties_by_index_and_puts_nan_last(scores, count, kept):
    """Equal scores keep the lower index; a score that is no number is kept last."""
    assert top_k_tokens.reference(np.array([scores]), count)[0].tolist() == [kept]


def test_fused_row_is_the_weighted_mean_of_what_was_pruned():
    """Scores 1 and 3 give a quarter and three quarters; the sizes of the pruned tokens add up."""
    scores, x = np.array([[9.0, 1, 5, 3]]), np.array([[[0.0], [4.0], [7.0], [8.0]]])
    index, y, size = top_k_tokens.reference(scores, 1, x, np.array([[1.0, 2, 3, 4]]), fuse_pruned=True)
    assert (index.tolist(), y[0, :, 0].tolist(), size.tolist()) == ([[0, 2]], [0, 7, 7], [[1, 3, 6]])


@pytest.mark.parametrize(("normalise", "fused"), [(True, 6.0), (False, 0.0)])
def test_fused_row_of_scores_that_sum_to_zero(normalise, fused):
    """Without any score the fused token is the plain mean, or zero as a plain sum."""
    x = np.array([[[0.0], [4.0], [8.0]]])
    _, y, _ = top_k_tokens.reference(np.zeros((1, 3)), 0, x, fuse_pruned=True, normalize_fused=normalise)
    assert y[0, :, 0].tolist() == [0, fused]


def test_fused_row_is_left_out_when_nothing_was_pruned():
    """Keeping every patch adds no token."""
    _, y, _ = top_k_tokens.reference(np.ones((1, 4)), 3, np.ones((1, 4, 2)), fuse_pruned=True)
    assert y.shape == (1, 4, 2)
