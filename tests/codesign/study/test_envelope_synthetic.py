"""The envelope of made-up systems whose merits are known functions: every change found, wherever two curves cross."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.study.envelope import Change, Shape, envelope
from codesign.study.line import Sample, Winner
from codesign.study.profile import CHIP_SHIFT, FIRST, Profile
from codesign.system.key import SystemKey

LOW, HIGH = 1.0, 8.0


def key(i: int) -> SystemKey:
    return SystemKey(chip=f"chip{i}", memory="hbm", stacks=1, tensor=1, pipeline=1, expert=1, weights="fp8", kv="fp8",
                     replicas=1)


@dataclass
class Made:
    """Stands for a `Line`: system i has the merit 1 / (a x + b / x + c), and none beyond its `end`."""

    curves: list[tuple[float, float, float, float]]
    rest: Winner | None = None
    samples: int = 0
    looked_at: list[float] = field(default_factory=list)

    def cost(self, i: int, x: float) -> float:
        a, b, c, end = self.curves[i]
        return a * x + b / x + c if x <= end else math.inf

    def sample(self, value: float, only: frozenset[str] | None = None) -> Sample:
        self.samples += 1
        self.looked_at.append(value)
        some = [i for i in range(len(self.curves)) if only is None or f"chip{i}" in only]
        some = [i for i in some if math.isfinite(self.cost(i, value))]
        merit = np.array([1 / self.cost(i, value) for i in some])
        ones, codes = np.ones(len(some), dtype=np.int64), np.array([i << CHIP_SHIFT for i in some], dtype=np.int64)
        profile = Profile(codes, merit, ones, ones, FIRST + np.array(some, dtype=np.int64), ones)
        best = profile.best()
        winner = self.rest if best is None else Winner(
            key(some[best]), float(merit[best]), int(codes[best]), int(profile.place[best]))  # fmt: skip
        if self.rest is not None and winner is not None and self.rest.merit > winner.merit:
            winner = self.rest
        return Sample(value, None, profile, winner)  # type: ignore[arg-type]  # no case behind a made-up system

    def mixed(self, times: Sample, money: Sample) -> Profile:
        """The costs as if x were one end in a x and the other in b / x: a bound on one side, then on the other."""
        low, high = (times.value, money.value) if times.value < money.value else (money.value, times.value)
        cheap = times.value < money.value
        some = [i for i, (*_, end) in enumerate(self.curves) if (low if cheap else high) <= end]
        costs = [a * (low if cheap else high) + b / (high if cheap else low) + c for a, b, c, _ in self.curves]
        ones = np.ones(len(some), dtype=np.int64)
        return Profile(np.array(some, dtype=np.int64) << CHIP_SHIFT, np.array([1 / costs[i] for i in some]), ones, ones,
                       FIRST + np.array(some, dtype=np.int64), ones)  # fmt: skip

    def names(self, codes: np.ndarray) -> frozenset[str]:
        return frozenset(f"chip{code >> CHIP_SHIFT}" for code in codes.tolist())


def found(line: Made) -> tuple[Change, ...]:
    return envelope(line, LOW, HIGH, Shape(whole=False, both=True, convex=True)).changes  # type: ignore[arg-type]


def test_a_system_that_is_best_only_in_the_middle_is_found():
    line = Made([(0.0, 0.0, 5.0, math.inf), (1.0, 5.2, 0.4, math.inf)])  # dips below 5 between 1.64 and 3.2 alone
    roots = np.sort(np.roots([1.0, -4.6, 5.2]).real)
    changes = found(line)
    assert [(c.before, c.after) for c in changes] == [(key(0), key(1)), (key(1), key(0))]
    assert [c.above for c in changes] == pytest.approx(roots, rel=1e-12)
    assert all(math.nextafter(c.below, math.inf) == c.above for c in changes)
    assert line.samples < 500


def test_the_rest_is_a_system_too():
    line = Made([(1.0, 5.2, 0.4, math.inf)], rest=Winner(key(9), 1 / 5.0, None, FIRST))
    assert [(c.before, c.after) for c in found(line)] == [(key(9), key(0)), (key(0), key(9))]


def test_a_system_that_ends_leaves_the_next_or_nothing():
    changes = found(Made([(0.0, 0.0, 1.0, 3.0), (0.0, 0.0, 2.0, 5.0)]))
    assert [(c.below, c.before, c.after) for c in changes] == [(3.0, key(0), key(1)), (5.0, key(1), None)]


def test_equal_systems_are_not_told_apart():
    line = Made([(1.0, 2.0, 0.5, math.inf), (1.0, 2.0, 0.5, math.inf)])
    assert found(line) == ()
    assert line.samples < 50


NUMBERS = st.integers(0, 12).map(lambda n: n / 4)
CURVES = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS.map(lambda c: c + 0.25), st.sampled_from([3.3, 5.7, math.inf])),
                  min_size=2, max_size=6)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=25)
@given(CURVES)
def test_the_envelope_is_that_of_a_dense_scan(curves: list[tuple[float, float, float, float]]):
    line = Made(curves)
    changes = found(line)
    systems = [line.sample(LOW).key, *(c.after for c in changes)]
    ends = [LOW, *(c.above for c in changes), math.inf]
    for x in np.linspace(LOW, HIGH, 701).tolist():
        costs = [line.cost(i, x) for i in range(len(curves))]
        best = min(costs)
        (system,) = [s for s, low, high in zip(systems, ends, ends[1:], strict=False) if low <= x < high]
        if math.isinf(best):
            assert system is None
        else:
            assert system is not None
            assert costs[int(system.chip[4:])] <= best * (1 + 1e-11)
