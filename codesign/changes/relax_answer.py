"""What cures a query that nothing satisfies, as a document."""

from typing import Any, Literal

from pydantic import Field

from codesign.changes.frontier_answer import NamedSystem
from codesign.facts.document import CurePart, Document, InputPart, Part


class BoughtPart(Part):
    """The best system of the query once it is cured."""

    system: NamedSystem
    replicas: int
    batch: int
    users: int
    servers_bought: int
    chips_bought: int
    value: float = Field(description="of the objective")
    unit: str
    proven: bool = Field(default=True, description="no system is better")


class CuredPart(Part):
    """A limit that cures alone, from which value on, and what it buys there."""

    cure: CurePart
    bought: BoughtPart


class ConflictPart(Part):
    """Limits that nothing satisfies together, though it would with any one of them left out."""

    limits: tuple[str, ...]
    asked: tuple[str, ...]


class ChangePart(Part):
    """One limit of a joint cure."""

    cure: CurePart
    share: float = Field(description="by which it moves: the larger over the smaller value, less 1")
    weight: float


class JointPart(Part):
    """The cheapest change of limits together: no other costs less, by weight times share."""

    changes: tuple[ChangePart, ...]
    cost: float
    bought: BoughtPart


class RelaxAnswer(Document):
    """Conflicts and cures: the document that `--json` prints."""

    kind: Literal["relax"] = "relax"
    status: Literal["feasible", "cured", "incurable", "undecided"] = Field(
        description="feasible: nothing to relax; undecided: what a cure buys is not proven best in the time given"
    )
    mode: str
    query: dict[str, Any]
    conflicts: tuple[ConflictPart, ...] = ()
    complete: bool = Field(default=True, description="there is no other minimal conflict")
    single: tuple[CuredPart, ...] = ()
    joint: JointPart | None = None
    looked_at: int = Field(default=0, description="systems, for the joint cure")
    held: tuple[str, ...] = Field(default=(), description="limits that the joint cure leaves alone")
    seconds: dict[str, float] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    inputs: tuple[InputPart, ...] = ()
    unverified: tuple[str, ...] = ()
    catalogue: str = Field(description="hash of the catalogue as used")
    hashes: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]
    seed: int = 0
