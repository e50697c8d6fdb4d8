"""Which achieved-rate constants explain these measured runs, and how wrong are they on runs left out?"""

import hashlib
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.errors import DataError
from codesign.facts.records import AchievedRecord
from codesign.physics import achieved, bands, calibration, prediction
from codesign.physics.achieved import Constants
from codesign.physics.measured import Run
from codesign.physics.measurements import LeftOut, Measured

LEAST = 3        # runs
FEW = 20         # mixes with fewer runs are left out together


def calibrate(catalog: Catalog, table: Path, *, today: date | None = None) -> tuple[AchievedRecord, dict[str, Any]]:
    """Fit and check by leaving groups out: the constants, and the content of their file.

    Raises DataError for a bad table or one with fewer than three runs that can be predicted.
    """
    record = catalog.get(AchievedRecord, "default")
    runs, _ = prediction.runs_of(catalog, table, record)
    if len(runs) < LEAST:
        raise DataError(f"{table}: {len(runs)} rows can be predicted, at least {LEAST} are needed")
    data = prediction.measured_of(catalog, runs, record)
    constants, splits = calibration.fit(data), _splits(data, runs)
    content = _content(record, constants, table, runs, splits, (today or date.today()).isoformat(), data)
    return AchievedRecord.model_validate(content), content


def _splits(data: Measured, runs: list[Run]) -> dict[str, LeftOut]:
    """Leave one input/output mix, chip and model out, where there are at least two."""
    mixes = [run.mix for run in runs]
    groups = {
        "mix": [mix if mixes.count(mix) >= FEW else "fewer runs" for mix in mixes],
        "chip": [run.chip for run in runs], "model": [run.model for run in runs],
    }  # fmt: skip
    return {name: calibration.leave_out(data, each) for name, each in groups.items() if len(set(each)) > 1}


def _content(record: AchievedRecord, constants: Constants, table: Path, runs: list[Run], splits: dict[str, LeftOut],
             today: str, data: Measured) -> dict[str, Any]:  # fmt: skip
    rounded = _rounded
    errors = {name: rounded(left.errors(), 4) for name, left in splits.items()}
    names = [engine for engine, _, _ in data.rows.names]
    in_sample = achieved.tpot_s(data.rows, constants.gather(data.rows))
    orders = {"fitted": in_sample} | {name: data.tpot_s / left.tpot_ratio for name, left in splits.items()}
    honest = {"tpot": bands.coverage(splits, names), "ttft": bands.coverage(splits, names, first=True)}
    return {
        "schema": 1, "name": "default", "title": "Achieved rates and exposed overheads of serving engines",
        "source": "own_calibration", "families": {k: list(v) for k, v in record.families.items()},
        "common": rounded(constants.common), "engine": {k: rounded(v) for k, v in constants.engine.items()},
        "family": {k: rounded(v) for k, v in constants.family.items()}, "release": rounded(constants.release),
        "first_token": rounded(constants.first), "first_token_engine": rounded(constants.first_engine),
        "first_token_release": rounded(constants.first_release),
        "band": _bands(splits, names), "first_token_band": _bands(splits, names, first=True),
        "fit": {"date": today, "runs": len(runs), "chips": dict(sorted(Counter(run.chip for run in runs).items())),
                "table": table.name, "sha256": hashlib.sha256(table.read_bytes()).hexdigest(), "errors": errors,
                "coverage": {kind: {split: rounded(x, 3) for split, x in each.items()}
                             for kind, each in honest.items()},
                "ordering": {name: list(bands.ordering(runs, tpot)) for name, tpot in orders.items()}},
    }  # fmt: skip


def _bands(splits: dict[str, LeftOut], names: list[str], *, first: bool = False) -> dict[str, list[float]]:
    """Bands pooled over the splits; a wide guess where no group could be left out."""
    if not splits:
        return {"all": [0.5, 2.0]}
    ratios = np.concatenate([left.ttft_ratio if first else left.tpot_ratio for left in splits.values()])
    found = bands.bands(ratios, names * len(splits), len(splits))
    return {group: [float(f"{x:.4g}") for x in band] for group, band in found.items()}


def _rounded(numbers: dict[str, float], digits: int = 5) -> dict[str, float]:
    return {name: float(f"{value:.{digits}g}") for name, value in numbers.items()}
