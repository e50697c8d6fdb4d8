"""Seconds of a collective by link, group and message size: fitted constants, or a user's own measurements.

A message's size is the bytes of the whole tensor as one chip of the group sees it:

all_reduce      the tensor that each chip holds, before and after
all_gather      the gathered tensor that each chip holds afterwards
reduce_scatter  the tensor that each chip holds before
alltoall        all that one chip sends, its own part included: tokens x bytes of a token x chips that it goes to
                (dispatch and combine of a mixture of experts: one alltoall each)

No single line fits: small messages wait for start-up, between 128 KB and 16 MB libraries change algorithm. So a
curve of four to six knots stands for each link, operation and group. It is of the fastest implementation at each
size, since engines choose so: their own all-reduce kernels win where messages are small, NCCL where they are large.

    inside a scale-up domain   the curve of the group; between two measured groups linear in log2(group); beyond the
                               largest, GROWTH more for each doubling
    across domains             inside part + ceil(log2 domains) * step latency + crossing bytes / scale-out bandwidth
                               (all-reduce steps twice); no overlap, so over 100 MB up to a third too long

A link stands in for one that nobody measured (`like` in its file). The bandwidth of the chip asked about against that
of the chips measured stretches the size axis: start-up stays, bytes a second scale. Times never fall with size or
group: a short message can travel as a longer one, and a group that measured faster than a smaller one takes its time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import pairwise
from typing import Any

import numpy as np

from codesign.facts.collective_table import Collective
from codesign.facts.link_records import OPS
from codesign.facts.memo import by_identity
from codesign.physics.hardware import Chip, Link

Array = np.ndarray[Any, np.dtype[np.float64]]
Join = Callable[[Array, Array], Array]

GROWTH = 0.10      # a doubling from 2 to 8 chips adds 9 to 12 % on B200; from 8 to 72 of a rack 8.5 % each, at 512 MB
FARTHEST = 1e18    # B; curves that meet beyond are joined up to here
TWICE = {"all_reduce": 2}  # an all-reduce crosses domains twice: reduce there, gather back


@dataclass(frozen=True)
class Curve:
    """Seconds over message bytes: linear between knots, constant below the first, the last slope beyond the last."""

    nbytes: tuple[float, ...]
    value_s: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_knots(self.nbytes, self.value_s)

    def seconds(self, nbytes: Any) -> Array:
        """Seconds of messages of `nbytes`, an array or a number."""
        x, at, y = np.asarray(nbytes, dtype=np.float64), np.array(self.nbytes), np.array(self.value_s)
        slope = 0.0 if len(at) == 1 else (y[-1] - y[-2]) / (at[-1] - at[-2])
        found: Array = np.interp(x, at, y) + np.maximum(x - at[-1], 0.0) * slope
        return found

    def stretched(self, factor: float) -> "Curve":
        """The curve of a link `factor` times as wide: the same start-up, more bytes in the same time."""
        return Curve(tuple(x * factor for x in self.nbytes), self.value_s)

    def times(self, factor: float) -> "Curve":
        """Every time multiplied."""
        return Curve(self.nbytes, tuple(y * factor for y in self.value_s))


def _check_knots(nbytes: tuple[float, ...], seconds: tuple[float, ...]) -> None:
    if not nbytes or len(nbytes) != len(seconds):
        raise ValueError(f"{len(nbytes)} sizes and {len(seconds)} times: give as many of one as of the other")
    if not all(math.isfinite(x) for x in (*nbytes, *seconds)):
        raise ValueError("sizes and times must be finite")
    if nbytes[0] <= 0 or any(a >= b for a, b in pairwise(nbytes)):
        raise ValueError(f"nbytes = {nbytes}: must be positive and rise")
    if seconds[0] < 0 or any(a > b for a, b in pairwise(seconds)):
        raise ValueError(f"seconds = {seconds}: must not be negative or fall")


NOTHING = Curve((1.0,), (0.0,))


@by_identity(4096)
def curve(chip: Chip, op: str, group: int) -> Curve:
    """Seconds of `op` over `group` chips of this kind by message size; zero for one chip.

    Raises ValueError for an unknown op, a group below 1, and a number or link that the chip lacks.
    """
    if op not in OPS:
        raise ValueError(f"op = {op!r}: must be one of {', '.join(OPS)}")
    if group < 1:
        raise ValueError(f"group = {group}: must be at least 1")
    fabric = Fabric(chip.name, chip.scale_up, chip.scale_up_bandwidth, chip.domain, chip.scale_out,
                    chip.scale_out_bandwidth)  # fmt: skip
    return _curve(fabric, op, group)


@dataclass(frozen=True)
class Fabric:
    """What joins chips of one kind: of a `Chip` what collectives depend on."""

    name: str
    scale_up: Link | None
    scale_up_bandwidth: float | None
    domain: int | None
    scale_out: Link | None
    scale_out_bandwidth: float | None

    def number(self, name: str) -> float:
        """A bandwidth; ValueError where nobody publishes it."""
        value: float | None = getattr(self, name)
        if value is None:
            raise ValueError(f"{self.name} has no {name}")
        return value


@lru_cache(maxsize=4096)
def _curve(fabric: Fabric, op: str, group: int) -> Curve:
    if group == 1:
        return NOTHING
    if fabric.domain is None or group <= fabric.domain:
        return _inside(fabric, op, group)
    return _across(fabric, op, group)


def _inside(chip: Fabric, op: str, group: int) -> Curve:
    """Over chips of one scale-up domain."""
    if group == 1:
        return NOTHING
    if chip.scale_up is None:
        raise ValueError(f"{chip.name} has no scale_up link")
    found = _of_op(chip.scale_up, op)
    if not found:
        raise ValueError(f"{chip.scale_up.name} has no collectives of {op}, and none of a link like it")
    return _at_group(found, group, chip.number("scale_up_bandwidth"))


def _of_op(link: Link, op: str) -> list[Collective]:
    return sorted((one for one in link.collectives if one.op == op), key=lambda one: one.group)


def _at_group(found: list[Collective], group: int, bandwidth: float) -> Curve:
    """The curve at a group: measured, or between or beyond those measured; never below a smaller group's."""
    known = [Curve(x.nbytes, x.seconds).stretched(1.0 if x.bandwidth is None else bandwidth / x.bandwidth)
             for x in found]  # fmt: skip
    groups = [x.group for x in found]
    upto = sum(g <= group for g in groups)
    below = reduce(upper, known[:upto]) if upto else None
    if below is None:  # the nearest group at least as large
        return known[0]
    if groups[upto - 1] == group:
        return below
    if upto == len(groups):
        return below.times(1 + GROWTH * math.log2(group / groups[-1]))
    weight = math.log2(group / groups[upto - 1]) / math.log2(groups[upto] / groups[upto - 1])
    return plus(below.times(1 - weight), upper(below, known[upto]).times(weight))


