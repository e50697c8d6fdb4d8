"""One query asked again and again with a few numbers changed: what a change does not touch is kept.

Kept are the chips on offer, their bills, and the space of their layouts; the closed forms of the rest are computed
anew. `Warm.at` answers one changed query, with proof where asked; `Warm.profile` lays open the best of every layout.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.facts.catalog import Catalog, load
from codesign.facts.errors import AuditError, DataError
from codesign.facts.records import EconomicsRecord
from codesign.physics import chips as readers
from codesign.physics.hardware import Chip
from codesign.study.parameters import ASKED, changed
from codesign.study.profile import Profile, profile_of, subspace
from codesign.study.touched import chips_of, entries, rank
from codesign.system import audit, best_system, columns
from codesign.system import offers as supply
from codesign.system.key import SystemKey, key_of
from codesign.system.layouts import Ints
from codesign.system.mode import settled
from codesign.system.offers import Offer, Supply
from codesign.system.prepared import Prepared
from codesign.system.query import Query
from codesign.system.spaces import AnySpace
from formulations.solvers.outcome import Status

PHYSICS = ("usable_bytes", "bandwidth", "peak", "vector", "scale_up", "scale_up_bandwidth", "domain", "scale_out",
           "scale_out_bandwidth")  # fmt: skip
LIMITED = ("budget", "hourly", "power", "racks", "user_speed", "users", "replicas", "ttft")  # not of the space
MOST_KEPT = 64  # spaces


@dataclass(frozen=True)
class Point:
    """The answer to one changed query: `value` and proven `bound` of the objective in SI; no bound without proof."""

    status: str
    system: SystemKey | None
    batch: int | None
    value: float | None
    bound: float | None
    solves: int


@dataclass(frozen=True)
class Case:
    """A changed query and some of the chips on offer."""

    catalog: Catalog
    query: Query
    offers: tuple[Offer, ...]
    space: AnySpace


class Warm:
    """Holds what changed queries share; `own` is the user's folder over our catalogue."""

    def __init__(self, own: Path | None, query: Query, *, catalog: Catalog | None = None) -> None:
        if query.phases == "disaggregated":
            raise DataError("phases = 'disaggregated': what would change an answer is known for one pool, not for two")
        self.catalog = load(own, query.assumptions()) if catalog is None else catalog
        self.asked = query
        self.query = settled(self.catalog, query)
        self.supply = supply.supply(self.catalog, self.query)
        self.space = best_system.space_of(self.catalog, self.query, self.supply)
        self._offers = {offer.chip.name: offer for offer in self.supply.offers}
        self._ranks = [rank(offer.chip) for offer in self.supply.offers]
        self._numbers: dict[str, int] = {}
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}
        self._spaces: dict[Any, AnySpace] = {}
        self.rests: dict[frozenset[str], Any] = {}  # of `line`: the best of chips that a number does not touch

    def touched(self, paths: Iterable[str]) -> frozenset[str]:
        """Names of the chips on offer today whose value a change of these numbers can move."""
        paths = tuple(paths)
        found = entries(self.catalog, paths)
        if any(path in ASKED for path in paths) or any(folder == "prices" for folder, _ in found):
            return frozenset(self._offers)
        return frozenset(name for entry in found for name in self._known(entry) if name in self._offers)

    def _known(self, entry: tuple[str, str]) -> tuple[str, ...]:
        if entry not in self._names:
            self._names[entry] = tuple(chip.name for chip in chips_of(self.catalog, self.query, entry))
        return self._names[entry]

    def case(
        self, changes: Mapping[str, float], only: Collection[str] | None = None, *, without: Collection[str] = ()
    ) -> Case:
        """The changed query with the chips that are then on offer: those that `only` names, and none of `without`."""
        catalog, asked = changed(self.catalog, self.query, changes)
        offers = self._changed_offers(
            catalog, asked, tuple(changes), lambda name: (only is None or name in only) and name not in without
        )
        return Case(catalog, asked, offers, self._space(catalog, asked, offers))

    def _changed_offers(
        self, catalog: Catalog, query: Query, paths: tuple[str, ...], wanted: Callable[[str], bool]
    ) -> tuple[Offer, ...]:
        found = entries(catalog, paths)
        touching = [entry for entry in found if entry[0] != "prices"]
        gone = {name for entry in touching for name in self._known(entry)}
        kept = [o for name, o in self._offers.items() if name not in gone and wanted(name)]
        fresh = {chip.name: chip for entry in touching for chip in chips_of(catalog, query, entry)
                 if wanted(chip.name)}  # fmt: skip
        if query.available_by != self.query.available_by:
            kept, fresh = [], {c.name: c for c in readers.all_chips(catalog, query.hardware)
                               if wanted(c.name)}  # fmt: skip
        money = readers.economics(catalog.get(EconomicsRecord, "default"))
        asked_more = query.limits.power is not None and self.query.limits.power is None  # a chip's power must be known
        if len(touching) < len(found) or asked_more:  # prices: every bill
            kept = list(supply.offered(catalog, query, [offer.chip for offer in kept], money)[0])
        made = supply.offered(catalog, query, fresh.values(), money)[0]
        return tuple(sorted((*kept, *made), key=lambda offer: rank(offer.chip)))

    def _space(self, catalog: Catalog, query: Query, offers: tuple[Offer, ...]) -> AnySpace:
        if not self._same_physics(query, offers):
            money = self.supply.economics
            return best_system.space_of(catalog, query, Supply(offers, (), money, self.supply.achieved))
        names = tuple(offer.chip.name for offer in offers)
        if len(names) == len(self._offers):
            return self.space
        if names not in self._spaces:
            if len(self._spaces) >= MOST_KEPT:
                self._spaces.clear()
            positions = {name: i for i, name in enumerate(self._offers)}
            self._spaces[names] = subspace(self.space, [positions[name] for name in names])
        return self._spaces[names]

    def _same_physics(self, query: Query, offers: tuple[Offer, ...]) -> bool:
        return _timed(query) == _timed(self.query) and all(
            offer.chip.name in self._offers and _times_alike(offer.chip, self._offers[offer.chip.name].chip)
            for offer in offers
        )

    def number(self, name: str) -> int:
        """A number for a chip's name, the same ever after."""
        return self._numbers.setdefault(name, len(self._numbers))

    def known_numbers(self) -> Mapping[str, int]:
        """The numbers of all names so far."""
        return self._numbers

    def numbers(self, offers: tuple[Offer, ...]) -> Ints:
        """The numbers of chips on offer."""
        return np.array([self.number(offer.chip.name) for offer in offers], dtype=np.int64)

    def profile(self, case: Case, money: Case | None = None) -> Profile:
        """The best of every layout of a case; `money` takes limits and bills from another case of the same chips."""
        bills = case if money is None else money
        servers = columns.servers_of(case.space, bills.offers)
        query = bills.query.model_copy(update={"mode": case.query.mode})
        return self._profile(query, case, columns.columns_of(query, case.space, servers))

    def _profile(self, query: Query, case: Case, cols: columns.Columns) -> Profile:
        order = np.array([self._order(offer.chip) for offer in case.offers], dtype=np.int64)
        return profile_of(query, case.space, cols, self.numbers(case.offers), order)

    def _order(self, chip: Chip) -> int:
        """Where a chip stands among all of them, also one that is not on offer today."""
        known = rank(chip)
        place = bisect_left(self._ranks, known)
        today = place < len(self._ranks) and self._ranks[place] == known
        return (place if today else max(place - 1, 0)) << 8 | min(chip.stacks or 0, 255)

    def system(self, case: Case, found: Profile, position: int) -> SystemKey:
        """The system at a position of a profile of the case."""
        at = int(found.at[position])
        return key_of(case.offers[int(case.space.chip[at])].chip, case.space.layout(at), int(found.replicas[position]))

    def at(self, changes: Mapping[str, float], *, proven: bool = False) -> Point:
        """The best system of the query with these numbers, by closed form; `proven`: by the program, and audited."""
        case = self.case(changes)
        servers = columns.servers_of(case.space, case.offers)
        cols = columns.columns_of(case.query, case.space, servers)
        found = self._profile(case.query, case, cols)
        best = found.best()
        value = None if best is None else self.objective(float(found.merit[best]))
        bound, solves, status = None, 0, "infeasible" if best is None else "best"
        if proven:
            money = readers.economics(case.catalog.get(EconomicsRecord, "default"))
            offered = Supply(case.offers, (), money, self.supply.achieved)
            prepared = Prepared(case.query, case.catalog, offered, case.space, servers, cols)
            solved = best_system.solve(prepared)
            bound, solves = case.query.objective.si(solved.bound()), solved.rounds
            status = solved.outcome.status.value
            if (solved.outcome.solution is None) != (best is None):
                raise AuditError(f"program: {status}, closed form: {value}")
            if best is not None and value is not None:
                proof = bound if solved.outcome.status is Status.OPTIMAL else None  # else it is no more than a bound
                self._audit(prepared, found, best, value, proof)
        system = None if best is None else self.system(case, found, best)
        return Point(status, system, None if best is None else self._batch(case, found, best), value, bound, solves)

    def objective(self, merit: float) -> float:
        """The objective in SI of a merit."""
        value = self.query.objective.si(merit if self.query.objective.kind == "ratio" else 1.0 / merit)
        if value is None:
            raise ValueError(f"merit = {merit!r}: must be positive")
        return value

    def _batch(self, case: Case, found: Profile, best: int) -> int:
        """Users of one stage; for cost the fewest with which the replicas serve all."""
        users, batch = case.query.limits.users, int(found.batch[best])
        if case.query.objective.kind != "cost" or users is None:
            return batch
        return -(-users // int(case.space.pipeline[int(found.at[best])] * found.replicas[best]))

    def _audit(self, p: Prepared, found: Profile, best: int, value: float, bound: float | None) -> None:
        """The domain's own formulas give the same value, and it meets the bound; AuditError otherwise."""
        at = int(found.at[best])
        batch = self._batch(Case(p.catalog, p.query, p.supply.offers, p.space), found, best)
        offer = p.supply.offers[int(p.space.chip[at])]
        system = audit.System(offer, p.space.layout(at), batch, int(found.replicas[best]))
        true = audit.recompute(p.query, p.space.model, p.supply, system).value
        audit.agree("objective", true, value)
        if bound is not None:
            audit.agree("bound", value, bound)


def narrowed(case: Case, names: Collection[str]) -> Case:
    """The case with the chips of these names alone."""
    if all(offer.chip.name in names for offer in case.offers):
        return case
    kept = [i for i, offer in enumerate(case.offers) if offer.chip.name in names]
    return Case(case.catalog, case.query, tuple(case.offers[i] for i in kept), subspace(case.space, kept))


def _timed(query: Query) -> Query:
    """What of a query the space of layouts rests on."""
    free = {"limits": query.limits.model_copy(update=dict.fromkeys(LIMITED)), "spare_servers": 0, "available_by": None}
    return query.model_copy(update={**free, "assume": {}, "cost": {}})


def _times_alike(one: Chip, other: Chip) -> bool:
    return one is other or all(getattr(one, name) == getattr(other, name) for name in PHYSICS)

