"""Where the best system changes along one number: an exact upper envelope of systems, by safe bounds.

Each layout's merit is monotone in the number wherever bills and limits, or the times and room of a step, move
alone, so on an interval it lies between its values at the ends; where both move, between the four ways to mix the
ends. Where neither batch nor replicas of a layout change, its merit is one over products, sums and maxima of powers
of the number with positive coefficients (a posynomial): -log merit is convex in log number, so it lies below the
line between two points, and above that line beyond them. An interval on which one system is thus above all others
holds no change; one with two systems, or none that is proven, is halved, with the layouts that can win alone.

A change is a pair of neighbours, two adjacent doubles or two whole numbers, whose best systems differ. Within
`RESOLUTION` of a number (relative) changes are found by halving between the two best systems: two changes nearer
than that can be missed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from codesign.study.line import Line, Sample, merits
from codesign.study.profile import FIRST
from codesign.system.key import SystemKey
from codesign.system.layouts import Floats, Ints

Flags = np.ndarray[Any, np.dtype[np.bool_]]
TIE = 1e-12          # relative; merits this near are equal, and rounding says which is greater
RESOLUTION = 1e-10   # relative
MOST_SAMPLES = 50_000


@dataclass(frozen=True)
class Change:
    """The last value of one best system and the first of the next; None: nothing fits."""

    below: float
    above: float
    before: SystemKey | None
    after: SystemKey | None


@dataclass(frozen=True)
class Found:
    """All changes in order, the best systems at both ends, and intervals on which nothing is proven."""

    low: Sample
    high: Sample
    changes: tuple[Change, ...]
    undecided: tuple[tuple[float, float], ...]
    samples: int  # values of the number that were looked at


@dataclass(frozen=True)
class Shape:
    """What is known of merits along a line: `both`: bills and times move; `convex`: as in the module's
    docstring, between `kinks`."""

    whole: bool
    both: bool
    convex: bool
    kinks: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Interval:
    """Between two samples, with the layouts that can win; `left`, `right`: samples beyond, where there are any."""

    a: Sample
    b: Sample
    codes: Ints | None
    left: Sample | None = None
    right: Sample | None = None


@dataclass
class _Search:
    line: Line
    shape: Shape
    changes: list[Change] = field(default_factory=list)
    undecided: list[tuple[float, float]] = field(default_factory=list)


def envelope(line: Line, low: float, high: float, shape: Shape, *, nearest: str = "") -> Found:
    """Every change on low .. high; `nearest`: only the one nearest to "low", or to "high"."""
    search = _Search(line, shape)
    samples = [line.sample(value) for value in _edges(low, high, shape)]
    parts = [_Interval(a, b, None) for a, b in pairwise(samples)]
    stack = parts if nearest == "high" else parts[::-1]
    while stack and not (nearest and search.changes):
        if line.samples > MOST_SAMPLES:
            search.undecided += [(one.a.value, one.b.value) for one in stack]
            break
        halves = _look(search, stack.pop())
        stack += halves if nearest == "high" else reversed(halves)
    ordered = tuple(sorted(search.changes, key=lambda change: change.below))
    if nearest and ordered:
        ordered = ordered[:1] if nearest == "low" else ordered[-1:]
    return Found(samples[0], samples[-1], ordered, tuple(sorted(search.undecided)), line.samples)


def _edges(low: float, high: float, shape: Shape) -> list[float]:
    """Both ends, and the neighbours at each kink in between, which no interval may contain."""
    found = {low, high}
    for kink in shape.kinks:
        if low < kink < high:
            found |= {math.floor(kink), math.floor(kink) + 1.0} if shape.whole else {
                math.nextafter(kink, low), math.nextafter(kink, high)}  # fmt: skip
    return sorted(value for value in found if low <= value <= high)


def _look(search: _Search, one: _Interval) -> list[_Interval]:
    """Nothing where the interval is settled; its halves otherwise."""
    a, b, whole = one.a, one.b, search.shape.whole
    if _adjacent(a.value, b.value, whole):
        if a.key != b.key:
            search.changes.append(Change(a.value, b.value, a.key, b.key))
        return []
    settled, codes = _open(search, one)
    if settled:
        return []
    winners = [s.winner.code for s in (a, b) if s.winner is not None and s.winner.code is not None]
    codes = np.unique(np.concatenate([codes, np.array(winners, dtype=np.int64)]))
    names = search.line.names(codes)
    if not whole and b.value - a.value <= RESOLUTION * abs(b.value):
        search.changes += _chain(search.line, a, b, names)
        return []
    middle = search.line.sample(_middle(a.value, b.value, whole), names)
    return [_Interval(a, middle, codes, one.left, b), _Interval(middle, b, codes, a, one.right)]


def _open(search: _Search, one: _Interval) -> tuple[bool, Ints]:
    """Whether one system is proven best from end to end, and else the layouts that may be best in between."""
    a, b, line = one.a, one.b, search.line
    profiles = [a.profile, b.profile]
    if search.shape.both:
        profiles += [line.mixed(a, b), line.mixed(b, a)]
    codes = one.codes if one.codes is not None else np.unique(np.concatenate([p.code for p in profiles]))
    every = np.stack([merits(p, codes) for p in profiles])
    least, most = every.min(axis=0), every.max(axis=0)
    rest = 0.0 if line.rest is None else line.rest.merit
    floor = max(float(least.max(initial=0.0)), rest)
    can = (most > 0) & (most >= floor * (1 - TIE))
    if a.winner is None or a.key != b.key:
        return a.key == b.key and not can.any(), codes[can]
    above, own = rest, codes == a.winner.code
    if a.winner.code is not None:
        steady = search.shape.convex and _steady(codes[own], a, b)[0]
        above = min(a.winner.merit, b.winner.merit) if steady and b.winner else float(least[own][0])  # convex: no dip
    can &= ~own & (most >= above * (1 - TIE))
    rivals = codes[can]
    rivals = rivals[(most[can] > above) | ~_after(one, rivals)]
    rivals = rivals[~_equal(one, rivals)]
    if len(rivals) and search.shape.convex:
        rivals = rivals[~_below(one, rivals, -math.log(above))]
    return len(rivals) == 0 and rest <= above, rivals


def _steady(codes: Ints, *samples: Sample) -> Flags:
    """Layouts with the same replicas and batch at all samples, hence in between: both only rise or only fall."""
    first = samples[0].states(codes)
    found: Flags = np.logical_and.reduce([(first == s.states(codes)).all(axis=0) for s in samples[1:]])
    return found


def _after(one: _Interval, codes: Ints) -> Flags:
    """Layouts that the best system of both ends goes before where they are equal."""
    places = [s.winner.place for s in (one.a, one.b) if s.winner is not None]
    if any(place // FIRST != 1 for place in places):
        return np.zeros(len(codes), dtype=bool)
    found: Flags = np.minimum(one.a.orders(codes), one.b.orders(codes)) > max(places) - FIRST
    return found


def _equal(one: _Interval, codes: Ints) -> Flags:
    """Layouts that are steady and as good as the best system wherever we look: rounding alone orders them."""
    beyond = one.left or one.right
    if beyond is None:
        return np.zeros(len(codes), dtype=bool)
    equal = _steady(codes, one.a, one.b, beyond)
    for sample in (one.a, one.b, beyond):
        best = 0.0 if sample.winner is None else sample.winner.merit
        equal &= np.abs(sample.merits(codes) - best) <= 2 * TIE * best
    return equal


def _below(one: _Interval, codes: Ints, ceiling: float) -> Flags:
    """Layouts proven below the best system of both ends by convexity; `ceiling` is above its -log merit."""
    a, b, below = one.a, one.b, np.zeros(len(codes), dtype=bool)
    if a.value <= 0 or a.winner is None or b.winner is None:
        return below
    ends = [ceiling, ceiling]
    if a.winner.code is not None and _steady(np.array([a.winner.code]), a, b)[0]:
        ends = [-math.log(a.winner.merit), -math.log(b.winner.merit)]
    for beyond, near, far, (at_near, at_far) in ((one.right, b, a, ends[::-1]), (one.left, a, b, ends)):
        if beyond is None or beyond.value <= 0:
            continue
        height = _height(near, codes)
        with np.errstate(invalid="ignore"):
            slope = (_height(beyond, codes) - height) / math.log(beyond.value / near.value)
            reached = height + slope * math.log(far.value / near.value)
        known = _steady(codes, a, b, beyond)
        below |= known & (height >= at_near + TIE) & (reached >= at_far + TIE)
    return below


def _height(sample: Sample, codes: Ints) -> Floats:
    """-log merit of each layout; infinite where it is not feasible."""
    with np.errstate(divide="ignore"):
        found: Floats = -np.log(sample.merits(codes))
    return found


def _adjacent(a: float, b: float, whole: bool) -> bool:
    return b - a <= 1 if whole else math.nextafter(a, b) == b


def _middle(a: float, b: float, whole: bool) -> float:
    if whole:
        return float((int(a) + int(b)) // 2)
    middle = math.sqrt(a * b) if a > 0 and b > 4 * a else a + (b - a) / 2
    return min(max(middle, math.nextafter(a, b)), math.nextafter(b, a))


def _chain(line: Line, a: Sample, b: Sample, names: frozenset[str]) -> Iterator[Change]:
    """The changes from the best system at `a` to that at `b`, by halving."""
    while a.key != b.key:
        low, high = a, b
        while not _adjacent(low.value, high.value, False):
            middle = line.sample(_middle(low.value, high.value, False), names)
            low, high = (middle, high) if middle.key == a.key else (low, middle)
        yield Change(low.value, high.value, low.key, high.key)
        a = high


def scan(line: Line, low: int, high: int) -> Found:
    """Every change on the whole numbers low .. high, each looked at: for numbers in which merits go up and down."""
    samples = [line.sample(float(value)) for value in range(low, high + 1)]
    changes = tuple(Change(a.value, b.value, a.key, b.key)
                    for a, b in pairwise(samples) if a.key != b.key)  # fmt: skip
    return Found(samples[0], samples[-1], changes, (), line.samples)
