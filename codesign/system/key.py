"""A system by its names: the fields that every document has of one, and what makes two systems the same."""

from typing import Any

from pydantic import Field

from codesign.facts.document import Part
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout


class NamedLayout(Part):
    """Chip, memory and layout, whatever the number of replicas and users."""

    chip: str
    memory: str
    stacks: int | None = Field(description="memory stacks on one chip")
    tensor: int
    pipeline: int
    expert: int
    data: int = Field(default=1, description="attention data parallel degree; a stage has tensor x data chips")
    weights: str = Field(description="precision of the weights")
    kv: str = Field(description="precision of the KV cache")

    @property
    def layout(self) -> str:
        """ "TP8 PP2 fp8": how people write a layout."""
        data = f" DP{self.data}" if self.data > 1 else ""
        expert = f" EP{self.expert}" if self.expert > 1 else ""
        return f"TP{self.tensor}{data} PP{self.pipeline}{expert} {self.weights}"

    @property
    def name(self) -> str:
        """In a few words."""
        return f"{self.chip} {self.layout}"


class Replicated(NamedLayout):
    """A layout of a chip, so many times over; its batch is free."""

    replicas: int

    @property
    def name(self) -> str:
        """In one line."""
        return f"{self.replicas} x {super().name}"


class SystemKey(Replicated):
    """What makes two systems the same system: all but the batch.

    Stacks are not compared: a composed chip has them in its name, and a product has what it has.
    """

    def _compared(self) -> tuple[Any, ...]:
        return (self.chip, self.memory, self.tensor, self.pipeline, self.expert, self.data, self.weights, self.kv,
                self.replicas)  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SystemKey) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())


def degrees_of(layout: Layout) -> dict[str, Any]:
    """The fields of `NamedLayout` that are the layout's."""
    return {
        "tensor": layout.tensor, "pipeline": layout.pipeline, "expert": layout.expert,
        "data": layout.data, "weights": layout.weights, "kv": layout.kv,
    }  # fmt: skip


def names_of(chip: Chip, layout: Layout) -> dict[str, Any]:
    """The fields of `NamedLayout`."""
    return {"chip": chip.name, "memory": chip.memory, "stacks": chip.stacks, **degrees_of(layout)}


def key_of(chip: Chip, layout: Layout, replicas: int) -> SystemKey:
    """The system of one layout of a chip, replicated."""
    return SystemKey(**names_of(chip, layout), replicas=replicas)
