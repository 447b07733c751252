"""What one block does to its tokens: the attributes of every method in one dataclass."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Reduction"]

# Where each method acts: before the block, on the queries of its attention, or between attention and MLP.
_PLACES = {
    "predictor": "before",
    "patch_merger": "before",
    "sample": "queries",
    "static": "queries",
    "top_k": "after",
    "merge": "after",
    "prune_merge": "after",
    "threshold": "after",
}
# How many tokens these leave is no input: it is learned, fixed or depends on the picture.
_WITHOUT_BUDGET = ("threshold", "static", "patch_merger")
_ALLOWED = {
    "method": tuple(_PLACES),
    "fuse": ("none", "mean", "sum"),
    "rank": ("importance", "importance_distance"),
    "rule": ("cdf", "ats"),
    "softmax_axis": ("tokens", "outputs"),
}


@dataclass(frozen=True)
class Reduction:
    """What block `block` (0-based) does to its patch tokens; each method has a page in docs/explanation.

    `top_k` keeps the best by class attention (EViT, top-k). `merge` merges the most similar (ToMe). `prune_merge` drops
    the worst and merges the next worst into the kept token most like them (DiffRate). `threshold` merges what is more
    similar and drops what is less important than two learned numbers (LTMP). `sample` keeps the tokens at even steps
    of the summed class attention (ATS, e-attention). `static` keeps the same places in every picture (Patch Slimming).
    `predictor` keeps the best by a small network (DynamicViT). `patch_merger` mixes all into a fixed number.
    """

    block: int
    method: str = "top_k"
    # top_k: one more token stands for the pruned ones, their score-weighted mean or sum.
    fuse: str = "none"
    # prune_merge: of the tokens that go, the share that merge instead of being dropped.
    merge_share: float = 0.5
    # prune_merge: the importance alone, or times the distance to the nearest more important token.
    rank: str = "importance"
    # merge, prune_merge, threshold: later attention counts a token once for each token merged into it.
    proportional: bool = True
    # threshold: similarities above the one merge, importances above the other stay.
    merge_threshold: float = 0.9
    prune_threshold: float = 0.0
    # sample: the rule of `SampleTokens`, and whether a score is multiplied by the length of the token's value.
    rule: str = "cdf"
    value_norm: bool = False
    # static: the tokens that stay, numbered as in the whole model, prefix tokens included.
    places: tuple[int, ...] = ()
    # patch_merger: the number of outputs, and the attributes of `PatchMerger`.
    outputs: int = 8
    layer_norm: bool = True
    scale: float = 1.0
    softmax_axis: str = "tokens"

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"reduction {name}: expected one of {', '.join(allowed)}, found {value!r}")
        if self.fuse != "none" and self.method != "top_k":
            raise ValueError(f"only top_k fuses what it prunes; found fuse={self.fuse!r} with {self.method}")
        if not 0 <= self.merge_share <= 1:
            raise ValueError(f"reduction merge_share: expected a share from 0 to 1, found {self.merge_share}")
        if self.outputs < 1:
            raise ValueError(f"reduction outputs: expected at least one token, found {self.outputs}")
        if list(self.places) != sorted(set(self.places)) or bool(self.places) != (self.method == "static"):
            raise ValueError(f"reduction places: expected rising numbers, for static alone, found {self.places}")

    @classmethod
    def at(cls, *blocks: int, **attributes) -> tuple[Reduction, ...]:
        """The same reduction in several blocks."""
        return tuple(cls(block, **attributes) for block in blocks)

    @property
    def place(self) -> str:
        """before, queries or after (attention)."""
        return _PLACES[self.method]

    @property
    def has_budget(self) -> bool:
        """Whether the graph's input `keep` has a count for it."""
        return self.method not in _WITHOUT_BUDGET

    @property
    def scored(self) -> bool:
        """Whether it ranks tokens by what attention gives them."""
        return self.method in ("top_k", "prune_merge", "threshold")

    @property
    def merges(self) -> bool:
        return self.method in ("merge", "prune_merge", "threshold")

    @property
    def fuses(self) -> bool:
        return self.fuse != "none"

    @property
    def varies(self) -> bool:
        """Whether the number of tokens depends on the picture."""
        return self.method in ("sample", "threshold")

    def least(self, patches: int) -> int:
        """The fewest patch tokens that can be left of `patches`: half of them can merge into the other half."""
        return patches - patches // 2 if self.method == "merge" else 1

    def outgoing(self, patches: int, count: int | None, prefix: int) -> int:
        """Patch tokens that go on, a fused one included; at most so many where that depends on the picture."""
        if self.method == "static":
            return len(self.places) - prefix
        if self.method == "patch_merger":
            return self.outputs
        if count is None:
            return patches
        return min(count, patches) + int(self.fuses and count < patches)
