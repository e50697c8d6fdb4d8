"""Splits of sums: parts let a stage have more CTAs and take longer to add; the best of both, as by enumeration."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from formulations import dataflow_schedule
from formulations.dataflow_schedule import Stage
from formulations.dataflow_schedule.balance import Need, Splits, balance, least_time
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.order import check
from tests.cases.dataflow_schedule_cases import instance


def by_enumeration(
    stages: list[Need], splits: dict[int, Splits], sms: int, rings: int, floor: float, base: float
) -> float:
    """Least sum over every step of every split stage."""
    least = math.inf
    for steps in itertools.product(*(own.steps for own in splits.values())):
        most = {i: step[0] for i, step in zip(splits, steps, strict=True)}
        filled = max([base, *(splits[i].through_s + step[1] for i, step in zip(splits, steps, strict=True))])
        own = [(e, t, min(m, most.get(i, m)), r) for i, (e, t, m, r) in enumerate(stages)]
        found = balance(own, sms, rings, floor)
        if found is not None:
            least = min(least, max(found[0], floor) + filled)
    return least


@pytest.mark.parametrize("seed", range(200))
def test_ctas_and_splits_are_the_best_of_all_steps(seed):
    rng = np.random.default_rng(seed)
    count, sms = int(rng.integers(2, 7)), int(rng.integers(6, 40))
    stages = [(float(rng.integers(1, 60)), bool(rng.random() < 0.5), int(rng.choice([sms, sms, 3])),
               bool(rng.random() < 0.4)) for _ in range(count)]  # fmt: skip
    through = [float(rng.integers(1, 6)) for _ in range(count)]
    splits = {}
    for i in rng.choice(count, size=int(rng.integers(1, count + 1)), replace=False).tolist():
        unsplit, level = int(rng.integers(1, 4)), float(rng.choice([0.25, 1.0, 2.5]))
        splits[i] = Splits(through[i], tuple((unsplit << k, k * level) for k in range(int(rng.integers(1, 5)))))
    rings, floor = int(rng.choice([8, 100])), float(rng.choice([0.0, 1.0, 4.0]))
    best = by_enumeration(stages, splits, sms, rings, floor, max(through))
    found = least_time(stages, splits, sms, rings, floor=floor, filled=max(through), limit=math.inf)
    if math.isinf(best):
        assert found is None
        return
    assert found[0] + found[1] == pytest.approx(best, rel=1e-12)
    assert all(a <= splits[i].steps[-1][0] for i, a in enumerate(found[2]) if i in splits)
    again = {"floor": floor, "filled": max(through)}
    assert least_time(stages, splits, sms, rings, limit=best * (1 - 1e-9), **again) is None
    assert least_time(stages, splits, sms, rings, limit=best * (1 + 1e-9), **again) is not None


def test_balance_stops_at_the_first_stage_that_can_have_no_more():
    stages = [(6.0, True, 9, False), (2.0, True, 9, False)]
    assert balance(stages, 4, 9, 0.0) == (2.0, [3, 1])
    assert balance(stages, 1, 9, 0.0) is None
    assert balance([(6.0, True, 9, True)], 4, 2, 0.0) == (3.0, [2])


def sums(work_s: float, adding_s: float) -> dataflow_schedule.Instance:
    """A stage, and a sum with 2 CTAs whole, 4 in two parts, 8 in four."""
    alternatives = tuple((Stage("simt", work_s, 0, 2 << k, adding_s=k * adding_s),) for k in range(3))
    first = {"alone_s": 1e-2, "alternatives": ((Stage("tensor", 1e-6),),)}
    return instance([first, {"alone_s": 1e-2, "alternatives": alternatives}], [(0, 1, 1e3)], sms=108)


@pytest.mark.parametrize(("adding_s", "pick"), [(0.0, 2), (1.3e-5, 2), (1.4e-5, 1), (2.6e-5, 1), (2.8e-5, 0)])
def test_a_sum_is_split_as_long_as_adding_takes_less_than_it_saves(adding_s, pick):
    """Whole on 2 CTAs 54 us, on 4 CTAs 27 us, on 8 CTAs 13.5 us."""
    data = sums(1e-6, adding_s)
    outcome, _ = dataflow_schedule.solve(data)
    (group,) = outcome.solution.groups
    assert group.picks == (0, pick)
    assert group.ctas[1] == (2 << pick,)
    assert group.time_s == pytest.approx(1.08e-4 / (2 << pick) + pick * adding_s, rel=1e-6)
    assert check(data, outcome.solution) == []


def test_more_ctas_than_a_split_allows_and_parts_for_nothing_are_found_by_the_check():
    data = sums(1e-6, 1e-6)
    solution = dataflow_schedule.solve(data)[0].solution
    (group,) = solution.groups
    whole = replace(group, picks=(0, 0))
    free = replace(group, time_s=group.time_s - 2e-6)
    assert any("has 8 CTAs" in fault for fault in check(data, replace(solution, groups=(whole,))))
    assert any("takes" in fault for fault in check(data, replace(solution, groups=(free,))))


def test_splits_are_one_choice_only_where_nothing_waits_for_the_sum():
    graph = Graph(sums(1e-6, 1e-6))
    assert [row.picks for row in graph.rows(1, last=True)] == [(0, 1, 2)]
    assert [row.picks for row in graph.rows(1, last=False)] == [(0,), (1,), (2,)]


def test_a_longer_time_to_add_for_no_more_ctas_is_no_split():
    steps = ((2, 0.0), (4, 2e-6), (4, 3e-6), (3, 1e-6))
    stages = [Stage("simt", 1e-6, 0, most, adding_s=adding) for most, adding in steps]
    data = instance([{"alone_s": 1e-2, "alternatives": tuple((stage,) for stage in stages)}], [])
    assert [row.picks for row in Graph(data).rows(0, last=True)] == [(0, 3, 1)]
