"""sm_placement: its docstring is the program, its optimum is enumeration, its refusals name the resource."""

from dataclasses import replace

import pytest

from formulations import sm_placement
from formulations.sm_placement import Instance, Solution, bounds
from formulations.sm_placement.instance import Host
from formulations.solvers import cpsat
from formulations.solvers.outcome import Status
from tests.cases.sm_placement_cases import best_by_enumeration, generated, instance

DOC = sm_placement.__doc__ or ""
SIMT = {"kind": "simt", "shared": 40}


def four() -> Instance:
    """A tensor and a SIMT stage of two CTAs each on 2 + 2 SMs: all fits in one GPC."""
    return instance([{}, SIMT], [(0, 1, 10.0)])


def agrees(data: Instance) -> None:
    best, outcome = best_by_enumeration(data), sm_placement.solve(data)
    assert (best is None) == (outcome.status is Status.INFEASIBLE) == bool(bounds.obstacles(data))
    if best is None:
        return
    assert outcome.status is Status.OPTIMAL
    assert outcome.value == pytest.approx(best, rel=1e-9, abs=1e-9)
    assert outcome.bound <= best * (1 + 1e-9) + 1e-9
    assert bounds.check(data, outcome.solution) == []
    plain = cpsat.solve(sm_placement.build(data, strengthened=False), cpsat.Limits())
    assert sm_placement.read(data, plain.values).cost == pytest.approx(best, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_optimum_is_that_of_enumeration(seed):
    agrees(generated(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 240))
def test_optimum_is_that_of_enumeration_on_200_more(seed):
    agrees(generated(seed))


def test_consumers_go_to_their_producers():
    outcome = sm_placement.solve(four())
    assert outcome.value == 0.0
    assert sorted(outcome.solution.counts) == [outcome.solution.counts[0]] * 2


def test_co_residency_drives_them_apart():
    """Together they need 110 of 100 shared memory: one SM each, so half of the stream crosses."""
    data = instance([{}, SIMT | {"shared": 50}], [(0, 1, 10.0)])
    assert sm_placement.solve(data).value == pytest.approx(0.0)  # one CTA of each in either GPC
    assert sm_placement.solve(replace(data, gpc_sms=(3, 1))).value == pytest.approx(10.0)


BINDING = [
    ("shared of s0: 1 more than an SM has", [{"shared": 100}, SIMT], [{"shared": 101}, SIMT]),
    ("registers of s0: 1 more than an SM has", [{"registers": 64}], [{"registers": 65}]),
    ("threads of s0: 1 more than an SM has", [{"threads": 32}], [{"threads": 33}]),
    ("5 tensor CTAs on 4 SMs", [{"ctas": 4}, SIMT], [{"ctas": 5}, SIMT]),
    ("5 simt CTAs on 4 SMs", [{}, SIMT | {"ctas": 4}], [{}, SIMT | {"ctas": 5}]),
    ("for want of shared", [{"ctas": 3}, SIMT], [{"ctas": 3}, SIMT | {"shared": 41}]),
    ("for want of registers", [{"ctas": 3}, SIMT | {"registers": 44}], [{"ctas": 3}, SIMT | {"registers": 45}]),
    ("for want of threads", [{"ctas": 3}, SIMT | {"threads": 28}], [{"ctas": 3}, SIMT | {"threads": 29}]),
]


@pytest.mark.parametrize(("reason", "fits", "fails"), BINDING)
def test_what_just_fits_and_what_just_fails(reason, fits, fails):
    first, second = (instance(stages, [(0, 1, 1.0)] if len(stages) > 1 else []) for stages in (fits, fails))
    assert bounds.obstacles(first) == []
    assert sm_placement.solve(first).status is Status.OPTIMAL
    (found,) = bounds.obstacles(second)
    assert reason in found
    assert sm_placement.solve(second).status is Status.INFEASIBLE


def test_largest_matching_takes_back_a_pair():
    """s0 goes with both SIMT stages, s1 with s2 only: s0 has to leave s2."""
    data = instance([{"ctas": 1}, {"ctas": 1, "shared": 80}, SIMT | {"ctas": 1, "shared": 20}, SIMT | {"ctas": 1}], [])
    assert bounds.most_pairs(data) == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"hosts": (Host(0, 0, 1), Host(0, 0), Host(1), Host(1))}, "1 CTAs of s1 in g0, not 2"),
        ({"hosts": (Host(0, 0, 1), Host(0, 0, 1), Host(1))}, "1 SMs in g1, not 2"),
        ({"hosts": (Host(0, 1, 0), Host(0, 0, 1), Host(1), Host(1))}, "s1 is not tensor"),
        ({"cost": 1.0}, "cost 1.0, not 0.0"),
        ({"counts": ((2, 0), (1, 0))}, "1 CTAs of s1, not 2"),
    ],
)
def test_check_finds_what_is_broken(change, fault):
    good = Solution(((2, 0), (2, 0)), (Host(0, 0, 1), Host(0, 0, 1), Host(1), Host(1)), 0.0)
    assert bounds.check(four(), good) == []
    assert fault in bounds.check(four(), replace(good, **change))


