"""Dinkelbach on sets small enough to enumerate: the optimum from any start, and bounds that hold."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formulations.solvers.fractional import Step, maximise_ratio
from formulations.solvers.outcome import Status

REPEATED = settings(derandomize=True, deadline=None, max_examples=200)
Pairs = list[tuple[float, float]]
PAIRS = st.lists(
    st.tuples(st.integers(0, 1000).map(lambda n: n / 8), st.integers(1, 800).map(lambda d: d / 8)),
    min_size=1,
    max_size=8,
)


class Fake:
    """Solves max N - lam D over a list of (N, D); `slack` is added to the bound, as a limit would."""

    def __init__(
        self, pairs: Pairs, *, status: Status = Status.OPTIMAL, slack: float = 0.0, worst: bool = False
    ):
        self.pairs, self.status, self.slack = pairs, status, slack
        self.pick = min if worst else max
        self.trials: list[float] = []

    def __call__(self, lam: float) -> Step[int]:
        self.trials.append(lam)
        worth = [n - lam * d for n, d in self.pairs]
        i = self.pick(range(len(worth)), key=worth.__getitem__)
        return Step(self.status, i, *self.pairs[i], max(worth) + self.slack)

    @property
    def best(self) -> float:
        return max(n / d for n, d in self.pairs)

    @property
    def least(self) -> float:
        return min(d for _, d in self.pairs)


@REPEATED
@given(PAIRS, st.sampled_from([0.0, 0.3, 0.999, 1.0, 1.001, 4.0]))
def test_optimum_from_below_at_and_above(pairs, share):
    fake = Fake(pairs)
    outcome, trace = maximise_ratio(fake, start=share * fake.best, least_denominator=fake.least)
    assert outcome.status is Status.OPTIMAL
    assert outcome.value == pytest.approx(fake.best, rel=1e-6)
    assert fake.best * (1 - 1e-12) <= outcome.bound <= fake.best * (1 + 2e-6)
    n, d = pairs[outcome.solution]
    assert n / d == outcome.value
    assert trace.solves == len(fake.trials)
    assert trace.lam == fake.trials[-1]


@REPEATED
@given(PAIRS)
def test_trial_ratios_rise_to_the_optimum(pairs):
    fake = Fake(pairs)
    maximise_ratio(fake, start=0.0, least_denominator=fake.least, gap=0.0)
    assert fake.trials == sorted(fake.trials)
    assert fake.trials[-1] <= fake.best
    assert len(fake.trials) <= len(pairs) + 1


def test_one_solve_proves_a_good_start():
    fake = Fake([(6.0, 2.0), (5.0, 1.0), (9.0, 3.0)])
    outcome, trace = maximise_ratio(fake, start=5.0, least_denominator=1.0)
    assert (outcome.status, outcome.solution, outcome.value, outcome.bound, trace.solves) == (
        Status.OPTIMAL,
        1,
        5.0,
        5.0,
        1,
    )


@REPEATED
@given(
    PAIRS,
    st.sampled_from([Status.FEASIBLE, Status.OPTIMAL]),
    st.floats(0.01, 50.0),
    st.booleans(),
    st.floats(0.0, 2.0),
)
def test_limits_leave_a_valid_bound(pairs, status, slack, worst, share):
    """A solve that ends early gives any solution and a bound that is too wide: never a false proof."""
    fake = Fake(pairs, status=status, slack=slack, worst=worst)
    outcome, _ = maximise_ratio(fake, start=share * fake.best, least_denominator=fake.least)
    assert outcome.status in (Status.FEASIBLE, Status.OPTIMAL)
    assert outcome.value <= fake.best * (1 + 1e-12) <= outcome.bound * (1 + 2e-12)
    if outcome.status is Status.OPTIMAL:
        assert outcome.value >= fake.best * (1 - 1e-6)


@REPEATED
@given(PAIRS, st.floats(1.0, 20.0))
def test_bound_holds_for_any_lower_bound_of_the_denominator(pairs, factor):
    fake = Fake(pairs, slack=0.5)
    outcome, _ = maximise_ratio(fake, start=0.0, least_denominator=fake.least / factor)
    assert outcome.bound >= fake.best * (1 - 1e-12)


def test_a_solve_without_solution_is_unknown_and_keeps_its_bound():
    outcome, trace = maximise_ratio(
        lambda lam: Step(Status.UNKNOWN, None, 0.0, 1.0, 3.0), start=2.0, least_denominator=0.5
    )
    assert (outcome.status, outcome.value, outcome.bound, trace.solves) == (Status.UNKNOWN, None, 8.0, 1)
    outcome, _ = maximise_ratio(
        lambda lam: Step(Status.UNKNOWN, None, 0.0, 1.0, None), start=2.0, least_denominator=0.5
    )
    assert (outcome.status, outcome.bound) == (Status.UNKNOWN, None)


def test_a_solution_without_bound_proves_nothing():
    outcome, _ = maximise_ratio(
        lambda lam: Step(Status.FEASIBLE, 0, 6.0, 2.0, None), start=0.0, least_denominator=1.0
    )
    assert (outcome.status, outcome.value, outcome.bound) == (Status.FEASIBLE, 3.0, None)


@pytest.mark.parametrize("status", [Status.INFEASIBLE, Status.UNBOUNDED])
def test_infeasible_and_unbounded_pass_through(status):
    outcome, _ = maximise_ratio(
        lambda lam: Step(status, None, 0.0, 1.0, None), start=1.0, least_denominator=1.0
    )
    assert (outcome.status, outcome.solution, outcome.bound) == (status, None, None)


def test_a_later_limit_keeps_the_best_bound_so_far():
    """The second solve ends early with a wider bound; the first one's stands."""
    steps = iter([Step(Status.OPTIMAL, "a", 4.0, 2.0, 3.0), Step(Status.FEASIBLE, "b", 3.0, 2.0, 9.0)])
    outcome, trace = maximise_ratio(lambda lam: next(steps), start=0.0, least_denominator=1.0)
    assert (outcome.status, outcome.solution, outcome.value, outcome.bound) == (
        Status.FEASIBLE,
        "a",
        2.0,
        3.0,
    )
    assert trace.solves == 2


