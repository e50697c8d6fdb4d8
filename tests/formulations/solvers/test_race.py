"""Two searches of one program: they find what one finds, which of them counts does not depend on the clock."""

import math
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from formulations import fleet
from formulations.fleet import check, dominance
from formulations.fleet import columns as fleet_columns
from formulations.fleet.arrays import Program
from formulations.solvers import highs
from formulations.solvers import race as highs_race
from formulations.solvers.outcome import Status
from tests.cases.fleet_cases import Reference, instances
from tests.cases.fleet_generator import plan

LIMITS = highs.Limits(relative_gap=1e-4)


def loaded(data):
    """The program of all undominated columns of a fleet, ready to be searched; and a fleet of many servers."""
    program = Program(data)
    pairs = np.zeros(program.rate.shape, dtype=bool)
    pairs[dominance.undominated(data)] = True
    j, p = np.nonzero(pairs & (program.rate > 0))
    solver, names = program.load(), program.names(j, p)
    program.add(solver, j, p)
    whole = np.array(program.frame.whole + [True] * len(j))
    kinds = np.array([fleet_columns.highspy.HighsVarType.kContinuous, fleet_columns.highspy.HighsVarType.kInteger])
    solver.changeColsIntegrality(len(whole), np.arange(len(whole), dtype=np.int32), kinds[whole.astype(int)])
    return highs.Program(solver, names, {})


def best_of(data):
    return highs.solve(loaded(data), highs.Limits())


@pytest.mark.parametrize("seed", range(3))
def test_two_searches_find_what_one_finds(seed):
    data = plan(3, 60, seed=seed)
    best = best_of(data)
    start = {name: 2 * value for name, value in best.values.items()}
    for limits in (highs.Limits(), highs.Limits(limit_s=60.0)):
        found = highs_race.solve(loaded(data), limits, start)
        assert found.value == pytest.approx(best.value, rel=1e-7)
        assert found.bound == pytest.approx(best.value, rel=1e-7)
        assert set(found.values) == set(best.values)


def test_the_same_answer_whichever_process_ends_first(monkeypatch):
    """The second search held back for a second, and let go at once."""
    data = plan(4, 80, seed=3)
    start = dict(best_of(data).values)
    quick = highs_race.solve(loaded(data), LIMITS, start)
    monkeypatch.setattr(highs_race, "COMMAND", f"import time; time.sleep(1.0); {highs_race.COMMAND}")
    slow = highs_race.solve(loaded(data), LIMITS, start)
    assert (quick.value, quick.bound, dict(quick.values)) == (slow.value, slow.bound, dict(slow.values))


def result(value, bound, nodes, status=Status.FEASIBLE):
    return highs.Result(status, {} if value is None else {"x": value}, value, bound, nodes)


DONE = Status.OPTIMAL


@pytest.mark.parametrize(("first", "second", "value", "bound"), [
    (result(10.0, 10.0, 9, DONE), result(10.0005, 10.0, 5, DONE), 10.0005, 10.0),  # both proven: the shorter
    (result(10.0, 10.0, 5, DONE), result(10.0005, 10.0, 5, DONE), 10.0, 10.0),     # as long: the first
    (result(10.0, 9.0, 5), result(10.0005, 10.0, 50, DONE), 10.0005, 10.0),        # one is proven
    (result(10.0, 9.0, 5), result(11.0, 9.5, 5), 10.0, 9.5),                       # neither: the better of both
    (result(None, 9.0, 5, Status.UNKNOWN), result(11.0, 8.0, 5), 11.0, 9.0),
    (result(None, None, 5, Status.UNKNOWN), result(None, None, 5, Status.UNKNOWN), None, None),
])  # fmt: skip
def test_which_of_two_searches_counts(first, second, value, bound):
    both = highs_race._of_both(first, second)
    assert (both.value, both.bound, both.nodes) == (value, bound, first.nodes + second.nodes)
    assert dict(both.values) == ({} if value is None else {"x": value})


@pytest.mark.parametrize("command", ["raise SystemExit(1)", "import time; time.sleep(600)"])
def test_a_process_that_fails_or_is_late_proves_nothing(monkeypatch, command):
    data, started, popen = plan(2, 40, seed=5), [], subprocess.Popen
    best = best_of(data)
    monkeypatch.setattr(highs_race, "COMMAND", command)
    monkeypatch.setattr(highs_race, "LATE_S", 0.1)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    found = highs_race.solve(loaded(data), highs.Limits(limit_s=20.0), best.values)
    assert found.value == pytest.approx(best.value, rel=1e-7)
    assert [each.returncode is None for each in started] == [False]  # it is not left behind
    late = highs_race.solve(loaded(data), highs.Limits(limit_s=0.0), best.values)
    assert late.bound is None or late.bound <= best.value * (1 + 1e-9)
    assert [each.returncode is None for each in started] == [False, False]


def test_without_a_process_the_first_search_is_alone(monkeypatch):
    data = plan(2, 40, seed=5)
    best = best_of(data)

    def none(*_: object, **__: object) -> None:
        raise OSError("no process can be started")

    monkeypatch.setattr(subprocess, "Popen", none)
    assert highs_race.solve(loaded(data), highs.Limits(), best.values).value == pytest.approx(best.value, rel=1e-7)


def test_a_limit_of_nodes_is_for_one_search(monkeypatch):
    monkeypatch.setattr(highs_race, "_process", lambda *_: pytest.fail("a second search"))
    data = plan(2, 40, seed=5)
    highs_race.solve(loaded(data), highs.Limits(node_limit=1), best_of(data).values)


def test_bound_is_never_above_the_enumerated_optimum(monkeypatch):
    """Over generated small plans, searched as large ones are whether or not they need it."""
    monkeypatch.setattr(fleet_columns, "TIGHTEN", 0)
    monkeypatch.setattr(fleet_columns._Search, "done", lambda search: False)
    raced, race = [], highs_race.solve

    def solve(program, limits, start):
        raced.append(race(program, replace(limits, node_limit=10**6), start))  # no process each time
        return raced[-1]

    monkeypatch.setattr(highs_race, "solve", solve)

    @settings(derandomize=True, deadline=None, max_examples=40)
    @given(instances(("cost", "power")))
    def hold(data):
        best = Reference(data, most=2).best()
        outcome, _ = fleet.solve(data, method="columns")
        if best is None:
            assert outcome.value is None
        else:
            assert outcome.bound <= best * (1 + 1e-7) and outcome.value == pytest.approx(best, rel=1e-6)

    hold()
    assert len(raced) >= 10


@pytest.mark.parametrize(("workloads", "seed"), [(2, 1), pytest.param(6, 3, marks=pytest.mark.slow)])
def test_searched_twice_or_once_the_fleet_is_as_good(monkeypatch, workloads, seed):
    data = plan(workloads, 40 * workloads, seed=seed)
    once, _ = fleet.solve(data, method="columns", gap=1e-4)
    monkeypatch.setattr(fleet_columns, "TIGHTEN", 0)
    twice, _ = fleet.solve(data, method="columns", gap=1e-4)
    assert once.status is twice.status is Status.OPTIMAL
    assert twice.bound <= once.value * (1 + 1e-7) and once.bound <= twice.value * (1 + 1e-7)
    assert check.broken(data, twice.solution) == [] and math.isfinite(twice.bound)
