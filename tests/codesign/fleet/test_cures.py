"""Cures of an infeasible plan where the time given ends among them."""

import itertools

import pytest

from codesign.changes.relax_plan import fleet_relax
from codesign.fleet.cures import LATE, cures
from codesign.fleet.prepared import prepare
from codesign.study.plan_study import Resolver
from formulations.solvers.deadline import Deadline
from tests.cases.fleet_plans import ONE, catalog, plan

SLOW = {"limits__power": "2 kW", "workloads__chat__user_speed": "20 tokens/s"}


@pytest.fixture(scope="module")
def prepared():
    return prepare(catalog(), plan(ONE, **SLOW))


@pytest.fixture(scope="module")
def whole(prepared):
    found = cures(prepared)
    assert found.decided and len(found.parts) > 1
    return found


@pytest.mark.parametrize("readings", [1, 2, 4, 8, 16])
def test_cures_end_with_the_time_and_say_so(prepared, whole, readings):
    """A clock that goes on by a second whenever it is read: what was found before is told, and nothing is claimed."""
    found = cures(prepared, (), Deadline(readings, itertools.count().__next__))
    assert LATE in found.way and not found.decided
    assert {one.limit for one in found.parts} <= {one.limit for one in whole.parts}


def test_with_time_left_nothing_is_said_of_it(prepared, whole):
    assert cures(prepared, (), Deadline.after(1e6)) == whole and LATE not in whole.way


def test_what_relax_did_not_look_at_in_time_is_undecided():
    answer = fleet_relax(Resolver(None, plan(ONE, **SLOW, time_limit="1 ns"), catalog=catalog()))
    assert answer.status == "undecided" and not answer.single and not answer.joint
