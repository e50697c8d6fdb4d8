"""Objectives: a new one is a record in one table; signs, units and names of those there are."""

from typing import Any

import numpy as np
import pytest

from codesign.facts.errors import DataError, UnboundedError
from codesign.system.best_system import prepare, prepare_and_solve
from codesign.system.objective import MAXIMIZE, OBJECTIVES, Counted, Objective
from codesign.system.query import Query, read_query
from tests.cases import query_reference as reference
from tests.cases.query_strategies import built_in, query

QUESTION = {"model": "llama-3.1-70b", "context": 8192, "hardware": "catalogue",
            "allow": {"chips": ["h100-sxm", "gb200-nvl72", "l4"]}}  # fmt: skip
CHIPS = Counted("chips", "chips_bought", "chips", "chip", 1.0)
PER_CHIP = Objective("throughput-per-chip", "ratio", CHIPS, "tokens/s/{}")


def asked(**fields: Any) -> Query:
    return query(**QUESTION | fields)


@pytest.fixture
def per_chip(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(OBJECTIVES, PER_CHIP.name, PER_CHIP)
    monkeypatch.setattr(reference.Place, "each", lambda place, query: float(place.offer.bill.chips))
    return PER_CHIP.name


@pytest.mark.parametrize("spares", [0, 1])
@pytest.mark.parametrize("limits", [{"chips": 100}, {"power": 4e4, "user_speed": 30.0, "users": 20}])
def test_a_new_objective_is_one_record(per_chip: str, spares: int, limits: dict[str, float]) -> None:
    """The program, the audit and the enumeration answer it, and so does plain Python."""
    question = asked(maximize=per_chip, limits=limits, spare_servers=spares)
    answer = prepare_and_solve(built_in(), question).answer
    assert answer.status == "optimal" and answer.proof is not None and answer.system is not None
    assert answer.performance is not None and answer.proof.method == "both"
    assert (answer.proof.objective, answer.proof.unit) == ("maximise throughput-per-chip", "tokens/s/chip")
    assert answer.proof.value == pytest.approx(answer.performance.throughput / answer.system.chips_bought, rel=1e-12)
    assert answer.proof.value == pytest.approx(reference.optimum(built_in(), question), rel=1e-9)


@pytest.mark.parametrize("name", [*MAXIMIZE, PER_CHIP.name])
def test_merit_order_and_better_agree(per_chip: str, name: str) -> None:
    one = OBJECTIVES[name]
    assert one.order == ("minimise cost" if name == "cost" else f"maximise {name}")
    assert one.better(2.0, 1.0) == one.up == (one.merit(2.0) > one.merit(1.0)) == (one.direction > 0)
    assert not one.better(1.0, 1.0) and not one.better(1.0 + 1e-9, 1.0, 1e-6) and not one.better(1.0 - 1e-9, 1.0, 1e-6)
    assert one.merit(one.merit(4.0)) == 4.0
    assert one.si(None) is None and one.pools_si(None, 9) is None


def test_units_follow_the_money() -> None:
    units = {(n, d): asked(maximize=n, dollars=d, limits={"users": 1}).objective.unit
             for n in MAXIMIZE for d in ("capital", "per-hour")}  # fmt: skip
    assert {units[n, d] for n in ("throughput", "user-speed") for d in ("capital", "per-hour")} == {"tokens/s"}
    assert units["throughput-per-watt", "per-hour"] == units["throughput-per-watt", "capital"] == "tokens/s/W"
    assert (units["cost", "capital"], units["cost", "per-hour"]) == ("USD", "USD/h")
    assert units["throughput-per-dollar", "per-hour"] == "tokens/s per USD/h"


def test_a_name_that_is_none_lists_those_there_are() -> None:
    for wrong in ("bogus", PER_CHIP.name, 3, ["cost"]):
        with pytest.raises(DataError, match=r"'throughput-per-dollar', 'throughput', .* 'user-speed' or 'cost'"):
            read_query(None, {"maximize": wrong}, 'model = "llama-3.1-8b"\ncontext = 4096\n')


def test_spares_need_a_limit_under_a_new_ratio(per_chip: str) -> None:
    with pytest.raises(UnboundedError, match="spare servers weigh less"):
        prepare(built_in(), asked(maximize=per_chip, spare_servers=1))
    assert np.isfinite(prepare(built_in(), asked(maximize=per_chip)).columns.incumbent()[1])


def test_two_pools_answer_a_new_ratio_too(per_chip: str) -> None:
    query = asked(maximize=per_chip, mode="achieved", serving={"phases": "disaggregated", "output": 200},
                  limits={"chips": 32}, allow={"chips": ["h100-sxm"]})  # fmt: skip
    answer = prepare_and_solve(built_in(), query).answer
    assert answer.proof is not None and answer.proof.method == "both" and answer.proof.unit == "tokens/s/chip"
    assert answer.performance is not None and answer.system is not None and answer.prefill is not None
    chips = answer.system.chips_bought + answer.prefill.chips_bought
    assert answer.proof.value == pytest.approx(answer.performance.throughput / chips, rel=1e-9)
