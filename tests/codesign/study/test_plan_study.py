"""A plan solved again with changed numbers: as the changed plan solved whole, with no column computed in vain."""

from functools import cache

import pytest

from codesign.facts.errors import DataError
from codesign.fleet.best_fleet import prepare_and_solve
from codesign.fleet.prepared import prepare
from codesign.study import plan_numbers
from codesign.study.parameters import changed
from codesign.study.plan_study import Resolver
from tests.cases.fleet_plans import SMALL, catalog, plan, solved

LIMITED = {"limits__capital": ["$6M", "$3M"], "limits__power": "130 kW", "limits__chips": {"all": 400}}


@cache
def resolver() -> Resolver:
    return Resolver(None, plan(SMALL, **LIMITED), catalog=catalog())


@pytest.mark.parametrize(("changes", "said"), [
    ({}, {}),
    ({"limits.capital": 0.5}, {"limits__capital": ["$3M", "$1.5M"]}),
    ({"limits.power": 0.9}, {"limits__power": "117 kW"}),
    ({"workloads.long.requests": 1.5}, {"workloads__long__requests": "45 requests/s"}),
    ({"workloads.all.requests": 0.5}, {"workloads__long__requests": "15 requests/s",
                                       "workloads__chat__requests": ["450 requests/s", "750 requests/s"]}),
    ({"periods.2027.price": 0.5}, {"periods__2027__price": 0.45}),
    ({"limits.chips.all": 0.1}, {"limits__chips": {"all": 40}}),
])  # fmt: skip
def test_numbers_of_the_plan_are_those_of_the_plan_rewritten(changes, said):
    before = resolver().computed
    point = resolver().at(changes)
    assert resolver().computed == before  # no column anew
    whole = solved(SMALL, **{**LIMITED, **said}).answer
    assert point.status == whole.status
    if whole.proof is not None:
        assert point.value == pytest.approx(whole.proof.value, rel=2e-4)
        assert point.gap <= 1.01e-4


@pytest.mark.parametrize("path", ["chips.b200-sxm.price", "prices.default.pue", "servers.hgx-blackwell.price"])
def test_money_touches_no_column(path):
    before = resolver().computed
    value = resolver().number(path).parameter.value
    point = resolver().at({path: value * 1.1})
    assert resolver().computed == before
    assert point.value > resolver().at({}).value


@pytest.mark.parametrize("path", ["chips.b200-sxm.bandwidth", "links.nvlink5.hop"])
def test_only_touched_chips_are_computed_again_and_the_columns_are_those_of_the_whole(path):
    before = resolver().computed
    value = resolver().number(path).parameter.value * 1.25
    case = resolver().case({path: value})
    assert resolver().computed == before + 2  # two workloads on one of two chips
    query = resolver().prepared.demands[0].query
    fresh = prepare(changed(catalog(), query, {path: value})[0], resolver().plan)
    assert case.columns == fresh.columns


def test_another_idea_of_speed_is_another_workload():
    case = resolver().case({"workloads.chat.user_speed": 90.0})
    fresh = prepare(catalog(), plan(SMALL, **LIMITED, workloads__chat__user_speed="90 tokens/s"))
    assert case.columns == fresh.columns


def test_without_changes_the_columns_are_those_of_the_plan():
    assert resolver().case({}).columns == resolver().prepared.columns


def test_kept_purchases_are_exactly_those():
    today = resolver().at({})
    dearer = resolver().at({"chips.b200-sxm.price": 60_000.0}, kept=today.bought)
    assert dearer.bought == today.bought
    assert dearer.value > today.value
    assert resolver().at({"workloads.all.requests": 2.0}, kept=today.bought).status == "infeasible"
    half = resolver().at({"workloads.all.requests": 0.5}, kept=today.bought)
    assert half.bought == today.bought
    assert half.value > resolver().at({"workloads.all.requests": 0.5}).value
    assert resolver().at({"chips.b200-sxm.available": 2030.0}, kept=today.bought).why


def test_least_of_a_chip_is_bought_though_it_costs():
    today = resolver().at({"workloads.all.requests": 1.1})
    other = next(name for name in ("h100-sxm", "b200-sxm") if sum(today.bought.get(name, (0,))) < 3)
    forced = resolver().at({"workloads.all.requests": 1.1}, least={other: 3})
    assert sum(forced.bought[other]) >= 3
    assert forced.value > today.value


def test_several_cases_are_solved_again_too():
    several = plan(SMALL, scenarios={"low": {"probability": 0.5, "demand": 0.5}, "high": {"probability": 0.5,
                                                                                         "demand": 1.0}})  # fmt: skip
    point = Resolver(None, several, catalog=catalog()).at({"workloads.chat.requests": 0.5})
    rewritten = plan(SMALL, workloads__chat__requests=["450 requests/s", "750 requests/s"],
                     scenarios=several.content()["scenarios"])  # fmt: skip
    assert point.value == pytest.approx(prepare_and_solve(catalog(), rewritten).answer.proof.value, rel=2e-2)


def test_every_wrong_path_and_value_is_told_at_once():
    wrong = {"limits.hourly": 1.0, "workloads.talk.requests": 2.0, "budget": 1.0, "workloads.chat.share": 2.0}
    with pytest.raises(DataError) as told:
        resolver().at(wrong)
    for said in ("'limits.hourly': the plan sets no such number", "no workload 'talk'; it has: chat, long",
                 "'budget': no such number", "workloads.chat.share = 2: must stay within 0 .. 1"):  # fmt: skip
        assert said in str(told.value)


def test_numbers_are_amounts_where_they_are_one_amount_and_factors_where_they_are_several():
    found = {one.parameter.path: one for one in plan_numbers.numbers(resolver().plan)}
    assert list(found) == ["limits.capital", "limits.power", "limits.chips.all", "workloads.all.requests",
                           "workloads.chat.requests", "workloads.long.requests"]  # fmt: skip
    assert found["limits.power"].parameter.value == 130e3
    assert found["limits.power"].change(65e3) == 0.5
    assert found["limits.capital"].parameter.value == 1.0
