"""robust_choice: the choice is that of plain enumeration, at losses of a half and of a billionth alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formulations.robust_choice import ROUNDING, Solution, choose, undominated
from formulations.solvers.outcome import Status

REPEATED = settings(derandomize=True, deadline=None)
SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0.0, 1.0)
SCALES = [1.0, 1e-2, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9]


def chosen(loss: list[list[float]], fits: list[float] | None = None, **more):
    return choose(np.arange(10, 10 + len(loss)), np.array(loss), np.array(fits or [1.0] * len(loss)), **more)


@st.composite
def tables(draw):
    """(loss, fits, must_fit): losses often equal, some designs equal or dominated, the share sometimes out of reach."""
    scenarios, count, scale = draw(st.integers(1, 6)), draw(st.integers(1, 9)), draw(st.sampled_from(SCALES))
    rows = draw(st.lists(st.lists(SHARES, min_size=scenarios, max_size=scenarios), min_size=count, max_size=count))
    rows += [rows[i] for i in draw(st.lists(st.integers(0, count - 1), max_size=2))]
    fits = [draw(st.integers(0, 40)) / 40 for _ in rows]
    return np.array(rows) * scale, np.array(fits), draw(st.sampled_from([0.0, 0.0, 0.5, 0.95, 1.0]))


@settings(REPEATED, max_examples=300)
@given(tables())
def test_choice_is_that_of_enumeration(table):
    loss, fits, must = table
    outcome = choose(np.arange(100, 100 + len(loss)), loss, fits, must_fit=must)
    able = [i for i in range(len(loss)) if fits[i] >= must]
    if not able:
        assert (outcome.status, outcome.value, outcome.bound) == (Status.INFEASIBLE, None, None)
        return
    worst = min(max(loss[i]) for i in able)
    near = worst * (1 + 1e-9) + ROUNDING
    mean = min(sum(loss[i]) / len(loss[i]) for i in able if max(loss[i]) <= near)
    found = outcome.solution
    assert outcome.status is Status.OPTIMAL and outcome.bound == worst <= outcome.value == found.worst <= near
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.design - 100 in able and max(loss[found.design - 100]) == found.worst


@pytest.mark.parametrize("scale", SCALES)
def test_small_losses_are_told_apart(scale):
    """A tenth of the loss is a tenth at any size: a solver's tolerance of 1e-7 would hide it."""
    scale /= 2
    outcome = chosen([[1.1 * scale, 0.0], [scale, scale], [0.5 * scale, 1.05 * scale]])
    assert (outcome.status, outcome.solution.design, outcome.value) == (Status.OPTIMAL, 11, scale)


def test_ties_of_the_worst_go_to_the_least_mean():
    outcome = chosen([[1.0, 0.5], [1.0, 0.1], [1.0, 0.9]])
    assert outcome.solution == Solution(11, 1.0, pytest.approx(0.55))
    assert outcome.value == 1.0 == outcome.bound


def test_last_digits_are_a_tie_and_equals_go_to_the_first():
    third = 1 - 2 / 3
    outcome = chosen([[third, third], [np.nextafter(third, 1.0), 0.0], [np.nextafter(third, 1.0), 0.0]])
    assert outcome.solution.design == 11 and outcome.bound == third <= outcome.value


@pytest.mark.parametrize(("must", "design"), [(0.9, 11), (0.57, 11), (0.95, 10), (0.96, None)])
def test_share_that_must_fit(must, design):
    outcome = chosen([[0.5], [0.1]], [0.95, 0.9], must_fit=must)
    assert (outcome.status is Status.INFEASIBLE) == (design is None)
    assert (outcome.solution and outcome.solution.design) == design


def test_a_share_is_met_but_for_its_last_digit():
    assert chosen([[0.5]], [0.57], must_fit=0.57 + 1e-16).status is Status.OPTIMAL


def test_nothing_to_choose_from_is_infeasible():
    for loss in (np.zeros((0, 3)), np.zeros((2, 0))):
        assert choose(np.arange(len(loss)), loss, np.ones(len(loss))).status is Status.INFEASIBLE


def test_undominated_keeps_the_first_of_equals_and_drops_the_dominated():
    loss = np.array([[0.2, 0.2], [0.1, 0.2], [0.1, 0.2], [0.3, 0.0], [0.1, 0.2]])
    assert undominated(loss, np.array([1.0, 1.0, 1.0, 1.0, 0.5])).tolist() == [1, 3]
    assert undominated(np.array([[0.2, 0.2], [0.1, 0.2]]), np.array([1.0, 0.5])).tolist() == [0, 1]
    tiny = np.array([[2e-9, 0.0], [1e-9, 0.0], [0.0, 1e-9]])
    assert undominated(tiny, np.ones(3)).tolist() == [1, 2]


@settings(REPEATED, max_examples=100)
@given(tables())
def test_the_choice_is_among_those_that_none_dominates(table):
    loss, fits, must = table
    kept = undominated(loss, fits)
    every, few = (choose(np.arange(len(loss[at])), loss[at], fits[at], must_fit=must) for at in (slice(None), kept))
    assert every.status is few.status
    assert every.value is None or few.value <= every.value * (1 + 1e-9) + 3 * ROUNDING


def test_more_scenarios_never_help():
    loss = np.random.default_rng(1).random((20, 30))
    values = [choose(np.arange(20), loss[:, :n], np.ones(20)).value for n in (5, 15, 30)]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"loss": np.array([[1.5]])}, "loss must lie in 0 .. 1"), ({"loss": np.array([[np.nan]])}, "must lie in 0 .. 1"),
     ({"fits": np.ones(2)}, "need a row for each"), ({"loss": np.array([0.5])}, "need a row for each")],
)  # fmt: skip
def test_arrays_are_checked(wrong, said):
    with pytest.raises(ValueError, match=said):
        choose(**{"designs": np.arange(1), "loss": np.array([[0.5]]), "fits": np.ones(1)} | wrong)
