"""Slices divided at will: by enumeration in exact numbers, near whole replicas, never dearer than whole slices.

Callers of `fleet_slices.solve` rely on: OPTIMAL with a bound within 3e-9 of the value and never above it; INFEASIBLE
only where no replicas that are to be had serve; no kind more than 1e-9 replicas beyond its own; supply never exceeded.
"""

import itertools
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formulations import fleet_slices
from formulations.fleet_slices import Instance
from formulations.fleet_slices.exact import money
from formulations.solvers import highs
from formulations.solvers.outcome import Status
from tests.cases.fleet_slices_cases import INF, check, instance

REPEATED = settings(derandomize=True, deadline=None)
HAIRS = st.sampled_from([0.0, 1e-7, -1e-7, 1e-8, -1e-8, 3e-9, -3e-9, 4e-10, 3e-7, 1.2e-7])
WHOLE = st.sampled_from([1.0, 2.0, 3.0, 1.5, 2.25, 0.5])
PRICES = st.sampled_from([1.0, 1.5, 2.0, 0.7, 0.0, 1 / 3])
SUPPLY = st.sampled_from([INF, INF, 0.0, 1.0, 2.0, 3.0])


@st.composite
def near_whole(draw: Any, kinds: int = 3) -> Instance:
    """Up to 2 buckets of a load a hair above or below whole replicas, with little supply."""
    buckets, kinds = draw(st.integers(1, 2)), draw(st.integers(1, kinds))
    loads = [[INF if draw(st.integers(0, 6)) == 0 else draw(WHOLE) + draw(HAIRS) for _ in range(kinds)]
             for _ in range(buckets)]  # fmt: skip
    price, most = ([draw(one) for _ in range(kinds)] for one in (PRICES, SUPPLY))
    return instance(loads, price, 1, most, fractional=True)


def value(data: Instance, seed: int = 0) -> float | None:
    """The proven optimum, recounted; None: infeasible."""
    outcome, _ = fleet_slices.solve(data, limits=highs.Limits(seed=seed))
    assert outcome.status in (Status.OPTIMAL, Status.INFEASIBLE)
    if outcome.status is Status.INFEASIBLE:
        return None
    check(data, outcome.solution, outcome.value)
    assert outcome.value * (1 - 3e-9) <= outcome.bound <= outcome.value
    return outcome.value


def serve(loads: list[list[Fraction | None]], room: list[Fraction]) -> bool:
    """Whether two kinds with so much room serve all buckets: what the second does better goes there first."""
    free = list(room)
    both = []
    for first, second in loads:
        if first is None and second is None:
            return False
        if first is not None and second is not None:
            both.append((first, second))
        elif second is None:
            free[0] -= first
        else:
            free[1] -= second
    if min(free) < 0:
        return False
    for first, second in sorted(both, key=lambda pair: pair[1] / pair[0]):
        share = min(Fraction(1), free[1] / second)
        free[1] -= share * second
        free[0] -= (1 - share) * first
    return free[0] >= 0


def enumerated(data: Instance, spared: Fraction) -> float | None:
    """The least cost of one or two kinds over all counts, in exact numbers."""
    kinds, price = len(data.kinds), [money(p) for p in data.price.tolist()]
    loads = [[None if math.isinf(a) else Fraction(a) * int(s) for a in row]
             for row, s in zip(data.load.tolist(), data.slices, strict=True)]  # fmt: skip
    most = [min(data.most[g], math.ceil(sum(row[g] or 0 for row in loads))) for g in range(kinds)]
    costs = []
    for counts in itertools.product(*(range(int(n) + 1) for n in most)):
        room = [n + spared if n else Fraction(0) for n in counts]
        able = [[a if n else None for a, n in zip(row, counts, strict=True)] for row in loads]
        if kinds == 1:
            able, room = [[*row, None] for row in able], [*room, Fraction(0)]
        if serve(able, room):
            costs.append(sum((n * p for n, p in zip(counts, price, strict=True)), Fraction(0)))
    return float(min(costs)) if costs else None


def between(data: Instance, seed: int = 0) -> None:
    """The value lies between those of replicas that may carry a little less, and a little more, than 1e-9 too much."""
    found = value(data, seed)
    low, high = (enumerated(data, Fraction(n, 10**10)) for n in (11, 9))
    number = [INF if v is None else v for v in (low, found, high)]
    assert number[0] <= number[1] * (1 + 1e-9) and number[1] <= number[2] * (1 + 1e-9), number


@settings(REPEATED, max_examples=150)
@given(near_whole(kinds=2))
def test_optimum_is_that_of_enumeration(data):
    between(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=900)
@given(near_whole(kinds=2), st.integers(0, 2))
def test_optimum_is_that_of_enumeration_for_any_seed(data, seed):
    between(data, seed)


@settings(REPEATED, max_examples=150)
@given(near_whole(), st.integers(1, 3))
def test_divided_at_will_never_costs_more_than_whole_slices(data, slices):
    whole = replace(data, slices=np.full(len(data.buckets), slices), load=data.load / slices, fractional=False)
    outcome, _ = fleet_slices.solve(whole)
    found = value(data)
    if outcome.value is not None:
        assert found is not None
        assert found <= outcome.value * (1 + 1e-9)


def test_a_bucket_may_be_larger_than_what_a_kind_has():
    assert value(instance([[2.0, 2.0]], most=1.0, fractional=True)) == 2.0
    assert value(instance([[5.0, 5.0]], [1.0, 10.0], most=[4.0, INF], fractional=True)) == 14.0
    assert value(instance([[3.0, 3.0]], most=1.0, fractional=True)) is None


@pytest.mark.parametrize("seed", [0, 1, 17])
@pytest.mark.parametrize("load", [10.0000001, 1.0000001, 3.0000003, 7.00000001, 1e6 + 1e-7, 2.0000000011])
def test_a_hair_above_whole_replicas_takes_one_more(load, seed):
    assert value(instance([[load]], fractional=True), seed) == math.floor(load) + 1
    assert value(instance([[load]], most=math.floor(load), fractional=True), seed) is None
    assert value(instance([[math.floor(load) + 5e-10]], fractional=True), seed) == math.floor(load)


@pytest.mark.parametrize("fractional", [False, True])
def test_edges(fractional):
    """No supply, no price, equal kinds, loads of 1e9 and 1e-9 replicas side by side, supply just enough and short."""
    assert value(instance([[1.0]], most=0.0, fractional=fractional)) is None
    assert value(instance([[2.5, 1.0]], 0.0, fractional=fractional)) == 0.0
    assert value(instance([[1.5, 1.5], [1.5, 1.5]], most=2.0, fractional=fractional)) == (3.0 if fractional else 4.0)
    assert value(instance([[1e9, INF], [INF, 1e-9]], [1.0, 2.0], fractional=fractional)) == 1e9 + 2
    assert value(instance([[2.0]], most=2.0, fractional=fractional)) == 2.0
    assert value(instance([[2.0000001]], most=2.0, fractional=fractional)) is None
    assert value(instance([[1.9999999]], most=2.0, fractional=fractional)) == 2.0
