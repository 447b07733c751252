"""Pictures of what a model keeps at which cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from .schedule import Schedule

__all__ = ["Point", "draw_schedule", "draw_tradeoff"]

# Cost, what is kept of the model, and its standard error.
Point = tuple[float, float, float]


def draw_tradeoff(series: Mapping[str, Sequence[Point]], cost: str, kept: str, path: Path) -> None:
    """One line a series, as PNG and SVG beside `path`; the same points, the same bytes. cost, kept: the axes' names."""
    with rc_context({"svg.hashsalt": kept}):  # names inside the file, random otherwise
        figure = Figure(figsize=(6, 3.8), layout="constrained")
        axes = figure.add_subplot(xlabel=cost, ylabel=kept)
        for (name, points), marker in zip(series.items(), "osv^D" * len(series)):
            costs, values, errors = zip(*sorted(points))
            axes.errorbar(costs, values, errors, marker=marker, capsize=3, label=name)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
        figure.savefig(path.with_suffix(".png"), dpi=110, metadata={"Software": None})


def draw_schedule(schedule: Schedule, path: Path) -> None:
    """Agreement with the dense model against cost."""
    name = f"{schedule.model}, tokens reduced in blocks {', '.join(str(r.block) for r in schedule.reductions)}"
    points = [(100 * rung.cost, rung.agreement, rung.agreement_error) for rung in schedule.rungs]
    cost = f"cost in percent of the dense model ({schedule.unit})"
    draw_tradeoff({name: points}, cost, "same answer as dense in percent", path)
