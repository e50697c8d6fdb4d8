"""A plan solved again and again with a few of its numbers, or of the catalogue's, changed: each point with its proof.

A path is the plan's (`numbers`: "limits.capital", "workloads.chat.requests", with a factor on what the plan says of
all periods) or the catalogue's ("chips.b200-sxm.price", "prices.default.pue", in SI). What can serve a demand (the
columns) is computed anew only on chips that a change makes other chips, and for workloads that it makes other
workloads: limits, prices and requests touch no column. The integer program is solved at every point.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from codesign.facts.catalog import Catalog, load
from codesign.facts.errors import AuditError, DataError
from codesign.fleet import best_fleet as asked
from codesign.fleet import cases
from codesign.fleet.audit import Audited
from codesign.fleet.best_fleet import Solved
from codesign.fleet.columns import Column
from codesign.fleet.plan import Plan
from codesign.fleet.prepared import Prepared, columns_for, outline, prepare, spaces_for
from codesign.fleet.program import instance_of
from codesign.physics.hardware import Chip
from codesign.study import plan_numbers
from codesign.study.parameters import FOLDERS, Parameter, changed, parameter
from codesign.system.offers import Supply
from formulations.fleet import Instance
from formulations.solvers import highs
from formulations.solvers.outcome import Status

Counts = Mapping[str, tuple[int, ...]]  # chip -> servers, by period
PHASES = ("both", "prefill", "decode")
MOST_NODES = 20_000   # of a point; what is then not proven shows its gap
MOST_KEPT = 64        # programs already solved


@dataclass(frozen=True)
class Point:
    """The best fleet of a changed plan: objective and proven bound in SI; None: there is no fleet, or no bound."""

    status: str                  # optimal (within a gap of 1e-4; of several cases 1e-2), feasible, infeasible, unknown
    value: float | None = None
    bound: float | None = None
    bought: Counts | None = None     # of chips that are ever bought
    owned: Counts | None = None      # of chips that are ever owned
    cost_usd: float | None = None    # of all periods
    capital_usd: float | None = None
    why: str = ""                # there is no fleet: of kept purchases

    @property
    def gap(self) -> float | None:
        """Relative distance of value and bound."""
        if self.value is None or self.bound is None:
            return None
        return abs(self.bound - self.value) / abs(self.value) if self.value else abs(self.bound)

    @property
    def kinds(self) -> tuple[tuple[str, ...], ...] | None:
        """By period the chips that are bought, by name; None: there is no fleet."""
        if self.bought is None:
            return None
        periods = len(next(iter(self.bought.values()), ()))
        return tuple(tuple(sorted(chip for chip, n in self.bought.items() if n[p])) for p in range(periods))


@dataclass(frozen=True)
class Resolved:
    """A point with what it was made from."""

    point: Point
    prepared: Prepared
    instance: Instance
    solved: Solved | None
    audited: Audited | None


class Resolver:
    """Holds the columns of a plan; `own` is the user's folder over our catalogue."""

    def __init__(self, own: Path | None, plan: Plan, *, catalog: Catalog | None = None) -> None:
        self.plan = plan
        self.catalog = load(own, plan.assumptions()) if catalog is None else catalog
        self.prepared = prepare(self.catalog, plan)
        self.solves = 0    # programs solved
        self._known_solves: dict[str, Solved] = {}
        self._last: tuple[dict[str, float], Prepared] | None = None
        self.computed = 0  # demands times chips whose columns were computed again

    def number(self, path: str) -> plan_numbers.Number:
        """The plan's or the catalogue's number at a path; DataError where there is none."""
        if plan_numbers.is_own(path):
            return plan_numbers.number(self.plan, path)
        return plan_numbers.Number(self._known(path), None, lambda _: self.plan)

    def _known(self, path: str) -> Parameter:
        if path.partition(".")[0] not in FOLDERS:
            raise DataError(f"{path!r}: no such number; of a plan: {', '.join(plan_numbers.KNOWN)}; of the catalogue: "
                            f"numbers of {', '.join(FOLDERS)}")  # fmt: skip
        return parameter(self.catalog, self.prepared.demands[0].query, path)

    def case(self, changes: Mapping[str, float]) -> Prepared:
        """The changed plan, prepared. Raises DataError with every path that is unknown, every value that cannot be."""
        faults, plan, catalog = [], self.plan, self.catalog
        theirs = {path: value for path, value in changes.items() if not plan_numbers.is_own(path)}
        try:
            plan = plan_numbers.changed(plan, {path: v for path, v in changes.items() if path not in theirs})
        except DataError as error:
            faults.append(str(error))
        try:
            for path in theirs:
                self._known(path)
            catalog, query = changed(self.catalog, self.prepared.demands[0].query, theirs)
            assumed = {path: value for path, value in query.assume.items() if path in theirs}
            plan = plan.model_copy(update={"assume": {**plan.assume, **assumed}}) if assumed else plan
        except DataError as error:
            faults.append(str(error))
        if faults:
            raise DataError("\n".join(faults))
        return self._with_columns(outline(catalog, plan))

    def _case_again(self, changes: Mapping[str, float]) -> Prepared:
        """As `case`; asked for the same changes twice running, it is prepared once."""
        if self._last is None or self._last[0] != changes:
            self._last = (dict(changes), self.case(changes))
        return self._last[1]

    def _with_columns(self, p: Prepared) -> Prepared:
        """The columns of `prepare`, in its order, those that nothing touched as they were."""
        base, found = self.prepared, list[Column]()
        known: dict[int, list[Column]] = {d: [] for d in range(len(base.demands))}
        for column in base.columns:
            known[column.demand].append(column)
        for i, d in enumerate(p.demands):
            alike = self._alike(p, d.workload)
            fresh = tuple(o for o in p.supplies[d.workload].offers if o.chip.name not in alike)
            columns = [c for c in known[i] if c.chip in alike and c.chip in p.kinds.names]
            if fresh:
                some: Supply = replace(p.supplies[d.workload], offers=fresh)
                part = replace(p, supplies={**p.supplies, d.workload: some})
                columns += columns_for(part, i, spaces_for(part, d))
                self.computed += len(fresh)
            order = {offer.chip.name: n for n, offer in enumerate(p.supplies[d.workload].offers)}
            found += sorted(columns, key=lambda c: (PHASES.index(c.phase), order[c.chip]))
        return replace(p, columns=tuple(found))

    def _alike(self, p: Prepared, workload: str) -> set[str]:
        """The chips on which a workload runs as it did."""
        free = {"requests": (0.0,), "growth": 0.0, "worth": None}
        one, other = (x.plan.workloads[workload].model_copy(update=free) for x in (p, self.prepared))
        if one != other:
            return set()
        before = {offer.chip.name: physics(offer.chip) for offer in self.prepared.supplies[workload].offers}
        return {o.chip.name for o in p.supplies[workload].offers if before.get(o.chip.name) == physics(o.chip)}

    def at(self, changes: Mapping[str, float], *, kept: Counts | None = None,
           least: Mapping[str, int] | None = None) -> Point:  # fmt: skip
        """The best fleet of the plan with these numbers, audited; see `resolve`."""
        return self.resolve(changes, kept=kept, least=least).point

    def resolve(self, changes: Mapping[str, float], *, kept: Counts | None = None,
                least: Mapping[str, int] | None = None) -> Resolved:  # fmt: skip
        """As `at`, with what the point was made from.

        `kept`: exactly these servers are bought, replicas placed anew. `least`: so many of a chip are bought at least.
        """
        p = self._case_again(changes)
        data = instance_of(p)
        wanted = {chip: sum(n) for chip, n in kept.items()} if kept is not None else dict(least or {})
        if gone := [chip for chip, n in wanted.items() if n and chip not in p.kinds.names]:
            return Resolved(Point("infeasible", why=f"not on offer: {', '.join(gone)}"), p, data, None, None)
        if kept is not None:
            supply = np.array([kept.get(name, (0,) * len(p.periods)) for name in p.kinds.names], dtype=np.float64)
            if (supply > data.supply).any():
                return Resolved(Point("infeasible", why="not on sale when it was bought"), p, data, None, None)
            data = replace(data, supply=supply)
        if wanted:
            data = replace(data, least_bought=np.array([float(wanted.get(name, 0)) for name in p.kinds.names]))
        found = point_of(p, data, self._solve(p, data))
        if kept is not None and found.point.status == "infeasible":
            return replace(found, point=replace(found.point, why=self._why(p, data)))
        return found

    def _why(self, p: Prepared, data: Instance) -> str:
        """Why servers bought as they were do not do: by the program without the limits on money, power and racks."""
        free = replace(data, capital=None, spending=None, power=None, racks=None)
        status = self._solve(p, free).outcome.status
        return "the demand is not met" if status is Status.INFEASIBLE else "over a limit on money, power or racks"

    def _solve(self, p: Prepared, data: Instance) -> Solved:
        """The program's outcome; a program of the very same numbers is not solved twice."""
        key = _digest(p, data)
        if key not in self._known_solves:
            if len(self._known_solves) >= MOST_KEPT:
                del self._known_solves[next(iter(self._known_solves))]
            self._known_solves[key] = solved_of(p, data)
            self.solves += 1
        return self._known_solves[key]


