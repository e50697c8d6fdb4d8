"""Does a recorded fleet still do what its answer says? Every replica, server and dollar again, without a solver."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import ValidationError

from codesign.facts.catalog import Catalog, faults_of, load
from codesign.facts.errors import AuditError, DataError
from codesign.fleet.answer import FleetAnswer, FleetProofPart, PeriodPart, ReplicaPart
from codesign.fleet.audit import Fleet, Run
from codesign.fleet.best_fleet import GAP, SAID, SEVERAL_GAP, UNITS
from codesign.fleet.best_fleet_answer import APART, SPACE, behind, periods_of, scenario_of
from codesign.fleet.cases import Case, Met, cases_of, expected, recompute, several
from codesign.fleet.columns import Column, spaces_of
from codesign.fleet.plan import Plan
from codesign.fleet.prepared import Prepared, outline
from codesign.fleet.reading import checked
from codesign.fleet.replica import serves
from codesign.physics.layout import Layout
from codesign.system import rebuilt
from codesign.system.audit import AGREE
from codesign.system.layouts import Ints
from codesign.system.recorded import differing, in_space
from codesign.system.serving_space import ServingSpace, deployment
from codesign.system.verify import Report, changes, recounted

UNSEEN: Mapping[str, str] = MappingProxyType({
    "status": "held against the gap, not made again",
    "catalogue": "another hash is another catalogue: told as a change, no fault",
    "hashes": "as the catalogue",
    "versions": "of the programs that answered then",
    "plan.time_limit": "how long the search might take, not what it found",
    "proof.value": "told as the objective",
    "proof.bound": "the solver's; value, gap and status must agree with it",
    "proof.gap": "held against value and bound",
    "proof.columns": "counting them takes as long as the question; no fewer than those of the program",
    "proof.solved": "columns that the solver's own reduction leaves",
    "proof.nodes": "the solver's own",
    "proof.seconds": "of one search on one machine",
    "shadows": "each is another program's optimum; gains are held against values",
    "duals": "prices of another program's optimum",
    "singles": "each is another program's optimum; held against the bound",
    "in_the_way": "of other programs' proofs",
    "cures": "each is another program's optimum",
})


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
    """What disagrees with the record, and the objective now: the whole document made again but for `UNSEEN`."""
    try:
        p = outline(catalog, plan)
        if answer.proof is None:
            return _compared(answer, _without(p, answer)), None
        cases = cases_of(p)
        met = recompute(p, cases, _fleets(p, answer, cases))
    except (AuditError, ValueError) as error:
        return [str(error)], None
    value = expected(p, met)
    now = _again(p, answer.proof, met, value)
    found = differing([("objective", answer.proof.value, value)])
    return [*found, *_compared(answer, now), *_proof_faults(answer, plan, value), *_beside(answer, plan)], value


def _compared(answer: FleetAnswer, now: FleetAnswer) -> list[str]:
    found, _ = rebuilt.compared(
        answer, _said(answer, now), unseen=UNSEEN, same_catalogue=now.catalogue == answer.catalogue,
        same_version=answer.versions.get("codesign") == now.versions["codesign"],
    )  # fmt: skip
    return found


def _said(answer: FleetAnswer, now: FleetAnswer) -> FleetAnswer:
    """With the assumption on pools apart, which rests on columns: where it is recorded and may be, or must be."""
    may = any(one.get("phases", "any") != "aggregated" for one in answer.plan["workloads"].values())
    must = any(one.phase != "both" for period in answer.periods for one in period.replicas)
    if not must and not (may and APART in answer.assumptions):
        return now
    return now.model_copy(update={"assumptions": (*now.assumptions[:2], APART, *now.assumptions[2:])})


def _again(p: Prepared, proof: FleetProofPart, met: Sequence[Met], value: float) -> FleetAnswer:
    """The document of an audited fleet; what only the search knows as recorded."""
    audited = met[0].audited
    chips = [name for h, name in enumerate(p.kinds.names) if audited.owned[h].any()]
    return FleetAnswer(
        status="optimal", periods=periods_of(replace(p, requests=met[0].case.demand), audited),
        cost_usd=audited.cost, capital_usd=float(audited.capital.sum()),
        scenarios=tuple(scenario_of(p, one) for one in met) if several(p.plan) else (),
        proof=proof.model_copy(update={
            "objective": SAID[p.plan.objective], "unit": UNITS[p.plan.objective], "space": SPACE, "value": value,
            "demands": len(p.demands)}),
        **behind(p, chips),
    )  # fmt: skip


def _without(p: Prepared, answer: FleetAnswer) -> FleetAnswer:
    """The document without a fleet; one that has none without saying so is taken for infeasible."""
    status = answer.status if answer.status in ("infeasible", "unknown") else "infeasible"
    return FleetAnswer(status=status, **behind(p, []))


def _fleets(p: Prepared, answer: FleetAnswer, cases: Sequence[Case]) -> list[Fleet]:
    """The fleet of each case. AuditError where the record has others than the plan."""
    main = fleet_of(p, answer)
    if not several(p.plan):
        return [main]
    if [one.name for one in answer.scenarios] != [case.name for case in cases]:
        raise AuditError(f"the plan has the cases {', '.join(case.name for case in cases)}, "
                         f"the answer {', '.join(one.name for one in answer.scenarios)}")  # fmt: skip
    columns = _Columns(p)
    found = []
    for part in answer.scenarios:
        runs = tuple(Run(columns.of(one), i, one.replicas)
                     for i, period in enumerate(part.replicas) for one in period)  # fmt: skip
        served = np.array([[part.served_by_length[of.workload][i][of.bucket] for i in range(len(p.periods))]
                           for of in p.demands])  # fmt: skip
        found.append(Fleet(main.bought, main.kept, runs, served))
    return found


def _proof_faults(answer: FleetAnswer, plan: Plan, value: float) -> list[str]:
    """What bound, gap and status are wrong about, where the objective is `value` now."""
    recorded = answer.proof
    if recorded is None:
        return []
    if recorded.bound is None:
        return ["recorded as optimal without a bound"] if answer.status == "optimal" or recorded.gap is not None else []
    sign = _sign(plan)
    found = []
    if sign * (value - recorded.bound) > AGREE * abs(recorded.bound) + AGREE:
        found.append(f"objective {value!r} is better than the recorded bound {recorded.bound!r}")
    gap = abs(recorded.value - recorded.bound) / abs(recorded.value) if recorded.value else abs(recorded.bound)
    if recorded.gap is None or not math.isclose(gap, recorded.gap, rel_tol=1e-3, abs_tol=1e-12):
        found.append(f"gap is {gap!r}, recorded as {recorded.gap!r}")
    most = SEVERAL_GAP if several(plan) else GAP
    proven = "optimal" if gap <= most / 2 else "feasible" if gap > most * 2 else answer.status  # solvers round there
    if answer.status != proven:
        found.append(f"status is {proven!r} with a gap of {gap!r}, recorded as {answer.status!r}")
    if not 0 <= recorded.solved <= recorded.columns:
        found.append(f"proof.solved is at most {recorded.columns} columns, recorded as {recorded.solved}")
    return found


def _sign(plan: Plan) -> float:
    return 1.0 if plan.objective in ("throughput-per-dollar", "value") else -1.0


def _beside(answer: FleetAnswer, plan: Plan) -> list[str]:
    """What other programs found: no fleet of one kind within the limits beats the bound, and shares are of values."""
    proof, sign, found = answer.proof, _sign(plan), []
    if proof is None:
        return []
    for one in answer.singles:
        known = one.value is not None and proof.value
        now = sign * (proof.value - one.value) / abs(proof.value) if known and one.value is not None else None
        if (now is None) != (one.behind is None) or not math.isclose(now or 0, one.behind or 0, abs_tol=AGREE):
            found.append(f"singles.{one.chip}.behind is {now!r}, recorded as {one.behind!r}")
        if one.value is not None and not one.lifted and proof.bound is not None and (
            sign * (one.value - proof.bound) > AGREE * abs(proof.bound)
        ):
            found.append(f"singles.{one.chip}.value {one.value!r} is better than the recorded bound {proof.bound!r}")
    for step in answer.shadows:
        if step.value is not None:
            gain = max(0.0, sign * (step.value - proof.value))
            if step.gain is None or not math.isclose(gain, step.gain, rel_tol=1e-3, abs_tol=AGREE * abs(proof.value)):
                found.append(f"shadows.{step.limit}.gain is {gain!r}, recorded as {step.gain!r}")
    return found


def fleet_of(p: Prepared, answer: FleetAnswer) -> Fleet:
    """What is recorded, in counts; each replica's requests/s from the formulas. AuditError where it cannot be read."""
    if tuple(period.name for period in answer.periods) != p.periods:
        raise AuditError(f"the answer has periods {', '.join(x.name for x in answer.periods)}, "
                         f"the plan {', '.join(p.periods)}")  # fmt: skip
    bought, owned = (_counts(p, answer, what) for what in ("bought", "owned"))
    kept = owned.copy()
    for b in range(len(p.periods)):
        kept[:, b : b + p.kinds.life] -= bought[:, b : b + 1]
    columns = _Columns(p)
    runs = tuple(Run(columns.of(part), i, part.replicas)
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


class _Columns:
    """The columns of recorded replicas, with the requests/s that the formulas give today, each made once."""

    def __init__(self, p: Prepared) -> None:
        self.p = p
        self.known: dict[tuple[Any, ...], Column] = {}
        self.spaces: dict[tuple[int, str], Mapping[str, ServingSpace]] = {}

    def of(self, part: ReplicaPart) -> Column:
        """AuditError for replicas that the plan cannot have."""
        at, d = self._place(part)
        key = (at, part.chip, part.phase, d, part.batch, part.meets)
        if key not in self.known:
            self.known[key] = self._made(part, at, d)
        column = self.known[key]
        if (part.parcels, part.size) != (column.parcels, column.size):
            raise AuditError(f"{part.workload} on {part.chip} takes {column.parcels} parcels of {column.size} chips, "
                             f"recorded as {part.parcels} of {part.size}")  # fmt: skip
        return column

    def _place(self, part: ReplicaPart) -> tuple[int, Layout]:
        """The demand and the deployment, which must be one that the chip can run."""
        p = self.p
        at = next((d for d, of in enumerate(p.demands) if (of.workload, of.length.input, of.length.output)
                   == (part.workload, part.input, part.output)), None)  # fmt: skip
        if at is None or part.chip not in p.kinds.names:
            raise AuditError(f"{part.workload} of {part.input} + {part.output} tokens on {part.chip} is not in the "
                             "plan")  # fmt: skip
        d = deployment(p.demands[at].query, part.tensor, part.data, part.pipeline, part.expert, part.weights, part.kv)
        space = self._spaces(at, part.chip).get(part.phase)
        if space is None or not in_space(part.chip, d, space):
            raise AuditError(f"{part.workload}: tensor {part.tensor} x data {part.data} x pipeline {part.pipeline}, "
                             f"expert {part.expert}, {part.weights}, cache {part.kv}, phase {part.phase} is nothing "
                             f"that {part.chip} can run for it")  # fmt: skip
        return at, d

    def _spaces(self, at: int, chip: str) -> Mapping[str, ServingSpace]:
        """By phase; of the one chip: of all chips they take seconds."""
        if (at, chip) not in self.spaces:
            of = self.p.demands[at]
            supply = self.p.supplies[of.workload]
            alone = replace(supply, offers=tuple(offer for offer in supply.offers if offer.chip.name == chip))
            self.spaces[at, chip] = spaces_of(of, self.p.plan.workloads[of.workload], self.p.models[of.workload], alone)
        return self.spaces[at, chip]

    def _made(self, part: ReplicaPart, at: int, d: Layout) -> Column:
        of, offer = self.p.demands[at], self.p.kinds.of(part.chip)
        does = serves(of, self.p.models[of.workload], self.p.supplies[of.workload], offer, part.phase, d, part.batch,
                      within=part.meets)  # fmt: skip
        spans = d.stage_chips > offer.bill.chips
        parcels = d.pipeline * (math.ceil(d.stage_chips / offer.bill.chips) if spans else 1)
        return Column(at, part.chip, part.phase, d, part.batch, does.rate, parcels,
                      min(d.stage_chips, offer.bill.chips), part.meets, does.cap)  # fmt: skip
