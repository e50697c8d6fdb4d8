"""frontier of a fleet plan: solving again at each point's power shows it, ends as their own objectives find them."""

import csv
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.changes.frontier_plan import At, fleet_frontier, undominated
from codesign.changes.frontier_plan_answer import FleetFrontierAnswer
from codesign.study.plan_study import Resolver
from tests.cases.command import run
from tests.cases.fleet_plans import ONE, catalog, plan

TRADE = {"allow__chips": ["h100-sxm", "b200-sxm"], "workloads__chat__requests": "3000 requests/s",
         "periods__2026__price": {"all": 1.0, "b200-sxm": 2.2}}  # fmt: skip
GAP = 1e-4


@cache
def found() -> FleetFrontierAnswer:
    return fleet_frontier(catalog(), plan(ONE, **TRADE))


def best(**changes):
    return Resolver(None, plan(ONE, **{**TRADE, **changes}), catalog=catalog()).at({})


def test_points_are_proven_and_none_is_worse_than_another():
    answer = found()
    assert (answer.status, answer.asked) == ("proven", 6)
    assert len(answer.points) + answer.dropped == 6
    assert len(answer.points) >= 4
    for a, b in pairwise(answer.points):
        assert a.power_w < b.power_w
        assert a.dollars > b.dollars
    for one in answer.points:
        assert one.fleet.status == "optimal"
        assert one.fleet.bound <= one.dollars * (1 + 1e-9)
        assert one.power_w <= one.power_limit_w[0]


def test_the_ends_are_those_of_each_objective():
    first, last = found().points[0], found().points[-1]
    least_power, least_cost = best(objective="power"), best()
    assert first.power_w == pytest.approx(least_power.value, rel=GAP)
    assert first.dollars == pytest.approx(least_power.cost_usd, rel=1e-3)
    assert last.dollars == pytest.approx(least_cost.value, rel=GAP)
    assert found().least_dollars <= last.dollars * (1 + 1e-9)
    assert found().least_power_w <= first.power_w * (1 + 1e-9)


def test_the_end_of_least_dollars_has_no_more_power_than_it_needs():
    assert best(limits__power=f"{found().points[-1].power_w * 0.999} W").cost_usd > found().points[-1].dollars


def test_solving_again_within_a_points_power_costs_as_much_and_within_less_more():
    for one in found().points[1:-1]:
        assert best(limits__power=f"{one.power_limit_w[0]!r} W").value == pytest.approx(one.dollars, rel=GAP)
        assert best(limits__power=f"{one.power_w * 0.999} W").value >= one.dollars * (1 - GAP)


def test_several_periods_are_limited_each():
    asked = plan(ONE, **TRADE, periods__2027={"year": 2027, "price": 0.9})
    answer = fleet_frontier(catalog(), asked, points=3)
    assert answer.status == "proven"
    assert all(len(one.power_limit_w) == 2 for one in answer.points)
    assert answer.points[0].power_w < answer.points[-1].power_w


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1))
def test_undominated_is_what_brute_force_keeps(pairs):
    points = [At(None, float(x), float(y), np.zeros(1)) for x, y in pairs]
    kept = [(int(one.dollars), int(one.power_w)) for one in undominated(points)]
    true = {a for a in pairs if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in pairs)}
    assert set(kept) == true
    assert len(kept) == len(true)


def write(tmp_path, **changes):
    path = tmp_path / "plan.toml"
    path.write_text(plan(ONE, **{**TRADE, **changes}).as_toml(), encoding="utf-8")
    return path


def test_command_and_folder(tmp_path):
    folder = tmp_path / "out"
    done = run("frontier", write(tmp_path), "--axes", "power,dollars", "--points", 3, "--export", folder)
    assert done.code == 0, done.err
    assert "proven points, not a complete curve" in done.out
    assert sorted(path.name for path in folder.iterdir()) == [
        "frontier.csv", "frontier.html", "frontier.json", "frontier.png", "frontier.svg"]  # fmt: skip
    rows = list(csv.DictReader((folder / "frontier.csv").open(encoding="utf-8", newline="")))
    answer = FleetFrontierAnswer.model_validate_json((folder / "frontier.json").read_text(encoding="utf-8"))
    assert [float(row["dollars_usd"]) for row in rows] == [one.dollars for one in answer.points]
    assert float(rows[-1]["power_w"]) == found().points[-1].power_w


def test_wrong_input_is_told_at_once(tmp_path):
    done = run("frontier", write(tmp_path, objective="throughput-per-dollar"), "--axes", "power,chips", "--points", 1)
    assert done.code == 2
    for text in ("--axes power,chips", "--points 1", "objective = 'throughput-per-dollar'"):
        assert text in done.err
    assert "--points: of a fleet plan" in run("frontier", "--points", 3).err


def test_nothing_fits(tmp_path):
    done = run("frontier", write(tmp_path, limits__power="10 kW"))
    assert (done.code, "codesign relax" in done.out) == (5, True)
