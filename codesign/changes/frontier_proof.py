"""That a frontier changes from system to system where the closed form says so, by the program.

Epsilon-constraint: one axis is optimised, the others are limits of the program in their true units. Along a frontier
of two axes a change is proven by one solve just before it, which the system that ends there wins, and by one at it,
which the next one wins; where a step has a single point the solve before the next change says both. Two more solves
show that nothing lies beyond the ends. Of three axes the first point of each step is proven: nothing that is no worse
on two axes is better on the third.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from codesign.changes.frontier_answer import ProofPart
from codesign.changes.frontier_points import Axis
from codesign.facts.errors import AuditError
from codesign.system import best_system
from codesign.system.columns import Columns, Servers, columns_of
from codesign.system.layouts import Floats
from codesign.system.objective import KILO
from codesign.system.prepared import Prepared, Question
from codesign.system.spaces import AnySpace
from formulations.solvers.outcome import Status

BEFORE = 1e-8  # relative: how far before a change it is proven that the old system still wins
SAME = 1e-6    # relative: program and closed form


@dataclass(frozen=True)
class Ground(Question):
    """What every solve of one frontier shares."""

    space: AnySpace
    servers: Servers


@dataclass(frozen=True)
class Asked:
    """One solve: the steps that it is about, epsilon by axis, and the value that must come out (None: nothing fits)."""

    step: int | None
    shows: str
    held: Mapping[Axis, float]
    expected: float | None


def objective_of(axes: Sequence[Axis]) -> Axis:
    """The axis that the program optimises: throughput where it is one, then user speed, then the last."""
    rates = [axis for name in ("throughput", "user-speed") for axis in axes if axis.name == name]
    return rates[0] if rates else axes[-1]


def questions(axes: Sequence[Axis], runs: Sequence[Floats]) -> Iterator[Asked]:
    """What to ask the program about a frontier whose steps have these points (points x axes), along the first axis."""
    target = objective_of(axes)
    at = list(axes).index(target)
    if len(axes) == 3:
        for step, run in enumerate(runs):
            held = {axis: float(run[0, i]) for i, axis in enumerate(axes) if i != at}
            yield Asked(step, "nothing no worse on the other axes is better", held, float(run[0, at]))
        return
    axis = axes[1 - at]
    order = list(range(len(runs))) if axes[0].up != (axis is axes[0]) else list(range(len(runs)))[::-1]
    yield from _along(axis, 1 - at, at, [(step, runs[step]) for step in order])


def _along(axis: Axis, e: int, y: int, chain: list[tuple[int, Floats]]) -> Iterator[Asked]:
    """Steps from the best epsilon to the worst."""
    ordered = [(step, run[run[:, e].argsort()][:: -1 if axis.up else 1]) for step, run in chain]
    first = float(ordered[0][1][0, e])
    yield Asked(None, "nothing fits before the first point", {axis: _inside(axis, None, first)}, None)
    for i, (step, run) in enumerate(ordered):
        if len(run) > 1:
            yield Asked(step, "its first point is the best there", {axis: float(run[0, e])}, float(run[0, y]))
        last = float(run[-1, y])
        if i + 1 < len(ordered):
            held = {axis: _inside(axis, float(run[-1, e]), float(ordered[i + 1][1][0, e]))}
            yield Asked(step, "still the best just before the change", held, last)
        else:
            yield Asked(None, "nothing is better than the last point within the query's limits", {}, last)


def _inside(axis: Axis, better: float | None, worse: float) -> float:
    """An epsilon that the worse point breaks and the better one keeps."""
    if axis.whole:
        return worse - 1
    near = worse * (1 + (BEFORE if axis.up else -BEFORE))
    if better is None:
        return near
    return min(near, (better + worse) / 2) if axis.up else max(near, (better + worse) / 2)


def prove(
    ground: Ground, target: Axis, asked: Sequence[Asked], *, limit_s: float | None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[ProofPart]:
    """Each question answered by the program; AuditError where it contradicts the closed form."""
    deadline = None if limit_s is None else clock() + limit_s
    found = []
    for one in asked:
        left = None if deadline is None else deadline - clock()
        found.append(_undecided(target, one) if left is not None and left <= 0 else _proof(ground, target, one, left))
    return found


def _undecided(target: Axis, one: Asked) -> ProofPart:
    held = {axis.name: value for axis, value in one.held.items()}
    return ProofPart(shows=one.shows, objective=target.name, held=held, status="not asked", value=one.expected,
                     bound=None, holds=False)  # fmt: skip


def _proof(ground: Ground, target: Axis, one: Asked, left: float | None) -> ProofPart:
    p = _prepared(ground, target, one.held, left)
    held = {axis.name: value for axis, value in one.held.items()}
    if p is None:
        solved_status, bound = Status.INFEASIBLE, None
    else:
        solved = best_system.solve(p)
        solved_status = solved.outcome.status
        bound = None if solved_status is Status.INFEASIBLE else p.query.objective.si(solved.bound())
    said = {"shows": one.shows, "objective": target.name, "held": held, "status": solved_status.value,
            "value": one.expected, "bound": bound}  # fmt: skip
    if solved_status not in (Status.OPTIMAL, Status.INFEASIBLE):
        return ProofPart(**said, holds=False)
    agreed = bound is None if one.expected is None else (
        bound is not None and abs(bound - one.expected) <= SAME * abs(one.expected))  # fmt: skip
    if not agreed or (solved_status is Status.INFEASIBLE) != (one.expected is None):
        raise AuditError(f"{one.shows}: best {target.name} with {held}: {bound!r} by the program, "
                         f"{one.expected!r} by the closed form")  # fmt: skip
    return ProofPart(**said, holds=True)


def _prepared(ground: Ground, target: Axis, held: Mapping[Axis, float], left: float | None) -> Prepared | None:
    """The query that holds the other axes; None where an epsilon leaves no chip at all."""
    limits = {str(axis.limit): int(value) if axis.whole else value for axis, value in held.items()}
    if any(value <= 0 for value in limits.values()):
        return None
    money = "per-hour" if target.name == "per-hour" else "capital"
    kind = target.name if target.each is None else "cost"
    query = ground.query.model_copy(update={
        "maximize": kind, "dollars": money, "time_limit": left,
        "limits": ground.query.limits.model_copy(update=limits),
    })  # fmt: skip
    cols = columns_of(query, ground.space, ground.servers)
    if target.name in ("power", "chips"):
        cols = _priced(cols, ground, target)
    return Prepared(query, ground.catalog, ground.supply, ground.space, ground.servers, cols)


def _priced(cols: Columns, ground: Ground, target: Axis) -> Columns:
    """Cost counted in watts or chips of a server (thousands, as capital is)."""
    price = getattr(ground.servers, str(target.each))[ground.space.chip[cols.layout]] * KILO
    value = cols.true_value / cols.instance.price * price
    return replace(cols, instance=replace(cols.instance, price=price), true_value=value)
