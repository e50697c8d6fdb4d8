"""Ctrl-C ends a search at once, with nothing left of it, and what heard it before hears it again."""

import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import highspy
import pyomo.environ as pyo
import pytest
from ortools.sat.python import cp_model

from codesign.output import kitsune_files
from formulations.solvers import cpsat, highs
from formulations.solvers.interruptible import interruptible
from tests.cases.command import run


def hard() -> cp_model.CpModel:
    """A market split: sums of random shares that must meet exactly; far more than a minute's work."""
    draw, model = random.Random(0), cp_model.CpModel()
    taken = [model.new_bool_var(f"x{i}") for i in range(60)]
    for _ in range(7):
        share = [draw.randrange(1000) for _ in taken]
        model.add(sum(s * x for s, x in zip(share, taken, strict=True)) == sum(share) // 2)
    return model


def test_ctrl_c_ends_a_search_of_cpsat() -> None:
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        cpsat.solve(hard(), cpsat.Limits(deterministic_s=3600.0))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert threading.active_count() <= before


def test_ctrl_c_is_heard_after_a_search_too() -> None:
    """A solver that sets the signal's default leaves a death without a word behind."""
    model = cp_model.CpModel()
    model.add(model.new_int_var(0, 3, "x") >= 2)
    assert cpsat.solve(model, cpsat.Limits()).values["x"] in (2, 3)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_stopped_again_until_it_ends() -> None:
    """The first call may come before the search has begun."""
    stops: list[float] = []
    ended = threading.Event()

    def solve() -> str:
        signal.raise_signal(signal.SIGINT)
        ended.wait(30)
        return "done"

    def stop() -> None:
        stops.append(time.monotonic())
        if len(stops) == 3:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        interruptible(solve, stop)
    assert len(stops) == 3


@pytest.mark.parametrize("way", ["thread", "ignored", "main"])
def test_results_and_faults_pass_through(way: str) -> None:
    def fails() -> int:
        raise ArithmeticError("broken")

    seen: list[Any] = []

    def work() -> None:
        seen.append(interruptible(lambda: 7, lambda: None))
        try:
            interruptible(fails, lambda: None)
        except ArithmeticError as error:
            seen.append(str(error))

    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if way == "ignored" else None
    try:
        if way == "thread":
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        else:
            work()
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
    assert seen == [7, "broken"]


def test_interrupted_export_of_a_schedule_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While CP-SAT places the stages: one line, 130, no folder, hidden or not."""

    searches: list[float] = []

    def struck(*_: Any, **__: Any) -> Any:
        searches.append(time.monotonic())
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        cpsat.solve(hard(), cpsat.Limits(deterministic_s=3600.0))
        raise AssertionError("nobody heard the signal")

    monkeypatch.setattr(kitsune_files.sm_placement, "solve", struck)
    done = run("kitsune", "dlrm", "--export", tmp_path / "out")
    assert (done.code, done.err) == (130, "interrupted; nothing was left half-written\n")
    assert len(searches) == 1
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_search_of_highs() -> None:
    """No callback of the caller's own lets Python hear it."""
    draw, model = random.Random(0), pyo.ConcreteModel()
    model.take = pyo.Var(range(60), domain=pyo.Binary)
    model.over, model.under = (pyo.Var(range(6), domain=pyo.NonNegativeReals) for _ in range(2))
    model.meet = pyo.ConstraintList()
    for k in range(6):
        share = [draw.randrange(1000) for _ in range(60)]
        model.meet.add(sum(s * model.take[i] for i, s in enumerate(share)) + model.over[k] - model.under[k]
                       == sum(share) // 2)  # fmt: skip
    model.miss = pyo.Objective(expr=sum(model.over[k] + model.under[k] for k in range(6)))
    program, began = highs.load(model), threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    began.start()
    with pytest.raises(KeyboardInterrupt):
        highs.solve(program, highs.Limits(node_limit=200_000))
    assert program.highs.getModelStatus() == highspy.HighsModelStatus.kInterrupt
