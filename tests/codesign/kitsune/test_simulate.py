"""Simulated pipelines agree with the closed form, never deadlock, and refuse what does not fit."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from codesign.facts.catalog import load
from codesign.kitsune import selection
from codesign.kitsune.apps import application
from codesign.kitsune.backward import training
from codesign.kitsune.balance import balance
from codesign.kitsune.gpu import Gpu, gpu_named
from codesign.kitsune.graph import Graph
from codesign.kitsune.pipelines import GEMM_SHARED, Pipeline, price, ring_bytes
from codesign.kitsune.simulate import NotResident, _added, _Loop, _Stage, _stages, agrees, check, ctas_on_sms, simulate
from codesign.kitsune.sums import adding_s
from codesign.kitsune.times import Assumptions, Times
from tests.cases.small_gpu import generated, mlp

ASSUMED = Assumptions()


@cache
def a100() -> Gpu:
    return gpu_named(load(), "a100-40gb")


def balanced(graph: Graph, group: tuple[int, ...] | None = None) -> Pipeline:
    times = Times(graph, a100(), ASSUMED)
    group = group or tuple(range(len(graph)))
    found = balance(times, group)
    assert not isinstance(found, str)
    return price(times, group, found[0])


@pytest.mark.parametrize("name", ["dlrm", "meshgraphnets", "nerf"])
def test_groups_of_the_study_agree(name: str) -> None:
    graph = application(name)
    for group in selection.kitsune(graph):
        pipeline = balanced(graph, group)
        ran = simulate(graph, a100(), ASSUMED, pipeline)
        assert ran.plain_s <= ran.queued_s
        if pipeline.tiles >= 32:
            assert agrees(ran.plain_s, pipeline.steady_s + pipeline.fill_s)
            assert agrees(ran.queued_s, pipeline.time_s)


def test_one_pipeline_by_hand() -> None:
    """Two equal stages, n tiles of s seconds: n + 1 tiles one after the other."""
    graph = mlp(layers=1)
    pipeline = balanced(graph)
    pipeline = replace(pipeline, tiles=50)
    ran = simulate(graph, a100(), ASSUMED, pipeline)
    times = Times(graph, a100(), ASSUMED)
    own = [times.streamed_s[i] * 108 / pipeline.ctas[i] / 50 for i in (0, 1)]
    memory = max(pipeline.steady_s / 50, *own)
    assert ran.plain_s == pytest.approx(50 * memory + min(own), rel=0.03)


def test_the_first_tile_of_each_stage_waits_half_a_launch() -> None:
    """A launch that dwarfs all work: two stages end one launch after their start, three half a launch later."""
    for layers, group, launches in ((1, (0, 1), 1.0), (2, (0, 1, 2), 1.5)):
        graph, assumed = mlp(layers=layers), replace(ASSUMED, launch_s=0.5)
        pipeline = balanced(graph, group)
        ran = simulate(graph, a100(), assumed, pipeline)
        assert ran.queued_s == pytest.approx(0.5 * launches, rel=1e-3)
        assert ran.plain_s < 1e-2


def test_a_stage_is_held_by_the_larger_of_what_it_takes_and_what_it_passes() -> None:
    """The first stage takes nothing from a queue and passes a tile; the last takes one and passes nothing."""
    graph, pipeline, gpu = mlp(layers=1), balanced(mlp(layers=1)), a100()
    first, last = _stages(graph, gpu, ASSUMED, pipeline)
    size = graph.operators[0].output.bytes / pipeline.tiles
    for stage, i in ((first, 0), (last, 1)):
        assert stage.held_s == pytest.approx(gpu.queue_sync + size / pipeline.ctas[i] / gpu.queue_bandwidth)


def test_what_is_just_resident_and_what_just_is_not() -> None:
    graph, pipeline = mlp(layers=1), balanced(mlp(layers=1))
    taken = ring_bytes(pipeline)
    share = taken / a100().l2_capacity
    needed = GEMM_SHARED + 2 * pipeline.entry  # a tensor and a SIMT stage
    check(graph, a100(), replace(ASSUMED, queue_share=share * (1 + 1e-9)), pipeline)
    check(graph, replace(a100(), shared_memory=needed), ASSUMED, pipeline)
    with pytest.raises(NotResident, match="rings take"):
        check(graph, a100(), replace(ASSUMED, queue_share=share * (1 - 1e-6)), pipeline)
    with pytest.raises(NotResident, match="shared memory"):
        check(graph, replace(a100(), shared_memory=needed - 1), ASSUMED, pipeline)


@pytest.mark.parametrize("entries", [1, 2, 3])
def test_a_full_ring_holds_its_producer(entries: int) -> None:
    """Producer 1 s, consumer 10 s a tile: tile k + entries begins when the consumer has finished tile k."""
    stages = [_Stage(1.0, 0.0, 0.0, 0.0, (), (1,), entries, (0.0, 0.0)),
              _Stage(10.0, 0.0, 0.0, 0.0, (0,), (), 0, (0.0, 0.0))]  # fmt: skip
    loop, ended = _Loop(stages, 6, (1.0, 1.0), 0.0), list[float]()
    push = loop._push

    def noted(time: float, stage: int, seen: bool) -> None:
        if stage == 0 and not seen:
            ended.append(time)
        push(time, stage, seen)

    loop._push = noted  # type: ignore[method-assign]
    total = loop.run()
    made, used = list[float](), list[float]()
    for k in range(6):
        room = used[k - entries] if k >= entries else 0.0
        made.append(max(made[-1] if made else 0.0, room) + 1.0)
        used.append(max(made[k], used[-1] if used else 0.0) + 10.0)
    assert ended == pytest.approx(made) and total == pytest.approx(used[-1])


@pytest.mark.parametrize("ctas", [1, 2, 3, 7, 54, 108])
def test_parts_of_a_sum_are_added_as_the_closed_form_says(ctas: int) -> None:
    """Both are written apart, from the same tree: with and without the cost of queues."""
    times = Times(training(mlp(layers=2)), a100(), ASSUMED)
    sums = [i for i, op in enumerate(times.graph.operators) if op.reduces]
    added = [_added(times.graph.operators[i], a100(), ASSUMED, ctas) for i in sums]
    assert added == [pytest.approx((adding_s(times, i, ctas, queued=False), adding_s(times, i, ctas))) for i in sums]
    assert ctas < 108 or max(queued for _, queued in added) > max(plain for plain, _ in added) > 0


@pytest.mark.parametrize("seed", range(25))
def test_generated_graphs_never_deadlock_nor_beat_the_bound(seed: int) -> None:
    graph = generated(seed)
    rng = np.random.default_rng(seed)
    times = Times(graph, a100(), ASSUMED)
    group = tuple(range(len(graph)))
    ctas = {i: int(rng.integers(1, 9)) for i in group}
    pipeline = price(times, group, ctas)
    pipeline = replace(pipeline, tiles=int(rng.integers(1, 60)))
    ran = simulate(graph, a100(), ASSUMED, pipeline)
    assert pipeline.steady_s * (1 - 1e-9) <= ran.plain_s <= ran.queued_s


@pytest.mark.parametrize("seed", range(15))
def test_balanced_generated_graphs_agree(seed: int) -> None:
    graph = generated(seed)
    pipeline = balanced(graph)
    if pipeline.tiles >= 32:
        ran = simulate(graph, a100(), ASSUMED, pipeline)
        assert agrees(ran.plain_s, pipeline.steady_s + pipeline.fill_s)
        assert agrees(ran.queued_s, pipeline.time_s)


def test_simulated_bound_of_the_balance_holds() -> None:
    graph = application("dlrm")
    for group in selection.kitsune(graph):
        found = balance(Times(graph, a100(), ASSUMED), group)
        assert not isinstance(found, str)
        assert simulate(graph, a100(), ASSUMED, balanced(graph, group)).queued_s >= found[1] * (1 - 1e-9)


def test_rings_beyond_l2_are_refused() -> None:
    graph, pipeline = mlp(), balanced(mlp())
    with pytest.raises(NotResident, match="rings take"):
        simulate(graph, replace(a100(), l2_capacity=1e6), ASSUMED, pipeline)


def test_a_payload_beyond_shared_memory_is_refused() -> None:
    graph, pipeline = mlp(), balanced(mlp())
    with pytest.raises(NotResident, match="shared memory"):
        simulate(graph, replace(a100(), shared_memory=1000.0), ASSUMED, pipeline)


def test_more_ctas_than_sms_are_refused() -> None:
    graph, pipeline = mlp(), balanced(mlp())
    with pytest.raises(NotResident, match="arbiter has 8 SMs"):
        simulate(graph, replace(a100(), sms=8), ASSUMED, pipeline)


def test_arbiters_give_each_class_its_own_ctas() -> None:
    graph, pipeline = mlp(), balanced(mlp())
    placed = ctas_on_sms(graph, a100(), pipeline.ctas)
    for i in pipeline.group:
        assert placed[graph.operators[i].pipe].count(i) == pipeline.ctas[i]
    with pytest.raises(NotResident, match="no SM left"):
        ctas_on_sms(graph, replace(a100(), sms=8), pipeline.ctas)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graphcast", "llama3-8b-context", "llama3-8b-token"])
def test_large_groups_of_the_study_agree(name: str) -> None:
    test_groups_of_the_study_agree(name)
