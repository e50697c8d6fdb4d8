"""Sums over rows: CTAs of the whole, levels that add its parts, by hand; chosen with the schedule, and simulated."""

import math
from dataclasses import replace
from functools import cache

import pytest

from codesign.facts.catalog import load
from codesign.kitsune import selection
from codesign.kitsune.apps import application
from codesign.kitsune.backward import training
from codesign.kitsune.balance import balance, instance
from codesign.kitsune.gpu import Gpu, gpu_named
from codesign.kitsune.pipelines import Pipeline, filled_s, phases, price, program
from codesign.kitsune.schedule import Schedule, evaluate
from codesign.kitsune.simulate import agrees, simulate
from codesign.kitsune.sums import adding_s, level_s, levels, parts, steps, tiles
from codesign.kitsune.times import Assumptions, Times
from formulations import spatial_pipeline
from formulations.solvers.outcome import Status


@cache
def a100() -> Gpu:
    return gpu_named(load(), "a100-40gb")


@cache
def backward(name: str) -> Times:
    return Times(training(application(name)), a100())


@cache
def best(name: str) -> Schedule:
    return evaluate(backward(name), "best")


def at(times: Times, name: str) -> int:
    return times.graph.position[name]


def test_a_whole_sum_has_a_cta_for_each_tile() -> None:
    """Gradients of the first layer of the top MLP of DLRM, 479 x 1024, and of its bias."""
    times = backward("dlrm")
    weight, bias = (times.graph.operators[at(times, f"top1.{kind}")] for kind in ("dw", "db"))
    assert sorted(weight.output.shape) == [479, 1024]
    assert (tiles(times, weight), tiles(times, bias)) == (4 * 8, 8)
    assert [levels(times, weight, a) for a in (1, 32, 33, 64, 65, 108)] == [0, 0, 1, 1, 2, 2]
    assert [parts(times, bias, a) for a in (8, 9, 24, 25)] == [1, 2, 3, 4]
    assert [levels(times, bias, a) for a in (8, 9, 24, 25)] == [0, 1, 2, 2]


def test_a_level_hands_a_tile_in_fp32_to_another_cta_and_adds_it() -> None:
    times = backward("dlrm")
    weight, bias = (times.graph.operators[at(times, f"top1.{kind}")] for kind in ("dw", "db"))
    gpu = times.gpu
    rate = gpu.simt / 4 * 0.62 / 108
    for op, elements in ((weight, 128 * 128), (bias, 128)):
        handed = gpu.queue_sync + 4 * elements / gpu.queue_bandwidth
        assert level_s(times, op) == pytest.approx(handed + elements / rate)
        assert level_s(times, op, queued=False) == pytest.approx(elements / rate)
    assert adding_s(times, at(times, "top1.dw"), 108) == pytest.approx(2 * level_s(times, weight))


def test_what_is_no_sum_has_any_ctas_for_nothing() -> None:
    times = backward("dlrm")
    i = at(times, "top1.dx")
    assert steps(times, i) == [(None, 0.0)] and adding_s(times, i, 108) == 0
    assert parts(times, times.graph.operators[i], 108) == 1


def test_the_program_has_every_depth_of_the_tree() -> None:
    times = backward("dlrm")
    phase = phases(times)[1]
    data = program(times, phase)
    rows = data.alternatives[phase.index(at(times, "top1.db"))]
    assert [row[0].most for row in rows] == [8, 16, 32, 64, 128]
    each = level_s(times, times.graph.operators[at(times, "top1.db")])
    assert [row[0].adding_s for row in rows] == pytest.approx([k * each for k in range(5)])


def test_parts_cost_nothing_in_the_zero_latency_model() -> None:
    times = Times(backward("dlrm").graph, a100(), Assumptions(latency=False))
    assert adding_s(times, at(times, "top1.db"), 108) == 0


def test_the_best_schedule_splits_sums_and_is_simulated_as_predicted() -> None:
    times, split, found = backward("dlrm"), 0, best("dlrm")
    assert found.status is Status.OPTIMAL
    for run in found.runs:
        if run.pipeline is None:
            continue
        split += sum(stage.parts > 1 for stage in run.stages)
        same = times.at_entry(run.pipeline.entry)
        ran = simulate(same.graph, same.gpu, same.assumed, run.pipeline)
        if run.pipeline.tiles >= 32:
            assert agrees(ran.queued_s, run.time_s)
            assert agrees(ran.plain_s, run.pipeline.steady_s + run.pipeline.fill_s)
    assert split > 0


def test_the_study_s_program_with_these_parts_finds_no_better_balance() -> None:
    times = backward("dlrm")
    for run in best("dlrm").runs:
        if run.pipeline is not None:
            fed = times.at_entry(run.pipeline.entry)
            found = spatial_pipeline.solve(instance(fed, run.members, run.pipeline.ctas))
            flow = run.time_s - filled_s(fed, run.members, run.pipeline.ctas)
            assert found.value is not None and 1 / found.value == pytest.approx(flow, rel=1e-6)


def test_adding_takes_as_long_in_the_simulation() -> None:
    """The same pipeline with one more level: so much later, with and without the cost of queues."""
    times = backward("dlrm")
    run = next(r for r in best("dlrm").runs if r.pipeline and any(s.parts > 1 for s in r.stages))
    assert run.pipeline is not None
    same = times.at_entry(run.pipeline.entry)
    whole = replace(same, assumed=replace(same.assumed, sum_tile=1))  # a tile an element: never fewer than CTAs

    def ran(t: Times, pipeline: Pipeline) -> float:
        return simulate(t.graph, t.gpu, t.assumed, pipeline).queued_s

    longest = max(adding_s(same, i, a) for i, a in run.pipeline.ctas.items())
    assert longest > 0
    assert ran(whole, run.pipeline) < ran(same, run.pipeline) <= ran(whole, run.pipeline) + longest * (1 + 1e-9)


def test_the_study_s_balance_gives_sums_no_more_ctas_than_throughput_asks_for() -> None:
    times = backward("dlrm")
    for group in selection.kitsune(times.graph):
        found = balance(times, group)
        assert not isinstance(found, str)
        ctas, bound, _ = found
        priced = price(times, group, ctas)
        for i in group:
            if times.graph.operators[i].reduces and ctas[i] > 1:
                slower = price(times, group, dict(ctas) | {i: ctas[i] - 1})
                assert slower.steady_s > priced.steady_s or slower.bottleneck != priced.bottleneck
        assert priced.time_s >= bound and math.isfinite(priced.time_s)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dlrm", "graphcast"])
def test_splits_that_are_free_would_be_faster_and_none_slower(name: str) -> None:
    """What the parts cost: between a whole sum of one tile and one that is split for nothing."""
    times = backward(name)
    whole = replace(times, assumed=replace(times.assumed, sum_tile=10**6))
    free = replace(times, assumed=replace(times.assumed, sum_tile=1))
    assert evaluate(free, "best").time_s <= best(name).time_s <= evaluate(whole, "best").time_s
