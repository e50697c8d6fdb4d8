"""robust of a fleet plan: regrets and choices as enumeration over the purchases compared has them, and what is told."""

import csv
import json
from functools import cache

import numpy as np
import pytest

from codesign.changes.robust import Terms
from codesign.changes.robust_plan import DEMAND, fleet_robust, losses
from codesign.changes.robust_plan_answer import REGRET, TODAY, WORST, FleetRobustAnswer
from codesign.output.robust_plan import render
from codesign.study.plan_study import Point, Resolver
from tests.cases.command import run
from tests.cases.fleet_plans import ONE, catalog, plan

TWO_CHIPS = {"allow__chips": ["h100-sxm", "b200-sxm"], "workloads__chat__requests": "1200 requests/s"}
VALUE = {**TWO_CHIPS, "objective": "value", "workloads__chat__worth": "2 USD/Mtok", "limits__power": "60 kW"}
FILE = """schema = 1
[periods.2026]
year = 2026
price = 1.0
[workloads.chat]
model = "llama-3.1-8b"
input = "1k"
output = "256"
requests = "300 requests/s"
phases = "aggregated"
[allow]
chips = ["h100-sxm"]
"""


@cache
def found(kind: str = "cost", must_fit: float = 0.0) -> FleetRobustAnswer:
    changes = {"cost": TWO_CHIPS, "value": VALUE}[kind]
    return fleet_robust(resolver(**changes), Terms(count=4, seed=2, must_fit=must_fit))


def resolver(kind=Resolver, **changes) -> Resolver:
    return kind(None, plan(ONE, **changes), catalog=catalog())


def text(answer: FleetRobustAnswer) -> str:
    return "\n".join(part for part in render(answer) if isinstance(part, str))


@pytest.mark.parametrize("kind", ["cost", "value"])
def test_both_choices_are_the_best_of_the_purchases_compared(kind):
    answer, more = found(kind), kind == "value"
    assert answer.status == "proven"
    assert len(answer.candidates) > 1
    pick, worst = (max, min) if more else (min, max)
    for s, scenario in enumerate(answer.scenarios):
        values = [c.fleets[s].value for c in answer.candidates if c.fleets[s].value is not None]
        best = pick(*values, scenario.best.value)
        assert best == scenario.reference == pytest.approx(scenario.best.value, rel=1e-4)
        for c in answer.candidates:
            value = c.fleets[s].value
            assert c.regret[s] == pytest.approx(1.0 if value is None else 1 - (value / best if more else best / value))
    regret, case = answer.choices
    assert regret.value == pytest.approx(min(max(c.regret) for c in answer.candidates), abs=1e-8)
    held = [c for c in answer.candidates if c.worst_value is not None]
    if held:
        assert answer.candidates[case.candidate].worst_value == pick(c.worst_value for c in held)
        assert all(c.worst_value == worst(fleet.value for fleet in c.fleets) for c in held)
    assert TODAY in answer.candidates[0].roles
    assert REGRET in answer.candidates[regret.candidate].roles
    assert WORST in answer.candidates[case.candidate].roles


def test_every_best_is_compared_once_and_a_scenario_can_be_asked_again():
    answer = found()
    bought = [c.bought for c in answer.candidates]
    assert bought[0] == answer.today.bought
    assert all(scenario.best.bought in bought for scenario in answer.scenarios)
    assert len({json.dumps(one, sort_keys=True) for one in bought}) == len(bought)
    fresh, scenario = resolver(**TWO_CHIPS), answer.scenarios[1]
    assert fresh.at(scenario.changes).value == pytest.approx(scenario.best.value, rel=1e-9)
    for c in answer.candidates:
        again = fresh.at(scenario.changes, kept=c.bought)
        assert (again.status, again.value, again.why) == (c.fleets[1].status, c.fleets[1].value, c.fleets[1].why)


def test_numbers_are_drawn_within_what_is_published_and_demand_within_the_choice():
    answer = found()
    ranges = {one.path: (one.low, one.high) for one in answer.uncertain}
    assert ranges["workloads.chat.requests"] == DEMAND
    assert "chips.b200-sxm.price" in ranges and "prices.default.electricity" in ranges
    for scenario in answer.scenarios:
        assert scenario.changes.keys() == ranges.keys()
        assert all(ranges[path][0] <= value <= ranges[path][1] for path, value in scenario.changes.items())
    assert fleet_robust(resolver(**TWO_CHIPS), Terms(count=2, seed=2)).scenarios == answer.scenarios[:2]
    assert fleet_robust(resolver(**TWO_CHIPS), Terms(count=1, seed=3)).scenarios != answer.scenarios[:1]


