"""Why another system is not the best, as a document."""

from typing import Any, Literal

from pydantic import Field

from codesign.changes.relax_answer import BoughtPart
from codesign.facts.document import CurePart, Document, InputPart, Part


class TermPart(Part):
    """One term of both systems; the factors of all terms multiply to how far the other is behind."""

    name: str
    best: float
    other: float
    unit: str
    factor: float = Field(description="by which it puts the other behind; below 1: it is ahead in this")


class SidePart(Part):
    """The proven best system on one side of a change."""

    system: str | None
    value: float | None
    bound: float | None


class LeastPart(Part):
    """The least change of one kind of number that makes the other win."""

    kind: str
    today: dict[str, float] = Field(description="SI, by catalogue path or key of the query")
    needs: dict[str, float] = Field(description="SI: from here on it wins; `--assume PATH=VALUE` tries it")
    units: dict[str, str]
    factor: float
    exact: bool = Field(description="no smaller change wins; else it is the first win on a grid of factors")
    before: SidePart
    after: SidePart
    verified: bool = Field(description="solved again on both sides: it wins after, and not before")


class WhyNotAnswer(Document):
    """The document that `--json` prints."""

    kind: Literal["why-not"] = "why-not"
    status: Literal["best", "behind", "infeasible", "absent", "undecided"] = Field(
        description="undecided: not every system here is proven best in the time given; nothing is claimed beyond them"
    )
    mode: str
    query: dict[str, Any]
    wanted: str
    objective: str
    unit: str
    best: BoughtPart | None = None
    other: BoughtPart | None = Field(default=None, description="the best that has what is asked for")
    behind: float | None = Field(default=None, description="share of the best value that the other lacks")
    bounds: tuple[float | None, float | None] = Field(default=(None, None), description="proven, of best and other")
    limited_by: tuple[str, str] = Field(default=("", ""), description="what keeps the batch of each from growing")
    terms: tuple[TermPart, ...] = ()
    losing: str = Field(default="", description="the kind of term with the largest factor")
    changes: tuple[LeastPart, ...] = Field(default=(), description="the least first")
    hopeless: tuple[str, ...] = Field(default=(), description="kinds of number that alone do not make it win")
    cures: tuple[CurePart, ...] = Field(default=(), description="infeasible: limits that alone would let it in")
    absent: dict[str, str] = Field(default_factory=dict, description="chips that have it and are not on offer: why")
    solves: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    inputs: tuple[InputPart, ...] = ()
    unverified: tuple[str, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    catalogue: str = Field(description="hash of the catalogue as used")
    hashes: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]
    seed: int = 0
