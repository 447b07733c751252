"""Models that others have: what is inferred from them, in which formats, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import checkpoint_filter_fn

from coppice_export.check import sample_images, session
from coppice_export.checkpoint import SourceError
from coppice_export.config import Preprocessing
from coppice_export.inference import Facts
from coppice_export.model import build_model
from coppice_export.sources import open_source
from coppice_export.timm_names import facts_of

from .test_architectures import CASES, CONFIG, timm_model

# norm-eps and mean-of-normed leave no trace in names and shapes: a timm name tells them.
TOLD_BY_SHAPES = [name for name in CASES if name not in ("norm-eps", "mean-of-normed")]


def _save_npz(path, state):
    np.savez(path, **{name: array.numpy() for name, array in state.items()})


SAVE = {
    "npz": ("w.npz", _save_npz),
    "safetensors": ("w.safetensors", lambda path, state: save_file(state, path)),
    "pth": ("w.pth", lambda path, state: torch.save(state, path)),
    "nested": ("w.pt", lambda path, state: torch.save({"epoch": 3, "model": state}, path)),
    "averaged": ("w.pth", lambda path, state: torch.save({"model": {}, "model_ema": state}, path)),
    "parallel": ("w.bin", lambda path, state: torch.save({f"module.{n}": a for n, a in state.items()}, path)),
}


def _logits(source, image: np.ndarray) -> np.ndarray:
    model = build_model(source.config, source.state)
    return session(model.SerializeToString()).run(["logits"], {"image": image})[0]


@pytest.mark.parametrize("name", TOLD_BY_SHAPES)
def test_architecture_is_read_from_names_and_shapes(name, tmp_path):
    """All but the number of heads follows from the arrays, and the logits are timm's."""
    model = timm_model(CASES[name])
    _save_npz(tmp_path / "My ViT.npz", model.state_dict())
    source = open_source(tmp_path / "My ViT.npz", heads=2)
    assert source.config == replace(CONFIG, name="my-vit", preprocessing=Preprocessing(32, 32), **CASES[name].ours)
    image = sample_images(CONFIG, 1)[0]
    with torch.inference_mode():
        np.testing.assert_allclose(_logits(source, image), model(torch.from_numpy(image)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("file", "save"), SAVE.values(), ids=SAVE)
def test_every_format_gives_the_same_arrays(file, save, tmp_path):
    """Archives, safetensors and PyTorch files as training scripts leave them are one source."""
    state = timm_model(CASES["dinov2"]).state_dict()
    save(tmp_path / file, state)
    _save_npz(tmp_path / "plain.npz", state)
    found, expected = (open_source(tmp_path / name, heads=2).state for name in (file, "plain.npz"))
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("format", ["safetensors", "pth"])
def test_half_precision_is_widened(format, dtype, tmp_path):
    """Every half is a float32; nothing is rounded again."""
    file, save = SAVE[format]
    state = {name: array.to(dtype) for name, array in timm_model(CASES["class-token"]).state_dict().items()}
    save(tmp_path / file, state)
    found = open_source(tmp_path / file, heads=2).state["blocks.0.qkv.weight"]
    np.testing.assert_array_equal(found, state["blocks.0.attn.qkv.weight"].float())


def test_what_is_assumed_is_said(tmp_path):
    """Heads and preprocessing are in no array."""
    _save_npz(tmp_path / "w.npz", timm.create_model("vit_tiny_patch16_224", depth=1, num_classes=5).state_dict())
    source = open_source(tmp_path / "w.npz")
    assert (source.config.heads, source.config.classes, source.config.preprocessing.crop) == (3, 5, 224)
    assert [note.split(",")[0] for note in source.notes] == ["3 heads of 64", "whole picture"]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("vit_tiny_patch16_224", Facts("", 3, 1e-6, "class", False, Preprocessing(248, 224))),
        ("deit_tiny_distilled_patch16_224", Facts("", 3, 1e-6, "class_distilled", False)),
        ("vit_medium_patch16_gap_256", Facts("", 8, 1e-6, "mean", False)),
        ("vit_medium_patch16_reg4_gap_256", Facts("", 8, 1e-6, "mean", True)),
        ("vit_small_patch14_reg4_dinov2", Facts("", 6, 1e-6, "class", False)),
    ],
)
def test_timm_name_tells_what_shapes_do_not(name, facts):
    """Heads, norm and pooling are those of timm's model; its preprocessing is that of its weights."""
    found = facts_of(name, 7)
    assert replace(found, name="", preprocessing=facts.preprocessing) == facts
    assert facts.preprocessing in (None, found.preprocessing)
    assert found.preprocessing.crop == timm.get_pretrained_cfg(name).input_size[-1]


