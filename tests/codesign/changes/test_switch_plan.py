"""switch and sensitivity of a fleet plan: brackets that scans confirm, purchases kept, what is told of wrong input."""

import json
from functools import cache
from itertools import pairwise

import pytest

from codesign.changes.sensitivity_plan import fleet_sensitivity
from codesign.changes.switch_plan import NARROW, STEP, fleet_switch
from codesign.changes.switch_plan_answer import FleetSensitivityAnswer, FleetSwitchAnswer
from codesign.changes.why_not_plan import fleet_why_not
from codesign.facts.errors import DataError
from codesign.output.switch_plan import render_sensitivity, render_switch, render_why_not
from codesign.study.plan_study import Point, Resolver
from tests.cases.command import run
from tests.cases.fleet_plans import ONE, catalog, plan

TWO_CHIPS = {"allow__chips": ["h100-sxm", "b200-sxm"], "limits__power": "60 kW", "limits__kinds": 2,
             "workloads__chat__requests": "1200 requests/s"}


@cache
def resolver() -> Resolver:
    return Resolver(None, plan(ONE, **TWO_CHIPS), catalog=catalog())


@cache
def switched() -> FleetSwitchAnswer:
    return fleet_switch(resolver(), ["chips.b200-sxm.price", "limits.power", "limits.kinds"],
                        ["0.5x..3x", "0.3x..2x", "1..2"])  # fmt: skip


@cache
def moved() -> FleetSensitivityAnswer:
    return fleet_sensitivity(resolver())


def test_a_switch_is_a_bracket_between_two_solved_points_of_other_kinds():
    answer = switched()
    assert answer.status == "proven"
    assert any(line.switches for line in answer.lines)
    for line in answer.lines:
        known = {point.value: point.fleet for point in line.points}
        assert line.low in known and line.high in known and (line.today in known)
        for switch in line.switches:
            assert known[switch.below].kinds == switch.before != switch.after == known[switch.above].kinds
            assert switch.narrow and switch.proven
            assert line.whole or switch.above / switch.below <= NARROW * (1 + 1e-9)
        for a, b in pairwise(line.points):
            assert line.whole or b.value / a.value <= STEP * (1 + 1e-9)


def test_solving_again_beside_a_switch_shows_both_fleets():
    line = switched().lines[0]
    fresh = Resolver(None, resolver().plan, catalog=catalog())
    for switch in line.switches:
        assert fresh.at({line.path: switch.below}).kinds == switch.before
        assert fresh.at({line.path: switch.above}).kinds == switch.after


@pytest.mark.slow
def test_a_finer_scan_agrees_with_the_bands():
    line = switched().lines[0]
    n = 60
    for i in range(n + 1):
        value = line.low * (line.high / line.low) ** (i / n)
        if any(s.below < value < s.above for s in line.switches):
            continue
        below = max((p for p in line.points if p.value <= value * (1 + 1e-12)), key=lambda p: p.value)
        assert resolver().at({line.path: value}).kinds == below.fleet.kinds


def test_less_power_than_any_fleet_draws_is_a_switch_to_nothing():
    line = switched().lines[1]
    assert line.switches[0].before is None
    assert line.points[0].fleet.status == "infeasible"


def test_whole_numbers_are_neighbours():
    line = switched().lines[2]
    assert line.whole
    assert [point.value for point in line.points] == [1.0, 2.0]


class _Undecided(Resolver):
    """As where time runs out at some values."""

    def at(self, changes, *, kept=None, least=None) -> Point:  # type: ignore[no-untyped-def]
        if changes.get("limits.power", 1.0) > 1.5:
            return Point("unknown")
        return super().at(changes, kept=kept, least=least)


def test_points_that_are_not_known_leave_the_line_undecided():
    answer = fleet_switch(_Undecided(None, plan(ONE, **TWO_CHIPS), catalog=catalog()), ["limits.power"], ["1x..2x"])
    assert answer.status == "undecided"
    assert "not known in the time given" in text(render_switch(answer))