def test_purchases_that_break_have_regret_one_and_their_share_is_told():
    breaking = [c for c in found().candidates if c.break_share]
    assert breaking
    for c in breaking:
        broken = [fleet.status == "infeasible" for fleet in c.fleets]
        assert c.break_share == np.mean(broken) == pytest.approx(sum(c.breaks.values()))
        assert all(c.regret[s] == 1.0 for s, breaks in enumerate(broken) if breaks)
        assert c.worst_value is None


def test_must_fit_takes_only_purchases_that_do_often_enough():
    answer = found("cost", 1.0)
    fit = [i for i, c in enumerate(answer.candidates) if not c.break_share]
    assert fit and all(choice.candidate in fit for choice in answer.choices)
    tight = {**TWO_CHIPS, "limits__power": "60 kW", "periods__2027": {"year": 2027, "price": 0.9},
             "workloads__chat__requests": ["1200 requests/s", "1500 requests/s"]}  # fmt: skip
    none = fleet_robust(resolver(**tight), Terms(count=6, seed=0, must_fit=1.0))
    assert all(c.break_share for c in none.candidates)
    assert none.status == "infeasible"
    assert "none of the purchases compared does in 100% of the scenarios" in text(none)


@pytest.mark.parametrize(("more", "values", "best", "expected"), [
    (False, [2.0, 1.0, np.nan], 1.0, [0.5, 0.0, 1.0]), (True, [2.0, 1.0, -1.0, np.nan], 2.0, [0.0, 0.5, 1.0, 1.0]),
    (True, [0.0, -1.0], 0.0, [0.0, 1.0]), (False, [0.0, 5.0], 0.0, [0.0, 1.0]),
])  # fmt: skip
def test_loss_is_relative_to_the_best(more, values, best, expected):
    assert losses(np.array(values), np.array(best), more=more).tolist() == expected


class _Undecided(Resolver):
    """As where time runs out with kept purchases, or in some scenarios."""

    def at(self, changes, *, kept=None, least=None) -> Point:  # type: ignore[no-untyped-def]
        point = super().at(changes, kept=kept, least=least)
        return Point("unknown") if changes.get("workloads.chat.requests", 1.0) > 1.02 else point


def test_points_that_are_not_known_leave_it_undecided():
    answer = fleet_robust(resolver(_Undecided, **TWO_CHIPS), Terms(count=4, seed=2))
    assert answer.unknown and answer.scenarios
    assert answer.status == "undecided"
    assert "nothing is known in the time given" in text(answer)


def test_no_fleet_today_is_an_answer():
    answer = fleet_robust(resolver(limits__power="1 kW"), Terms(count=2))
    assert (answer.status, answer.candidates) == ("infeasible", ())
    assert "Infeasible" in text(answer)


def test_the_command_exports_its_tables(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(FILE, encoding="utf-8")
    done = run("robust", str(file), "--scenarios", "2", "--json", "--export", str(tmp_path / "out"))
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert (answer["kind"], answer["asked"]) == ("fleet-robust", 2)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "answer.json", "candidates.csv", "regrets.csv", "scenarios.csv"}  # fmt: skip
    with (tmp_path / "out" / "regrets.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["regret"]) for row in rows] == [
        c["regret"][s] for s in range(len(answer["scenarios"])) for c in answer["candidates"]]  # fmt: skip


def test_what_is_of_a_query_is_one_fault_and_bad_numbers_another(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(FILE, encoding="utf-8")
    wrong = run("robust", str(file), "--uncertainty", "u.toml", "--model-error", "1.5", "--jobs", "2")
    assert wrong.code == 2
    assert "--uncertainty, --model-error, --jobs: of a query; a fleet plan takes --scenarios" in wrong.err
    wrong = run("robust", str(file), "--scenarios", "0", "--must-fit", "120%", "--seed", "-1")
    assert wrong.code == 2
    assert all(name in wrong.err for name in ("--scenarios 0", "--must-fit 1.2", "--seed -1"))
