"""What should be bought, kept and retired in each period, and what should run where, for all workloads of a plan?"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.errors import AuditError, SolverError
from codesign.fleet import best_fleet_answer as words
from codesign.fleet import cases, cures, steps
from codesign.fleet.answer import DualPart, FleetAnswer, FleetProofPart, PeriodPart, ShadowPart, SinglePart
from codesign.fleet.audit import Fleet, Run
from codesign.fleet.cases import Case
from codesign.fleet.plan import Plan
from codesign.fleet.prepared import Prepared, prepare
from codesign.fleet.program import KILO, demand_bounded, instance_of, stochastic_of
from codesign.physics.cost import HOURS_PER_YEAR
from codesign.system import audit as audits
from formulations import fleet
from formulations.fleet import Instance, Solution, check, stochastic
from formulations.solvers import highs
from formulations.solvers.deadline import NEVER, Deadline
from formulations.solvers.outcome import Outcome, Status

GAP = 1e-4           # relative: a fleet is called optimal within it
SEVERAL_GAP = 1e-2   # as GAP, of one that must do in several cases
ROUGH = 1e-3         # of the comparisons beside it
NOT_ASKED = "what is in the way was not asked for (--quick)"
MOST_NODES = 2_000  # of each comparison
UNITS = {"cost": "USD", "throughput-per-dollar": "tokens per USD", "value": "USD", "power": "W"}
SAID = {"cost": "least cost of all periods", "throughput-per-dollar": "most output tokens per dollar of all periods",
        "value": "most value of requests served", "power": "least mean provisioned power"}  # fmt: skip


@dataclass(frozen=True)
class Solved:
    """The program's outcome and proof; `several`: the two-stage program over what may come."""

    outcome: Outcome[Any]
    proof: fleet.Proof | stochastic.Proof
    several: stochastic.Instance | None = None


@dataclass(frozen=True)
class FleetResult:
    """The document, and what it was made from, for exports."""

    answer: FleetAnswer
    prepared: Prepared
    instance: Instance
    solved: Solved


def solve_cases(p: Prepared, data: Instance, found: Sequence[Case], limits: highs.Limits) -> Solved:
    """The best servers over all cases."""
    asked = stochastic_of(p, data, found)
    demand_bounded(data)
    try:
        return Solved(*stochastic.solve(asked, limits=limits, gap=SEVERAL_GAP), asked)
    except highs.SolverFailure as error:
        raise SolverError(str(error)) from error


def solve_plan(data: Instance, limits: highs.Limits) -> Solved:
    """The best fleet; of those that serve the same value, or draw the same power, one of least cost.

    The bound is that of the plan's own objective; the second program is not asked for more than it finds.
    """
    first = solve(data, limits=limits)
    found = first.outcome.solution
    if first.outcome.status is not Status.OPTIMAL or found is None or data.objective not in ("value", "power"):
        return first
    same = {"least": found.served} if data.objective == "value" else {"power": data.watts @ found.own}
    if limits.deadline.passed:
        return first
    left = highs.Limits(limit_s=limits.deadline.left_s, node_limit=MOST_NODES, deadline=limits.deadline)
    second = solve(replace(data, objective="cost", **same), limits=left, gap=ROUGH)
    if second.outcome.solution is None:
        return first
    value = check.value(data, second.outcome.solution)
    return Solved(replace(first.outcome, solution=second.outcome.solution, value=value), first.proof)


def solve(data: Instance, *, limits: highs.Limits | None = None, gap: float = GAP) -> Solved:
    """Numbers -> proof. Raises DataError for limits that leave the program without a bound."""
    demand_bounded(data)
    try:
        return Solved(*fleet.solve(data, limits=limits or highs.Limits(), gap=gap))
    except highs.SolverFailure as error:
        raise SolverError(str(error)) from error


