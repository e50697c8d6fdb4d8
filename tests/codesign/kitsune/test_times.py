"""Times alone, in vertical groups and as stages: by hand, monotone, and one set of assumptions; schedules in order."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from codesign.facts.catalog import load
from codesign.facts.errors import DataError
from codesign.kitsune import selection
from codesign.kitsune.apps import application
from codesign.kitsune.backward import training
from codesign.kitsune.balance import balance, instance
from codesign.kitsune.builder import Builder
from codesign.kitsune.gpu import Gpu, gpu_named
from codesign.kitsune.graph import Graph
from codesign.kitsune.pipelines import price, program, ring_bytes
from codesign.kitsune.schedule import EXECUTIONS, Execution, Schedule, evaluate
from codesign.kitsune.schedule_answer import KitsuneAnswer, ask
from codesign.kitsune.simulate import agrees, simulate
from codesign.kitsune.times import Assumptions, Times, read_measured
from codesign.kitsune.traffic import cut, traffic
from formulations import spatial_pipeline
from formulations.solvers.outcome import Status
from formulations.spatial_pipeline.bounds import check
from tests.cases.small_gpu import mlp

PLAIN = Assumptions(latency=False)


@cache
def a100() -> Gpu:
    return gpu_named(load(), "a100-40gb")


@cache
def app(name: str) -> Times:
    return Times(application(name), a100())


@cache
def scheduled(name: str, execution: Execution) -> Schedule:
    return evaluate(app(name), execution)


def test_an_elementwise_operator_alone_is_its_traffic_and_a_launch() -> None:
    times = app("nerf")
    moved = 2 * 65536 * 256 * 2
    assert times.alone_s[1] == pytest.approx(moved / (0.85 * 1.555e12) + 2.5e-6)


def test_a_product_of_matrices_runs_in_whole_waves() -> None:
    def seconds(rows: int) -> float:
        g = Builder("one")
        g.linear(g.input("x", (rows, 4096)), 128, bias=False)
        return Times(g.graph(), replace(a100(), dram_bandwidth=1e15, l2_bandwidth=1e16)).alone_s[0]

    one_wave = 2 * 128 * 128 * 4096 / (312e12 * 0.7 / 108) + 1e-6 + 2.5e-6
    assert seconds(128 * 108) == pytest.approx(one_wave)
    assert seconds(128 * 109) > 1.05 * one_wave  # one row of tiles more is a wave more


def test_a_stage_reaches_the_share_of_its_pipe() -> None:
    times = app("nerf")
    assert times.streamed_s[2] == pytest.approx(2 * 65536 * 256 * 256 / (0.62 * 312e12))
    assert times.streamed_s[1] == pytest.approx(2 * 65536 * 256 * 2 / (0.62 * 4.665e12))


def test_a_vertical_group_is_one_kernel() -> None:
    times = app("nerf")
    alone = times.vertical_s((2, 3))
    assert alone is not None and max(times.alone_s[2], times.alone_s[3]) <= alone < times.alone_s[2] + times.alone_s[3]
    assert times.vertical_s(tuple(range(24))) is None  # 256 wide: weights and rows exceed shared memory
    assert app("meshgraphnets").vertical_s(tuple(range(6))) is not None


def test_measured_times_replace_the_roofline(tmp_path: Path) -> None:
    graph = application("nerf")
    (tmp_path / "t.csv").write_text("name,seconds\ntrunk1,1e-3\n")
    measured = read_measured(tmp_path / "t.csv", graph)
    times = Times(graph, a100(), Assumptions(), measured)
    assert times.alone_s[0] == 1e-3 and times.alone_s[1:] == app("nerf").alone_s[1:]


@pytest.mark.parametrize(("text", "fault"), [
    ("operator,seconds\ntrunk1,1\n", "expected name, seconds"), ("name,seconds\nnone,1\n", "no operator"),
    ("name,seconds\ntrunk1,1\ntrunk1,2\n", "twice"), ("name,seconds\ntrunk1,0\n", "positive"),
    ("name,seconds\ntrunk1,nan\n", "positive"), ("name,seconds\ntrunk1,1,2\n", "positive"),
    ("name,seconds\ntrunk1,fast\n", "positive"), ("", "expected name, seconds"), ("name,seconds\ntrunk1\n", "positive"),
])  # fmt: skip
def test_measured_times_say_what_is_wrong(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=rf"--measured .*t\.csv: .*{fault}"):
        read_measured(tmp_path / "t.csv", application("nerf"))


@pytest.mark.parametrize("change", [{"dram_share": 0.0}, {"l2_share": 1.1}, {"launch_s": -1.0}, {"entry": 0}])
def test_assumptions_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Assumptions(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("settings", [
    {"dram_bandwidth": "1.5x"}, {"l2_bandwidth": "2x"}, {"queue_bandwidth": "2x"}, {"queue_sync": "0.5x"},
    {"sms": "2x", "tensor": "2x", "simt": "2x", "l2_bandwidth": "2x"},
])  # fmt: skip
def test_a_better_gpu_is_never_slower(execution: Execution, settings: dict[str, str]) -> None:
    for name in ("dlrm", "meshgraphnets") if execution != "best" else ("dlrm",):
        better = evaluate(Times(application(name), a100().with_settings(settings)), execution)
        assert better.time_s <= scheduled(name, execution).time_s * (1 + 1e-9)


@pytest.mark.parametrize("name", ["dlrm", "meshgraphnets", "nerf", "llama3-8b-token"])
def test_best_is_proven_and_never_worse(name: str) -> None:
    best = scheduled(name, "best")
    assert best.status is Status.OPTIMAL and best.gap <= 1e-6
    for execution in EXECUTIONS:
        other = scheduled(name, execution)
        assert best.time_s <= other.time_s * (1 + 1e-12) and other.bound_s <= other.time_s
        assert sorted(i for run in other.runs for i in run.members) == list(range(len(app(name).graph)))


@pytest.mark.parametrize("name", ["dlrm", "nerf", "llama3-8b-context"])
def test_groups_run_after_what_they_need(name: str) -> None:
    done: set[int] = set()
    graph = app(name).graph
    for run in scheduled(name, "best").runs:
        needed = {e.producer for e in graph.edges if e.consumer in run.members} - set(run.members)
        assert needed <= done
        done |= set(run.members)


def test_traffic_of_a_schedule_is_that_of_its_groups() -> None:
    graph, found = app("nerf").graph, scheduled("nerf", "kitsune")
    assert found.dram_bytes == traffic(graph, [run.members for run in found.runs])
    assert found.traffic_cut == pytest.approx(cut(graph, selection.kitsune(graph)))


def test_a_pipeline_keeps_the_study_s_rows() -> None:
    from_study = selection.kitsune(app("nerf").graph)[0]
    found = balance(app("nerf"), from_study)
    assert not isinstance(found, str)
    ctas, bound, status = found
    priced = price(app("nerf"), from_study, ctas)
    assert status is Status.OPTIMAL and priced.time_s >= bound
    assert priced.time_s == pytest.approx(priced.steady_s + priced.fill_s + priced.queue_s)
    assert ring_bytes(priced) < a100().l2_capacity
    assert all(q.payload <= Assumptions().entry * (1 + 1e-9) for q in priced.queues)


def test_the_zero_latency_model_has_no_queue_cost() -> None:
    times = Times(application("nerf"), a100(), PLAIN)
    fast = evaluate(times, "kitsune")
    assert times.hop_s == 0 and fast.time_s < scheduled("nerf", "kitsune").time_s
    with pytest.raises(ValueError, match="latency"):
        evaluate(times, "best")


def test_what_cannot_be_resident_runs_alone_and_is_explained() -> None:
    few = Times(application("nerf"), a100().with_settings({"sms": "8"}))
    found = evaluate(few, "kitsune")
    assert any("cannot be resident" in note for note in found.blocked) and all(r.kind == "alone" for r in found.runs)


def test_ctas_that_no_arbiter_grants_are_refused() -> None:
    graph = mlp()
    with pytest.raises(ValueError, match="CTAs of the tensor stages"):
        price(Times(graph, a100()), (0, 1), {0: 109, 1: 1})


def test_the_answer_is_a_document() -> None:
    found = ask(mlp(), a100(), "best")
    assert [part.execution for part in found.executions] == list(EXECUTIONS)
    assert found.chosen().speed_up >= max(part.speed_up for part in found.executions) * (1 - 1e-12)
    assert KitsuneAnswer.model_json_schema()["properties"]["kind"]["const"] == "kitsune"
    assert '"schema": 1' in found.document()
    with pytest.raises(ValueError, match="known: bulk"):
        ask(mlp(), a100(), "fast")  # type: ignore[arg-type]


def test_balance_program_agrees_with_its_own_check() -> None:
    data = instance(app("dlrm"), selection.kitsune(app("dlrm").graph)[0])
    outcome = spatial_pipeline.solve(data)
    assert outcome.solution is not None and check(data, outcome.solution) == []


def test_the_two_passes_are_two_programs() -> None:
    graph: Graph = training(application("dlrm"))
    times = Times(graph, a100())
    forward = tuple(i for i in range(len(graph)) if not graph.operators[i].backward)
    data = program(times, forward)
    assert len(data.operators) == 21 and all(u < 21 and v < 21 for u, v, _ in data.edges)


def test_each_pipeline_has_the_payload_that_suits_it() -> None:
    """Larger entries where a queue's rate binds, small ones where fill does; both run as predicted."""
    chosen = evaluate(app("graphcast"), "best")
    fixed = evaluate(Times(application("graphcast"), a100(), Assumptions(entries=())), "best")
    found = [run.pipeline for run in chosen.runs if run.pipeline is not None]
    assert chosen.status is fixed.status is Status.OPTIMAL
    assert chosen.time_s < 0.995 * fixed.time_s
    assert len({pipeline.entry for pipeline in found}) > 1
    assert {run.pipeline.entry for run in fixed.runs if run.pipeline is not None} == {16 * 1024}
    for pipeline in found:
        same = app("graphcast").at_entry(pipeline.entry)
        assert price(same, pipeline.group, pipeline.ctas) == pipeline
        assert all(queue.payload <= pipeline.entry for queue in pipeline.queues)
        ran = simulate(same.graph, same.gpu, same.assumed, pipeline)
        assert agrees(ran.queued_s, pipeline.time_s)


