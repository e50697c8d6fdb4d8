"""A frontier as a document: its steps, the points beneath each, and what proves every change of system."""

from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import Document, InputPart, Part
from codesign.system.audit import System
from codesign.system.key import NamedLayout, names_of


class NamedSystem(NamedLayout):
    """As it is called; whatever the number of replicas and users."""

    title: str
    memory_family: str
    composed: bool


def named_system(s: System) -> NamedSystem:
    """The names of a system."""
    chip = s.offer.chip
    return NamedSystem(
        **names_of(chip, s.layout), title=chip.title, memory_family=chip.family, composed=chip.die is not None,
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
