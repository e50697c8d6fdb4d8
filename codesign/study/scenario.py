"""One scenario of a query: its numbers changed, its steps slowed, everything computed anew; solved with proof.

`Solver` is what worker processes hold: a scenario's JSON point in, the best design there out.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.errors import AuditError, SolverError
from codesign.facts.memo import by_identity
from codesign.facts.records import AchievedRecord, EconomicsRecord
from codesign.physics import chips as readers
from codesign.study.designs import Designs, Merits, merits, positions
from codesign.study.parameters import ASKED, changed
from codesign.study.profile import profile_of
from codesign.study.uncertainty import Scenario, behind, rests_on
from codesign.system import audit, best_system, columns
from codesign.system import offers as supply
from codesign.system.key import key_of
from codesign.system.layouts import Floats
from codesign.system.mode import settled
from codesign.system.prepared import Prepared
from codesign.system.query import Query
from codesign.system.serving_space import ServingSpace
from codesign.system.spaces import AnySpace
from formulations.solvers.outcome import Status

NOMINAL = Scenario({}, {})
Solve = Callable[[Mapping[str, Any]], dict[str, Any]]
NOT_PROVEN = "a scenario was not proven in the time given"  # how such an error begins, also from another process


@dataclass(frozen=True)
class Asked:
    """A query with its mode settled, and the catalogue as it asks for."""

    catalog: Catalog
    query: Query

    def at(self, scenario: Scenario, only: Collection[str] | None = None) -> Prepared:
        """Everything before a solver in one scenario; `only`: names of the chips, all that the query allows if None."""
        catalog, query = changed(self.catalog, self.query, scenario.changes)
        offered, space = _unslowed(catalog, query, only)
        if scenario.slow:
            space = slowed(space, _factors(scenario, offered))
        servers = columns.servers_of(space, offered.offers)
        return Prepared(query, catalog, offered, space, servers, columns.columns_of(query, space, servers))

    def solver(self) -> Callable[[], Solve]:
        """A maker for `jobs.run`: the proven best of a scenario."""
        return partial(partial, _solve, self)

    def measurer(self, designs: Designs, *, audited: bool = False) -> Callable[[], Solve]:
        """A maker for `jobs.run`: merit, batch and broken limits of each design in a scenario.

        `audited`: each is also computed by the domain's formulas for one system; AuditError where they differ.
        """
        return partial(_measurer, self, designs, audited)


def asked(catalog: Catalog, query: Query) -> Asked:
    """The question with its mode settled."""
    return Asked(catalog, settled(catalog, query))


@by_identity(4)
def _unslowed(catalog: Catalog, query: Query, only: Collection[str] | None) -> tuple[supply.Supply, AnySpace]:
    """Kept, since scenarios of a model's error change no number."""
    offered = supply.supply(catalog, query) if only is None else _some(catalog, query, only)
    return offered, best_system.space_of(catalog, query, offered)


def _some(catalog: Catalog, query: Query, only: Collection[str]) -> supply.Supply:
    bases = {name.partition("+")[0] for name in only}
    fewer = {kind: {name: record for name, record in catalog.records[kind].items() if name in bases}
             for kind in ("chips", "dies")}  # fmt: skip
    some = replace(catalog, records={**catalog.records, **fewer})
    chips = [chip for chip in readers.all_chips(some, query.hardware) if chip.name in only]
    money = readers.economics(catalog.get(EconomicsRecord, "default"))
    constants = catalog.get(AchievedRecord, "default") if query.mode == "achieved" else None
    return supply.Supply(supply.offered(catalog, query, chips, money)[0], (), money, constants)


def _factors(scenario: Scenario, offered: supply.Supply) -> Floats:
    return np.array([scenario.slow.get(o.chip.die or o.chip.name, 1.0) for o in offered.offers])


