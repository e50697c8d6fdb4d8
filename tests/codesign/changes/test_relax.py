"""Nothing fits: conflicts are infeasible and smallest, joint cures cure, barely, and none is cheaper."""

import math
import random
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from codesign.changes.relax import relax
from codesign.facts.catalog import Catalog, load
from codesign.facts.errors import DataError
from codesign.facts.records import ModelRecord
from codesign.system.best_system import prepare, space_of
from codesign.system.conflicts import AT_LEAST, LIMITS, WHOLE, Conflicts, conflicts, limits_set, ways, with_limits
from codesign.system.joint_cure import Joint, cheapest
from codesign.system.query import Query
from tests.cases import query_reference as reference
from tests.cases.command import known, run
from tests.cases.query_strategies import CHIPS, built_in, query
from tests.codesign.system.test_cures import works

AMOUNTS: dict[str, list[float]] = {
    "budget": [2e4, 8e4, 3e5], "hourly": [3.0, 12.0, 50.0], "power": [2e3, 6e3, 2e4], "chips": [1, 4, 8],
    "racks": [1], "replicas": [1, 2], "tensor": [1, 2, 4], "users": [50, 400, 3000],
    "user_speed": [60.0, 250.0, 1000.0],
}  # fmt: skip


def asked(draw: random.Random) -> Query:
    """A query over one or two chips with two to five limits that are often too tight."""
    limits = {name: draw.choice(AMOUNTS[name]) for name in draw.sample(sorted(AMOUNTS), draw.randint(2, 5))}
    model = draw.choice(["llama-3.1-8b", "llama-3.1-70b", "gemma-3-27b", "mixtral-8x7b", "gpt-oss-20b"])
    context = min(draw.choice([8192, 32768, 131072]), built_in().get(ModelRecord, model).context)
    return query(
        model=model, context=context, precision=[draw.choice(["fp8", "bf16"])],
        hardware="catalogue", maximize="user-speed", spare_servers=draw.choice([0, 0, 1]),
        allow={"chips": draw.sample(CHIPS["buy"], draw.randint(1, 2))}, limits=limits,
    )  # fmt: skip


def infeasible(wanted: int, start: str) -> Iterator[Query]:
    """So many generated queries that nothing satisfies, though chips are on offer."""
    draw, seen = random.Random(start), 0
    while seen < wanted:
        one = asked(draw)
        if not works(one) and prepare(built_in(), one).supply.offers:
            seen += 1
            yield one


def found(
    one: Query, weights: Mapping[str, float] | None = None, catalog: Catalog | None = None
) -> tuple[Conflicts, Joint | None]:
    """What the closed form finds for a query."""
    p = prepare(catalog or built_in(), one)
    every = ways(p.query, p.servers, lambda q: space_of(p.catalog, q, p.supply))
    return conflicts(every), cheapest(every, weights or {})


