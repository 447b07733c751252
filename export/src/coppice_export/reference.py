"""The PyTorch model of a `ViTConfig`: exported graphs are compared with it, training differentiates through it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import Attention, Conv, Reduction, ViTConfig
from .cost import incoming_counts
from .operators import hallucinated_attention, linear_attention, token_attention, token_scores
from .reductions import METHODS, Tokens, patch_merger, predictor
from .weights import load_state

__all__ = ["Block", "VisionTransformer", "load_reference"]


class _StemLayer(nn.Module):
    def __init__(self, inputs: int, conv: Conv):
        super().__init__()
        self.spec = conv
        self.conv = nn.Conv2d(inputs, conv.out, conv.kernel, conv.stride, conv.padding, bias=not conv.norm)
        self.norm = nn.BatchNorm2d(conv.out) if conv.norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        y = F.gelu(y) if self.spec.gelu else y
        return x + y if self.spec.residual else y


class _Factors(nn.Module):
    """Two linear maps in place of one, hidden -> rank -> width."""

    def __init__(self, hidden: int, rank: int, width: int):
        super().__init__()
        self.u, self.v = nn.Linear(hidden, rank, bias=False), nn.Linear(rank, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.v(self.u(x))


class _Predictor(nn.Module):
    """The scoring network of DynamicViT."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=predictor.NORM_EPS)
        self.embed, self.fc1 = nn.Linear(width, width), nn.Linear(width, width // 2)
        self.fc2, self.fc3 = nn.Linear(width // 2, width // 4), nn.Linear(width // 4, 2)


class _Merger(nn.Module):
    """The learned queries of PatchMerger."""

    def __init__(self, width: int, reduction: Reduction):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(reduction.outputs, width) * width**-0.5)
        self.norm = nn.LayerNorm(width, eps=patch_merger.NORM_EPS) if reduction.layer_norm else None


class Block(nn.Module):
    """A pre-norm encoder block; one that reduces its tokens by a budget is told how many patch tokens go on."""

    def __init__(self, config: ViTConfig, number: int):
        super().__init__()
        self.config, self.attention, self.reduction = config, config.attention[number], config.reduction(number)
        self.weighs_sizes, method = config.weighs_sizes(number), self.reduction and self.reduction.method
        self.predictor = _Predictor(config.width) if method == "predictor" else None
        self.merger = _Merger(config.width, self.reduction) if method == "patch_merger" else None
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.qkv = nn.Linear(config.width, config.qkv_width(number))
        self.mix, self.dw = self._hallucination(config, self.attention)
        self.proj = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.fc1 = nn.Linear(config.width, config.hidden)
        rank = config.rank(number)
        self.fc2 = _Factors(config.hidden, rank, config.width) if rank else nn.Linear(config.hidden, config.width)

    @staticmethod
    def _hallucination(config: ViTConfig, attention: Attention) -> tuple[nn.Parameter | None, nn.Parameter | None]:
        """A made map starts as the mean of the computed ones, or as the one that it is paired with."""
        if attention.kind != "hallucinated":
            return None, None
        computed, side = attention.computed_heads, attention.dw_kernel
        made, mixed = config.heads - computed, attention.mix == "cross_head"
        dw = torch.zeros(made, side, side)
        if side and not mixed:
            dw[:, side // 2, side // 2] = 1
        mix = nn.Parameter(torch.full((made, computed), 1 / computed)) if mixed else None
        return mix, nn.Parameter(dw) if side else None

    def forward(self, tokens: Tokens, count: int | None = None) -> Tokens:
        """Tokens go in and out with all that is known of them."""
        config, reduction = self.config, self.reduction
        place, face = (reduction.place, METHODS[reduction.method].torch_face) if reduction else ("", None)
        if place == "before":
            tokens = tokens.left(*face(reduction, config, tokens, self.predictor or self.merger, count))
        size, positions, scores, index = tokens.size, tokens.positions, None, None
        if size is not None and not self.weighs_sizes:
            size = size.clamp_max(1)
        qkv = self.qkv(self.norm1(tokens.x))
        if place == "queries":
            index = face(reduction, config, tokens, qkv, size, count)
            tokens, index = tokens.rows(index), index.clamp_min(0)
        if self.attention.kind == "linear":
            y = linear_attention.torch_face(
                qkv, config.heads, self.attention, config.tokens, positions, size, query_index=index
            )
            if reduction and reduction.scored:
                scores = token_scores.torch_face(qkv, config.heads, size)
        elif self.attention.kind == "hallucinated":
            a = self.attention
            y = hallucinated_attention.torch_face(qkv, config.heads, self.mix, self.dw, a.stage, a.renorm, a.eps)
        else:
            score = "received" if reduction and reduction.method == "threshold" else config.score
            y, scores = token_attention.torch_face(qkv, config.heads, score, size, index)
        tokens = tokens._replace(x=tokens.x + self.proj(y))
        if place == "after":
            tokens = tokens.left(*face(reduction, config, tokens, qkv, scores, count))
        return tokens._replace(x=tokens.x + self.fc2(F.gelu(self.fc1(self.norm2(tokens.x)))))


class VisionTransformer(nn.Module):
    """Its state dict is what `coppice-export convert` reads (timm names are mapped there)."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        widths = [3, *(conv.out for conv in config.stem)]
        self.stem = nn.Sequential(*(_StemLayer(i, conv) for i, conv in zip(widths, config.stem)))
        self.cls_token = nn.Parameter(torch.zeros(1, config.prefix_tokens, config.width))
        self.pos_embed = nn.Parameter(torch.empty(1, config.tokens, config.width).normal_(std=0.02))
        self.blocks = nn.ModuleList(Block(config, number) for number in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.head = nn.Linear(config.pooled_width, config.classes)

    def features(self, image: Tensor, keep: tuple[int, ...] | None = None) -> tuple[Tensor, list[Tensor]]:
        """image: (batch, 3, height, width) -> what the head reads (batch, pooled width), kept positions by stage.

        Where a picture keeps fewer tokens than a stage may, -1 fills the rest.
        """
        if len(image) > 1 and not self._can_pad:
            items = [self.features(item[None], keep) for item in image]
            features, kept = zip(*items)
            return torch.cat(features), [torch.cat(stage) for stage in zip(*kept)]
        keep = keep or incoming_counts(self.config, 1)
        counts = dict(zip(self.config.reduce_at, keep, strict=True))
        tokens, kept = self.embed(image), []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, counts.get(number))
            if number in counts:
                missing = max(0, self.config.prefix_tokens + counts[number] - tokens.positions.shape[1])
                kept.append(F.pad(tokens.positions, (0, missing), value=-1))
        return self.pooled(tokens), kept

    @property
    def _can_pad(self) -> bool:
        """Whether items of a batch may differ in their tokens: what knows nothing of sizes would count the filling."""
        config, methods = self.config, {reduction.method for reduction in self.config.reductions}
        sizeless = "patch_merger" in methods or any(a.kind == "hallucinated" for a in config.attention)
        return "threshold" not in methods and not ("sample" in methods and sizeless)

    def embed(self, image: Tensor) -> Tokens:
        """What enters the first block."""
        x = self.stem(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return Tokens(x, torch.arange(x.shape[1], device=x.device).expand(len(x), -1), None)

    def pooled(self, tokens: Tokens) -> Tensor:
        """What the head reads of the last block's output: (batch, pooled width)."""
        if self.config.fc_norm:
            return self.norm(self._patch_mean(tokens.x, tokens.size))
        x = self.norm(tokens.x)
        if rows := self.config.head_rows:
            return x[:, :rows].flatten(1)
        mean = self._patch_mean(x, tokens.size)
        return mean if self.config.pooling == "mean" else torch.cat([x[:, 0], mean], 1)

    def _patch_mean(self, x: Tensor, size: Tensor | None) -> Tensor:
        """The mean of the patch tokens, each counted as often as tokens were merged into it."""
        prefix = self.config.prefix_tokens
        share = torch.ones_like(x[:, prefix:, 0]) if size is None else size[:, prefix:]
        return (share[:, :, None] * x[:, prefix:]).sum(1) / share.sum(1, keepdim=True)

    def forward(self, image: Tensor, keep: tuple[int, ...] | None = None) -> Tensor:
        return self.head(self.features(image, keep)[0])


def load_reference(config: ViTConfig, weights: Path) -> VisionTransformer:
    """The model with the weights of an `.npz` state dict, ready to evaluate."""
    model = VisionTransformer(config)
    state = {name: torch.from_numpy(array) for name, array in load_state(weights, config).items()}
    # Batch norm counts the batches it has seen; no formula uses the count, so archives leave it out.
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    model.load_state_dict(state | counters)
    return model.eval()
