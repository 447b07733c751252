"""Architectures of timm with random weights: our graphs against timm's own forward."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer

from coppice_export.check import check_model, sample_images, session
from coppice_export.config import Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.model import Flavour, build_model
from coppice_export.reductions.tokens import Tokens
from coppice_export.reference import VisionTransformer as Reference
from coppice_export.weights import SourceError, load_state

CONFIG = ViTConfig(
    name="architecture",
    preprocessing=Preprocessing(36, 32),
    stem=(Conv(32, 8, 8),),
    width=32,
    heads=2,
    hidden=64,
    classes=7,
    attention=(Attention(),) * 3,
)


@dataclass(frozen=True)
class Case:
    """What timm is asked for and what describes it here, beside `CONFIG`."""

    timm: dict
    ours: dict = field(default_factory=dict)
    kind: type = VisionTransformer


CASES = {
    "class-token": Case({}),
    "no-qkv-bias": Case({"qkv_bias": False}),
    "layer-scale": Case({"init_values": 1e-5}),
    "no-embed-class": Case({"no_embed_class": True}),
    "norm-eps": Case({"norm_layer": lambda *a, **k: torch.nn.LayerNorm(*a, **k | {"eps": 0.5})}, {"norm_eps": 0.5}),
    "registers": Case({"reg_tokens": 4}, {"prefix_tokens": 5}),
    "dinov2": Case({"reg_tokens": 4, "no_embed_class": True, "init_values": 1e-5}, {"prefix_tokens": 5}),
    "distilled": Case({}, {"prefix_tokens": 2, "pooling": "class_distilled"}, VisionTransformerDistilled),
    "mean": Case({"global_pool": "avg"}, {"pooling": "mean", "fc_norm": True}),
    "mean-of-normed": Case({"global_pool": "avg", "fc_norm": False}, {"pooling": "mean"}),
    "mean-without-class-token": Case(
        {"global_pool": "avg", "class_token": False}, {"pooling": "mean", "fc_norm": True, "prefix_tokens": 0}
    ),
    "mean-with-registers-alone": Case(
        {"global_pool": "avg", "class_token": False, "reg_tokens": 3, "no_embed_class": True, "fc_norm": False},
        {"pooling": "mean", "prefix_tokens": 3},
    ),
}


def timm_model(case: Case) -> torch.nn.Module:
    """Seeded weights of every array: timm leaves biases and norms at 0 and 1, and layer scales too small to be seen."""
    model = case.kind(
        img_size=32, patch_size=8, embed_dim=32, depth=3, num_heads=2, mlp_ratio=2, num_classes=7, **case.timm
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request) -> Case:
    return request.param


@pytest.fixture
def loaded(case, tmp_path):
    """timm's model, our configuration of it, and its arrays as we read them."""
    model, config = timm_model(case), replace(CONFIG, **case.ours)
    np.savez(tmp_path / "w.npz", **{name: array.numpy() for name, array in model.state_dict().items()})
    return model, config, load_state(tmp_path / "w.npz", config)


@pytest.mark.parametrize("flavour", Flavour)
def test_graph_equals_timm(loaded, flavour):
    """Logits are timm's within 1e-4, in our operators and in stock ones."""
    model, config, state = loaded
    image = np.concatenate(sample_images(config, 1))
    with torch.inference_mode():
        expected = model(torch.from_numpy(image)).numpy()
    assert np.ptp(expected) > 0.5
    (found,) = session(build_model(config, state, flavour).SerializeToString()).run(["logits"], {"image": image})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_reduced_graph_equals_pytorch(loaded):
    """With stages in the middle and at the end, every budget gives the logits of the PyTorch reference."""
    _, config, state = loaded
    config = replace(config, reductions=Reduction.at(1, 2))
    report = check_model(build_model(config, state), config, state, {"full": (16, 16), "few": (9, 4), "one": (1, 1)})
    assert report.reference.startswith("PyTorch")


