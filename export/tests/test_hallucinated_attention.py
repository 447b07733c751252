"""Attention with made maps four ways: our node, stock nodes, PyTorch and float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coppice_export.check import session
from coppice_export.graph import Graph
from coppice_export.operators import hallucinated_attention, token_attention

DIM = 8
HEADS = ((1, 2), (2, 3), (3, 3))  # computed, made
TOKENS = (1, 2, 25, 53)
FORMS = {
    "mix": {},
    "mix-conv": {"dw_kernel": 3},
    "conv-only": {"dw_kernel": 3, "mix": False},
    "factor": {"dw_kernel": 1},
    "logits": {"dw_kernel": 3, "stage": "pre_softmax"},
    "row-sum": {"dw_kernel": 3, "renorm": "row_sum"},
    "layernorm": {"dw_kernel": 3, "renorm": "layernorm", "eps": 1e-2},
}


def _problem(tokens: int, real: int, made: int, dw_kernel: int = 0, mix: bool = True, **form):
    """qkv, mix, dw and the options that all faces share; weights of a row sum have one sign."""
    rng = np.random.default_rng(tokens)
    qkv = rng.standard_normal((1, tokens, (3 * real + made) * DIM)).astype(np.float32)
    weights = rng.standard_normal((made, real)) / real if mix else None
    dw = rng.standard_normal((made, dw_kernel, dw_kernel)) / dw_kernel if dw_kernel else None
    sign = np.abs if form.get("renorm") == "row_sum" else np.asarray
    return qkv, *(None if w is None else sign(w).astype(np.float32) for w in (weights, dw)), form


def _run(face: str, qkv: np.ndarray, heads: int, mix, dw, form: dict) -> np.ndarray:
    if face == "torch":
        tensors = (None if a is None else torch.from_numpy(a) for a in (mix, dw))
        return hallucinated_attention.torch_face(torch.from_numpy(qkv), heads, *tensors, **form).numpy()
    graph = Graph("test")
    graph.input("qkv", "float32", list(qkv.shape))
    if face == "ours":
        names = ["" if a is None else graph.constant(a) for a in (mix, dw)]
        y = hallucinated_attention.ours(graph, "qkv", heads, *names, 0 if dw is None else dw.shape[-1], **form)
    else:
        y = hallucinated_attention.stock(graph, "qkv", heads, DIM, mix, dw, **form)
    graph.output(y, "float32", [1, qkv.shape[1], heads * DIM])
    return session(graph.model().SerializeToString()).run(None, {"qkv": qkv})[0]


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize(("real", "made"), HEADS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("face", ["ours", "stock", "torch"])
def test_hallucinated_attention_equals_its_reference(face, form, real, made, tokens):
    """Every face gives the float64 reference's rows."""
    qkv, mix, dw, options = _problem(tokens, real, made, **form)
    expected = hallucinated_attention.reference(qkv, real + made, mix, dw, **options)
    y = _run(face, qkv, real + made, mix, dw, options)
    # Roundings of two sums over tokens and one over channels; layer norm divides them by at least sqrt(eps) = 0.1.
    roundings = 2 * (2 * tokens + DIM + 32) * 2**-24 * (10 if "eps" in options else 1)
    np.testing.assert_allclose(y, expected, rtol=0, atol=roundings * max(1.0, np.abs(expected).max()))


def test_a_mix_of_one_map_shares_it():
    """With the identity as mix, made heads are softmax attention with the real heads' queries and keys."""
    qkv, _, _, _ = _problem(19, 2, 2)
    y = hallucinated_attention.reference(qkv, 4, np.eye(2, dtype=np.float32))
    q, k, v = (qkv[..., i * DIM : j * DIM] for i, j in ((0, 2), (2, 4), (4, 8)))
    shared, _ = token_attention.reference(np.concatenate([q, k, v[..., 2 * DIM :]], -1), 2)
    np.testing.assert_allclose(y[..., 2 * DIM :], shared, atol=1e-12)


@pytest.mark.parametrize(
    ("heads", "dw_kernel", "form", "sentence"),
    [
        (5, 0, {}, r"input mix must have shape \[2,3\] to make num_heads=5 heads, found \[2,2\]"),
        (2, 0, {}, r"must make 1\.\.1 of num_heads=2 heads, found shape \[2,2\]; TokenAttention computes all heads"),
        (4, 3, {}, r"dw_kernel=3 needs input dw of shape \[Hg,3,3\]"),
        (4, 0, {"stage": "pre_softmax", "renorm": "row_sum"}, "renorm=row_sum needs stage=post_softmax"),
    ],
)
def test_refusals_say_what_was_found_and_what_to_do(heads, dw_kernel, form, sentence):
    """A wrong call ends in one sentence, never in an answer."""
    qkv, mix, _, _ = _problem(5, 2, 2)
    graph = Graph("test")
    graph.input("qkv", "float32", list(qkv.shape))
    y = hallucinated_attention.ours(graph, "qkv", heads, graph.constant(mix), "", dw_kernel, **form)
    graph.output(y, "float32", [1, 5, "width"])
    with pytest.raises(Exception, match=sentence):
        session(graph.model().SerializeToString()).run(None, {"qkv": qkv})
