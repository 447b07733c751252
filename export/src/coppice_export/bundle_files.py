"""The folder of a bundle: read and verified, or written complete or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .config import Preprocessing

__all__ = [
    "MANIFEST",
    "SIGNATURE",
    "Bundle",
    "BundleError",
    "listed",
    "occupied",
    "read_bundle",
    "staged",
    "write_json",
]

MANIFEST = "bundle.json"
# Signs the manifest and all that it lists, so the manifest cannot list it.
SIGNATURE = "model.sig"


class BundleError(ValueError):
    """A bundle that cannot be read or written as asked; nothing was written."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: every file has the size and hash that the manifest states."""

    folder: Path
    manifest: dict

    @property
    def name(self) -> str:
        return f"{self.manifest['name']} {self.manifest['version']}"

    @property
    def precision(self) -> str:
        return self.manifest.get("precision", "float32")

    @property
    def model(self) -> Path:
        return self.folder / self.manifest["model"]

    @property
    def rungs(self) -> dict[str, tuple[int, ...]]:
        """Counts by rung, most multiply-adds first; without a ladder one entry, `all tokens`."""
        ladder = {rung["name"]: tuple(rung["keep"]) for rung in self.manifest["ladder"]}
        keep = self.manifest["keep"]
        return ladder or {"all tokens": (keep["patches"],) * keep["stages"]}

    @cached_property
    def labels(self) -> tuple[str, ...]:
        names = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))["id2label"]
        return tuple(names[str(i)] for i in range(len(names)))

    @cached_property
    def preprocessing(self) -> Preprocessing:
        spec = json.loads((self.folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        mean, std = tuple(spec["image_mean"]), tuple(spec["image_std"])
        return Preprocessing(spec["size"]["shortest_edge"], spec["crop_size"]["height"], mean, std)

    def feeds(self, image: np.ndarray, keep: tuple[int, ...]) -> dict[str, np.ndarray]:
        """What the graph takes; image: float32 (3, size, size)."""
        feeds = {self.manifest["input"]["name"]: image[None]}
        return feeds | ({self.manifest["keep"]["name"]: np.array(keep, np.int64)} if keep else {})


def read_bundle(folder: Path) -> Bundle:
    """Raises BundleError for a missing, surplus or changed file, for links, and for another format."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
        version = manifest["format"]
    except FileNotFoundError:
        raise BundleError(f"{folder}: expected a bundle, found no {MANIFEST}; give the bundle's folder.") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleError(f"{folder / MANIFEST}: no readable manifest ({error!r}); export the bundle again.") from None
    if version != 1:
        raise BundleError(f"{folder / MANIFEST}: expected format 1, found {version}; use a newer coppice-export.")
    if links := sorted(path.name for path in folder.rglob("*") if path.is_symlink()):
        raise BundleError(f"{folder}: expected files, found the links {', '.join(links)}; copy the files themselves.")
    found = {name: (entry["bytes"], entry["sha256"]) for name, entry in listed(folder).items()}
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            fault = "is missing" if name not in found else "is changed" if name in expected else "is not listed"
            raise BundleError(f"{folder}: {name} {fault}, says {MANIFEST}; copy or export the bundle again.")
    return Bundle(folder, manifest)


def listed(folder: Path) -> dict[str, dict]:
    """Size and SHA-256 of every file but the manifest and the signature, by name."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    names = {p.relative_to(folder).as_posix(): p for p in paths}
    return {
        name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for name, path in names.items()
        if name not in (MANIFEST, SIGNATURE)
    }


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def occupied(folder: Path, overwrite: bool) -> str:
    """Why a bundle cannot take this place; empty if it can."""
    if not folder.exists():
        return ""
    if not overwrite:
        return f"{folder} exists; choose another folder or pass --overwrite"
    if not (folder / MANIFEST).is_file():
        return f"{folder} exists and is no bundle, so it is not replaced; choose another folder"
    return ""


@contextmanager
def staged(folder: Path, needed_bytes: int) -> Iterator[Path]:
    """A folder beside `folder` that takes its place when the block ends well, and vanishes when it does not.

    Raises BundleError before anything is written where the disk has no room for `needed_bytes`.
    """
    parent = next(p for p in folder.absolute().parents if p.is_dir())
    free = shutil.disk_usage(parent).free
    if free < needed_bytes:
        raise BundleError(
            f"{folder}: the bundle needs {needed_bytes / 1e6:.1f} MB, {parent} has {free / 1e6:.1f} MB free; "
            "make room or choose another disk."
        )
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
