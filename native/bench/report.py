"""What a benchmark leaves behind: rows with a header that says where they were measured, as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console
from rich.progress import track
from rich.table import Table

from interleave import Call, bound, race, ratio

__all__ = ["Contest", "Row", "run"]

ROOT = Path(__file__).resolve().parents[2]
THREADS = (1, 2)
BUSY = 0.05


@dataclass(frozen=True)
class Contest:
    """What is timed in turn: ours, and the rivals by name.

    Each is a model with its inputs, or what makes a call of another runtime for so many threads.
    """

    name: str
    shape: str
    ours: tuple[bytes, dict[str, np.ndarray]]
    rivals: dict[str, tuple[bytes, dict[str, np.ndarray]] | Callable[[int], Call]]


@dataclass(frozen=True)
class Row:
    """One of our graphs against one rival. `ratio` above 1: ours is faster."""

    name: str
    rival: str
    shape: str
    threads: int
    ours_ms: float
    stock_ms: float
    ratio: float


def run(title: str, contests: Iterable[Contest], notes: dict[str, str], out: Path) -> None:
    """Time every contest with 1 and 2 threads, print the table and write `out`."""
    header = _header() | {"notes": notes}
    machine, own = _busy_seconds()
    started = time.monotonic()
    contests, rows = list(contests), []
    console = Console(width=None if sys.stdout.isatty() else 140)
    pairs = [(contest, threads) for contest in contests for threads in THREADS]
    for contest, threads in track(pairs, description=title, console=Console(stderr=True), transient=True):
        rows += _timed(contest, threads)
    machine, own = (now - before for now, before in zip(_busy_seconds(), (machine, own)))
    others = max(0.0, (machine - own) / (time.monotonic() - started))
    header["others"] = f"{others:.2f} CPUs busy with other programs"
    table = Table("ours", "rival", "shape", "threads", "ours ms", "rival ms", "times faster", title=title)
    for row in rows:
        table.add_row(
            row.name,
            row.rival,
            row.shape,
            str(row.threads),
            f"{row.ours_ms:.3f}",
            f"{row.stock_ms:.3f}",
            f"{row.ratio:.2f}",
        )
    console.print(table)
    for subject, note in notes.items():
        console.print(f"{subject}: {note}")
    console.print(", ".join(f"{key} {value}" for key, value in header.items() if key != "notes"))
    if others > BUSY:
        console.print("Not a quiet machine: repeat the run before any of these figures is quoted, above all 2 threads.")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"header": header, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    console.print(f"wrote {out.relative_to(ROOT)}")


def _timed(contest: Contest, threads: int) -> list[Row]:
    graphs = {"": contest.ours} | contest.rivals
    calls = {name: g(threads) if callable(g) else bound(*g, threads) for name, g in graphs.items()}
    times = race(calls)
    ours = times.pop("")
    return [
        Row(
            contest.name,
            rival,
            contest.shape,
            threads,
            float(np.median(ours)),
            float(np.median(theirs)),
            ratio(ours, theirs),
        )
        for rival, theirs in times.items()
    ]


def _header() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_processor()}, {os.cpu_count()} CPUs",
        "isa": _isa(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _busy_seconds() -> tuple[float, float]:
    """CPU seconds that the whole machine and this process have spent so far."""
    user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    times = os.times()
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK"), times.user + times.system


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "CPU part"))]
    return names[0] if names else platform.machine()


def _isa() -> str:
    """The body in use: the one forced, else the last of those that the library lists when it refuses a name."""
    if forced := os.environ.get("COPPICE_ISA"):
        return forced
    program = "import sys, pathlib, coppice_export.check as c; c.session(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", program, ROOT / "native" / "golden" / "LinearAttention" / "elu1" / "model.onnx"]
    refusal = subprocess.run(command, env=os.environ | {"COPPICE_ISA": "?"}, capture_output=True, text=True).stderr
    _, found, rest = refusal.partition("use one of ")
    return rest.partition(", or unset")[0].split(", ")[-1] if found else "unknown"
