"""A golden case and how it is written."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .graph import DOMAIN, Graph
from .operators import attention_block, encoder_block

__all__ = ["Case", "in_half", "write_case"]

# Every output in order, of the operators that have optional ones in the middle.
_OUTPUTS = {
    "AttentionBlock": attention_block.OUTPUTS,
    "EncoderBlock": encoder_block.OUTPUTS,
    "TopKTokens": ("index", "y", "kept_size"),
    "SampleTokens": ("index", "y", "kept_count"),
    "ThresholdTokens": ("index", "y", "kept_count"),
    "MergeTokens": ("y", "merged_size", "group", "kept_count"),
}


@dataclass(frozen=True)
class Case:
    """One operator call: arrays in, expected arrays out. Constants are part of the model."""

    operator: str
    name: str
    description: str
    attributes: dict[str, int | float | str | tuple]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    tolerance: float
    # Every input of the operator in order, so that left-out ones keep their place.
    slots: tuple[str, ...] = field(repr=False, default=())
    constants: dict[str, np.ndarray] = field(repr=False, default_factory=dict)


def in_half(case: Case) -> Case:
    """The same call with float16 tensors, whose inputs are float16 numbers already; outputs are rounded once.

    Of the constants, weights have a type of their own and scales stay float32.
    """

    def rounded(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in arrays.items()}

    largest = max(float(np.abs(v).max()) for v in case.outputs.values() if v.dtype == np.float32)
    description, tolerance = f"{case.description}, float16", case.tolerance + 2**-11 * largest
    return replace(
        case,
        name="float16",
        description=description,
        inputs=rounded(case.inputs),
        constants=case.constants
        | rounded({k: v for k, v in case.constants.items() if k.startswith("norm") or k.endswith("bias")}),
        outputs=rounded(case.outputs),
        tolerance=tolerance,
    )


def _model(case: Case) -> bytes:
    graph = Graph(case.name)
    for name, array in case.inputs.items():
        graph.input(name, array.dtype.name, list(array.shape))
    for name, array in case.constants.items():
        graph.constant(array, name)
    slots = [name if name in case.inputs | case.constants else "" for name in case.slots]
    outputs = _OUTPUTS.get(case.operator, tuple(case.outputs))
    names = [name if name in case.outputs else "" for name in outputs]
    graph.op(case.operator, *slots, outputs=names, domain=DOMAIN, **case.attributes)
    for name, array in case.outputs.items():
        graph.output(name, array.dtype.name, list(array.shape))
    return graph.model().SerializeToString(deterministic=True)


def _text(value: int | float | str | tuple) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def write_case(folder: Path, case: Case) -> None:
    """Replace the case below `folder`."""
    target = folder / case.operator / case.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    lines = [f"operator={case.operator}", f"description={case.description}", f"tolerance={case.tolerance:.3g}"]
    lines += [f"attr.{name}={_text(value)}" for name, value in sorted(case.attributes.items())]
    for kind, arrays in (("input", case.inputs), ("constant", case.constants), ("output", case.outputs)):
        for name, array in arrays.items():
            lines.append(f"{kind}.{name}={array.dtype.name}[{','.join(map(str, array.shape))}]")
            (target / f"{kind}.{name}.bin").write_bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())
    (target / "case.properties").write_text("\n".join(lines) + "\n")
    (target / "model.onnx").write_bytes(_model(case))
