"""Instructions that one run of a model executes on an emulated 64-bit ARM processor, to the digit."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Count", "CountError", "Counter", "environment"]

RUNS = 4


class CountError(RuntimeError):
    """A model could not be counted."""


@dataclass(frozen=True)
class Count:
    """Instructions of one run, and vector multiplications of float32 and of bytes among them."""

    instructions: int
    products: int


class Counter:
    """Runs models on an emulated `processor` with the plugin count.c."""

    def __init__(self, root: Path, analysis: Path, out: Path, processor: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._processor = out, processor
        self._root = _output([root / ".ci" / "arm64" / "sysroot", processor])
        headers = _output([root / ".ci" / "ort-headers"])
        here = Path(__file__).resolve().parent
        _output(["gcc", "-O2", "-shared", "-fPIC", "-o", out / "count.so", here / "count.c"])
        link = ["-static-libstdc++", "-static-libgcc", "-ldl"]
        command = ["aarch64-linux-gnu-g++", "-std=c++17", "-O2", "-I", headers, here / "session.cc"]
        _output([*command, "-o", out / "session", *link])
        self._emulator = analysis / "debian" / "usr" / "bin" / "qemu-aarch64"
        self._environment = environment(analysis)
        self._onnxruntime = analysis / "ai" / "onnxruntime" / "native" / "linux-aarch64" / "libonnxruntime.so"
        self._operators = root / "native" / "target" / "linux-aarch64" / "libcoppice_ops.so"
        self._known: dict[bytes, Count] = {}

    def count(self, model: bytes, feeds: dict[str, np.ndarray]) -> Count:
        """What a run executes once the session has warmed up: the difference between two moments of one process."""
        if model not in self._known:
            folder = self._out / str(len(self._known))  # the same name each time: a path's length moves what follows it
            folder.mkdir(exist_ok=True)
            self._known[model] = self._count(folder, model, feeds)
        return self._known[model]

    def _count(self, folder: Path, model: bytes, feeds: dict[str, np.ndarray]) -> Count:
        (folder / "model.onnx").write_bytes(model)
        inputs = []
        for i, (name, array) in enumerate(feeds.items()):
            array.tofile(folder / f"{i}.bin")
            inputs.append(f"{name}:{array.dtype}:{','.join(map(str, array.shape))}:{folder / f'{i}.bin'}")
        # Alignment and random numbers decide how some loops begin and where memory lies: both are fixed.
        board = ["-L", self._root, "-cpu", self._processor]
        emulator = ["setarch", "--addr-no-randomize", self._emulator, "-seed", "1", *board]
        plugin = ["-plugin", self._out / "count.so", "-d", "plugin", "-D", os.devnull]
        libraries = [self._onnxruntime, self._operators]
        program = [self._out / "session", *libraries, folder / "model.onnx", str(RUNS), *inputs]
        # The telemetry of ONNX Runtime 1.29 writes below HOME, and its thread takes memory whenever the clock says so.
        settings = {"COPPICE_COUNTS": str(folder / "counts"), "ORT_DISABLE_TELEMETRY": "1", "HOME": str(folder)}
        command = [*emulator, *plugin, *program]
        done = subprocess.run(command, env=self._environment | settings, capture_output=True, text=True)
        if done.returncode:
            raise CountError(done.stderr.strip() or f"the emulator ended with status {done.returncode}")
        # The mean, as the memory allocator makes runs differ by a few hundred instructions.
        marks = np.loadtxt(folder / "counts", dtype=np.int64)
        return Count(*(int(total) // RUNS for total in marks[-1] - marks[0]))


def environment(analysis: Path) -> dict[str, str]:
    """For the programs of the folder `analysis`, which bring their libraries."""
    libraries = [analysis / "debian" / place / "x86_64-linux-gnu" for place in ("usr/lib", "lib")]
    return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": ":".join(map(str, libraries))}


def _output(command: list) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise CountError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
