"""Blocks and counts that several methods share."""

from __future__ import annotations

from ..config import ViTConfig
from ..cost import incoming_counts

__all__ = ["SHARES", "by_share", "distinct", "from_block", "quarters", "same_count"]

# Of the patches, by rung. The names go into `--keep`.
SHARES = {"full": 1.0, "high": 0.9, "medium": 0.7, "low": 0.5, "lowest": 0.3}

Rungs = dict[str, tuple[int, ...]]


def quarters(config: ViTConfig) -> tuple[int, ...]:
    """The blocks at a quarter, half and three quarters of the depth: 3, 6 and 9 of 12, as published."""
    return tuple(sorted({config.depth * quarter // 4 for quarter in (1, 2, 3)}))


def from_block(config: ViTConfig, first: int) -> range:
    """The blocks from one on, without the last where the head reads prefix tokens alone.

    What the last block leaves of the patches changes no logit then, and it computes the rows that the head reads.
    """
    return range(first, config.depth - 1 if config.head_rows else config.depth)


def distinct(rungs: Rungs) -> Rungs:
    """Without those whose counts an earlier rung has."""
    found: Rungs = {}
    for name, keep in rungs.items():
        if keep not in found.values():
            found[name] = keep
    return found


def by_share(config: ViTConfig) -> Rungs:
    """The same share of the incoming patches at every stage."""
    return distinct({name: incoming_counts(config, share) for name, share in SHARES.items()})


def same_count(config: ViTConfig) -> Rungs:
    """The same number at every stage, a share of all patches."""
    counts = {name: max(1, round(share * config.patches)) for name, share in SHARES.items()}
    return distinct({name: (count,) * len(config.stages) for name, count in counts.items()})
