"""dataflow_schedule: its docstring is the program; columns, chains and CP-SAT are the exhaustive partition."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from formulations import dataflow_schedule
from formulations.dataflow_schedule import Instance, Payload, Solution, Stage
from formulations.dataflow_schedule import chain as dataflow_schedule_chain
from formulations.dataflow_schedule import cpsat as dataflow_schedule_cpsat
from formulations.dataflow_schedule.clock import Clock
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.groups import Pool, additive_bound, alone
from formulations.dataflow_schedule.instance import Group
from formulations.dataflow_schedule.order import check, in_turn, waiting
from formulations.dataflow_schedule.pendants import FEW, bundled
from formulations.dataflow_schedule.price import pipeline
from formulations.solvers import cpsat, highs
from formulations.solvers.outcome import Status
from tests.cases.dataflow_schedule_cases import (
    best_by_enumeration,
    bytes_off_chip,
    caterpillar,
    chain,
    cost,
    generated,
    instance,
    layered,
    lightest_by_enumeration,
    tied,
    trap,
    without_pipelines,
)
from tests.cases.docstrings import names

DOC, TWIN_DOC = dataflow_schedule.__doc__ or "", dataflow_schedule_cpsat.__doc__ or ""


def test_docstring_is_the_twin():
    data = replace(generated(3, 5), most_operators=3, verticals=((frozenset({0, 1}), 1e-5),))
    proto = dataflow_schedule_cpsat.build(data).proto
    rows = {row.name.partition("[")[0] for row in proto.constraints}
    assert rows == set(names(TWIN_DOC, "Constraints"))


def agrees(data: Instance) -> None:
    best = best_by_enumeration(data)
    outcome, proof = dataflow_schedule.solve(data)
    assert outcome.status is Status.OPTIMAL
    assert proof.complete
    assert outcome.value == pytest.approx(best, rel=1e-9)
    assert best * (1 - 1e-6) <= outcome.bound <= outcome.value
    assert check(data, outcome.solution) == []
    assert outcome.value <= sum(data.alone_s) * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_schedule_is_the_exhaustive_partition(seed):
    agrees(generated(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 240))
def test_schedule_is_the_exhaustive_partition_of_200_more(seed):
    agrees(generated(seed))


@pytest.mark.parametrize("row", [False, True], ids=["graphs", "chains"])
def test_of_equally_fast_schedules_the_lightest_is_taken(row):
    lighter = 0
    for seed in range(12):
        data = tied(seed, row=row)
        outcome, proof = dataflow_schedule.solve(data)
        assert proof.method == ("chain" if row else "columns")
        assert outcome.value == pytest.approx(best_by_enumeration(data), rel=1e-9)
        assert check(data, outcome.solution) == []
        moved = sum(bytes_off_chip(data, frozenset(g.members)) for g in outcome.solution.groups)
        assert moved == pytest.approx(lightest_by_enumeration(data), rel=1e-9)
        lighter += moved < sum(bytes_off_chip(data, frozenset({v})) for v in range(6))
    assert lighter >= 6


def twin_agrees(data: Instance, work: float) -> Status:
    """Both bounds hold for both values; where the twin proves its own, the values are the same."""
    outcome, _ = dataflow_schedule.solve(data)
    twin, error = dataflow_schedule_cpsat.solve(data, limits=cpsat.Limits(work))
    assert error <= 1e-5 * outcome.value
    assert twin.bound is None or twin.bound <= outcome.value * (1 + 1e-9)
    if twin.solution is not None:
        assert check(data, twin.solution) == []
        assert outcome.bound <= twin.value * (1 + 1e-9)
    if twin.status is Status.OPTIMAL:
        assert abs(twin.value - outcome.value) <= error + 1e-9 * outcome.value
    return twin.status


@pytest.mark.parametrize("seed", range(12))
def test_two_solvers_agree(seed):
    assert twin_agrees(generated(seed, 5), 10.0) is Status.OPTIMAL


@pytest.mark.slow
def test_two_solvers_agree_on_100_graphs():
    statuses = [twin_agrees(generated(seed), 10.0) for seed in range(100)]
    assert statuses.count(Status.OPTIMAL) >= 95


def test_groups_that_wait_for_each_other_are_not_chosen():
    data = trap()
    graph = Graph(data)
    first, second = (Group(tuple(sorted(members)), "vertical", time) for members, time in data.verticals)
    assert graph.convex(first.members)
    assert graph.convex(second.members)
    assert waiting(graph, [first, second]) == [[first, second]]
    assert in_turn(graph, [first, second]) == []
    outcome, proof = dataflow_schedule.solve(data)
    assert outcome.value == pytest.approx(2.1e-5) == best_by_enumeration(data)
    assert proof.cycles == 1
    assert dataflow_schedule_cpsat.solve(data)[0].value == pytest.approx(2.1e-5)
    with pytest.raises(ValueError, match="waits for itself"):
        dataflow_schedule.solve(data, start=[(0, 1), (2, 3)])


def test_without_the_row_the_trap_would_be_chosen():
    data = trap()
    groups = [*alone(data), *(Group(tuple(sorted(m)), "vertical", t) for m, t in data.verticals)]
    free = dataflow_schedule.build(data, groups)
    assert highs.solve(highs.load(free), highs.Limits()).value == pytest.approx(2e-6 / 4e-5)
    cut = dataflow_schedule.build(data, groups, cycles=[[4, 5]])
    assert highs.solve(highs.load(cut), highs.Limits()).value == pytest.approx(2.1e-5 / 4e-5)


def test_price_is_enumeration_and_floors_are_below():
    """Every set of 20 graphs: the closed form is the best of all payloads, alternatives and counts."""
    found = 0
    for seed in range(20):
        data = replace(generated(seed, 6), verticals=())
        graph, shares, pool = Graph(data), additive_bound(data), Pool(data, Graph(data), 10**6)
        for column in range(len(pool.singles), len(pool.floors)):
            core = [v for v in pool.own(column) if not pool.hosts.pendants >> v & 1]
            group = pipeline(data, graph, core)
            time = math.inf if group is None else group.time_s
            assert cost(data, frozenset(core)) == pytest.approx(time, rel=1e-12)
            assert pool.floors[column] <= best_bundle(data, pool, core) * (1 + 1e-12)
            if group is not None:
                found += 1
                assert sum(shares[v] for v in core) <= group.time_s * (1 + 1e-12)
    assert found > 50


def best_bundle(data: Instance, pool: Pool, core: list[int]) -> float:
    """By enumeration: a pipeline of these operators with any of what hangs on them, the others alone."""
    hanging, times = pool.hosts.of(core), []
    for taken in itertools.product([False, True], repeat=len(hanging)):
        inside = [q for q, own in zip(hanging, taken, strict=True) if own]
        rest = sum(data.alone_s[q] for q, own in zip(hanging, taken, strict=True) if not own)
        group = pipeline(data, Graph(data), sorted([*core, *inside]))
        times.append(math.inf if group is None else group.time_s + rest)
    return min(times)


@pytest.mark.parametrize("seed", range(8))
def test_what_hangs_on_a_group_is_chosen_as_by_enumeration(seed):
    """Eight pendants, more than are chosen without slices of steady state."""
    data = caterpillar(seed)
    pool = Pool(data, Graph(data), 10**6)
    assert len(pool.hosts.of([0, 1])) == 8 > FEW
    bundle, best = bundled(pool.hosts, [0, 1]), best_bundle(data, pool, [0, 1])
    assert bundle.time_s == pytest.approx(best, rel=1e-9)
    assert bundle.members == tuple(range(10))
    assert bundled(pool.hosts, [0, 1], best * (1 - 1e-6)) is None
    assert bundled(pool.hosts, [0, 1], best * (1 + 1e-6)).time_s == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize(("seed", "hosts"), [(seed, hosts) for seed in range(3) for hosts in (1, 2, 3)])
def test_schedules_with_pendants_are_the_exhaustive_partition(seed, hosts):
    agrees(caterpillar(seed, hosts, 9 - hosts))


PAIR = {"alone_s": 4e-5, "alternatives": ((Stage("tensor", 1e-5, 100_000),),)}
SIMT = {"alone_s": 4e-5, "alternatives": ((Stage("simt", 1e-5, 28_000),),)}


def two(first=PAIR, second=SIMT, **others) -> Instance:
    return instance([dict(first), dict(second)], [(0, 1, 1e6)], **others)


@pytest.mark.parametrize(
    ("fits", "fails"),
    [
        ({}, {"shared_memory": 191_999}),
        ({"queue_room": 2 * 2 * 64_000.0}, {"queue_room": 127_999.0}),
        ({"sms": 1}, {"second": PAIR, "sms": 1}),
        ({}, {"second": SIMT | {"streams": False}}),
        ({}, {"payloads": ()}),
        ({"most_operators": 2}, {"most_operators": 1}),
    ],
)
def test_what_can_just_be_resident_and_what_just_cannot(fits, fails):
    assert [pipeline(two(**fits), Graph(two(**fits)), (0, 1)) is not None] == [True]
    data = two(**fails)
    outcome, _ = dataflow_schedule.solve(data)
    assert [group.mode for group in outcome.solution.groups] == ["alone", "alone"]
    assert check(data, Solution((Group((0, 1), "pipeline", 1.0, 0, (0, 0), ((1,), (1,))),), 1.0)) != []


@pytest.mark.parametrize(
    ("others", "time"),
    [
        ({}, 1e-5),
        ({"dram_bandwidth": 1e6 / 2e-5, "first": PAIR | {"read": 1e6}}, 2e-5),
        ({"l2_bandwidth": 2e6 / 3e-5}, 3e-5),
        ({"first": PAIR | {"tile_s": 1e-6}, "second": SIMT | {"tile_s": 2e-6}}, 1.3e-5),
        ({"sms": 4, "first": {"alone_s": 4e-5, "alternatives": ((Stage("tensor", 1e-5, 0, 2),),)}}, 2e-5),
    ],
)
def test_each_term_of_a_pipeline_s_time(others, time):
    data = two(**({"queue_bandwidth": 1e15, "sync_s": 0.0} | others))
    assert dataflow_schedule.solve(data)[0].value == pytest.approx(time)


def test_queue_s_synchronisation_bounds_a_stage():
    """One SM, an entry of 64 kB each 2 us and 1 MB: 15.625 entries."""
    data = two(sms=1, sync_s=2e-6, queue_bandwidth=1e15)
    assert pipeline(data, Graph(data), (0, 1)).time_s == pytest.approx(15.625 * 2e-6, rel=1e-3)


@pytest.mark.parametrize(("size", "entry"), [(1e6, 16_000), (1e8, 64_000)])
def test_the_payload_weighs_the_first_hop_against_the_rate(size, entry):
    """A hop is what one entry takes: of few bytes the short one is faster, of many the one that synchronises less."""
    payloads = tuple(Payload(e, 0, 1.1e-6 + e / 45e9) for e in (16_000, 64_000))
    own = {"alone_s": 1e-3, "alternatives": ((Stage("tensor", 1e-6),),)}
    data = instance([dict(own), dict(own)], [(0, 1, size)], payloads=payloads)
    (group,) = dataflow_schedule.solve(data)[0].solution.groups
    assert data.payloads[group.payload].entry == entry
    times = [dataflow_schedule.solve(replace(data, payloads=(p,)))[0].value for p in payloads]
    assert group.time_s == pytest.approx(min(times), rel=1e-12) != pytest.approx(max(times), rel=1e-3)


def test_a_split_is_chosen_where_it_pays():
    """Whole on 2 CTAs 54 us; in two stages, half the work each, one CTA more for each of them."""
    whole, parts = (Stage("simt", 1e-6, 0, 2),), (Stage("simt", 6e-7, 0, None, 1e3), Stage("simt", 4e-7))
    split = {"alone_s": 1e-4, "alternatives": (whole, parts)}
    data = two(second=split)
    (group,) = dataflow_schedule.solve(data)[0].solution.groups
    assert group.picks == (0, 1)
    assert dataflow_schedule.solve(two(second=split | {"alternatives": (whole,)}))[0].value > group.time_s * 1.5


@pytest.mark.parametrize("seed", range(12))
def test_chain_is_columns_and_enumeration(seed, monkeypatch):
    data = replace(chain(9, seed), sms=5, verticals=((frozenset({2, 3, 4}), 5e-5),))
    best, proof = dataflow_schedule.solve(data)
    assert proof.method == "chain"
    assert best.value == pytest.approx(best_by_enumeration(data), rel=1e-9)
    assert check(data, best.solution) == []
    monkeypatch.setattr(dataflow_schedule_chain, "applies", lambda data, graph: False)
    other, proof = dataflow_schedule.solve(data)
    assert proof.method == "columns"
    assert other.value == pytest.approx(best.value, rel=1e-9)


def test_several_chains_are_one_after_the_other():
    data = instance([dict(PAIR), dict(SIMT), dict(PAIR), dict(SIMT)], [(3, 2, 1e6), (1, 0, 1e6)])
    outcome, proof = dataflow_schedule.solve(data)
    assert proof.method == "chain"
    assert sorted(group.members for group in outcome.solution.groups) == [(0, 1), (2, 3)]
    assert check(data, outcome.solution) == []


def test_a_long_chain_is_proven():
    data = chain(150)
    outcome, proof = dataflow_schedule.solve(data)
    assert outcome.status is Status.OPTIMAL
    assert proof.complete
    assert check(data, outcome.solution) == []
    assert outcome.value < dataflow_schedule.solve(without_pipelines(data))[0].value == pytest.approx(sum(data.alone_s))


def test_a_layered_graph_is_proven():
    data = layered(40, most_operators=5)
    outcome, proof = dataflow_schedule.solve(data)
    assert outcome.status is Status.OPTIMAL
    assert proof.complete_to == 5
    assert check(data, outcome.solution) == []


@pytest.mark.slow
def test_a_layered_graph_of_500_is_within_a_percent_of_its_bound():
    """Without a limit of operators in a pipeline."""
    data = layered(500)
    outcome, proof = dataflow_schedule.solve(data)
    assert proof.complete
    assert outcome.bound >= 0.99 * outcome.value
    assert max(len(group.members) for group in outcome.solution.groups) > 20
    assert check(data, outcome.solution) == []


def test_a_cap_weakens_the_bound_and_says_so():
    data = layered(24)
    capped, proof = dataflow_schedule.solve(data, most_sets=100)
    assert (proof.complete, proof.sets) == (False, 100)
    whole, full = dataflow_schedule.solve(replace(data, most_operators=6))
    assert full.complete
    assert capped.bound < capped.value
    assert capped.bound <= whole.value
    assert capped.status is Status.FEASIBLE
    assert check(data, capped.solution) == []


def test_columns_added_to_a_program_are_as_if_they_had_been_built():
    data = layered(12)
    pool = Pool(data, Graph(data), 10**6)
    pool.price(np.arange(len(pool.floors)), np.full(len(pool.floors), np.inf))
    every = [pool.bundles[c] for c in sorted(pool.bundles)]
    whole = highs.solve(highs.load(dataflow_schedule.build(data, every, relaxed=True)), highs.Limits())
    program = highs.load(dataflow_schedule.build(data, every[:20], relaxed=True))
    first = highs.solve(program, highs.Limits())
    unit, rest = sum(data.alone_s), every[20:]
    highs.extend(program, [f"more[{c}]" for c in range(len(rest))], [b.time_s / unit for b in rest],
                 [b.members for b in rest])  # fmt: skip
    assert highs.solve(program, highs.Limits()).value == pytest.approx(whole.value, rel=1e-9)
    assert whole.value < first.value


def test_limits_end_without_an_invented_proof():
    data = layered(24, most_operators=5)
    best = dataflow_schedule.solve(data)[0].value
    outcome, proof = dataflow_schedule.solve(data, limits=highs.Limits(limit_s=0.0))
    assert outcome.status in (Status.FEASIBLE, Status.OPTIMAL)
    assert proof.relaxation_s <= outcome.bound <= best * (1 + 1e-9) <= outcome.value * (1 + 2e-9)
    assert check(data, outcome.solution) == []


@pytest.mark.parametrize("data", [layered(24, most_operators=5), chain(30)], ids=["columns", "chain"])
def test_no_time_at_all_is_an_answer_without_a_proof(data):
    best = dataflow_schedule.solve(data)[0].value
    outcome, proof = dataflow_schedule.solve(data, limit_s=0.0)
    assert (outcome.status, proof.complete, proof.method) == (Status.FEASIBLE, False, "columns")
    assert 0 < outcome.bound <= best * (1 + 1e-9) and best <= outcome.value * (1 + 1e-9)
    assert check(data, outcome.solution) == []


@pytest.mark.parametrize("seed", range(3))
def test_wherever_the_time_ends_the_bound_holds_and_optimal_is_proven(seed, monkeypatch):
    """Time is counted in looks at the clock, so that it ends at the same place in each run."""
    data = layered(14, seed=seed) if seed else chain(14)
    best, looks = dataflow_schedule.solve(data)[0].value, 0

    def late(clock, share=1.0):
        nonlocal looks
        looks += 1
        return looks > share * clock.limit_s

    monkeypatch.setattr(Clock, "late", late)
    seen = set()
    for limit in (1, 3, 8, 20, 50, 120, 300, 1000, 10_000):
        looks = 0
        outcome, _ = dataflow_schedule.solve(data, limit_s=limit)
        assert outcome.bound <= best * (1 + 1e-9) and best <= outcome.value * (1 + 1e-9)
        assert outcome.status is Status.FEASIBLE or outcome.value == pytest.approx(best, rel=2e-6)
        assert check(data, outcome.solution) == []
        seen.add(outcome.status)
    assert seen == {Status.FEASIBLE, Status.OPTIMAL}


@pytest.mark.parametrize("most_sets", [0, 30, 10**6])
def test_never_slower_than_what_is_given(most_sets):
    data = layered(24, seed=3)
    start = [group.members for group in dataflow_schedule.solve(replace(data, most_operators=8))[0].solution.groups]
    given = sum(cost_of(data, members) for members in start)
    outcome, _ = dataflow_schedule.solve(replace(data, most_operators=8), most_sets=most_sets, start=start)
    assert outcome.value <= given * (1 + 1e-12)


def cost_of(data: Instance, members: tuple[int, ...]) -> float:
    return data.alone_s[members[0]] if len(members) == 1 else pipeline(data, Graph(data), members).time_s


@pytest.mark.parametrize("start", [[(0,)], [(0, 1), (1,)], [(0, 1), ()]])
def test_a_start_that_is_no_partition_is_refused(start):
    with pytest.raises(ValueError, match=r"partition|group"):
        dataflow_schedule.solve(two(), start=start)


@pytest.mark.parametrize("seed", range(10))
def test_more_of_anything_never_hurts(seed):
    data = generated(seed, 7)
    more = replace(data, sms=data.sms + 2, queue_room=data.queue_room * 2, dram_bandwidth=2 * data.dram_bandwidth,
                   l2_bandwidth=2 * data.l2_bandwidth, shared_memory=2 * data.shared_memory)  # fmt: skip
    kept = tuple(tuple(tuple(replace(s, work_s=s.work_s * data.sms / more.sms) for s in row) for row in rows)
                 for rows in data.alternatives)  # fmt: skip
    better = dataflow_schedule.solve(replace(more, alternatives=kept))[0].value
    assert better <= dataflow_schedule.solve(data)[0].value * (1 + 1e-9)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"members": (0,)}, "does not run"),
        ({"ctas": ((109,), (1,))}, "too many CTAs"),
        ({"ctas": ((0,), (1,))}, "has 0 CTAs"),
        ({"time_s": 1e-6}, "takes"),
        ({"payload": 1}, "has no payload"),
        ({"picks": (0,)}, "has no payload"),
        ({"mode": "vertical"}, "no vertical group"),
        ({"mode": "alone"}, "are not alone"),
    ],
)
def test_check_finds_what_is_broken(change, fault):
    data = two()
    (group,) = dataflow_schedule.solve(data)[0].solution.groups
    assert check(data, Solution((group,), group.time_s)) == []
    broken = replace(group, **change)
    assert any(fault in found for found in check(data, Solution((broken,), broken.time_s)))


@pytest.mark.parametrize("skips", [False, True])
def test_check_counts_rings_and_shared_memory_to_the_byte(skips):
    """A chain of three, and one whose first also feeds the last: there its ring bridges the stage between."""
    edges = [(0, 1, 9e6), (1, 2, 9e6)] + ([(0, 2, 9e6)] if skips else [])
    kinds = (("tensor", 10_000), ("simt", 30_000), ("simt", 20_000))
    stages = [((Stage(kind, 1e-5, shared),),) for kind, shared in kinds]
    data = instance([{"alone_s": 4e-5, "alternatives": one} for one in stages], edges, ring_entries=2)
    (group,) = dataflow_schedule.solve(data)[0].solution.groups
    payload, ctas = data.payloads[group.payload], [row[0] for row in group.ctas]
    rings = payload.entry * (ctas[0] * (3 if skips else 2) + ctas[1] * 2)
    shared = 10_000 + 30_000 + 2 * payload.staged  # the largest of each class
    tight = replace(data, queue_room=float(rings), shared_memory=shared)
    assert min(ctas) > 1 and check(tight, Solution((group,), group.time_s)) == []
    for less, fault in (({"queue_room": rings - 1.0}, "too many rings"), ({"shared_memory": shared - 1}, "exceeds")):
        assert any(fault in found for found in check(replace(tight, **less), Solution((group,), group.time_s)))


def test_check_finds_the_wrong_order():
    data = two(payloads=())
    outcome, _ = dataflow_schedule.solve(data)
    backwards = Solution(outcome.solution.groups[::-1], outcome.value)
    assert check(data, backwards) == ["op1 runs before op0"]


def test_two_solves_are_identical():
    data = layered(30, most_operators=4)
    assert dataflow_schedule.solve(data) == dataflow_schedule.solve(data)
    small = generated(6)
    runs = [dataflow_schedule_cpsat.solve(small, limits=cpsat.Limits(0.05)) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("edges", ((0, 1, 1.0), (1, 0, 1.0))), ("edges", ((0, 2, 1.0),)), ("alone_s", (1.0, 0.0)), ("alone_s", (1.0,)),
        ("read", (0.0, -1.0)), ("verticals", ((frozenset({0}), 1.0),)), ("payloads", (Payload(0),)),
        ("alternatives", (((),), ((Stage("simt", 1.0),),))), ("sms", 0), ("sync_s", float("nan")),
        ("alternatives", (((Stage("simt", -1.0),),),) * 2),
    ],
)  # fmt: skip
def test_bad_numbers_are_named(field, value):
    with pytest.raises(ValueError, match="stages" if "Stage" in repr(value) and "-1" in repr(value) else field):
        replace(two(), **{field: value})


def _edge(**others):
    return instance([dict(PAIR), dict(SIMT)] * 2, [(0, 1, 1e6), (1, 2, 1e6), (2, 3, 1e6), (0, 3, 1e6)], **others)


LIMITED = {
    "one operator": instance([dict(PAIR)], []),
    "equal operators that move nothing": instance([PAIR | {"read": 0.0, "write": 0.0, "output": 0.0}] * 3,
                                                  [(0, 1, 0.0), (1, 2, 0.0), (0, 2, 0.0)]),
    "no room for rings": _edge(queue_room=0), "no shared memory": _edge(shared_memory=0), "one SM": _edge(sms=1),
    "no payload": _edge(payloads=()), "no operator in a pipeline": _edge(most_operators=0),
    "nearly no DRAM": _edge(dram_bandwidth=1e-9), "endless memory": _edge(dram_bandwidth=1e30, l2_bandwidth=1e30),
    "no synchronisation": _edge(sync_s=0.0),
    **{f"{a:g} s alone": instance([PAIR | {"alone_s": a}, dict(SIMT), dict(PAIR)], [(0, 1, 1e6), (0, 2, 1e6)])
       for a in (1e-9, 1e9)},
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
def test_edges_are_those_of_enumeration_and_no_limit_invents_a_proof(name):
    """Callers rely on a bound that no schedule beats, and on OPTIMAL only within the gap of it."""
    data = LIMITED[name]
    best = best_by_enumeration(data)
    asked = [{"limits": highs.Limits(seed=seed)} for seed in (0, 1, 2)]
    asked += [{"limits": highs.Limits(node_limit=0)}, {"limits": highs.Limits(node_limit=1)}, {"limit_s": 0.0}]
    asked += [{"most_sets": 0}, {"most_sets": 1}]
    for number, options in enumerate(asked):
        outcome, _ = dataflow_schedule.solve(data, **options)
        assert outcome.bound <= best * (1 + 1e-9) and best <= outcome.value * (1 + 1e-9)
        assert outcome.status is Status.OPTIMAL or number > 2
        assert outcome.status is Status.FEASIBLE or outcome.value == pytest.approx(best, rel=2e-6)
        assert check(data, outcome.solution) == []