def _solve(question: Asked, point: Mapping[str, Any]) -> dict[str, Any]:
    """Status, proven best value (SI) and bound, design and batch of one scenario."""
    scenario = Scenario(point["changes"], point["slow"])
    p = question.at(scenario)
    solved = best_system.solve(p)
    offers = np.arange(len(p.supply.offers))
    best = profile_of(p.query, p.space, p.columns, offers, offers)
    top = best.best()
    status = solved.outcome.status
    if (status is Status.INFEASIBLE) != (top is None):
        raise AuditError(f"program: {status.value}, closed form: {'none' if top is None else 'a system'}")
    if top is None:
        return {"status": status.value, "value": None, "bound": None, "design": None, "batch": None}
    if status is not Status.OPTIMAL:
        raise SolverError(f"{NOT_PROVEN}: {status.value}")
    at, replicas, batch = int(best.at[top]), int(best.replicas[top]), int(best.batch[top])
    offer, layout = p.supply.offers[int(p.space.chip[at])], p.space.layout(at)
    if p.query.objective.kind == "cost" and p.query.limits.users is not None:
        batch = -(-p.query.limits.users // (layout.pipeline * replicas))
    value = value_of(p, scenario, audit.System(offer, layout, batch, replicas))
    bound = p.query.objective.si(solved.bound())
    audit.agree("objective", value, value if bound is None else bound)
    design = key_of(offer.chip, layout, replicas).model_dump()
    return {"status": status.value, "value": value, "bound": bound, "design": design, "batch": batch}


def value_of(p: Prepared, scenario: Scenario, system: audit.System) -> float:
    """The objective (SI) of a system in a scenario by the domain's own formulas; AuditError where a limit is broken.

    The formulas know no error of theirs: times are multiplied by the chip's factor here, and the limits on them
    checked here.
    """
    factor = scenario.slow.get(system.offer.chip.die or system.offer.chip.name, 1.0)
    timed = ("user_speed", "ttft")
    free = p.query.model_copy(update={"limits": p.query.limits.model_copy(update=dict.fromkeys(timed))})
    found = audit.recompute(free, p.space.model, p.supply, system)
    taken = {"user_speed": (found.user_speed / factor, p.query.limits.user_speed),
             "ttft": (None if found.time.ttft_s is None else found.time.ttft_s * factor, p.query.limits.ttft)}
    audit.check_limits(*audit.in_force(taken))
    return found.value if p.query.objective.kind == "cost" else found.value / factor


def _measurer(question: Asked, designs: Designs, audited: bool) -> Solve:
    """Only the designs' chips are made, and only the numbers changed that these rest on: it is many times faster."""
    chips = designs.chips
    bases = {name.partition("+")[0] for name in chips}
    every = readers.all_chips(question.catalog, question.query.hardware)
    entries = behind(chip for chip in every if (chip.die or chip.name) in bases)
    entries |= {f"memory.{kind.memory}" for kind in designs.kinds if kind.name in chips}

    @cache
    def moves(path: str) -> bool:
        return path in ASKED or rests_on(path, entries)

    def measure(point: Mapping[str, Any]) -> dict[str, Any]:
        changes = {path: value for path, value in point["changes"].items() if moves(path)}
        scenario = Scenario(changes, point["slow"])
        p = question.at(scenario, chips)
        found = merits(p, designs)
        if audited:
            _audit(p, scenario, designs, found)
        return {name: getattr(found, name).tolist() for name in ("merit", "batch", "broken")}

    return measure


def _audit(p: Prepared, scenario: Scenario, designs: Designs, found: Merits) -> None:
    """Every design that keeps its limits has the value that the domain's formulas give it; AuditError otherwise."""
    at = positions(p, designs)
    for i in np.flatnonzero(found.broken == 0).tolist():
        offer, layout = p.supply.offers[int(p.space.chip[at[i]])], p.space.layout(int(at[i]))
        value = value_of(p, scenario, audit.System(offer, layout, int(found.batch[i]), int(designs.replicas[i])))
        audit.agree("value of a design", value, p.query.objective.merit(found.merit[i]))


def slowed(space: AnySpace, factor: Floats) -> AnySpace:
    """The space with every time of a layout of chip c multiplied by factor[c]: steps, cycles, first tokens."""
    each = factor[space.chip]
    if isinstance(space, ServingSpace):
        return SlowedServing(**{f.name: getattr(space, f.name) for f in fields(space)}, factor=each)
    return replace(
        space, read_fixed=space.read_fixed * each, read_slope=space.read_slope * each, expert=space.expert * each,
        compute_fixed=space.compute_fixed * each, compute_slope=space.compute_slope * each,
    )  # fmt: skip


@dataclass(frozen=True)
class SlowedServing(ServingSpace):
    """A ServingSpace with a factor on the times of each deployment; all else is computed from these two."""

    factor: Floats

    def step_s(self, batch: Any, at: Any = slice(None)) -> Floats:
        """Time per output token in seconds, with the error."""
        found: Floats = super().step_s(batch, at) * self.factor[at]
        return found

    def times(self, batch: Any, at: Any = slice(None)) -> tuple[Floats, Floats, Floats | None]:
        """As `ServingSpace.times`, with the error."""
        step, cycle, first = super().times(batch, at)
        factor = self.factor[at]
        return step * factor, cycle * factor, None if first is None else first * factor
