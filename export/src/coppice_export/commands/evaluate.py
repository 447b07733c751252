"""`coppice-export evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ..bundle_files import Bundle, read_bundle
from ..check import session
from ..evaluate import Answers, RungScore, ask, report, score
from ..photographs import Photograph, class_numbers, find_photographs, spread

__all__ = ["evaluate", "score_table"]

console = Console(stderr=True)


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    photographs: Annotated[
        Path, typer.Option(help="Tar or folder of photographs in folders named after label, number or synset.")
    ],
    reference: Annotated[
        Path | None,
        typer.Option(help="Bundle to agree with, rung by rung; left out: the bundle's own first rung."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON to write; `convert --accuracy` reads it.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Take so many photographs, equally spread.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one run.")] = 1,
) -> None:
    """Measure top-1, agreement and latency of every rung through ONNX Runtime."""
    judged, other = read_bundle(bundle), read_bundle(reference) if reference else None
    found = find_photographs(photographs)
    found = spread(found, limit) if limit else found
    truth = class_numbers(found, judged.labels)
    if other:
        class_numbers(found, other.labels)
    answers = _ask(judged, found, threads)
    expected = _ask(other, found, threads) if other else answers
    first = next(iter(expected))
    scores = {
        name: score(a, expected.get(name, expected[first]) if other else expected[first], truth)
        for name, a in answers.items()
    }
    console.print(score_table(judged, f"{judged.name}, {judged.precision}", (other or judged).name, scores))
    data = f"{photographs.stem} ({len(found)} photographs)"
    if out:
        content = report(judged, other or judged, scores, data, len(found), threads)
        out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        console.print(f"wrote {out}")


def _ask(bundle: Bundle, photographs: list[Photograph], threads: int) -> dict[str, Answers]:
    return ask(session(bundle.model, threads), bundle, track(photographs, description=bundle.name, console=console))


def score_table(bundle: Bundle, title: str, reference: str, scores: dict[str, RungScore]) -> Table:
    table = Table(
        *("rung", "tokens kept", "multiply-adds", "top-1", f"less {reference}", "same answer", "median run"),
        title=title,
    )
    macs = {rung["name"]: f"{rung['macs'] / 1e6:.0f} M" for rung in bundle.manifest["ladder"]}
    for name, s in scores.items():
        table.add_row(
            name,
            " ".join(map(str, bundle.rungs[name])),
            macs.get(name, ""),
            f"{s.top1:.2f} ± {s.top1_error:.2f} %",
            f"{s.difference:+.2f} ± {s.difference_error:.2f}",
            f"{s.agreement:.2f} %",
            f"{s.median_ms:.2f} ms",
        )
    return table
