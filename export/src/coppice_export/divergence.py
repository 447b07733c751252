"""How far a model with fewer tokens strays from the dense one, for many plans of the same weights at once."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .config import ViTConfig
from .reductions import Tokens
from .reference import VisionTransformer

__all__ = ["Divergence", "Plan", "judge", "reference_of"]

# The patch tokens left after each reducing block: (block, count), blocks rising.
Plan = tuple[tuple[int, int], ...]


class Divergence:
    """KL(dense || reduced) of the class probabilities in nats, on photographs in four lots.

    What was measured is remembered, in a file too if there is one: a search that starts again finds it there.
    """

    LOTS = 4

    def __init__(self, model: VisionTransformer, images: Tensor, memory: Path | None = None, key: str = ""):
        """model: in evaluation mode, with a reduction in every block that plans may name. images: (count, 3, S, S).

        key: stands for model and images; a memory with another key is begun anew.
        """
        self.model = model
        # A block that has nothing to reduce shares the weights, not the work.
        self.plain = [copy.copy(block) for block in model.blocks]
        for block in self.plain:
            block.reduction = None
        with torch.inference_mode():
            self.lots = [model.embed(lot) for lot in images.tensor_split(self.LOTS)]
            self.dense = [self._log_probabilities([lot], {}) for lot in self.lots]
        self.known: dict[tuple[Plan, int], float] = {}
        self.memory = memory
        if memory:
            self._recall(key)

    def _recall(self, key: str) -> None:
        """A last line cut short by a lost process is measured again."""
        lines = self.memory.read_text(encoding="utf-8").split("\n") if self.memory.exists() else []
        whole = lines[1:-1] if lines[:1] == [key] else []
        for line in whole:
            plan, lot, value = json.loads(line)
            self.known[tuple(map(tuple, plan)), lot] = value
        self.memory.write_text("".join(f"{line}\n" for line in (key, *whole)), encoding="utf-8")

    def _log_probabilities(self, entered: list[Tokens], counts: dict[int, int]) -> Tensor:
        """From the block that `entered` ends at on; what enters each later block is appended."""
        tokens, depth = entered[-1], len(self.plain)
        for block in range(len(entered) - 1, depth):
            patches = tokens.x.shape[1] - self.model.config.prefix_tokens
            reduces = counts.get(block, patches) < patches
            tokens = self.model.blocks[block](tokens, counts[block]) if reduces else self.plain[block](tokens)
            if block < depth - 1:
                entered.append(tokens)
        return F.log_softmax(self.model.head(self.model.pooled(tokens)), 1)

    def measure(self, plans: Collection[Plan], lot: int) -> None:
        """Plans that begin alike share the blocks before they part."""
        depth, dense = len(self.plain), self.dense[lot]
        new = {plan for plan in plans if (plan, lot) not in self.known}
        entered, before = [self.lots[lot]], {}
        for plan in sorted(new, key=lambda plan: [dict(plan).get(b, math.inf) for b in range(depth)]):
            counts = dict(plan)
            parting = next((b for b in range(depth) if counts.get(b) != before.get(b)), 0)
            del entered[parting + 1 :]
            with torch.inference_mode():
                reduced, before = self._log_probabilities(entered, counts), counts
                value = float(F.kl_div(reduced, dense, log_target=True, reduction="batchmean"))
            self.known[plan, lot] = value
            if self.memory:
                with self.memory.open("a", encoding="utf-8") as out:
                    out.write(json.dumps([plan, lot, value]) + "\n")

    def mean(self, plan: Plan, lots: int = LOTS) -> float:
        """Over the first `lots`."""
        for lot in range(lots):
            self.measure([plan], lot)
        return sum(self.known[plan, lot] for lot in range(lots)) / lots

    def best(self, plans: Collection[Plan]) -> Plan:
        """By successive halving: after every lot of photographs the better half goes on."""
        field = sorted(set(plans))
        for lot in range(self.LOTS):
            self.measure(field, lot)
            field = sorted(field, key=lambda plan: self.mean(plan, lot + 1))[: (len(field) + 1) // 2]
        return field[0]


def reference_of(config: ViTConfig, state: dict[str, np.ndarray]) -> VisionTransformer:
    """The PyTorch model of these arrays, ready to evaluate."""
    model = VisionTransformer(config).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
    return model


def judge(
    state: dict[str, np.ndarray], config: ViTConfig, keeps: Sequence[tuple[int, ...]], batches: Iterable[np.ndarray]
) -> list[tuple[float, float, float, float]]:
    """KL to the dense model in nats and equal answers in percent, each with its standard error, for every budget.

    batches: (some, 3, S, S) each; two pictures at least in all.
    """
    dense, model = reference_of(replace(config, reductions=()), state), reference_of(config, state)
    found: list[list[np.ndarray]] = [[] for _ in keeps]
    with torch.inference_mode():
        for batch in map(torch.from_numpy, batches):
            expected = F.log_softmax(dense(batch), 1)
            for rows, keep in zip(found, keeps):
                given = F.log_softmax(model(batch, keep), 1)
                kl = F.kl_div(given, expected, log_target=True, reduction="none").sum(1)
                same = 100.0 * (given.argmax(1) == expected.argmax(1))
                rows.append(torch.stack([kl, same], 1).double().numpy())
    figures = []
    for rows in map(np.concatenate, found):
        (kl, same), (kl_error, same_error) = rows.mean(0), rows.std(0, ddof=1) / math.sqrt(len(rows))
        figures.append((float(kl), float(kl_error), float(same), float(same_error)))
    return figures
