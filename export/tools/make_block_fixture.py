"""Write a small bundle of random weights whose blocks are int8: three kinds of attention, two reductions.

Usage: python export/tools/make_block_fixture.py runtime/core/src/test/resources/blocks
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from coppice_export.bundle import BundleSpec, Rung, write_bundle
from coppice_export.bundle_files import read_bundle
from coppice_export.config import Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.model import Flavour
from coppice_export.quantize import int8_dynamic
from coppice_export.variant import Variant, write_variant
from coppice_export.weights import expected_shapes

CONFIG = ViTConfig(
    name="blocks",
    preprocessing=Preprocessing(short_side=32, crop=32),
    stem=(Conv(24, 8, 8),),
    width=24,
    heads=3,
    hidden=40,
    classes=5,
    attention=(
        Attention("hallucinated", computed_heads=2, dw_kernel=3),
        Attention("linear", feature_map="elu1", reweight="cos1d"),
        Attention(),
    ),
    reductions=(Reduction(1), Reduction(2, "merge")),
    fc2_rank=(9, 0, 0),
)
RUNGS = (Rung("full", (16, 16)), Rung("few", (9, 5)))
SPEC = BundleSpec("blocks", "1.0.0", tuple("abcde"), RUNGS, "full")


def main(folder: Path) -> None:
    """`blocks.1.fc2` stays float32, as a layer of an outlier would."""
    rng, state = np.random.default_rng(0), {}
    for name, shape in expected_shapes(CONFIG).items():
        values = rng.standard_normal(shape)
        state[name] = (values / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 1 + values / 4).astype(np.float32)
    with tempfile.TemporaryDirectory() as place:
        write_bundle(Path(place) / "blocks", CONFIG, state, SPEC, flavour=Flavour.BLOCKS)
        source = read_bundle(Path(place) / "blocks")
        made = int8_dynamic(onnx.load(source.model), ["blocks.1.fc2"], preprocessing=source.preprocessing)
        write_variant(folder, source, made, Variant("int8-dynamic", "blocks", "1.0.0"), overwrite=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
