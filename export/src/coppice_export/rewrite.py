"""An ONNX ViT as configuration and arrays, without PyTorch: every method applies to it then.

The walk follows norms, linear layers and residual sums; what lies between them is recognised by what it computes.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from .check import TOLERANCE, sample_images
from .checkpoint import SourceError
from .inference import Facts, configured
from .model import build_model
from .pieces import Pieces
from .recognise import attention_of, is_gelu, linear_head, same
from .weights import fitted

__all__ = ["read_graph"]


def read_graph(graph: Pieces, name: str) -> tuple[dict[str, np.ndarray], Facts]:
    """The arrays under this project's names, and what they do not tell.

    Raises SourceError for a graph that is not recognised, naming the node, or whose logits are not those of what was
    recognised in it.
    """
    arrays, facts = _Reader(graph).read(name)
    config, _ = configured(arrays, facts, graph.path)
    state = fitted(arrays, config, graph.path, "Only plain pre-norm ViTs can be read.")
    ours = onnxruntime.InferenceSession(build_model(config, state, "stock").SerializeToString())
    for image in sample_images(config, 2):
        difference = float(np.abs(ours.run(["logits"], {"image": image})[0] - graph.logits(image)).max())
        if not difference <= TOLERANCE:
            raise SourceError(
                f"{graph.path}: what was recognised gives logits that differ by {difference:.2g} (at most "
                f"{TOLERANCE}); the graph computes something that this project does not know."
            )
    return arrays, facts


def _attribute(node: onnx.NodeProto, name: str, default):
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


class _Reader:
    def __init__(self, graph: Pieces):
        self.graph, self.arrays, self.heads = graph, {}, 0
        self.rng = np.random.default_rng(0)
        self.norms = [node for node in graph.nodes if node.op_type == "LayerNormalization"]

    def read(self, name: str) -> tuple[dict[str, np.ndarray], Facts]:
        if len(self.norms) < 3 or len(self.norms) % 2 == 0:
            raise SourceError(
                f"{self.graph.path}: expected a LayerNormalization before every attention and every MLP and one at the "
                f"end, found {len(self.norms)}; export with opset 17 or newer."
            )
        epsilons = {_attribute(node, "epsilon", 1e-5) for node in self.norms}
        if len(epsilons) > 1:
            raise self.graph.refused(self.norms[-1], f"the same epsilon in all norms, found {sorted(epsilons)}")
        x, rows = self._embedding()
        for number in range(len(self.norms) // 2):
            x, rows = self._block(number, x, rows)
        pooling, fc_norm = self._head(x, rows)
        arrays = {name: np.array(array) for name, array in self.arrays.items()}  # those of a file are read-only
        return arrays, Facts(name, self.heads, float(str(np.float32(epsilons.pop()))), pooling, fc_norm)

    def _random(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def _embedding(self) -> tuple[str, int]:
        """The patch convolution, and prefix tokens and positions: what the first norm gets of an empty picture."""
        graph = self.graph
        conv = graph.readers[graph.input][0]
        weight = graph.constants.get(conv.input[1]) if conv.op_type == "Conv" else None
        if weight is None or len(graph.readers[graph.input]) > 1:
            raise graph.refused(conv, "the patch convolution, straight from the picture")
        patch = list(weight.shape[2:])
        plain = not any(_attribute(conv, "pads", [0])) and _attribute(conv, "group", 1) == 1
        size = graph.shape[2]
        if patch[0] != patch[-1] or _attribute(conv, "strides", [1, 1]) != patch or not plain or size % patch[0]:
            raise graph.refused(conv, f"square patches that tile {size} pixels")
        width, grid = weight.shape[0], size // patch[0]
        self.width, self.patches = width, grid * grid
        bias = graph.constants[conv.input[2]] if len(conv.input) > 2 else np.zeros(width, np.float32)
        self.arrays |= {"stem.0.conv.weight": weight, "stem.0.conv.bias": bias}
        x = self.norms[0].input[0]
        embed = graph.run(x, **{conv.output[0]: (1, width, grid, grid)})
        table = embed(np.zeros((1, width, grid, grid)))
        picture = self._random(1, width, grid, grid)
        prefix = table.shape[1] - self.patches if table.ndim == 3 else -1
        shown = np.concatenate([np.zeros((1, max(prefix, 0), width)), picture.reshape(1, width, -1).swapaxes(1, 2)], 1)
        if prefix < 0 or not same(embed(picture) - table, shown):
            raise graph.refused(graph.producer[x], "prefix tokens, then the patches in raster order, plus positions")
        self.prefix = prefix
        self.arrays["cls_token"] = table[:, :prefix]
        self.arrays["pos_embed"] = np.concatenate([np.zeros((1, prefix, width), np.float32), table[:, prefix:]], 1)
        return x, table.shape[1]

    def _norm(self, position: int, x: str, name: str) -> str:
        node = self.norms[position]
        arrays = [self.graph.constants.get(value) for value in node.input[1:3]]
        if node.input[0] != x or any(a is None or a.shape != (self.width,) for a in arrays):
            raise self.graph.refused(node, f"the norm of {x}, with a weight and a bias of {self.width}")
        self.arrays |= {f"{name}.weight": arrays[0], f"{name}.bias": arrays[1]}
        return node.output[0]

    def _residual(self, x: str, rows: int) -> tuple[str, str, int]:
        """The sum of x, or of its first rows, with a branch: the sum, the branch, and how many rows are left."""
        for node in self.graph.readers.get(x, ()):
            if node.op_type == "Add":
                return node.output[0], next(i for i in node.input if i != x), rows
            for add in self.graph.readers.get(node.output[0], ()) if node.op_type == "Slice" else ():
                if add.op_type == "Add":
                    value = self._random(1, rows, self.width)
                    first = self.graph.run(node.output[0], **{x: value.shape})(value)
                    if first.size and np.array_equal(first, value[:, : first.shape[1]]):
                        return add.output[0], next(i for i in add.input if i != node.output[0]), first.shape[1]
        raise self.graph.refused(next(iter(self.graph.readers.get(x, ())), None), f"a residual sum of {x}")

    def _layer_before(self, value: str, name: str) -> str:
        """Weight, bias and layer scale of the linear layer that ends in `value`; what it reads."""
        graph, gamma, bias = self.graph, np.ones(self.width, np.float32), np.zeros(self.width, np.float32)
        node = graph.producer.get(value)
        for kind in ("Mul", "Add"):
            vector = next((i for i in node.input if i in graph.constants), None) if node is not None else None
            if node is not None and node.op_type == kind and vector and graph.constants[vector].size == self.width:
                values = graph.constants[vector].ravel()
                gamma, bias = (values, bias) if kind == "Mul" else (gamma, values)
                node = graph.producer.get(next(i for i in node.input if i != vector))
        weight = graph.constants.get(node.input[1]) if node is not None and node.op_type == "MatMul" else None
        if weight is None or weight.ndim != 2 or weight.shape[1] != self.width:
            raise graph.refused(node, f"a linear layer that ends in {value}")
        self.arrays |= {f"{name}.weight": gamma[:, None] * weight.T, f"{name}.bias": gamma * bias}
        return node.input[0]

    def _layers_after(self, value: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Output, weight and bias of the linear layers that read `value`."""
        graph, layers = self.graph, []
        for node in graph.readers.get(value, ()):
            weight = graph.constants.get(node.input[1]) if node.op_type == "MatMul" else None
            if weight is None or weight.ndim != 2:
                raise graph.refused(node, f"a linear layer of {value}")
            out, bias = node.output[0], np.zeros(weight.shape[1], np.float32)
            readers = graph.readers.get(out, ())
            vector = next((i for i in readers[0].input if i in graph.constants), "") if len(readers) == 1 else ""
            if vector and readers[0].op_type == "Add" and graph.constants[vector].shape == bias.shape:
                out, bias = readers[0].output[0], graph.constants[vector]
            layers.append((out, weight.T, bias))
        return layers

    def _block(self, number: int, x: str, rows: int) -> tuple[str, int]:
        name = f"blocks.{number}"
        normed = self._norm(2 * number, x, f"{name}.norm1")
        x, branch, left = self._residual(x, rows)
        y = self._layer_before(branch, f"{name}.proj")
        self._attention(name, normed, y, rows, left)
        normed = self._norm(2 * number + 1, x, f"{name}.norm2")
        out, branch, _ = self._residual(x, left)
        hidden = self._layer_before(branch, f"{name}.fc2")
        layers = self._layers_after(normed)
        if len(layers) != 1:
            raise self.graph.refused(self.norms[2 * number + 1], f"one linear layer of {normed}, found {len(layers)}")
        value, weight, bias = layers[0]
        self.arrays |= {f"{name}.fc1.weight": weight, f"{name}.fc1.bias": bias}
        shape = (1, left, len(bias))
        if not is_gelu(self.graph.run(hidden, **{value: shape}), shape):
            raise self.graph.refused(self.graph.producer[hidden], "GELU with the error function")
        return out, left

    def _attention(self, name: str, normed: str, y: str, rows: int, left: int) -> None:
        """The packed projection of the block and the number of heads."""
        node = self.graph.readers[normed][0]
        if node.op_type == "Attention" and node.domain == "com.microsoft":
            self._packed(name, node, y)
            return
        layers = self._layers_after(normed)
        widths = [len(bias) for _, _, bias in layers]
        if widths not in ([3 * self.width], [self.width] * 3):
            raise self.graph.refused(node, f"a projection to {3 * self.width} or three to {self.width}, found {widths}")
        core = self.graph.run(y, **{value: (1, rows, size) for (value, _, _), size in zip(layers, widths)})
        form = attention_of(core, len(layers), rows, self.width, self.heads)
        if form is None or form[2] != left:
            wanted = f"{self.heads} heads" if self.heads else "any number of heads"
            raise self.graph.refused(
                self.graph.producer[y], f"softmax attention of {wanted}, scaled by 1/sqrt(width/heads)"
            )
        self.heads, order, _ = form
        self.arrays[f"{name}.qkv.weight"] = np.concatenate([layers[i][1] for i in order])
        self.arrays[f"{name}.qkv.bias"] = np.concatenate([layers[i][2] for i in order])

    def _packed(self, name: str, node: onnx.NodeProto, y: str) -> None:
        """com.microsoft.Attention holds its projection."""
        arrays = [self.graph.constants.get(value) for value in node.input[1:3]]
        heads = _attribute(node, "num_heads", 0)
        known = {attribute.name for attribute in node.attribute} <= {"num_heads", "mask_filter_value", "unidirectional"}
        plain = known and not any(node.input[3:]) and not _attribute(node, "unidirectional", 0) and node.output[0] == y
        fits = all(a is not None and a.shape[-1] == 3 * self.width for a in arrays) and self.heads in (0, heads)
        if not plain or not fits or not heads or self.width % heads:
            raise self.graph.refused(node, "plain attention of all tokens, with a constant projection")
        self.heads = heads
        self.arrays |= {f"{name}.qkv.weight": arrays[0].T, f"{name}.qkv.bias": arrays[1]}

    def _head(self, x: str, rows: int) -> tuple[str, bool]:
        """Pooling and the head's matrix: what each of the rows that it reads adds to the logits."""
        graph, norm = self.graph, self.norms[-1]
        pooled, fc_norm = norm.input[0], False
        shape: tuple[int, ...] = (1, rows, self.width)
        if pooled != x:
            value = self._random(*shape)
            found = graph.run(pooled, **{x: shape})(value)
            fc_norm = rows > self.prefix and same(found, value[:, self.prefix :].mean(1))
            if not fc_norm and not same(found, value[:, 0]):
                raise graph.refused(norm, "the norm of all tokens, of the first, or of the mean of the patches")
            shape = (1, self.width)
        normed = self._norm(len(self.norms) - 1, pooled, "norm")
        head = linear_head(graph.run(graph.output, **{normed: shape}), shape, self.prefix)
        if head is None:
            raise graph.refused(graph.producer[graph.output], "a linear head of one token, of two, or of the mean")
        pooling, self.arrays["head.weight"], self.arrays["head.bias"] = head
        return "mean" if fc_norm else pooling, fc_norm
