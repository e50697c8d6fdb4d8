"""One number moved alone (or several by one factor): the best of every layout at each of its values.

Chips that the number does not touch have one best system at every value, the `rest`.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from codesign.study.profile import CHIP_SHIFT, FIRST, Profile
from codesign.study.query_study import Case, Warm, narrowed
from codesign.system.key import SystemKey
from codesign.system.layouts import Floats, Ints


@dataclass(frozen=True)
class Winner:
    """The best system at one value: its merit, its code (None: of the rest), its place among equals."""

    key: SystemKey
    merit: float
    code: int | None
    place: int


@dataclass(frozen=True)
class Sample:
    """The layouts of some touched chips at one value of the number, and the best system of all."""

    value: float
    case: Case
    profile: Profile
    winner: Winner | None

    @property
    def key(self) -> SystemKey | None:
        """The best system; None: nothing fits."""
        return None if self.winner is None else self.winner.key

    def merits(self, codes: Ints) -> Floats:
        """Merit of the layouts with these codes; 0 where one is not feasible."""
        return merits(self.profile, codes)

    def orders(self, codes: Ints) -> Ints:
        """Order of the layouts among equals with as many replicas as the limits allow; the last where not feasible."""
        at, here = _where(self.profile, codes)
        places = self.profile.place[at] if len(self.profile) else np.zeros(len(codes), dtype=np.int64)
        return np.where(here, places & (FIRST - 1), FIRST)

    def states(self, codes: Ints) -> Ints:
        """Replicas and batch of each, as rows; -1 where one is not feasible."""
        at, here = _where(self.profile, codes)
        both = np.stack([self.profile.replicas[at], self.profile.batch[at]]) if len(self.profile) else np.zeros(
            (2, len(codes)), dtype=np.int64)  # fmt: skip
        return np.where(here, both, -1)


def merits(profile: Profile, codes: Ints) -> Floats:
    """Merit of the layouts with these codes; 0 where one is not feasible."""
    at, here = _where(profile, codes)
    return np.where(here, profile.merit[at], 0.0) if len(profile) else np.zeros(len(codes))


def _where(profile: Profile, codes: Ints) -> tuple[Ints, Ints]:
    at = np.minimum(np.searchsorted(profile.code, codes), max(len(profile) - 1, 0))
    return at, profile.code[at] == codes if len(profile) else np.zeros(len(codes), dtype=bool)


class Line:
    """A warm query along one or several numbers: the value of the first, the others in proportion."""

    def __init__(self, warm: Warm, today: dict[str, float]) -> None:
        self.warm, self.today = warm, today
        self.first = next(iter(today.values()))
        self._untouched = frozenset(offer.chip.name for offer in warm.supply.offers) - warm.touched(today)
        if self._untouched not in warm.rests:  # many numbers touch the same chips
            warm.rests[self._untouched] = self._best_of(self._untouched)
        self.rest: Winner | None = warm.rests[self._untouched]
        self.samples = 0
        self._known: dict[float, Sample] = {}  # of the few values at which every chip is looked at

    def changes(self, value: float) -> dict[str, float]:
        """Every number at this value of the first."""
        first, *others = self.today
        return {first: value} | {path: self.today[path] * (value / self.first) for path in others}

    def _best_of(self, names: Collection[str]) -> Winner | None:
        """The best of chips that the number does not touch."""
        if not names:
            return None
        case = self.warm.case({}, names)
        profile = self.warm.profile(case)
        best = profile.best()
        return None if best is None else self._winner(case, profile, best, rest=True)

    def _winner(self, case: Case, profile: Profile, best: int, *, rest: bool) -> Winner:
        return Winner(self.warm.system(case, profile, best), float(profile.merit[best]),
                      None if rest else int(profile.code[best]), int(profile.place[best]))  # fmt: skip

    def sample(self, value: float, only: Collection[str] | None = None) -> Sample:
        """The query at this value; `only`: no other touched chip needs to be looked at."""
        if only is None and value in self._known:
            return self._known[value]
        self.samples += 1
        changes = self.changes(value)
        case = self.warm.case(changes, only, without=self._untouched)
        profile = self.warm.profile(case)
        found = Sample(value, case, profile, self._best(case, profile))
        if only is None:
            self._known[value] = found
        return found

    def _best(self, case: Case, profile: Profile) -> Winner | None:
        best = profile.best()
        if best is None:
            return self.rest
        mine = self._winner(case, profile, best, rest=False)
        if self.rest is None or (mine.merit, -mine.place) > (self.rest.merit, -self.rest.place):
            return mine
        return self.rest

    def mixed(self, times: Sample, money: Sample) -> Profile:
        """The layouts timed as in one sample, with limits and bills of another; chips that both look at."""
        both = {offer.chip.name for offer in times.case.offers} & {offer.chip.name for offer in money.case.offers}
        return self.warm.profile(narrowed(times.case, both), narrowed(money.case, both))

    def names(self, codes: Ints) -> frozenset[str]:
        """Names of the chips of layouts."""
        known = {number: name for name, number in self.warm.known_numbers().items()}
        return frozenset(known[number] for number in np.unique(codes >> CHIP_SHIFT).tolist())
