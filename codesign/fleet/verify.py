"""Does a recorded fleet still do what its answer says? Every replica, server and dollar again, without a solver."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from codesign.facts.catalog import Catalog, faults_of, load
from codesign.facts.errors import AuditError, DataError
from codesign.fleet.answer import FleetAnswer, PeriodPart, ReplicaPart
from codesign.fleet.audit import Audited, Fleet, Run
from codesign.fleet.best_fleet_answer import periods_of, scenario_of
from codesign.fleet.cases import Case, cases_of, expected, recompute, several
from codesign.fleet.columns import Column
from codesign.fleet.plan import Plan
from codesign.fleet.prepared import Prepared, outline
from codesign.fleet.reading import checked
from codesign.fleet.replica import serves
from codesign.system.audit import AGREE
from codesign.system.layouts import Ints
from codesign.system.recorded import differing
from codesign.system.serving_space import deployment
from codesign.system.verify import Report, changes, recounted

PERIOD = ("capital_usd", "charge_usd", "running_usd", "hourly_usd", "power_w", "racks", "idle_usd")
KIND = ("bought", "retired", "ended", "owned", "chips", "used", "spare", "racks", "power_w", "capital_usd", "cost_usd")
WORKLOAD = ("requests", "served", "utilisation", "spare", "chips", "prefill_chips", "decode_chips", "tokens", "usd",
            "usd_per_mtok")  # fmt: skip
REPLICA = ("requests", "user_speed", "ttft_s", "chips_per_replica")


def verify(document: dict[str, Any], path: Path, own: Path | None) -> Report:
    """A fleet: every replica, server and dollar of the record again; its bound is the solver's and is not repeated."""
    answer, plan, catalog = read(document, path, own)
    return recounted(answer.proof, faults(answer, plan, catalog),
                     changes(answer.inputs, answer.hashes, answer.catalogue, catalog),
                     "every replica, its place, servers, money and limits recomputed")  # fmt: skip


def read(document: dict[str, Any], path: Path, own: Path | None) -> tuple[FleetAnswer, Plan, Catalog]:
    """The answer, its plan, and today's catalogue with the plan's assumptions. Raises DataError for what is none."""
    try:
        answer = FleetAnswer.model_validate(document)
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, str(path), FleetAnswer))) from error
    plan = checked(load(own), answer.plan, f"{path}: plan")
    return answer, plan, load(own, plan.assumptions())


def faults(answer: FleetAnswer, plan: Plan, catalog: Catalog) -> tuple[list[str], float | None]:
    """What disagrees with the record, and the objective now."""
    if answer.proof is None:
        return [], None
    try:
        p = outline(catalog, plan)
        cases = cases_of(p)
        met = recompute(p, cases, _fleets(p, answer, cases))
    except (AuditError, ValueError) as error:
        return [str(error)], None
    audited, value = met[0].audited, expected(p, met)
    shown = replace(p, requests=cases[0].demand)
    found = differing(_pairs(answer, value, audited, periods_of(shown, audited)))
    for part, one in zip(answer.scenarios, met, strict=bool(answer.scenarios)):
        now = scenario_of(p, one)
        found += differing((f"{part.name}.{name}.{i}", was, is_now) for name, shares in part.served.items()
                           for i, (was, is_now) in enumerate(zip(shares, now.served[name], strict=True)))  # fmt: skip
    return found + _bound_faults(answer, plan, value), value


def _fleets(p: Prepared, answer: FleetAnswer, cases: Sequence[Case]) -> list[Fleet]:
    """The fleet of each case. AuditError where the record has others than the plan."""
    main = fleet_of(p, answer)
    if not several(p.plan):
        return [main]
    if [one.name for one in answer.scenarios] != [case.name for case in cases]:
        raise AuditError(f"the plan has the cases {', '.join(case.name for case in cases)}, "
                         f"the answer {', '.join(one.name for one in answer.scenarios)}")  # fmt: skip
    columns: dict[tuple[Any, ...], Column] = {}
    found = []
    for part in answer.scenarios:
        runs = tuple(Run(_column(p, one, columns), i, one.replicas)
                     for i, period in enumerate(part.replicas) for one in period)  # fmt: skip
        served = np.array([[part.served_by_length[of.workload][i][of.bucket] for i in range(len(p.periods))]
                           for of in p.demands])  # fmt: skip
        found.append(Fleet(main.bought, main.kept, runs, served))
    return found


def _bound_faults(answer: FleetAnswer, plan: Plan, value: float) -> list[str]:
    recorded = answer.proof
    if recorded is None or recorded.bound is None:
        return []
    sign = 1.0 if plan.objective in ("throughput-per-dollar", "value") else -1.0
    found = []
    if sign * (value - recorded.bound) > AGREE * abs(recorded.bound) + AGREE:
        found.append(f"objective {value!r} is better than the recorded bound {recorded.bound!r}")
    gap = abs(recorded.value - recorded.bound) / abs(recorded.value) if recorded.value else abs(recorded.bound)
    if recorded.gap is None or not math.isclose(gap, recorded.gap, rel_tol=1e-3, abs_tol=1e-12):
        found.append(f"gap is {gap!r}, recorded as {recorded.gap!r}")
    return found