def test_sensitivity_solves_both_ends_anew_and_with_todays_purchases():
    answer = moved()
    assert answer.status == "proven"
    bars = {bar.path: bar for bar in answer.bars}
    price = next(bar for path, bar in bars.items() if path.endswith(".price") and path.startswith("chips."))
    assert price.low.best.value < answer.today.value < price.high.best.value
    for bar in answer.bars:
        for end in (bar.low, bar.high):
            assert end.kept.bought is None or end.kept.bought == answer.today.bought
            if end.kept.value is not None:
                assert end.best.value <= end.kept.value * (1 + 1e-4)
    more = bars["workloads.chat.requests"]
    assert (more.confidence, more.low.value, more.high.value) == ("choice", pytest.approx(1080), pytest.approx(1320))
    swings = [float("inf") if bar.swing is None else bar.swing for bar in answer.bars]
    assert swings == sorted(swings, reverse=True)
    assert not {bar.path for bar in answer.bars} & set(answer.without_effect)


def test_each_end_is_the_plan_with_that_number():
    bar = next(bar for bar in moved().bars if bar.path == "prices.default.upkeep")
    fresh = Resolver(None, plan(ONE, **TWO_CHIPS, cost={"upkeep": f"{bar.low.value!r} 1/years"}))
    assert fresh.at({}).value == pytest.approx(bar.low.best.value, rel=1e-9)


def test_purchases_that_no_longer_do_say_why():
    few = Resolver(None, plan(ONE, **TWO_CHIPS), catalog=catalog())
    today = few.at({})
    assert few.at({"workloads.chat.requests": 5.0}, kept=today.bought).why == "the demand is not met"
    assert few.at({"limits.power": 0.01}, kept=today.bought).why == "over a limit on money, power or racks"


def test_binding_limits_have_shadow_prices():
    changes = {**TWO_CHIPS, "objective": "value", "workloads__chat__worth": "2 USD/Mtok", "limits__power": "20 kW"}
    answer = fleet_sensitivity(Resolver(None, plan(ONE, **changes), catalog=catalog()))
    assert [(row.limit, row.period) for row in answer.shadows] == [("power", "2026")]
    assert answer.shadows[0].gain > 0


def test_no_fleet_today_is_an_answer():
    answer = fleet_sensitivity(Resolver(None, plan(ONE, limits__power="1 kW"), catalog=catalog()))
    assert (answer.status, answer.bars) == ("infeasible", ())
    assert "Infeasible" in text(render_sensitivity(answer))


@pytest.mark.parametrize(("paths", "ranges", "said"), [
    (["limits.racks", "chips.b100.price"], [], ["'limits.racks': the plan sets no such number", "b100"]),
    (["limits.power"], ["2x..1x"], ["reversed"]), (["limits.power"], ["1x..1x"], ["empty"]),
    (["limits.power"], ["0 W..1 kW"], ["the low end must be above 0"]),
    (["limits.power"], ["1x..2x", "1x..3x"], ["2 ranges for 1 parameters"]),
    (["limits.power"], ["1 USD..2 USD"], ["USD", "limits.power"]),
])  # fmt: skip
def test_wrong_paths_and_ranges_are_told_together(paths, ranges, said):
    with pytest.raises(DataError) as told:
        fleet_switch(resolver(), paths, ranges)
    assert all(each in str(told.value) for each in said)


def text(parts) -> str:  # type: ignore[no-untyped-def]
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    console = Console(file=out, width=200)
    for part in parts:
        console.print(part)
    return out.getvalue()


def test_tables_say_what_is_not_complete():
    said = text(render_switch(switched()))
    assert "a pair of changes could hide" in said
    assert "<- today" in said
    assert "demand has no published range" in text(render_sensitivity(moved()))


def small_file(tmp_path) -> str:  # type: ignore[no-untyped-def]
    path = tmp_path / "plan.toml"
    path.write_text(plan(ONE, **TWO_CHIPS).as_toml(), encoding="utf-8")
    return str(path)


def test_commands_take_a_plan_and_export(tmp_path):
    file = small_file(tmp_path)
    done = run("switch", file, "--parameter", "limits.power", "--range", "0.9x..1.1x", "--json", "--export",
                 str(tmp_path / "out"))  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "out" / "answer.json").read_text())["kind"] == "fleet-switch"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "answer.json", "points.csv", "switches.csv", "line-1.png", "line-1.svg", "line-1.html"}  # fmt: skip


