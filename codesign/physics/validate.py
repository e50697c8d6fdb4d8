"""How wrong are the predictions on these measured runs?"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.cells import csv_text
from codesign.facts.errors import DataError
from codesign.physics import achieved, prediction
from codesign.physics.bands import ordering
from codesign.physics.measured import Refused, Run

HEADER = ("split", "group", "rows", "predicted", "tpot_median", "tpot_mean", "tpot_p90", "tpot_bias", "ttft_median",
          "ttft_mean", "ttft_p90", "ttft_bias", "in_band")  # fmt: skip
SPLITS = ("all", "chip", "model", "engine", "phase", "mix", "scenario")


@dataclass(frozen=True)
class Line:
    """Errors of one group as fractions; bias is the median of predicted over measured, less one."""

    split: str
    group: str
    rows: int
    predicted: int
    tpot: tuple[float, float, float, float]   # median, mean, 90th percentile, bias
    ttft: tuple[float, float, float, float]
    in_band: float


@dataclass(frozen=True)
class Validation:
    """Errors by group, each run with its predictions, and the rows that were not predicted."""

    lines: tuple[Line, ...]
    runs: tuple[Run, ...]
    tpot_s: tuple[float, ...]
    ttft_s: tuple[float, ...]
    refused: tuple[Refused, ...]
    in_order: int                 # pairs of layouts whose faster one is predicted faster (see `bands.ordering`)
    pairs: int

    def reasons(self) -> Counter[str]:
        """How many rows were not predicted, by reason."""
        return Counter(refused.reason for refused in self.refused)

    def table(self) -> str:
        """The errors as CSV."""
        return csv_text(HEADER, (
            (x.split, x.group, x.rows, x.predicted, *(f"{value:.4f}" for value in (*x.tpot, *x.ttft, x.in_band)))
            for x in self.lines
        ))  # fmt: skip


def validate(catalog: Catalog, table: Path) -> Validation:
    """Predict every run of a table by the catalogue's constants. Raises DataError for a bad table."""
    constants, record = prediction.constants(catalog)
    runs, refused = prediction.runs_of(catalog, table, record)
    if not runs:
        raise DataError(f"{table}: no row can be predicted: {dict(Counter(r.reason for r in refused))}")
    data = prediction.measured_of(catalog, runs, record)
    k = constants.gather(data.rows)
    tpot, ttft = achieved.both_s(data.rows, k)
    bands = [prediction.band_of(record, run.engine) for run in runs]
    inside = np.array([low <= m / t <= high for m, t, (low, high) in zip(data.tpot_s, tpot, bands, strict=True)])
    step, first = tpot / data.tpot_s - 1, ttft / data.ttft_s - 1
    lines = []
    for split in SPLITS:
        names = np.array([run.groups().get(split, "all") for run in runs])
        others = Counter(row.groups.get(split, "all") for row in refused)
        for group in sorted({*names.tolist(), *others}):
            at = names == group
            predicted = int(at.sum())
            lines.append(Line(split, group, predicted + others[group], predicted, _errors(step[at]), _errors(first[at]),
                              float(inside[at].mean()) if predicted else float("nan")))  # fmt: skip
    return Validation(tuple(lines), tuple(runs), tuple(tpot.tolist()), tuple(ttft.tolist()), tuple(refused),
                      *ordering(runs, tpot))  # fmt: skip


def _errors(relative: np.ndarray) -> tuple[float, float, float, float]:
    known = relative[np.isfinite(relative)]
    if len(known) == 0:
        return (float("nan"),) * 4
    absolute = np.abs(known)
    return (float(np.median(absolute)), float(np.mean(absolute)), float(np.quantile(absolute, 0.9)),
            float(np.median(known)))  # fmt: skip
