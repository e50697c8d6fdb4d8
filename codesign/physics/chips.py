"""Chips, links, servers and dies of the catalogue in SI: records in, hardware out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codesign.facts.catalog import Catalog
from codesign.facts.collective_table import Collective
from codesign.facts.errors import DataError
from codesign.facts.fact import Fact
from codesign.facts.memo import by_identity
from codesign.facts.records import (
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
)
from codesign.physics import cost, hardware
from codesign.physics.collective_table import with_table
from codesign.physics.hardware import Chip, Die, Link, MemoryTechnology, Package, Process, Server


def _si(fact: Fact | None) -> float | None:
    return None if fact is None else fact.si


def _whole(fact: Fact | None) -> int | None:
    return None if fact is None else int(fact.si)


def link(record: LinkRecord, stand_ins: Iterable[LinkRecord] = ()) -> Link:
    """The link in SI; collectives that it lacks are those of the first of `stand_ins` that has them."""
    return _link(record, *stand_ins)


@by_identity(256)
def _link(record: LinkRecord, *stand_ins: LinkRecord) -> Link:
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


@by_identity(256)
def server(record: ServerRecord) -> Server:
    """The server in SI."""
    return Server(record.name, int(record.chips.si), int(record.per_rack.si), _si(record.price), _si(record.power))


@by_identity(256)
def economics(record: EconomicsRecord) -> cost.Economics:
    """The economics in SI."""
    r = record
    return cost.Economics(
        r.network.si, r.facility.si, r.electricity.si, r.pue.si, r.load.si, r.depreciation.si,
        r.facility_life.si, r.cost_of_money.si, r.upkeep.si, r.utilisation.si,
    )  # fmt: skip


@by_identity(256)
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


def _links(catalog: Catalog, c: Connections) -> list[Link | None]:
    """Scale-up and scale-out."""
    named = [None if name is None else catalog.get(LinkRecord, name) for name in (c.scale_up, c.scale_out)]
    return [None if one is None else link(one, stand_ins(catalog, one)) for one in named]


def _joined(c: Connections, up: Link | None, out: Link | None) -> _Joined:
    """A chip without a scale-up link is a domain of its own."""
    domain = 1 if up is None and c.domain is None else _whole(c.domain)
    return _Joined(up, _si(c.scale_up_bandwidth), domain, out, _si(c.scale_out_bandwidth))


def chip(catalog: Catalog, record: ChipRecord) -> Chip:
    """The catalogue chip in SI."""
    bought = None if record.server is None else server(catalog.get(ServerRecord, record.server))
    up, out = _links(catalog, record.connections)
    return _measured(catalog, _chip(record, catalog.get(MemoryRecord, record.memory).family, up, out, bought))


@by_identity(4096)
def _chip(r: ChipRecord, family: str, up: Link | None, out: Link | None, bought: Server | None) -> Chip:
    j = _joined(r.connections, up, out)
    paths = [f"chips.{r.name}", f"memory.{r.memory}"] + [f"links.{x.name}" for x in (j.scale_up, j.scale_out) if x]
    return Chip(
        r.name, r.title, r.vendor, r.status, r.memory, family, _whole(r.stacks),
        _si(r.raw_memory), _si(r.usable_memory), _si(r.bandwidth), _peaks(r.peak), _si(r.peak.vector), _si(r.power),
        j.scale_up, j.scale_up_bandwidth, j.domain, j.scale_out, j.scale_out_bandwidth, bought,
        _si(r.price), _si(r.manufacturing_cost), _si(r.hyperscaler), _si(r.rent), _whole(r.available),
        paths=tuple(paths + ([] if bought is None else [f"servers.{bought.name}"])),
    )  # fmt: skip


def _measured(catalog: Catalog, one: Chip) -> Chip:
    """The chip with the user's own collectives where there are some."""
    return one if catalog.collectives is None else with_table(one, catalog.collectives)


def die(catalog: Catalog, record: DieRecord) -> Die:
    """The die in SI."""
    up, out = _links(catalog, record.connections)
    return _die(record, up, out, server(catalog.get(ServerRecord, record.server)))


@by_identity(256)
def _die(r: DieRecord, up: Link | None, out: Link | None, bought: Server) -> Die:
    j = _joined(r.connections, up, out)
    return Die(
        r.name, r.title, r.vendor, r.process, r.package, int(r.dies.si), r.die_area.si, r.harvest.si,
        _peaks(r.peak), _si(r.peak.vector), r.logic_power.si, tuple(r.interfaces), r.shoreline.si, r.pin_rate.si,
        r.usable.si, {k: v.si for k, v in r.usable_with.items()},
        j.scale_up, j.scale_up_bandwidth, j.domain, j.scale_out, j.scale_out_bandwidth,
        bought, r.test.si, r.assembly_yield.si, r.margin.si, r.nre.si,
        int(r.volume.si), int(r.available.si),
    )  # fmt: skip


def composed(catalog: Catalog) -> Iterator[Chip]:
    """Every die with every number of stacks of every memory that its interface, edge and package take."""
    memories = [memory(record) for record in catalog.all(MemoryRecord)]
    for record in catalog.all(DieRecord):
        base = die(catalog, record)
        p, q = catalog.get(ProcessRecord, base.process), catalog.get(PackageRecord, base.package)
        for technology in [m for m in memories if m.kind in base.interfaces]:
            for one in _stacked(base, p, q, technology):
                yield _measured(catalog, one)


@by_identity(4096)
def _stacked(base: Die, p: ProcessRecord, q: PackageRecord, technology: MemoryTechnology) -> tuple[Chip, ...]:
    """The die with each number of stacks of a memory; DataError where it cannot be made."""
    package, found = Package(q.name, q.price.si, int(q.most_stacks.si)), []
    most = hardware.most_stacks(base, technology, package)
    process = Process(p.name, p.wafer_price.si, p.wafer_diameter.si, p.defect_density.si, p.clustering.si)
    for stacks in range(1, most + 1):
        try:
            made = cost.manufacturing_usd(base, process, package, technology, stacks)
        except ValueError as error:
            raise DataError(f"dies/{base.name}.toml with processes/{p.name}.toml: {error}") from error
        sold = None if made is None else cost.sold_usd(made, base.margin, base.nre_usd, base.volume)
        found.append(hardware.compose(base, technology, stacks, package, cost_usd=made, price_usd=sold))
    return tuple(found)


def all_chips(catalog: Catalog, hardware_kind: str = "any") -> Iterator[Chip]:
    """Catalogue chips, composed chips, or both."""
    if hardware_kind != "composed":
        yield from (chip(catalog, record) for record in catalog.all(ChipRecord))
    if hardware_kind != "catalogue":
        yield from composed(catalog)
