"""The operators of `dataflow_schedule` as a graph: who feeds whom, and which sets can run as one.

Sets of operators are whole numbers, one bit an operator: a union, a reach or a test of convexity is then
one operation whatever the size.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from formulations.dataflow_schedule.instance import Instance, Stage, topological


@dataclass(frozen=True)
class Row:
    """Stages of an alternative, or of several of one stage that differ in their splits only: `picks`, `steps`."""

    stages: tuple[Stage, ...]  # of the last split
    picks: tuple[int, ...]
    steps: tuple[tuple[int, float], ...]  # most CTAs of the first stage, s to add
    passes: float                         # B through L2, between its stages
    shared: tuple[int, int]               # B of a tensor CTA and of a SIMT CTA; -1: there is none


class Graph:
    """Neighbours of every operator, and sets of operators as bits: what comes before and after."""

    def __init__(self, data: Instance) -> None:
        count, self.data = len(data.operators), data
        self.into: list[list[tuple[int, float]]] = [[] for _ in range(count)]
        self.out: list[list[int]] = [[] for _ in range(count)]
        for u, v, size in data.edges:
            self.into[v].append((u, size))
            self.out[u].append(v)
        self.kept: dict[Any, Any] = {}  # what prices of groups share, each computed once
        self.order = topological(self.out)
        self.rank = {v: r for r, v in enumerate(self.order)}
        self.before, self.after, self.near = [0] * count, [0] * count, [0] * count
        for v in self.order:
            for u, _ in self.into[v]:
                self.before[v] |= self.before[u] | 1 << u
                self.near[v] |= 1 << u
                self.near[u] |= 1 << v
        for u in reversed(self.order):
            for v in self.out[u]:
                self.after[u] |= self.after[v] | 1 << v

    def rows(self, v: int, *, last: bool) -> list[Row]:
        """Alternatives of v; the splits of a sum together, the least first, where nothing waits for it (`last`)."""
        return self._rows[v][last]

    @cached_property
    def _rows(self) -> list[tuple[list[Row], list[Row]]]:
        every = []
        for rows in self.data.alternatives:
            apart, together = [(pick,) for pick in range(len(rows))], _splits(rows)
            every.append(([_row(self.data, rows, picks) for picks in apart],
                          [_row(self.data, rows, picks) for picks in together]))  # fmt: skip
        return every

    def in_order(self, members: Iterable[int]) -> list[int]:
        """The members, producers first."""
        return sorted(members, key=self.rank.__getitem__)

    def convex(self, members: Iterable[int]) -> bool:
        """Whether no path leaves the set and comes back."""
        inside = before = after = 0
        for v in members:
            inside, before, after = inside | 1 << v, before | self.before[v], after | self.after[v]
        return not before & after & ~inside

    def connected(self, members: Sequence[int]) -> bool:
        """Whether the set is one piece."""
        inside = sum(1 << v for v in members)
        seen, grown = 0, 1 << members[0]
        while grown != seen:
            seen = grown
            for v in bits(seen):
                grown |= self.near[v] & inside
        return seen == inside


def _row(data: Instance, rows: Sequence[tuple[Stage, ...]], picks: Sequence[int]) -> Row:
    steps = tuple((rows[p][0].most or data.sms, sum(s.adding_s for s in rows[p])) for p in picks)
    stages = rows[picks[-1]]
    tensor, simt = (max((s.shared for s in stages if s.kind == kind), default=-1) for kind in ("tensor", "simt"))
    return Row(stages, tuple(picks), steps, 2 * sum(s.passes for s in stages[:-1]), (tensor, simt))


def _splits(rows: Sequence[Sequence[Stage]]) -> list[tuple[int, ...]]:
    """Rows of one stage that differ in `most` and `adding_s` together; those that add longer for no more are none."""
    alike: dict[object, list[int]] = {}
    for pick, row in enumerate(rows):
        stage = replace(row[0], most=None, adding_s=0.0) if len(row) == 1 else pick
        alike.setdefault(stage, []).append(pick)

    def most(pick: int) -> float:
        return rows[pick][0].most or float("inf")

    found = []
    for picks in alike.values():
        kept: list[int] = []
        for pick in sorted(picks, key=lambda pick: (rows[pick][0].adding_s, -most(pick))):
            if not kept or most(pick) > most(kept[-1]):
                kept.append(pick)
        found.append(tuple(kept))
    return found


def bits(mask: int) -> Iterator[int]:
    """Positions of the ones, ascending.

    >>> list(bits(0b1011))
    [0, 1, 3]
    """
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
