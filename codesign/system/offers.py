"""The chips that a query may use: catalogue and composed, allowed, priced on one basis, complete.

A chip that lacks a number which the query needs is left out with that reason. Nothing is filled in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from codesign.facts.catalog import Catalog, unknown
from codesign.facts.errors import DataError
from codesign.facts.records import (
    AchievedRecord,
    EconomicsRecord,
    MemoryRecord,
)
from codesign.physics import cost
from codesign.physics.chips import all_chips, economics
from codesign.physics.hardware import Chip
from codesign.system.query import Choice, Query, option_name


@dataclass(frozen=True)
class Offer:
    """A chip that can be used, and the bill of one server full of it."""

    chip: Chip
    bill: cost.ServerBill


@dataclass(frozen=True)
class LeftOut:
    """A chip, or a die with a memory, that was allowed but cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Supply:
    """What a query may choose from, and what it may not."""

    offers: tuple[Offer, ...]
    left_out: tuple[LeftOut, ...]
    economics: cost.Economics
    achieved: AchievedRecord | None = None  # mode achieved


def _names(one: Chip) -> Mapping[str, set[str]]:
    return {"memories": {one.memory, one.family}, "chips": {one.name, one.die or one.name}, "vendors": {one.vendor}}


def allowed(query: Query, one: Chip) -> bool:
    """Whether the query's lists and year let the chip in."""
    if query.available_by is not None and one.available is not None and one.available > query.available_by:
        return False
    if query.allow == query.forbid == Choice():
        return True
    for key, names in _names(one).items():
        wanted, unwanted = getattr(query.allow, key), getattr(query.forbid, key)
        if (wanted and not names & set(wanted)) or names & set(unwanted):
            return False
    return True


def lacking(query: Query, one: Chip) -> tuple[str, ...]:
    """The numbers that this query needs and the chip does not have, as catalogue names."""
    needed: dict[str, float | None] = {"usable_memory": one.usable_bytes, "bandwidth": one.bandwidth}
    if query.mode == "limit":
        needed["peak.vector"] = one.vector
    if not any(p in one.peak for p in query.precision) and not (query.mode == "achieved" and "bf16" in one.peak):
        needed["peak." + "|".join(query.precision)] = None
    if one.scale_up is not None:
        needed |= {"connections.scale_up_bandwidth": one.scale_up_bandwidth, "connections.domain": one.domain}
    if query.limits.power is not None or query.objective.needs_power:
        needed["power"] = one.power_w
        needed["server.power"] = None if one.server is None else one.server.power_w
    if query.available_by is not None:
        needed["available"] = one.available
    names = [name for name, value in needed.items() if value is None]
    return tuple(dict.fromkeys(names + list(cost.missing(one, query.basis, query.price_basis))))


def unmeasured(catalog: Catalog, query: Query, one: Chip) -> str:
    """Why mode achieved has no constants for a chip under the query's prior; empty where it has."""
    record, prior = catalog.get(AchievedRecord, "default"), query.serving.prior or "none"
    family = record.family_of(one.name)
    if one.name in record.fit.chips or prior == "all" or (prior == "family" and family in record.family):
        return ""
    if prior == "family":
        return "no measured runs of its family; --prior all takes the mean of all chips"
    if family in record.family:
        return "no measured runs; --prior family takes what its family reaches"
    return "no measured runs, nor of its family; --prior all takes the mean of all chips"


def supply(catalog: Catalog, query: Query) -> Supply:
    """What the query may choose from; DataError names an allowed or forbidden name that does not exist."""
    chips = list(all_chips(catalog, query.hardware))
    _check_names(query, chips, catalog)
    money = economics(catalog.get(EconomicsRecord, "default"))
    offers, left_out = offered(catalog, query, chips, money)
    constants = catalog.get(AchievedRecord, "default") if query.mode == "achieved" else None
    return Supply(offers, left_out, money, constants)


def offered(
    catalog: Catalog, query: Query, chips: Iterable[Chip], money: cost.Economics
) -> tuple[tuple[Offer, ...], tuple[LeftOut, ...]]:
    """Those of `chips` that the query allows and that have every number that it needs, and those that lack one."""
    offers, left_out = [], {}
    for one in chips:
        if not allowed(query, one):
            continue
        shown = one.name if one.die is None else f"{one.die}+{one.memory}"
        if one.status == "internal" and query.basis == "buy" and one.name not in query.allow.chips:
            left_out[shown] = "its maker does not sell it; name it with --chip, or use --basis rent"
        elif query.mode == "achieved" and (reason := unmeasured(catalog, query, one)):
            left_out[shown] = reason
        elif absent := lacking(query, one):
            left_out[shown] = "no " + ", ".join(absent)
        else:
            offers.append(Offer(one, cost.server_bill(one, money, basis=query.basis, price_basis=query.price_basis)))
    return tuple(offers), tuple(LeftOut(*item) for item in left_out.items())


def _check_names(query: Query, chips: list[Chip], catalog: Catalog) -> None:
    everything = chips if query.hardware == "any" else list(all_chips(catalog))
    for table, choice in (("allow", query.allow), ("forbid", query.forbid)):
        for key in Choice.model_fields:
            known = set().union(*(_names(one)[key] for one in everything))
            if key == "memories":
                known |= {n for m in catalog.all(MemoryRecord) for n in (m.name, m.family)}
            for name in getattr(choice, key):
                if name not in known:
                    raise DataError(unknown(f"{option_name(f'{table}.{key}')} ({table}.{key})", name, sorted(known)))
