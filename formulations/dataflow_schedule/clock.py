"""How much of its time a search of `dataflow_schedule` has used: parts of it end early so that later ones have some."""

import math
import time


class Clock:
    """Seconds from now on; infinite: never late, and no clock is read."""

    def __init__(self, limit_s: float = math.inf) -> None:
        self.limit_s = limit_s
        self._start = time.monotonic() if self.limited else 0.0

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return not math.isinf(self.limit_s)

    def late(self, share: float = 1.0) -> bool:
        """Whether this share of the time is used up; with no time at all it is so at once."""
        return self.limited and time.monotonic() - self._start >= share * self.limit_s

    def left_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._start + self.limit_s - time.monotonic()) if self.limited else math.inf