class Plain:
    """Every layout of a query, whatever its limits, and what its systems take; apart from the code under test."""

    def __init__(self, one: Query) -> None:
        self.query = one
        loose = with_limits(one, {"tensor": None})
        self.places = reference.places(built_in(), loose)

    def feasible(self, kept: tuple[str, ...]) -> bool:
        """Whether some system satisfies these limits of the query."""
        limits = {name: getattr(self.query.limits, name) if name in kept else None for name in LIMITS}
        some = with_limits(self.query, limits)
        return any(place.value(some) is not None for place in self.places
                   if limits["tensor"] is None or place.layout.tensor <= limits["tensor"])  # fmt: skip

    def least_cost(self, most: int) -> float | None:
        """The cheapest change over every system; None where there are more than so many."""
        users = self.query.limits.users or 1
        last = [-(-users // (place.layout.pipeline * np.arange(1, len(place.step_s) + 1))) for place in self.places]
        if sum(int(counts.sum()) for counts in last) > most:
            return None
        return min((self._cost(place, counts) for place, counts in zip(self.places, last, strict=True)),
                   default=math.inf)  # fmt: skip

    def _cost(self, place: reference.Place, counts: Any) -> float:
        """The cheapest of one layout, with 1 .. `counts` replicas at each batch."""
        batch = np.repeat(np.arange(1, len(counts) + 1), counts)
        replicas = np.arange(1, len(batch) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
        taken = place.taken(self.query, replicas) | {
            "users": replicas * place.layout.pipeline * batch, "tensor": np.full(len(batch), place.layout.tensor),
            "user_speed": 1 / place.step_s[batch - 1]}  # fmt: skip
        cost = np.zeros(len(batch))
        for name in limits_set(self.query):
            limit = getattr(self.query.limits, name)
            moved = limit / taken[name] if name in AT_LEAST else taken[name] / limit
            cost += np.where(moved > 1 + 1e-12, moved - 1, 0)
        return float(cost.min())


def cured(one: Query, values: Mapping[str, float]) -> Query:
    """The query with these limits."""
    return with_limits(one, {name: round(value) if name in WHOLE else value for name, value in values.items()})


def tightened(values: Mapping[str, float], name: str) -> dict[str, float]:
    """A little less change of one limit: one of what is counted, 0.1 % of all else."""
    sign = 1 if name in AT_LEAST else -1
    fresh = values[name] + sign if name in WHOLE else values[name] * (1 + sign * 1e-3)
    return {**values, name: fresh}


def check_conflicts(one: Query, sets: Conflicts, plain: Plain) -> None:
    """Each infeasible by itself, each with any limit left out feasible."""
    assert sets.complete and sets.sets
    for names in sets.sets:
        assert not plain.feasible(names), f"{names} can be satisfied"
        for fewer in combinations(names, len(names) - 1):
            assert plain.feasible(fewer), f"{names}: {fewer} already cannot"


def check_joint(one: Query, joint: Joint | None) -> None:
    """Solvable with the cure, and not with a little less of it."""
    assert joint is not None and joint.values
    assert works(cured(one, joint.values))
    for name in joint.values:
        assert not works(cured(one, tightened(joint.values, name))), f"less of {name} works"


def check_generated(wanted: int) -> list[int]:
    """How many limits the largest conflict of each query has."""
    seen = []
    for one in infeasible(wanted, f"relax {wanted}"):
        sets, joint = found(one)
        check_conflicts(one, sets, Plain(one))
        check_joint(one, joint)
        seen.append(max(len(names) for names in sets.sets))
    return seen


def test_generated_queries() -> None:
    assert len(check_generated(5)) == 5


@pytest.mark.slow
def test_100_generated_queries() -> None:
    seen = check_generated(100)
    assert len(seen) == 100 and {1, 2, 3} <= set(seen)


@pytest.mark.slow
def test_all_conflicts_and_the_least_cost_by_enumeration() -> None:
    compared = 0
    for one in infeasible(14, "enumerated"):
        (sets, joint), plain = found(one), Plain(one)
        names = limits_set(one)
        if len(names) <= 3:
            bad = [set(c) for n in range(len(names) + 1) for c in combinations(names, n) if not plain.feasible(c)]
            assert {frozenset(c) for c in sets.sets} == {frozenset(c) for c in bad if not any(b < c for b in bad)}
        least = plain.least_cost(1_000_000)
        if least is not None:
            assert joint is not None and joint.cost == pytest.approx(least, rel=1e-9)
            compared += 1
    assert compared >= 8


H100: dict[str, Any] = {"model": "llama-3.1-70b", "context": 8192, "hardware": "catalogue",
                        "allow": {"chips": ["h100-sxm"]}}  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "sets"),
    [
        ({"budget": 1e5}, [("budget",)]),
        ({"budget": 1e5, "power": 1e3}, [("budget",), ("power",)]),
        ({"tensor": 1, "user_speed": 60.0}, [("tensor", "user_speed")]),
        ({"chips": 8, "users": 300, "user_speed": 100.0}, [("chips", "users", "user_speed")]),
        ({"user_speed": 1e5, "budget": 1e9}, [("user_speed",)]),
        ({"replicas": 1, "users": 10**6, "budget": 1e5}, [("budget",), ("replicas", "users")]),
    ],
)
def test_known_conflicts(limits: dict[str, float], sets: list[tuple[str, ...]]) -> None:
    assert list(found(query(**H100, limits=limits))[0].sets) == sets


def test_a_model_that_fits_nowhere_conflicts_with_nothing() -> None:
    """More context than any number of chips holds: the empty set, and no limit cures it."""
    one = query(**H100 | {"context": 10**9}, limits={"replicas": 3})
    longer = load(None, {"models.llama-3.1-70b.context": 10**9})
    sets, joint = found(one, catalog=longer)
    assert sets.sets == ((),) and joint is None


def test_weights_move_the_cure_and_fixed_holds_a_limit() -> None:
    one = query(**H100, limits={"chips": 8, "users": 300, "user_speed": 100.0})
    by = {name: found(one, dict.fromkeys(limits_set(one), math.inf) | {name: 1.0})[1] for name in limits_set(one)}
    for name, joint in by.items():
        assert joint is not None and set(joint.values) == {name}
        check_joint(one, joint)
    cheap = found(one, {"chips": 1e-3})[1]
    assert cheap is not None and set(cheap.values) == {"chips"}
    assert found(one, dict.fromkeys(limits_set(one), math.inf))[1] is None


def test_at_most_so_many_conflicts() -> None:
    p = prepare(built_in(), query(**H100, limits={"budget": 1e5, "power": 1e3}))
    every = ways(p.query, p.servers, lambda q: space_of(p.catalog, q, p.supply))
    assert conflicts(every, 1) == Conflicts((("budget",),), False) and conflicts(every, 2).complete


def test_answer_says_what_each_cure_buys() -> None:
    answer = relax(built_in(), query(**H100, limits={"chips": 8, "users": 300, "user_speed": 100.0}))
    assert answer.status == "cured" and answer.complete
    assert {one.cure.limit for one in answer.single} >= {"limits.chips", "limits.users", "limits.user_speed"}
    for one in answer.single:
        if one.cure.limit == "limits.chips":
            assert one.bought.chips_bought <= (one.cure.value or 0) and one.bought.users >= 300
        if one.cure.limit == "limits.users":
            assert one.bought.users >= (one.cure.value or 0)
    assert answer.joint is not None and answer.joint.cost == pytest.approx(
        sum(change.weight * change.share for change in answer.joint.changes))  # fmt: skip


def test_achieved_mode() -> None:
    """Times to first token are a limit there too."""
    one = query(**H100 | {"mode": "achieved"}, limits={"ttft": 0.001, "chips": 8, "users": 8})
    answer = relax(built_in(), one)
    assert ("ttft",) in [part.limits for part in answer.conflicts] and answer.joint is not None
    check_joint(one, found(one)[1])


@pytest.mark.parametrize(
    ("weights", "told"),
    [({"power": 1.0}, "--weight power: the query sets no such limit; it sets: chips"),
     ({"chips": 0.0}, "must be positive, or fixed"), ({"chips": math.nan}, "must be positive")],
)  # fmt: skip
def test_wrong_weights_are_told(weights: dict[str, float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        relax(built_in(), query(**H100, limits={"chips": 4}), weights=weights)


TIGHT = ("--model", "llama-3.1-70b", "--hardware", "catalogue", "--chip", "h100-sxm", "--mode", "limit",
         "--budget", "100k$", "--power", "1 kW")  # fmt: skip


def test_command() -> None:
    done = known("relax", *TIGHT)
    assert done.code == 0 and "2 smallest sets of limits that nothing satisfies" in done.out
    assert "none: at least two must give" in done.out and "no other change costs less" in done.out
    document = known("relax", *TIGHT, "--weight", "budget=3", "--weight", "user-speed=fixed", "--json").json
    assert document["held"] == ["user_speed"]
    assert [change["weight"] for change in document["joint"]["changes"]] == [3.0, 1.0]
    assert known("relax", *TIGHT[:-4], "--budget", "$3M").out.count("Nothing to relax") == 1
    wrong = known("relax", *TIGHT, "--weight", "budget=much", "--weight", "racks=1")
    assert wrong.code == 2 and "--weight budget=much: expected a positive number, or fixed" in wrong.err


def test_command_where_no_chip_is_complete() -> None:
    done = known("relax", "--chip", "groq-lpu-v1", "--mode", "limit")
    assert done.code == 5 and "no limit cures that" in done.out


def test_short_form_in_best() -> None:
    """Where no limit cures alone `best` names the conflicts and the cheapest change of several."""
    done = known("best", *TIGHT)
    assert done.code == 5 and "--power 1 kW: nothing satisfies that" in done.out
    document = known("best", *TIGHT, "--json").json
    assert document["conflicts"] == [["--budget $100,000"], ["--power 1 kW"]]
    joint = known("relax", *TIGHT, "--json").json["joint"]
    assert [cure["value"] for cure in document["together"]] == [
        change["cure"]["value"] for change in joint["changes"]]  # fmt: skip
    alone = known("best", *TIGHT[:-2], "--power", "none", "--json").json
    assert alone["cures"] and not alone["conflicts"] and not alone["together"]


def test_time_that_ends_leaves_it_undecided() -> None:
    done = run("relax", "--mode", "limit", "--user-speed", "2000", "--budget", "100k", "--time-limit", "1 ns")
    assert (done.code, done.out) == (3, "") and "time given ended" in done.err
