"""A latency curve from whole runs: what `coppice latency --curve` measured with a bundle on a board without Python.

Every schedule runs every block once, so only differences count, and these follow from runs at chosen budgets. With
blocks that are alike, block(n) - block(N) is the difference of (n, ..., n) and (N, ..., N, n) over the blocks between
the first stage and the last. docs/reference/latency-curve.md has the derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .config import ViTConfig
from .model import Flavour
from .operators.blocks import SLOTS

__all__ = ["METHODS", "parts_of_runs"]

# Reductions with a count to set, by the operator that a bundle names.
METHODS = {"TopKTokens": "top_k", "MergeTokens": "merge", "PruneMergeTokens": "prune_merge"}


def parts_of_runs(content: dict, config: ViTConfig) -> dict[str, object]:
    """The fields of a `Curve` but `machine`. Raises ValueError for runs from which they do not follow."""
    runs = {tuple(point["keep"]): float(point["ms"]) for point in content["points"]}
    blocks, patches, prefix = tuple(content["blocks"]), content["patches"], content["prefix"]
    found = [METHODS[name] for name in content["operators"] if name in METHODS]
    if len(found) != 1:
        raise ValueError(f"expected a bundle that reduces by one of {', '.join(METHODS)}, found {content['operators']}")
    if len(blocks) < 2 or blocks[-1] > config.depth - 2:
        raise ValueError(f"expected two or more stages before the last block, found stages in {blocks}")
    if len({(config.attention[b], config.rank(b)) for b in range(config.depth - 1)}) > 1:
        raise ValueError("whole runs tell blocks of different forms not apart: measure with `coppice-export curve`")
    if (patches, prefix) != (config.patches, config.prefix_tokens):
        raise ValueError(f"expected {config.patches} patches and {config.prefix_tokens} tokens before them")
    stages, grid = len(blocks), tuple(content["grid"])

    def ms(*last: int) -> float:
        """All tokens until the last stages, then these counts."""
        key = (patches,) * (stages - len(last)) + last
        if key not in runs:
            raise ValueError(f"no run at {key}; a bundle that merges leaves at least half, and has no such curve")
        return runs[key]

    counts = tuple(sorted({keep[0] for keep in runs if len(set(keep)) == 1}))
    if counts[0] != 1 or counts[-1] != patches:
        raise ValueError(f"expected runs at 1 to {patches} tokens, found {counts[0]} to {counts[-1]}")
    between = blocks[-1] - blocks[0]
    block = _above(counts, lambda n: (ms(*(n,) * stages) - ms(n)) / between)
    # Where the cost of a reduction ends and that of the last block begins no run can tell, and no prediction asks.
    whole = np.interp(grid, counts, block)
    leaving = (block[-1] + whole) / 2
    after = config.depth - 2 - blocks[-1]
    last = _above(counts, lambda n: ms(n) - np.interp(n, grid, leaving) - after * np.interp(n, counts, block))

    def rest(n: int) -> float:
        return after * np.interp(n, counts, block) + np.interp(n, counts, last)

    def reducing(entered: int, out: int) -> float:
        if out > entered:
            return 0.0
        if entered == patches:
            return float(leaving[grid.index(out)])
        own = float(np.interp(entered, counts, block))
        return float(own + ms(entered, out) - ms(entered, entered) - rest(out) + rest(entered))

    return {
        "model": content["model"],
        "operators": Flavour.BLOCKS if SLOTS.keys() & set(content["operators"]) else Flavour.SEPARATE,
        "reduction": {"method": found[0]},
        "groups": (0,) * (config.depth - 1),
        "tokens": tuple(n + prefix for n in counts),
        "block_ms": (tuple(block),),
        "last_ms": tuple(last),
        "reducing_tokens": tuple(n + prefix for n in grid),
        "reducing_ms": (tuple(tuple(reducing(i, o) for o in grid) for i in grid),),
        "fixed_ms": float(ms() - (config.depth - 1) * block[-1] - last[-1]),
        "dense_ms": ms(),
    }


def _above(counts: Sequence[int], value: Callable[[int], float]) -> list[float]:
    """The values beyond the first one's: a constant in every block is part of `fixed_ms`."""
    values = [float(value(n)) for n in counts]
    return [v - values[0] for v in values]