def _pairs(
    answer: FleetAnswer, value: float, a: Audited, now: tuple[PeriodPart, ...]
) -> Iterator[tuple[str, float | None, float | None]]:
    """(name, recorded, now) of every number of the fleet."""
    yield "objective", None if answer.proof is None else answer.proof.value, value
    yield "cost_usd", answer.cost_usd, a.cost
    yield "capital_usd", answer.capital_usd, float(a.capital.sum())
    for old, new in zip(answer.periods, now, strict=True):
        parts: list[tuple[str, Any, Any, tuple[str, ...]]] = [(old.name, old, new, PERIOD)]
        for what, keys, key in (("kinds", KIND, "chip"), ("workloads", WORKLOAD, "workload"),
                                ("limits", ("used", "allowed"), "name")):  # fmt: skip
            named = {getattr(one, key): one for one in getattr(new, what)}
            if set(named) != {getattr(one, key) for one in getattr(old, what)}:
                yield f"{old.name}.{what}", float(len(getattr(old, what))), None
                continue
            parts += [(f"{old.name}.{what}.{getattr(one, key)}", one, named[getattr(one, key)], keys)
                      for one in getattr(old, what)]  # fmt: skip
        parts += [(f"{old.name}.replicas.{i}", was, one, REPLICA)
                  for i, (was, one) in enumerate(zip(old.replicas, new.replicas, strict=True))]  # fmt: skip
        yield from ((f"{where}.{key}", getattr(was, key), getattr(one, key))
                    for where, was, one, keys in parts for key in keys)  # fmt: skip


def fleet_of(p: Prepared, answer: FleetAnswer) -> Fleet:
    """What is recorded, in counts; each replica's requests/s from the formulas. AuditError where it cannot be read."""
    if tuple(period.name for period in answer.periods) != p.periods:
        raise AuditError(f"the answer has periods {', '.join(x.name for x in answer.periods)}, "
                         f"the plan {', '.join(p.periods)}")  # fmt: skip
    bought, owned = (_counts(p, answer, what) for what in ("bought", "owned"))
    kept = owned.copy()
    for b in range(len(p.periods)):
        kept[:, b : b + p.kinds.life] -= bought[:, b : b + 1]
    columns: dict[tuple[Any, ...], Column] = {}
    runs = tuple(Run(_column(p, part, columns), i, part.replicas)
                 for i, period in enumerate(answer.periods) for part in period.replicas)  # fmt: skip
    served = np.array([[_served(period, of.workload, of.bucket) for period in answer.periods] for of in p.demands])
    return Fleet(bought, kept, runs, served)


def _counts(p: Prepared, answer: FleetAnswer, what: str) -> Ints:
    counts = np.zeros((len(p.kinds.names), len(p.periods)), dtype=np.int64)
    for i, period in enumerate(answer.periods):
        for kind in period.kinds:
            if kind.chip not in p.kinds.names:
                raise AuditError(f"{kind.chip} is not on offer any more")
            counts[p.kinds.names.index(kind.chip), i] = getattr(kind, what)
    return counts


def _served(period: PeriodPart, workload: str, bucket: int) -> float:
    for one in period.workloads:
        if one.workload == workload and bucket < len(one.served_by_length):
            return one.served_by_length[bucket]
    raise AuditError(f"{period.name} does not say what is served of {workload}, length {bucket + 1}")


def _column(p: Prepared, part: ReplicaPart, known: dict[tuple[Any, ...], Column]) -> Column:
    """The column of recorded replicas, with the requests/s that the formulas give today."""
    at = next((d for d, of in enumerate(p.demands) if (of.workload, of.length.input, of.length.output)
               == (part.workload, part.input, part.output)), None)  # fmt: skip
    if at is None or part.chip not in p.kinds.names:
        raise AuditError(f"{part.workload} of {part.input} + {part.output} tokens on {part.chip} is not in the plan")
    of, offer = p.demands[at], p.kinds.of(part.chip)
    d = deployment(of.query, part.tensor, part.data, part.pipeline, part.expert, part.weights, part.kv)
    key = (at, part.chip, part.phase, d, part.batch, part.meets)
    if key not in known:
        does = serves(of, p.models[of.workload], p.supplies[of.workload], offer, part.phase, d, part.batch,
                      within=part.meets)  # fmt: skip
        spans = d.stage_chips > offer.bill.chips
        parcels = d.pipeline * (math.ceil(d.stage_chips / offer.bill.chips) if spans else 1)
        known[key] = Column(at, part.chip, part.phase, d, part.batch, does.rate, parcels,
                            min(d.stage_chips, offer.bill.chips), part.meets, does.cap)  # fmt: skip
        if (part.parcels, part.size) != (parcels, known[key].size):
            raise AuditError(f"{part.workload} on {part.chip} takes {parcels} parcels of {known[key].size} chips, "
                             f"recorded as {part.parcels} of {part.size}")  # fmt: skip
    return known[key]
