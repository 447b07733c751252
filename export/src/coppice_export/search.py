"""Finds, without training, in which blocks to reduce tokens and to how many, for every rung of a ladder.

Minimised is KL(dense || reduced) on photographs that need no label; held is a cost, multiply-adds or measured latency.
Two steps, both local searches by races among neighbouring plans: at the middle rung stages move between blocks, and at
every rung tokens move between the stages. docs/explanation/schedule-search.md says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .config import Reduction, ViTConfig
from .divergence import Divergence, Plan

__all__ = ["Cost", "Search"]

# What a model costs at a budget, in any unit.
Cost = Callable[[ViTConfig, tuple[int, ...]], float]


@dataclass(frozen=True)
class Search:
    """`reduction` is what happens in a block that is chosen; its own block number does not matter.

    `shares` are the rungs' costs as shares of `dense`, falling; at most `stages` blocks reduce.
    """

    config: ViTConfig
    reduction: Reduction
    cost: Cost
    dense: float
    shares: tuple[float, ...]
    stages: int = 4

    def __post_init__(self) -> None:
        if not self.shares or list(self.shares) != sorted(set(self.shares), reverse=True):
            raise ValueError(f"shares of the dense cost must fall from rung to rung: {self.shares}")
        if not 0 < self.shares[-1] <= self.shares[0] < 1 or self.stages < 1:
            raise ValueError(f"expected shares between 0 and 1 and a stage: shares={self.shares}, stages={self.stages}")
        if self.reduction.place != "after" or not self.reduction.has_budget:
            raise ValueError(f"{self.reduction.method} has no count to search; expected top_k, merge or prune_merge")
        if not self.candidates:
            raise ValueError(f"{self.config.name}: no block between the first and the last can rank tokens")

    @property
    def candidates(self) -> tuple[int, ...]:
        """The first block has seen no other token yet, and after the last one nobody works on the patches."""
        return tuple(b for b in self.config.reducible(self.reduction) if 0 < b < self.config.depth - 1)

    def reducing(self, blocks: tuple[int, ...]) -> ViTConfig:
        return replace(self.config, reductions=tuple(replace(self.reduction, block=b) for b in blocks))

    def run(
        self,
        divergence: Divergence,
        note: Callable[[str], None] = lambda text: None,
        advance: Callable[[], None] = lambda: None,
    ) -> list[Plan]:
        """A plan for every share, all with the same blocks. Raises ValueError for a share that no plan reaches.

        advance: called after the choice of blocks and after every rung, which take about as long.
        """
        plan = self._blocks(divergence, self.shares[len(self.shares) // 2] * self.dense, note)
        advance()
        ladder = []
        for share in self.shares:
            starts = [p for base in (plan, *ladder[-1:]) if (p := self._fit(base, share * self.dense))]
            if not starts:
                raise ValueError(f"{plan} cannot go down to {share:.0%} of the dense cost: allow more stages")
            ladder.append(self._exchange(divergence, divergence.best(starts), share * self.dense))
            note(f"{share:.0%}: {ladder[-1]}, KL {divergence.mean(ladder[-1]):.4f}")
            advance()
        return ladder

    def _blocks(self, divergence: Divergence, target: float, note: Callable[[str], None]) -> Plan:
        """From evenly spread stages of equal shares: one stage moves, goes or comes, as long as it helps."""
        free, count = self.candidates, min(self.stages, len(self.candidates))
        spread = tuple(free[(2 * stage + 1) * len(free) // (2 * count)] for stage in range(count))
        equal = [round(self.config.patches * 0.5 ** ((stage + 1) / count)) for stage in range(count)]
        plan = self._fit(tuple(zip(spread, equal)), target)
        while plan:
            note(f"blocks {plan}, KL {divergence.mean(plan):.4f}")
            found = divergence.best([p for base in (plan, *self._moved(plan)) if (p := self._fit(base, target))])
            if divergence.mean(found) >= divergence.mean(plan):
                return plan
            plan = found
        share = f"{target / self.dense:.0%} of the dense cost"
        raise ValueError(f"{self.config.name}: {count} stages cannot go down to {share}; allow more")

    def _moved(self, plan: Plan) -> Iterator[Plan]:
        """A stage takes its share of tokens to another block, leaves it to the others, or a new one joins."""
        counts, unused = dict(plan), [b for b in self.candidates if b not in dict(plan)]
        kept = [count for _, count in plan]
        for block, _ in plan:
            others = sorted(counts.keys() - {block})
            for new in unused:
                yield tuple(zip(sorted([*others, new]), kept))
            if others:
                yield tuple((b, counts[b]) for b in others)
        if len(plan) < self.stages:
            for new in unused:
                blocks = sorted([*counts, new])
                yield self._falling(tuple((b, counts.get(b, self.config.patches * 7 // 8)) for b in blocks))

    def _cost(self, plan: Plan) -> float:
        return self.cost(self.reducing(tuple(b for b, _ in plan)), tuple(count for _, count in plan))

    def _falling(self, plan: Plan) -> Plan:
        """No stage keeps more than enters it, nor fewer than it can."""
        patches, falling = self.config.patches, []
        for block, count in plan:
            count = max(min(count, patches), self.reduction.least(patches))
            falling.append((block, count))
            patches = self.reduction.outgoing(patches, count, self.config.prefix_tokens)
        return tuple(falling)

    def _cut(self, plan: Plan, block: int, target: float) -> Plan | None:
        """The plan with as many tokens left after `block` as the target cost allows; None if none are few enough."""
        counts, before = dict(plan), None
        for count in range(counts.get(block, self.config.patches) - 1, 0, -1):
            trial = self._falling(tuple(sorted((counts | {block: count}).items())))
            if trial == before:
                return None
            if self._cost(trial) <= target:
                return trial
            before = trial if dict(trial)[block] > count else None
        return None

    def _fit(self, plan: Plan, target: float) -> Plan | None:
        """The plan with every stage's share of tokens raised to one power, the smallest that keeps to the target."""
        low, high, fitting = 0.0, 64.0, None
        shares, patches = [], self.config.patches
        for _, count in plan:
            shares.append(count / patches)
            patches = self.reduction.outgoing(patches, count, self.config.prefix_tokens)
        for _ in range(24):
            power, patches, trial = (low + high) / 2, self.config.patches, []
            for (block, _), share in zip(plan, shares):
                count = max(round(patches * share**power), self.reduction.least(patches))
                trial.append((block, count))
                patches = self.reduction.outgoing(patches, count, self.config.prefix_tokens)
            if self._cost(tuple(trial)) <= target:
                high, fitting = power, tuple(trial)
            else:
                low = power
        return fitting

    def _exchange(self, divergence: Divergence, plan: Plan, target: float) -> Plan:
        """Tokens go from one stage to another at equal cost as long as it helps, fewer and fewer of them."""
        for step in (max(1, self.config.patches // d) for d in (12, 24, 48)):
            while True:
                found = divergence.best([plan, *self._exchanged(plan, step, target)])
                if divergence.mean(found) >= divergence.mean(plan):
                    break
                plan = found
        return plan

    def _exchanged(self, plan: Plan, step: int, target: float) -> Iterator[Plan]:
        for given in range(len(plan)):
            more = [(block, count + step * (stage == given)) for stage, (block, count) in enumerate(plan)]
            for block in (b for b, _ in plan if b != plan[given][0]):
                if found := self._cut(self._falling(tuple(more)), block, target):
                    yield found
