"""The chips that a query may use: catalogue and composed, allowed, priced on one basis, complete.

A chip that lacks a number which the query needs is left out with that reason. Nothing is filled in.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from codesign import cost, hardware
from codesign.catalog import Catalog, unknown
from codesign.collective_table import with_table
from codesign.errors import DataError
from codesign.facts import Fact
from codesign.hardware import Chip, Collective, Die, Link, MemoryTechnology, Package, Process, Server
from codesign.query import Choice, Query, option_name
from codesign.records import (
    AchievedRecord,
    ChipRecord,
    Connections,
    DieRecord,
    EconomicsRecord,
    LinkRecord,
    MemoryRecord,
    PackageRecord,
    PeakRates,
    ProcessRecord,
    ServerRecord,
)  # fmt: skip


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


def _si(fact: Fact | None) -> float | None:
    return None if fact is None else fact.si


def _whole(fact: Fact | None) -> int | None:
    return None if fact is None else int(fact.si)


def link(record: LinkRecord, stand_ins: Iterable[LinkRecord] = ()) -> Link:
    """The link in SI; collectives that it lacks are those of the first of `stand_ins` that has them."""
    found: dict[tuple[str, int], Collective] = {}
    for one in (record, *stand_ins):
        for c in one.collectives:
            derived = "" if one is record else f"derived: {record.name} is taken to be like {one.name}; "
            basis = (f"{derived}{c.confidence}, {one.name}, {c.source} {c.date}, "
                     f"fit error {c.median_error:.1%} median, {c.largest_error:.1%} largest")  # fmt: skip
            found.setdefault((c.op, c.group), Collective(c.op, c.group, c.bytes, c.seconds,
                                                         _si(one.measured_bandwidth), basis))  # fmt: skip
    return Link(record.name, tuple((x.group, x.latency.si) for x in record.limit), record.hop.si,
                tuple(found[key] for key in sorted(found)))  # fmt: skip


def stand_ins(catalog: Catalog, record: LinkRecord) -> list[LinkRecord]:
    """The links that stand in for one, nearest first; DataError for an unknown link or a circle."""
    found = [record]
    while (like := found[-1].like) is not None:
        if like.link in {one.name for one in found}:
            raise DataError(f"links/{found[-1].name}.toml: like.link = {like.link!r} leads back to {record.name}.toml")
        found.append(catalog.get(LinkRecord, like.link))
    return found[1:]


def server(record: ServerRecord) -> Server:
    """The server in SI."""
    return Server(record.name, int(record.chips.si), int(record.per_rack.si), _si(record.price), _si(record.power))


def economics(record: EconomicsRecord) -> cost.Economics:
    """The economics in SI."""
    r = record
    return cost.Economics(
        r.network.si, r.facility.si, r.electricity.si, r.pue.si, r.load.si, r.depreciation.si,
        r.facility_life.si, r.cost_of_money.si, r.upkeep.si, r.utilisation.si,
    )  # fmt: skip


def memory(record: MemoryRecord) -> MemoryTechnology:
    """The memory technology in SI."""
    r = record
    return MemoryTechnology(
        r.name, r.title, r.kind, r.family, _si(r.capacity), _si(r.bandwidth), _whole(r.bus_width), _si(r.energy),
        _si(r.shoreline), _si(r.footprint), _si(r.price), _whole(r.available),
    )  # fmt: skip


def _peaks(rates: PeakRates) -> dict[str, float]:
    return {name: fact.si for name in ("bf16", "fp8", "fp4", "int8") if (fact := getattr(rates, name)) is not None}


@dataclass(frozen=True)
class _Joined:
    scale_up: Link | None
    scale_up_bandwidth: float | None
    domain: int | None
    scale_out: Link | None
    scale_out_bandwidth: float | None


def _joined(catalog: Catalog, c: Connections) -> _Joined:
    """A chip without a scale-up link is a domain of its own."""
    up, out = (
        None if name is None else link(catalog.get(LinkRecord, name), stand_ins(catalog, catalog.get(LinkRecord, name)))
        for name in (c.scale_up, c.scale_out)
    )
    domain = 1 if up is None and c.domain is None else _whole(c.domain)
    return _Joined(up, _si(c.scale_up_bandwidth), domain, out, _si(c.scale_out_bandwidth))


def chip(catalog: Catalog, record: ChipRecord) -> Chip:
    """The catalogue chip in SI."""
    r, j = record, _joined(catalog, record.connections)
    paths = [f"chips.{r.name}", f"memory.{r.memory}"] + [f"links.{x.name}" for x in (j.scale_up, j.scale_out) if x]
    bought = None if r.server is None else server(catalog.get(ServerRecord, r.server))
    return _measured(catalog, Chip(
        r.name, r.title, r.vendor, r.status, r.memory, catalog.get(MemoryRecord, r.memory).family, _whole(r.stacks),
        _si(r.raw_memory), _si(r.usable_memory), _si(r.bandwidth), _peaks(r.peak), _si(r.peak.vector), _si(r.power),
        j.scale_up, j.scale_up_bandwidth, j.domain, j.scale_out, j.scale_out_bandwidth, bought,
        _si(r.price), _si(r.manufacturing_cost), _si(r.hyperscaler), _si(r.rent), _whole(r.available),
        paths=tuple(paths + ([] if bought is None else [f"servers.{bought.name}"])),
    ))  # fmt: skip


def _measured(catalog: Catalog, one: Chip) -> Chip:
    """The chip with the user's own collectives where there are some."""
    return one if catalog.collectives is None else with_table(one, catalog.collectives)