def prepare_and_solve(
    catalog: Catalog, plan: Plan, *, extras: bool = True, clock: Callable[[], float] = time.perf_counter,
    deadline: Deadline | None = None,
) -> FleetResult:  # fmt: skip
    """The best fleet of a plan, proven within GAP or until the `deadline` (its time limit from now), and audited.

    `extras`: steps of the limits that bind, and fleets of a single kind; those for which time is left.
    Raises UndecidedError where the time ends before anything is known.
    """
    start, deadline = clock(), Deadline.after(plan.time_limit) if deadline is None else deadline
    p = prepare(catalog, plan, deadline)
    data = instance_of(p)
    prepared = clock()
    timed = highs.Limits(limit_s=deadline.left_s, deadline=deadline)
    may_come = cases.cases_of(p)
    solved = solve_cases(p, data, may_come, timed) if cases.several(plan) else solve_plan(data, timed)
    seconds = {"prepare": prepared - start, "solve": clock() - prepared}
    if solved.outcome.solution is None:
        return FleetResult(_without(p, solved, deadline, extras=extras), p, data, solved)
    met = cases.recompute(p, may_come, fleets_of(p, solved))
    audited, value = met[0].audited, cases.expected(p, met)
    agreed(p, solved, value)
    shown = replace(p, requests=may_come[0].demand)
    periods = words.periods_of(shown, audited)
    found: dict[str, Any] = {}
    if cases.several(plan):
        found["scenarios"] = tuple(words.scenario_of(p, one) for one in met)
    elif extras and solved.outcome.status is Status.OPTIMAL:
        begun = clock()
        found["shadows"] = shadows_of(p, data, solved, periods, deadline)
        found["duals"] = () if deadline.passed else _duals(p, data)
        kinds = range(len(p.kinds.offers))
        found["singles"] = tuple(_single(data, p, solved, h, deadline) for h in kinds if not deadline.passed)
        seconds["comparisons"] = clock() - begun
    chips = [name for h, name in enumerate(p.kinds.names) if audited.owned[h].any()]
    answer = FleetAnswer(
        status="optimal" if solved.outcome.status is Status.OPTIMAL else "feasible", periods=periods,
        cost_usd=audited.cost, capital_usd=float(audited.capital.sum()),
        proof=_proof(p, data, solved, value, seconds), **found, **words.behind(p, chips),
    )  # fmt: skip
    return FleetResult(answer, p, data, solved)


def fleets_of(p: Prepared, solved: Solved) -> list[Fleet]:
    """The fleet of every case, or the one of a plan without cases."""
    s: Any = solved.outcome.solution
    if solved.several is None:
        return [fleet_of(p, s)]
    return [fleet_of(p, replace(s_case, buy=s.buy, keep=s.keep)) for s_case in s.situations]


def fleet_of(p: Prepared, s: Solution) -> Fleet:
    """The program's counts with the columns that they are of."""
    runs = tuple(Run(p.columns[x.column], x.period, x.replicas) for x in s.placed if x.replicas)
    return Fleet(np.asarray(s.buy, dtype=np.int64), np.asarray(s.keep, dtype=np.int64), runs, s.served)


def scale(p: Prepared) -> float:
    """SI of one unit of the program's objective: thousands of dollars or watts; ktokens/s times years per k$."""
    return HOURS_PER_YEAR * 3600.0 if p.plan.objective == "throughput-per-dollar" else 1 / KILO


def up(p: Prepared) -> bool:
    """Whether more is better."""
    return p.plan.objective in ("throughput-per-dollar", "value")


def agreed(p: Prepared, solved: Solved, audited: float) -> None:
    """The audit's value is the program's, and no better than its bound; AuditError otherwise."""
    value, bound = solved.outcome.value, solved.outcome.bound
    if value is not None and not (abs(value) < 1e-9 and abs(audited) < 1e-6):
        audits.agree("objective", audited, value * scale(p))
    if bound is not None and (audited - bound * scale(p)) * (1 if up(p) else -1) > 1e-6 * abs(audited) + 1e-6:
        raise AuditError(f"value {audited!r} is better than the proven bound {bound * scale(p)!r}")


