"""What several tests share: a small model of every part, random weights, and the places of the repository."""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis.configuration import set_hypothesis_home_dir
from PIL import Image

from coppice_export.__main__ import main
from coppice_export.bundle import BundleSpec, Rung
from coppice_export.config import Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.weights import expected_shapes

ROOT = Path(__file__).resolve().parents[2]
State = dict[str, np.ndarray]

set_hypothesis_home_dir(ROOT / "target" / "hypothesis")
hypothesis.settings.register_profile("same-examples", derandomize=True, database=None, deadline=None, max_examples=80)
hypothesis.settings.load_profile("same-examples")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with the photographs and the trained ViT-Tiny; tests that need it skip without it."""
    return Path(os.environ.get("COPPICE_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def tiny() -> ViTConfig:
    """16 patches, both kinds of attention before and after a reduction, a plain last block."""
    linear = Attention("linear", feature_map="elu1", reweight="cos1d")
    return ViTConfig(
        name="tiny",
        preprocessing=Preprocessing(short_side=36, crop=32),
        stem=(
            Conv(8, 4, 4, norm=True, gelu=True),
            Conv(24, 3, 2, norm=True, gelu=True),
            Conv(24, 3, 1, norm=True, gelu=True, residual=True),
        ),
        width=24,
        heads=3,
        hidden=40,
        classes=10,
        attention=(linear, Attention(), linear, Attention(), Attention()),
        reductions=Reduction.at(1, 3),
    )


@pytest.fixture(scope="session")
def tiny_spec() -> BundleSpec:
    rungs = (Rung("full", (16, 16), 80.0), Rung("half", (8, 4), 70.5))
    return BundleSpec("tiny", "1.2.3", tuple(f"label {i}" for i in range(10)), rungs, "half", "some photographs")


def _random_state(config: ViTConfig, seed: int = 0) -> State:
    """Weights of the size that training leaves: layers keep the magnitude of what they are given."""
    rng, state = np.random.default_rng(seed), {}
    for name, shape in expected_shapes(config).items():
        values = rng.standard_normal(shape)
        if name.endswith("running_var") or ("norm" in name and name.endswith(".weight")):
            values = np.exp(values / 4)
        elif len(shape) > 1 and name not in ("cls_token", "pos_embed"):
            values /= np.sqrt(np.prod(shape[1:]))
        else:
            values /= 4
        state[name] = values.astype(np.float32)
    return state


@pytest.fixture(scope="session")
def random_state() -> Callable[..., State]:
    return _random_state


@pytest.fixture(scope="session")
def tiny_state(tiny) -> State:
    return _random_state(tiny)


@pytest.fixture
def call(monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Runs the command line with these arguments; gives exit code and stderr."""
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["coppice-export", *map(str, arguments)])
        try:
            code = main()
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr().err

    return run


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """A folder's files by relative name."""
    return lambda folder: {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _noise_tar(path: Path, names: list[str], seed: int) -> Path:
    """JPEG pictures of noise on a colour of their class."""
    rng = np.random.default_rng(seed)
    with tarfile.open(path, "w") as tar:
        for name in names:
            colour = 20 * int(re.search(r"\d+", name)[0]) % 200
            pixels = (colour + rng.integers(0, 55, (44, 40, 3))).astype(np.uint8)
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "JPEG")
            entry = tarfile.TarInfo(name)
            entry.size = len(data.getvalue())
            tar.addfile(entry, io.BytesIO(data.getvalue()))
    return path


@pytest.fixture(scope="session")
def noise_tar() -> Callable[[Path, list[str], int], Path]:
    return _noise_tar
