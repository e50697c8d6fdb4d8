"""Which replicas of which kinds serve a demand by buckets for the least money, by a measured table?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from codesign.facts.document import CurePart
from codesign.facts.errors import AuditError, SolverError
from codesign.facts.units import show
from codesign.mix import audit
from codesign.mix.answer import KindPart, MixAnswer, MixProofPart, SharePart, SinglePart
from codesign.mix.published import mix_of
from codesign.mix.question import Mix, instance_of
from formulations import fleet_slices
from formulations.fleet_slices.exact import Fleet
from formulations.fleet_slices.search import Proof
from formulations.solvers import highs
from formulations.solvers.outcome import Outcome, Status


@dataclass(frozen=True)
class MixResult:
    """The document, and what it was made from, for exports."""

    answer: MixAnswer
    mix: Mix
    instance: fleet_slices.Instance


def cheapest_mix(
    mix: Mix, *, query: Mapping[str, Any] | None = None, notes: tuple[str, ...] = (), time_limit: float | None = None
) -> MixResult:
    """The proven cheapest fleet, audited; `query` and `notes` are repeated in the document, `time_limit` in s."""
    data = instance_of(mix)
    limits = highs.Limits(limit_s=float("inf") if time_limit is None else time_limit)
    outcome, proof = _solved(data, limits)
    answer = MixAnswer(
        status=outcome.status.value, query=dict(query or {}),
        requests_per_s=float(sum(bucket.rate for bucket in mix.buckets)), fractional=mix.fractional,
        singles=singles_of(mix), assumptions=(*assumptions_of(mix), *notes),
        versions={name: version(name) for name in ("codesign", "highspy", "numpy")},
    )  # fmt: skip
    if outcome.solution is not None:
        answer = answer.model_copy(update=_served(mix, outcome, outcome.solution, proof))
    elif outcome.status is Status.INFEASIBLE:
        answer = answer.model_copy(update=_without(mix, data))
    return MixResult(answer, mix, data)


def solve_published(
    document: Mapping[str, Any], *, slices: int | None = None, fractional: bool = False, time_limit: float | None = None
) -> MixAnswer:
    """The answer to one instance in the published form of Melange, see `codesign.mix.published`.

    >>> two = {"small": {"cost": 1.0, "tputs": [[2.0, 0.5]]}, "large": {"cost": 3.5, "tputs": [[6.0, 3.0]]}}
    >>> asked = {"total_request_rate": 4.0, "workload_distribution": [[0.75, 0.25]], "gpu_info": two}
    >>> answer = solve_published(asked)
    >>> answer.status, answer.counts(), answer.cost_usd_per_h
    ('optimal', {'small': 0, 'large': 1}, 3.5)
    """
    mix = mix_of(document, slices=slices, fractional=fractional)
    return cheapest_mix(mix, query={"name": document.get("name")}, time_limit=time_limit).answer


def _solved(data: fleet_slices.Instance, limits: highs.Limits) -> tuple[Outcome[Fleet], Proof]:
    try:
        return fleet_slices.solve(data, limits=limits)
    except highs.SolverFailure as error:
        raise SolverError(str(error)) from error


def _served(mix: Mix, outcome: Outcome[Fleet], fleet: Fleet, proof: Proof) -> dict[str, Any]:
    if outcome.value is None:
        raise AuditError("a fleet without its cost")
    found = audit.recompute(mix, fleet.counts, fleet.assign)
    optimal = outcome.status is Status.OPTIMAL
    audit.check(mix, found, value=outcome.value, bound=outcome.bound, optimal=optimal)
    cost = float(found.cost)
    gap = None if outcome.bound is None else (cost - outcome.bound) / cost if cost else 0.0
    return served(mix, fleet.counts, fleet.assign, found) | {
        "proof": MixProofPart(value=cost, bound=outcome.bound, gap=gap, rounded=proof.rounded, floor=proof.floor,
                              pairs=proof.pairs, removed=proof.removed, fleets=proof.fleets, solves=proof.solves,
                              nodes=proof.nodes),
    }  # fmt: skip


def served(
    mix: Mix, counts: Mapping[int, int], assign: Mapping[tuple[int, int], float], found: audit.Audited
) -> dict[str, Any]:
    """What a fleet is and does, by fields of the answer."""
    cost, rate = float(found.cost), float(sum(bucket.rate for bucket in mix.buckets))
    return {
        "kinds": tuple(
            KindPart(name=k.name, chip=k.chip, layout=k.layout, model=k.model, count=counts[g],
                     available=k.available, price_usd_per_h=k.price, cost_usd_per_h=counts[g] * k.price,
                     load=float(found.loads[g]), spare=max(0.0, float(counts[g] - found.loads[g])))
            for g, k in enumerate(mix.kinds)
        ),
        "shares": tuple(_share(mix, b, g, share) for (b, g), share in sorted(assign.items())),
        "cost_usd_per_h": cost,
        "usd_per_million_requests": cost / (rate * 3600) * 1e6 if rate else None,
    }  # fmt: skip


def _share(mix: Mix, b: int, g: int, share: float) -> SharePart:
    bucket = mix.buckets[b]
    return SharePart(bucket=bucket.name, model=bucket.model, kind=mix.kinds[g].name, slices=share, of=bucket.slices,
                     requests_per_s=float(bucket.rate) * share / bucket.slices,
                     load=float(mix.loads[b, g]) * share)  # fmt: skip


def singles_of(mix: Mix) -> tuple[SinglePart, ...]:
    """What each kind would cost alone, as many of it as it takes."""
    parts = []
    for g, kind in enumerate(mix.kinds):
        alone = mix.alone[g]
        if alone is not None:
            parts.append(SinglePart(kind=kind.name, count=alone[0], cost_usd_per_h=float(alone[1])))
            continue
        missing = [b.label for i, b in enumerate(mix.buckets) if b.rate > 0 and (i, g) not in mix.served]
        why = f"cannot serve {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        parts.append(SinglePart(kind=kind.name, count=None, cost_usd_per_h=None, why=why))
    return tuple(parts)


def _without(mix: Mix, data: fleet_slices.Instance) -> dict[str, Any]:
    """What is in the way: a bucket that no kind serves, or supply; then the least of each kind alone that cures it."""
    if unserved := mix.unserved():
        names = ", ".join(mix.buckets[b].label for b in unserved[:5])
        more = f" and {len(unserved) - 5} more" if len(unserved) > 5 else ""
        return {"in_the_way": f"no kind of the table serves {names}{more}", "cures": _slower(mix, unserved)}
    limited = [g for g, kind in enumerate(mix.kinds) if kind.available is not None]
    if not limited:
        raise AuditError("infeasible without a limit and without a bucket that no kind serves")
    cures = [cure for g in limited if (cure := _more(mix, data, g)) is not None]
    return {"in_the_way": "too few replicas are to be had", "cures": tuple(cures)}


def _slower(mix: Mix, unserved: list[int]) -> tuple[CurePart, ...]:
    """The greatest speed at which every bucket has a kind that serves it, where speed is what is in the way."""
    asked = [mix.buckets[b].speed for b in unserved]
    can = [mix.buckets[b].fastest for b in unserved]
    if None in asked or None in can:
        return ()
    works, least = min(speed for speed in can if speed), min(speed for speed in asked if speed)
    return (CurePart(limit="speed", asked=show(least, "tokens/s"), works=show(works, "tokens/s"), value=works),)


def _more(mix: Mix, data: fleet_slices.Instance, g: int) -> CurePart | None:
    """The fewest replicas of kind `g` with which the demand can be served, the supply of all others held."""
    price, most = data.price * 0, data.most.copy()
    price[g], most[g] = 1.0, float("inf")
    outcome, _ = _solved(replace(data, price=price, most=most), highs.Limits())
    if outcome.solution is None:
        return None
    asked, works = mix.kinds[g].available, outcome.solution.counts[g]
    return CurePart(limit=f"available.{mix.kinds[g].name}", asked=str(asked), works=f"{works:,}", value=float(works))


def assumptions_of(mix: Mix) -> tuple[str, ...]:
    """What a mix takes for granted, whatever its files."""
    cut = "slices divided at will" if mix.fractional else "each slice of a bucket goes to one kind"
    return (
        "rates are the table's, measured one bucket at a time; a replica that serves several is busy with each for "
        "its part of the time",
        cut,
        "replicas are rented whole; prices are the table's",
    )
