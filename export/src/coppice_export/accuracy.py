"""Top-1 through the Java runtime beside the PyTorch reference: `make accuracy`.

Both read the same JPEG files. The Java column comes from one `coppice classify` process over all photographs, so it
covers decoding, resizing, the operators in the native library and the ranking.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from .bundle_files import read_bundle
from .config import PRESETS, VIT_TINY, ViTConfig
from .photographs import Photograph, class_numbers, find_photographs
from .preprocess import preprocess
from .reference import load_reference

__all__ = ["Row", "java_results", "main", "torch_predictions"]

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Row:
    """One rung of one bundle; percentages of the photographs. kept: the mean of the patch tokens left by stage."""

    bundle: str
    rung: str
    keep: tuple[int, ...]
    kept: tuple[float, ...]
    java_top1: float
    torch_top1: float
    agreement: float
    median_run_ms: float


def java_results(bundle: Path, listing: Path, rung: str) -> list[dict]:
    """What `coppice classify --output json` says of every photograph named in `listing`, in order."""
    command = [
        ROOT / "coppice",
        "classify",
        "--bundle",
        bundle,
        "--keep",
        rung,
        "--top",
        "1",
        "--output",
        "json",
        f"@{listing}",
    ]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def torch_predictions(config: ViTConfig, weights: Path, photographs: list[Path], keep: tuple[int, ...]) -> list[int]:
    """The best label's index of every photograph by the PyTorch reference."""
    model = load_reference(config, weights)
    best = []
    with torch.inference_mode():
        for start in track(
            range(0, len(photographs), 50), description=f"PyTorch {config.name} {keep}", disable=not sys.stderr.isatty()
        ):
            pixels = [np.asarray(Image.open(p).convert("RGB")) for p in photographs[start : start + 50]]
            batch = torch.from_numpy(np.stack([preprocess(p, config.preprocessing) for p in pixels]))
            best += model(batch, keep).argmax(1).tolist()
    return best


def _photographs(data: Path, out: Path) -> list[Photograph]:
    """As files, which the Java runtime reads."""
    with tarfile.open(data / "imagenette-val-1500.tar") as tar:
        tar.extractall(out, filter="data")
    return find_photographs(out)


def _share(found: list[int], wanted: list[int]) -> float:
    """Percentage of equal entries."""
    return 100 * sum(a == b for a, b in zip(found, wanted, strict=True)) / len(wanted)


def _measure(
    bundle: Path, config: ViTConfig, weights: Path, photographs: list[Path], listing: Path, truth: list[int]
) -> list[Row]:
    manifest = json.loads((bundle / "bundle.json").read_text())
    rows = []
    for rung in manifest["ladder"]:
        keep = tuple(rung["keep"])
        results = java_results(bundle, listing, rung["name"])
        java = [result["labels"][0]["index"] for result in results]
        kept = np.mean([[len(stage) for stage in result["kept"]] for result in results], 0) - config.prefix_tokens
        reference = torch_predictions(config, weights, photographs, keep)
        rows.append(
            Row(
                manifest["name"],
                rung["name"],
                keep,
                tuple(kept.tolist()),
                _share(java, truth),
                _share(reference, truth),
                _share(java, reference),
                float(np.median([result["nanos"]["run"] for result in results])) / 1e6,
            )
        )
    return rows


def _show(rows: list[Row]) -> None:
    table = Table(
        "rung", "budget", "mean kept", "top-1 Java", "top-1 PyTorch", "agreement", "median run", title=rows[0].bundle
    )
    for row in rows:
        table.add_row(
            row.rung,
            " ".join(map(str, row.keep)),
            " ".join(f"{count:.1f}" for count in row.kept),
            f"{row.java_top1:.2f} %",
            f"{row.torch_top1:.2f} %",
            f"{row.agreement:.2f} %",
            f"{row.median_run_ms:.2f} ms",
        )
    Console().print(table)


def main() -> int:
    data = Path(os.environ.get("COPPICE_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "imagenette-val-1500.tar").exists():
        needed = "imagenette-val-1500.tar and vit_tiny_in1k.npz"
        print(f"No photographs at {data}: set COPPICE_DATA to a folder with {needed}.")
        return 1
    out = ROOT / "target" / "accuracy"
    out.mkdir(parents=True, exist_ok=True)
    found = _photographs(data, out / "photographs")
    photographs = [photograph.file for photograph in found]
    listing = out / "photographs.txt"
    listing.write_text("".join(f"{p}\n" for p in photographs))
    vit_tiny = out / "vit-tiny"
    convert = ["convert", data / "vit_tiny_in1k.npz", "--preset", "vit-tiny", "--out", vit_tiny, "--overwrite"]
    subprocess.run([sys.executable, "-m", "coppice_export", *convert], check=True)
    shipped = [(folder, PRESETS[folder.name]) for folder in sorted((ROOT / "export" / "bundles").iterdir())]
    models = [(folder, config, ROOT / "export" / "recipes" / config.name / "weights.npz") for folder, config in shipped]
    rows = []
    for bundle, config, weights in (*models, (vit_tiny, VIT_TINY, data / "vit_tiny_in1k.npz")):
        truth = class_numbers(found, read_bundle(bundle).labels).tolist()
        measured = _measure(bundle, config, weights, photographs, listing, truth)
        _show(measured)
        rows += measured
    (out / "accuracy.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
