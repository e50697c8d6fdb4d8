"""A mix of replicas checked without a solver, in exact numbers, from the measured rates themselves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from codesign.facts.errors import AuditError
from codesign.mix import recount
from codesign.mix.question import Mix, decimal
from formulations.fleet_slices.exact import SPARED

ROUNDED = 2 * SPARED  # replicas: the program's loads are doubles, and may be off by a little more than it spares
DIVIDED = SPARED      # slices of a bucket: shares of those divided at will are floats


@dataclass(frozen=True)
class Audited:
    """Replicas kept busy by kind, by position, and what the fleet costs in $/h."""

    loads: tuple[Fraction, ...]
    cost: Fraction


def recompute(mix: Mix, counts: Mapping[int, int], assign: Mapping[tuple[int, int], float]) -> Audited:
    """Loads and cost of a fleet; AuditError where a slice is not served, a kind overloaded or not to be had."""
    placed = [Fraction(0)] * len(mix.buckets)
    loads = [Fraction(0)] * len(mix.kinds)
    for (b, g), share in assign.items():
        if share < 0 or (b, g) not in mix.served or (not mix.fractional and share != int(share)):
            raise AuditError(f"{share!r} slices of {mix.buckets[b].label} on {mix.kinds[g].name}")
        placed[b] += Fraction(share)
        bucket = mix.buckets[b]
        loads[g] += bucket.rate * Fraction(share) / bucket.slices / decimal(mix.served[b, g])
    off = DIVIDED if mix.fractional else Fraction(0)
    for b, bucket in enumerate(mix.buckets):
        asked = bucket.slices if bucket.rate > 0 else 0
        if abs(placed[b] - asked) > off:
            raise AuditError(f"{float(placed[b])!r} of {asked} slices of {bucket.label} are served")
    for g, kind in enumerate(mix.kinds):
        if loads[g] > counts[g] + ROUNDED:
            raise AuditError(f"{kind.name}: {counts[g]} replicas carry a load of {float(loads[g])!r}")
        if counts[g] < 0 or (kind.available is not None and counts[g] > kind.available):
            raise AuditError(f"{kind.name}: {counts[g]} replicas of {kind.available}")
    return Audited(tuple(loads), sum((counts[g] * decimal(k.price) for g, k in enumerate(mix.kinds)), Fraction(0)))


def least(mix: Mix) -> float:
    """$/h that no fleet is below: every slice on the kind that serves it for the least money, no replica idle.

    Less what every kind may carry beyond its replicas.
    """
    cheapest: dict[int, float] = {}
    for (b, g), load in mix.loads.items():
        paid = float(load) * mix.buckets[b].slices * mix.kinds[g].price
        cheapest[b] = min(paid, cheapest.get(b, paid))
    spared = float(ROUNDED) * sum(kind.price for kind in mix.kinds)
    return max(sum(cheapest.values()) - spared, 0.0)


def check(mix: Mix, found: Audited, *, value: float, bound: float | None, optimal: bool) -> None:
    """The fleet costs what the solver says, no less than any bound, and no more than fleets found by hand."""
    cost = float(found.cost)
    if not math.isclose(cost, value, rel_tol=1e-12, abs_tol=1e-12):
        raise AuditError(f"cost {cost!r}, the program says {value!r}")
    if bound is not None and bound > cost * (1 + 1e-9) + 1e-12:
        raise AuditError(f"cost {cost!r} is below the proven bound {bound!r}")
    if least(mix) > cost * (1 + 1e-9) + 1e-12:
        raise AuditError(f"cost {cost!r} is below {least(mix)!r}, which no fleet is")
    if not optimal:
        return
    for g, kind in enumerate(mix.kinds):
        alone = mix.alone[g]
        if alone and (kind.available is None or alone[0] <= kind.available) and float(alone[1]) < cost * (1 - 1e-9):
            raise AuditError(f"{alone[0]} replicas of {kind.name} alone cost {float(alone[1])!r}, less than {cost!r}")
    other = recount.cheapest(mix)
    if other is not None and float(other[0]) < cost * (1 - 1e-9):
        named = ", ".join(f"{n} x {name}" for name, n in other[1].items())
        raise AuditError(f"{named} serve the demand for {float(other[0])!r}, less than {cost!r}")
