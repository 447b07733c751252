"""Schedules: which blocks reduce tokens, how, and to how many at each rung. `search` writes them, `convert` reads
them; docs/reference/export.md has the fields."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .bundle import Rung
from .checkpoint import SourceError
from .config import Reduction, ViTConfig

__all__ = ["Schedule", "ScheduledRung", "load_schedule", "save_schedule"]

FORMAT = 1


@dataclass(frozen=True)
class ScheduledRung:
    """A token budget. `cost` is a share of the dense model's. `kl` in nats and `agreement` in percent compare with the
    dense model on photographs that the search has not seen, each with its standard error."""

    name: str
    keep: tuple[int, ...]
    macs: int
    cost: float
    kl: float
    kl_error: float
    agreement: float
    agreement_error: float


@dataclass(frozen=True)
class Schedule:
    """`unit` says what the rungs' costs are of: multiply-adds, or milliseconds of a board."""

    model: str
    unit: str
    reductions: tuple[Reduction, ...]
    rungs: tuple[ScheduledRung, ...]

    @property
    def ladder(self) -> list[Rung]:
        return [Rung(rung.name, rung.keep) for rung in self.rungs]

    def applied(self, config: ViTConfig) -> ViTConfig:
        """The model with these reductions. Raises SourceError for another model's schedule."""
        if self.model != config.name:
            raise SourceError(f"The schedule was searched for {self.model}, not for {config.name}; search one for it.")
        return replace(config, reductions=self.reductions)


def save_schedule(schedule: Schedule, path: Path) -> None:
    """Figures to four significant digits: thresholds may be thousandths."""
    text = json.dumps({"format": FORMAT} | asdict(schedule))
    content = json.loads(text, parse_float=lambda number: float(f"{float(number):.4g}"))
    staging = path.with_name(f".{path.name}.part")
    staging.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    staging.replace(path)


def load_schedule(path: Path) -> Schedule:
    """Raises SourceError for a file that is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError(f"a schedule of format {FORMAT} is needed")
        rungs = tuple(ScheduledRung(**rung | {"keep": tuple(map(int, rung["keep"]))}) for rung in content["rungs"])
        reductions = tuple(Reduction(**r | {"places": tuple(r["places"])}) for r in content["reductions"])
        return Schedule(**content | {"reductions": reductions, "rungs": rungs})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceError(f"{path}: no schedule ({error!r}); make one with `coppice-export search`.") from None
