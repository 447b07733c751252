"""`coppice-export quantize`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ..bundle_files import Bundle, BundleError, read_bundle
from ..check import session
from ..checkpoint import SourceError
from ..evaluate import ask, score
from ..float16 import float16_computed, float16_stored
from ..parity import check_blocks
from ..patches import EMBEDDING
from ..photographs import Photograph, class_numbers, find_photographs, spread
from ..preprocess import preprocess
from ..quantize import activation_ranges, block_limits, int8_dynamic, int8_static, matrix_layers, quantised_layers
from ..repack import block_attentions, block_layers
from ..sensitivity import LayerError, layer_errors, logits, relative_error, worst_layers
from ..separate import separated
from ..variant import Variant, require_place, write_variant
from .evaluate import score_table

__all__ = ["Precision", "quantize"]

console = Console(stderr=True)

LEAST_PHOTOGRAPHS = 16  # of which each rung of five sees three
LARGEST_ERROR = 0.5  # of the logits' standard deviation: beyond, the answers are another model's


class Precision(StrEnum):
    INT8_DYNAMIC = "int8-dynamic"
    INT8_STATIC = "int8-static"
    FLOAT16 = "float16"
    FLOAT16_COMPUTE = "float16-compute"


def quantize(
    bundle: Annotated[Path, typer.Argument(help="A bundle of precision float32.")],
    out: Annotated[Path, typer.Option(help="The new bundle's folder.")],
    precision: Annotated[Precision, typer.Option(help="Of the new bundle.")] = Precision.INT8_DYNAMIC,
    photographs: Annotated[
        Path | None,
        typer.Option(help="Tar or folder of photographs to calibrate and compare on; not those of --validation."),
    ] = None,
    count: Annotated[int, typer.Option(help="Take so many of them, equally spread.")] = 64,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(help="A layer or attention that stays in float32, as in blocks.7.fc2. Repeat for more."),
    ] = None,
    worst: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Keep so many layers of the largest error in float32, or by token where they would have one range; "
            "left out: those with over a tenth of it.",
        ),
    ] = None,
    int8_attention: Annotated[
        bool,
        typer.Option("--int8-attention/--float-attention", help="Softmax attention inside blocks in int8 too."),
    ] = True,
    sensitivity: Annotated[bool, typer.Option(help="Print what int8 costs in every layer.")] = False,
    reduce_range: Annotated[
        bool, typer.Option(help="7-bit weights, for x86-64 without VNNI, where sums of 8-bit products saturate.")
    ] = False,
    validation: Annotated[
        Path | None, typer.Option(help="Tar or folder of photographs of known class: top-1 for the ladder.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The new bundle's name; NAME-PRECISION if left out.")] = None,
    version: Annotated[str | None, typer.Option(help="Its SemVer; that of the old one if left out.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing bundle.")] = False,
) -> None:
    """Make a bundle of int8 or float16 from one of float32."""
    source = read_bundle(bundle)
    if source.precision != "float32":
        raise BundleError(f"{bundle}: expected precision float32, found {source.precision}; give the original bundle.")
    old = source.manifest
    variant = Variant(precision, name or f"{old['name']}-{precision}", version or old["version"])
    require_place(out, variant, overwrite)
    known = find_photographs(validation) if validation else []
    truth = class_numbers(known, source.labels) if known else np.zeros(0)
    model, feeds = onnx.load(source.model), _feeds(source, photographs, count)
    if block_layers(model) and precision is Precision.FLOAT16_COMPUTE:
        console.print(f"note: blocks compute in float32, so for {precision} they are taken apart")
        model = separated(model)
    if precision in (Precision.FLOAT16, Precision.FLOAT16_COMPUTE):
        made = (float16_stored if precision is Precision.FLOAT16 else float16_computed)(model)
    else:
        made = _int8(
            source, model, feeds, precision, keep_float or [], worst, int8_attention, sensitivity, reduce_range
        )
    keep = source.manifest["keep"]
    check_blocks(made, keep["prefix"] + keep["patches"])
    _compare(source, model, made, feeds)
    if validation:
        top1 = _top1(source, made, known, truth, precision)
        variant = replace(variant, top1=top1, accuracy_data=f"{validation.stem} ({len(known)} photographs)")
    write_variant(out, source, made, variant, overwrite)
    before, after = source.model.stat().st_size / 1e6, (out / old["model"]).stat().st_size / 1e6
    console.print(f"{old['model']}: {before:.2f} MB before, {after:.2f} MB now; wrote {out}")


def _feeds(source: Bundle, photographs: Path | None, count: int) -> list[dict[str, np.ndarray]]:
    """Photographs in random order and rungs in turn, so that any part of them speaks for all classes and rungs."""
    if photographs is None:
        raise SourceError("Photographs to compare on are needed, and int8 calibrates on them: give --photographs.")
    chosen = spread(find_photographs(photographs), count)
    chosen = [chosen[i] for i in np.random.default_rng(0).permutation(len(chosen))]
    images = [preprocess(photograph.pixels(), source.preprocessing) for photograph in chosen]
    if (different := len({image.tobytes() for image in images})) < LEAST_PHOTOGRAPHS:
        raise SourceError(
            f"{photographs}: expected at least {LEAST_PHOTOGRAPHS} different photographs, found {different}; "
            "ranges and errors of so few hold for no others, so give more."
        )
    rungs = list(source.rungs.values())
    return [source.feeds(image, rungs[i % len(rungs)]) for i, image in enumerate(images)]


def _int8(
    source: Bundle,
    model: onnx.ModelProto,
    feeds: list[dict[str, np.ndarray]],
    precision: Precision,
    named: list[str],
    worst: int | None,
    int8_attention: bool,
    show: bool,
    reduce_range: bool,
) -> onnx.ModelProto:
    static, fused = precision is Precision.INT8_STATIC, bool(block_layers(model))
    fixed = set() if int8_attention else set(block_attentions(model))
    layers = quantised_layers(model) if fused or not static else list(matrix_layers(model))
    layers = [name for name in layers if name not in fixed]
    if strangers := sorted(set(named) - set(layers)):
        raise SourceError(f"{source.folder}: no layer {', '.join(strangers)}; it has {', '.join(layers)}.")
    limits = block_limits(model, feeds) if static and fused else {}
    ranges = activation_ranges(model, feeds) if static and not fused else {}

    def quantise(original: onnx.ModelProto, keep_float: Collection[str]) -> onnx.ModelProto:
        if ranges:
            return int8_static(original, ranges, keep_float, reduce_range)
        return int8_dynamic(original, {*keep_float, *fixed}, reduce_range, source.preprocessing, limits)

    kept, by_token, choose = list(named), [], bool(worst) or (worst is None and not named)
    if choose or show:
        output = source.manifest["outputs"]["logits"]["name"]
        found = layer_errors(model, quantise, layers, feeds[:LEAST_PHOTOGRAPHS], output)
        errors = list(track(found, "layers", total=len(layers), console=console, transient=True))
        spoilt = [layer for layer in worst_layers(errors, worst) if choose and layer not in kept]
        # What one range for all tokens spoils need not be float32.
        by_token = [layer for layer in spoilt if limits.pop(layer, None)]
        kept += [layer for layer in spoilt if layer not in by_token]
        if show:
            console.print(_error_table(errors, kept, by_token))
    stem = [] if EMBEDDING in layers else ["the stem"]
    console.print(f"in float32: {', '.join(stem + kept) or 'nothing'}")
    if by_token:
        console.print(f"by token: {', '.join(by_token)}")
    return quantise(model, kept)


def _error_table(errors: list[LayerError], kept: list[str], by_token: list[str]) -> Table:
    total = sum(error.alone**2 for error in errors)
    table = Table("layer", "alone in int8", "share", "all others in int8", "", title="relative error of the logits")
    for e in sorted(errors, key=lambda error: -error.alone):
        note = "stays float32" if e.layer in kept else "by token" if e.layer in by_token else ""
        table.add_row(e.layer, f"{e.alone:.4f}", f"{100 * e.alone**2 / total:.1f} %", f"{e.without:.4f}", note)
    return table


def _compare(source: Bundle, model: onnx.ModelProto, made: onnx.ModelProto, feeds: list[dict]) -> None:
    """Print error and agreement by rung. Raises BundleError where nothing of the model is left."""
    output, rungs = source.manifest["outputs"]["logits"]["name"], source.rungs
    expected, found = logits(model, feeds, output), logits(made, feeds, output)
    table = Table("rung", "relative error", "same answer", title=f"against float32 on {len(feeds)} photographs")
    for number, name in enumerate(rungs):
        mine, theirs = found[number :: len(rungs)], expected[number :: len(rungs)]
        same = np.mean(mine.argmax(1) == theirs.argmax(1))
        table.add_row(name, f"{relative_error(mine, theirs):.4f}", f"{100 * same:.1f} %")
    console.print(table)
    if not relative_error(found, expected) <= LARGEST_ERROR:
        raise BundleError(
            f"{source.folder}: logits differ from float32 by {relative_error(found, expected):.2f} of their standard "
            f"deviation, at most {LARGEST_ERROR} is accepted; keep more layers in float32 (--worst)."
        )


def _top1(
    source: Bundle, made: onnx.ModelProto, photographs: list[Photograph], truth: np.ndarray, precision: Precision
) -> dict[str, float]:
    """Top-1 by rung; prints it beside float32's on the same photographs."""
    shown = track(photographs, "float32", console=console)
    before = ask(session(source.model), source, shown)
    after = ask(session(made.SerializeToString()), source, track(photographs, precision, console=console))
    scores = {rung: score(after[rung], before[rung], truth) for rung in after}
    console.print(score_table(source, f"{source.name} in {precision}", "float32", scores))
    return {rung: round(s.top1, 4) for rung, s in scores.items()}