def _across(chip: Fabric, op: str, group: int) -> Curve:
    """Over several domains, all chips of each: what it takes inside, then one message of each chip outside."""
    if chip.scale_out is None:
        raise ValueError(f"{chip.name} has no scale_out link, and {group} chips exceed its domain of {chip.domain}")
    local = chip.domain or 1
    domains = math.ceil(group / local)
    inside = _inside(chip, op, local)
    measured = [one for one in _of_op(chip.scale_out, op) if one.group > local]
    if measured:  # whole collectives over several domains
        return upper(inside, _at_group(measured, group, chip.number("scale_out_bandwidth")))
    if op == "all_reduce":  # reduce-scatter inside, all-reduce across, all-gather inside
        inside = upper(inside, plus(_inside(chip, "reduce_scatter", local), _inside(chip, "all_gather", local)))
    steps = TWICE.get(op, 1)
    share = 1.0 if op == "alltoall" else 1 / local
    crossing = steps * share * (domains - 1) / domains / chip.number("scale_out_bandwidth")
    startup_s = steps * math.ceil(math.log2(domains)) * chip.scale_out.limit[-1][1]
    return plus(inside, Curve((1.0, 2.0), (startup_s + crossing, startup_s + 2 * crossing)))


def basis(chip: Chip, op: str, group: int) -> str:
    """Where the times of `curve` are from: measured, or derived and from what."""
    if group == 1:
        return "one chip alone"
    across = chip.domain is not None and group > chip.domain
    local = (chip.domain or 1) if across else group
    inside = "" if local == 1 or chip.scale_up is None else _basis_of(_of_op(chip.scale_up, op), local)
    if not across or chip.scale_out is None:
        return inside
    measured = [one for one in _of_op(chip.scale_out, op) if one.group > local]
    if measured:
        return _basis_of(measured, group)
    return f"derived: {chip.scale_out.name} between domains by start-up and bandwidth" + (inside and f"; {inside}")


def _basis_of(found: list[Collective], group: int) -> str:
    """The basis of the measured group that is nearest at least as large, or the largest."""
    nearest = next((one for one in found if one.group >= group), found[-1])
    return ("" if nearest.group == group else f"derived from {nearest.group} chips: ") + nearest.basis


def plus(one: Curve, other: Curve) -> Curve:
    """The sum of two curves, exactly: one after the other."""
    at = np.union1d(one.nbytes, other.nbytes)
    return _through(at, one.seconds(at) + other.seconds(at))


