"""Pictures of what a model keeps at which cost."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from .schedule import Schedule

__all__ = ["draw_schedule"]


def draw_schedule(schedule: Schedule, path: Path) -> None:
    """Agreement with the dense model against cost, as PNG and SVG beside `path`; the same schedule, the same bytes."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot(
        xlabel=f"cost in percent of the dense model ({schedule.unit})", ylabel="same answer as dense in percent"
    )
    costs, agreements = [100 * r.cost for r in schedule.rungs], [r.agreement for r in schedule.rungs]
    axes.errorbar(costs, agreements, [r.agreement_error for r in schedule.rungs], marker="o", capsize=3)
    for rung, cost in zip(schedule.rungs, costs):
        axes.annotate(
            " ".join(map(str, rung.keep)), (cost, rung.agreement), (4, -12), textcoords="offset points", size=7
        )
    axes.grid(alpha=0.3)
    with rc_context({"svg.hashsalt": schedule.model}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
    figure.savefig(path.with_suffix(".png"), dpi=110, metadata={"Software": None})
