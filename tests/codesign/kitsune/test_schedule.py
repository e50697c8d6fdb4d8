"""Schedules where the time given has ended: what is known is shown, and no more is claimed."""

import pytest

from codesign.facts.catalog import load
from codesign.kitsune.apps import application
from codesign.kitsune.gpu import gpu_named
from codesign.kitsune.schedule import Execution, evaluate
from codesign.kitsune.schedule_answer import ask
from codesign.kitsune.times import Assumptions, Times
from formulations.solvers.deadline import Deadline
from formulations.solvers.outcome import Status


@pytest.fixture(scope="module")
def times() -> Times:
    return Times(application("nerf"), gpu_named(load(), "a100-40gb"), Assumptions(), {})


@pytest.mark.parametrize(("execution", "status"), [
    ("bulk", Status.OPTIMAL), ("vertical", Status.OPTIMAL), ("kitsune", Status.FEASIBLE), ("best", Status.FEASIBLE),
])  # fmt: skip
def test_with_no_time_left_a_schedule_is_no_better_and_its_bound_no_higher(
    times: Times, execution: Execution, status: Status
) -> None:
    whole, cut = evaluate(times, execution), evaluate(times, execution, deadline=Deadline.after(0.0))
    assert (whole.status, cut.status) == (Status.OPTIMAL, status)
    assert cut.bound_s <= whole.bound_s * (1 + 1e-9) and whole.time_s <= cut.time_s * (1 + 1e-9)
    assert any("the time given ended" in note for note in cut.notes) == (status is Status.FEASIBLE)


def test_nothing_is_simulated_without_time() -> None:
    graph, gpu = application("nerf"), gpu_named(load(), "a100-40gb")
    for deadline, simulated in ((Deadline.after(0.0), False), (Deadline(), True)):
        groups = [one for one in ask(graph, gpu, "kitsune", deadline=deadline).chosen().groups if one.pipeline]
        assert all((one.pipeline.simulated_s is not None) == simulated for one in groups if one.pipeline)
        assert bool(groups) == simulated
