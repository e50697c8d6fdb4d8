"""One period by plain loops over every number of servers and replicas: values and statuses of the fleet program.

The reference has its own arithmetic: fractions, no array of ours, and limits that lie exactly at what some fleet takes.
"""

import random
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from formulations import fleet
from formulations.fleet.instance import BOTH
from formulations.solvers import highs
from formulations.solvers.outcome import Status
from tests.cases.fleet_cases import instance

MOST = 4     # servers of a kind that are tried
Case = dict[str, Any]


def drawn(seed: int) -> Case:
    """Up to three kinds of servers of four chips, one or two demands; numbers are eighths, exact in floats."""
    r = random.Random(seed)
    eighths = lambda low, high: r.randint(low, high) / 8  # noqa: E731
    kinds = [{"chips": 4, "vendor": min(h, 1), "price": eighths(8, 80), "running": eighths(0, 16),
              "watts": eighths(8, 40), "installed": r.choice([0, 0, 1, 2]), "supply": float(r.choice([0, 1, 2, 2]))}
             for h in range(r.choice([1, 2, 2, 3]))]  # fmt: skip
    demands = [{"demand": eighths(4, 40)} for _ in range(r.choice([1, 1, 2]))]
    columns = [{"demand": d, "kind": h, "rate": eighths(4, 24), "size": r.choice([1, 2, 4])}
               for d in range(len(demands)) for h in range(len(kinds)) if r.random() < 0.8]  # fmt: skip
    columns = columns or [{"demand": 0, "kind": 0, "rate": 1.0, "size": 2}]
    case: Case = {"kinds": kinds, "demands": demands, "columns": columns, "limits": {}}
    counts = [r.randint(0, MOST) for _ in kinds]  # a limit is exactly what these servers take
    if r.random() < 0.4:
        case["limits"]["power"] = float(sum(Fraction(k["watts"]) * n for k, n in zip(kinds, counts, strict=True)))
    if r.random() < 0.3:
        bought = [max(n - k["installed"], 0) for k, n in zip(kinds, counts, strict=True)]
        case["limits"]["capital"] = float(sum(Fraction(k["price"]) * n for k, n in zip(kinds, bought, strict=True)))
    if r.random() < 0.4:
        case["limits"]["most_kinds"] = r.choice([1, 2])
    if len(kinds) > 1 and r.random() < 0.4:
        case["limits"]["second_source"] = r.choice([0.125, 0.25, 0.5])
    return case


