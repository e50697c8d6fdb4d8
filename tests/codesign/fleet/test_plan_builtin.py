"""The built-in plan: every part of a plan is in it, and its answer has the structure that the README shows."""

import json
from typing import Any

import pytest

from codesign.facts.catalog import builtin_plan
from codesign.fleet.reading import read_plan
from tests.cases.command import known
from tests.cases.fleet_plans import catalog

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answer() -> Any:
    done = known("fleet", "--json", "--quick")
    assert (done.code, done.err) == (0, "")
    return done.json


def test_the_plan_has_four_workloads_and_three_periods() -> None:
    plan = read_plan(catalog(), None, {}, builtin_plan("default"))
    assert (len(plan.workloads), len(plan.periods)) == (4, 3)
    assert any(one.lengths for one in plan.workloads.values()) and plan.installed and plan.limits.chips


def test_servers_of_each_kind_by_period(answer: Any) -> None:
    """Changes where prices, measured constants or the plan change: then look at it, and at the README."""
    owned = [{kind["chip"]: (kind["bought"], kind["owned"]) for kind in period["kinds"]}
             for period in answer["periods"]]  # fmt: skip
    assert owned == [
        {"b200-sxm": (9, 9), "h100-sxm": (0, 7)},
        {"b200-sxm": (3, 12), "h100-sxm": (0, 7)},
        {"b200-sxm": (0, 12), "gb200-nvl72": (1, 1), "h100-sxm": (0, 0)},
    ]
    assert answer["cost_usd"] == pytest.approx(7.90e6, rel=0.005)


def test_every_workload_is_served_in_every_period(answer: Any) -> None:
    assert answer["status"] == "optimal" and answer["proof"]["gap"] <= 1e-4
    for period in answer["periods"]:
        assert [one["workload"] for one in period["workloads"]] == ["chat", "code", "documents", "labels"]
        assert all(one["served"] == pytest.approx(one["requests"]) for one in period["workloads"])
        assert {one["phase"] for one in period["replicas"]} == {"both", "prefill", "decode"}
        assert {limit["name"] for limit in period["limits"]} >= {"capital", "power", "kinds", "chips.gb200-nvl72"}


def test_the_plan_of_the_answer_is_the_plan(answer: Any) -> None:
    asked = read_plan(catalog(), None, {}, builtin_plan("default")).content()
    assert answer["plan"] == json.loads(json.dumps(asked))


def test_fewer_kinds_than_it_takes_are_named_with_the_cure() -> None:
    done = known("fleet", "--quick", "--set", "limits.kinds=1", "--json")
    assert known("fleet", "--set", "limits.kinds=1").code == done.code == 5
    assert "limits.kinds = 1: 3 would work" in known("fleet", "--set", "limits.kinds=1").out


def test_more_capital_is_never_dearer() -> None:
    """The same servers satisfy all three; with integrality to 1e-9 HiGHS took a dearer fleet for the cheapest one."""
    costs = [known("fleet", "--quick", "--json", "--set", f'limits.capital=["$6M","{most}","$5M"]').json["cost_usd"]
             for most in ("$3M", "$7M", "$10M")]  # fmt: skip
    assert costs[0] * (1 + 1e-4) >= costs[1] and costs[1] * (1 + 1e-4) >= costs[2]
    assert costs[1] == pytest.approx(costs[0], rel=1e-4)
