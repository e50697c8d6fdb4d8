"""Measured runs as arrays, and what is predicted of them by a fit that has not seen their group."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.physics.achieved import Rows

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Measured:
    """Rows with what was measured; `ttft_s` is NaN where it was not."""

    rows: Rows
    tpot_s: Array
    ttft_s: Array

    def only(self, at: Any) -> "Measured":
        """The runs at positions (or under the mask) `at`."""
        return Measured(self.rows.only(at), self.tpot_s[at], self.ttft_s[at])


@dataclass(frozen=True)
class LeftOut:
    """Predictions of every run by constants fitted without its group; ratio is measured over predicted."""

    groups: tuple[str, ...]   # of each run, the group that it was left out with
    tpot_ratio: Array
    ttft_ratio: Array

    def errors(self) -> dict[str, float]:
        """Median and mean absolute percentage errors, as fractions."""
        step, first = np.abs(1 / self.tpot_ratio - 1), np.abs(1 / self.ttft_ratio - 1)
        first = first[np.isfinite(first)] if np.isfinite(first).any() else np.array([np.nan])
        return {"tpot_median": float(np.median(step)), "tpot_mean": float(np.mean(step)),
                "ttft_median": float(np.median(first)), "ttft_mean": float(np.mean(first))}  # fmt: skip
