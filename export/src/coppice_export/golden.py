"""Golden cases shared by C++, Python and Java: `python -m coppice_export.golden native/golden`.

Each case is a folder with one operator's inputs, attributes and expected outputs. The expected values come from the
float64 references in `operators`; tolerances are absolute and hold for every instruction set.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from .config import Attention
from .golden_blocks import block_cases
from .golden_case import Case, in_half, write_case
from .operators import (
    hallucinated_attention,
    image_to_tensor,
    linear_attention,
    merge_tokens,
    patch_merger,
    prune_merge_tokens,
    sample_tokens,
    threshold_tokens,
    token_attention,
    token_scores,
    top_k_tokens,
)

__all__ = ["cases", "write"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SLOTS = {
    "HallucinatedAttention": ("qkv", "mix", "dw"),
    "ImageToTensor": ("image",),
    "LinearAttention": ("qkv", "query_index", "positions", "size"),
    "TokenAttention": ("qkv", "query_index", "size"),
    "TokenScores": ("qkv", "size"),
    "TopKTokens": ("scores", "count", "x", "size"),
    "SampleTokens": ("scores", "count", "x"),
    "ThresholdTokens": ("scores", "threshold", "x"),
    "MergeTokens": ("x", "metric", "count", "size", "threshold"),
    "PatchMerger": ("x", "w", "gamma", "beta"),
    "PruneMergeTokens": ("scores", "count", "x", "size"),
}
# Different summation orders must not change what is selected: decisions are at least this far apart.
_MARGIN = 1e-4


def _qkv(seed: int, batch: int, tokens: int, heads: int, dim: int, half: bool = False) -> np.ndarray:
    qkv = np.random.default_rng(seed).standard_normal((batch, tokens, 3 * heads * dim))
    return (qkv.astype(np.float16) if half else qkv).astype(np.float32)


def _linear(
    name: str,
    description: str,
    batch=1,
    tokens=21,
    heads=2,
    dim=8,
    seed=0,
    query_index=None,
    positions=None,
    size=None,
    half=False,
    **options,
) -> Case:
    qkv = _qkv(seed, batch, tokens, heads, dim, half)
    names = ("feature_map", "reweight", "normalize", "eps", "grid", "prefix_tokens")
    forms = {name: options[name] for name in names if name in options}
    y = linear_attention.reference(
        qkv,
        heads,
        Attention("linear", **forms),
        options.get("length"),
        query_index,
        positions,
        size,
        options.get("eps_mode", "clamp"),
    )
    inputs = {"qkv": qkv, "query_index": query_index, "positions": positions, "size": size}
    # Outputs grow with the token count where no row sum divides them: the bound is relative to their size.
    tolerance = 2e-6 * max(1.0, float(np.abs(y).max()))
    return _case("LinearAttention", name, description, {"num_heads": heads} | options, inputs, {"y": y}, tolerance)


def _case(
    operator: str, name: str, description: str, attributes: dict, inputs: dict, outputs: dict, tolerance: float
) -> Case:
    given = {k: v for k, v in inputs.items() if v is not None}
    expected = {k: v.astype(np.float32) if v.dtype == np.float64 else v for k, v in outputs.items()}
    return Case(operator, name, description, attributes, given, expected, tolerance, _SLOTS[operator])


def _softmax(
    name: str,
    description: str,
    batch=1,
    tokens=21,
    heads=2,
    dim=8,
    seed=0,
    query_index=None,
    size=None,
    half=False,
    **options,
) -> Case:
    qkv = _qkv(seed, batch, tokens, heads, dim, half)
    kind = options.get("score", "cls")
    y, scores = token_attention.reference(qkv, heads, query_index, size, options.get("scale", 0), kind)
    outputs = {"y": y} | ({"scores": scores} if "score" in options else {})
    inputs = {"qkv": qkv, "query_index": query_index, "size": size}
    return _case("TokenAttention", name, description, {"num_heads": heads} | options, inputs, outputs, 2e-6)


def _scores(
    name: str, description: str, batch=1, tokens=21, heads=2, dim=8, seed=0, size=None, half=False, **options
) -> Case:
    qkv = _qkv(seed, batch, tokens, heads, dim, half)
    scores = token_scores.reference(
        qkv,
        heads,
        size,
        options.get("source", "cls_row"),
        bool(options.get("value_norm", 0)),
        options.get("renormalise", "none"),
        options.get("prefix_tokens", 1),
    )
    return _case(
        "TokenScores",
        name,
        description,
        {"num_heads": heads} | options,
        {"qkv": qkv, "size": size},
        {"scores": scores},
        2e-6,
    )


def _hallucinated(
    name: str, description: str, batch=1, tokens=21, real=2, made=2, dim=8, seed=0, mix=True, positive=False, **options
) -> Case:
    rng = np.random.default_rng(seed)
    side = options.get("dw_kernel", 0)
    heads = real + made
    qkv = rng.standard_normal((batch, tokens, (2 * real + heads) * dim)).astype(np.float32)
    weights = (rng.standard_normal((made, real)) / real, rng.standard_normal((made, side, side)) / max(1, side))
    # A row sum wants weights of one sign.
    weights = [(np.abs(w) if positive else w).astype(np.float32) for w in weights]
    inputs = {"qkv": qkv, "mix": weights[0] if mix else None, "dw": weights[1] if side else None}
    forms = {k: options[k] for k in ("stage", "renorm", "eps") if k in options}
    y = hallucinated_attention.reference(qkv, heads, inputs["mix"], inputs["dw"], **forms)
    attributes = {"num_heads": heads} | options
    tolerance = 2e-6 * max(1.0, float(np.abs(y).max()))
    return _case("HallucinatedAttention", name, description, attributes, inputs, {"y": y}, tolerance)


def _image(name: str, description: str, height: int, width: int, **options) -> Case:
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3))
    # Edges of full contrast, so that the filter overshoots and is clipped.
    image = np.where(((x // 9 + y // 7) % 3 == 0)[..., None], 255, noise).astype(np.uint8)
    image = image[..., 0] if options.get("layout") == "nv12" else image
    tensor = image_to_tensor.reference(image, **options)
    return _case("ImageToTensor", name, description, options, {"image": image}, {"tensor": tensor}, 0)


def _top_k(
    name: str,
    description: str,
    scores: np.ndarray,
    count: int,
    width: int = 0,
    sizes: bool = False,
    half: bool = False,
    **options,
) -> Case:
    exact = np.float16 if half else np.float32
    scores = scores.astype(exact).astype(np.float32)
    rng = np.random.default_rng(7)
    x = rng.standard_normal((*scores.shape, width)).astype(exact).astype(np.float32) if width else None
    size = rng.integers(1, 5, scores.shape).astype(np.float32) if sizes else None
    index, y, kept = top_k_tokens.reference(
        scores,
        count,
        x,
        size,
        options.get("prefix_tokens", 1),
        bool(options.get("fuse_pruned", 0)),
        bool(options.get("normalize_fused", 1)),
    )
    outputs = {"index": index} | ({"y": y} if x is not None else {}) | ({"kept_size": kept} if sizes else {})
    inputs = {"scores": scores, "count": np.array(count, np.int64), "x": x, "size": size}
    return _case("TopKTokens", name, description, options, inputs, outputs, 2e-6)


def _ragged(
    operator: str, name: str, description: str, scores: np.ndarray, inputs: dict, width: int, result, options: dict
) -> Case:
    """A selection whose length depends on the scores. result: the reference, given x."""
    x = np.random.default_rng(7).standard_normal((*scores.shape, width)).astype(np.float32) if width else None
    index, y, count = result(x)
    outputs = {"index": index} | ({"y": y} if width else {}) | ({"kept_count": count} if options.get("pad") else {})
    return _case(operator, name, description, options, {"scores": scores} | inputs | {"x": x}, outputs, 2e-6)


def _sample(name: str, description: str, scores: np.ndarray, count: int, width: int = 5, **options) -> Case:
    scores, prefix = scores.astype(np.float32), options.get("prefix_tokens", 1)

    def result(x):
        return sample_tokens.reference(scores, count, x, prefix, options.get("rule", "cdf"), bool(options.get("pad")))

    inputs = {"count": np.array(count, np.int64)}
    return _ragged("SampleTokens", name, description, scores, inputs, width, result, options)


def _threshold(name: str, description: str, scores: np.ndarray, threshold: float, width: int = 5, **options) -> Case:
    scores, prefix = scores.astype(np.float32), options.get("prefix_tokens", 1)

    def result(x):
        least, pad = options.get("min_tokens", 0), bool(options.get("pad"))
        return threshold_tokens.reference(scores, threshold, x, prefix, least, pad)

    inputs = {"threshold": np.array(threshold, np.float32)}
    return _ragged("ThresholdTokens", name, description, scores, inputs, width, result, options)


def _merge(
    name: str,
    description: str,
    count: int | None = 6,
    batch=1,
    tokens=21,
    width=5,
    dim=8,
    seed=0,
    sizes=False,
    threshold: float | None = None,
    metric: np.ndarray | None = None,
    **options,
) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, tokens, width)).astype(np.float32)
    heads, prefix = options.get("num_heads", 0), options.get("prefix_tokens", 1)
    if metric is None:
        metric = rng.standard_normal((batch, tokens, 3 * heads * dim if heads else dim)).astype(np.float32)
        _check_margins(merge_tokens.similarities(metric, prefix, heads)[0], threshold)
    size = rng.integers(1, 5, (batch, tokens)).astype(np.float32) if sizes else None
    order, pad = options.get("order", "tome"), bool(options.get("pad"))
    y, merged_size, group, kept = merge_tokens.reference(x, metric, count, size, threshold, prefix, order, heads, pad)
    inputs = {"x": x, "metric": metric, "count": None if count is None else np.array(count, np.int64), "size": size}
    inputs |= {"threshold": None if threshold is None else np.array(threshold, np.float32)}
    outputs = {"y": y, "merged_size": merged_size, "group": group} | ({"kept_count": kept} if pad else {})
    return _case("MergeTokens", name, description, options, inputs, outputs, 2e-6)


def _check_margins(cosine: np.ndarray, threshold: float | None) -> None:
    """Refuse a metric in which rounding could decide a partner, a rank or the threshold."""
    for item in cosine:
        best = np.sort(item, 1)[:, ::-1] if item.size else np.zeros((0, 1))
        gaps = [*(best[:, 0] - best[:, 1] if best.shape[1] > 1 else []), *np.diff(np.sort(best[:, 0]))]
        if threshold is not None:
            gaps += [*np.abs(best[:, 0] - threshold)]
        if min(gaps, default=1) < _MARGIN:
            raise ValueError(f"decisions must be {_MARGIN} apart, found {min(gaps)}; take another seed")


def _prune_merge(
    name: str,
    description: str,
    count: int = 9,
    batch=1,
    tokens=21,
    width=6,
    seed=0,
    sizes=False,
    half=False,
    x: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    **options,
) -> Case:
    rng, exact = np.random.default_rng(seed), np.float16 if half else np.float32
    given = x is not None
    x = x if given else rng.standard_normal((batch, tokens, width)).astype(exact).astype(np.float32)
    scores = rng.random((batch, tokens)).astype(exact).astype(np.float32) if scores is None else scores
    size = rng.integers(1, 5, scores.shape).astype(np.float32) if sizes else None
    prefix, share, rank = (
        options.get(k, v) for k, v in (("prefix_tokens", 1), ("merge_share", 0.5), ("rank", "importance"))
    )
    if not given:
        merged = prune_merge_tokens.merged_count(share, tokens - prefix - count)
        for of_item, rows in zip(scores, x):
            _check_ranks(*prune_merge_tokens.decisions(of_item, rows, prefix, rank), count, merged)
    index, y, merged_size = prune_merge_tokens.reference(scores, count, x, size, prefix, share, rank)
    inputs = {"scores": scores, "count": np.array(count, np.int64), "x": x, "size": size}
    outputs = {"index": index, "y": y, "merged_size": merged_size}
    # A merged size adds up to 12 sizes of at most 4, each times a cosine of 2 (width + 11) roundings.
    return _case("PruneMergeTokens", name, description, options, inputs, outputs, 1e-5)


def _check_ranks(cosine: np.ndarray, values: np.ndarray, order: list[int], count: int, merged: int) -> None:
    """Refuse tokens of which rounding could decide who stays, who merges or into whom."""
    gaps = [values[order[c - 1]] - values[order[c]] for c in (count, count + merged) if 0 < c < len(order)]
    if count > 1:
        best = np.sort(cosine[np.ix_(order[count : count + merged], order[:count])], 1)
        gaps += [*(best[:, -1] - best[:, -2])]
    if min(gaps, default=1) < _MARGIN:
        raise ValueError(f"decisions must be {_MARGIN} apart, found {min(gaps)}; take another seed")


def _mixed(
    name: str, description: str, batch=1, tokens=21, width=8, outputs=4, seed=0, affine=False, **options
) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, tokens, width)).astype(np.float32)
    w = rng.standard_normal((width, outputs)).astype(np.float32)
    gamma, beta = (rng.standard_normal(width).astype(np.float32) if affine else None for _ in range(2))
    y = patch_merger.reference(
        x,
        w,
        gamma,
        beta,
        options.get("prefix_tokens", 0),
        options.get("softmax_axis", "tokens"),
        options.get("scale", 1),
        bool(options.get("layer_norm", 0)),
    )
    # Logits of magnitude 10 turn an absolute error into a relative one; outputs grow where no softmax row bounds them.
    tolerance = 1e-5 * max(1.0, float(np.abs(y).max()))
    inputs = {"x": x, "w": w, "gamma": gamma, "beta": beta}
    return _case("PatchMerger", name, description, options, inputs, {"y": y}, tolerance)


def cases() -> list[Case]:
    """All cases, in the order of their folders."""
    rng = np.random.default_rng(1)
    far = np.sort(rng.choice(40, 21, replace=False))[None].astype(np.int64)
    rows = np.array([[0, 3, 20]], np.int64)
    size = rng.integers(1, 5, (1, 21)).astype(np.float32)
    random = rng.random((2, 17))
    ties = np.array([[0.5, 0.2, 0.7, 0.2, 0.7, 0.2, 0.7, 0.1]])
    odd = np.array([[0.5, np.nan, 0.3, -np.inf, np.inf, np.nan, 0.1, 0.2]])
    unusual = np.array([[0.5, np.nan, 0.3, -np.inf, 0.4, -0.2, 0.1, 0.2]])
    peaked = np.exp(4 * random)
    # Multiples of four axes: every cosine is exactly 0 or 1.
    axes = (np.eye(4)[np.random.default_rng(5).integers(0, 4, 21)] * 2.0 ** np.arange(-3, 18)[:, None])[None]
    broken = np.random.default_rng(6).standard_normal((1, 13, 4)).astype(np.float32)
    broken[0, [4, 7], 0], broken[0, 9] = np.nan, 0
    return [
        _linear("relu", "non-negative features, row sum", feature_map="relu"),
        _linear("elu1", "the seed's feature map, row sum", feature_map="elu1"),
        _linear("elu1-sum-only", "the seed's form: no division", normalize="none"),
        _linear("relu-sqrt-d", "division by sqrt(d)", feature_map="relu", normalize="sqrt_d"),
        _linear("cos", "cosine term, length of the run", reweight="cos1d"),
        _linear("cos-positions", "pruned tokens keep their positions", reweight="cos1d", positions=far, length=40),
        _linear("query-index", "three query rows only", query_index=rows),
        _linear("size", "keys stand for several tokens", size=size),
        _linear(
            "linear-order", "forced linear order below break-even", tokens=5, dim=16, order="linear", reweight="cos1d"
        ),
        _linear(
            "quadratic-order",
            "forced quadratic order above break-even",
            tokens=40,
            dim=4,
            order="quadratic",
            reweight="cos1d",
        ),
        _linear("odd-width", "a head of 7 channels, batch of 2", batch=2, tokens=13, heads=3, dim=7),
        _linear("one-token", "a single token attends to itself", tokens=1),
        _linear("relu-pow3", "sharpened features", feature_map="relu_pow3", size=size),
        _linear("relu-pow3-sqrt-d", "sharpened features with their norm", feature_map="relu_pow3", normalize="sqrt_d"),
        _linear("cos2d", "a grid of 4 by 5 patches and a class token", reweight="cos2d", grid=5),
        _linear("cos2d-positions", "pruned in a grid of 7", reweight="cos2d", grid=7, positions=far, order="quadratic"),
        _linear("cos2d-no-prefix", "patches only", tokens=9, reweight="cos2d", grid=3, prefix_tokens=0),
        _linear("add-eps", "epsilon is added, not clamped", feature_map="relu", eps=0.5, eps_mode="add"),
        in_half(_linear("half", "cosine term, sizes", reweight="cos1d", size=size, half=True)),
        _softmax("plain", "softmax attention"),
        _softmax("scores", "with class-token scores", score="cls"),
        _softmax(
            "scores-index",
            "scores although no query row is the class token",
            score="cls",
            query_index=np.array([[4, 5]], np.int64),
        ),
        _softmax("size", "proportional attention", size=size, score="cls"),
        _softmax("odd-width", "a head of 13 channels, batch of 2", batch=2, tokens=33, heads=3, dim=13, score="cls"),
        _softmax("received", "attention received, of all rows", score="received", tokens=33, size=None),
        _softmax("received-index", "attention received, of two rows", score="received", query_index=rows, size=size),
        _softmax("cls-value-norm", "class row times the value norm", score="cls_value_norm", batch=2),
        _softmax("one-token", "a single token", tokens=1, score="cls"),
        _softmax("scale", "a scale of its own", scale=0.5),
        in_half(_softmax("half", "with received scores", score="received", half=True)),
        _scores("row", "class row"),
        _scores("column", "class column", source="cls_col"),
        _scores("per-head", "each head renormalised over the patches", renormalise="per_head"),
        _scores("value-norm", "times the value norm, renormalised", value_norm=1, renormalise="total"),
        _scores("size", "proportional attention", size=size),
        _scores(
            "odd-width",
            "a head of 5 channels, batch of 2, two prefix tokens",
            batch=2,
            heads=3,
            dim=5,
            renormalise="total",
            prefix_tokens=2,
        ),
        in_half(_scores("half", "times the value norm", value_norm=1, half=True)),
        _hallucinated("mix", "two maps computed, two mixed from them"),
        _hallucinated("mix-conv", "mixed and convolved", dw_kernel=3),
        _hallucinated("conv-only", "each made map is one real map convolved", mix=False, dw_kernel=3),
        _hallucinated("factor", "a convolution of one tap, three maps made from two", made=3, dw_kernel=1),
        _hallucinated("logits", "made before the softmax", dw_kernel=3, stage="pre_softmax"),
        _hallucinated("row-sum", "rows sum to 1 again", dw_kernel=3, renorm="row_sum", positive=True),
        _hallucinated("layernorm", "normalised over the made heads", made=3, dw_kernel=3, renorm="layernorm", eps=1e-3),
        _hallucinated(
            "odd-width", "a head of 7 channels, batch of 2, two blocks", batch=2, tokens=51, real=3, dim=7, dw_kernel=3
        ),
        _hallucinated("one-token", "the neighbours of a single token are padding", tokens=1, dw_kernel=3),
        _image("reduced", "the long side keeps the aspect ratio, the centre is cropped", 37, 53, size=16),
        _image("cropped", "an odd margin, ImageNet's means", 45, 20, size=20, crop=(15, 17), mean=_MEAN, std=_STD),
        _image("enlarged", "both sides enlarged", 7, 5, size=12),
        _image("one-pixel", "one pixel fills the tensor", 1, 1, size=4),
        _image("tall", "taller than twice its width", 90, 31, size=9),
        _image("bilinear", "the other filter", 37, 53, size=16, interpolation="bilinear"),
        _image("nearest", "no filter", 37, 53, size=16, interpolation="nearest"),
        _image("nv12", "a camera's picture, video range", 54, 50, size=15, layout="nv12"),
        _image("nv12-full", "a camera's picture, full range, tall", 96, 24, size=9, layout="nv12", range="full"),
        _top_k("half", "half of the patches, batch of 2", random, 8, width=5),
        _top_k("ties", "equal scores: the lower index wins", ties, 3, width=3),
        _top_k("not-numbers", "NaN ranks below -inf", odd, 5, width=3),
        _top_k("none", "count 0 keeps the prefix only", random, 0, width=5),
        _top_k("all", "every patch is kept", random, 16, width=5),
        _top_k("index-only", "without x", random, 4),
        _top_k("fused", "one more token for the pruned ones", random, 6, width=5, sizes=True, fuse_pruned=1),
        _top_k("fused-sum", "the fused token is a plain sum", random, 6, width=5, fuse_pruned=1, normalize_fused=0),
        in_half(_top_k("half", "a fused token", random, 6, width=5, sizes=True, half=True, fuse_pruned=1)),
        _top_k("fused-all", "nothing pruned: no fused token", random, 16, width=5, fuse_pruned=1),
        _top_k("two-prefix-tokens", "a distillation token is kept too", random, 5, width=5, prefix_tokens=2),
        _sample("even", "points at even steps of the cumulative score", random[:1], 8),
        _sample("peaked", "several points in one token: fewer tokens than points", peaked[:1], 12),
        _sample("more-points", "more points than patches", random[:1], 40),
        _sample("none", "no point keeps the prefix only", random[:1], 0),
        _sample("unusual", "NaN, negative and -inf scores weigh nothing", unusual, 5, width=3),
        _sample("infinite", "an infinite score outweighs all others", odd, 5, width=3),
        _sample("no-weight", "scores of 0 weigh alike", np.zeros((1, 9)), 4, width=3),
        _sample("padded", "batch of 2, padded with zeros", peaked, 12, pad=1),
        _sample("index-only", "without x, two prefix tokens", random[:1], 6, width=0, prefix_tokens=2),
        _sample("ats", "the rule of ATS", peaked[:1], 12, rule="ats"),
        _threshold("half", "scores above 0.5", random[:1], 0.5),
        _threshold("strict", "a score at the threshold does not pass", ties, 0.2, width=3),
        _threshold("not-numbers", "NaN never passes, +inf does", odd, 0.25, width=3),
        _threshold("least", "too few pass: the best three are kept", ties, 0.9, width=3, min_tokens=3),
        _threshold("none", "nothing passes: the prefix only", random[:1], 2),
        _threshold("padded", "batch of 2, padded with zeros", random, 0.6, pad=1),
        _threshold("index-only", "without x, two prefix tokens", random[:1], 0.3, width=0, prefix_tokens=2),
        _merge("six", "six of twenty patches merge"),
        _merge("sizes", "sizes weigh the mean, batch of 2", batch=2, sizes=True, seed=1),
        _merge("clipped", "count above half of the patches", count=99, sizes=True),
        _merge("nothing", "count 0 leaves all as it was", count=0, sizes=True),
        _merge("raster", "rows as the tokens came", order="raster", sizes=True),
        _merge("two-prefix-tokens", "class and distillation token stay apart", tokens=22, prefix_tokens=2),
        _merge(
            "no-prefix", "every token may merge, odd number, width of 13", count=9, prefix_tokens=0, dim=7, width=13
        ),
        _merge("packed-projection", "keys of three heads", num_heads=3, dim=4, sizes=True, seed=4),
        _merge("ties", "equal metrics: the lower token first", metric=axes.astype(np.float32), count=4),
        _merge("not-numbers", "NaN merges last, zero vectors have similarity 0", metric=broken, tokens=13, count=5),
        _merge("threshold", "similarities above 0.4", count=None, threshold=0.4, rule="threshold", sizes=True),
        _merge(
            "threshold-capped",
            "at most three, batch of 2, padded",
            batch=2,
            count=3,
            threshold=0.3,
            rule="threshold",
            pad=1,
            seed=2,
        ),
        _prune_merge("half", "half of what goes merges"),
        _prune_merge("all-merge", "everything merges, sizes, batch of 2", batch=2, sizes=True, merge_share=1.0),
        _prune_merge("all-drop", "nothing merges", sizes=True, merge_share=0.0),
        _prune_merge(
            "distance", "importance times distance", sizes=True, seed=1, merge_share=1.0, rank="importance_distance"
        ),
        _prune_merge(
            "distance-batch", "several tiles, batch of 2", 31, batch=2, tokens=67, seed=3, rank="importance_distance"
        ),
        _prune_merge("one", "all into one, width of 13", 1, width=13, merge_share=1.0, rank="importance_distance"),
        _prune_merge("none", "count 0 keeps the prefix only", 0, rank="importance_distance"),
        _prune_merge("everything", "every patch stays", 20, sizes=True, rank="importance_distance"),
        _prune_merge("two-prefix-tokens", "a distillation token stays apart", prefix_tokens=2, merge_share=0.3),
        _prune_merge(
            "copies",
            "copies go first, of equal tokens the lower one stays",
            8,
            x=axes.astype(np.float32),
            scores=np.linspace(1, 0.2, 21, dtype=np.float32)[None],
            sizes=True,
            rank="importance_distance",
        ),
        in_half(
            _prune_merge("half", "with distances", sizes=True, half=True, merge_share=0.7, rank="importance_distance")
        ),
        _mixed("plain", "softmax over the tokens"),
        _mixed("outputs", "softmax over the outputs", softmax_axis="outputs"),
        _mixed("scaled", "scale 1 / sqrt(width)", scale=0.0),
        _mixed("layer-norm", "normalised without gain", layer_norm=1),
        _mixed("affine", "normalised, gain and shift, class token carried", layer_norm=1, affine=True, prefix_tokens=1),
        _mixed("odd-width", "13 channels, 5 outputs, batch of 2", batch=2, tokens=33, width=13, outputs=5),
        _mixed("one-token", "a single token is the mix", tokens=1),
        _mixed("wide", "more outputs than tokens", tokens=3, width=32, outputs=17, scale=0.25),
        *block_cases(),
    ]


def write(folder: Path) -> None:
    """Replace the cases below `folder`."""
    for case in cases():
        write_case(folder, case)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
