"""In which layers int8 costs most: each alone in int8, and all in int8 but each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from .check import session

__all__ = ["LayerError", "layer_errors", "logits", "relative_error", "worst_layers"]

Feeds = dict[str, np.ndarray]
Quantise = Callable[[onnx.ModelProto, Collection[str]], onnx.ModelProto]
# Of the sum of squared errors: with equal layers a ViT of 12 blocks would have 2 % in each.
WORST_SHARE = 0.1


@dataclass(frozen=True)
class LayerError:
    """Relative errors of the logits: with this layer alone in int8, and with all layers but this one."""

    layer: str
    alone: float
    without: float


def logits(model: onnx.ModelProto, feeds: Sequence[Feeds], output: str = "logits") -> np.ndarray:
    """(feeds, classes)."""
    runner = session(model.SerializeToString())
    return np.concatenate([runner.run([output], feed)[0] for feed in feeds])


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the difference, in standard deviations of what is expected."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / np.std(expected))


def layer_errors(
    model: onnx.ModelProto,
    quantise: Quantise,
    layers: Sequence[str],
    feeds: Sequence[Feeds],
    output: str = "logits",
) -> Iterator[LayerError]:
    """One of the layers after another; `quantise` takes the model and the layers to keep in float32."""
    expected = logits(model, feeds, output)
    for layer in layers:
        kept = [other for other in layers if other != layer], [layer]
        errors = (relative_error(logits(quantise(model, k), feeds, output), expected) for k in kept)
        yield LayerError(layer, *errors)


def worst_layers(errors: Sequence[LayerError], count: int | None = None) -> list[str]:
    """The `count` layers that cost most alone; left out: those with over a tenth of the sum of squared errors.

    Errors of layers that round independently add up in squares, so a share of the sum is a share of the whole error.
    """
    ranked = sorted(errors, key=lambda error: -error.alone)
    if count is not None:
        return [error.layer for error in ranked[:count]]
    total = sum(error.alone**2 for error in errors)
    return [error.layer for error in ranked if error.alone**2 > WORST_SHARE * total]
