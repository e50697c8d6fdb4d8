"""The cure of an infeasible fleet works, and half a cure less does not."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings

from formulations import fleet
from formulations.fleet import cures
from formulations.fleet.cures import Cure
from formulations.solvers import highs
from formulations.solvers.outcome import Status
from tests.cases.fleet_cases import instance, instances

CASES = {
    # one server of 100 k$, 10 kW, a quarter rack is missing in each
    "capital": ({"capital": 60.0}, [{}], {("capital", None): 40.0, ("demand", 0): 1.0}),
    "spending": ({"spending": 100.0}, [{}], {("spending", None): 5.0, ("demand", 0): 1.0}),
    "power": ({"power": 7.5}, [{}], {("power", None): 2.5, ("demand", 0): 1.0}),
    "racks": ({"racks": 0.2}, [{}], {("racks", None): 0.05, ("demand", 0): 1.0}),
    "supply": ({}, [{"supply": 0.5}], {("supply", 0): 1.0, ("supply", None): 1.0, ("demand", 0): 1.0}),
    "servers": ({"most_servers": np.array([0.0])}, [{}], {("servers", 0): 1.0, ("demand", 0): 1.0}),
    "kinds": ({"most_kinds": 0}, [{}], {("kinds", None): 1.0, ("demand", 0): 1.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_least_cures_by_hand(name):
    limits, kinds, expected = CASES[name]
    found = {(c.family, c.of): c.least for c in cures.cures(instance([{}], kinds, **limits))}
    assert found == pytest.approx(expected)


def test_a_cure_within_a_gap_is_a_cure():
    """The search is stopped within the gap, and its status is then that of a search without a proof."""
    data = instance([{}, {"kind": 1}], [{}, {}], [{"demand": 8.0}], capital=60.0)
    exact = {(c.family, c.of): c for c in cures.cures(data)}
    near = {(c.family, c.of): c for c in cures.cures(data, limits=highs.Limits(relative_gap=0.02))}
    assert exact.keys() == near.keys()
    for key, cure in near.items():
        assert cure.status is exact[key].status
        assert cure.least is None or exact[key].least <= cure.least <= exact[key].least * 1.02 + 1e-9


def test_share_of_a_workload_and_limits_that_are_no_cure():
    columns = [{"rate": 1.0}, {"demand": 1, "rate": 1.0}]
    data = instance(columns, [{"supply": 2.0}], [{"demand": 2.0}, {"demand": 4.0}], power=15.0)
    found = {(c.family, c.of): (c.least, c.status) for c in cures.cures(data)}
    assert found == {
        ("power", None): (None, Status.INFEASIBLE), ("supply", 0): (None, Status.INFEASIBLE),
        ("supply", None): (None, Status.INFEASIBLE), ("demand", 0): (None, Status.INFEASIBLE),
        ("demand", 1): (pytest.approx(1.0), Status.OPTIMAL),
    }  # fmt: skip


def test_rules_are_dropped_as_a_whole():
    case = [{}, {"kind": 1}], [{"supply": 1.0}, {"supply": 1.0, "vendor": 1}], [{"demand": 8.0}]
    for limits in ({"one_kind": True}, {"second_source": 0.6}):
        found = cures.cures(instance(*case, **limits))
        assert Cure(next(iter(limits)), None, None, Status.OPTIMAL) in found


def test_big_m_does_not_know_the_limit_that_is_eased():
    data = instance([{}], [{}], [{"demand": 8.0}], most_kinds=1, power=10.0)
    assert cures.cures(data)[0] == Cure("power", None, pytest.approx(10.0), Status.OPTIMAL)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=25)
@given(instances(("cost", "power")))
def test_a_cure_is_enough_and_no_more_than_enough(data):
    assume(fleet.solve(data)[0].status is Status.INFEASIBLE)
    for cure in cures.cures(data):
        if cure.status is Status.OPTIMAL and (cure.family, cure.of) != ("supply", None):
            assert fleet.solve(cures.cured(data, cure))[0].status is Status.OPTIMAL
            if cure.least is not None and cure.family != "second_source":
                less = cure.least - 1 if cure.family in ("supply", "servers", "kinds") else cure.least * 0.999
                assert math.isfinite(less)
                short = cures.cured(data, replace(cure, least=less))
                assert fleet.solve(short)[0].status is Status.INFEASIBLE
