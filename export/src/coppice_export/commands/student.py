"""What `fine-tune` teaches: the dense model with fewer tokens or with attention of another form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import typer

from ..bundle import Rung
from ..config import Attention, Reduction, ViTConfig
from ..methods import presets
from ..schedule import load_schedule
from .options import named_rung, numbers, settings

__all__ = ["Plan", "changes_more_than_counts"]


@dataclass(frozen=True)
class Plan:
    """The options, as they were given. Raises BadParameter for those that do not go together."""

    reduce_at: str
    rung: list[str] | None
    schedule: Path | None
    method: str
    setting: list[str] | None
    merge_share: float
    rank: str
    linear: str | None

    def __post_init__(self) -> None:
        if self.schedule and (self.reduce_at or self.rung):
            raise typer.BadParameter("--schedule replaces --reduce-at and --rung")
        if self.setting and not self._published:
            raise typer.BadParameter("--set belongs to a published --method")
        if self._published and (self.schedule or self.reduce_at or self.linear):
            raise typer.BadParameter(f"--method {self.method} replaces --schedule, --reduce-at and --linear")
        if self.method == "dynamic-vit":
            raise typer.BadParameter("dynamic-vit: predictors are not learned here, as choosing has no gradient")

    @property
    def _published(self) -> bool:
        return self.method in presets.PRESETS

    def applied(self, dense: ViTConfig) -> tuple[ViTConfig, tuple[Rung, ...]]:
        """The student's configuration and its ladder, which is empty where it has no budgets."""
        rungs = tuple(named_rung(text) for text in self.rung or ())
        if self._published:
            config = presets.with_method(dense, self.method, settings(self.setting))
            ladder = presets.PRESETS[self.method].rungs(config)
            return config, rungs or tuple(Rung(name, keep) for name, keep in ladder.items())
        config = self._with_linear(dense)
        if self.schedule:
            searched = load_schedule(self.schedule)
            return searched.applied(config), tuple(searched.ladder)
        blocks = numbers("--reduce-at", self.reduce_at)
        form = {"method": self.method, "merge_share": self.merge_share, "rank": self.rank}
        return replace(config, reductions=Reduction.at(*blocks, **form)), rungs

    def _with_linear(self, dense: ViTConfig) -> ViTConfig:
        attention = list(dense.attention)
        for block in numbers("--linear", self.linear or ""):
            if block not in range(dense.depth):
                sentence = f"{dense.name} has blocks 0..{dense.depth - 1}, found {block}"
                raise typer.BadParameter(sentence, param_hint="--linear")
            attention[block] = Attention("linear", feature_map="elu1", normalize="row_sum")
        return replace(dense, attention=tuple(attention))


def changes_more_than_counts(student: ViTConfig, dense: ViTConfig) -> bool:
    """Whether the source's weights were not made for what the student computes with all its tokens."""
    return student.attention != dense.attention or any(r.method == "patch_merger" for r in student.reductions)
