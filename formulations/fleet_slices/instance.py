"""What `formulations.fleet_slices` is asked and what it answers: sets, parameters, solution."""

from dataclasses import dataclass

import numpy as np

from formulations.solvers.arrays import Array, Labels


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; `load` is buckets x kinds."""

    buckets: Labels
    kinds: Labels
    price: Array
    slices: Labels
    load: Array
    most: Array
    fractional: bool = False

    def __post_init__(self) -> None:
        if self.load.shape != (len(self.buckets), len(self.kinds)):
            raise ValueError(f"load has shape {self.load.shape}, expected buckets x kinds")
        if not (self.load > 0).all():
            raise ValueError(f"load = {float(self.load.min())!r} must be positive")
        for name in ("price", "most"):
            if not (getattr(self, name) >= 0).all():
                raise ValueError(f"{name} = {float(getattr(self, name).min())!r} must not be negative")
        if not np.isfinite(self.price).all():
            raise ValueError("price must be finite")
        if not (self.slices >= 1).all() or self.slices.dtype.kind != "i":
            raise ValueError("slices must be whole and at least 1")
        if (np.isfinite(self.most) & (self.most != np.floor(self.most))).any():
            raise ValueError("most must be whole or infinite")
