"""The tornado re-solved by hand, today's design kept by hand, one more unit, and the command."""

from functools import cache
from pathlib import Path

import pytest

from codesign.changes.sensitivity import keep, sensitivity
from codesign.changes.sensitivity_answer import SensitivityAnswer
from codesign.study.parameters import changed
from codesign.study.query_study import Warm
from codesign.system.best_system import best_system_under
from tests.cases.command import load, run
from tests.cases.query_strategies import query

RATIO = {"model": "llama-3.1-405b", "context": 8192, "hardware": "composed",
         "allow": {"chips": ["gb100"], "memories": ["hbm4", "hbm3e"]},
         "limits": {"budget": 3e6, "power": 1.5e5, "user_speed": 30}}  # fmt: skip


@cache
def warm() -> Warm:
    """The query, prepared once."""
    return Warm(None, query(**RATIO), catalog=load())


@pytest.fixture(scope="module")
def answer() -> SensitivityAnswer:
    return sensitivity(warm())


def test_bars_are_ordinary_queries_at_both_published_ends(answer: SensitivityAnswer):
    assert len(answer.bars) > 8
    widest = [max(bar.swing, bar.swing_kept) for bar in answer.bars]
    assert widest == sorted(widest, reverse=True)
    for bar in answer.bars[:5]:
        fact = load().fact(bar.path)
        assert (bar.low.value, bar.high.value) == fact.bounds()
        for end in (bar.low, bar.high):
            cold = best_system_under(*changed(warm().catalog, warm().asked, {bar.path: end.value}), enumerate_all=False)
            assert end.proven
            assert end.best == pytest.approx(cold.proof.value, rel=1e-9)
            assert (end.system.chip, end.system.replicas) == (cold.system.chip, cold.system.replicas)


def test_a_kept_design_is_never_better_than_the_best_unless_it_breaks_a_limit(answer: SensitivityAnswer):
    broken = 0
    for bar in answer.bars:
        for end in (bar.low, bar.high):
            broken += bool(end.breaks)
            if end.kept is not None and not end.breaks:
                assert end.kept <= end.best * (1 + 1e-12), bar.path
    assert broken >= 1


def test_a_kept_design_today_is_today(answer: SensitivityAnswer):
    today = warm().at({})
    kept = keep(warm(), today.system, {})
    assert (kept.batch, kept.breaks) == (today.batch, ())
    assert kept.value == pytest.approx(today.value, rel=1e-12)
    assert answer.value == today.value


@pytest.mark.parametrize(
    ("changes", "breaks"),
    [({"limits.budget": 2.7e6}, ("budget",)), ({"limits.power": 5.7e4}, ("power",)),
     ({"limits.user_speed": 500.0}, ("user_speed",)), ({"memory.hbm4.capacity": 5e9}, ("memory",)),
     ({"limits.users": 10_000.0}, ("users",)),
     ({"memory.hbm4.shoreline": 0.02}, ("chip",)), ({"limits.budget": 2.76e6, "limits.power": 5.8e4}, ())],
)  # fmt: skip
def test_a_kept_design_tells_what_it_breaks(changes: dict[str, float], breaks: tuple[str, ...]):
    kept = keep(warm(), warm().at({}).system, changes)
    assert kept.breaks == breaks
    assert (kept.value is None) == (breaks in (("user_speed",), ("memory",), ("chip",)))


@pytest.mark.slow
def test_one_more_unit_is_an_ordinary_query_with_it(answer: SensitivityAnswer):
    shadows = {row.path: row for row in answer.shadows}
    assert {"limits.budget", "limits.power", "limits.user_speed", "memory.hbm4.capacity", "memory.hbm4.bandwidth",
            "links.nvlink5.limit.0.latency"} == set(shadows)  # fmt: skip
    capacity = shadows["memory.hbm4.capacity"]
    more = changed(warm().catalog, warm().asked, {capacity.path: 37e9})
    assert answer.value + capacity.gain == pytest.approx(best_system_under(*more).proof.value, rel=1e-9)
    assert shadows["limits.budget"].gain == 0.0
    budget = shadows["limits.budget"].next_value
    five = best_system_under(*changed(warm().catalog, warm().asked, {"limits.budget": budget * (1 + 1e-8)})).system
    assert (five.replicas, shadows["limits.budget"].next_system.replicas) == (5, 5)


def test_binding_limits_are_those_of_the_answer(answer: SensitivityAnswer):
    assert {limit.name for limit in answer.limits if limit.binding} == {"budget", "memory"}


@pytest.mark.slow
def test_the_command_prints_writes_and_says_infeasible(tmp_path: Path):
    few = ["--chip", "gb100", "--memory", "hbm4", "--hardware", "composed"]
    done = run("sensitivity", *few, "--json", "--export", tmp_path / "out")
    assert done.code == 0
    found = SensitivityAnswer.model_validate(done.json)
    names = {"answer.json", "tornado.csv", "shadow.csv", "tornado.png", "tornado.svg", "tornado.html"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert len((tmp_path / "out" / "tornado.csv").read_text().splitlines()) == 1 + 2 * len(found.bars)
    nothing = run("sensitivity", *few, "--user-speed", "5000")
    assert nothing.code == 5
    assert "Infeasible" in nothing.out
