"""Weights under timm's names, compared with timm's own model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from coppice_export.bundle import BundleSpec, Rung, write_bundle
from coppice_export.check import sample_images, session
from coppice_export.config import VIT_TINY
from coppice_export.cost import incoming_counts
from coppice_export.labels import IMAGENETTE, imagenet_labels
from coppice_export.model import build_model
from coppice_export.weights import load_state

RUNGS = {"full": 1.0, "medium": 0.7, "lowest": 0.3}


def _timm_model() -> torch.nn.Module:
    """ViT-Tiny with seeded weights of every array, biases and norms too (timm leaves these at 0 and 1)."""
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.03)
    return model


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return _timm_model()


@pytest.fixture(scope="module")
def archive(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("timm") / "vit_tiny.npz"
    np.savez(path, **{name: array.numpy() for name, array in model.state_dict().items()})
    return path


@pytest.fixture(scope="module")
def bundle(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "vit-tiny"
    rungs = tuple(Rung(name, incoming_counts(VIT_TINY, share)) for name, share in RUNGS.items())
    spec = BundleSpec("vit-tiny", "1.0.0", imagenet_labels(), rungs, "full")
    return folder, write_bundle(folder, VIT_TINY, load_state(archive, VIT_TINY), spec)


def test_bundle_with_all_tokens_equals_timm(model, bundle):
    """With every token kept the bundle's logits are those of timm's own forward."""
    image = sample_images(VIT_TINY, 1)[0]
    feeds = {"image": image, "keep": np.array(incoming_counts(VIT_TINY, 1.0))}
    with torch.inference_mode():
        expected = model(torch.from_numpy(image)).numpy()
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(session(bundle[0] / "model.onnx").run(["logits"], feeds)[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_of_the_bundle_equals_pytorch(bundle, rung):
    """The report compares each rung with PyTorch, and all are within 1e-4."""
    assert bundle[1].reference.startswith("PyTorch")
    assert bundle[1].differences[rung] <= 1e-4


def test_labels_are_in_the_order_of_imagenet():
    """A thousand names; those of our ten classes stand at their ImageNet indices."""
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert [labels[index] for _, _, index in IMAGENETTE] == [name for _, name, _ in IMAGENETTE]


def test_trained_vit_tiny_equals_timm(data):
    """The real weights give timm's logits through our graph's PyTorch twin and through the graph."""
    path = data / "vit_tiny_in1k.npz"
    if not path.is_file():
        pytest.skip(f"no {path}: set COPPICE_DATA to the folder that has it")
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False).eval()
    with np.load(path) as archive:
        model.load_state_dict({name: torch.from_numpy(archive[name]) for name in archive.files})
    image = sample_images(VIT_TINY, 1)[0]
    runner = session(build_model(VIT_TINY, load_state(path, VIT_TINY)).SerializeToString())
    with torch.inference_mode():
        expected = model(torch.from_numpy(image)).numpy()
    (found,) = runner.run(["logits"], {"image": image, "keep": np.array([196, 196, 196])})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
