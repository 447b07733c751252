"""How far a latency curve is from whole runs: every rung of a schedule, measured and predicted, on one thread.

    python export/tools/curve_error.py vit_tiny.npz vit-tiny curve.json export/recipes/vit-tiny/schedule.json

The rungs take turns, the median over rounds of the fastest of five runs counts, in processor time: other work on the
machine is left out but for what it does to caches and clock.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from coppice_export.check import sample_images, session
from coppice_export.config import PRESETS
from coppice_export.latency import load_curve
from coppice_export.model import Flavour, build_model
from coppice_export.schedule import load_schedule
from coppice_export.weights import load_state

ROUNDS = 9


def main(weights: Path, preset: str, curve_file: Path, schedule_file: Path) -> None:
    """Prints a line for every rung."""
    schedule = load_schedule(schedule_file)
    config = schedule.applied(PRESETS[preset])
    curve = load_curve(curve_file, config)
    model = build_model(config, load_state(weights, config), Flavour(curve.operators))
    runner = session(model.SerializeToString(), 1)
    image = sample_images(config, 1)[0]
    times: dict[str, list[float]] = {rung.name: [] for rung in schedule.ladder}
    for _ in range(ROUNDS):
        for rung in schedule.ladder:
            fastest = float("inf")
            for _ in range(5):
                start = time.process_time()
                runner.run(["logits"], {"image": image, "keep": np.array(rung.keep, np.int64)})
                fastest = min(fastest, time.process_time() - start)
            times[rung.name].append(1e3 * fastest)
    for rung in schedule.ladder:
        measured, predicted = statistics.median(times[rung.name]), curve.latency_ms(config, rung.keep)
        error = 100 * (predicted / measured - 1)
        print(f"{rung.name:10} {measured:6.2f} ms, predicted {predicted:6.2f} ms, {error:+.1f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
