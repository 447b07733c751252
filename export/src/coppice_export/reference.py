"""PyTorch reference of the operators and of the models made of them.

The functions follow the formulas of docs/reference/operators.md in plain tensor operations. They are what the exported
graph is compared with, and what training differentiates through.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import Attention, Conv, ViTConfig

__all__ = ["Block", "VisionTransformer", "linear_attention", "token_attention", "top_k_tokens"]


def _heads(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """qkv: (batch, tokens, 3 * width) -> three of (batch, heads, tokens, dim)."""
    batch, tokens, width3 = qkv.shape
    return qkv.view(batch, tokens, 3, heads, width3 // (3 * heads)).permute(2, 0, 3, 1, 4).unbind(0)


def _merge(y: Tensor) -> Tensor:
    """y: (batch, heads, tokens, dim) -> (batch, tokens, width)."""
    return y.transpose(1, 2).flatten(2)


def linear_attention(qkv: Tensor, heads: int, attention: Attention, length: int) -> Tensor:
    """Kernel attention of the packed qkv: (batch, tokens, 3 * width) -> (batch, tokens, width).

    Written in the quadratic order, where the cos term is literally cos(pi (i - j) / (2 length)).
    """
    q, k, v = _heads(qkv, heads)
    phi = F.relu if attention.feature_map == "relu" else (lambda x: F.elu(x) + 1)
    weights = phi(q) @ phi(k).transpose(-1, -2)
    if attention.reweight == "cos1d":
        position = torch.arange(qkv.shape[1], dtype=qkv.dtype, device=qkv.device)
        weights = weights * torch.cos(math.pi / (2 * length) * (position[:, None] - position[None, :]))
    if attention.normalize == "row_sum":
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(attention.eps)
    elif attention.normalize == "sqrt_d":
        weights = weights / math.sqrt(q.shape[-1])
    return _merge(weights @ v)


def token_attention(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Softmax attention and its class-token scores: y (batch, tokens, width), scores (batch, tokens).

    A score is the class token's attention to that token, averaged over the heads.
    """
    q, k, v = _heads(qkv, heads)
    class_row = torch.softmax(q[:, :, :1] @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)
    return _merge(F.scaled_dot_product_attention(q, k, v)), class_row[:, :, 0].mean(1)


def top_k_tokens(scores: Tensor, count: int, x: Tensor, prefix: int = 1, fuse_pruned: bool = False) -> tuple[Tensor, Tensor]:
    """Keep the prefix and the `count` best patch tokens in raster order; ties go to the lower index.

    scores: (batch, tokens), x: (batch, tokens, width) -> index (batch, prefix + count), y (batch, prefix + count (+1), width).
    With `fuse_pruned`, the score-weighted mean of the pruned tokens follows, if any was pruned.
    """
    batch, tokens, width = x.shape
    order = torch.argsort(scores[:, prefix:], dim=1, descending=True, stable=True)
    kept = order[:, :count].sort(1).values + prefix
    index = torch.cat([torch.arange(prefix, device=x.device).expand(batch, prefix), kept], 1)
    y = x.gather(1, index[:, :, None].expand(-1, -1, width))
    if fuse_pruned and count < tokens - prefix:
        pruned = order[:, count:] + prefix
        weights = scores.gather(1, pruned)
        fused = (weights[:, :, None] * x.gather(1, pruned[:, :, None].expand(-1, -1, width))).sum(1, keepdim=True)
        y = torch.cat([y, fused / weights.sum(1)[:, None, None]], 1)
    return index, y


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


class Block(nn.Module):
    """A pre-norm encoder block; `count` patch tokens go on to the MLP when it is given."""

    def __init__(self, config: ViTConfig, attention: Attention):
        super().__init__()
        self.config, self.attention = config, attention
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.fc1 = nn.Linear(config.width, config.hidden)
        self.fc2 = nn.Linear(config.hidden, config.width)

    def forward(self, x: Tensor, count: int | None = None) -> tuple[Tensor, Tensor | None]:
        """x: (batch, tokens, width) -> the block's output and, if it reduced, the kept index into its incoming tokens."""
        config, index = self.config, None
        qkv = self.qkv(self.norm1(x))
        if self.attention.kind == "linear":
            y = linear_attention(qkv, config.heads, self.attention, config.tokens)
        else:
            y, scores = token_attention(qkv, config.heads)
        x = x + self.proj(y)
        if count is not None:
            index, x = top_k_tokens(scores, count, x, config.prefix_tokens, config.fuse_pruned)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x)))), index


class VisionTransformer(nn.Module):
    """The model of a `ViTConfig`; its state dict is what `coppice-export convert` reads (timm names are mapped there)."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        widths = [3, *(conv.out for conv in config.stem)]
        self.stem = nn.Sequential(*(_StemLayer(i, conv) for i, conv in zip(widths, config.stem)))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.empty(1, config.tokens, config.width).normal_(std=0.02))
        self.blocks = nn.ModuleList(Block(config, attention) for attention in config.attention)
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.head = nn.Linear(config.width, config.classes)

    def features(self, image: Tensor, keep: tuple[int, ...] | None = None) -> tuple[Tensor, list[Tensor]]:
        """image: (batch, 3, height, width) -> the class token (batch, width) and the kept index of each stage."""
        keep = keep or (self.config.patches,) * len(self.config.reduce_at)
        counts = dict(zip(self.config.reduce_at, keep, strict=True))
        x = self.stem(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        kept = []
        for number, block in enumerate(self.blocks):
            x, index = block(x, counts.get(number))
            if index is not None:
                kept.append(index)
        return self.norm(x)[:, 0], kept

    def forward(self, image: Tensor, keep: tuple[int, ...] | None = None) -> Tensor:
        return self.head(self.features(image, keep)[0])
