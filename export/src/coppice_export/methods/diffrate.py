"""DiffRate (Chen et al. 2023, arXiv 2305.17997) with its published schedules; page: docs/explanation/diffrate.md."""

from __future__ import annotations

import dataclasses

from ..config import Reduction, ViTConfig
from .schedules import Rungs, from_block

__all__ = ["SCHEDULES", "preset", "rungs", "schedule"]

# By width of DeiT and billions of multiply-adds: the tokens, class token included, that each of twelve blocks has left
# after pruning and after merging (compression_rate.json of the published code). The first block leaves all 197.
SCHEDULES = {
    192: {
        "1.0": (
            (197, 197, 196, 194, 188, 184, 178, 164, 156, 137, 129, 21),
            (197, 197, 196, 190, 186, 154, 148, 156, 145, 135, 125, 21),
        ),
        "0.9": (
            (197, 197, 196, 190, 182, 166, 141, 125, 113, 105, 99, 3),
            (197, 196, 194, 188, 172, 147, 129, 115, 107, 103, 96, 3),
        ),
        "0.8": (
            (197, 197, 196, 186, 166, 147, 117, 103, 92, 80, 74, 3),
            (197, 196, 190, 172, 154, 125, 107, 96, 84, 78, 70, 3),
        ),
        "0.7": (
            (197, 196, 194, 180, 150, 123, 98, 82, 68, 60, 52, 3),
            (197, 196, 192, 158, 133, 103, 88, 72, 64, 58, 49, 3),
        ),
        "0.6": (
            (197, 196, 180, 157, 130, 107, 86, 73, 63, 51, 40, 3),
            (197, 187, 167, 139, 114, 90, 76, 66, 57, 45, 37, 3),
        ),
    },
    384: {
        "3.1": (
            (197, 197, 194, 180, 160, 147, 137, 129, 115, 92, 76, 3),
            (197, 196, 186, 164, 150, 141, 133, 121, 103, 78, 68, 3),
        ),
        "2.9": (
            (197, 196, 190, 168, 150, 139, 129, 117, 99, 78, 58, 3),
            (197, 194, 176, 156, 141, 133, 121, 107, 88, 64, 56, 3),
        ),
        "2.7": (
            (197, 196, 182, 160, 141, 127, 115, 105, 88, 66, 49, 3),
            (197, 188, 170, 147, 131, 119, 109, 96, 76, 54, 45, 3),
        ),
        "2.5": (
            (197, 192, 174, 156, 131, 115, 111, 99, 76, 50, 39, 3),
            (197, 186, 160, 133, 119, 107, 96, 82, 66, 43, 37, 3),
        ),
        "2.3": (
            (197, 192, 168, 143, 121, 105, 92, 74, 62, 45, 33, 3),
            (197, 180, 156, 127, 109, 98, 80, 66, 52, 37, 31, 3),
        ),
    },
    768: {
        "12.5": (
            (197, 197, 196, 192, 184, 170, 154, 139, 129, 94, 58, 3),
            (197, 196, 194, 190, 176, 160, 145, 131, 115, 68, 47, 3),
        ),
        "11.5": (
            (197, 197, 197, 188, 170, 154, 139, 123, 107, 72, 43, 3),
            (197, 197, 192, 178, 158, 145, 127, 111, 94, 50, 35, 3),
        ),
        "10.4": (
            (197, 196, 188, 174, 156, 141, 121, 103, 90, 58, 25, 3),
            (197, 190, 184, 164, 145, 131, 107, 94, 74, 31, 21, 3),
        ),
        "10.0": (
            (197, 194, 182, 168, 148, 129, 113, 101, 82, 49, 25, 3),
            (197, 186, 174, 156, 137, 117, 105, 90, 66, 31, 19, 3),
        ),
        "8.7": (
            (197, 192, 172, 156, 131, 107, 90, 72, 56, 33, 17, 3),
            (197, 178, 162, 141, 115, 96, 78, 60, 47, 21, 13, 3),
        ),
    },
}
_TOKENS = 197


def _published(config: ViTConfig) -> dict:
    if (config.tokens, config.depth) != (_TOKENS, 12) or config.width not in SCHEDULES:
        raise ValueError(
            f"DiffRate's schedules are for DeiT: 12 blocks, {_TOKENS} tokens and a width of "
            f"{', '.join(map(str, SCHEDULES))}; found {config.depth}, {config.tokens} and {config.width}"
        )
    return SCHEDULES[config.width]


def _steps(pruned: tuple[int, ...], merged: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """For each block but the first: tokens that reach it, those left by pruning, and those left by merging."""
    steps, tokens = [], _TOKENS
    for after_pruning, after_merging in zip(pruned[1:], merged[1:]):
        kept = min(tokens, after_pruning)
        left = min(kept, after_merging)
        steps.append((tokens, kept, left))
        tokens = left
    return steps


def schedule(config: ViTConfig, name: str) -> tuple[int, ...]:
    """The patch tokens left after each stage by a published schedule."""
    steps = _steps(*_published(config)[name])
    return tuple(left - 1 for _, (_, _, left) in zip(from_block(config, 1), steps))


def preset(config: ViTConfig, name: str = "") -> ViTConfig:
    """All blocks but the first whose tokens matter, with the shares of pruning and merging of one published schedule.

    name: billions of multiply-adds as published; the middle one if empty.
    """
    published = _published(config)
    name = name or sorted(published, key=float)[len(published) // 2]
    if name not in published:
        raise ValueError(f"DiffRate's schedules of width {config.width} are {', '.join(published)}; found {name!r}")
    reductions = tuple(
        Reduction(block, "prune_merge", merge_share=(kept - left) / (tokens - left) if tokens > left else 0.5)
        for block, (tokens, kept, left) in zip(from_block(config, 1), _steps(*published[name]))
    )
    return dataclasses.replace(config, reductions=reductions)


def rungs(config: ViTConfig) -> Rungs:
    """All tokens, and the counts of every published schedule; pruning and merging share them as the preset says."""
    names = {f"macs-{name.replace('.', '-')}": schedule(config, name) for name in _published(config)}
    return {"full": (config.patches,) * len(config.stages)} | names