@pytest.mark.parametrize("flavour", [Flavour.BLOCKS, Flavour.STOCK])
def test_reduced_graph_of_another_flavour_keeps_the_same_tokens(loaded, flavour):
    """All flavours rank the tokens alike: by the class token's attention, or by what a token receives."""
    _, config, state = loaded
    config = replace(config, reductions=Reduction.at(0, 1))
    feeds = {"image": sample_images(config, 1)[0], "keep": np.array([9, 4])}
    separate, other = (
        session(build_model(config, state, kind).SerializeToString()).run(["logits", "kept_0", "kept_1"], feeds)
        for kind in (Flavour.SEPARATE, flavour)
    )
    for found, expected in zip(other, separate, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_class_token_beside_the_mean_equals_timm_features(tmp_path):
    """DINOv2's classifier reads the normed class token and the mean of the normed patches, side by side."""
    model, config = timm_model(CASES["dinov2"]), replace(CONFIG, prefix_tokens=5, pooling="class_mean")
    head = {"head.weight": torch.randn(7, 64, generator=torch.Generator().manual_seed(1)), "head.bias": torch.zeros(7)}
    np.savez(tmp_path / "w.npz", **{n: a.numpy() for n, a in (model.state_dict() | head).items()})
    image = sample_images(config, 1)[0]
    with torch.inference_mode():
        tokens = model.forward_features(torch.from_numpy(image))
        expected = torch.cat([tokens[:, 0], tokens[:, 5:].mean(1)], 1) @ head["head.weight"].T
    for flavour in Flavour:
        graph = build_model(config, load_state(tmp_path / "w.npz", config), flavour)
        (found,) = session(graph.SerializeToString()).run(["logits"], {"image": image})
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_merged_tokens_count_as_often_as_they_stand_for():
    """Three tokens that are one row and one that stayed alone have the mean of four."""
    config = replace(CONFIG, prefix_tokens=0, pooling="mean", fc_norm=True)
    x = torch.randn(1, 2, 32, generator=torch.Generator().manual_seed(0))
    model = Reference(config)
    merged = model.pooled(Tokens(x, None, torch.tensor([[3.0, 1.0]])))
    whole = model.pooled(Tokens(x[:, [0, 0, 0, 1]], None, None))
    torch.testing.assert_close(merged, whole)
    assert (merged - model.pooled(Tokens(x, None, None))).abs().max() > 0.1


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("name", ["mean", "mean-of-normed", "mean-without-class-token"])
def test_mean_of_merged_tokens_equals_pytorch(name, flavour, tmp_path):
    """Both flavours weigh the rows by the tokens merged into them."""
    np.savez(tmp_path / "w.npz", **{n: a.numpy() for n, a in timm_model(CASES[name]).state_dict().items()})
    config = replace(CONFIG, **CASES[name].ours, reductions=Reduction.at(0, 2, method="merge"))
    state, image = load_state(tmp_path / "w.npz", config), sample_images(config, 1)[0]
    reference = Reference(config).eval()
    reference.load_state_dict({n: torch.from_numpy(a) for n, a in state.items()})
    runner = session(build_model(config, state, flavour).SerializeToString())
    with torch.inference_mode():
        expected = reference(torch.from_numpy(image), (11, 7))
    (found,) = runner.run(["logits"], {"image": image, "keep": np.array([11, 7])})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["registers", "distilled", "mean"])
def test_other_pooling_is_seen(name, tmp_path):
    """A model read as if its head read something else gives other logits: the comparisons above can fail."""
    case = CASES[name]
    model, config = timm_model(case), replace(CONFIG, **case.ours)
    np.savez(tmp_path / "w.npz", **{n: a.numpy() for n, a in model.state_dict().items()})
    state = load_state(tmp_path / "w.npz", config)
    swapped = {"registers": "mean", "distilled": "class_mean", "mean": "class"}[name]
    wrong = replace(config, pooling=swapped, fc_norm=False)
    image = sample_images(config, 1)[0]
    (found,) = session(build_model(wrong, state).SerializeToString()).run(["logits"], {"image": image})
    with torch.inference_mode():
        assert np.abs(found - model(torch.from_numpy(image)).numpy()).max() > 1e-2


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("distilled", {"prefix_tokens": 1, "pooling": "class"}, "dist_token is not part of architecture"),
        ("registers", {"prefix_tokens": 1}, "reg_token is not part of architecture"),
        ("mean", {"fc_norm": False}, "fc_norm.weight is not part of architecture; norm.bias is missing"),
        ("layer-scale", {"width": 16, "stem": (Conv(16, 8, 8),)}, "blocks.0.ls1.gamma is not part of architecture"),
        ("class-token", {"prefix_tokens": 5}, r"cls_token: expected float32 \[1, 5, 32\], found float32 \[1, 1, 32\]"),
    ],
)
def test_weights_of_another_architecture_are_refused(name, changes, sentence, tmp_path):
    """Parts that the configuration has no room for are named."""
    np.savez(tmp_path / "w.npz", **{n: a.numpy() for n, a in timm_model(CASES[name]).state_dict().items()})
    with pytest.raises(SourceError, match=sentence):
        load_state(tmp_path / "w.npz", replace(CONFIG, **CASES[name].ours | changes))