@pytest.mark.parametrize("status", [Status.INFEASIBLE, Status.UNBOUNDED])
@pytest.mark.parametrize("bound", [3.0, None])
def test_a_later_solve_that_denies_the_solution_held_proves_nothing(status, bound):
    """What was found before it and its proven bound stand: the set is the same at every trial ratio."""
    steps = iter([Step(Status.OPTIMAL, "a", 4.0, 2.0, bound), Step(status, None, 0.0, 1.0, None)])
    outcome, trace = maximise_ratio(lambda lam: next(steps), start=0.0, least_denominator=1.0)
    assert (outcome.status, outcome.solution, outcome.value, outcome.bound) == (Status.FEASIBLE, "a", 2.0, bound)
    assert trace.solves == 2


@REPEATED
@given(PAIRS, st.lists(st.sampled_from(list(Status)), min_size=1, max_size=4), st.floats(0.0, 1.0))
def test_whatever_the_solves_say_nothing_false_is_proven(pairs, said, share):
    """Statuses in any order: a solution that was held is never lost, and the bound never below the best."""
    fake, turn = Fake(pairs), itertools.cycle(said)

    def solve_at(lam):
        step, status = fake(lam), next(turn)
        found = status in (Status.OPTIMAL, Status.FEASIBLE)
        return step if found else Step(status, None, 0.0, 1.0, step.bound if status is Status.UNKNOWN else None)

    outcome, _ = maximise_ratio(solve_at, start=share * fake.best, least_denominator=fake.least)
    held = said[0] in (Status.OPTIMAL, Status.FEASIBLE)
    assert held == (outcome.solution is not None)
    assert held or outcome.status is said[0]
    if outcome.bound is not None:
        assert outcome.bound >= fake.best * (1 - 1e-12)
    if outcome.status is Status.OPTIMAL:
        assert outcome.value == pytest.approx(fake.best, rel=1e-6)


def test_a_limit_ends_the_search():
    fake = Fake([(4.0, 2.0), (9.0, 3.0)], status=Status.FEASIBLE, slack=1.0)
    assert maximise_ratio(fake, start=0.0, least_denominator=1.0)[0].status is Status.FEASIBLE
    assert fake.trials == [0.0]


def test_most_solves_ends_with_what_is_proven():
    pairs = [(float(k * k), float(k * k * k)) for k in range(1, 40)]
    fake = Fake(pairs)
    outcome, trace = maximise_ratio(fake, start=0.0, least_denominator=1.0, most_solves=2)
    assert trace.solves == 2
    assert outcome.status is Status.FEASIBLE
    assert outcome.value < fake.best <= outcome.bound


@pytest.mark.parametrize("least", [0.0, -1.0, float("nan")])
def test_denominator_must_be_positive(least):
    with pytest.raises(ValueError, match="must be positive"):
        maximise_ratio(Fake([(1.0, 1.0)]), start=0.0, least_denominator=least)


@REPEATED
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_linear_functions_over_integer_boxes(terms, fixed):
    """N = sum n x, D = fixed + sum d x over x in 0..3: the shape of a program's ratio."""
    points = [
        (float(sum(n * x for (n, _, _), x in zip(terms, xs, strict=True))),
         float(fixed + sum(d * x for (_, d, _), x in zip(terms, xs, strict=True))))
        for xs in itertools.product(range(4), repeat=len(terms))
    ]  # fmt: skip
    fake = Fake(points)
    outcome, _ = maximise_ratio(fake, start=0.0, least_denominator=float(fixed))
    assert outcome.value == pytest.approx(fake.best, rel=1e-6, abs=1e-12)
