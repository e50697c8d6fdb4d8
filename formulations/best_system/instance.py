"""What `formulations.best_system` is asked and what it answers: sets, parameters, solution."""

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from formulations.solvers.arrays import Array, Labels

Objective = Literal["ratio", "speed", "cost"]


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; arrays run over `columns`."""

    columns: Labels
    read_fixed: Array
    read_slope: Array
    compute_fixed: Array
    compute_slope: Array
    least_batch: Array
    most_batch: Array
    least_replicas: Array
    most_replicas: Array
    parcels: Array
    per_server: Array
    dollars: Array
    hourly: Array
    watts: Array
    chips: Array
    racks: Array
    gain: Array
    rate: Array
    price: Array
    served: Array
    objective: Objective
    slowest_step: float | None = None
    users: float | None = None
    budget: float | None = None
    hourly_budget: float | None = None
    power: float | None = None
    chip_limit: float | None = None
    rack_limit: float | None = None
    spares: float = 0.0

    def only(self, keep: np.ndarray[Any, Any]) -> "Instance":
        """The instance of the columns at positions (or under the mask) `keep`."""
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        return Instance(**{k: v[keep] if isinstance(v, np.ndarray) else v for k, v in changed.items()})


@dataclass(frozen=True)
class Solution:
    """The chosen column (its label in `columns`) with integer batch, replicas, servers; step in ms."""

    column: int
    batch: int
    replicas: int
    servers: int
    step: float
