"""Times several graphs in turns of one process, so that a change of clock or load meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnxruntime

from coppice_export.check import ops_library

__all__ = ["Call", "bound", "race", "ratio"]

Call = Callable[[], None]


def bound(model: bytes, feeds: dict[str, np.ndarray], threads: int) -> Call:
    """One run of `model` on inputs that stay bound: no copy of an input or an output is timed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    # Workers of a session that has finished would spin on the cores which the next one in turn is timed on.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.register_custom_ops_library(str(ops_library()))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for output in session.get_outputs():
        binding.bind_output(output.name)

    def call(_borrowed: dict[str, np.ndarray] = feeds) -> None:  # the binding does not own the arrays it reads
        session.run_with_iobinding(binding)

    return call


def race(calls: dict[str, Call], rounds: int = 7, seconds: float = 0.03, least: int = 3) -> dict[str, list[float]]:
    """Median milliseconds of each call in each round; the order flips every round (A B C, C B A).

    A turn lasts `seconds`, or `least` calls if that is longer; its first call refills the caches and is not counted.
    """
    names, medians = list(calls), {name: [] for name in calls}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            medians[name].append(_turn(calls[name], seconds, least))
    return medians


def _turn(call: Call, seconds: float, least: int) -> float:
    call()
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times faster ours is: the median over the rounds of the ratio within each round."""
    return float(np.median(np.array(theirs) / np.array(ours)))