def test_tornado_is_exported(tmp_path):
    from codesign.output.plan_change_files import write_fleet_sensitivity

    write_fleet_sensitivity(tmp_path / "out", moved())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "answer.json", "tornado.csv", "shadow.csv", "tornado.png", "tornado.svg", "tornado.html"}  # fmt: skip
    assert "(choice)" in (tmp_path / "out" / "tornado.svg").read_text()


@pytest.mark.parametrize("options", [["--all"], [], ["--parameter", "limits.power", "--together"]])
def test_what_does_not_go_with_a_plan_is_bad_input(tmp_path, options):
    done = run("switch", small_file(tmp_path), *options)
    assert done.code == 2
    assert "--parameter PATH" in done.err


@cache
def missing() -> str:
    """Of the two chips the one that is not bought."""
    return next(name for name in ("h100-sxm", "b200-sxm") if name not in resolver().at({}).bought)


def test_why_not_is_the_best_fleet_that_buys_it_and_its_price_when_it_enters():
    answer = fleet_why_not(resolver(), missing())
    assert answer.status == "behind"
    assert sum(answer.other.bought[missing()]) >= 1
    assert answer.behind == pytest.approx(answer.other.value / answer.best.value - 1)
    assert 0 < answer.at_least <= answer.behind
    entry, path = answer.entry, f"chips.{missing()}.price"
    today = resolver().number(path).parameter.value
    assert entry.narrow and entry.inside < entry.out < 1
    assert missing() in resolver().at({path: today * entry.inside}).bought
    assert missing() not in resolver().at({path: today * entry.out}).bought
    forced = resolver().at({path: today * entry.out}, least={missing(): 1})
    assert forced.value >= answer.best.value * (1 - 1e-4)  # not yet better: there is one such factor
    forced = resolver().at({path: today * entry.inside}, least={missing(): 1})
    assert forced.value <= answer.best.value * (1 + 1e-4)


def test_why_not_what_is_bought_and_what_is_not_on_offer():
    there = next(iter(resolver().at({}).bought))
    assert fleet_why_not(resolver(), there).status == "best"
    absent = fleet_why_not(resolver(), "mi300x")
    assert (absent.status, absent.absent) == ("absent", "the plan does not allow it")
    with pytest.raises(DataError, match="b300x"):
        fleet_why_not(resolver(), "b300x")


def test_a_chip_on_sale_too_late_cannot_be_bought_at_any_price():
    late = plan(ONE, **{**TWO_CHIPS, "assume": {f"chips.{missing()}.available": 2030}})
    answer = fleet_why_not(Resolver(None, late), missing())
    assert (answer.status, answer.entry) == ("infeasible", None)
    assert "still not bought" in text(render_why_not(answer))


def test_why_not_as_a_command(tmp_path):
    done = run("why-not", small_file(tmp_path), "--chip", missing())
    assert done.code == 0, done.err
    assert "Behind by" in done.out and "times today's" in done.out
    for options, said in ((["--memory", "hbm4"], "--memory: of a query"), ([], "give --chip NAME")):
        wrong = run("why-not", small_file(tmp_path), *options)
        assert (wrong.code, said in wrong.err) == (2, True)


def test_why_not_where_a_limit_keeps_it_out_names_the_limit():
    """One server of it is all that is sold and cannot serve alone, and a second kind is not allowed."""
    few = {**TWO_CHIPS, "limits__kinds": 1, "limits__chips": {missing(): 8}, "limits__capital": "$9M"}
    answer = fleet_why_not(Resolver(None, plan(ONE, **few), catalog=catalog()), missing())
    assert (answer.status, answer.lets_in) == ("infeasible", ("limits.kinds",))
    assert "lets it in: limits.kinds" in text(render_why_not(answer))
    free = Resolver(None, plan(ONE, **{**few, "limits__kinds": 2}), catalog=catalog())
    assert fleet_why_not(free, missing()).status == "behind"