def upper(one: Curve, other: Curve) -> Curve:
    """The larger of two curves at each size, exactly."""
    return _joined(one, other, np.maximum)


def lower(one: Curve, other: Curve) -> Curve:
    """The smaller of two curves at each size, exactly."""
    return _joined(one, other, np.minimum)


def _joined(one: Curve, other: Curve, join: Join) -> Curve:
    """Knots of both, where they cross, and one beyond, so that the last slope is that of the one joined."""
    at = np.union1d(one.nbytes, other.nbytes)
    at = np.append(at, 2 * at[-1])
    gap = one.seconds(at) - other.seconds(at)
    cross = np.flatnonzero(gap[:-1] * gap[1:] < 0)
    meet = at[cross] + (at[cross + 1] - at[cross]) * gap[cross] / (gap[cross] - gap[cross + 1])
    closing = gap[-2] - gap[-1]
    if gap[-1] * closing > 0:  # they meet beyond
        meet = np.append(meet, min(at[-1] + gap[-1] / closing * (at[-1] - at[-2]), FARTHEST))
    at = np.union1d(at, meet)
    at = np.append(at, 2 * at[-1])
    return _through(at, join(one.seconds(at), other.seconds(at)))


def _through(at: Array, seconds: Array) -> Curve:
    """The curve through knots; rounding must not let it fall."""
    return Curve(tuple(at.tolist()), tuple(np.maximum.accumulate(seconds).tolist()))


def fit_curve(nbytes: Any, seconds: Any, knots: int = 5) -> Curve:
    """The curve of at most `knots` knots that is nearest to measured times, by its largest relative error.

    Knots lie on measured sizes: of all, the one whose loss adds least error goes until `knots` are left (the
    largest size stays); then their times are moved until the largest errors balance. Several times of one size
    count as the middle of their range, and a longer message's time bounds a shorter one's. Deterministic.
    """
    at, target = _targets(np.asarray(nbytes, dtype=np.float64), np.asarray(seconds, dtype=np.float64))
    if knots < 1:
        raise ValueError(f"knots = {knots}: must be at least 1")
    kept = np.arange(len(at))
    while len(kept) > knots:
        without = [np.delete(kept, i) for i in range(len(kept) - 1)]
        kept = min(without, key=lambda left: np.abs(np.log(np.interp(at, at[left], target[left]) / target)).max())
    return _through(at[kept], _balanced(at, target, at[kept]))


def fit_errors(fitted: Curve, nbytes: Any, seconds: Any) -> tuple[float, float]:
    """Median and largest relative error of a curve against measured times."""
    errors = np.abs(fitted.seconds(nbytes) / np.asarray(seconds, dtype=np.float64) - 1)
    return float(np.median(errors)), float(errors.max())


def _targets(nbytes: Array, seconds: Array) -> tuple[Array, Array]:
    """Sizes in order and one time for each, never falling."""
    if nbytes.ndim != 1 or nbytes.shape != seconds.shape or not len(nbytes):
        raise ValueError(f"{nbytes.shape} sizes and {seconds.shape} times: give as many of one as of the other")
    if not (np.isfinite(nbytes).all() and np.isfinite(seconds).all() and (nbytes > 0).all() and (seconds > 0).all()):
        raise ValueError("sizes and times must be positive and finite")
    at = np.unique(nbytes)
    middle = np.array([math.sqrt(seconds[nbytes == x].min() * seconds[nbytes == x].max()) for x in at])
    return at, never_falling(middle)


def never_falling(seconds: Array) -> Array:
    """Times in order of size, each at most that of every longer message: a short one can travel as a longer one."""
    rising: Array = np.minimum.accumulate(seconds[::-1])[::-1]
    return rising


def _balanced(at: Array, target: Array, knots: Array, rounds: int = 300) -> Array:
    """Times at the knots with the least largest relative error: Lawson's weights, larger where the error is."""
    hats = np.stack([np.interp(at, knots, row) for row in np.eye(len(knots))], axis=1) / target[:, None]
    weights, best, least = np.ones(len(at)), target[np.searchsorted(at, knots)], math.inf
    for _ in range(rounds):
        root = np.sqrt(weights)
        times = np.maximum.accumulate(np.linalg.lstsq(hats * root[:, None], root, rcond=None)[0])
        errors = np.abs(hats @ times - 1)
        if errors.max() < least and times[0] > 0:
            best, least = times, float(errors.max())
        if least < 1e-12:
            break
        weights = np.maximum(weights * errors / (weights * errors).sum(), 1e-12)
    return best