def die(catalog: Catalog, record: DieRecord) -> Die:
    """The die in SI."""
    r, j = record, _joined(catalog, record.connections)
    return Die(
        r.name, r.title, r.vendor, r.process, r.package, int(r.dies.si), r.die_area.si, r.harvest.si,
        _peaks(r.peak), _si(r.peak.vector), r.logic_power.si, tuple(r.interfaces), r.shoreline.si, r.pin_rate.si,
        r.usable.si, {k: v.si for k, v in r.usable_with.items()},
        j.scale_up, j.scale_up_bandwidth, j.domain, j.scale_out, j.scale_out_bandwidth,
        server(catalog.get(ServerRecord, r.server)), r.test.si, r.assembly_yield.si, r.margin.si, r.nre.si,
        int(r.volume.si), int(r.available.si),
    )  # fmt: skip


def composed(catalog: Catalog) -> Iterator[Chip]:
    """Every die with every number of stacks of every memory that its interface, edge and package take."""
    memories = [memory(record) for record in catalog.all(MemoryRecord)]
    for record in catalog.all(DieRecord):
        base = die(catalog, record)
        p, q = catalog.get(ProcessRecord, base.process), catalog.get(PackageRecord, base.package)
        process = Process(p.name, p.wafer_price.si, p.wafer_diameter.si, p.defect_density.si, p.clustering.si)
        package = Package(q.name, q.price.si, int(q.most_stacks.si))
        for technology in memories:
            for stacks in range(1, hardware.most_stacks(base, technology, package) + 1):
                try:
                    made = cost.manufacturing_usd(base, process, package, technology, stacks)
                except ValueError as error:
                    raise DataError(f"dies/{base.name}.toml with processes/{p.name}.toml: {error}") from error
                sold = None if made is None else cost.sold_usd(made, base.margin, base.nre_usd, base.volume)
                yield _measured(catalog, hardware.compose(
                    base, technology, stacks, package, cost_usd=made, price_usd=sold))  # fmt: skip


def all_chips(catalog: Catalog, hardware_kind: str = "any") -> Iterator[Chip]:
    """Catalogue chips, composed chips, or both."""
    if hardware_kind != "composed":
        yield from (chip(catalog, record) for record in catalog.all(ChipRecord))
    if hardware_kind != "catalogue":
        yield from composed(catalog)


def _names(one: Chip) -> Mapping[str, set[str]]:
    return {"memories": {one.memory, one.family}, "chips": {one.name, one.die or one.name}, "vendors": {one.vendor}}


def allowed(query: Query, one: Chip) -> bool:
    """Whether the query's lists and year let the chip in."""
    if query.available_by is not None and one.available is not None and one.available > query.available_by:
        return False
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
    if query.limits.power is not None or query.maximize == "throughput-per-watt":
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
