"""A design that stays as it was bought while numbers change: chip, layout and replicas; its batch is free.

Its value is that of its best batch, and it is told which limits it then breaks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.facts.records import EconomicsRecord
from codesign.physics import chips
from codesign.study.query_study import Case, Warm
from codesign.system import audit
from codesign.system.columns import best_batch
from codesign.system.key import SystemKey, key_of
from codesign.system.offers import Supply
from codesign.system.query import Query

SHARED = ("budget", "hourly", "power", "chips", "racks", "replicas", "tensor", "users")


@dataclass(frozen=True)
class Kept:
    """Objective in SI (None: it does not run at all), batch, and the limits that the design breaks."""

    value: float | None
    batch: int | None
    breaks: tuple[str, ...]


def keep(warm: Warm, system: SystemKey, changes: Mapping[str, float]) -> Kept:
    """The design with these numbers; every value is the audit's, from the domain's own formulas."""
    case = warm.case(changes, {system.chip})
    position = _position(case, system)
    if position is None:
        return Kept(None, None, ("chip",))
    batch = int(best_batch(case.space, case.query.limits)[position])
    if batch < 1:
        room = int(np.where(case.space.reason == 0, case.space.room, 0)[position])
        return Kept(None, None, ("memory",) if room < 1 else ("user_speed",))
    found = [_audited(warm, case, system, position, b) for b in _batches(case, system, position, batch)]
    best = max(found, key=lambda a: case.query.objective.direction * a.value)
    users = system.replicas * int(case.space.pipeline[position])
    return Kept(best.value, best.users // users, _broken(case.query, system, best))


def _position(case: Case, system: SystemKey) -> int | None:
    """Where the design's layout is in the space of its chip."""
    for position in range(len(case.space)):
        chip = case.offers[int(case.space.chip[position])].chip
        if key_of(chip, case.space.layout(position), system.replicas) == system:
            return position
    return None


def _batches(case: Case, system: SystemKey, position: int, most: int) -> list[int]:
    """Batches that may be the best: the most, or where users per step peak; for speed the least."""
    users = case.query.limits.users or 1
    if case.query.objective.fewest:
        return [min(most, -(-users // (int(case.space.pipeline[position]) * system.replicas)))]
    at, least = np.array([position]), np.ones(1)
    peaks = [int(b) for here, batch in case.space.peaks(at, least, np.array([float(most)])) for b in batch[: len(here)]]
    return sorted({most, *peaks})


def _audited(warm: Warm, case: Case, system: SystemKey, position: int, batch: int) -> audit.Audited:
    limits = case.query.limits.model_copy(update=dict.fromkeys(SHARED))
    free = case.query.model_copy(update={"limits": limits})
    money = chips.economics(case.catalog.get(EconomicsRecord, "default"))
    offer = case.offers[int(case.space.chip[position])]
    bought = audit.System(offer, case.space.layout(position), batch, system.replicas)
    return audit.recompute(free, case.space.model, Supply(case.offers, (), money, warm.supply.achieved), bought)


def _broken(query: Query, system: SystemKey, a: audit.Audited) -> tuple[str, ...]:
    """Shared limits that the design takes more of than there is (users: serves fewer)."""
    limits = query.limits
    taken: dict[str, Any] = {
        "budget": a.capital_usd, "hourly": a.hourly_usd, "power": a.power_w, "chips": a.chips_bought, "racks": a.racks,
        "replicas": system.replicas, "tensor": system.tensor,
    }  # fmt: skip
    over = [name for name, amount in taken.items()
            if (limit := getattr(limits, name)) is not None and amount > limit * (1 + 1e-12)]  # fmt: skip
    return (*over, *(["users"] if limits.users is not None and a.users < limits.users else []))
