"""Fit the constants of `achieved` to measured runs: robust, drawn towards priors, checked on groups left out.

Every constant is fitted as its logarithm. A run's residual is the logarithm of predicted over measured time, with
a loss that grows linearly beyond about its scale, so a mislabelled run cannot drag the fit. A constant pays for
distance from its prior in units of its own spread: a few rows already say something, and what no row tells stays
at the prior. Priors are engineering expectations, not fitted: memory at 75 % of peak, tensor units at 60 % in
decode and 50 % in prefill, 3 us of exposed time a kernel, collectives a little slower than measured alone.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from codesign.facts.records import BY_ENGINE, BY_FAMILY, COMMON, FIRST_TOKEN
from codesign.physics import achieved
from codesign.physics.achieved import Constants, Rows
from codesign.physics.measurements import LeftOut, Measured

Array = np.ndarray[Any, np.dtype[np.float64]]
PRIOR = {  # name: (expectation, spread of its logarithm)
    "memory": (1.3, 0.12), "expert": (1.3, 0.12), "unpack": (1.3, 0.2), "matrix": (1.6, 0.2), "prefill": (2.0, 0.2),
    "overlap": (1.0, 0.25), "fixed_s": (1e-3, 0.6), "collective": (1.15, 0.2),
    "kernel_s": (3e-6, 0.3), "user_s": (25e-6, 0.3), "prefill_rate": (1.0, 0.12),
    "rate": (1.0, 0.2), "overhead": (1.0, 0.3), "release": (1.0, 0.2),
    "first_fixed_s": (30e-3, 1.0), "wait_steps": (2.0, 0.5), "chunk_tokens": (4096.0, 0.5), "own": (1.0, 0.3),
    "burst": (0.1, 1.0), "prompt_kernel_s": (10e-6, 1.0), "queue": (0.5, 0.5), "pool_fixed": (3.0, 1.0),
    "first_release": (1.0, 0.45),
}  # fmt: skip
SCALE = {"tpot": 0.10, "ttft": 0.30}   # where the loss turns linear, in logarithms
WEIGHT = {"tpot": 0.15, "ttft": 0.35}    # of one run against one prior: runs of a table are not independent


class _Vector:
    """Names of the fitted logarithms in order, their priors, and constants to and from the vector."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        self.names = list(names)
        self.prior = np.log([PRIOR[kind][0] for kind, _ in self.names])
        self.spread = np.array([PRIOR[kind][1] for kind, _ in self.names])

    def values(self, vector: Array) -> dict[tuple[str, str], float]:
        """Constants by (kind, of what)."""
        return dict(zip(self.names, np.exp(vector).tolist(), strict=True))


def _present(rows: Rows, position: int) -> list[str]:
    return sorted({name[position] for name in rows.names})


def _step_names(rows: Rows) -> list[tuple[str, str]]:
    names = [(kind, "") for kind in COMMON]
    names += [(kind, engine) for engine in _present(rows, 0) for kind in BY_ENGINE]
    names += [(kind, family) for family in _present(rows, 1) for kind in BY_FAMILY]
    return names + [("release", release) for release in _present(rows, 2)]


def _first_names(rows: Rows) -> list[tuple[str, str]]:
    names = [(kind, "") for kind in FIRST_TOKEN]
    names += [("first_fixed_s", engine) for engine in _present(rows, 0)]
    return names + [("first_release", release) for release in _present(rows, 2)]


class _Gather:
    """Turns a vector into arrays over the rows without looking names up each time."""

    def __init__(self, vector: _Vector, rows: Rows) -> None:
        index = {name: i for i, name in enumerate(vector.names)}
        self.at: dict[str, Any] = {}
        shown = {"rate": "family_rate", "overhead": "family_overhead"}
        for kind in dict.fromkeys(kind for kind, _ in vector.names):
            position = {"kernel_s": 0, "user_s": 0, "prefill_rate": 0, "first_fixed_s": 0, "rate": 1, "overhead": 1,
                        "release": 2, "first_release": 2}.get(kind)  # fmt: skip
            keys = [(kind, "" if position is None else name[position]) for name in rows.names]
            self.at[shown.get(kind, kind)] = np.array([index[key] for key in keys], dtype=int)

    def __call__(self, vector: Array) -> dict[str, Array]:
        values = np.exp(vector)
        return {kind: values[at] for kind, at in self.at.items()}


def _soft(residual: Array) -> Array:
    """Signed square root of the soft-L1 loss: linear growth for outliers."""
    result: Array = np.sign(residual) * np.sqrt(2 * (np.sqrt(1 + residual**2) - 1))
    return result


def _minimise(vector: _Vector, residuals: Any, weight: float) -> Array:
    def all_residuals(x: Array) -> Array:
        return np.concatenate([weight * _soft(residuals(x)), (x - vector.prior) / vector.spread])

    result: Array = least_squares(all_residuals, vector.prior, method="trf", max_nfev=60).x
    return result


def fit(data: Measured) -> Constants:
    """Constants of the measured runs; deterministic."""
    steps = _Vector(_step_names(data.rows))
    gather, log_tpot = _Gather(steps, data.rows), np.log(data.tpot_s)

    def step_residuals(x: Array) -> Array:
        result: Array = (np.log(achieved.tpot_s(data.rows, gather(x))) - log_tpot) / SCALE["tpot"]
        return result

    step_vector = _minimise(steps, step_residuals, WEIGHT["tpot"])
    timed = np.isfinite(data.ttft_s)
    rows, known = data.rows.only(timed), {k: v[timed] for k, v in gather(step_vector).items()}
    first = _Vector(_first_names(data.rows))
    gather_first, log_ttft = _Gather(first, rows), np.log(data.ttft_s[timed])

    def first_residuals(x: Array) -> Array:
        predicted = achieved.ttft_s(rows, {**known, **gather_first(x)})
        result: Array = (np.log(predicted) - log_ttft) / SCALE["ttft"]
        return result

    first_vector = _minimise(first, first_residuals, WEIGHT["ttft"])
    return _constants(steps.values(step_vector), first.values(first_vector))


def _constants(step: dict[tuple[str, str], float], first: dict[tuple[str, str], float]) -> Constants:
    def of(kind: str, values: dict[tuple[str, str], float]) -> dict[str, float]:
        return {name: value for (k, name), value in values.items() if k == kind}

    engines, families = of("kernel_s", step), of("rate", step)
    return Constants(
        common={kind: step[(kind, "")] for kind in COMMON},
        engine={e: {kind: step[(kind, e)] for kind in BY_ENGINE} for e in engines},
        family={f: {kind: step[(kind, f)] for kind in BY_FAMILY} for f in families},
        release=of("release", step),
        first={kind: first[(kind, "")] for kind in FIRST_TOKEN},
        first_engine=of("first_fixed_s", first), first_release=of("first_release", first),
    )  # fmt: skip


def leave_out(data: Measured, groups: list[str]) -> LeftOut:
    """Fit once without each group and predict it; `groups` names each run's group."""
    step, first = np.full(len(groups), np.nan), np.full(len(groups), np.nan)
    names = np.array(groups)
    for group in sorted(set(groups)):
        here = names == group
        if here.all():
            raise ValueError(f"every run is of the group {group!r}: nothing is left to fit")
        constants, rows = fit(data.only(~here)), data.rows.only(here)
        k = constants.gather(rows)
        step[here] = data.tpot_s[here] / achieved.tpot_s(rows, k)
        first[here] = data.ttft_s[here] / achieved.ttft_s(rows, k)
    return LeftOut(tuple(groups), step, first)
