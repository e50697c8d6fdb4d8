"""What `formulations.fleet` is asked and what it answers: sets, parameters, solution."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from formulations.solvers.arrays import Array, Labels, Mask

BOTH, PREFILL, DECODE = 0, 1, 2  # phases of a column


COLUMN = ("demand_of", "kind_of", "phase", "meets", "rate", "parcels", "size")  # parameters over `columns`


def refuse(data: "Instance") -> None:
    """ValueError naming every parameter of a wrong shape or sign: the caller's fault, found before a solver's."""
    demands, kinds, periods = len(data.demands), len(data.kinds), len(data.periods)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("demand", "least", "worth"), (demands, periods))
    shapes |= dict.fromkeys(("strict", "tokens", "workload_of"), (demands,))
    shapes |= dict.fromkeys(COLUMN, (len(data.columns),))
    shapes |= dict.fromkeys(("servers_per_rack", "watts", "vendor", "life", "most_servers", "least_bought"), (kinds,))
    shapes |= dict.fromkeys(("price", "running", "installed", "supply"), (kinds, periods))
    shapes |= {"charge": (kinds, periods, periods), "chips_per_server": (kinds,), "length": (periods,)}
    shapes |= dict.fromkeys(("capital", "spending", "power", "racks"), (periods,))
    given = {name: getattr(data, name) for name in shapes if getattr(data, name) is not None}
    faults = [f"{n} has shape {a.shape}, expected {shapes[n]}" for n, a in given.items() if a.shape != shapes[n]]
    if not faults:
        positive = ("rate", "parcels", "size", "chips_per_server", "servers_per_rack", "life", "length")
        faults = [f"{n} must be positive" for n in positive if not (given[n] > 0).all()]
        faults += [f"{n} must not be negative or NaN" for n, a in given.items() if not (a >= 0).all()]
        faults += _faults(data)
    if faults:
        raise ValueError("fleet: " + "; ".join(faults))


def _faults(data: "Instance") -> list[str]:
    whole = np.array_equal(data.installed, np.round(data.installed)) and np.array_equal(data.size, np.round(data.size))
    rules = {
        "installed and size must be whole numbers": whole,
        "installed must not grow: what comes later is bought": not (np.diff(data.installed, axis=1) > 0).any(),
        "least must be at most demand": (data.least <= data.demand).all(),
        "strict must be at most 1": (data.strict <= 1).all(),
        "phase must be BOTH, PREFILL or DECODE": np.isin(data.phase, (BOTH, PREFILL, DECODE)).all(),
        "demand_of must name demands": (data.demand_of < len(data.demands)).all(),
        "kind_of must name kinds": (data.kind_of < len(data.kinds)).all(),
        "most_kinds must not be negative": data.most_kinds is None or data.most_kinds >= 0,
        "second_source must be in [0, 1]": data.second_source is None or 0 <= data.second_source <= 1,
    }
    faults = [rule for rule, kept in rules.items() if not kept]
    if not faults and (data.size > data.chips_per_server[data.kind_of]).any():
        faults.append("size must be at most the chips of a server: a larger stage is as many parcels of whole servers")
    return faults


def asked(data: "Instance") -> Array:
    """[d, p] requests/s worth serving: all the demand where more served is better, else what must be served."""
    return data.demand if data.objective in ("ratio", "value") else data.least


Objective = Literal["cost", "ratio", "value", "power"]


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; sets count from 0 and follow from the arrays."""

    demands: Labels = field(init=False)
    workloads: Labels = field(init=False)
    kinds: Labels = field(init=False)
    vendors: Labels = field(init=False)
    periods: Labels = field(init=False)
    columns: Labels = field(init=False)
    hosts: Labels = field(init=False)
    demand: Array
    least: Array = field(default=None)  # type: ignore[arg-type]  # read as in the docstring
    strict: Array = field(kw_only=True)
    worth: Array = field(kw_only=True)
    tokens: Array = field(kw_only=True)
    workload_of: Labels = field(kw_only=True)
    demand_of: Labels = field(kw_only=True)
    kind_of: Labels = field(kw_only=True)
    phase: Labels = field(kw_only=True)
    meets: Mask = field(kw_only=True)
    rate: Array = field(kw_only=True)
    parcels: Labels = field(kw_only=True)
    size: Labels = field(kw_only=True)
    chips_per_server: Labels = field(kw_only=True)
    servers_per_rack: Array = field(kw_only=True)
    watts: Array = field(kw_only=True)
    vendor: Labels = field(kw_only=True)
    life: Labels = field(kw_only=True)
    price: Array = field(kw_only=True)
    charge: Array = field(kw_only=True)
    running: Array = field(kw_only=True)
    installed: Labels = field(kw_only=True)
    supply: Array = field(kw_only=True)
    length: Array = field(kw_only=True)
    objective: Objective = field(kw_only=True)
    capital: Array | None = field(default=None, kw_only=True)
    spending: Array | None = field(default=None, kw_only=True)
    power: Array | None = field(default=None, kw_only=True)
    racks: Array | None = field(default=None, kw_only=True)
    most_servers: Array | None = field(default=None, kw_only=True)
    most_kinds: int | None = field(default=None, kw_only=True)
    one_kind: bool = field(default=False, kw_only=True)
    second_source: float | None = field(default=None, kw_only=True)
    least_bought: Array | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        kinds = np.arange(len(self.chips_per_server))
        sets = {
            "demands": np.arange(len(self.demand)), "workloads": np.unique(self.workload_of), "kinds": kinds,
            "vendors": np.unique(self.vendor), "periods": np.arange(len(self.length)),
            "columns": np.arange(len(self.rate)), "hosts": kinds if self.one_kind else np.arange(1),
        }  # fmt: skip
        if self.least is None:
            sets["least"] = self.demand if self.objective in ("cost", "power") else np.zeros(self.demand.shape)
        for name, value in sets.items():
            object.__setattr__(self, name, value)
        refuse(self)

    def only(self, keep: np.ndarray[Any, Any]) -> "Instance":
        """The instance of the columns at the positions (or under the mask) `keep`, renumbered."""
        return replace(self, **{name: getattr(self, name)[keep] for name in COLUMN})


@dataclass(frozen=True)
class Placed:
    """Replicas of a column (its position) that work in a period."""

    column: int
    period: int
    replicas: int


@dataclass(frozen=True)
class Solution:
    """Servers [h, p] in whole numbers, the replicas placed on them, and requests/s served [d, p]."""

    buy: Labels
    keep: Labels
    own: Labels
    placed: tuple[Placed, ...]
    served: Array