def test_weights_of_a_timm_name_are_resized_as_timm_does(tmp_path):
    """Weights at 64 pixels for a model of 224: timm's own loading is the oracle."""
    small = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=5)
    large = timm.create_model("vit_tiny_patch16_224", depth=2, num_classes=5).eval()
    torch.nn.init.normal_(small.pos_embed, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(small.head.weight, generator=torch.Generator().manual_seed(1))
    large.load_state_dict(checkpoint_filter_fn(small.state_dict(), large))
    _save_npz(tmp_path / "w.npz", small.state_dict())
    source = open_source(tmp_path / "w.npz", model="vit_tiny_patch16_224")
    assert source.config.preprocessing == Preprocessing(248, 224)
    image = sample_images(source.config, 1)[0]
    with torch.inference_mode():
        expected = large(torch.from_numpy(image)).numpy()
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(_logits(source, image), expected, rtol=0, atol=1e-4)


def test_image_size_keeps_the_share_of_the_picture(tiny, tiny_state, tmp_path):
    """Twice the resolution resizes to twice the side and crops twice the square; the model runs at it."""
    np.savez(tmp_path / "w.npz", **tiny_state)
    source = open_source(tmp_path / "w.npz", preset=tiny, size=64)
    assert source.config.preprocessing == Preprocessing(72, 64)
    assert source.config.tokens == 1 + 8 * 8


def _without(name):
    return lambda state: {n: a for n, a in state.items() if n != name}


def _with(name, array):
    return lambda state: state | {name: array}


DAMAGED = {
    "key-missing": (_without("blocks.1.mlp.fc1.bias"), "blocks.1.fc1.bias is missing"),
    "no-head": (_without("head.bias"), "has no classification head .head.bias.; give weights"),
    "no-vit": (
        lambda _: {"conv1.weight": torch.ones(3, 3)},
        "known here: .* found conv1.weight;",
    ),
    "empty": (lambda _: {}, "found nothing"),
    "nan": (_with("norm.bias", torch.full((32,), torch.nan)), "norm.bias has values that are not finite"),
    "normed-queries": (_with("blocks.0.attn.q_norm.weight", torch.ones(16)), "blocks.0.q_norm.weight is not part of w"),
    "pre-norm": (_with("norm_pre.weight", torch.ones(32)), "norm_pre.weight is not part of w"),
    "double": (
        _with("norm.bias", torch.ones(32, dtype=torch.float64)),
        "norm.bias: expected .*, found float64",
    ),
    "no-square": (_with("pos_embed", torch.ones(1, 15, 32)), "a position table of 15 rows with 1 prefix tokens"),
    "flat-patches": (_with("patch_embed.proj.weight", torch.ones(32, 192)), "no vision transformer known here"),
    "gated-mlp": (
        lambda state: state | {"blocks.0.mlp.fc1.weight": torch.ones(128, 32)},
        r"blocks.0.fc2.weight: expected float32 \[32, 128\]",
    ),
    "classes-of-two-heads": (_with("head.weight", torch.ones(8, 32)), r"head.weight: expected float32 \[7, 32\]"),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_other_arrays_are_refused_by_name(damage, sentence, tmp_path):
    """One sentence with the file and what is wrong in it."""
    _save_npz(tmp_path / "w.npz", damage(timm_model(CASES["class-token"]).state_dict()))
    with pytest.raises(SourceError, match=sentence) as refusal:
        open_source(tmp_path / "w.npz", heads=2)
    assert str(refusal.value).startswith(str(tmp_path / "w.npz"))
    assert "\n" not in str(refusal.value)


def test_width_without_a_known_number_of_heads_is_refused(tmp_path):
    """32 is no multiple of 64, and no other head width is guessed."""
    _save_npz(tmp_path / "w.npz", timm_model(CASES["class-token"]).state_dict())
    with pytest.raises(SourceError, match="width 32 is no multiple of 64 heads; give --heads"):
        open_source(tmp_path / "w.npz")


class _Command:
    """What an attacker would put into a pickle: code that runs when it is loaded."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


PICKLES = {
    "code": lambda path: torch.save({"head.bias": _Command(path.with_name("ran"))}, path),
    "module": lambda path: torch.save(torch.nn.Linear(1, 1), path),
    "words": lambda path: torch.save({"head.bias": "none"}, path),
    "list": lambda path: torch.save([torch.ones(1)], path),
    "text": lambda path: path.write_text("no archive"),
}


@pytest.mark.parametrize("write", PICKLES.values(), ids=PICKLES)
def test_pickle_with_more_than_arrays_is_refused_and_not_run(write, tmp_path):
    """weights_only holds: nothing in the file is executed."""
    path = tmp_path / "w.pth"
    write(path)
    with pytest.raises(SourceError, match=re.escape(str(path))) as refusal:
        open_source(path)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", ["w.h5", "w"])
def test_unknown_format_is_refused(file, tmp_path):
    """The formats that are read are listed."""
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(SourceError, match=r"a Hugging Face folder or a file of \.npz, \.safetensors, \.pth"):
        open_source(tmp_path / file)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_safetensors_are_refused(share, tmp_path):
    """A download that stopped is refused wherever it stopped."""
    path = tmp_path / "w.safetensors"
    save_file(timm_model(CASES["class-token"]).state_dict(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(SourceError, match=r"not a readable \.safetensors state dict"):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("vit_tiny_patch16_225", "has no model 'vit_tiny_patch16_225'"),
        ("resnet18", "timm's resnet18 is a ResNet"),
        ("vit_xsmall_patch16_clip_224", "a norm before the blocks"),
        ("vit_medium_patch32_clip_224", "a norm before the blocks"),
        ("vit_little_patch16_reg1_gap_256", ""),
    ],
)
def test_timm_model_of_another_kind_is_refused(name, sentence):
    """The refusal says what this project does not compute; a plain model passes."""
    if not sentence:
        assert facts_of(name, 5).pooling == "mean"
        return
    with pytest.raises(SourceError, match=sentence):
        facts_of(name, 5)
