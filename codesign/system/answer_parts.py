"""Parts of an answer that one pool and two have in common: what was asked, money, where numbers are from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from codesign.facts.catalog import Catalog, split_path
from codesign.facts.document import InputPart
from codesign.facts.records import ModelRecord, numbers
from codesign.facts.version import __version__
from codesign.physics.cost import ServerBill
from codesign.physics.performance import Layout
from codesign.physics.serving import Deployment
from codesign.system.answer import Answer, MoneyPart, SystemPart
from codesign.system.audit import System
from codesign.system.cures import Cures
from codesign.system.prepared import Looked, Question
from codesign.system.query import Query

DOUBTFUL = ("unverified", "assumed", "announced")


class Counted(Protocol):
    """Servers, chips and racks that an audit found."""

    @property
    def servers(self) -> int: ...
    @property
    def servers_bought(self) -> int: ...
    @property
    def chips_bought(self) -> int: ...
    @property
    def racks(self) -> int: ...


class Paid(Protocol):
    """Money and power that an audit found."""

    @property
    def capital_usd(self) -> float | None: ...
    @property
    def hourly_usd(self) -> float: ...
    @property
    def usd_per_mtok(self) -> float: ...
    @property
    def power_w(self) -> float | None: ...


def weights(layout: Layout | Deployment) -> str:
    """Precision of a layout's weights."""
    return layout.precision if isinstance(layout, Deployment) else layout.weights


def system(s: System, a: Counted) -> SystemPart:
    """What to buy and how to run it."""
    chip, layout = s.offer.chip, s.layout
    return SystemPart(
        chip=chip.name, title=chip.title, vendor=chip.vendor, composed=chip.die is not None, memory=chip.memory,
        memory_family=chip.family, stacks=chip.stacks, tensor=layout.tensor, pipeline=layout.pipeline,
        expert=layout.expert, data=getattr(layout, "data", 1), weights=weights(layout), kv=layout.kv,
        chips_per_replica=layout.chips,
        replicas=s.replicas, batch=s.batch, users_per_replica=layout.pipeline * s.batch, servers=a.servers,
        servers_bought=a.servers_bought, chips_bought=a.chips_bought, racks=a.racks,
    )  # fmt: skip


def money(p: Question, bills: Sequence[tuple[ServerBill, int]], a: Paid) -> MoneyPart:
    """Dollars and watts of so many servers of each bill, together."""
    economy = p.supply.economics
    capital: dict[str, float] = {}
    hourly: dict[str, float] = {}
    for bill, n in bills:
        each = {"chips": bill.chips_usd, "servers": bill.server_usd, "network": bill.network_usd,
                "facility": bill.facility_usd}  # fmt: skip
        for name, usd in each.items():
            if usd is not None:
                capital[name] = capital.get(name, 0.0) + usd * n
        for name, usd in bill.hourly.items():
            hourly[name] = hourly.get(name, 0.0) + usd * n
    return MoneyPart(
        capital_usd=a.capital_usd, capital=capital, hourly_usd=a.hourly_usd, hourly=hourly,
        usd_per_mtok=a.usd_per_mtok, utilisation=economy.utilisation, power_w=a.power_w,
        facility_w=None if a.power_w is None else a.power_w * economy.pue * economy.load,
    )  # fmt: skip


def asked(p: Question) -> dict[str, Any]:
    """Mode, query, and the chips that were left out."""
    query = p.query.model_dump(by_alias=True, exclude_none=True, mode="json")
    return {"mode": p.query.mode or "", "query": query, "left_out": {x.name: x.reason for x in p.supply.left_out}}


def behind(p: Question, systems: Sequence[System]) -> dict[str, Any]:
    """Every number behind the systems with its source, hashes of their entries, versions."""
    chips = tuple(dict.fromkeys(path for s in systems for path in s.offer.chip.paths))
    fitted = [] if p.supply.achieved is None else ["achieved.default"]
    inputs = tuple(inputs_of(p.catalog, (*chips, "prices.default"), [p.query.model])) if systems else ()
    return {
        "inputs": inputs,
        "unverified": unverified(inputs),
        "catalogue": p.catalog.digest(),
        "hashes": {x: p.catalog.hashes[x] for x in (f"models.{p.query.model}", "prices.default", *fitted, *chips)},
        "versions": versions(),
    }


def unverified(inputs: Iterable[InputPart]) -> tuple[str, ...]:
    """The numbers that nobody could verify, in words."""
    return tuple(f"{i.path} = {i.value} ({i.confidence})" for i in inputs if i.confidence in DOUBTFUL)


def versions() -> dict[str, str]:
    """Of what an answer is computed with."""
    return {name: version_of(name) for name in ("codesign", "highspy", "pyomo", "numpy")}


