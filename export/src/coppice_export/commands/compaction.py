"""What commands make of attention and MLPs on request: hMHSA and cFFN, fitted to photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from ..checkpoint import SourceError
from ..config import Attention, ViTConfig
from ..methods.schedules import from_block
from ..photographs import Photograph
from ..preprocess import preprocess

__all__ = ["Compaction"]


@dataclass(frozen=True)
class Compaction:
    """The options, 0 where a method is not asked for. Raises BadParameter for those that do not go together."""

    computed_heads: int
    dw_kernel: int
    rank: int

    def __post_init__(self) -> None:
        if self.dw_kernel and not self.computed_heads:
            raise typer.BadParameter("--dw-kernel belongs to --hallucinate")

    @property
    def asked(self) -> bool:
        return bool(self.computed_heads or self.rank)

    def applied(
        self, config: ViTConfig, state: dict[str, np.ndarray], photographs: Sequence[Photograph], console: Console
    ) -> tuple[ViTConfig, dict[str, np.ndarray]]:
        """The model fitted to the photographs, all but what asks for another form of attention; as it is without any.

        Raises SourceError without PyTorch and where no block can be changed, ValueError for numbers that do not fit.
        """
        if not self.asked:
            return config, state
        try:
            from ..methods import cffn, hmhsa
        except ImportError as error:
            raise SourceError(
                f"Fitting to photographs needs PyTorch ({error}): install coppice-export[torch]."
            ) from None
        blocks = tuple(from_block(config, 0))
        form = Attention("hallucinated", computed_heads=self.computed_heads, dw_kernel=self.dw_kernel)
        free = tuple(b for b in blocks if _may_hallucinate(config, b)) if self.computed_heads else ()
        if self.computed_heads and not free:
            raise SourceError(
                f"{config.name}: every block is linear, reduces tokens or follows one that merges them, so none can "
                "hallucinate; reduce in fewer or later blocks (--reduce-at)."
            )
        with Progress(console=console) as progress:
            task = progress.add_task("fit", total=max(free, default=-1) + 1 + len(blocks) * bool(self.rank))
            images = np.stack([preprocess(photograph.pixels(), config.preprocessing) for photograph in photographs])
            fit = {"images": images, "advance": lambda: progress.advance(task)}
            if free:
                config, state = hmhsa.hallucinate(config, state, form=form, blocks=free, **fit)
                console.print(
                    f"note: maps made in blocks {','.join(map(str, free))}, fitted to {len(images)} photographs"
                )
            if self.rank:
                config, state = cffn.factorise(config, state, rank=self.rank, blocks=blocks, **fit)
                console.print(f"note: fc2 of rank {self.rank} in blocks {','.join(map(str, blocks))}, fitted likewise")
        return config, state


def _may_hallucinate(config: ViTConfig, block: int) -> bool:
    """The operator has every token as a query, once each: see ViTConfig."""
    reduction = config.reduction(block)
    return not (
        config.attention[block].kind != "softmax"
        or (reduction and reduction.place != "before")
        or config.weighs_sizes(block)
    )
