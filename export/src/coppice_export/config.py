"""The shape of a vision transformer, written once for PyTorch, the ONNX graph and the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from .reduction import Reduction

__all__ = [
    "FINE",
    "MINI",
    "MINI_SOFTMAX",
    "PRESETS",
    "VIT_TINY",
    "Attention",
    "Conv",
    "Preprocessing",
    "Reduction",
    "ViTConfig",
]


@dataclass(frozen=True)
class Conv:
    """One convolution of the stem; `residual` adds the layer's input to its output."""

    out: int
    kernel: int
    stride: int
    norm: bool = False
    gelu: bool = False
    residual: bool = False

    @property
    def padding(self) -> int:
        """Patch-like convolutions (kernel = stride) tile the image, the others keep their centre."""
        return 0 if self.kernel == self.stride else self.kernel // 2


@dataclass(frozen=True)
class Attention:
    """The attention of one block; the attributes are those of the operator that its kind names.

    softmax: `TokenAttention`, linear: `LinearAttention`, hallucinated: `HallucinatedAttention`.
    """

    kind: str = "softmax"
    feature_map: str = "elu1"
    reweight: str = "none"
    normalize: str = "row_sum"
    eps: float = 1e-6
    grid: int = 0  # patches along one edge; cos2d only
    prefix_tokens: int = 1  # tokens without a place in the grid; cos2d only
    # Hallucinated only: the heads that compute their maps, and how the others make theirs from these.
    computed_heads: int = 0
    mix: str = "cross_head"
    dw_kernel: int = 0
    stage: str = "post_softmax"
    renorm: str = "none"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("kind", ("softmax", "linear", "hallucinated")),
            ("feature_map", ("relu", "elu1", "relu_pow3")),
            ("reweight", ("none", "cos1d", "cos2d")),
            ("normalize", ("none", "sqrt_d", "row_sum")),
            ("mix", ("none", "cross_head")),
            ("dw_kernel", (0, 1, 3)),
            ("stage", ("pre_softmax", "post_softmax")),
            ("renorm", ("none", "row_sum", "layernorm")),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"attention {name}: expected one of {', '.join(map(str, allowed))}, found {value!r}")
        if self.reweight == "cos2d" and self.grid < 1:
            raise ValueError(f"attention grid: expected the patches along one edge for cos2d, found {self.grid}")
        if self.mix == "none" and not self.dw_kernel:
            raise ValueError("hallucinated attention makes its maps by mix, by dw_kernel or by both, found neither")
        if self.stage == "pre_softmax" and self.renorm == "row_sum":
            raise ValueError("attention renorm: rows sum to 1 after pre_softmax anyway, so row_sum is refused there")


@dataclass(frozen=True)
class Preprocessing:
    """From decoded pixels to the input tensor: resize the short side, crop the centre, scale to (x/255 - mean)/std."""

    short_side: int
    crop: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)


# Prefix tokens that the head reads, by pooling.
_TOKENS_READ = {"class": 1, "class_distilled": 2, "mean": 0, "class_mean": 1}


