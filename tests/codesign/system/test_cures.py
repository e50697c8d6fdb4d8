"""Where nothing fits: each single change that is said to cure does, barely; and no other single change does."""

import math
from typing import Any

import pytest

from codesign.facts.document import CurePart
from codesign.facts.errors import UnboundedError
from codesign.facts.units import si
from codesign.system.answer import Answer
from codesign.system.best_system import prepare, prepare_and_solve
from codesign.system.objective import MAXIMIZE
from codesign.system.query import Query
from tests.cases import query_reference as reference
from tests.cases.query_strategies import UNITS, WHOLE, built_in, queries, query
from tests.codesign.system.test_best_system import repeat

AT_MOST = ("users", "user_speed", "context")  # these cure by getting smaller
LOOSE = {"users": 1, "user_speed": 1e-6, "tensor": 128, "replicas": 10**7, "racks": 10**7, "chips": 10**9,
         "budget": 1e15, "hourly": 1e12, "power": 1e13}  # fmt: skip
LIMITS = tuple(LOOSE)


def with_limit(asked: Query, name: str, value: float) -> Query:
    """The query with one limit, or the context, of its own."""
    whole = round(value) if name in (*WHOLE, "context") else value
    if name == "context":
        return asked.model_copy(update={"context": whole})
    return asked.model_copy(update={"limits": asked.limits.model_copy(update={name: whole})})


def works(asked: Query) -> bool:
    """Whether the query has an answer."""
    try:
        return prepare(built_in(), asked).columns.incumbent() is not None
    except UnboundedError:  # so many answers that none is best
        return True


def tightened(name: str, value: float) -> float:
    """A little less change than the cure's: one of what is counted, 0.1 % of all else."""
    sign = 1 if name in AT_MOST else -1
    return value + sign if name in (*WHOLE, "context") else value * (1 + sign * 1e-3)


def written(cure: CurePart, name: str) -> float:
    """The number in the words of the cure, as a user would type it again."""
    words = cure.works.removeprefix("at most " if name in AT_MOST else "at least ")
    return si(words.removesuffix(" tokens") if name == "context" else words, UNITS.get(name, "1"))


def check_cures(asked: Query, answer: Answer) -> set[str]:
    """Names of the limits that cure alone."""
    cures = {cure.limit.removeprefix("limits."): cure for cure in answer.cures}
    assert len(cures) == len(answer.cures)
    for name, cure in cures.items():
        assert cure.value is not None and cure.limit in answer.in_the_way
        applied = with_limit(asked, name, cure.value)
        assert works(applied), f"{name}: {cure.works} does not work"
        assert works(with_limit(asked, name, written(cure, name))), f"{name}: {cure.works} as written does not work"
        assert not works(with_limit(asked, name, tightened(name, cure.value))), f"{name}: less than {cure.works} works"
        if name != "context":
            assert reference.optimum(built_in(), applied) is not None
    for name in LIMITS:
        if name not in cures and getattr(asked.limits, name) is not None:
            assert not works(with_limit(asked, name, LOOSE[name])), f"{name} alone would cure"
    if "context" not in cures:
        assert not works(with_limit(asked, "context", 1)), "a shorter context alone would cure"
    if not cures and prepare(built_in(), asked).supply.offers:
        assert answer.in_the_way == "no single limit: at least two of them must give"
    return set(cures)


@pytest.mark.slow
@pytest.mark.parametrize("maximize", MAXIMIZE)
def test_cures_of_generated_queries(maximize: str) -> None:
    """At least 20 infeasible queries, until four limits have each cured one alone, and one is cured by none alone."""
    seen: list[set[str]] = []

    def varied() -> bool:
        return len(seen) >= 20 and len(set().union(*seen)) >= 4 and set() in seen

    def check(asked: Query) -> None:
        if not varied() and not works(asked):
            seen.append(check_cures(asked, prepare_and_solve(built_in(), asked).answer))

    repeat(80, queries(maximize, tight=True), check, start=f"{maximize} 40")
    assert varied()


H100: dict[str, Any] = {
    "model": "llama-3.1-70b", "context": 8192, "hardware": "catalogue", "allow": {"chips": ["h100-sxm"]},
}  # fmt: skip
L4 = H100 | {"allow": {"chips": ["l4"]}}
DEEPSEEK = H100 | {"model": "deepseek-v3"}
CROWD = {"replicas": 1, "users": 10**8}  # more digits than people are shown of other numbers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "limits", "cured_by"),
    [
        (H100, {"budget": 1e5}, {"budget"}),
        (H100, {"hourly": 1.0}, {"hourly"}),
        (H100, {"power": 1e3}, {"power"}),
        (H100, {"chips": 7}, {"chips"}),
        (DEEPSEEK, {"chips": 8}, {"chips"}),  # no replica is that small
        (DEEPSEEK, {"racks": 1, "users": 9000}, {"racks", "users", "context"}),
        (H100, {"replicas": 1, "users": 10**6}, {"replicas", "users", "context"}),
        (H100 | {"context": 128}, CROWD, {"replicas", "users", "context"}),
        (H100, {"user_speed": 1e5}, {"user_speed"}),
        (L4, {"tensor": 2, "replicas": 1, "users": 64, "user_speed": 1e4}, {"user_speed"}),  # many stages
        (H100, {"tensor": 1, "user_speed": 60.0}, {"tensor", "user_speed"}),
        (H100 | {"context": 2**17}, {"chips": 8, "users": 40}, {"chips", "users", "context"}),
        (H100, {"budget": 1e5, "power": 1e3}, set()),
        (H100, {"chips": 8, "user_speed": 100.0, "users": 300}, {"users", "chips", "user_speed", "context"}),
    ],
)  # fmt: skip
def test_cures_by_hand(fields: dict[str, Any], limits: dict[str, Any], cured_by: set[str]) -> None:
    asked = query(**fields, limits=limits, maximize="user-speed")
    assert check_cures(asked, prepare_and_solve(built_in(), asked).answer) == cured_by


def test_no_chip_is_not_a_limit() -> None:
    answer = prepare_and_solve(built_in(), query(**H100 | {"precision": ["fp4"]}, limits={"users": 5})).answer
    assert answer.status == "infeasible" and answer.cures == ()
    assert "left_out" in answer.in_the_way and "fp4" in answer.left_out["h100-sxm"]


def test_tightened_and_loosened_are_what_they_say() -> None:
    assert tightened("users", 7.0) == 8 and tightened("chips", 7.0) == 6
    assert math.isclose(tightened("budget", 100.0), 99.9) and math.isclose(tightened("user_speed", 100.0), 100.1)


def test_a_cure_of_racks_is_whole_racks() -> None:
    """Servers of 8 chips, several to a rack: a part of a rack is no number that one could type."""
    asked = query(model="llama-3.1-405b", context=8192, hardware="catalogue", allow={"chips": ["h100-sxm"]},
                  limits={"racks": 1, "users": 20_000})  # fmt: skip
    (cure,) = [one for one in prepare_and_solve(built_in(), asked).answer.cures if one.limit == "limits.racks"]
    server = prepare(built_in(), asked).supply.offers[0].chip.server
    assert server is not None and server.per_rack > 1 and cure.value == int(cure.value or 0) > 1
