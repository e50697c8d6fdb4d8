"""Which achieved-rate constants explain these measured runs, and how wrong are they on runs left out?"""

import hashlib
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from codesign import calibration, prediction
from codesign.calibration import LeftOut, Measured
from codesign.catalog import Catalog
from codesign.errors import DataError
from codesign.exports.atomic import write_folder
from codesign.measured import Run
from codesign.records import AchievedRecord

LEAST = 3        # runs
FEW = 20         # mixes with fewer runs are left out together
BAND_LEAST = 30  # runs that a group needs for a band of its own


def calibrate(catalog: Catalog, table: Path, out: Path, *, today: date | None = None) -> AchievedRecord:
    """Fit, check by leaving groups out, write `out`/achieved/default.toml whole or not at all.

    Raises DataError for a bad table or one with fewer than three runs that can be predicted.
    """
    record = catalog.get(AchievedRecord, "default")
    runs, _ = prediction.runs_of(catalog, table, record)
    if len(runs) < LEAST:
        raise DataError(f"{table}: {len(runs)} rows can be predicted, at least {LEAST} are needed")
    data = prediction.measured_of(catalog, runs, record)
    constants, splits = calibration.fit(data), _splits(data, runs)
    content = _content(record, constants, table, runs, splits, (today or date.today()).isoformat(), data)
    fitted = AchievedRecord.model_validate(content)
    write_folder(out, lambda stage: _write(stage, content), ())
    return fitted


def _splits(data: Measured, runs: list[Run]) -> dict[str, LeftOut]:
    """Leave one input/output mix, chip and model out, where there are at least two."""
    mixes = [run.mix for run in runs]
    groups = {
        "mix": [mix if mixes.count(mix) >= FEW else "fewer runs" for mix in mixes],
        "chip": [run.chip for run in runs], "model": [run.model for run in runs],
    }  # fmt: skip
    return {name: calibration.leave_out(data, each) for name, each in groups.items() if len(set(each)) > 1}


def _content(record: AchievedRecord, constants: Any, table: Path, runs: list[Run], splits: dict[str, LeftOut],
             today: str, data: Measured) -> dict[str, Any]:  # fmt: skip
    rounded = _rounded
    errors = {name: rounded(left.errors(), 4) for name, left in splits.items()}
    return {
        "schema": 1, "name": "default", "title": "Achieved rates and exposed overheads of serving engines",
        "source": "own_calibration", "families": {k: list(v) for k, v in record.families.items()},
        "common": rounded(constants.common), "engine": {k: rounded(v) for k, v in constants.engine.items()},
        "family": {k: rounded(v) for k, v in constants.family.items()}, "release": rounded(constants.release),
        "first_token": rounded(constants.first), "first_token_engine": rounded(constants.first_engine),
        "first_token_release": rounded(constants.first_release), "band": _bands(splits, runs, data),
        "fit": {"date": today, "runs": len(runs),
                "chips": dict(sorted(Counter(run.chip for run in runs).items())), "table": table.name,
                "sha256": hashlib.sha256(table.read_bytes()).hexdigest(), "errors": errors},
    }  # fmt: skip


def _rounded(numbers: dict[str, float], digits: int = 5) -> dict[str, float]:
    return {name: float(f"{value:.{digits}g}") for name, value in numbers.items()}


def _bands(splits: dict[str, LeftOut], runs: list[Run], data: Measured) -> dict[str, list[float]]:
    """10th and 90th percentile of measured over predicted on runs left out, pooled over the splits."""
    if not splits:
        return {"all": [0.5, 2.0]}
    ratios = np.concatenate([left.tpot_ratio for left in splits.values()])
    names = [("all", f"{engine}", f"{engine}/{family}") for engine, family, _ in data.rows.names] * len(splits)
    found = {}
    for group in sorted({name for each in names for name in each}):
        at = np.array([group in each for each in names])
        if group == "all" or at.sum() >= BAND_LEAST * len(splits):
            found[group] = [float(f"{x:.4g}") for x in np.quantile(ratios[at], [0.1, 0.9])]
    return found


def _write(stage: Path, content: dict[str, Any]) -> None:
    import tomli_w

    (stage / "achieved").mkdir()
    (stage / "achieved" / "default.toml").write_text(tomli_w.dumps(content), encoding="utf-8")
