"""Whole models with our operators against the same models in stock ones; writes target/bench/models.json."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from coppice_export.check import sample_images, session
from coppice_export.config import MINI, VIT_TINY, Attention, Preprocessing, ViTConfig
from coppice_export.cost import incoming_counts
from coppice_export.model import Flavour, build_model
from coppice_export.quantize import int8_dynamic
from coppice_export.weights import expected_shapes, load_state
from report import ROOT, Contest, run
from rivals import quantised, stock_graph

NOTES = {
    "stock": "the same function, same tokens kept, in stock operators: com.microsoft.Attention and MultiHeadAttention, "
    "TopK and Gather, linear attention by MatMul",
    "stock, fused": "that graph after onnxruntime.transformers.optimizer, model_type vit",
    "stock int8": "the stock graph after ONNX Runtime's dynamic quantisation, convolutions in float32; ours is that of "
    "coppice-export",
    "stock, fused, all tokens": "that graph with softmax attention, without token reduction: what a user has today",
}
State = dict[str, np.ndarray]
# The layer that coppice-export quantize leaves in float32: its input reaches 209, and one scale has to hold it.
OUTLIER = "blocks.7.fc2"


def random_state(config: ViTConfig) -> State:
    rng = np.random.default_rng(0)
    state = {name: rng.normal(scale=0.02, size=s).astype(np.float32) for name, s in expected_shapes(config).items()}
    ones = {name: np.ones_like(array) for name, array in state.items() if "norm" in name and name.endswith(".weight")}
    return state | ones


def _vit_tiny() -> tuple[State, str]:
    path = Path(os.environ.get("COPPICE_DATA", ROOT.parent / "shared" / "data")) / "vit_tiny_in1k.npz"
    if path.is_file():
        return load_state(path, VIT_TINY), "trained weights"
    return random_state(VIT_TINY), f"random weights, as COPPICE_DATA has no {path.name}"


def _require_same_logits(graphs: dict[str, bytes], feeds: State) -> None:
    """A rival that computes something else would be no rival."""
    logits = {name: session(graph).run(["logits"], feeds)[0] for name, graph in graphs.items()}
    first, *others = logits
    for other in others:
        np.testing.assert_allclose(logits[other], logits[first], rtol=0, atol=1e-3, err_msg=f"{other} against {first}")


def _contests(config: ViTConfig, state: State, ours: bytes, keeps: dict[str, tuple[int, ...]]) -> list[Contest]:
    image = {"image": sample_images(config, 1)[0]}
    dense = replace(config, reductions=())
    softmax = replace(dense, attention=(Attention(),) * config.depth)
    stock, fused = stock_graph(config, state), stock_graph(config, state, fused=True)
    today = stock_graph(softmax, state, fused=True), image
    size = config.preprocessing.crop
    found = []
    for name, keep in keeps.items():
        feeds = image | {"keep": np.array(keep, np.int64)}
        _require_same_logits({f"{config.name} {name}": ours, "stock": stock, "stock, fused": fused}, feeds)
        rivals = {"stock": (stock, feeds), "stock, fused": (fused, feeds), "stock, fused, all tokens": today}
        shape = f"{size}x{size} tokens {' '.join(map(str, keep))}"
        found.append(Contest(f"{config.name} {name}", shape, (ours, feeds), rivals))
    plain = build_model(dense, state, Flavour.SEPARATE).SerializeToString(), image
    rivals = {"stock": (stock_graph(dense, state), image), "stock, fused, all tokens": today}
    return [*found, Contest(f"{config.name} without reduction", f"{size}x{size}", plain, rivals)]


def _quantised(config: ViTConfig, state: State, name: str, keep: tuple[int, ...]) -> Contest:
    image = {"image": sample_images(config, 1)[0]}
    feeds = image | {"keep": np.array(keep, np.int64)}
    dense = stock_graph(replace(config, reductions=()), state)
    rivals = {"stock int8": (quantised(stock_graph(config, state)), feeds)}
    rivals |= {"stock int8, all tokens": (quantised(dense), image), "stock, all tokens": (dense, image)}
    ours = (
        int8_dynamic(
            build_model(config, state, Flavour.SEPARATE), [OUTLIER], preprocessing=config.preprocessing
        ).SerializeToString(),
        feeds,
    )
    return Contest(f"{config.name} int8 {name}", f"224x224 tokens {' '.join(map(str, keep))}", ours, rivals)


def _high_resolution() -> Contest:
    """Linear attention in every block at 512 pixels, where softmax attention is nearly half of the multiply-adds."""
    softmax = replace(
        VIT_TINY, name="vit-tiny 512 px", preprocessing=Preprocessing(short_side=512, crop=512), reductions=()
    )
    linear = replace(softmax, attention=(Attention("linear", "relu"),) * softmax.depth)
    state = random_state(softmax)
    image = {"image": sample_images(softmax, 1)[0]}
    rivals = {"stock, fused, softmax": (stock_graph(softmax, state, fused=True), image)}
    rivals["stock, softmax"] = stock_graph(softmax, state), image
    rivals["stock, fused, linear"] = stock_graph(linear, state, fused=True), image
    ours = build_model(linear, state, Flavour.SEPARATE).SerializeToString(), image
    return Contest("vit-tiny 512 px, linear attention", f"512x512 tokens {softmax.tokens}", ours, rivals)


def main() -> None:
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)  # it expects graphs from PyTorch
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser asks for a pass that knows no custom operators
    state, origin = _vit_tiny()
    keeps = {f"keep {ratio}": incoming_counts(VIT_TINY, ratio) for ratio in (1.0, 0.7, 0.5)}
    contests = _contests(VIT_TINY, state, build_model(VIT_TINY, state, Flavour.SEPARATE).SerializeToString(), keeps)
    contests.append(_quantised(VIT_TINY, state, "keep 0.7", keeps["keep 0.7"]))
    contests.append(_quantised(VIT_TINY, state, "half the multiply-adds", (89, 41, 19)))
    bundle = ROOT / "export" / "bundles" / MINI.name
    state = load_state(ROOT / "export" / "recipes" / MINI.name / "weights.npz", MINI)
    ladder = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["ladder"]
    rungs = {rung["name"]: tuple(rung["keep"]) for rung in ladder}
    contests += _contests(MINI, state, (bundle / "model.onnx").read_bytes(), rungs)
    contests.append(_high_resolution())
    notes = NOTES | {"vit-tiny": origin, "vit-tiny 512 px": "random weights", MINI.name: "the shipped bundle"}
    run("models", contests, notes, ROOT / "target" / "bench" / "models.json")


if __name__ == "__main__":
    main()
