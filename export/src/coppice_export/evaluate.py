"""Top-1, agreement and latency of a bundle's rungs through ONNX Runtime, on photographs whose class is known."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnxruntime

from .bundle_files import Bundle
from .photographs import Photograph
from .preprocess import preprocess

__all__ = ["Answers", "RungScore", "ask", "report", "score"]


@dataclass(frozen=True)
class Answers:
    """What one rung answered: the best class of each photograph, int64 (photographs), and the run times in ms."""

    best: np.ndarray
    milliseconds: np.ndarray


@dataclass(frozen=True)
class RungScore:
    """Percentages of the photographs, each with its standard error; `difference` is top-1 less the reference's."""

    top1: float
    top1_error: float
    agreement: float
    difference: float
    difference_error: float
    median_ms: float


def ask(runner: onnxruntime.InferenceSession, bundle: Bundle, photographs: Iterable[Photograph]) -> dict[str, Answers]:
    """Every rung's answers. The rungs take turns at each photograph, so that a change of clock or load meets all.

    `runner` runs the bundle's graph, or one of the same inputs and outputs.
    """
    logits, rungs = bundle.manifest["outputs"]["logits"]["name"], bundle.rungs
    best, milliseconds = ({name: [] for name in rungs} for _ in range(2))
    for number, photograph in enumerate(photographs):
        image = preprocess(photograph.pixels(), bundle.preprocessing)
        for name in rungs if number % 2 == 0 else reversed(rungs):
            feeds = bundle.feeds(image, rungs[name])
            start = time.perf_counter()
            (found,) = runner.run([logits], feeds)
            milliseconds[name].append(1e3 * (time.perf_counter() - start))
            best[name].append(int(found.argmax()))
    return {name: Answers(np.array(best[name]), np.array(milliseconds[name])) for name in rungs}


def score(answers: Answers, reference: Answers, truth: np.ndarray) -> RungScore:
    """truth: int64 (photographs).

    Standard errors of means over n photographs: of right or wrong for top-1, and of the paired differences
    (-1, 0 or 1 at each photograph) for the difference, which is the smaller error of the two.
    """
    right, reference_right = answers.best == truth, reference.best == truth
    paired = right.astype(float) - reference_right
    error = 100 / np.sqrt(len(truth))
    return RungScore(
        top1=100 * float(right.mean()),
        top1_error=error * float(right.std()),
        agreement=100 * float((answers.best == reference.best).mean()),
        difference=100 * float(paired.mean()),
        difference_error=error * float(paired.std()),
        median_ms=float(np.median(answers.milliseconds)),
    )


def report(
    bundle: Bundle, reference: Bundle, scores: dict[str, RungScore], data: str, photographs: int, threads: int
) -> dict:
    """The JSON of `coppice-export evaluate`; `data` and `top1` are what `convert --accuracy` reads."""
    columns = {field: {name: getattr(s, field) for name, s in scores.items()} for field in RungScore.__annotations__}
    return {
        "bundle": bundle.name,
        "precision": bundle.precision,
        "reference": reference.name,
        "data": data,
        "photographs": photographs,
        **{field: {name: round(value, 4) for name, value in column.items()} for field, column in columns.items()},
        "macs": {rung["name"]: rung["macs"] for rung in bundle.manifest["ladder"]},
        "threads": threads,
        "onnxruntime": onnxruntime.__version__,
    }
