"""The stored operator calls that C++, Python and Java share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from coppice_export import golden
from coppice_export.check import session

GOLDEN = Path(__file__).resolve().parents[2] / "native" / "golden"
CASES = sorted(path.parent.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("*/*/case.properties"))


def _properties(case: str) -> dict[str, str]:
    lines = (GOLDEN / case / "case.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def _arrays(case: str, kind: str) -> dict[str, np.ndarray]:
    arrays = {}
    for key, value in _properties(case).items():
        if key.startswith(f"{kind}."):
            dtype, dims = value.rstrip("]").split("[")
            data = np.frombuffer((GOLDEN / case / f"{key}.bin").read_bytes(), np.dtype(dtype).newbyteorder("<"))
            arrays[key.removeprefix(f"{kind}.")] = data.reshape([int(d) for d in dims.split(",") if d])
    return arrays


def test_cases_regenerate_byte_for_byte(tmp_path, contents):
    """Writing the cases again gives the stored files, no more and no fewer."""
    golden.write(tmp_path)
    assert contents(tmp_path) == contents(GOLDEN)


@pytest.mark.parametrize("case", CASES)
def test_library_reproduces_case(case):
    """ONNX Runtime with our library gives the stored outputs within the stored tolerance."""
    expected = _arrays(case, "output")
    found = session(GOLDEN / case / "model.onnx").run(list(expected), _arrays(case, "input"))
    for (name, wanted), array in zip(expected.items(), found):
        assert array.dtype == wanted.dtype, name
        np.testing.assert_allclose(array, wanted, rtol=0, atol=float(_properties(case)["tolerance"]), err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_tolerance_notices_a_small_error(case):
    """A thousandth of the largest output is far beyond the tolerance, so a wrong kernel cannot hide in it."""
    floats = [a for a in _arrays(case, "output").values() if a.dtype == np.float32 and a.size]
    for array in floats:
        assert float(_properties(case)["tolerance"]) < 1e-3 * np.abs(array).max()


def _floats(dtype: str) -> list[str]:
    return [case for case in CASES if f"{dtype}[" in " ".join(_properties(case).values())]


def _typed(case: str, dtype: type) -> bytes:
    """The case's model with float16 or float32 tensors, and constants of float16 numbers; weights and scales stay."""
    model, types = onnx.load(GOLDEN / case / "model.onnx"), {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type in types:
            value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for tensor in model.graph.initializer:
        if tensor.name in ("mix", "dw") or (len(tensor.dims) == 1 and not tensor.name.endswith("_scale")):
            array = onnx.numpy_helper.to_array(tensor).astype(np.float16).astype(dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return model.SerializeToString()


@pytest.mark.parametrize("case", [case for case in _floats("float32") if not case.startswith("ImageToTensor")])
def test_half_tensors_give_the_float32_result_rounded_once(case):
    """float16 in and out is float32 arithmetic in between: the same numbers, rounded at the end."""
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in _arrays(case, "input").items()}
    wide = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in halves.items()}
    names = list(_arrays(case, "output"))
    expected = session(_typed(case, np.float32)).run(names, wide)
    found = session(_typed(case, np.float16)).run(names, halves)
    for name, wanted, array in zip(names, expected, found):
        wanted = wanted.astype(np.float16) if wanted.dtype == np.float32 else wanted
        assert array.dtype == wanted.dtype, name
        np.testing.assert_array_equal(array, wanted, err_msg=name)


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "avx512_vnni", "neon", "neon_dotprod"])
def test_every_body_of_this_machine_reproduces_the_cases(isa):
    """The stored outputs hold for each instruction set, forced by COPPICE_ISA."""
    command = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "test_library_reproduces_case"]
    run = subprocess.run(command, env=os.environ | {"COPPICE_ISA": isa}, capture_output=True, text=True)
    for lacking in ("this CPU lacks it", "this build lacks it"):
        if lacking in run.stdout:
            pytest.skip(f"COPPICE_ISA={isa}: {lacking}")
    assert run.returncode == 0, run.stdout[-2000:]
    assert f"{len(CASES)} passed" in run.stdout
