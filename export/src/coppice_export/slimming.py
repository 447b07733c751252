"""The patches that each block keeps, the same for every picture: Patch Slimming's result as a JSON file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from .config import Reduction, ViTConfig
from .weights import SourceError

__all__ = ["Slimming", "fingerprint", "read_slimming", "slimmed", "write_slimming"]


def fingerprint(state: dict[str, np.ndarray]) -> str:
    """SHA-256 over the names, shapes and bytes of a state dict's arrays, in name order."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Slimming:
    """`keep[b]`: the tokens that block b's MLP and all later blocks see, numbered as in the whole model.

    Checked: rising numbers below `tokens`, every prefix token in every set, each set part of the one before it.
    """

    keep: tuple[tuple[int, ...], ...]
    errors: tuple[float, ...]  # of each block, in `metric`
    metric: str
    model_sha256: str  # fingerprint of the weights that go with these sets
    source_sha256: str  # of the weights that the search began with
    tokens: int
    prefix_tokens: int
    photographs: int
    recipe: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        prefix = set(range(self.prefix_tokens))
        for block, rows in enumerate(self.keep):
            if list(rows) != sorted(set(rows)) or not set(rows) <= set(range(self.tokens)):
                raise ValueError(f"keep of block {block} must be rising token numbers below {self.tokens}: {rows}")
            if not prefix <= set(rows):
                raise ValueError(f"keep of block {block} must have the prefix tokens {sorted(prefix)}: {rows}")
        for block, (before, after) in enumerate(pairwise(self.keep)):
            if lost := sorted(set(after) - set(before)):
                raise ValueError(f"keep of block {block + 1} has tokens that block {block} dropped: {lost}")
        if len(self.errors) != len(self.keep):
            raise ValueError(f"expected an error for each of {len(self.keep)} blocks, found {len(self.errors)}")


def slimmed(config: ViTConfig, state: dict[str, np.ndarray], slimming: Slimming) -> ViTConfig:
    """The configuration whose blocks keep these tokens, in place of whatever reductions it has.

    The last block is left to the graph, which computes only what the head reads. Raises SourceError for a slimming of
    another model; weights may be the fitted ones or those that the search began with.
    """
    found, expected = (
        (len(slimming.keep), slimming.tokens, slimming.prefix_tokens),
        (config.depth, config.tokens, config.prefix_tokens),
    )
    if found != expected:
        raise SourceError(f"the slimming has (blocks, tokens, prefix tokens) {found}, {config.name} has {expected}.")
    if fingerprint(state) not in (slimming.model_sha256, slimming.source_sha256):
        raise SourceError(
            f"the slimming was searched for weights {slimming.source_sha256[:12]} and belongs to "
            f"{slimming.model_sha256[:12]}, found {fingerprint(state)[:12]}: give the weights.npz beside it."
        )
    before, reductions = tuple(range(config.tokens)), []
    for block, places in enumerate(slimming.keep[:-1]):
        if places != before:
            reductions.append(Reduction(block, "static", places=places))
        before = places
    return replace(config, reductions=tuple(reductions))


def write_slimming(path: Path, slimming: Slimming) -> None:
    path.write_text(json.dumps({"format": 1, "method": "patch-slimming"} | asdict(slimming)) + "\n", encoding="utf-8")


def read_slimming(path: Path) -> Slimming:
    """Raises SourceError, with the path, for what is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content.pop("format"), content.pop("method")) != (1, "patch-slimming"):
            raise ValueError("expected format 1 of patch-slimming")
        content["keep"] = tuple(tuple(rows) for rows in content["keep"])
        content["errors"] = tuple(content["errors"])
        return Slimming(**content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceError(f"{path}: not a result of `coppice-export slim` ({error}).") from None
