"""The PyTorch model of a `ViTConfig`: exported graphs are compared with it, training differentiates through it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import Attention, Conv, ViTConfig
from .operators import hallucinated_attention, linear_attention, token_attention
from .reductions import METHODS, Tokens
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


class Block(nn.Module):
    """A pre-norm encoder block; one that reduces its tokens is told how many patch tokens go on to the MLP."""

    def __init__(self, config: ViTConfig, number: int):
        super().__init__()
        self.config, self.attention, self.reduction = config, config.attention[number], config.reduction(number)
        self.weighs_sizes = config.weighs_sizes(number)
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
        """All tensors of `tokens` have as many tokens less afterwards."""
        config, size = self.config, tokens.size if self.weighs_sizes else None
        qkv, scores = self.qkv(self.norm1(tokens.x)), None
        if self.attention.kind == "linear":
            y = linear_attention.torch_face(qkv, config.heads, self.attention, config.tokens, tokens.positions, size)
        elif self.attention.kind == "hallucinated":
            a = self.attention
            y = hallucinated_attention.torch_face(qkv, config.heads, self.mix, self.dw, a.stage, a.renorm, a.eps)
        else:
            y, scores = token_attention.torch_face(qkv, config.heads, config.score, size)
        tokens = tokens._replace(x=tokens.x + self.proj(y))
        if self.reduction:
            x, index, size = METHODS[self.reduction.method].torch_face(
                self.reduction, config, tokens, qkv, scores, count
            )
            positions = tokens.positions.gather(1, index)
            tokens = Tokens(x, F.pad(positions, (0, x.shape[1] - index.shape[1]), value=-1), size)
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
        """image: (batch, 3, height, width) -> what the head reads (batch, pooled width), kept positions by stage."""
        keep = keep or (self.config.patches,) * len(self.config.reduce_at)
        counts = dict(zip(self.config.reduce_at, keep, strict=True))
        x = self.stem(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        positions = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
        tokens, kept = Tokens(x, positions, None), []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, counts.get(number))
            if number in counts:
                kept.append(tokens.positions)
        return self._pooled(tokens.x), kept

    def _pooled(self, x: Tensor) -> Tensor:
        prefix, pooling = self.config.prefix_tokens, self.config.pooling
        if self.config.fc_norm:
            return self.norm(x[:, prefix:].mean(1))
        x = self.norm(x)
        if rows := self.config.head_rows:
            return x[:, :rows].flatten(1)
        mean = x[:, prefix:].mean(1)
        return mean if pooling == "mean" else torch.cat([x[:, 0], mean], 1)

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