def _proof(p: Prepared, data: Instance, solved: Solved, value: float, seconds: Mapping[str, float]) -> FleetProofPart:
    bound, proof = solved.outcome.bound, solved.proof
    known = None if bound is None else bound * scale(p)
    gap = None if known is None else abs(known - value) / abs(value) if value else abs(known)
    return FleetProofPart(
        objective=SAID[p.plan.objective], unit=UNITS[p.plan.objective], value=value, bound=known, gap=gap,
        space=words.SPACE, demands=len(p.demands), columns=len(data.columns), solved=proof.undominated,
        nodes=proof.nodes, seconds=dict(seconds),
    )  # fmt: skip


def shadows_of(
    p: Prepared, data: Instance, solved: Solved, periods: Sequence[PeriodPart], deadline: Deadline = NEVER
) -> tuple[ShadowPart, ...]:
    """The program again with each limit that binds a step further, as far as there is time."""
    binding = {i: {limit.name for limit in period.limits if limit.binding} for i, period in enumerate(periods)}
    every = steps.steps_of(p, data, binding)
    return tuple(_shadow(p, solved, step, deadline) for step in every if not deadline.passed)


def _again(data: Instance, deadline: Deadline) -> Outcome[Solution]:
    return solve(data, limits=highs.Limits(limit_s=deadline.left_s, node_limit=MOST_NODES), gap=ROUGH).outcome


def _shadow(p: Prepared, base: Solved, step: steps.Step, deadline: Deadline) -> ShadowPart:
    """How much better a step further is: between what both proofs leave, and never worse."""
    outcome, unit, sign = _again(step.instance, deadline), scale(p), 1.0 if up(p) else -1.0
    values = (base.outcome.value, base.outcome.bound, outcome.value, outcome.bound)
    gain = least = most = None
    value = outcome.value
    if value is not None and base.outcome.value is not None:
        value = sign * max(sign * value, sign * base.outcome.value)  # the fleet found before fits here too
    if all(x is not None for x in values):
        old, old_bound, new, new_bound = (float(x) * unit for x in values if x is not None)
        gain, least, most = (max(0.0, sign * x) for x in (new - old, new - old_bound, new_bound - old))
    return ShadowPart(
        limit=step.limit, period="" if step.period is None else p.periods[step.period], allowed=step.allowed,
        step=step.step, status=outcome.status.value, value=None if value is None else value * unit,
        gain=gain, at_least=least, at_most=most,
    )  # fmt: skip


def _duals(p: Prepared, data: Instance) -> tuple[DualPart, ...]:
    """Prices of the linear relaxation; a ratio has none of its own."""
    if data.objective == "ratio":
        return ()
    _, proof = fleet.solve(data, method="columns", limits=highs.Limits(node_limit=1), gap=1.0)
    return tuple(steps.duals_of(p, proof.duals, scale(p)))


def _single(data: Instance, p: Prepared, base: Solved, kind: int, deadline: Deadline) -> SinglePart:
    """The best fleet of one kind within the limits, or else beyond them."""
    outcome, lifted = _again(steps.single(data, kind), deadline), False
    if outcome.status is Status.INFEASIBLE:
        outcome, lifted = _again(steps.single(data, kind, lifted=True), deadline), True
    value, best, unit = outcome.value, base.outcome.value, scale(p)
    behind = None if value is None or not best else (best - value if up(p) else value - best) / abs(best)
    return SinglePart(
        chip=p.kinds.names[kind], lifted=lifted, status=outcome.status.value,
        value=None if value is None else value * unit,
        bound=None if outcome.bound is None else outcome.bound * unit, behind=behind,
    )  # fmt: skip


def _without(p: Prepared, solved: Solved, deadline: Deadline, *, extras: bool) -> FleetAnswer:
    """No fleet: proven, or none found in the time given."""
    status = solved.outcome.status
    if status is Status.INFEASIBLE:
        if not extras:
            return FleetAnswer(status="infeasible", in_the_way="; ".join(cures.unserved(p)) or NOT_ASKED,
                               **words.behind(p, []))  # fmt: skip
        found = cures.cures(p, cases.cases_of(p), deadline)
        return FleetAnswer(status="infeasible", in_the_way=found.way, cures=found.parts, **words.behind(p, []))
    if status is Status.UNKNOWN:
        return FleetAnswer(status="unknown", **words.behind(p, []))
    raise AuditError(f"the program of a fleet ended {status.value}")
