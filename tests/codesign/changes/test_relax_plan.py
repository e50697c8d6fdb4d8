"""relax of a fleet plan: conflicts as brute force finds them, cures that cure and buy what they allow."""

from functools import cache
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.changes import relax_plan_conflicts as searched
from codesign.changes.relax_plan import fleet_relax
from codesign.changes.relax_plan_answer import FleetRelaxAnswer
from codesign.changes.relax_plan_conflicts import conflicts, feasible
from codesign.fleet import limits
from codesign.output.relax_plan import render
from codesign.study.plan_study import Resolver
from tests.cases.command import run
from tests.cases.fleet_plans import ONE, SMALL, catalog, plan

TIGHT = {"allow__chips": ["h100-sxm", "b200-sxm"], "limits__power": "20 kW", "limits__capital": "$600k",
         "limits__racks": 10, "limits__chips": {"b200-sxm": 8},
         "workloads__chat__requests": "1200 requests/s"}  # fmt: skip
NAMES = "abcdef"


def subsets(names):
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


def minimal(names, fits):
    bad = [set(one) for one in subsets(names) if not fits(one)]
    return {tuple(sorted(one)) for one in bad if not any(other < one for other in bad)}


@cache
def resolver(**changes) -> Resolver:
    return Resolver(None, plan(ONE, **TIGHT, **changes), catalog=catalog())


@cache
def relaxed() -> FleetRelaxAnswer:
    return fleet_relax(resolver())


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.sets(st.sampled_from(NAMES)), max_size=5), st.lists(st.sets(st.sampled_from(NAMES)), max_size=1))
def test_the_search_finds_every_minimal_set_and_says_what_it_does_not_know(bad, unknown):
    def fits(some):
        if any(one <= set(some) for one in bad):
            return False
        return None if any(one <= set(some) for one in unknown) else True

    found = conflicts(tuple(NAMES), fits, most=100)
    true = minimal(NAMES, lambda some: fits(some) is not False)
    if not found.undecided:
        assert {tuple(sorted(one)) for one in found.sets} == true
        assert found.complete
    else:
        assert not found.complete
        assert {tuple(sorted(one)) for one in found.sets} <= true
    for one in found.sets:
        assert all(fits(some) for some in subsets(one) if some != one)


def test_the_number_of_sets_is_capped_and_said():
    found = conflicts(("a", "b", "c"), lambda some: not some, most=2)
    assert found.sets == (("a",), ("b",))
    assert not found.complete
    assert conflicts(("a", "b"), lambda some: not some, most=2).complete


def test_conflicts_of_a_plan_are_those_of_all_subsets():
    p, answer = resolver().prepared, relaxed()
    names = limits.limits_set(p.plan)
    assert names == ("limits.capital", "limits.power", "limits.racks", "limits.chips.b200-sxm",
                     "workloads.chat.requests")  # fmt: skip
    true = minimal(names, lambda some: feasible(limits.kept(p, some)))
    assert {tuple(sorted(one.limits)) for one in answer.conflicts} == true
    assert len(true) == 2
    assert answer.complete
    assert answer.status == "cured"


def test_the_factor_works_and_two_percent_less_does_not():
    p = resolver().prepared
    assert [(one.multiplied, one.divided) for one in relaxed().joint] == [
        (("limits.capital", "limits.power"), ()),
        (("limits.capital", "limits.power"), ("workloads.chat.requests",)),
    ]  # fmt: skip
    for one in relaxed().joint:
        both = (*one.multiplied, *one.divided)
        assert feasible(limits.scaled(p, both, one.factor)) is True
        assert feasible(limits.scaled(p, both, one.too_little)) is False
        assert 1 < one.factor / one.too_little <= 1.02
        assert one.decided
        assert one.bought.status == "optimal"
        assert one.bought.capital_usd <= 600e3 * one.factor * (1 + 1e-9)


@pytest.mark.parametrize("changes", [{"limits__capital": "$600k"}, {"limits__hourly": "5 USD/h"},
                                     {"limits__power": "20 kW"}, {"limits__racks": 0.1},
                                     {"limits__chips": {"h100-sxm": 8}}])  # fmt: skip
