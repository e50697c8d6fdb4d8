"""A frontier as a document: its steps, the points beneath each, and what proves every change of system."""

from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import Document, InputPart, Part
from codesign.system.answer_parts import weights
from codesign.system.audit import System


class NamedSystem(Part):
    """Chip, memory and layout, whatever the number of replicas and users."""

    chip: str
    title: str
    memory: str
    memory_family: str
    stacks: int | None
    composed: bool
    tensor: int
    pipeline: int
    expert: int
    data: int
    weights: str
    kv: str

    @property
    def layout(self) -> str:
        """ "TP8 PP2 fp8": as in every answer."""
        data = f" DP{self.data}" if self.data > 1 else ""
        expert = f" EP{self.expert}" if self.expert > 1 else ""
        return f"TP{self.tensor}{data} PP{self.pipeline}{expert} {self.weights}"

    @property
    def name(self) -> str:
        """In a few words."""
        return f"{self.chip} {self.layout}"


def named_system(s: System) -> NamedSystem:
    """The names of a system."""
    chip, layout = s.offer.chip, s.layout
    return NamedSystem(
        chip=chip.name, title=chip.title, memory=chip.memory, memory_family=chip.family, stacks=chip.stacks,
        composed=chip.die is not None, tensor=layout.tensor, pipeline=layout.pipeline, expert=layout.expert,
        data=getattr(layout, "data", 1), weights=weights(layout), kv=layout.kv,
    )  # fmt: skip


class AxisPart(Part):
    """One axis."""

    name: str
    unit: str
    better: Literal["more", "less"]


class PointPart(Part):
    """One nondominated point; `values` by axis, in its unit."""

    values: dict[str, float]
    replicas: int
    batch: int = Field(description="users in one pipeline stage at a time")
    users: int
    servers_bought: int = Field(description="with spares")
    chips_bought: int


class ProofPart(Part):
    """One solve of the program: the best of `objective` where the other axes are held, and what it shows."""

    shows: str
    objective: str
    held: dict[str, float] = Field(description="epsilon by axis, in its unit; empty: the query's own limits")
    status: str
    value: float | None = Field(description="in closed form")
    bound: float | None = Field(description="proven: nothing is better")
    holds: bool = Field(description="the program says the same as the closed form; false: undecided in the time given")


class StepPart(Part):
    """A maximal run of points of one system, along the first axis."""

    system: NamedSystem
    points: tuple[PointPart, ...]
    proofs: tuple[ProofPart, ...]


class FrontierAnswer(Document):
    """The complete staircase: the document that `--json` prints."""

    kind: Literal["frontier"] = "frontier"
    status: Literal["proven", "undecided", "infeasible"]
    mode: str
    query: dict[str, Any]
    axes: tuple[AxisPart, ...]
    steps: tuple[StepPart, ...]
    ends: tuple[ProofPart, ...] = Field(description="that nothing lies beyond the first and the last point")
    points: int
    changes: int = Field(description="from one system to another along the first axis")
    solves: int
    considered: int = Field(description="layouts")
    timed: int = Field(description="layouts at a batch, all that there are")
    candidates: int = Field(description="of these, with a number of servers, after removal within a chip")
    audited: int = Field(description="points recomputed from the domain's formulas, without a solver")
    seconds: dict[str, float]
    left_out: dict[str, str] = Field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    inputs: tuple[InputPart, ...] = ()
    unverified: tuple[str, ...] = ()
    catalogue: str = Field(description="hash of the catalogue as used")
    hashes: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]
    seed: int = 0
