"""A space of layouts whose steps take longer, or shorter, than predicted: a model's error, by chip."""

from dataclasses import dataclass, fields, replace
from typing import Any

from codesign.system.layouts import Floats
from codesign.system.serving_space import ServingSpace
from codesign.system.spaces import AnySpace


def slowed(space: AnySpace, factor: Floats) -> AnySpace:
    """The space with every time of a layout of chip c multiplied by factor[c]: steps, cycles, first tokens."""
    each = factor[space.chip]
    if isinstance(space, ServingSpace):
        return SlowedServing(**{f.name: getattr(space, f.name) for f in fields(space)}, factor=each)
    return replace(
        space, read_fixed=space.read_fixed * each, read_slope=space.read_slope * each, expert=space.expert * each,
        compute_fixed=space.compute_fixed * each, compute_slope=space.compute_slope * each,
    )  # fmt: skip


@dataclass(frozen=True)
class SlowedServing(ServingSpace):
    """A ServingSpace with a factor on the times of each deployment; all else is computed from these two."""

    factor: Floats

    def step_s(self, batch: Any, at: Any = slice(None)) -> Floats:
        """Time per output token in seconds, with the error."""
        found: Floats = super().step_s(batch, at) * self.factor[at]
        return found

    def times(self, batch: Any, at: Any = slice(None)) -> tuple[Floats, Floats, Floats | None]:
        """As `ServingSpace.times`, with the error."""
        step, cycle, first = super().times(batch, at)
        factor = self.factor[at]
        return step * factor, cycle * factor, None if first is None else first * factor