def physics(chip: Chip) -> Chip:
    """The chip without money, power and dates, which no column rests on."""
    server = None if chip.server is None else replace(chip.server, price_usd=None, power_w=None)
    return replace(chip, power_w=None, server=server, price_usd=None, cost_usd=None, hyperscaler_usd_h=None,
                   rent_usd_h=None, available=None)  # fmt: skip


def _digest(p: Prepared, data: Instance) -> str:
    given = {one.name: value for one in fields(data) if (value := getattr(data, one.name)) is not None}
    said = f"{list(given)} {data.objective} {p.plan.survive_share} {p.kinds.names}"
    return sha256(b"|".join((said.encode(), *(np.asarray(value).tobytes() for value in given.values())))).hexdigest()


def solved_of(p: Prepared, data: Instance) -> Solved:
    """The program solved in the plan's own time, of a plan with cases over all of them."""
    limits = highs.Limits(node_limit=MOST_NODES)
    if p.plan.time_limit is not None:
        limits = replace(limits, limit_s=p.plan.time_limit)
    if cases.several(p.plan):
        return asked.solve_cases(p, data, cases.cases_of(p), limits)
    return asked.solve_plan(data, limits)


def point_of(p: Prepared, data: Instance, solved: Solved) -> Resolved:
    """The audited fleet of a solved program, with what it was made from."""
    may_come = cases.cases_of(p)
    status, bound = solved.outcome.status, solved.outcome.bound
    if status is Status.UNBOUNDED:
        raise AuditError("the program of a fleet ended unbounded")
    bound = None if bound is None else bound * asked.scale(p)
    if solved.outcome.solution is None:
        nothing = Point(status.value, bound=None if status is Status.INFEASIBLE else bound)
        return Resolved(nothing, p, data, solved, None)
    met = cases.recompute(p, may_come, asked.fleets_of(p, solved))
    audited, value = met[0].audited, cases.expected(p, met)
    asked.agreed(p, solved, value)
    bought, owned = (
        {name: tuple(int(x) for x in n[h]) for h, name in enumerate(p.kinds.names) if n[h].any()}
        for n in (audited.fleet.bought, audited.owned)
    )
    point = Point(status.value, value, bound, bought, owned, audited.cost, float(audited.capital.sum()))
    return Resolved(point, p, data, solved, audited)
