"""What `formulations.disaggregated` is asked and what it answers: sets, parameters, solution."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from formulations.solvers.arrays import Array, Labels

Objective = Literal["ratio", "throughput", "cost"]


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; arrays run over `columns`."""

    prefill: Labels
    decode: Labels
    columns: Labels = field(init=False)
    speed: Array
    utilisation: Array
    link: Array
    pace: Array
    most_replicas: Array
    parcels: Array
    per_server: Array
    dollars: Array
    hourly: Array
    watts: Array
    chips: Array
    racks: Array
    price: Array
    objective: Objective
    cache: float | None = None
    rate_demanded: float | None = None
    users: float | None = None
    budget: float | None = None
    hourly_budget: float | None = None
    power: float | None = None
    chip_limit: float | None = None
    rack_limit: float | None = None
    spares: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", np.concatenate([self.prefill, self.decode]))
        if len(set(self.columns.tolist())) < len(self.columns):
            raise ValueError("a label of prefill or decode occurs twice: labels of both pools must differ")
        positive = ["speed", "utilisation", "parcels", "per_server"]
        positive += ["link"] if self.cache is not None else []
        positive += ["price"] if self.objective == "ratio" else []
        for name in positive:
            if not (getattr(self, name) > 0).all():
                raise ValueError(f"{name} = {float(getattr(self, name).min())!r} must be positive")
        if self.objective == "cost" and self.rate_demanded is None and self.users is None:
            raise ValueError("objective 'cost' needs rate_demanded or users: nothing costs least")

    def only(self, keep: np.ndarray[Any, Any]) -> "Instance":
        """The instance of the columns at the ascending positions `keep`."""
        arrays = {f.name: getattr(self, f.name)[keep] for f in fields(self) if f.name in arrays_of(self)}
        split = np.searchsorted(keep, len(self.prefill))
        return replace(self, **arrays, prefill=self.columns[keep[:split]], decode=self.columns[keep[split:]])


def arrays_of(data: Instance) -> list[str]:
    """Names of the parameters that run over `columns`."""
    sets = ("prefill", "decode", "columns")
    return [f.name for f in fields(data) if f.name not in sets and isinstance(getattr(data, f.name), np.ndarray)]


@dataclass(frozen=True)
class Pool:
    """The chosen column (its label) with replicas and the servers in use."""

    column: int
    replicas: int
    servers: int


@dataclass(frozen=True)
class Solution:
    """Both pools, and the requests/s that they can serve together."""

    prefill: Pool
    decode: Pool
    rate: float
