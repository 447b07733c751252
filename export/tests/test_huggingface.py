"""Folders as Hugging Face saves them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from coppice_export.check import sample_images, session
from coppice_export.checkpoint import SourceError
from coppice_export.config import Preprocessing
from coppice_export.model import build_model
from coppice_export.sources import open_source

from .test_architectures import CASES, timm_model

HUGGINGFACE = (
    (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),
    (r"^(cls_token)", r"embeddings.\1"),
    (r"^pos_embed", "embeddings.position_embeddings"),
    (r"^dist_token", "embeddings.distillation_token"),
    (r"^reg_token", "embeddings.register_tokens"),
    (r"^blocks\.(\d+)\.attn\.proj", r"encoder.layer.\1.attention.output.dense"),
    (r"^norm\.", "layernorm."),
)
VIT = (
    (r"^blocks\.(\d+)\.norm1", r"encoder.layer.\1.layernorm_before"),
    (r"^blocks\.(\d+)\.norm2", r"encoder.layer.\1.layernorm_after"),
    (r"^blocks\.(\d+)\.mlp\.fc1", r"encoder.layer.\1.intermediate.dense"),
    (r"^blocks\.(\d+)\.mlp\.fc2", r"encoder.layer.\1.output.dense"),
)
DINO = ((r"^blocks\.(\d+)\.ls(\d)\.gamma", r"encoder.layer.\1.layer_scale\2.lambda1"), (r"^blocks\.", "encoder.layer."))
HEADS = {
    "vit": {"head.": "classifier."},
    "deit": {"head.": "cls_classifier.", "head_dist.": "distillation_classifier."},
    "dinov2_with_registers": {"head.": "classifier."},
}


def _folder(path: Path, kind: str, case: str) -> torch.nn.Module:
    """timm's model as Hugging Face saves it: other names, three projections, prefixed by the model's type."""
    model, arrays = timm_model(CASES[case]), {}
    for name, array in model.state_dict().items():
        for pattern, replacement in (*HUGGINGFACE, *(DINO if kind.startswith("dino") else VIT)):
            name = re.sub(pattern, replacement, name)
        head = next((h for h in HEADS[kind] if name.startswith(h)), None)
        name = name.replace(head, HEADS[kind][head]) if head else f"{kind}.{name}"
        if ".attn.qkv." in name:
            layer, part = re.search(r"(?:blocks|layer)\.(\d+)\.attn\.qkv\.(.*)", name).groups()
            for which, piece in zip(("query", "key", "value"), array.chunk(3)):
                arrays[f"{kind}.encoder.layer.{layer}.attention.attention.{which}.{part}"] = piece.clone()
        else:
            arrays[name] = array
    path.mkdir()
    save_file(arrays | {f"{kind}.embeddings.mask_token": torch.ones(1, 1, 32)}, path / "model.safetensors")
    names = {str(i): f"thing {i}" for i in range(7)}
    (path / "config.json").write_text(
        json.dumps({"model_type": kind, "num_attention_heads": 2, "layer_norm_eps": 1e-6, "id2label": names})
    )
    (path / "preprocessor_config.json").write_text(
        json.dumps(
            {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}, "image_std": [0.25, 0.5, 1]}
        )
    )
    return model


def _logits(source, image: np.ndarray) -> np.ndarray:
    model = build_model(source.config, source.state)
    return session(model.SerializeToString()).run(["logits"], {"image": image})[0]


@pytest.fixture
def folder(tmp_path):
    _folder(tmp_path / "vit", "vit", "class-token")
    return tmp_path / "vit"


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        ("vit", "class-token"),
        ("vit", "no-qkv-bias"),
        ("deit", "distilled"),
        ("dinov2_with_registers", "registers"),
        ("dinov2_with_registers", "dinov2"),
    ],
)
def test_hugging_face_folder_equals_the_model_it_holds(kind, case, tmp_path):
    """Names, joined projections, labels and preprocessing: logits are those of the timm model with these arrays."""
    model = _folder(tmp_path / "m", kind, case)
    source = open_source(tmp_path / "m")
    assert source.labels == tuple(f"thing {i}" for i in range(7))
    assert source.config.preprocessing == Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.25, 0.5, 1.0))
    assert source.notes == ()
    image = sample_images(source.config, 1)[0]
    with torch.inference_mode():
        np.testing.assert_allclose(_logits(source, image), model(torch.from_numpy(image)), rtol=0, atol=1e-4)


@pytest.fixture
def timm_folder(tmp_path):
    """A folder that timm itself writes for the hub, and the model it holds."""

    def write(name: str, **arguments) -> tuple[Path, torch.nn.Module]:
        model = timm.create_model(name, num_classes=5, depth=2, **{"img_size": 64} | arguments).eval()
        for head in filter(None, (model.head, getattr(model, "head_dist", None))):
            torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
        size = arguments.get("img_size", 64)
        model.pretrained_cfg |= {
            "input_size": (3, size, size),
            "crop_pct": 0.8,
            "mean": (0.4, 0.5, 0.6),
            "num_classes": 5,
        }
        save_for_hf(model, tmp_path / "hub", model_config={"label_names": list("abcde")})
        return tmp_path / "hub", model

    return write


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("deit_tiny_distilled_patch16_224", {}),
        ("vit_tiny_patch16_224", {"global_pool": "avg"}),
        ("vit_small_patch14_reg4_dinov2", {"img_size": 56}),
    ],
)
def test_folder_of_timm_equals_its_model(timm_folder, name, arguments):
    """Heads and norms by the architecture's name, pooling, preprocessing and labels by the folder."""
    folder, model = timm_folder(name, **arguments)
    source = open_source(folder)
    size = arguments.get("img_size", 64)
    assert source.labels == tuple("abcde")
    assert source.config.preprocessing == Preprocessing(
        int(size / 0.8), size, (0.4, 0.5, 0.6), model.pretrained_cfg["std"]
    )
    image = sample_images(source.config, 1)[0]
    with torch.inference_mode():
        np.testing.assert_allclose(_logits(source, image), model(torch.from_numpy(image)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("pretrained_cfg", {"crop_pct": None}, "pretrained_cfg needs input_size, crop_pct, mean and std"),
        ("architecture", "vit_of_nobody", "has no model 'vit_of_nobody'"),
        ("architecture", "resnet18", "timm cannot make resnet18 with global_pool token"),
    ],
)
def test_folder_of_timm_that_does_not_fit_is_refused(timm_folder, key, value, sentence):
    """What the weights were trained with is not guessed, and only plain ViTs are read."""
    folder, _ = timm_folder("vit_tiny_patch16_224")
    _config(**{key: value})(folder)
    with pytest.raises(SourceError, match=sentence):
        open_source(folder)


