"""The answer to a plan in words and numbers: periods with servers, replicas and workloads, limits, sources."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from codesign.facts.document import LimitPart
from codesign.fleet.answer import KindPart, PeriodPart, ReplicaPart, ScenarioPart, WorkloadPart
from codesign.fleet.audit import Audited, Run, capacity, hourly, largest_vendor
from codesign.fleet.cases import Met, several
from codesign.fleet.kinds import depreciation
from codesign.fleet.prepared import Prepared
from codesign.fleet.quantities import at
from codesign.system.answer_parts import inputs_of, unverified, versions, weights

APART = ("pools apart: mean time to first token (M/D/1), caches over the scale-out links in full; a prefill pool may "
         "feed decode pools of other kinds")  # fmt: skip
SPACE = "fleets of servers with replicas of every column, in whole numbers, over all periods"


def periods_of(p: Prepared, a: Audited) -> tuple[PeriodPart, ...]:
    """Every period of an audited fleet."""
    return tuple(_period(p, a, i) for i in range(len(p.periods)))


def _period(p: Prepared, a: Audited, i: int) -> PeriodPart:
    name, period = p.periods[i], list(p.plan.periods.values())[i]
    runs = [run for run in a.fleet.runs if run.period == i]
    kinds = tuple(part for h in range(len(p.kinds.offers)) if (part := _kind(p, a, h, i)) is not None)
    paid = {kind.chip: kind.cost_usd for kind in kinds}
    in_use = {kind.chip: kind.used for kind in kinds}
    return PeriodPart(
        name=name, year=period.year, years=period.years, kinds=kinds,
        workloads=tuple(_workload(p, a, w, i, runs, paid, in_use) for w in p.workloads),
        replicas=_all_replicas(p, a, i),
        capital_usd=float(a.capital[i]), charge_usd=float(a.charge[i]), running_usd=float(a.running[i]),
        hourly_usd=float(hourly(p, a)[i]), power_w=_known(float(a.power[i])), racks=float(a.racks[i]),
        idle_usd=sum(kind.cost_usd for kind in kinds if kind.used == 0),
        limits=tuple(limits_of(p, a, i)),
    )  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _kind(p: Prepared, a: Audited, h: int, i: int) -> KindPart | None:
    """A kind in a period; None where it has nothing to do with it."""
    k, fleet = p.kinds, a.fleet
    offer, bill = k.offers[h], k.offers[h].bill
    owned, bought = int(a.owned[h, i]), int(fleet.bought[h, i])
    before = int(a.owned[h, i - 1]) if i else int(k.installed[h, 0])
    last = int(fleet.kept[h, i - 1]) if i else int(k.installed[h, 0])
    retired = max(0, min(last, int(k.installed[h, i])) - int(fleet.kept[h, i]))
    ended = before + bought - retired - owned
    if owned == bought == retired == ended == 0:
        return None
    cost = float((fleet.bought[h] * k.charge[h, :, i]).sum() + owned * k.running[h, i])
    return KindPart(
        chip=offer.chip.name, title=offer.chip.title, vendor=offer.chip.vendor, bought=bought, retired=retired,
        ended=ended, owned=owned, chips=owned * bill.chips, used=int(a.used[h, i]),
        spare=owned * bill.chips - int(a.used[h, i]), racks=owned / float(k.per_rack[h]),
        power_w=None if bill.power_w is None else bill.power_w * owned,
        capital_usd=float(bought * k.price[h, i]), cost_usd=cost,
    )  # fmt: skip


def _all_replicas(p: Prepared, a: Audited, i: int) -> tuple[ReplicaPart, ...]:
    """The replicas of a period by workload, phase and kind."""
    runs = sorted((run for run in a.fleet.runs if run.period == i), key=lambda run: (
        run.column.demand, run.column.phase, run.column.chip, -run.column.chips))  # fmt: skip
    return tuple(_replicas(p, a, run) for run in runs)


def _replicas(p: Prepared, a: Audited, run: Run) -> ReplicaPart:
    c, of, does = run.column, p.demands[run.column.demand], a.does[run.column]
    return ReplicaPart(
        workload=of.workload, input=of.length.input, output=of.length.output, phase=c.phase, chip=c.chip,
        tensor=c.layout.tensor, data=c.layout.data, pipeline=c.layout.pipeline, expert=c.layout.expert,
        weights=weights(c.layout), kv=c.layout.kv, batch=c.batch, meets=c.meets, replicas=run.replicas,
        chips_per_replica=c.layout.chips, parcels=c.parcels, size=c.size, requests=run.replicas * does.rate,
        user_speed=does.user_speed, ttft_s=does.ttft_s,
    )  # fmt: skip


def _workload(
    p: Prepared, a: Audited, name: str, i: int, runs: Sequence[Run], paid: Mapping[str, float],
    in_use: Mapping[str, int],
) -> WorkloadPart:  # fmt: skip
    mine = [d for d, of in enumerate(p.demands) if of.workload == name]
    here = [run for run in runs if run.column.demand in mine]
    served = {d: float(a.fleet.served[d, i]) for d in mine}
    able = {d: min(capacity([r for r in here if r.column.demand == d], a.does, x) for x in ("prefill", "decode"))
            for d in mine}  # fmt: skip
    chips = {phase: sum(r.replicas * r.column.chips for r in here if r.column.phase == phase)
             for phase in ("both", "prefill", "decode")}  # fmt: skip
    usd = sum(paid[r.column.chip] * r.replicas * r.column.chips / in_use[r.column.chip] for r in here)
    tokens = sum(x * p.demands[d].length.output for d, x in served.items())
    total = sum(able.values())
    return WorkloadPart(
        workload=name, requests=float(sum(p.requests[d, i] for d in mine)), served=sum(served.values()),
        served_by_length=tuple(served.values()),
        utilisation=max((served[d] / able[d] for d in mine if able[d] > 0), default=0.0),
        spare=max(0.0, total - sum(served.values())), chips=sum(chips.values()), prefill_chips=chips["prefill"],
        decode_chips=chips["decode"], tokens=tokens, usd=usd,
        usd_per_mtok=usd / (tokens * float(p.kinds.hours[i]) * 3600.0) * 1e6 if tokens > 0 else None,
    )  # fmt: skip


def scenario_of(p: Prepared, met: Met) -> ScenarioPart:
    """One case: what is asked, what is served, and by which replicas."""
    case, a, n = met.case, met.audited, range(len(p.periods))
    of = {name: [d for d, one in enumerate(p.demands) if one.workload == name] for name in p.workloads}
    asked = {name: tuple(float(case.demand[rows, i].sum()) for i in n) for name, rows in of.items()}
    served = {name: tuple(tuple(float(a.fleet.served[d, i]) for d in rows) for i in n) for name, rows in of.items()}
    return ScenarioPart(
        name=case.name, probability=case.probability, loss=case.loss, requests=asked, served_by_length=served,
        served={name: tuple(sum(x) / asked[name][i] if asked[name][i] else 1.0 for i, x in enumerate(served[name]))
                for name in of},
        replicas=tuple(_all_replicas(p, a, i) for i in n),
    )  # fmt: skip


def limits_of(p: Prepared, a: Audited, i: int) -> Iterator[LimitPart]:
    """Each limit that holds in a period: what is taken, and whether no further server (or kind) fits."""
    limits, k = p.plan.limits, p.kinds
    steps = step_of(p, i)
    for name, used, values, unit in (
        ("capital", a.capital, limits.capital, "USD"), ("hourly", hourly(p, a), limits.hourly, "USD/h"),
        ("power", a.power, limits.power, "W"), ("racks", a.racks, limits.racks, "1"),
    ):  # fmt: skip
        if values is not None:
            allowed, taken = float(at(values, i)), float(used[i])
            least = steps[name][0]
            yield LimitPart(name=name, used=taken, allowed=allowed, unit=unit, binding=taken + least > allowed)
    for h, offer in enumerate(k.offers):
        most, bought = float(k.supply[h, i]), int(a.fleet.bought[h, i])
        if math.isfinite(most):
            yield LimitPart(name=f"chips.{offer.chip.name}", used=float(bought * offer.bill.chips),
                            allowed=most * offer.bill.chips, unit="1", binding=bought >= most)  # fmt: skip
    if limits.kinds is not None:
        yield LimitPart(name="kinds", used=float(a.kinds), allowed=float(limits.kinds), unit="1",
                        binding=a.kinds >= limits.kinds)  # fmt: skip
    if limits.second_source is not None:
        most = largest_vendor(p, a.owned)
        yield LimitPart(name="largest vendor", used=most, allowed=1 - limits.second_source, unit="1",
                        binding=most > 1 - limits.second_source - 0.05)  # fmt: skip


def step_of(p: Prepared, i: int) -> dict[str, tuple[float, float]]:
    """What one server more takes of each limit in a period: of the kind that takes least, and most."""
    k = p.kinds
    offered = [h for h in range(len(k.offers)) if k.supply[h, i] > 0] or list(range(len(k.offers)))
    cost = [(float(k.charge[h, i, i]) + float(k.running[h, i])) / float(k.hours[i]) for h in offered]
    each = {"capital": [float(k.price[h, i]) for h in offered], "hourly": cost,
            "power": [float(k.watts[h]) for h in offered], "racks": [1 / float(k.per_rack[h]) for h in offered]}
    return {name: (min(values), max(values)) for name, values in each.items()}


def behind(p: Prepared, chips: Sequence[str]) -> dict[str, Any]:
    """Every number behind the kinds in use with its source, hashes of their entries, versions."""
    paths = tuple(dict.fromkeys(path for name in chips for path in p.kinds.of(name).chip.paths))
    models = list(dict.fromkeys(one.model for one in p.plan.workloads.values()))
    inputs = tuple(inputs_of(p.catalog, (*paths, "prices.default"), models)) if chips else ()
    entries = (*(f"models.{name}" for name in models), "prices.default", "achieved.default", *paths)
    return {
        "plan": p.plan.content(), "left_out": dict(sorted(p.left_out.items())), "inputs": inputs,
        "unverified": unverified(inputs), "catalogue": p.catalog.digest(),
        "hashes": {entry: p.catalog.hashes[entry] for entry in entries}, "versions": versions(),
        "assumptions": tuple(assumptions(p)),
    }  # fmt: skip


def _unseen(p: Prepared, years: float) -> Iterator[str]:
    """Installed servers that no period has, and time that is in no period."""
    first = next(iter(p.plan.periods.values()))
    for h, chip in enumerate(p.kinds.names):
        if chip in p.plan.installed and not p.kinds.installed[h].any():
            yield (f"installed {chip}, bought in {p.plan.installed[chip].bought:g}: beyond its {years:g} years before "
                   f"the period of {first.year:g} ends, so it is not counted")  # fmt: skip
    yield from (f"installed {chip} is left out: {p.left_out.get(chip, 'the plan does not allow it')}"
                for chip in p.plan.installed if chip not in p.kinds.names)  # fmt: skip
    for (name, one), (following, later) in pairwise(p.plan.periods.items()):
        if one.year + one.years < later.year - 1e-9:
            yield f"between the end of {name} and {following} nothing is served and nothing paid"


def assumptions(p: Prepared) -> Iterator[str]:
    """What the answer takes for granted."""
    plan, years = p.plan, depreciation(next(iter(p.supplies.values())))
    release = f" {plan.release}" if plan.release else ""
    yield f"mode achieved: {plan.engine}{release} as fitted to measured runs, chips with prior {plan.prior}"
    yield ("replicas work at the requests/s of full batches in a closed loop; requests are split evenly, and demand "
           "within a period is constant")  # fmt: skip
    if any(c.phase != "both" for c in p.columns):
        yield APART
    if any(p.strict(d) > 0 for d in range(len(p.demands))):
        yield "user speed and first token are means of a full replica, as fitted; a less busy one is faster"
    if any(0 < p.strict(d) < 1 for d in range(len(p.demands))):
        yield "requests beyond the share that must meet its limits are served at any speed"
    if plan.basis == "buy":
        yield (f"bought servers are repaid in, and work for, {years:g} years (whole periods: {p.kinds.life}); what is "
               "not repaid at the end is not counted; installed servers cost upkeep and electricity")  # fmt: skip
        yield "a period's price factor is on chips and servers, not on network, building and electricity"
    else:
        yield f"basis {plan.basis}: servers are hired for whole periods, all-in"
    yield from _unseen(p, years)
    if plan.objective in ("value", "throughput-per-dollar"):
        yield "for this objective demand is what can be served, not what must be"
    yield "power is provisioned IT power; whole servers are bought; dollars by workload: each kind's by chips in use"
    if several(plan):
        yield ("servers are bought once for all cases, replicas placed anew when the case is known; the periods above "
               "show the first case")  # fmt: skip
    yield from (f"assumed by the user: {path} = {value}" for path, value in plan.assumptions().items())
