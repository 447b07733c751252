"""What a timm model's name tells beyond the shapes of its arrays. Needs timm and PyTorch, and no network."""

from __future__ import annotations

from .checkpoint import SourceError
from .config import Preprocessing
from .inference import Facts

__all__ = ["facts_of", "timm_notes", "timm_preprocessing"]


def facts_of(name: str, classes: int, pool: str | None = None) -> Facts:
    """Heads, norms, pooling and preprocessing of `timm.create_model(name)`, with another `global_pool` if given.

    Raises SourceError for a name that timm does not have, and for a model whose function this project does not compute.
    """
    try:
        import timm
        import torch
        from timm.models.vision_transformer import Block, VisionTransformer
        from torch import nn
    except ImportError as error:
        raise SourceError(f"--model {name} needs timm ({error}); install coppice-export[torch].") from None
    if not timm.is_model(name):
        raise SourceError(f"timm {timm.__version__} has no model {name!r}; timm.list_models() names them.")
    other = {"global_pool": pool} if pool in ("token", "avg") else {}
    try:
        with torch.device("meta"):  # the arrays come from elsewhere: shapes without memory
            model = timm.create_model(name, pretrained=False, num_classes=classes, **other)
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:
        raise SourceError(f"timm cannot make {name} with global_pool {pool} ({error}).") from None
    if not isinstance(model, VisionTransformer):
        raise SourceError(f"timm's {name} is a {type(model).__name__}; only its plain ViT, DeiT and DINOv2 are known.")
    strange = {
        f"blocks of {type(b).__name__}"
        for b in model.blocks
        if type(b) is not Block or type(b.attn).__name__ != "Attention"
    }
    strange |= {f"activation {a!r}" for b in model.blocks if repr(a := b.mlp.act) != "GELU(approximate='none')"}
    if model.global_pool not in ("token", "avg") or model.pool_include_prefix:
        strange.add(f"pooling {model.global_pool}")
    if not isinstance(model.norm_pre, nn.Identity):
        strange.add("a norm before the blocks")
    if strange:
        raise SourceError(f"timm's {name} has {', '.join(sorted(strange))}, which this project does not compute.")
    pooling = "mean" if model.global_pool == "avg" else "class_distilled" if hasattr(model, "head_dist") else "class"
    return Facts(
        name=name.lower(),
        heads=model.blocks[0].attn.num_heads,
        norm_eps=model.blocks[0].norm1.eps,
        pooling=pooling,
        fc_norm=not isinstance(model.fc_norm, nn.Identity),
        preprocessing=timm_preprocessing(model.pretrained_cfg),
        notes=timm_notes(model.pretrained_cfg),
    )


def timm_preprocessing(cfg: dict) -> Preprocessing:
    """What a timm `pretrained_cfg` asks for."""
    size = cfg["input_size"][-1]
    return Preprocessing(int(size / cfg["crop_pct"]), size, tuple(cfg["mean"]), tuple(cfg["std"]))


def timm_notes(cfg: dict) -> tuple[str, ...]:
    """Where the runtime, which resizes the short side bicubically and crops the centre, does otherwise."""
    notes = []
    if cfg.get("interpolation", "bicubic") != "bicubic":
        notes.append(f"pictures are resized bicubically, not with {cfg['interpolation']} interpolation")
    if cfg.get("crop_mode", "center") != "center":
        notes.append(f"pictures are cropped at the centre, not by {cfg['crop_mode']}")
    return tuple(notes)
