"""A bundle's copy with a graph of another precision."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from .bundle import RUNTIME, naming_faults
from .bundle_files import MANIFEST, SIGNATURE, Bundle, BundleError, listed, occupied, staged, write_json
from .card import model_card
from .check import TOLERANCE, nudged, session, used_operators

__all__ = ["Variant", "require_place", "write_variant"]


@dataclass(frozen=True)
class Variant:
    """What changes where a bundle's graph is replaced by one of another precision: top-1 by rung, and its data."""

    precision: str
    name: str
    version: str
    top1: dict[str, float] = field(default_factory=dict)
    accuracy_data: str = ""


def require_place(folder: Path, variant: Variant, overwrite: bool) -> None:
    """Raises BundleError where the variant cannot be written to `folder` under its name."""
    if faults := [fault for fault in (*naming_faults(variant), occupied(folder, overwrite)) if fault]:
        raise BundleError("; ".join(faults) + ".")


def write_variant(folder: Path, source: Bundle, model: onnx.ModelProto, variant: Variant, overwrite: bool) -> None:
    """The source's bundle with another graph of the same inputs and outputs; complete or not at all.

    Top-1 that was measured with the old graph is left out; the golden logits are the new graph's.
    """
    require_place(folder, variant, overwrite)
    onnx.checker.check_model(model)
    data, files = model.SerializeToString(deterministic=True), source.manifest["files"]
    runner, manifest = session(data), _manifest(source, variant, list(used_operators(model)))
    needed_bytes = len(data) + sum(entry["bytes"] for entry in files.values()) + 2**20
    with staged(folder, needed_bytes) as staging:
        shutil.copytree(source.folder, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST, SIGNATURE))
        (staging / manifest["model"]).write_bytes(data)
        for case in manifest["golden"]:
            _renew_golden(staging / case, source, runner)
        (staging / "README.md").write_text(_card(staging, source, manifest), encoding="utf-8")
        write_json(staging / MANIFEST, manifest | {"files": listed(staging)})


def _manifest(source: Bundle, variant: Variant, operators: list[str]) -> dict:
    manifest = {}
    for key, value in source.manifest.items():
        if key not in ("accuracy", "files", "precision"):
            manifest[key] = value
        if key == "model":
            manifest["precision"] = variant.precision
    manifest |= {"name": variant.name, "version": variant.version, "runtime": RUNTIME}
    manifest["operators"] = manifest["operators"] | {"used": operators}
    for rung in (ladder := [rung | {"top1": variant.top1.get(rung["name"])} for rung in manifest["ladder"]]):
        if rung["top1"] is None:
            del rung["top1"]
    manifest["ladder"] = ladder
    if variant.accuracy_data:
        manifest["accuracy"] = {"data": variant.accuracy_data, "metric": "top1"}
    return manifest


def _card(folder: Path, source: Bundle, manifest: dict) -> str:
    """The new bundle's card, and below it the card of the bundle that it was made from."""
    architecture, preprocessor, licence, card = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("config.json", "preprocessor_config.json", "LICENSE", "README.md")
    )
    made_from = f"{source.name} ({source.precision}) is the bundle that this one was made from. Its card:"
    new = model_card(manifest, json.loads(architecture), json.loads(preprocessor), licence)
    return f"{new}\n## Origin\n\n{made_from}\n\n---\n\n{card}"


def _renew_golden(case: Path, source: Bundle, runner: onnxruntime.InferenceSession) -> None:
    """Store the new graph's logits, and how far another machine's may be from them.

    Another machine sums in another order, and what lies between two steps is rounded to the other one: float32's
    last bits grow to a step, and a step may change which token is kept. Inputs that differ in their last bits do the
    same here. Logits of either machine are as far from float32's as the farthest of these, so no farther from each
    other than twice that.
    """
    size, output = source.preprocessing.crop, source.manifest["outputs"]["logits"]["name"]
    image = np.fromfile(case / "input.bin", "<f4").reshape(3, size, size)
    keep = tuple(json.loads((case / "case.json").read_text(encoding="utf-8"))["keep"])
    exact = np.fromfile(case / "logits.bin", "<f4")
    (found,) = runner.run([output], source.feeds(image, keep))
    others = [runner.run([output], source.feeds(other, keep))[0] for other in nudged(image)]
    farthest = max(float(np.abs(logits - exact).max()) for logits in (found, *others))
    (case / "logits.bin").write_bytes(found.astype("<f4").tobytes())
    write_json(case / "case.json", {"keep": list(keep), "tolerance": max(TOLERANCE, float(f"{2 * farthest:.2g}"))})
