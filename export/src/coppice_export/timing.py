"""Times whole models in ONNX Runtime, rung by rung."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence

import numpy as np

from .bundle import Rung
from .check import sample_images, session
from .config import Attention, ViTConfig
from .model import DEFAULT, Flavour, build_model

__all__ = ["DENSE", "time_rungs"]

DENSE = "dense, stock operators"


def time_rungs(
    config: ViTConfig,
    state: dict[str, np.ndarray],
    ladder: Sequence[Rung],
    threads: int = 1,
    rounds: int = 15,
    dense_state: dict[str, np.ndarray] | None = None,
    operators: Flavour = DEFAULT,
) -> dict[str, float]:
    """Median milliseconds of each rung, and of the dense softmax model in ONNX Runtime's own operators.

    dense_state: the arrays of the dense model, where they have other shapes.

    They run in turn, forwards and backwards, so that a slow spell of the machine meets them all.
    """
    image = sample_images(config, 1)[0]
    dense = dataclasses.replace(config, reductions=(), attention=(Attention(),) * config.depth, fc2_rank=())
    ours = session(build_model(config, state, operators).SerializeToString(), threads)
    stock = session(build_model(dense, dense_state or state, "stock").SerializeToString(), threads)
    runs = {DENSE: (stock, {"image": image})}
    for rung in ladder:
        keep = {"keep": np.array(rung.keep, np.int64)} if config.stages else {}
        runs[rung.name] = ours, {"image": image} | keep
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            model, feeds = runs[name]
            start = time.perf_counter_ns()
            model.run(["logits"], feeds)
            samples[name].append((time.perf_counter_ns() - start) / 1e6)
    return {name: statistics.median(times[1:]) for name, times in samples.items()}