def test_check_finds_a_full_sm():
    good = Solution(((2, 0), (2, 0)), (Host(0, 0, 1), Host(0, 0, 1), Host(1), Host(1)), 0.0)
    assert "shared of an SM of g0" in bounds.check(instance([{}, SIMT | {"shared": 41}], [(0, 1, 10.0)]), good)


def a100(stages: int) -> Instance:
    """Stages in a row, alternating classes, on 108 SMs in eight GPCs."""
    rows = [{"kind": ("tensor", "simt")[i % 2], "ctas": 90 // ((stages + 1) // 2) + i, "shared": 80_000,
             "registers": 20_000, "threads": 256} for i in range(stages)]  # fmt: skip
    return instance(rows, [(i, i + 1, 10.0 + i) for i in range(stages - 1)], gpcs=tuple(f"g{g}" for g in range(8)),
                    gpc_sms=(14, 14, 14, 12) * 2, half=(0,) * 4 + (1,) * 4, sm_shared=192_000, sm_registers=65_536,
                    sm_threads=2048)  # fmt: skip


def test_work_limit_ends_at_the_same_place_twice_with_a_true_bound():
    data = a100(6)
    runs = [sm_placement.solve(data, limits=cpsat.Limits(deterministic_s=0.1)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].status in (Status.FEASIBLE, Status.OPTIMAL)
    assert runs[0].bound <= runs[0].value
    assert bounds.check(data, runs[0].solution) == []


@pytest.mark.slow
@pytest.mark.parametrize("stages", [4])
def test_an_a100_is_placed_near_its_bound(stages):
    data = a100(stages)
    outcome = sm_placement.solve(data, limits=cpsat.Limits(deterministic_s=3))
    assert 0 <= outcome.value - outcome.bound <= 0.04 * sm_placement.cost_of_all_far(data)
    assert bounds.check(data, outcome.solution) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("kinds", ("tensor", "vector")), ("ctas", (0, 1)), ("shared", (1,)), ("half", (0,)), ("cost_half", 3.0),
     ("streams", ((0, 0, 1.0),)), ("gpc_sms", (2, -1))],
)  # fmt: skip
def test_bad_numbers_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        replace(four(), **{field: value})


PLACED = {
    "one CTA": instance([{"ctas": 1}], []),
    "no stream": instance([{}, SIMT], []),
    "a stream of nothing": instance([{}, SIMT], [(0, 1, 0.0)]),
    "far apart in size": instance([{"ctas": 1}, SIMT | {"ctas": 1}, SIMT], [(0, 1, 1e9), (0, 2, 1e-9)]),
    "streams both ways and twice": instance([{}, SIMT], [(0, 1, 3.0), (1, 0, 2.0), (0, 1, 3.0)]),
    "all costs are zero": instance([{}, SIMT], [(0, 1, 3.0)], cost_gpc=0.0, cost_half=0.0, cost_far=0.0),
    "all costs are equal": instance([{}, SIMT], [(0, 1, 3.0)], cost_gpc=2.0, cost_half=2.0, cost_far=2.0),
    "costs far apart": instance([{}, SIMT], [(0, 1, 3.0)], cost_gpc=1e-9, cost_half=1e-9, cost_far=1e9),
    "costs close": instance([{"ctas": 3}, SIMT | {"ctas": 3}], [(0, 1, 1.0)], cost_gpc=1.0, cost_half=1 + 1e-7,
                            cost_far=1 + 2e-7),
    "a GPC without SMs": instance([{"ctas": 1}], [], gpc_sms=(0, 1)),
    "no SM at all": instance([{"ctas": 1}], [], gpc_sms=(0, 0)),
    "an SM without room": instance([{"ctas": 1}], [], sm_shared=0),
    "nothing needed, nothing there": instance([{"ctas": 1, "shared": 0, "registers": 0, "threads": 0}], [],
                                              sm_shared=0, sm_registers=0, sm_threads=0),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACED)
def test_edges_are_those_of_enumeration_for_any_seed(name):
    """Callers rely on the status, and on a bound that is below the least cost and near it where it is OPTIMAL."""
    data = PLACED[name]
    best = best_by_enumeration(data)
    assert (best is None) == bool(bounds.obstacles(data))
    for seed in (0, 1, 2):
        outcome = sm_placement.solve(data, limits=cpsat.Limits(seed=seed))
        assert outcome.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL)
        if best is not None:
            far = sm_placement.cost_of_all_far(data)
            assert outcome.bound <= best * (1 + 1e-9) and outcome.value == pytest.approx(best, rel=1e-9, abs=1e-6 * far)
            assert bounds.check(data, outcome.solution) == []
