"""Estimates for 64-bit ARM, from static analysis and emulation; writes target/bench/arm.json.

No board is needed and none is measured. The same sources and tools give the same digits, so every figure is compared
with arm-baseline.json beside this file; --accept writes that anew.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

import ops
from arm.counts import Counter, CountError, environment
from arm.loops import CORES, Core, Loop, as_whole_registers, cycles, hot_loops, share
from blocks import FORMS, Encoder
from report import Contest
from rivals import quantised

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "target" / "bench" / "arm.json"
BASELINE = Path(__file__).with_name("arm-baseline.json")
BUILT = ROOT / "native" / "target" / "linux-aarch64" / "build"
TOKENS = (197, 1025)
# The operators alone run as this processor, encoder blocks as both.
PROCESSOR, WITH_DOT_PRODUCTS = "cortex-a72", "cortex-a76"
SHARE_TOLERANCE = 0.5  # points of the peak
COUNT_TOLERANCE = 0.5  # percent of the instructions
A55 = next(core for core in CORES if core.cpu == "cortex-a55")
STRICT = "cortex-a55 strict"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="make this run's figures the baseline")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    analysis = Path(_first_line([ROOT / ".ci" / "arm64" / "analysis"]))
    found = {"loops": _loops(analysis), "instructions": _instructions(analysis)}
    _print(console, found)
    tools = _tools(analysis)
    header = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "tools": tools,
        "kind": "estimates, not measured on a board",
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"header": header} | found, indent=1) + "\n", encoding="utf-8")
    console.print(f"wrote {OUT.relative_to(ROOT)}")
    if arguments.accept:
        BASELINE.write_text(json.dumps({"tools": tools} | found, indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {BASELINE.relative_to(ROOT)}")
        return 0
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    if fault := _difference(baseline, {"tools": tools} | found):
        console.print(fault, style="red")
        return 1
    console.print(f"as in {BASELINE.relative_to(ROOT)}, within {SHARE_TOLERANCE} points and {COUNT_TOLERANCE} %")
    return 0


def _loops(analysis: Path) -> dict[str, dict]:
    """The hot loops of every NEON body, by the kernels that they stand in."""
    mca = analysis / "debian" / "usr" / "lib" / "llvm-19" / "bin" / "llvm-mca"
    found = {}
    for built in sorted(BUILT.rglob("*_neon*.cc.o")):
        for loop in hot_loops(_binutils("objdump"), built):
            shares = {c.cpu: _share(mca, c, loop, loop.body, analysis) for c in CORES if loop.kind in c.peak}
            if loop.kind == "fmla":
                shares[STRICT] = _share(mca, A55, loop, as_whole_registers(loop.body), analysis)
            name = f"{built.name.removesuffix('.cc.o').removesuffix('_neon')}: {', '.join(loop.kernels)}"
            if loop.kind != "fmla":
                name += f" ({loop.kind})"
            size = {"instructions": len(loop.body), "products": loop.products, "spills": loop.spills}
            found[name] = size | {"percent of peak": shares}
    if not found:
        raise SystemExit(f"No loop of products in {BUILT}: build with `make arm64` first.")
    return found


def _share(mca: Path, core: Core, loop: Loop, body: tuple[str, ...], analysis: Path) -> float:
    return round(share(core.peak[loop.kind], loop.products, cycles(mca, core, body, environment(analysis))), 1)


def _instructions(analysis: Path) -> dict[str, dict]:
    """Instructions of one run of each operator, of an encoder block, and of their rivals."""
    counters = {cpu: Counter(ROOT, analysis, OUT.parent / "arm" / cpu, cpu) for cpu in (PROCESSOR, WITH_DOT_PRODUCTS)}
    contests = [(counters[PROCESSOR], contest) for tokens in TOKENS for contest in ops.contests(tokens)]
    contests += [(counter, contest) for cpu, counter in counters.items() for contest in _blocks(cpu)]
    found = {}
    for counter, contest in contests:
        ours = counter.count(*contest.ours)
        rivals = {name: counter.count(*graph).instructions for name, graph in contest.rivals.items()}
        row = {"instructions": ours.instructions, "products": ours.products, "rivals": rivals}
        found[f"{contest.name}, {contest.shape}"] = row
    return found


def _blocks(processor: str) -> list[Contest]:
    """An encoder block of DeiT-Tiny in float32 and in int8."""
    encoder = Encoder(TOKENS[0], 192, depth=1)
    stock, feeds = encoder.stock(), encoder.feeds
    rivals = {"stock": (stock, feeds), "stock int8": (quantised(stock), feeds)}
    return [
        Contest(
            f"encoder block {form}",
            f"N={TOKENS[0]} D=192 H=3, {processor}",
            (encoder.ours(*FORMS[form]), feeds),
            rivals,
        )
        for form in ("float32", "int8, float attention", "int8")
    ]


def _print(console: Console, found: dict) -> None:
    names = [core.cpu for core in CORES] + [STRICT]
    table = Table(
        "loop of", "instructions", "products", "spills", *names, title="estimate: percent of the multiply-add peak"
    )
    for name, loop in found["loops"].items():
        peaks = loop["percent of peak"]
        shares = [f"{peaks[cpu]:.1f}" if cpu in peaks else "-" for cpu in names]
        table.add_row(name, *(str(loop[key]) for key in ("instructions", "products", "spills")), *shares)
    table.add_row("goal", "", "", "", *(f"{core.goal:.1f}" for core in CORES), "")
    console.print(table)
    table = Table(
        "ours", "rival", "ours, thousands", "rival, thousands", "times fewer", title="estimate: instructions of a run"
    )
    for name, row in found["instructions"].items():
        for rival, count in row["rivals"].items():
            ours = row["instructions"]
            table.add_row(name, rival, f"{ours / 1e3:,.1f}", f"{count / 1e3:,.1f}", f"{count / ours:.2f}")
    console.print(table)


def _difference(baseline: dict, found: dict) -> str | None:
    """The first figure that is not the baseline's, as one sentence."""
    advice = "if that is meant, run `native/bench/arm.py --accept` and commit the baseline."
    for tool, version in baseline["tools"].items():
        if found["tools"].get(tool) != version:
            return f"The baseline was made with {tool} {version}, this is {found['tools'].get(tool)}: {advice}"
    old, new = _figures(baseline), _figures(found)
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            return f"{name} is only in {'the baseline' if name in old else 'this run'}: {advice}"
        allowed = SHARE_TOLERANCE if "percent" in name else COUNT_TOLERANCE / 100 * old[name]
        if abs(new[name] - old[name]) > allowed:
            return f"{name} is {new[name]:,} where the baseline has {old[name]:,} (tolerance {allowed:,.1f}): {advice}"
    return None


