"""When to stop: made once at the start of a question, passed down, and asked how much time is left."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


class OutOfTime(Exception):
    """The deadline passed in the middle of something that proves nothing unless it ends."""


@dataclass(frozen=True)
class Deadline:
    """A reading of a clock that runs the same in every process of a machine; without one there is no end."""

    at: float = math.inf  # s
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        """So many seconds from now; None: never."""
        return cls() if seconds is None else cls(clock() + seconds, clock)

    @classmethod
    def since(cls, start: float, seconds: float | None) -> "Deadline":
        """So many seconds after a reading of `time.monotonic`; None: never."""
        return cls() if seconds is None else cls(start + seconds)

    @property
    def left_s(self) -> float:
        """Seconds that are left, at least 0."""
        return math.inf if math.isinf(self.at) else max(self.at - self.clock(), 0.0)

    def sooner(self, share: float) -> "Deadline":
        """The end of a share of the time that is left."""
        return self if math.isinf(self.at) else Deadline(self.clock() + share * self.left_s, self.clock)

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.left_s <= 0

    def check(self) -> None:
        """Raises OutOfTime where no time is left."""
        if self.passed:
            raise OutOfTime


NEVER = Deadline()
