"""Write pictures with the tensors that Python makes of them; the Java tests expect the same floats.

Usage: python export/tools/make_preprocess_fixtures.py runtime/core/src/test/resources/preprocess
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from coppice_export.config import Preprocessing
from coppice_export.preprocess import preprocess

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CASES = {
    "portrait-reduced": ((37, 53), Preprocessing(32, 32)),
    "landscape-reduced-and-cropped": ((200, 160), Preprocessing(80, 72, **IMAGENET)),
    "odd-margin": ((45, 20), Preprocessing(20, 17, **IMAGENET)),
    "tall-and-enlarged": ((8, 300), Preprocessing(24, 20)),
    "tall-and-reduced": ((30, 80), Preprocessing(16, 16)),
    "wide-and-enlarged": ((61, 5), Preprocessing(16, 16, **IMAGENET)),
    "same-size": ((24, 24), Preprocessing(24, 24)),
    "one-pixel": ((1, 1), Preprocessing(9, 7)),
    "reduced-far": ((331, 257), Preprocessing(7, 6)),
}


def picture(width: int, height: int) -> np.ndarray:
    """Edges of full contrast, so that the filter overshoots and is clipped, on a ramp with a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) * 5 % 256], axis=-1)
    noise = np.random.default_rng(width * 1000 + height).integers(-2, 3, (height, width, 1))
    edges = (((x // 9 + y // 7) % 3 == 0) * 255)[..., None]
    return np.where(edges > 0, edges, np.clip(ramp + noise, 0, 255)).astype(np.uint8)


def main(folder: Path) -> None:
    """Write `<name>.png`, `<name>.bin` (float32, little-endian, channel first) and `<name>.properties`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, ((width, height), spec) in CASES.items():
        pixels = picture(width, height)
        Image.fromarray(pixels).save(folder / f"{name}.png", optimize=True)
        (folder / f"{name}.bin").write_bytes(preprocess(pixels, spec).astype("<f4").tobytes())
        values = {"short_side": spec.short_side, "crop": spec.crop}
        values |= {key: ",".join(map(str, getattr(spec, key))) for key in ("mean", "std")}
        (folder / f"{name}.properties").write_text("".join(f"{key}={value}\n" for key, value in values.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