def test_a_limit_alone_is_a_conflict_with_demand_and_its_cure_buys_a_fleet(changes):
    name = next(iter(changes)).replace("__", ".")
    answer = fleet_relax(Resolver(None, plan(ONE, workloads__chat__requests="1200 requests/s", **changes),
                                  catalog=catalog()))  # fmt: skip
    (conflict,) = answer.conflicts
    assert conflict.limits[0].startswith(name)
    assert conflict.limits[1:] == ("workloads.chat.requests",)
    cures = {one.cure.limit: one.bought for one in answer.single}
    assert {conflict.limits[0], "workloads.chat.requests"} <= set(cures)
    assert all(fleet.status == "optimal" for fleet in cures.values())
    assert sum(cures[conflict.limits[0]].bought["h100-sxm"]) > 0


def test_periods_rules_and_survival_are_limits_too():
    asked = plan(SMALL, limits__second_source="20 %", limits__one_kind_per_workload=True, survive="one-kind",
                 limits__chips={"all": 16, "h100-sxm": [8, 24]})  # fmt: skip
    p = Resolver(None, asked, catalog=catalog()).prepared
    assert limits.limits_set(asked) == (
        "limits.second_source", "limits.one_kind_per_workload", "limits.chips.all", "limits.chips.h100-sxm", "survive",
        "workloads.chat.requests", "workloads.long.requests")  # fmt: skip
    kept = limits.kept(p, ("limits.chips.all", "workloads.long.requests"))
    assert p.kinds.names == ("b200-sxm", "h100-sxm")
    assert kept.kinds.supply.tolist() == [[2, 2], [np.inf, np.inf]]
    assert kept.plan.survive is None
    assert not limits.limits_set(kept.plan)[0].startswith("limits.second")
    assert kept.requests[:, 0].tolist() == [0.0, 30.0]
    assert limits.scaled(p, ("limits.chips.h100-sxm",), 3.0).kinds.supply.tolist() == [[2, 2], [3, 9]]


def test_demand_that_survives_no_loss_is_told_with_the_loss():
    answer = fleet_relax(Resolver(None, plan(ONE, survive="one-kind"), catalog=catalog()))
    assert [one.limits for one in answer.conflicts] == [("survive", "workloads.chat.requests")]
    assert answer.status in ("cured", "incurable")
    assert all(one.bought is not None and one.bought.status == "optimal" for one in answer.single)


def test_a_cure_of_a_ratio_serves_something():
    asked = plan(ONE, objective="throughput-per-dollar", limits__capital="$100k", limits__power="20 kW")
    answer = fleet_relax(Resolver(None, asked, catalog=catalog()))
    assert [one.limits for one in answer.conflicts] == [("limits.capital",)]
    assert all(one.bought.value > 0 for one in (*answer.single, *answer.joint))
    assert answer.joint


def test_what_is_not_decided_is_said(monkeypatch):
    monkeypatch.setattr(searched, "feasible", lambda p, deadline: None)
    answer = fleet_relax(resolver())
    assert answer.status == "undecided"
    assert answer.undecided == ((),)
    assert "Not decided" in next(iter(render(answer)))


def write(tmp_path, **changes):
    path = tmp_path / "plan.toml"
    path.write_text(plan(ONE, **{**TIGHT, **changes}).as_toml(), encoding="utf-8")
    return path


def test_command(tmp_path):
    path = write(tmp_path)
    done = run("relax", path)
    assert done.code == 0, done.err
    assert "power 20 kW with requests of chat: 1,200 requests/s" in done.out
    assert "works, none at" in done.out
    capped = run("relax", path, "--most", 1, "--json")
    assert capped.code == 0
    assert (len(capped.json["conflicts"]), capped.json["complete"]) == (1, False)
    wrong = run("relax", path, "--weight", "power=2")
    assert (wrong.code, "--weight: of a query" in wrong.err) == (2, True)


def test_a_plan_that_is_feasible_says_so(tmp_path):
    done = run("relax", write(tmp_path, limits__power=None, limits__capital=None))
    assert (done.code, "Nothing to relax" in done.out) == (0, True)
