"""A small builder of ONNX graphs; the same calls give the same bytes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["DOMAIN", "IR_VERSION", "OPERATOR_VERSION", "OPSET", "Graph"]

DOMAIN = "dev.coppice"
OPERATOR_VERSION = 1
# What ONNX Runtime Java 1.29.0 reads; opset 20 is the first that keeps Gelu in one node.
OPSET = 20
IR_VERSION = 10

_TYPES = {
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
}


class Graph:
    """Nodes, initialisers and declared shapes of one graph. Values are their names."""

    def __init__(self, name: str):
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: dict[str, onnx.TensorProto] = {}
        self._names_by_content: dict[tuple, str] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._declared: list[onnx.ValueInfoProto] = []
        self._domains: set[str] = set()

    def constant(self, array: np.ndarray, name: str | None = None) -> str:
        """An initialiser; equal unnamed constants are one."""
        array = np.array(array, order="C")
        content = (array.dtype.str, array.shape, array.tobytes())
        if name is None and content in self._names_by_content:
            return self._names_by_content[content]
        name = name or f"const_{len(self._initialisers)}"
        self._names_by_content.setdefault(content, name)
        self._initialisers[name] = numpy_helper.from_array(array, name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def op(
        self, kind: str, *inputs: str, outputs: int | list[str] = 1, domain: str = "", **attributes
    ) -> str | list[str]:
        """Append a node; its output's name, or a list where `outputs` is not 1. An empty name leaves a value out."""
        number = len(self._nodes)
        names = [f"{kind}_{number}_{i}" for i in range(outputs)] if isinstance(outputs, int) else outputs
        written = [list(values) for values in (inputs, names)]
        for values in written:
            while values and not values[-1]:
                values.pop()
        self._nodes.append(helper.make_node(kind, *written, name=f"{kind}_{number}", domain=domain, **attributes))
        self._domains.add(domain)
        return names[0] if len(names) == 1 else names

    def input(self, name: str, dtype: str, shape: list) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], shape))
        return name

    def output(self, name: str, dtype: str, shape: list) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], shape))

    def declare(self, name: str, dtype: str, shape: list) -> str:
        """State the shape of an output that ONNX cannot infer: the optimiser fuses only what has a known shape."""
        self._declared.append(helper.make_tensor_value_info(name, _TYPES[dtype], shape))
        return name

    def model(self) -> onnx.ModelProto:
        """The whole, without constants that no node reads: a translation may name what nobody asks it for."""
        read = {name for node in self._nodes for name in node.input}
        initialisers = [array for name, array in self._initialisers.items() if name in read]
        known = {value.name for value in self._outputs} | self._initialisers.keys()
        declared = [value for value in self._declared if value.name not in known]
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, initialisers, value_info=declared
        )
        versions = {"": OPSET, "com.microsoft": 1, DOMAIN: OPERATOR_VERSION}
        imports = [helper.make_opsetid(d, versions[d]) for d in sorted(self._domains | {""})]
        model = helper.make_model(graph, opset_imports=imports, producer_name="coppice-export")
        model.ir_version = IR_VERSION
        return model
