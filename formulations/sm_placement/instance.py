"""What `formulations.sm_placement` is asked and what it answers: sets, parameters, solution."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Host:
    """One SM of a GPC, and the stages (positions) that have a CTA on it."""

    gpc: int
    tensor: int | None = None
    simt: int | None = None


Kind = Literal["tensor", "simt"]


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; tuples run over `stages` or `gpcs`, streams are positions.

    Raises ValueError, naming the field, for wrong lengths and numbers out of range.
    """

    stages: tuple[str, ...]
    gpcs: tuple[str, ...]
    streams: tuple[tuple[int, int, float], ...]
    kinds: tuple[Kind, ...]
    ctas: tuple[int, ...]
    shared: tuple[int, ...]
    registers: tuple[int, ...]
    threads: tuple[int, ...]
    gpc_sms: tuple[int, ...]
    half: tuple[int, ...]
    sm_shared: int
    sm_registers: int
    sm_threads: int
    cost_gpc: float = 0.0
    cost_half: float = 1.0
    cost_far: float = 2.0

    def __post_init__(self) -> None:
        count, every = len(self.stages), range(len(self.stages))
        sizes = (self.shared, self.registers, self.threads)
        rules = {
            "stages": count > 0,
            "gpcs": len(self.gpcs) > 0,
            "streams": all(i in every and j in every and i != j and 0 <= b < float("inf") for i, j, b in self.streams),
            "kinds": len(self.kinds) == count and set(self.kinds) <= {"tensor", "simt"},
            "ctas": len(self.ctas) == count and min(self.ctas, default=1) >= 1,
            "shared, registers or threads": all(len(s) == count and min(s, default=0) >= 0 for s in sizes),
            "gpc_sms": len(self.gpc_sms) == len(self.gpcs) and min(self.gpc_sms, default=0) >= 0,
            "half": len(self.half) == len(self.gpcs),
            "cost_gpc <= cost_half <= cost_far": 0 <= self.cost_gpc <= self.cost_half <= self.cost_far < float("inf"),
        }
        if faults := [name for name, kept in rules.items() if not kept]:
            raise ValueError(f"sm_placement, {count} stages: length or range is wrong of {', '.join(faults)}")


@dataclass(frozen=True)
class Solution:
    """CTAs of every stage (rows) in every GPC, what each SM hosts, and the cost of all streams."""

    counts: tuple[tuple[int, ...], ...]
    hosts: tuple[Host, ...]
    cost: float
