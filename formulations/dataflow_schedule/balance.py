"""CTAs of one pipeline of `dataflow_schedule`, and into how many parts its sums are split: least time, exact.

CTAs go one by one to the slowest stage: no balance is faster unless that stage has one more, so the first one
that cannot be given proves the rest.

Splits. More parts let a stage have more CTAs, and take longer to add when the last tile has passed: they weigh
steady state against fill. With a fill of F at most, every split stage has the most CTAs that it may have then, and
the balance gives the least steady state T(F). As F grows T falls only where all slowest stages may have more, so
after F comes the least fill that lets them. Nor is a fill tried that leaves some stage too few CTAs to beat the
best time known.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Need = tuple[float, bool, int, int]  # CTA-seconds, tensor, most CTAs, entries of the ring of each
EQUAL = 1e-12  # relative: rounding of sums and quotients


@dataclass(frozen=True)
class Splits:
    """Of one stage: s until its last tile has passed, and (most CTAs, s to add the parts), ascending in both."""

    through_s: float
    steps: tuple[tuple[int, float], ...]

    def fill_s(self, ctas: int) -> float:
        """Seconds to fill and to add with so many CTAs; infinite: no step allows them."""
        return next((self.through_s + adding for most, adding in self.steps if most >= ctas), math.inf)

    def most(self, filled: float) -> int:
        """CTAs at most where the fill may take so many seconds."""
        return max(most for most, adding in self.steps if self.through_s + adding <= filled * (1 + EQUAL))


def least_time(
    stages: Sequence[Need], splits: Mapping[int, Splits], sms: int, room: int, *,
    floor: float, filled: float, limit: float,
) -> tuple[float, float, list[int]] | None:  # fmt: skip
    """Steady state (s, `floor` at least), fill (s) and CTAs with the least sum; None: none is below `limit` s.

    `splits` by position of the stage; `room`: entries of rings; `filled`: s to fill with the first step of each.
    """
    best, least = None, filled
    while floor + filled < limit:
        target = limit - filled
        needed = max((own.fill_s(fewest(stages[i][0], target)) for i, own in splits.items()), default=filled)
        if needed > filled:
            filled = needed
            continue
        allowed = _allowed(stages, splits, filled)
        found = balance(allowed, sms, room, floor) if within(allowed, sms, target) else None
        if found is None:
            return best
        time, ctas = found
        own = max([least, *(each.fill_s(ctas[i]) for i, each in splits.items())])
        if max(time, floor) + own < limit:
            best = max(time, floor), own, ctas
            limit = best[0] + own
        after = _next(stages, splits, ctas, time)
        if time <= floor or after <= filled:
            return best
        filled = after
    return best


def _next(stages: Sequence[Need], splits: Mapping[int, Splits], ctas: Sequence[int], time: float) -> float:
    """Least fill (s) with which all stages that take so long may have more CTAs; infinite: one never may."""
    after = 0.0
    for i, (effort, _, most, _) in enumerate(stages):
        if effort / ctas[i] >= time * (1 - EQUAL):
            after = max(after, math.inf if ctas[i] == most else splits[i].fill_s(ctas[i] + 1) if i in splits else 0.0)
    return after


def _allowed(stages: Sequence[Need], splits: Mapping[int, Splits], filled: float) -> Sequence[Need]:
    """The stages with the CTAs that they may have where the fill takes so many seconds."""
    if not splits:
        return stages
    return [(effort, tensor, min(most, splits[i].most(filled)) if i in splits else most, ring)
            for i, (effort, tensor, most, ring) in enumerate(stages)]  # fmt: skip


def fewest(effort: float, target: float) -> int:
    """CTAs that a stage has at least where it takes `target` s at most."""
    return max(1, math.ceil(effort / target * (1 - EQUAL)))


def within(stages: Sequence[Need], sms: int, target: float) -> bool:
    """Whether the SMs might do with the CTAs that each stage needs for less than `target` seconds; rings aside."""
    used = [0, 0]
    for effort, tensor, _, _ in stages:
        used[tensor] += fewest(effort, target)
    return max(used) <= sms


def balance(stages: Sequence[Need], sms: int, room: int, floor: float) -> tuple[float, list[int]] | None:
    """Least time of the slowest stage, or any that is no more than `floor`, and the CTAs; None: they do not fit."""
    used, owned = [0, 0], 0
    for _, tensor, _, ring in stages:
        used[tensor] += 1
        owned += ring
    if max(used) > sms or owned > room:
        return None
    ctas = _start(stages, sms, room, used, floor)
    used, owned = [0, 0], 0
    for (_, tensor, _, ring), a in zip(stages, ctas, strict=True):
        used[tensor] += a
        owned += a * ring
    slowest = [(-stage[0] / a, i) for i, (stage, a) in enumerate(zip(stages, ctas, strict=True))]
    heapq.heapify(slowest)
    while True:
        time, i = slowest[0]
        effort, tensor, most, ring = stages[i]
        if -time <= floor or ctas[i] == most or used[tensor] == sms or owned + ring > room:
            return -time, ctas
        ctas[i] += 1
        used[tensor] += 1
        owned += ring
        heapq.heapreplace(slowest, (-effort / ctas[i], i))


def _start(stages: Sequence[Need], sms: int, room: int, count: list[int], floor: float) -> list[int]:
    """No more CTAs than the best balance has: those of a slower one that fits, or one each."""
    sums, target = [0.0, 0.0], floor
    for effort, tensor, most, _ in stages:
        sums[tensor] += effort
        target = max(target, effort / most)
    target = max([target, *(total / (sms - n) for total, n in zip(sums, count, strict=True) if n < sms)])
    if target <= 0:
        return [1] * len(stages)
    used, owned, ctas = [0, 0], 0, []
    for effort, tensor, most, ring in stages:
        a = min(int(effort / target), most - 1)  # at least one less than enough: rounding of the division does no harm
        used[tensor] += a + 1
        owned += (a + 1) * ring
        ctas.append(max(a, 1))
    return ctas if max(used) <= sms and owned <= room else [1] * len(stages)
