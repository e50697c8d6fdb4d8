"""robust_choice: its docstring is the program, every row binds, both choices are those of enumeration."""

from dataclasses import fields

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formulations import highs, robust_choice
from formulations.outcome import Status
from formulations.robust_choice import TIE, Instance
from tests.docstrings import SECTIONS, names

DOC = robust_choice.__doc__ or ""
REPEATED = settings(derandomize=True, deadline=None)


def instance(loss: list[list[float]], fits: list[float] | None = None, **more) -> Instance:
    return Instance(np.arange(10, 10 + len(loss)), np.array(loss), np.array(fits or [1.0] * len(loss)), **more)


def mean(loss: list[list[float]], cap: float, **more) -> Instance:
    return instance(loss, most_worst=cap, objective="mean", **more)


@pytest.mark.parametrize(("section", "kind"), SECTIONS)
def test_docstring_is_the_program(section, kind):
    model = robust_choice.build(mean([[0.1, 0.2], [0.3, 0.0]], 0.5, must_fit=0.5))
    assert names(DOC, section) == [part.local_name for part in model.component_objects(kind)]


def test_docstring_is_the_instance():
    assert names(DOC, "Sets") + names(DOC, "Parameters") == [f.name for f in fields(Instance)]


PAIRS = {  # a case that just fits, and one that just fails
    "pick_one": (mean([[0.5]], 0.5), mean([[0.5]], 0.49)),
    "bound_loss": (mean([[0.0, 0.25], [0.3, 0.3]], 0.25), mean([[0.0, 0.25], [0.3, 0.3]], 0.24)),
    "must_fit_in": (instance([[0.5], [0.1]], [0.95, 0.9], must_fit=0.95),
                    instance([[0.5], [0.1]], [0.95, 0.9], must_fit=0.96)),
    "cap_worst": (mean([[0.5, 0.1]], 0.5), mean([[0.5, 0.1]], 0.499)),
}  # fmt: skip


def test_no_row_without_its_pair():
    assert list(PAIRS) == names(DOC, "Constraints")


@pytest.mark.parametrize("removal", [True, False])
@pytest.mark.parametrize("row", PAIRS)
def test_row_binds(row, removal):
    fits, fails = PAIRS[row]
    assert robust_choice.solve(fits, removal=removal)[0].status is Status.OPTIMAL
    assert robust_choice.solve(fails, removal=removal)[0].status is Status.INFEASIBLE


@pytest.mark.parametrize("row", PAIRS)
def test_nothing_but_its_row_breaks_the_failing_case(row):
    model = robust_choice.build(PAIRS[row][1])
    assert highs.solve(highs.load(model), highs.Limits()).status is Status.INFEASIBLE
    model.component(row).deactivate()
    assert highs.solve(highs.load(model), highs.Limits()).status is Status.OPTIMAL


def test_plain_program_has_no_cap():
    built = [part.local_name for part in robust_choice.build(instance([[0.1]])).component_objects(pyo.Constraint)]
    assert built == ["pick_one", "bound_loss", "must_fit_in"]


SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0.0, 1.0)


@st.composite
def tables(draw):
    """(loss, fits, must_fit): losses often equal, some designs equal or dominated, the share sometimes out of reach."""
    scenarios, count = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    rows = draw(st.lists(st.lists(SHARES, min_size=scenarios, max_size=scenarios), min_size=count, max_size=count))
    rows += [rows[i] for i in draw(st.lists(st.integers(0, count - 1), max_size=2))]
    # shares of 40 scenarios: no two are nearer than a solver's tolerance
    fits = [draw(st.integers(0, 40)) / 40 for _ in rows]
    return np.array(rows), np.array(fits), draw(st.sampled_from([0.0, 0.0, 0.5, 0.95, 1.0]))


def enumerated(table):
    """Least worst loss, then least mean of the designs that have it; with and without removal."""
    loss, fits, must = table
    labels = np.arange(100, 100 + len(loss))
    able = [i for i in range(len(loss)) if fits[i] >= must]
    for removal in (True, False):
        outcome, _ = robust_choice.solve(Instance(labels, loss, fits, must), removal=removal)
        if not able:
            assert outcome.status is Status.INFEASIBLE
            continue
        worst = min(float(loss[i].max()) for i in able)
        assert outcome.status is Status.OPTIMAL
        assert outcome.value == pytest.approx(worst, abs=1e-8) and worst - 1e-8 <= outcome.bound + 1e-9
        assert outcome.bound <= outcome.value
    outcome, held = robust_choice.choose(labels, loss, fits, must_fit=must)
    if able:
        least = min(float(loss[i].mean()) for i in able if loss[i].max() <= worst + TIE)
        assert held <= len(loss) and outcome.solution.worst == pytest.approx(worst, abs=1e-8)
        assert outcome.solution.mean == pytest.approx(least, abs=1e-8)
        position = outcome.solution.design - 100
        assert fits[position] >= must and loss[position].max() == outcome.solution.worst


@settings(REPEATED, max_examples=25)
@given(tables())
def test_choice_is_that_of_enumeration(table):
    enumerated(table)


@pytest.mark.slow
@settings(REPEATED, max_examples=200)
@given(tables())
def test_choice_is_that_of_enumeration_long(table):
    enumerated(table)


def test_removal_keeps_the_first_of_equals_and_drops_the_dominated():
    data = instance([[0.2, 0.2], [0.1, 0.2], [0.1, 0.2], [0.3, 0.0], [0.1, 0.2]], [1.0, 1.0, 1.0, 1.0, 0.5])
    assert robust_choice.undominated(data).tolist() == [1, 3]
    better = instance([[0.2, 0.2], [0.1, 0.2]], [1.0, 0.5])  # less loss, but it fits less often
    assert robust_choice.undominated(better).tolist() == [0, 1]


def test_ties_of_the_worst_go_to_the_least_mean():
    outcome, _ = robust_choice.choose(np.arange(3), np.array([[1.0, 0.5], [1.0, 0.1], [1.0, 0.9]]), np.ones(3))
    assert outcome.solution == robust_choice.Solution(1, 1.0, pytest.approx(0.55))
    assert outcome.value == 1.0 == outcome.bound


def test_more_scenarios_never_help():
    loss = np.random.default_rng(1).random((20, 30))
    values = [robust_choice.solve(Instance(np.arange(20), loss[:, :n], np.ones(20)))[0].value for n in (5, 15, 30)]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"loss": np.array([[1.5]])}, "loss must lie in 0 .. 1"), ({"fits": np.ones(2)}, "need a row for each design"),
     ({"objective": "mean"}, "most_worst goes together"), ({"most_worst": 0.5}, "most_worst goes together")],
)  # fmt: skip
def test_instance_is_checked(wrong, said):
    with pytest.raises(ValueError, match=said):
        Instance(**{"designs": np.arange(1), "loss": np.array([[0.5]]), "fits": np.ones(1)} | wrong)