@dataclass(frozen=True)
class ViTConfig:
    """A pre-norm ViT.

    `prefix_tokens` counts the tokens before the patches: the class token first where there is one, then distillation
    token and registers. The head reads what `pooling` gives it: the class token (`class`), it and the distillation
    token side by side (`class_distilled`), the mean of the patch tokens (`mean`), or the class token and that mean side
    by side (`class_mean`, DINOv2). `fc_norm` puts the final norm after the mean instead of before it.

    `attention` holds one entry per block, `reductions` one per block that reduces its tokens, in the order of the
    blocks. Those whose budget is an input are its stages: `keep[s]` patch tokens are left after `stages[s]`.
    `fc2_rank` has the rank of each block's second MLP matrix, 0 for a whole one (cFFN); empty: all are whole.
    """

    name: str
    preprocessing: Preprocessing
    stem: tuple[Conv, ...]
    width: int
    heads: int
    hidden: int
    classes: int
    attention: tuple[Attention, ...]
    reductions: tuple[Reduction, ...] = ()
    prefix_tokens: int = 1
    norm_eps: float = 1e-6
    fc2_rank: tuple[int, ...] = ()
    pooling: str = "class"
    fc_norm: bool = False

    def __post_init__(self) -> None:
        if self.pooling not in _TOKENS_READ:
            raise ValueError(f"pooling: expected one of {', '.join(_TOKENS_READ)}, found {self.pooling!r}")
        if self.prefix_tokens < _TOKENS_READ[self.pooling]:
            raise ValueError(
                f"pooling {self.pooling} reads {_TOKENS_READ[self.pooling]} prefix tokens, found {self.prefix_tokens}"
            )
        if self.fc_norm and self.pooling != "mean":
            raise ValueError(f"fc_norm follows the mean of the patch tokens, so it needs pooling mean: {self.pooling}")
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads: width={self.width}, heads={self.heads}")
        if self.stem[-1].out != self.width:
            raise ValueError(f"the stem must end in the model's width: {self.stem[-1].out} against {self.width}")
        for block, attention in enumerate(self.attention):
            made = self.heads - attention.computed_heads
            enough = 2 if attention.renorm == "layernorm" else 1
            if attention.kind == "hallucinated" and not enough <= made < self.heads:
                raise ValueError(
                    f"block {block} computes the maps of 1..{self.heads - enough} of its {self.heads} heads and makes "
                    f"the others: computed_heads={attention.computed_heads}"
                )
        limit = min(self.width, self.hidden)
        if self.fc2_rank and (len(self.fc2_rank) != self.depth or not all(0 <= r <= limit for r in self.fc2_rank)):
            raise ValueError(
                f"fc2_rank must have a rank of 0..{limit} for each of {self.depth} blocks: {self.fc2_rank}"
            )
        self._check_reductions()

    def _check_reductions(self) -> None:
        blocks = [reduction.block for reduction in self.reductions]
        if blocks != sorted(set(blocks)) or not set(blocks) <= set(range(self.depth)):
            raise ValueError(f"reductions must be at rising block numbers below {self.depth}: {tuple(blocks)}")
        for reduction in self.reductions:
            block, linear = reduction.block, self.attention[reduction.block].kind == "linear"
            if linear and reduction.method == "threshold":
                raise ValueError(f"block {block} ranks tokens by what they receive from all, so it must be softmax")
            if (reduction.method == "sample" or (linear and reduction.scored)) and self.score != "cls":
                raise ValueError(f"block {block} ranks tokens by a class token's scores, which {self.name} lacks")
        for earlier, reduction in combinations(self.reductions, 2):
            if earlier.varies and reduction.has_budget and reduction.method != "sample":
                raise ValueError(
                    f"the picture decides how many tokens block {earlier.block} leaves, which may be fewer than block "
                    f"{reduction.block} is to keep; only sample, threshold and patch_merger may follow"
                )
        for block, attention in enumerate(self.attention):
            reduces = self.reduction(block) and self.reduction(block).place != "before"
            if attention.kind == "hallucinated" and (reduces or self.weighs_sizes(block)):
                raise ValueError(f"block {block} hallucinates, so it can neither reduce tokens nor weigh merged ones")
        placeless = min((r.block for r in self.reductions if r.fuses or r.method == "patch_merger"), default=self.depth)
        if any(a.reweight != "none" for a in self.attention[placeless:]):
            raise ValueError(
                "a fused or mixed token has no position, so no block after a reduction that makes one may reweight "
                "by position (cos1d, cos2d)"
            )
        self._check_places()

    def _check_places(self) -> None:
        static = [reduction for reduction in self.reductions if reduction.method == "static"]
        if any(r.method != "static" for r in self.reductions[: len(static)]):
            raise ValueError("static reductions come first: after another, a token's number depends on the picture")
        for before, after in pairwise([tuple(range(self.tokens)), *(r.places for r in static)]):
            if lost := sorted(set(after) - set(before)):
                raise ValueError(f"static places must be among those that are left, found {lost}")
            if not set(range(self.prefix_tokens)) <= set(after):
                raise ValueError(f"static places must have the {self.prefix_tokens} prefix tokens: {after}")

    @property
    def depth(self) -> int:
        return len(self.attention)

    def qkv_width(self, block: int) -> int:
        """Columns of the packed projection: q and k of the heads that compute their maps, v of all."""
        attention = self.attention[block]
        computed = attention.computed_heads if attention.kind == "hallucinated" else self.heads
        return (2 * computed + self.heads) * (self.width // self.heads)

    def rank(self, block: int) -> int:
        """Rank of the block's fc2 as two factors, 0 for one matrix."""
        return self.fc2_rank[block] if self.fc2_rank else 0

    @property
    def stages(self) -> tuple[Reduction, ...]:
        """The reductions whose budget is an input."""
        return tuple(reduction for reduction in self.reductions if reduction.has_budget)

    @property
    def reduce_at(self) -> tuple[int, ...]:
        """The blocks of the stages."""
        return tuple(reduction.block for reduction in self.stages)

    def reduction(self, block: int) -> Reduction | None:
        return next((reduction for reduction in self.reductions if reduction.block == block), None)

    def reducible(self, reduction: Reduction) -> tuple[int, ...]:
        """The blocks in which this reduction could stand."""
        blocks = []
        for block in range(self.depth):
            with suppress(ValueError):
                replace(self, reductions=(replace(reduction, block=block),))
                blocks.append(block)
        return tuple(blocks)

    def weighs_sizes(self, block: int) -> bool:
        """Whether the block's attention counts a token once for each token merged into it."""
        before = [r for r in self.reductions if r.block < block or (r.block == block and r.place == "before")]
        mixed = max((i for i, r in enumerate(before) if r.method == "patch_merger"), default=-1)
        return any(r.merges and r.proportional for r in before[mixed + 1 :])

    def static_index(self, reduction: Reduction) -> list[int]:
        """The incoming tokens that a static reduction keeps."""
        earlier = self.reductions[: self.reductions.index(reduction)]
        incoming = earlier[-1].places if earlier else range(self.tokens)
        return [incoming.index(place) for place in reduction.places]

    def steps(self, keep: tuple[int, ...]) -> Iterator[tuple[Reduction, int, int | None, int]]:
        """Each reduction with the patch tokens that reach it, its count in `keep` (None: no stage), and those left."""
        counts, patches = dict(zip(self.reduce_at, keep, strict=True)), self.patches
        for reduction in self.reductions:
            count = counts.get(reduction.block)
            left = reduction.outgoing(patches, count, self.prefix_tokens)
            yield reduction, patches, count, left
            patches = left

    def fault_of(self, keep: tuple[int, ...]) -> str:
        """Why this token budget cannot be had; empty if it can."""
        limits, stages = (self.patches, *keep), len(self.stages)
        if len(keep) != stages or any(not 1 <= k <= limit for k, limit in zip(keep, limits)):
            return f"expected {stages} counts that fall from at most {self.patches}, found {keep}"
        for reduction, patches, count, _ in self.steps(keep):
            if count is not None and count < reduction.least(patches):
                return f"block {reduction.block} merges at most half of {patches} tokens and cannot leave {count}"
            if count is not None and count > patches and reduction.method != "sample":
                return f"block {reduction.block} is given {patches} tokens and cannot leave {count}"
        return ""

    @property
    def grid(self) -> int:
        """Patch tokens along one edge of the image."""
        edge = self.preprocessing.crop
        for conv in self.stem:
            edge = (edge + 2 * conv.padding - conv.kernel) // conv.stride + 1
        return edge

    @property
    def patches(self) -> int:
        return self.grid**2

    @property
    def tokens(self) -> int:
        return self.prefix_tokens + self.patches

    @property
    def head_rows(self) -> int | None:
        """How many rows of the last block the head reads, from the first on; None for all."""
        return None if self.pooling.endswith("mean") else _TOKENS_READ[self.pooling]

    @property
    def pooled_width(self) -> int:
        return self.width * (2 if "_" in self.pooling else 1)

    @property
    def score(self) -> str:
        """What ranks tokens: the class token's attention, or what a token receives if no head reads that token."""
        return "received" if self.pooling == "mean" else "cls"


_LINEAR = Attention("linear", feature_map="elu1", reweight="cos1d", normalize="row_sum")

# What the shipped models begin their training as.
MINI_SOFTMAX = ViTConfig(
    name="imagenette-softmax",
    preprocessing=Preprocessing(short_side=160, crop=160),
    stem=(
        Conv(32, 4, 4, norm=True, gelu=True),
        Conv(64, 3, 2, norm=True, gelu=True),
        Conv(64, 3, 1, norm=True, gelu=True, residual=True),
        Conv(128, 3, 2, norm=True, gelu=True),
        Conv(128, 3, 1, norm=True, gelu=True, residual=True),
    ),
    width=128,
    heads=4,
    hidden=256,
    classes=10,
    attention=(_LINEAR, _LINEAR, Attention(), Attention(), Attention(), Attention()),
    reductions=Reduction.at(2, 4),
)

# The same arrays with e-attention.
MINI = replace(
    MINI_SOFTMAX,
    name="imagenette-mini",
    attention=(_LINEAR,) * 6,
    reductions=Reduction.at(2, 4, method="sample"),
)

# MINI's arrays, but for the position table, at ten times its tokens: the stem halves the picture once less.
FINE = replace(
    MINI,
    name="imagenette-fine",
    preprocessing=Preprocessing(short_side=256, crop=256),
    stem=tuple(replace(conv, stride=1) if i == 3 else conv for i, conv in enumerate(MINI.stem)),
    reductions=Reduction.at(1, 3, method="merge"),
)

VIT_TINY = ViTConfig(
    name="vit-tiny",
    preprocessing=Preprocessing(short_side=248, crop=224),
    stem=(Conv(192, 16, 16),),
    width=192,
    heads=3,
    hidden=768,
    classes=1000,
    attention=(Attention(),) * 12,
    reductions=Reduction.at(3, 6, 9),
)

PRESETS = {config.name: config for config in (MINI, MINI_SOFTMAX, FINE, VIT_TINY)}