def serves(case: Case, own: tuple[int, ...]) -> bool:
    """Whether some replicas on these servers serve every demand: chips of powers of two pack without waste."""
    columns = case["columns"]
    room = [n * k["chips"] for n, k in zip(own, case["kinds"], strict=True)]
    reach = {tuple(room)}  # chips left of each kind after the demands so far
    for d, demand in enumerate(case["demands"]):
        mine = [c for c in columns if c["demand"] == d]
        left = set()
        for start in reach:
            most = [start[c["kind"]] // c["size"] for c in mine]
            for counts in product(*[range(n + 1) for n in most]):
                rest, able = list(start), Fraction(0)
                for c, n in zip(mine, counts, strict=True):
                    rest[c["kind"]] -= n * c["size"]
                    able += Fraction(c["rate"]) * n
                if min(rest) >= 0 and able >= Fraction(demand["demand"]):
                    left.add(tuple(rest))
        reach = {one for one in left if not any(_more(other, one) for other in left)}
    return bool(reach)


def _more(other: tuple[int, ...], one: tuple[int, ...]) -> bool:
    return other != one and all(a >= b for a, b in zip(other, one, strict=True))


def allowed(case: Case, buy: tuple[int, ...], own: tuple[int, ...]) -> bool:
    kinds, limits = case["kinds"], case["limits"]
    spent = sum((Fraction(k["price"]) * n for k, n in zip(kinds, buy, strict=True)), Fraction(0))
    drawn_kw = sum((Fraction(k["watts"]) * n for k, n in zip(kinds, own, strict=True)), Fraction(0))
    if "capital" in limits and spent > Fraction(limits["capital"]):
        return False
    if "power" in limits and drawn_kw > Fraction(limits["power"]):
        return False
    if "most_kinds" in limits and sum(n > 0 for n in own) > limits["most_kinds"]:
        return False
    if "second_source" in limits:
        chips = [n * k["chips"] for n, k in zip(own, kinds, strict=True)]
        for vendor in {k["vendor"] for k in kinds}:
            part = sum(c for c, k in zip(chips, kinds, strict=True) if k["vendor"] == vendor)
            if part > (1 - Fraction(limits["second_source"])) * sum(chips):
                return False
    return True


def best(case: Case) -> Fraction | None:
    """Least cost of all fleets; None: there is none."""
    kinds, found = case["kinds"], None
    for buy in product(*[range(int(k["supply"]) + 1) for k in kinds]):
        for keep in product(*[range(k["installed"] + 1) for k in kinds]):
            own = tuple(b + k for b, k in zip(buy, keep, strict=True))
            cost = sum((Fraction(k["price"]) * b + Fraction(k["running"]) * n
                        for k, b, n in zip(kinds, buy, own, strict=True)), Fraction(0))  # fmt: skip
            if (found is None or cost < found) and allowed(case, buy, own) and serves(case, own):
                found = cost
    return found


def compared(seed: int) -> bool:
    """Both methods against the loops; whether there is a fleet."""
    case = drawn(seed)
    value = best(case)
    data = instance([{"phase": BOTH, **c} for c in case["columns"]], case["kinds"], case["demands"], **case["limits"])
    for method in ("full", "columns"):
        outcome = fleet.solve(data, method=method)[0]
        assert outcome.status is (Status.INFEASIBLE if value is None else Status.OPTIMAL), (seed, method)
        assert outcome.value == (None if value is None else pytest.approx(float(value), rel=1e-9, abs=1e-9)), seed
    return value is not None


def test_value_and_status_are_those_of_plain_loops() -> None:
    found = [compared(seed) for seed in range(30)]
    assert 5 < sum(found) < 25


@pytest.mark.slow
def test_value_and_status_are_those_of_plain_loops_on_150_plans() -> None:
    assert 30 < sum(compared(seed) for seed in range(1000, 1150)) < 120


# What callers rely on: OPTIMAL has a value and a bound on its side of it; INFEASIBLE has neither; what is exactly at a
# limit is within it, and 1e-7 of it beyond is not.

EDGES: dict[str, tuple[Case, float | None]] = {
    "supply 0": ({"kinds": [{"supply": 0.0}]}, None),
    "supply 0, installed": ({"kinds": [{"supply": 0.0, "installed": 1}]}, 5.0),
    "demand 0": ({"demands": [{"demand": 0.0}]}, 0.0),
    "one demand 0": ({"demands": [{"demand": 0.0}, {"demand": 4.0}], "columns": [{}, {"demand": 1}]}, 105.0),
    "prices 0": ({"kinds": [{"price": 0.0, "running": 0.0}]}, 0.0),
    "equal columns": ({"columns": [{}, {}, {}]}, 105.0),
    "equal kinds": ({"columns": [{}, {"kind": 1}], "kinds": [{}, {}]}, 105.0),
    "power at": ({"limits": {"power": 10.0}}, 105.0),
    "power below": ({"limits": {"power": 10.0 * (1 - 1e-7)}}, None),
    "power above": ({"limits": {"power": 10.0 * (1 + 1e-7)}}, 105.0),
    "capital at": ({"limits": {"capital": 100.0}}, 105.0),
    "capital below": ({"limits": {"capital": 100.0 * (1 - 1e-7)}}, None),
    "racks at": ({"limits": {"racks": 0.25}}, 105.0),
    "racks below": ({"limits": {"racks": 0.25 * (1 - 1e-7)}}, None),
    "racks above": ({"limits": {"racks": 0.25 * (1 + 1e-7)}}, 105.0),
    "racks far above": ({"limits": {"racks": 1e9 / 7}}, 105.0),
    "spending at": ({"limits": {"spending": 105.0}}, 105.0),
    "spending below": ({"limits": {"spending": 105.0 * (1 - 1e-7)}}, None),
    "demand above": ({"demands": [{"demand": 4.0 * (1 + 1e-7)}]}, 210.0),
    "demand below": ({"demands": [{"demand": 4.0 * (1 - 1e-7)}]}, 105.0),
    "large beside small": ({"demands": [{"demand": 1e9}, {"demand": 1e-5}],
                            "columns": [{"rate": 1e8}, {"demand": 1, "rate": 1e8}]}, 630.0),
    "large prices": ({"kinds": [{"price": 1e9, "running": 1e-9}]}, 1e9),
}  # fmt: skip


@pytest.mark.parametrize("method", ["full", "columns"])
@pytest.mark.parametrize("edge", EDGES)
def test_edges(edge: str, method: Any) -> None:
    case, value = EDGES[edge]
    data = instance(case.get("columns", [{}]), case.get("kinds"), case.get("demands"), **case.get("limits", {}))
    outcome = fleet.solve(data, method=method)[0]
    assert outcome.status is (Status.INFEASIBLE if value is None else Status.OPTIMAL)
    assert outcome.value == (None if value is None else pytest.approx(value, rel=1e-9))
    if value is not None:
        assert outcome.bound is not None
        assert outcome.bound <= outcome.value
        assert (outcome.solution.own >= 0).all()


@pytest.mark.parametrize("seed", [1, 7, 1234])
def test_another_seed_of_the_solver_finds_the_same_value(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = highs.quiet

    def seeded(lp: Any) -> Any:
        solver = quiet(lp)
        solver.setOptionValue("random_seed", seed)
        return solver

    monkeypatch.setattr(highs, "quiet", seeded)
    for each in range(5):
        compared(each)
    assert np.isfinite(fleet.solve(instance([{}]))[0].value)
