"""What `formulations.spatial_pipeline` is asked and what it answers: sets, parameters, solution."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from formulations.solvers.arrays import Array, Labels

Kind = Literal["tensor", "simt"]


KINDS: tuple[Kind, ...] = ("tensor", "simt")


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; arrays run over `stages`, `scale` over (stage, c - 1).

    Raises ValueError, naming the field, for arrays of another length and numbers out of range.
    """

    stages: tuple[str, ...]
    kinds: tuple[Kind, ...]
    throughput: Array
    utilisation: Array
    dram_bytes: float
    l2_bytes: float
    dram_bandwidth: float
    l2_bandwidth: float
    sms: int
    scale: Array | None = None
    most_ctas: Labels | None = None

    def __post_init__(self) -> None:
        count = len(self.stages)
        rules = {
            "stages": count > 0 and len(set(self.stages)) == count,
            "kinds": len(self.kinds) == count and set(self.kinds) <= set(KINDS),
            "throughput": self.throughput.shape == (count,) and _within(self.throughput, above=0.0),
            "utilisation": self.utilisation.shape == (count,) and _within(self.utilisation, above=0.0, most=1.0),
            "dram_bytes": _within(self.dram_bytes, least=0.0), "l2_bytes": _within(self.l2_bytes, least=0.0),
            "dram_bandwidth": _within(self.dram_bandwidth, above=0.0),
            "l2_bandwidth": _within(self.l2_bandwidth, above=0.0), "sms": self.sms >= 1,
            "scale": self.scale is None
            or (self.scale.shape == (count, self.sms) and _within(self.scale, least=0.0)),
            "most_ctas": self.most_ctas is None
            or (self.most_ctas.shape == (count,) and _within(self.most_ctas, least=1.0, most=self.sms)),
        }  # fmt: skip
        if faults := [name for name, kept in rules.items() if not kept]:
            raise ValueError(f"spatial_pipeline, {count} stages: shape or range is wrong of {', '.join(faults)}")


def _within(numbers: Any, *, least: float = -np.inf, above: float = -np.inf, most: float = np.inf) -> bool:
    each = np.asarray(numbers, dtype=float)
    return bool((np.isfinite(each) & (each >= least) & (each > above) & (each <= most)).all())


@dataclass(frozen=True)
class Solution:
    """CTAs of every stage, and the pipeline's throughput (units/s) with them."""

    ctas: tuple[int, ...]
    throughput: float
