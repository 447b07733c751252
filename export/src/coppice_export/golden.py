"""Golden cases shared by C++, Python and Java: `python -m coppice_export.golden native/golden`.

Each case is a folder with one operator's inputs, attributes and expected outputs. The expected values come from the
float64 references in `operators`; tolerances are absolute and hold for every instruction set.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .config import Attention
from .graph import DOMAIN, Graph
from .operators import (
    hallucinated_attention,
    image_to_tensor,
    linear_attention,
    token_attention,
    token_scores,
    top_k_tokens,
)

__all__ = ["Case", "cases", "write"]


@dataclass(frozen=True)
class Case:
    """One operator call: float32, int64 and uint8 arrays in, expected arrays out."""

    operator: str
    name: str
    description: str
    attributes: dict[str, int | float | str | tuple]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    tolerance: float
    # Every input of the operator in order, so that left-out ones keep their place.
    slots: tuple[str, ...] = field(repr=False, default=())


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SLOTS = {
    "HallucinatedAttention": ("qkv", "mix", "dw"),
    "ImageToTensor": ("image",),
    "LinearAttention": ("qkv", "query_index", "positions", "size"),
    "TokenAttention": ("qkv", "query_index", "size"),
    "TokenScores": ("qkv", "size"),
    "TopKTokens": ("scores", "count", "x", "size"),
}


def _qkv(seed: int, batch: int, tokens: int, heads: int, dim: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, tokens, 3 * heads * dim)).astype(np.float32)


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
    **options,
) -> Case:
    qkv = _qkv(seed, batch, tokens, heads, dim)
    forms = {k: options[k] for k in ("feature_map", "reweight", "normalize", "eps") if k in options}
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
    name: str, description: str, batch=1, tokens=21, heads=2, dim=8, seed=0, query_index=None, size=None, **options
) -> Case:
    qkv = _qkv(seed, batch, tokens, heads, dim)
    y, scores = token_attention.reference(qkv, heads, query_index, size, options.get("scale", 0))
    outputs = {"y": y} | ({"scores": scores} if options.get("score") == "cls" else {})
    inputs = {"qkv": qkv, "query_index": query_index, "size": size}
    return _case("TokenAttention", name, description, {"num_heads": heads} | options, inputs, outputs, 2e-6)


def _scores(name: str, description: str, batch=1, tokens=21, heads=2, dim=8, seed=0, size=None, **options) -> Case:
    qkv = _qkv(seed, batch, tokens, heads, dim)
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
    name: str, description: str, scores: np.ndarray, count: int, width: int = 0, sizes: bool = False, **options
) -> Case:
    scores = scores.astype(np.float32)
    rng = np.random.default_rng(7)
    x = rng.standard_normal((*scores.shape, width)).astype(np.float32) if width else None
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


def cases() -> list[Case]:
    """All cases, in the order of their folders."""
    rng = np.random.default_rng(1)
    far = np.sort(rng.choice(40, 21, replace=False))[None].astype(np.int64)
    rows = np.array([[0, 3, 20]], np.int64)
    size = rng.integers(1, 5, (1, 21)).astype(np.float32)
    random = rng.random((2, 17))
    ties = np.array([[0.5, 0.2, 0.7, 0.2, 0.7, 0.2, 0.7, 0.1]])
    odd = np.array([[0.5, np.nan, 0.3, -np.inf, np.inf, np.nan, 0.1, 0.2]])
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
        _linear("add-eps", "epsilon is added, not clamped", feature_map="relu", eps=0.5, eps_mode="add"),
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
        _softmax("one-token", "a single token", tokens=1, score="cls"),
        _softmax("scale", "a scale of its own", scale=0.5),
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
        _image("rows-first", "taller than twice its width: the vertical pass goes first", 90, 31, size=9),
        _image("bilinear", "the other filter", 37, 53, size=16, interpolation="bilinear"),
        _image("nearest", "no filter", 37, 53, size=16, interpolation="nearest"),
        _image("nv12", "a camera's picture, video range", 54, 50, size=15, layout="nv12"),
        _image("nv12-full", "a camera's picture, full range, rows first", 96, 24, size=9, layout="nv12", range="full"),
        _top_k("half", "half of the patches, batch of 2", random, 8, width=5),
        _top_k("ties", "equal scores: the lower index wins", ties, 3, width=3),
        _top_k("not-numbers", "NaN ranks below -inf", odd, 5, width=3),
        _top_k("none", "count 0 keeps the prefix only", random, 0, width=5),
        _top_k("all", "every patch is kept", random, 16, width=5),
        _top_k("index-only", "without x", random, 4),
        _top_k("fused", "one more token for the pruned ones", random, 6, width=5, sizes=True, fuse_pruned=1),
        _top_k("fused-sum", "the fused token is a plain sum", random, 6, width=5, fuse_pruned=1, normalize_fused=0),
        _top_k("fused-all", "nothing pruned: no fused token", random, 16, width=5, fuse_pruned=1),
        _top_k("two-prefix-tokens", "a distillation token is kept too", random, 5, width=5, prefix_tokens=2),
    ]


def _model(case: Case) -> bytes:
    graph = Graph(case.name)
    for name, array in case.inputs.items():
        graph.input(name, array.dtype.name, list(array.shape))
    slots = [name if name in case.inputs else "" for name in case.slots]
    outputs = {"TopKTokens": ("index", "y", "kept_size")}.get(case.operator, tuple(case.outputs))
    names = [name if name in case.outputs else "" for name in outputs]
    while not names[-1]:
        names.pop()
    graph.op(case.operator, *slots, outputs=names, domain=DOMAIN, **case.attributes)
    for name, array in case.outputs.items():
        graph.output(name, array.dtype.name, list(array.shape))
    return graph.model().SerializeToString(deterministic=True)


def _text(value: int | float | str | tuple) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def write(folder: Path) -> None:
    """Replace the cases below `folder`."""
    for case in cases():
        target = folder / case.operator / case.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        lines = [f"operator={case.operator}", f"description={case.description}", f"tolerance={case.tolerance:.3g}"]
        lines += [f"attr.{name}={_text(value)}" for name, value in sorted(case.attributes.items())]
        for kind, arrays in (("input", case.inputs), ("output", case.outputs)):
            for name, array in arrays.items():
                lines.append(f"{kind}.{name}={array.dtype.name}[{','.join(map(str, array.shape))}]")
                (target / f"{kind}.{name}.bin").write_bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())
        (target / "case.properties").write_text("\n".join(lines) + "\n")
        (target / "model.onnx").write_bytes(_model(case))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
