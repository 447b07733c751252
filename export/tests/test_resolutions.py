"""What docs/explanation/linear-attention.md says of models at several resolutions."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from coppice_export.bundle_files import read_bundle
from coppice_export.config import FINE, VIT_TINY, Attention, Preprocessing
from coppice_export.cost import model_macs


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "explanation" / "linear-attention.md").read_text(encoding="utf-8")


def _millions(config, pixels: int, attention: Attention) -> float:
    """Multiply-adds of the dense model."""
    forms = (attention,) * config.depth
    dense = replace(config, preprocessing=Preprocessing(pixels, pixels), attention=forms, reductions=())
    return model_macs(dense, ()) / 1e6


def test_table_of_resolutions_is_true(page):
    """Tokens, multiply-adds with softmax and linear attention, and what is saved, follow from the configuration."""
    found = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) M \| (\d+) M \| (\d+) % \|$", page, re.MULTILINE)
    assert [int(row[0]) for row in found] == [80, 112, 192, 256, 512]
    for pixels, *rest in [map(int, row) for row in found]:
        softmax, linear = (_millions(FINE, pixels, form) for form in (Attention(), FINE.attention[0]))
        tokens = replace(FINE, preprocessing=Preprocessing(pixels, pixels)).tokens
        assert rest == [tokens, round(softmax), round(linear), round(100 * (1 - linear / softmax))]


def test_ladder_of_the_page_is_the_bundles(root, page):
    """Tokens, multiply-adds and top-1 of every rung are those of the shipped manifest."""
    found = re.findall(r"^\| `(\w+)` \| (\d+), (\d+) \| (\d+) M \| ([\d.]+) % \|", page, re.MULTILINE)
    ladder = read_bundle(root / "export" / "bundles" / FINE.name).manifest["ladder"]
    assert [(rung["name"], *rung["keep"], round(rung["macs"] / 1e6), round(rung["top1"], 1)) for rung in ladder] == [
        (name, *map(int, counts), float(top1)) for name, *counts, top1 in found
    ]


@pytest.mark.parametrize(("pixels", "sentence"), [(224, "1,167 to 1,109"), (512, "9,653 to 5,769")])
def test_figures_of_vit_tiny_are_true(page, pixels, sentence):
    """The millions of multiply-adds that ViT-Tiny needs with softmax and with linear attention."""
    assert sentence in page
    assert sentence == " to ".join(f"{_millions(VIT_TINY, pixels, a):,.0f}" for a in (Attention(), FINE.attention[0]))


@pytest.mark.parametrize("pixels", [80, 112, 192])
def test_command_of_a_resolution_makes_its_bundle(root, call, page, tmp_path, monkeypatch, pixels):
    """The command as it stands, but for the folder, gives a model of that input without a budget."""
    monkeypatch.chdir(root)
    words = shlex.split(re.search(rf"^coppice-export (convert .* --image-size {pixels} .*)$", page, re.MULTILINE)[1])
    assert call(*words[:-1], tmp_path / "bundle")[0] == 0
    bundle = read_bundle(tmp_path / "bundle")
    assert (bundle.name, bundle.preprocessing.crop, bundle.manifest["keep"]["stages"]) == (
        f"fine-{pixels} 1.0.0",
        pixels,
        0,
    )
