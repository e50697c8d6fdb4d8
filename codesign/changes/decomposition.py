"""Why one system is behind another: the ratio of their objectives as a product of factors, exactly.

Each objective is a product of a price, a use of what is bought, and the chip-seconds of a token (or the seconds of a
step), and these are sums of terms. The logarithmic mean Divisia index (Ang, Energy Policy 32 (2004) 1131-1139) splits
the logarithm of a ratio of sums over their terms without a rest, so the factors multiply to the ratio.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from codesign.physics.performance import decode_step
from codesign.physics.workload import Model
from codesign.system.audit import Audited, System
from codesign.system.query import Query


@dataclass(frozen=True)
class Term:
    """One term of both systems in `unit`, and the factor by which it puts the other behind (below 1: ahead)."""

    name: str
    best: float
    other: float
    unit: str
    factor: float


@dataclass(frozen=True)
class Parts:
    """What an objective is made of, for one system: factors that multiply to what should be small, and sums."""

    factors: Mapping[str, tuple[float, str]]
    sums: Mapping[str, float]
    unit: str          # of the terms of the sum

    @property
    def cost(self) -> float:
        """The product: one over the objective, or the cost itself."""
        return math.prod(value for value, _ in self.factors.values()) * (sum(self.sums.values()) or 1.0)


def decompose(best: Parts, other: Parts) -> list[Term]:
    """Terms by how much they put the other behind, the worst first; their factors multiply to the ratio of costs."""
    found = [Term(name, value, other.factors[name][0], unit, other.factors[name][0] / value)
             for name, (value, unit) in best.factors.items()]  # fmt: skip
    names = dict.fromkeys((*best.sums, *other.sums))
    if names:
        mean = log_mean(sum(best.sums.values()), sum(other.sums.values()))
        for name in names:
            a, b = best.sums.get(name, 0.0), other.sums.get(name, 0.0)
            found.append(Term(name, a, b, best.unit, math.exp((b - a) / mean)))
    return sorted(found, key=lambda term: -term.factor)


def log_mean(a: float, b: float) -> float:
    """(b - a) / ln(b / a), and a where both are one."""
    return a if math.isclose(a, b, rel_tol=1e-12) else (b - a) / math.log(b / a)


def parts(query: Query, model: Model, system: System, a: Audited) -> Parts:
    """The factors and terms of an audited system under the query's objective."""
    chips = system.replicas * system.layout.chips
    unused = ("chips bought, of one used", (a.chips_bought / chips, "1"))
    if query.objective.kind == "cost":
        users = query.limits.users or 1
        return Parts(dict([_price(query, system), unused, ("chips for one user", (chips / users, "1"))]), {}, "")
    if query.objective.kind == "speed":
        return Parts({}, terms(query, model, system, a), "s")
    seconds = {name: value * chips / a.users for name, value in terms(query, model, system, a).items()}
    if query.objective.counted is None:
        return Parts({"one over the chips in use": (1 / chips, "1")}, seconds, "chip-s")
    return Parts(dict([_price(query, system), unused]), seconds, "chip-s")


def _price(query: Query, system: System) -> tuple[str, tuple[float, str]]:
    bill, counted = system.offer.bill, query.objective.counted
    if counted is None:
        raise ValueError(f"{query.maximize} counts nothing of a chip")
    return "price of a chip", ((getattr(bill, counted.bill) or math.nan) / bill.chips, counted.unit)


def terms(query: Query, model: Model, system: System, a: Audited) -> dict[str, float]:
    """Seconds of a step (mode achieved: of a cycle) by what rules: memory and compute overlap, the shorter is 0."""
    if query.mode == "achieved":
        found = {name: share * a.time.step_s for name, share in a.time.busy.items()}
        return found | ({} if a.time.cycle_s == a.time.step_s else {"first token": a.time.cycle_s - a.time.step_s})
    t = decode_step(model, system.offer.chip, system.layout, system.batch, query.context)
    if t.memory_s >= t.compute_s:
        found = {"memory time: weights": t.pipeline * t.weights_s, "memory time: caches": t.pipeline * t.kv_s}
    else:
        found = {"compute time: tensor": t.pipeline * t.tensor_s, "compute time: vector": t.pipeline * t.vector_s}
    return found | {"collectives": t.pipeline * t.exposed_s + t.hops_s}
