"""Names of classes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["IMAGENETTE", "imagenet_labels", "labels_for", "read_labels"]

# WordNet synset of each class in the order of the student's logits, its name, and its ImageNet-1k index.
IMAGENETTE = (
    ("n01440764", "tench", 0),
    ("n02102040", "English springer", 217),
    ("n02979186", "cassette player", 482),
    ("n03000684", "chain saw", 491),
    ("n03028079", "church", 497),
    ("n03394916", "French horn", 566),
    ("n03417042", "garbage truck", 569),
    ("n03425413", "gas pump", 571),
    ("n03445777", "golf ball", 574),
    ("n03888257", "parachute", 701),
)


def read_labels(path: Path) -> tuple[str, ...]:
    """One label a line, in the order of the logits."""
    return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def labels_for(classes: int) -> tuple[str, ...]:
    """ImageNet's names for 1,000 classes, numbers for any other count: nobody knows whose they are."""
    return imagenet_labels() if classes == 1000 else tuple(f"class {i}" for i in range(classes))


def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 names of ImageNet-1k from timm; without timm, ten names and `class N` for the rest."""
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        known = {index: name for _, name, index in IMAGENETTE}
        return tuple(known.get(i, f"class {i}") for i in range(1000))
    info = ImageNetInfo()
    return tuple(f"{info.index_to_description(i).split(',')[0]}" for i in range(1000))
