"""The loops of a compiled object that multiply matrices, and the share of a core's peak that LLVM gives them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CORES", "Core", "Loop", "as_whole_registers", "cycles", "hot_loops", "share"]

ITERATIONS = 1000
KERNELS = re.compile(r"\(anonymous namespace\)::(?!tile|multiply|logits)(\w+)\(coppice::")


@dataclass(frozen=True)
class Core:
    """A processor as LLVM names it, the multiplications of a kind it can start in a cycle, and the share aimed at."""

    cpu: str
    peak: dict[str, float]
    goal: float
    stands_for: str


# What multiplies, by kind. Bytes without dot products take an addition of pairs (sadalp) for every two multiplications:
# where all vector instructions share one pipe, no more than two cycles of three can multiply.
KINDS = {"fmla": ("fmla",), "sdot": ("sdot",), "smull": ("smull", "smlal")}
CORES = (
    Core("cortex-a53", {"fmla": 1, "smull": 2 / 3}, 70, "Cortex-A53: Raspberry Pi Zero 2 W, 3B, 3B+"),
    Core("cortex-a55", {"fmla": 1, "sdot": 1}, 85, "Cortex-A55: the small cores of RK3588"),
    Core("cortex-a72", {"fmla": 1, "smull": 1}, 95, "Cortex-A72: Raspberry Pi 4B, CM4"),
    Core("neoverse-n1", {"fmla": 2, "sdot": 2}, 95, "Neoverse-N1: Cortex-A76, A78AE (Raspberry Pi 5, RK3588, Orin),"),
)


@dataclass(frozen=True)
class Loop:
    """One innermost loop, as it was compiled."""

    kind: str
    kernels: tuple[str, ...]  # where copies of it stand
    body: tuple[str, ...]

    @property
    def products(self) -> int:
        return _products(self.kind, self.body)

    @property
    def spills(self) -> int:
        """Accesses to the stack."""
        return sum("[sp" in line for line in self.body)


def hot_loops(objdump: str, built: Path, least: int = 24) -> list[Loop]:
    """The innermost loops with the most products of a kind, `least` or more; loops alike but for registers are one."""
    command = [objdump, "--disassemble", "--demangle", "--no-show-raw-insn", built]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loops = [(name, body) for name, code in _functions(text) for body in _innermost(code)]
    found: dict[tuple[str, ...], tuple[str, set[str], tuple[str, ...]]] = {}
    for kind in KINDS:
        most = max((_products(kind, body) for _, body in loops), default=0)
        for name, body in loops:
            if _products(kind, body) == most >= least:
                found.setdefault(_shape(body), (kind, set(), body))[1].add(name)
    return [Loop(kind, tuple(sorted(kernels)), body) for kind, kernels, body in found.values()]


def cycles(mca: Path, core: Core, body: tuple[str, ...], environment: dict[str, str]) -> float:
    """Cycles of one pass, in the long run, with every load in the first-level cache and every branch foreseen."""
    command = [mca, "-mtriple=aarch64-linux-gnu", f"-mcpu={core.cpu}", f"-iterations={ITERATIONS}"]
    source = ".Lloop:\n" + "\n".join(body) + "\n"
    text = subprocess.run(command, input=source, env=environment, check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", text)[1]) / ITERATIONS


def share(peak: float, products: int, needed: float) -> float:
    """Percent of the peak; never above it, though LLVM's Cortex-A55 starts two products of four floats in a cycle."""
    return min(100.0, 100 * products / (needed * peak))


def as_whole_registers(body: tuple[str, ...]) -> tuple[str, ...]:
    """The same with integer products: LLVM's Cortex-A55 knows that those take both of its 64-bit pipes."""
    return tuple(re.sub(r"^fmla\b", "mla", line) for line in body)


def _functions(text: str) -> list[tuple[str, list[tuple[int, str]]]]:
    """Name and instructions (address, text) of each function."""
    found = []
    for block in re.split(r"\n(?=[0-9a-f]+ <)", text):
        head, _, rest = block.partition("\n")
        lines = (re.match(r"\s*([0-9a-f]+):\s+(\S.*)", line) for line in rest.splitlines())
        code = [(int(m[1], 16), " ".join(re.sub(r"\s*//.*", "", m[2]).split())) for m in lines if m]
        names = KERNELS.findall(head)
        found.append((names[0] if names else _plain(head), code))
    return found


def _plain(head: str) -> str:
    """The function's name and template arguments, from `address <name>:`."""
    name = head.partition("<")[2].removeprefix("void ").rpartition(">:")[0]
    name = re.sub(r"coppice::[\w:]*\(anonymous namespace\)::", "", name)
    return re.sub(r"\((coppice::|LinearTile|Product|unsigned).*", "", name)


def _innermost(code: list[tuple[int, str]]) -> list[tuple[str, ...]]:
    place = {address: i for i, (address, _) in enumerate(code)}
    spans = []
    for end, (_, line) in enumerate(code):
        branch = re.match(r"(?:b\.\w+|cbn?z|tbn?z|b) (?:.*, )?([0-9a-f]+) <", line)
        start = place.get(int(branch[1], 16)) if branch else None
        if start is not None and start <= end:
            spans.append((start, end))
    inner = [a for a in spans if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in spans)]
    return [tuple(re.sub(r"[0-9a-f]+ <.*>", ".Lloop", line) for _, line in code[a : b + 1]) for a, b in inner]


def _products(kind: str, body: tuple[str, ...]) -> int:
    return sum(line.startswith(KINDS[kind]) for line in body)


def _shape(body: tuple[str, ...]) -> tuple[str, ...]:
    """The instructions with their registers numbered in the order in which they appear."""
    numbers: dict[str, int] = {}

    def number(match: re.Match) -> str:
        bank = "v" if match[1] in "vqds" else "x"
        return f"{match[1]}{numbers.setdefault(bank + match[2], len(numbers))}"

    return tuple(re.sub(r"\b([vqdsxw])(\d+)\b", number, line) for line in body)