def test_preprocessing_that_the_runtime_does_otherwise_is_said(folder):
    """ViT's own processor squashes with bilinear interpolation."""
    spec = {"size": {"height": 32, "width": 32}, "resample": 2, "do_center_crop": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(spec))
    source = open_source(folder)
    assert source.config.preprocessing == Preprocessing(32, 32)
    assert source.notes == (
        "pictures are cropped to a square, not squashed to 32 x 32",
        "pictures are resized bicubically, not as resample says",
    )


def test_shards_are_read_as_one(folder):
    """An index names the file of each array."""
    whole = load_file(folder / "model.safetensors")
    expected = open_source(folder).state
    names = sorted(whole)
    shards = {"a.safetensors": names[:20], "b.safetensors": names[20:]}
    for shard, inside in shards.items():
        save_file({name: whole[name] for name in inside}, folder / shard)
    weight_map = {name: shard for shard, inside in shards.items() for name in inside}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    found = open_source(folder).state
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def _config(**changes):
    def write(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return write


FOLDERS = {
    "no-config": (lambda f: (f / "config.json").unlink(), "config.json: not readable"),
    "no-json": (lambda f: (f / "config.json").write_text("{"), "config.json: not readable"),
    "no-object": (lambda f: (f / "config.json").write_text("[]"), "expected a JSON object, found list"),
    "other-type": (_config(model_type="swin"), "expected a model_type of vit, .* found 'swin'"),
    "other-activation": (_config(hidden_act="quick_gelu"), "expected hidden_act 'gelu', found 'quick_gelu'"),
    "no-weights": (lambda f: (f / "model.safetensors").unlink(), "has neither model.safetensors nor pytorch_model.bin"),
    "other-heads": (_config(num_attention_heads=5), "width 32 is no multiple of 5 heads"),
    "crop-too-large": (
        lambda f: (f / "preprocessor_config.json").write_text('{"size": 32, "crop_size": 64}'),
        "a crop within the resized picture",
    ),
    "size-of-words": (
        lambda f: (f / "preprocessor_config.json").write_text('{"size": "large"}'),
        "sizes, mean and standard deviation must be numbers",
    ),
    "shard-elsewhere": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../a.safetensors"}}'),
        "shards must lie in the folder itself",
    ),
    "missing-projection": (
        lambda f: save_file({"vit.embeddings.cls_token": torch.ones(1, 1, 32)}, f / "model.safetensors"),
        "no vision transformer known here",
    ),
}


@pytest.mark.parametrize(("damage", "sentence"), FOLDERS.values(), ids=FOLDERS)
def test_folder_that_does_not_fit_is_refused(folder, damage, sentence):
    """One sentence that names the file."""
    damage(folder)
    with pytest.raises(SourceError, match=sentence) as refusal:
        open_source(folder)
    assert "\n" not in str(refusal.value)
