"""How long a board takes for a block at each number of tokens, and from that for a whole schedule.

The curve is a table, not a formula: matrix products work on whole tiles of rows, so time is a staircase in tokens, and
the best count is the last one on its step. Schema: docs/reference/latency-curve.md.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime

from .check import sample_images, session
from .checkpoint import SourceError
from .config import Reduction, ViTConfig
from .model import DEFAULT, Flavour, build_blocks, build_model
from .runs_curve import parts_of_runs

__all__ = ["Curve", "Machine", "load_curve", "measure_curve", "save_curve", "this_machine"]

FORMAT = 1
OF_RUNS = 2  # what `coppice latency --curve` writes


@dataclass(frozen=True)
class Machine:
    """Where a curve was measured."""

    board: str
    isa: str
    threads: int
    onnxruntime: str


@dataclass(frozen=True)
class Curve:
    """Milliseconds of the parts of one model on one machine.

    `tokens` rises; `block_ms[g][i]` is an ordinary block of group g at `tokens[i]` (`groups` has each block's, but the
    last's) and `last_ms[i]` the last block, which computes only what the head reads. `reducing_ms[g][i][o]` is a block
    of group g in which `reducing_tokens[i]` tokens enter and `reducing_tokens[o]` go on, 0 where o > i; a fused token
    counts, and a group in which no block can reduce has no rows. `fixed_ms` is all else. A token is any row, the prefix
    included. `operators` is the `Flavour` that was measured.
    """

    model: str
    machine: Machine
    operators: str
    reduction: dict[str, object]
    groups: tuple[int, ...]
    tokens: tuple[int, ...]
    block_ms: tuple[tuple[float, ...], ...]
    last_ms: tuple[float, ...]
    reducing_tokens: tuple[int, ...]
    reducing_ms: tuple[tuple[tuple[float, ...], ...], ...]
    fixed_ms: float
    dense_ms: float

    def latency_ms(self, config: ViTConfig, keep: Sequence[int]) -> float:
        """The whole model with `keep` patch tokens left after each stage."""
        tokens, total, counts = config.tokens, self.fixed_ms, dict(zip(config.reduce_at, keep, strict=True))
        for block in range(config.depth):
            if reduction := config.reduction(block):
                out = config.prefix_tokens + reduction.outgoing(
                    tokens - config.prefix_tokens, counts[block], config.prefix_tokens
                )
                total += self._reducing(block, tokens, out)
                tokens = out
            elif block == config.depth - 1:
                total += float(np.interp(tokens, self.tokens, self.last_ms))
            else:
                total += float(np.interp(tokens, self.tokens, self.block_ms[self.groups[block]]))
        return total

    def _reducing(self, block: int, tokens: int, out: int) -> float:
        """Linear in `out` on the two measured rows around `tokens`, then linear between these at the same share.

        The last block counts as one before it.
        """
        grid, table = self.reducing_tokens, self.reducing_ms[self.groups[min(block, len(self.groups) - 1)]]
        if not table:
            raise ValueError(f"the latency curve of {self.model} has no times for a reduction in block {block}")
        high = min(max(bisect_left(grid, tokens), 1), len(grid) - 1)
        rows = []
        for row in (high - 1, high):
            entered = grid[row]
            rows.append(float(np.interp(out * entered / tokens, grid[: row + 1], table[row][: row + 1])))
        return float(np.interp(tokens, grid[high - 1 : high + 1], rows))


def this_machine(threads: int) -> Machine:
    """The board's name and the instruction set our operators choose here, as docs/reference/operators.md lists them."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    tree = Path("/proc/device-tree/model")
    names = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    board = tree.read_text(encoding="utf-8").strip("\0\n") if tree.exists() else next(iter(names), platform.machine())
    flags = set(info.split())
    avx512 = {"avx512f", "avx512vl", "avx512dq", "avx512bw"}
    bodies = {
        "avx512_vnni": avx512 | {"avx512_vnni"},
        "avx512": avx512,
        "avx2": {"avx2", "fma"},
        "neon_dotprod": {"asimd", "asimddp"},
        "neon": {"asimd"},
    }
    isa = os.environ.get("COPPICE_ISA") or next((name for name, needed in bodies.items() if needed <= flags), "scalar")
    return Machine(board, isa, threads, onnxruntime.__version__)


def _stairs(tokens: int, prefix: int) -> tuple[int, ...]:
    """Every count up to 256 tokens, else 256 of them at about equal distances."""
    first = prefix + 1
    return tuple(sorted({round(n) for n in np.linspace(first, tokens, min(256, tokens - first + 1))}))


def measure_curve(
    config: ViTConfig,
    state: dict[str, np.ndarray],
    reduction: Reduction,
    threads: int = 1,
    rounds: int = 9,
    operators: Flavour = DEFAULT,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Curve:
    """Times every part with ONNX Runtime, in turn: the median over rounds of the fastest of five runs in a row.

    Ordinary blocks of a group run one after the other and reducing ones side by side on the same tokens, each with its
    own weights, so that these come from where they do in the whole model. `reduction.block` does not matter.
    """
    if reduction.place != "after" or not reduction.has_budget:
        raise ValueError(f"{reduction.method} has no count that could be set; expected top_k, merge or prune_merge")
    dense = replace(config, reductions=())
    forms = [(config.attention[b], config.rank(b)) for b in range(config.depth - 1)]
    kinds = list(dict.fromkeys(forms))
    groups = tuple(kinds.index(form) for form in forms)
    members = [[b for b, g in enumerate(groups) if g == kind] for kind in range(len(kinds))]
    possible = [b for b in dense.reducible(reduction) if b < config.depth - 1]
    if not possible:
        raise ValueError(f"{config.name}: no block but the last can reduce tokens by {reduction.method}")
    reducing = replace(config, reductions=tuple(replace(reduction, block=b) for b in possible))
    tokens = _stairs(config.tokens, config.prefix_tokens)
    grid = tuple(sorted({round(n) for n in np.linspace(config.prefix_tokens + 1, config.tokens, 8)}))
    runs: dict[tuple, tuple] = {("dense",): (_runner(build_model(dense, state, operators), threads), _image(config), 1)}
    chains = [_runner(build_blocks(dense, state, blocks, flavour=operators), threads) for blocks in members]
    last = _runner(build_blocks(dense, state, [config.depth - 1], flavour=operators), threads)
    reducible = {g: [b for b in blocks if b in possible] for g, blocks in enumerate(members)}
    aside = {
        g: _runner(build_blocks(reducing, state, blocks, True, operators), threads)
        for g, blocks in reducible.items()
        if blocks
    }
    for n in tokens:
        x = _tokens(config, n)
        runs |= {("block", g, n): (chain, x, len(members[g])) for g, chain in enumerate(chains)}
        runs["last", n] = last, x, 1
    for n in grid:
        for out in (o for o in grid if o <= n):
            keep = np.full(len(possible), out - config.prefix_tokens - int(reduction.fuses and out < n), np.int64)
            if reduction.least(n - config.prefix_tokens) <= keep[0]:
                feeds = _tokens(config, n) | {"keep": keep}
                runs |= {("reducing", g, n, out): (run, feeds, len(reducible[g])) for g, run in aside.items()}
    return _curve(config, reduction, operators, threads, groups, tokens, grid, _timed(runs, rounds, advance))


def _runner(model, threads: int):
    return session(model.SerializeToString(), threads)


def _image(config: ViTConfig) -> dict[str, np.ndarray]:
    return {"image": sample_images(config, 1)[0]}


def _tokens(config: ViTConfig, count: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).standard_normal((1, count, config.width)).astype(np.float32)}


def _timed(runs: dict[tuple, tuple], rounds: int, advance: Callable[[int, int], None]) -> dict[tuple, float]:
    """Milliseconds of one of the equal parts of every run; the order changes from round to round."""
    samples: dict[tuple, list[float]] = {key: [] for key in runs}
    order, rng = list(runs), np.random.default_rng(0)
    for number in range(rounds):
        for place, at in enumerate(rng.permutation(len(order))):
            runner, feeds, parts = runs[order[at]]
            fastest = float("inf")
            for _ in range(5):
                start = time.perf_counter_ns()
                runner.run(None, feeds)
                fastest = min(fastest, time.perf_counter_ns() - start)
            samples[order[at]].append(fastest / parts / 1e6)
            advance(number * len(order) + place + 1, rounds * len(order))
    return {key: statistics.median(values) for key, values in samples.items()}


def _curve(
    config, reduction: Reduction, operators: Flavour, threads: int, groups, tokens, grid, ms: dict[tuple, float]
) -> Curve:
    block = tuple(tuple(ms["block", g, n] for n in tokens) for g in range(max(groups) + 1))
    last = tuple(ms["last", n] for n in tokens)
    fixed = ms[("dense",)] - sum(block[g][-1] for g in groups) - last[-1]
    attributes = {name: value for name, value in asdict(reduction).items() if name != "block"}
    reducing = {key[1] for key in ms if key[0] == "reducing"}
    tables = tuple(
        tuple(tuple(_reached(ms, g, grid, n, out) for out in grid) for n in grid) if g in reducing else ()
        for g in range(max(groups) + 1)
    )
    times = groups, tokens, block, last, grid, tables, fixed, ms[("dense",)]
    return Curve(config.name, this_machine(threads), str(operators), attributes, *times)


def _reached(ms: dict[tuple, float], group: int, grid: tuple[int, ...], n: int, out: int) -> float:
    """The measured value; below what the reduction can leave, that of the fewest tokens it can; 0 above n."""
    keys = (("reducing", group, n, o) for o in grid if out <= o <= n)
    return next((ms[key] for key in keys if key in ms), 0.0)


def save_curve(curve: Curve, path: Path) -> None:
    """Times to a tenth of a microsecond."""
    content = json.loads(json.dumps({"format": FORMAT} | asdict(curve)), parse_float=lambda text: round(float(text), 4))
    staging = path.with_name(f".{path.name}.part")
    staging.write_text(json.dumps(content) + "\n", encoding="utf-8")
    staging.replace(path)


def load_curve(path: Path, config: ViTConfig) -> Curve:
    """Raises SourceError for a file that is no curve, or the curve of another model."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (version := content.pop("format")) not in (FORMAT, OF_RUNS):
            raise ValueError(f"a curve of format {FORMAT} or {OF_RUNS} is needed")
        if version == OF_RUNS:
            content = parts_of_runs(content, config) | {"machine": content["machine"]}
        content.setdefault("operators", Flavour.SEPARATE)  # of curves from before there were others
        content = {name: _frozen(value) for name, value in content.items()}
        curve = Curve(**content | {"machine": Machine(**content["machine"])})
        _validate(curve)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceError(f"{path}: no latency curve ({error!r}); make one with `coppice-export curve`.") from None
    shape = config.tokens, config.depth - 1
    if (curve.tokens[-1], len(curve.groups)) != shape:
        raise SourceError(
            f"{path}: measured {curve.model} with {curve.tokens[-1]} tokens and {len(curve.groups) + 1} blocks; "
            f"{config.name} has {shape[0]} and {config.depth}. Measure this model's curve."
        )
    return curve


def _frozen(value):
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _validate(curve: Curve) -> None:
    for grid in (curve.tokens, curve.reducing_tokens):
        if len(grid) < 2 or list(grid) != sorted(set(grid)) or min(grid) < 1:
            raise ValueError("token counts must rise")
    reducing, square = [table for table in curve.reducing_ms if table], len(curve.reducing_tokens)
    rows = [row for table in reducing for row in table]
    tables = (*curve.block_ms, curve.last_ms, *rows, (curve.fixed_ms, curve.dense_ms))
    lengths = [len(curve.tokens)] * (len(curve.block_ms) + 1) + [square] * len(rows)
    squares = len(curve.reducing_ms) == len(curve.block_ms) and all(len(table) == square for table in reducing)
    if [len(t) for t in tables[:-1]] != lengths or not squares:
        raise ValueError("every table must have one time for each of its token counts")
    if not all(isinstance(v, (int, float)) and np.isfinite(v) for table in tables for v in table):
        raise ValueError("times must be finite numbers")
    Flavour(curve.operators)
    if not set(curve.groups) <= set(range(len(curve.block_ms))):
        raise ValueError("groups must number the tables of block_ms")