def test_little_room_for_rings_is_shared_by_a_proven_schedule() -> None:
    """Rings with the entries of what bypasses stages: each pipeline fits, and less room is never faster."""
    before = 0.0
    for room in ("8 MiB", "4 MiB", "2 MiB", "512 KiB"):
        times = Times(application("nerf"), a100().with_settings({"l2_capacity": room}))
        found = evaluate(times, "best")
        assert found.status is Status.OPTIMAL and found.time_s >= before
        before = found.time_s
        for run in found.runs:
            if run.pipeline is not None:
                assert 0 < ring_bytes(run.pipeline) <= 0.75 * times.gpu.l2_capacity
                simulate(times.graph, times.gpu, times.at_entry(run.pipeline.entry).assumed, run.pipeline)
    assert before == pytest.approx(evaluate(times, "vertical").time_s)


@pytest.mark.parametrize("entries", [(0,), (16_384, -1)])
def test_entries_below_a_byte_are_refused(entries: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be at least one"):
        Assumptions(entries=entries)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dlrm", "graphcast", "meshgraphnets", "nerf", "llama3-8b-context"])
def test_best_of_training_is_never_worse(name: str) -> None:
    times = Times(training(application(name)), a100())
    best = evaluate(times, "best", most_sets=4000)
    assert best.bound_s <= best.time_s
    for execution in EXECUTIONS[:3]:
        assert best.time_s <= evaluate(times, execution).time_s * (1 + 1e-12)
