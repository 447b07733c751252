"""Every rung of a bundle against its dense softmax model in stock operators; writes target/bench/bundles.json.

    bundles.py WEIGHTS PRESET BUNDLE [BUNDLE ...]

WEIGHTS and PRESET say the dense model, as `coppice-export convert` reads them; its pictures are those of the bundle.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from coppice_export.bundle_files import Bundle, read_bundle
from coppice_export.check import sample_images, session
from coppice_export.config import PRESETS, Attention, ViTConfig
from coppice_export.sources import Source, open_source
from interleave import race, ratio
from report import ROOT, THREADS, Contest, run
from rivals import quantised, stock_graph

NOTES = {
    "dense": "all tokens, softmax attention, the same weights, in stock operators: packed com.microsoft.Attention",
    "dense int8": "that graph after ONNX Runtime's dynamic quantisation",
}


def _contests(source: Source, bundle: Bundle) -> Iterator[Contest]:
    config = replace(source.config, reductions=(), attention=(Attention(),) * source.config.depth)
    dense, image = stock_graph(config, source.state), sample_images(config, 1)[0]
    rivals = {"dense": (dense, {"image": image}), "dense int8": (quantised(dense), {"image": image})}
    graph = bundle.model.read_bytes()
    for rung, keep in bundle.rungs.items():
        shape = f"{config.preprocessing.crop}x{config.preprocessing.crop} tokens {' '.join(map(str, keep))}"
        yield Contest(f"{bundle.name} {bundle.precision} {rung}", shape, (graph, bundle.feeds(image[0], keep)), rivals)


def _switching(config: ViTConfig, bundle: Bundle, threads: int) -> float:
    """How many times longer two runs take if they change the rung: first, last, first, last against staying."""
    runner, image = session(bundle.model, threads), sample_images(config, 1)[0]
    first, *_, last = (bundle.feeds(image[0], keep) for keep in bundle.rungs.values())
    order = {"change": (first, last) * 4, "stay": (first,) * 4 + (last,) * 4}

    def runs(feeds: tuple[dict[str, np.ndarray], ...]) -> None:
        for feed in feeds:
            runner.run(["logits"], feed)

    times = race({name: lambda feeds=feeds: runs(feeds) for name, feeds in order.items()}, rounds=15)
    return ratio(times["stay"], times["change"])


def main(weights: Path, preset: str, folders: list[Path]) -> None:
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser asks for a pass that knows no custom operators
    bundles = [read_bundle(folder) for folder in folders]
    sources = [open_source(weights, PRESETS[preset], size=bundle.preprocessing.crop) for bundle in bundles]
    contests = [contest for pair in zip(sources, bundles) for contest in _contests(*pair)]
    run("bundles", contests, NOTES, ROOT / "target" / "bench" / "bundles.json")
    for source, bundle in zip(sources, bundles):
        for threads in THREADS if len(bundle.rungs) > 1 else ():
            found = _switching(source.config, bundle, threads)
            print(f"{bundle.name}, threads {threads}: with a change of rung before each run {found:.3f} of the time")


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[2] not in PRESETS:
        sys.exit(f"usage: bundles.py WEIGHTS {'|'.join(PRESETS)} BUNDLE [BUNDLE ...]")
    main(Path(sys.argv[1]), sys.argv[2], [Path(folder) for folder in sys.argv[3:]])