def version_of(name: str) -> str:
    """Of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return __version__ if name == "codesign" else "unknown"


def inputs_of(catalog: Catalog, paths: Iterable[str], models: Iterable[str]) -> Iterable[InputPart]:
    """Every number of the entries, with its source; a model's shape counts as one."""
    for path in paths:
        folder, name, _ = split_path(path, catalog.records)
        for key, fact in numbers(catalog.records[folder][name]):
            yield InputPart(path=f"{path}.{key}", value=str(fact.value), unit=fact.unit, si=fact.si,
                            source=fact.source, date=fact.date, confidence=fact.confidence)  # fmt: skip
    for model in (catalog.get(ModelRecord, name) for name in models):
        yield InputPart(path=f"models.{model.name}", value="shape", unit="", si=None, source=model.source,
                        date=model.date, confidence=model.confidence)  # fmt: skip


def infeasible(p: Question, cures: Cures, assumptions: tuple[str, ...]) -> Answer:
    """The document of a query that nothing satisfies."""
    if not p.supply.offers:
        way = "no chip is allowed that has every number this query needs; see left_out"
    elif cures.parts:
        way = "; ".join(f"{c.asked} ({c.limit}): alone, {c.works} would work" for c in cures.parts)
    elif cures.late:
        way = "not known in the time given"
    else:
        way = "no single limit: at least two of them must give"
    return Answer(status="infeasible", in_the_way=way, cures=cures.parts, not_looked_for=cures.late,
                  assumptions=assumptions, **asked(p), **behind(p, []))  # fmt: skip


@dataclass(frozen=True)
class Search:
    """How a program was solved: its columns, those left after removal, its effort, and its bound (SI)."""

    columns: int
    solved: int
    solves: int
    nodes: int
    seconds: Mapping[str, float]
    bound: float | None

    def counts(self) -> dict[str, Any]:
        """As a proof tells it."""
        return {"columns": self.columns, "removed": self.columns - self.solved, "solved": self.solved,
                "solves": self.solves, "nodes": self.nodes, "seconds": dict(self.seconds)}  # fmt: skip


PROVEN = 1e-6  # relative: nearer than this, value and bound are one


def proof_of(query: Query, value: float, program: float | None, every: Looked) -> dict[str, Any]:
    """Bound, gap, method and points: the program's bound (SI) and the best of a complete enumeration, whichever is
    nearer to the value.

    The enumeration bounds everything whatever time the program had, and the program whatever the enumeration did.
    """
    best = None if every.found is None else every.found.value
    gaps = {name: _gap(query, value, bound) for name, bound in (("program", program), ("enumeration", best))}
    by = [name for name, gap in gaps.items() if gap is not None and gap <= PROVEN]
    known = [(gap, bound) for gap, bound in zip(gaps.values(), (program, best), strict=True) if gap is not None]
    # the program's own number where it is a proof
    gap, bound = known[0] if by[:1] == ["program"] else min(known, key=lambda x: x[0], default=(None, None))
    return {
        "bound": bound, "gap": gap, "method": "both" if len(by) == 2 else by[0] if by else "none",
        "enumerated": None if every.found is None else every.found.points, "not_enumerated": every.why_not,
    }  # fmt: skip


def _gap(query: Query, value: float, bound: float | None) -> float | None:
    """Share of the value by which a bound is better; None: no bound, or a free system and a bound below it."""
    if bound is None:
        return None
    apart = max(0.0, (-1 if query.maximize == "cost" else 1) * (bound - value))
    return 0.0 if apart == 0 else apart / abs(value) if value else None


def money_said(p: Question) -> list[str]:
    """What money, power and assumed numbers take for granted."""
    q = p.query
    said = [
        f"prices: {q.basis}, {'as sold' if q.price_basis == 'sold' else 'at manufacturing cost'}; "
        + ("capital is chips, servers, network and facility" if q.basis == "buy" else "a chip-hour is all-in"),
        "power is provisioned IT power; whole servers are bought",
        *([_repayment(p)] if q.basis == "buy" else []),
        f"dollars per million tokens at {p.supply.economics.utilisation:.0%} utilisation",
    ]
    said += [f"assumed by the user: {path} = {value}" for path, value in q.assumptions().items()]
    if q.spare_servers:
        said.append(f"{q.spare_servers} spare servers are bought and kept idle")
    return said


def _repayment(p: Question) -> str:
    e = p.supply.economics
    return (f"capital is repaid in {e.depreciation_years:g} years (facility {e.facility_years:g}) at "
            f"{e.cost_of_money:.1%} a year, upkeep {e.upkeep:.1%} of it a year, electricity "
            f"${e.electricity_usd_per_j * 3.6e6:g}/kWh at PUE {e.pue:g}")  # fmt: skip
