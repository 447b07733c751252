"""Photographs in a tar or a folder, and the class that their folder's name stands for."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .labels import IMAGENETTE
from .weights import SourceError

__all__ = ["Photograph", "class_numbers", "find_photographs", "spread"]


@dataclass(frozen=True)
class Photograph:
    """An image file: `size` bytes at `offset` of `file`, which is the image itself or a tar that holds it."""

    name: str
    file: Path
    offset: int
    size: int

    @property
    def folder(self) -> str:
        return Path(self.name).parent.name

    def pixels(self) -> np.ndarray:
        """uint8 (height, width, 3). Raises SourceError if the bytes are no image."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            data = stream.read(self.size)
        try:
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except (OSError, Image.DecompressionBombError) as error:
            raise SourceError(f"{self.file}: {self.name} is no readable image ({error}); remove it.") from None


def find_photographs(source: Path) -> list[Photograph]:
    """Every file of an uncompressed tar or of a folder, in name order; read when their pixels are asked for."""
    if source.is_dir():
        paths = sorted(p for p in source.rglob("*") if p.is_file())
        found = [Photograph(p.relative_to(source).as_posix(), p, 0, p.stat().st_size) for p in paths]
    else:
        try:
            with tarfile.open(source, "r:") as tar:
                files = [member for member in tar.getmembers() if member.isfile()]
        except tarfile.TarError as error:
            raise SourceError(f"{source}: not a readable tar of photographs ({error}).") from error
        found = sorted(
            (Photograph(m.name, source, m.offset_data, m.size) for m in files), key=lambda photograph: photograph.name
        )
    if not found:
        raise SourceError(f"{source}: expected photographs, found no file.")
    return found


def spread(photographs: Sequence[Photograph], count: int) -> list[Photograph]:
    """`count` of them at equal distances, so that every folder has its share; all, if there are fewer."""
    count = min(count, len(photographs))
    return [photographs[i * len(photographs) // count] for i in range(count)]


def class_numbers(photographs: Sequence[Photograph], labels: Sequence[str]) -> np.ndarray:
    """int64 (photographs): the class of each, which its folder names by label, by number, or by WordNet synset.

    A model of 1,000 classes is taken for one of ImageNet-1k. Raises SourceError for a folder that names no class.
    """
    numbers: dict[str, int] = {str(i): i for i in range(len(labels))}
    for synset, name, index in IMAGENETTE:
        if len(labels) == 1000:
            numbers[synset] = index
        elif name in labels:
            numbers[synset] = labels.index(name)
    if len(labels) == 1000:
        numbers |= _imagenet_synsets()
    numbers |= {label: i for i, label in enumerate(labels) if labels.count(label) == 1}
    if strangers := sorted({photograph.folder for photograph in photographs} - numbers.keys()):
        raise SourceError(
            f"{photographs[0].file}: expected folders named after the model's classes (label, number or WordNet "
            f"synset), found {', '.join(repr(s) for s in strangers[:5])}{', ...' if len(strangers) > 5 else ''}; "
            "rename them."
        )
    return np.array([numbers[photograph.folder] for photograph in photographs], np.int64)


def _imagenet_synsets() -> dict[str, int]:
    """Synset to class of all of ImageNet-1k, from timm; empty without it."""
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        return {}
    return {synset: index for index, synset in enumerate(ImageNetInfo().label_names())}
