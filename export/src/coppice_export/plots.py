"""The two pictures a training leaves: accuracy by epoch, and accuracy against latency."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["draw_epochs", "draw_tradeoff"]


def draw_epochs(rows: list[dict], picture: Path) -> None:
    """Top-1 by epoch, with all tokens and with half of them."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="top-1 in percent")
    epochs = [row["epoch"] for row in rows]
    axes.plot(epochs, [row["top1_full"] for row in rows], label="all tokens")
    axes.plot(epochs, [row["top1_half"] for row in rows], label="half of the tokens at both stages", linestyle="--")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=110, metadata={"Software": None})


def draw_tradeoff(
    times: dict[str, float], series: dict[str, dict[str, float]], metric: str, threads: int, out: Path
) -> None:
    """`tradeoff.png` and `tradeoff.svg` in `out`; the same numbers give the same bytes.

    times: median milliseconds by rung. series: percent by rung; one of a single rung is drawn as a star.
    """
    with rc_context({"svg.hashsalt": "coppice", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6, 3.8), layout="constrained")
        latency = f"milliseconds a picture, {threads} thread{'s' if threads > 1 else ''}, this machine"
        axes = figure.add_subplot(xlabel=latency, ylabel=f"{metric} in percent")
        for (name, percents), marker in zip(series.items(), "osD^v"):
            x, y = [times[rung] for rung in percents], list(percents.values())
            if len(percents) == 1:
                axes.plot(x, y, linestyle="", marker="*", markersize=12, label=name)
                continue
            axes.plot(x, y, marker=marker, markersize=5, label=name)
            for rung, place in zip(percents, zip(x, y)):
                axes.annotate(rung, place, textcoords="offset points", xytext=(4, -10), fontsize=8)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(out / "tradeoff.png", dpi=110, metadata={"Software": None})
        figure.savefig(out / "tradeoff.svg", metadata={"Date": None, "Creator": None})
