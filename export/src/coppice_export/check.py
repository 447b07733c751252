"""Checks of an exported graph, always run before a bundle is written."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from .config import ViTConfig
from .cost import incoming_counts
from .graph import DOMAIN, IR_VERSION, OPERATOR_VERSION, OPSET
from .model import build_model

__all__ = [
    "PICTURES",
    "TOLERANCE",
    "CheckError",
    "Report",
    "check_model",
    "logits_of",
    "nudged",
    "ops_library",
    "sample_images",
    "session",
    "steady",
    "used_operators",
]

TOLERANCE = 1e-4
Logits = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]

PICTURES = 16
NUDGES = 16
# Of a pixel, a few of float32's steps: sums of 768 terms (a patch of 16 pixels) in another order differ by about
# sqrt(768) 2^-24 = 1.7e-6 of their size.
NUDGE = np.float32(1.7e-6)


class CheckError(RuntimeError):
    """The exported graph is wrong; nothing was written."""


@dataclass(frozen=True)
class Report:
    """What was compared with what: largest absolute difference of the logits by rung."""

    reference: str
    differences: dict[str, float]
    operators: dict[str, int]


def ops_library() -> Path:
    """libcoppice_ops.so: COPPICE_OPS_LIBRARY, or what `make build` left in this repository."""
    given = os.environ.get("COPPICE_OPS_LIBRARY")
    machine = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64"}.get(platform.machine(), platform.machine())
    built = Path(__file__).resolve().parents[3] / "native" / "target" / machine / "libcoppice_ops.so"
    path = Path(given) if given else built
    if not path.is_file():
        raise CheckError(
            f"No operator library at {path}: run `make build`, or set COPPICE_OPS_LIBRARY to libcoppice_ops.so."
        )
    return path


def session(model: bytes | Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session of ONNX Runtime with our operators."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    library = ops_library()
    try:
        options.register_custom_ops_library(str(library))
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        reason = " ".join(str(error).split())
        raise CheckError(f"{library} is no operator library of this machine ({reason}); run `make build`.") from error
    return onnxruntime.InferenceSession(
        str(model) if isinstance(model, Path) else model, options, ["CPUExecutionProvider"]
    )


def used_operators(model: onnx.ModelProto) -> dict[str, int]:
    """How often each operator of our domain occurs."""
    return dict(sorted(Counter(n.op_type for n in model.graph.node if n.domain == DOMAIN).items()))


def logits_of(
    runner: onnxruntime.InferenceSession, config: ViTConfig, image: np.ndarray, keep: tuple[int, ...]
) -> np.ndarray:
    """(1, classes) of an exported graph; image: (1, 3, size, size)."""
    feeds = {"image": image} | ({"keep": np.array(keep, np.int64)} if config.reduce_at else {})
    return runner.run(["logits"], feeds)[0]


def _reference(config: ViTConfig, state: dict[str, np.ndarray]):
    """A function (image, keep) -> logits, and its name: PyTorch where it is installed, else stock operators."""
    try:
        import torch

        from .reference import VisionTransformer
    except ImportError:
        stock = session(build_model(config, state, "stock").SerializeToString())
        return partial(logits_of, stock, config), "the same graph in stock operators"
    model = VisionTransformer(config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)

    def run(image: np.ndarray, keep: tuple[int, ...]) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(image), keep).numpy()

    return run, f"PyTorch {torch.__version__.split('+')[0]}"


def sample_images(config: ViTConfig, count: int) -> list[np.ndarray]:
    """Smooth random pictures (1, 3, size, size) in about -1..1: neighbouring patches differ, as in photographs."""
    rng, size = np.random.default_rng(0), config.preprocessing.crop
    y, x = np.mgrid[:size, :size] / size
    images = []
    for _ in range(count):
        waves = [
            rng.normal(size=(3, 1, 1)) * np.sin(2 * np.pi * (fx * x + fy * y) + phase)
            for fx, fy, phase in rng.uniform(0, 6, (12, 3))
        ]
        images.append((np.sum(waves, 0) / 3 + rng.normal(scale=0.1, size=(3, size, size)))[None].astype(np.float32))
    return images


def nudged(image: np.ndarray) -> list[np.ndarray]:
    """The picture again and again, each time changed in its last bits."""
    rng = np.random.default_rng(0)
    return [image * (1 + NUDGE * rng.standard_normal(image.shape, np.float32)) for _ in range(NUDGES)]


def steady(run: Logits, image: np.ndarray, keep: tuple[int, ...]) -> bool:
    """Whether no last bit of the picture moves the logits by more than the tolerance.

    It does where two tokens compete with scores that are equal but for rounding: either of them may go on.
    """
    logits = run(image, keep)
    return not any(np.abs(run(other, keep) - logits).max() > TOLERANCE for other in nudged(image))


def _compared(found: Logits, reference: Logits, config: ViTConfig, keep: tuple[int, ...]) -> tuple[float, np.ndarray]:
    """The largest difference to the reference on two pictures, and its logits.

    Where graph and reference differ on a picture on which the reference is not steady by itself, either answer is
    right and another picture takes its place. The graph has no say in that, so a wrong one cannot hide there.
    """
    differences, expected = [], []
    for image in sample_images(config, PICTURES):
        wanted = reference(image, keep)
        difference = float(np.abs(found(image, keep) - wanted).max())
        if difference <= TOLERANCE or steady(reference, image, keep):
            differences.append(difference if np.isfinite(difference) else np.inf)
            expected.append(wanted)
        if len(expected) == 2:
            return max(differences), np.concatenate(expected)
    raise CheckError(
        f"At budget {keep} of {config.name} rounding decides which tokens go on in {PICTURES - len(expected)} of "
        f"{PICTURES} pictures, so graph and source cannot be compared: give trained weights. No bundle was written."
    )


def check_model(
    model: onnx.ModelProto, config: ViTConfig, state: dict[str, np.ndarray], rungs: dict[str, tuple[int, ...]]
) -> Report:
    """Graph valid, versions pinned, and logits equal to the reference within 1e-4 at every rung. Raises CheckError."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if (
        model.ir_version != IR_VERSION
        or versions.get("") != OPSET
        or versions.get(DOMAIN, OPERATOR_VERSION) != OPERATOR_VERSION
    ):
        raise CheckError(
            f"The graph has IR {model.ir_version} and operator sets {versions}; expected IR {IR_VERSION}, "
            f"opset {OPSET} and {DOMAIN} {OPERATOR_VERSION}."
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())
        raise CheckError(f"The graph is no valid ONNX ({reason}). No bundle was written.") from error
    reference, name = _reference(config, state)
    runner = session(model.SerializeToString())
    differences = {}
    for rung, keep in (rungs or {"all tokens": incoming_counts(config, 1)}).items():
        differences[rung], expected = _compared(partial(logits_of, runner, config), reference, config, keep)
        if np.ptp(expected, axis=0).max() <= TOLERANCE:
            raise CheckError(
                f"{name} gives the same logits of {config.name} for two pictures at rung {rung}, so no comparison can "
                "tell a right graph from a wrong one: give trained weights. No bundle was written."
            )
    late = {rung: d for rung, d in differences.items() if not d <= TOLERANCE}
    if late:
        found = ", ".join(f"{rung} {d:.2g}" for rung, d in late.items())
        raise CheckError(
            f"Logits of {config.name} differ from {name} by more than {TOLERANCE}: {found}. No bundle was written."
        )
    return Report(name, differences, used_operators(model))
