"""Which designs to compare over scenarios, and their losses there.

Compared are the designs that are best in some scenario or today, with every number of replicas, and every rival:
a design with no more regret than the best of these in each scenario, or never worth less than the best of these
at its worst. Any other design has a larger regret in some scenario, and is worth less in some scenario, than a
design that is compared, so neither choice can miss it: both are best over all layouts and replica counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.facts.errors import AuditError
from codesign.study.designs import Designs, Kind, Merits, kinds_of, merits
from codesign.study.profile import profile_of
from codesign.study.scenario import Asked
from codesign.study.uncertainty import Scenario
from codesign.system.columns import counted_of, most_replicas
from codesign.system.layouts import Floats, Ints
from codesign.system.prepared import Prepared

SLACK = 1e-9         # relative; a design this near to a threshold is compared
Bools = np.ndarray[Any, np.dtype[np.bool_]]
FIRST = 8            # scenarios that rivals are sought in one by one; the rest are left to `Values.rivals`
MOST_RIVALS = 20_000


@dataclass(frozen=True)
class Values:
    """Designs x scenarios: merit (0: breaks a limit), batch, broken limits; `best` is the best merit by scenario."""

    designs: Designs
    merit: Floats
    batch: Ints
    broken: Ints
    best: Floats

    def __post_init__(self) -> None:
        over = self.merit > self.best * (1 + 1e-6)
        if over.any():
            i, s = (int(x[0]) for x in np.nonzero(over))
            raise AuditError(f"design {i} has {self.merit[i, s]!r} in scenario {s}, the proven best {self.best[s]!r}")

    @property
    def regret(self) -> Floats:
        """1 - value / best, and 1 where a limit is broken."""
        found: Floats = np.clip(1 - self.merit / self.best, 0.0, 1.0)
        return found

    @property
    def short(self) -> Floats:
        """1 - value / the largest value anywhere: least at its worst for the design that is best in its worst."""
        found: Floats = np.clip(1 - self.merit / max(self.merit.max(), 1e-300), 0.0, 1.0)
        return found

    @property
    def fits(self) -> Floats:
        """Share of scenarios in which each design keeps every limit."""
        found: Floats = (self.broken == 0).mean(axis=1)
        return found

    def only(self, keep: Ints) -> "Values":
        """Those of the designs at `keep`."""
        return Values(self.designs.only(keep), self.merit[keep], self.batch[keep], self.broken[keep], self.best)

    def rivals(self, thresholds: "Thresholds") -> Ints:
        """Positions of the designs that pass in every scenario."""
        found: Ints = np.flatnonzero(thresholds.passed(self.merit, self.best))
        return found

    def joined(self, other: "Values") -> "Values":
        """With the designs of another that this one has not."""
        mine = set(zip(self.designs.code.tolist(), self.designs.replicas.tolist(), strict=True))
        theirs = zip(other.designs.code.tolist(), other.designs.replicas.tolist(), strict=True)
        add = other.only(np.array([i for i, key in enumerate(theirs) if key not in mine], dtype=np.int64))
        both = Designs(max(self.designs.kinds, other.designs.kinds, key=len),  # the longer begins with the shorter
                       np.concatenate([self.designs.code, add.designs.code]),
                       np.concatenate([self.designs.replicas, add.designs.replicas]))  # fmt: skip
        return Values(both, np.concatenate([self.merit, add.merit]), np.concatenate([self.batch, add.batch]),
                      np.concatenate([self.broken, add.broken]), self.best)  # fmt: skip


def values_of(designs: Designs, measured: Sequence[Merits], best: Floats) -> Values:
    """From one measurement for each scenario."""
    return Values(designs, np.stack([m.merit for m in measured], axis=1), np.stack([m.batch for m in measured], axis=1),
                  np.stack([m.broken for m in measured], axis=1), best)  # fmt: skip


@dataclass(frozen=True)
class Thresholds:
    """What a design must reach in every scenario to be a rival: a regret, or a merit. 1 and 0: nothing is known."""

    regret: float
    merit: float

    @property
    def known(self) -> bool:
        """Whether both thresholds exclude any design."""
        return self.regret < 1 and self.merit > 0

    def passed(self, merit: Floats, best: Floats) -> Bools:
        """Designs that are rivals in all scenarios given (designs x scenarios), for one choice or the other."""
        little_regret = np.all(merit >= best * (1 - self.regret) * (1 - SLACK), axis=1)
        found: Bools = np.logical_or(little_regret, np.all(merit >= self.merit * (1 - SLACK), axis=1))
        return found


def thresholds(values: Values, must_fit: float) -> Thresholds:
    """The least worst regret, and the greatest worst merit, of the designs that fit often enough."""
    often = np.flatnonzero(values.fits >= must_fit - SLACK)  # 57% is 0.5700000000000001
    if len(often) == 0:
        return Thresholds(1.0, 0.0)
    return Thresholds(float(values.regret[often].max(axis=1).min()), float(values.merit[often].min(axis=1).max()))


def with_every_count(designs: Designs) -> Designs:
    """Each layout with 1 .. the most replicas that it has in `designs`, the most first: fewer may keep a limit."""
    codes = np.unique(designs.code)
    most = [int(designs.replicas[designs.code == code].max()) for code in codes]
    pairs = [(int(code), r) for code, n in zip(codes, most, strict=True) for r in range(n, 0, -1)]
    return Designs(designs.kinds, *(np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1)))


def rivals(question: Asked, scenarios: Sequence[Scenario], best: Floats, kinds: tuple[Kind, ...], known: Thresholds
           ) -> Designs | None:  # fmt: skip
    """Designs that pass the thresholds in the first scenarios; None where they are too many to compare, or endless."""
    found = _layouts(question.at(scenarios[0]), kinds, known, float(best[0]))
    merit = np.zeros((0 if found is None else len(found), 0))
    for s, scenario in enumerate(scenarios[:FIRST]):
        if found is None or len(found) == 0:
            break
        merit = np.column_stack([merit, merits(question.at(scenario, found.chips), found).merit])
        keep = np.flatnonzero(known.passed(merit, best[: s + 1]))
        found, merit = found.only(keep), merit[keep]
    return found


def _layouts(p: Prepared, known_kinds: tuple[Kind, ...], known: Thresholds, best: float) -> Designs | None:
    """Every replica count of the layouts that pass in one scenario at their best count; None where there is no most."""
    kinds = kinds_of(p, known_kinds)
    number = {kind.name: i for i, kind in enumerate(kinds)}
    numbers = np.array([number[offer.chip.name] for offer in p.supply.offers], dtype=np.int64)
    profile = profile_of(p.query, p.space, p.columns, numbers, np.arange(len(numbers)))
    merit = profile.merit * (best / profile.merit.max())  # the program counts in milliseconds and thousands
    alive = np.flatnonzero(known.passed(merit[:, None], np.array([best])))
    at = profile.at[alive]
    most = np.minimum(most_replicas(p.query, p.space, p.servers)[at], _useful(p, at, known, best))
    if np.isinf(most).any() or most.sum() > MOST_RIVALS:
        return None
    counts = most.astype(np.int64)
    replicas = np.concatenate([np.arange(n, 0, -1) for n in counts.tolist()] or [np.zeros(0, dtype=np.int64)])
    return Designs(kinds, np.repeat(profile.code[alive], counts), replicas)


def _useful(p: Prepared, at: Ints, known: Thresholds, best: float) -> Floats:
    """Replicas beyond which a design of each layout passes no threshold, or gains nothing."""
    users = p.query.limits.users
    if p.query.objective.kind == "cost":
        least = min(best * (1 - known.regret), known.merit) * (1 - SLACK)
        each = counted_of(p.query, p.servers)[p.space.chip[at]]
        return np.floor(1 / (least * each) * p.servers.per_server[at] / p.servers.parcels[at])
    if p.query.objective.kind == "speed" and users is not None:
        return np.ceil(users / p.space.pipeline[at])
    return np.full(len(at), np.inf)
