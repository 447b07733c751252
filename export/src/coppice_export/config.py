"""The shape of a vision transformer, written once for PyTorch, the ONNX graph and the bundle."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MINI", "PRESETS", "VIT_TINY", "Attention", "Conv", "Preprocessing", "Reduction", "ViTConfig"]


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
class Reduction:
    """What one block does to its patch tokens, between attention and MLP.

    `top_k` keeps the best by class attention (EViT); `merge` merges the most similar (ToMe); `prune_merge` drops the
    worst and merges the next worst into the kept token most like them (DiffRate).
    """

    block: int  # 0-based
    method: str = "top_k"
    fuse: str = "none"  # top_k: one more token stands for the pruned ones, their score-weighted mean or sum
    merge_share: float = 0.5  # prune_merge: of the tokens that go, how many merge instead of being dropped
    proportional: bool = True  # merge, prune_merge: later attention weighs a token by the tokens merged into it

    def __post_init__(self) -> None:
        for name, allowed in (("method", ("top_k", "merge", "prune_merge")), ("fuse", ("none", "mean", "sum"))):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"reduction {name}: expected one of {', '.join(allowed)}, found {value!r}")
        if self.fuse != "none" and self.method != "top_k":
            raise ValueError(f"only top_k fuses what it prunes; found fuse={self.fuse!r} with {self.method}")
        if not 0 <= self.merge_share <= 1:
            raise ValueError(f"reduction merge_share: expected a share from 0 to 1, found {self.merge_share}")

    @classmethod
    def at(cls, *blocks: int, **attributes) -> tuple[Reduction, ...]:
        """The same reduction in several blocks."""
        return tuple(cls(block, **attributes) for block in blocks)

    @property
    def scored(self) -> bool:
        """Whether it ranks tokens by the class token's attention."""
        return self.method != "merge"

    @property
    def fuses(self) -> bool:
        return self.fuse != "none"

    def least(self, patches: int) -> int:
        """The fewest patch tokens that can be left of `patches`: half of them can merge into the other half."""
        return patches - patches // 2 if self.method == "merge" else 1

    def outgoing(self, patches: int, count: int) -> int:
        """Patch tokens that go on, a fused one included, of which `count` were asked for."""
        return count + int(self.fuses and count < patches)


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
    blocks. Stage s of the graph's `keep` input, the patch tokens left after it, belongs to `reductions[s]`.
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
        if list(self.reduce_at) != sorted(set(self.reduce_at)) or not set(self.reduce_at) <= set(range(self.depth)):
            raise ValueError(f"reductions must be at rising block numbers below {self.depth}: {self.reduce_at}")
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
        for reduction in self.reductions:
            if reduction.scored and self.attention[reduction.block].kind != "softmax":
                raise ValueError(
                    f"block {reduction.block} reduces tokens by its class-token attention, so it must be softmax"
                )
        for block, attention in enumerate(self.attention):
            if attention.kind == "hallucinated" and (self.reduction(block) or self.weighs_sizes(block)):
                raise ValueError(f"block {block} hallucinates, so it can neither reduce tokens nor weigh merged ones")
        first = min((r.block for r in self.reductions if r.fuses), default=self.depth)
        if any(a.reweight == "cos1d" for a in self.attention[first:]):
            raise ValueError("a fused token has no position, so no block after a reduction that fuses may use cos1d")

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
    def reduce_at(self) -> tuple[int, ...]:
        """The blocks of `reductions`."""
        return tuple(reduction.block for reduction in self.reductions)

    def reduction(self, block: int) -> Reduction | None:
        return next((reduction for reduction in self.reductions if reduction.block == block), None)

    def weighs_sizes(self, block: int) -> bool:
        """Whether the block's attention counts a token once for each token merged into it."""
        return any(r.block < block and r.proportional and r.method in ("merge", "prune_merge") for r in self.reductions)

    def fault_of(self, keep: tuple[int, ...]) -> str:
        """Why this token budget cannot be had; empty if it can."""
        limits = (self.patches, *keep)
        if len(keep) != len(self.reductions) or any(not 1 <= k <= limit for k, limit in zip(keep, limits)):
            return f"expected {len(self.reductions)} counts that fall from at most {self.patches}, found {keep}"
        patches = self.patches
        for reduction, count in zip(self.reductions, keep):
            if count < reduction.least(patches):
                return f"block {reduction.block} merges at most half of {patches} tokens and cannot leave {count}"
            patches = reduction.outgoing(patches, count)
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

MINI = ViTConfig(
    name="imagenette-mini",
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

PRESETS = {config.name: config for config in (MINI, VIT_TINY)}
