"""An ONNX graph with its constants computed, and parts of it that run alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from .checkpoint import SourceError

__all__ = ["Pieces", "described", "load_pieces"]

# These rewrite a linear layer or the order of axes, which would hide what the graph says.
_KEPT_APART = ["MatMulAddFusion", "TransposeOptimizer"]


def described(node: onnx.NodeProto) -> str:
    return f"node {node.name or node.output[0]!r} ({node.op_type})"


class Pieces:
    """The nodes in order, who makes and who reads each value, and the constants by name."""

    def __init__(self, path: Path, model: onnx.ModelProto, original: bytes):
        graph = model.graph
        self.path, self.nodes, self._original = path, list(graph.node), original
        self._imports, self._ir_version = model.opset_import, model.ir_version
        self._initialisers = {tensor.name: tensor for tensor in graph.initializer}
        self.constants = {name: numpy_helper.to_array(tensor) for name, tensor in self._initialisers.items()}
        self.input, self.output = graph.input[0].name, graph.output[0].name
        self.shape = tuple(d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)
        self.producer = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)

    def logits(self, image: np.ndarray) -> np.ndarray:
        """What the graph as it came gives for a picture (1, 3, S, S)."""
        return _session(self._original, onnxruntime.SessionOptions()).run(None, {self.input: image})[0]

    def refused(self, node: onnx.NodeProto | None, expected: str) -> SourceError:
        where = described(node) if node is not None else "the end of the graph"
        return SourceError(f"{self.path}: {where}: expected {expected}; only plain pre-norm ViTs are recognised.")

    def run(self, output: str, **shapes: tuple[int, ...]) -> Callable[..., np.ndarray]:
        """The part of the graph from float32 values of these shapes to `output`, a function of their arrays.

        Raises SourceError, naming the node, where the part needs anything else.
        """
        wanted, nodes, pending = set(shapes), [], [output]
        while pending:
            name = pending.pop()
            if not name or name in wanted or name in self.constants:
                continue
            wanted.add(name)
            if name not in self.producer:
                raise self.refused(
                    self.readers[name][0], f"nothing but {', '.join(shapes)} and constants, found {name}"
                )
            nodes.append(self.producer[name])
            pending += self.producer[name].input
        nodes = [node for node in self.nodes if any(node is chosen for chosen in nodes)]
        used = {name for node in nodes for name in node.input}
        inputs = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n, shape in shapes.items()]
        kept = [self._initialisers[name] for name in sorted(used & self._initialisers.keys())]
        graph = helper.make_graph(nodes, "piece", inputs, [onnx.ValueInfoProto(name=output)], kept)
        model = helper.make_model(graph, opset_imports=self._imports)
        model.ir_version = self._ir_version
        runner = _session(model.SerializeToString(), onnxruntime.SessionOptions())
        return lambda *arrays: runner.run([output], {n: a.astype(np.float32) for n, a in zip(shapes, arrays)})[0]


def _session(model: bytes, options: onnxruntime.SessionOptions, **more) -> onnxruntime.InferenceSession:
    options.log_severity_level, options.intra_op_num_threads, options.inter_op_num_threads = 4, 1, 1
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"], **more)


def load_pieces(path: Path) -> Pieces:
    """A graph from one picture to logits, for a batch of one, with all that is constant computed.

    Raises SourceError for a file that is damaged or incomplete, of an opset or with an operator that ONNX Runtime
    lacks, and for other inputs or outputs.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's, ONNX's and the system's exceptions have no common base
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: not a readable ONNX graph ({reason}); external data must lie beside it.") from error
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    shape = inputs[0].type.tensor_type.shape.dim if inputs else []
    if len(inputs) != 1 or len(model.graph.output) != 1 or len(shape) != 4 or inputs[0].type.tensor_type.elem_type != 1:
        names = ", ".join(value.name for value in (*inputs, *model.graph.output))
        raise SourceError(f"{path}: expected one float32 picture in and one output, found {names}.")
    shape[0].dim_value = 1  # replaces a name
    sizes = [d.dim_value for d in shape]
    if sizes[1] != 3 or sizes[2] != sizes[3] or not sizes[2]:
        found = ", ".join(d.dim_param or str(d.dim_value) for d in shape)
        raise SourceError(f"{path}: expected an input [batch, 3, S, S] of a fixed size, found [{found}].")
    del model.graph.value_info[:]  # it may name the batch
    model.graph.output[0].type.tensor_type.ClearField("shape")
    original = model.SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        try:
            _session(original, options, disabled_optimizers=_KEPT_APART)
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            reason = " ".join(str(error).split())
            raise SourceError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot run it ({reason}); export it with opset 20."
            ) from error
        return Pieces(path, onnx.load(options.optimized_model_filepath), original)
