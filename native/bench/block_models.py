"""Whole models in blocks, float32 and int8, against ONNX Runtime and OpenVINO; writes target/bench/block_models.json.

Random weights: time does not depend on them. OpenVINO is measured where it is installed:
`pip install -r native/bench/requirements.txt`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import onnx

from coppice_export.check import sample_images
from coppice_export.config import VIT_TINY, Conv, Reduction, ViTConfig
from coppice_export.cost import incoming_counts, model_macs
from coppice_export.model import Flavour, build_model
from coppice_export.quantize import int8_dynamic
from models import random_state
from openvino_rival import int8
from report import ROOT, Contest, run
from rivals import quantised, stock_graph

DEIT_TI = replace(VIT_TINY, name="DeiT-Ti", reductions=())
DEIT_S = replace(DEIT_TI, name="DeiT-S", width=384, heads=6, hidden=1536, stem=(Conv(384, 16, 16),))
KEEP = 0.7
NOTES = {
    "stock": "the dense model in ONNX Runtime's operators, packed com.microsoft.Attention",
    "stock int8": "that graph after ONNX Runtime's dynamic quantisation, convolutions in float32",
    "separate": "our attention, ONNX Runtime's products: what coppice-export writes without blocks",
    "blocks, all tokens": "ours without reduction, of the same precision",
    "OpenVINO int8": "PyTorch's export with QuantizeLinear around products, at most AVX-512 with VNNI",
}


def _contests(dense: ViTConfig) -> Iterator[Contest]:
    state, image = random_state(dense), {"image": sample_images(dense, 1)[0]}
    stock = stock_graph(dense, state)
    rivals = {"stock": (stock, image), "stock int8": (quantised(stock), image)}
    separate = build_model(dense, state, Flavour.SEPARATE).SerializeToString(), image
    blocks = build_model(dense, state, Flavour.BLOCKS)
    pruned = replace(dense, reductions=Reduction.at(3, 6, 9))
    keep = incoming_counts(pruned, KEEP)
    feeds = image | {"keep": np.array(keep, np.int64)}
    fewer = build_model(pruned, state, Flavour.BLOCKS)
    share = model_macs(dense) / model_macs(pruned, keep)
    shape = f"keep {KEEP}, multiply-adds 1/{share:.3f}"
    peer = int8(dense, state)
    for precision, made in (
        ("float32", lambda model: model),
        ("int8", partial(int8_dynamic, preprocessing=dense.preprocessing)),
    ):
        ours = _graph(made(blocks), image)
        peers = rivals | ({"OpenVINO int8": peer} if peer and precision == "int8" else {"separate": separate})
        yield Contest(f"{dense.name} {precision}", "all tokens", ours, peers)
        yield Contest(
            f"{dense.name} {precision}", shape, _graph(made(fewer), feeds), rivals | {"blocks, all tokens": ours}
        )


def _graph(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> tuple[bytes, dict[str, np.ndarray]]:
    return model.SerializeToString(), feeds


def main() -> None:
    logging.getLogger().setLevel(logging.ERROR)  # the quantisers ask for passes that know no custom operators
    contests = [contest for config in (DEIT_TI, DEIT_S) for contest in _contests(config)]
    run("models in blocks", contests, NOTES, ROOT / "target" / "bench" / "block_models.json")


if __name__ == "__main__":
    main()