def _figures(tree: dict, above: str = "") -> dict[str, float]:
    flat = {}
    for name, value in tree.items():
        path = f"{above} / {name}" if above else name
        if isinstance(value, dict):
            flat |= _figures(value, path)
        elif not isinstance(value, str):
            flat[path] = value
    return flat


def _tools(analysis: Path) -> dict[str, str]:
    """Versions that decide the figures."""
    binaries = analysis / "debian" / "usr"
    mca = _version([binaries / "lib" / "llvm-19" / "bin" / "llvm-mca", "--version"], "LLVM version ", analysis)
    emulator = _version([binaries / "bin" / "qemu-aarch64", "--version"], "version ", analysis).rpartition(".")[0]
    compiler = _first_line([_binutils("g++"), "-dumpfullversion"])
    return {"g++": compiler, "llvm-mca": mca, "emulator": f"qemu {emulator}", "onnxruntime": "1.29.0"}


def _version(command: list, before: str, analysis: Path) -> str:
    done = subprocess.run(command, env=environment(analysis), check=True, capture_output=True, text=True)
    return done.stdout.partition(before)[2].split()[0]


def _binutils(tool: str) -> str:
    return tool if platform.machine() == "aarch64" else f"aarch64-linux-gnu-{tool}"


def _first_line(command: list) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout.splitlines()[0].strip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CountError as error:
        sys.exit(str(error))
