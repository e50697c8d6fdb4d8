"""The answer to a mix of replicas as a document: what to rent, who serves what, what it costs, what proves it."""

from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import CurePart, Document, Part


class KindPart(Part):
    """One kind of replica."""

    name: str
    chip: str
    layout: str
    model: str
    count: int = Field(description="replicas to rent")
    available: int | None = Field(description="replicas to be had; null: as many as wanted")
    price_usd_per_h: float = Field(description="of one replica")
    cost_usd_per_h: float
    load: float = Field(description="replicas kept busy by what they serve")
    spare: float = Field(description="replicas that are idle: count - load")


class SharePart(Part):
    """What one kind serves of one bucket."""

    bucket: str
    model: str
    kind: str
    slices: float = Field(description="whole numbers, unless slices are divided at will")
    of: int = Field(description="slices of the bucket")
    requests_per_s: float
    load: float = Field(description="replicas of the kind kept busy")


class SinglePart(Part):
    """One kind alone, as many of it as it takes."""

    kind: str
    count: int | None
    cost_usd_per_h: float | None
    why: str = Field(default="", description="why it cannot serve alone")


class MixProofPart(Part):
    """Why no fleet is cheaper, $/h."""

    value: float
    bound: float | None
    gap: float | None
    rounded: float | None = Field(description="$/h of the fleet by rounding, before any program")
    floor: float | None = Field(description="$/h that no fleet is below even with slices divided at will")
    pairs: int = Field(description="pairs of bucket and kind in the last program")
    removed: int = Field(description="pairs that a cheaper fleet cannot have")
    fleets: int = Field(description="fleets that whole slices were tried on")
    solves: int
    nodes: int


class MixAnswer(Document):
    """Cheapest mix of replicas for a demand by buckets."""

    kind: Literal["mix"] = "mix"
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    query: dict[str, Any] = Field(description="files with their SHA-256, and options")
    requests_per_s: float = Field(description="demand, all buckets")
    fractional: bool = Field(description="slices divided at will")
    kinds: tuple[KindPart, ...] = Field(default=(), description="every kind asked about")
    shares: tuple[SharePart, ...] = ()
    cost_usd_per_h: float | None = None
    usd_per_million_requests: float | None = None
    proof: MixProofPart | None = None
    singles: tuple[SinglePart, ...] = Field(default=(), description="what each kind would cost alone; supply not asked")
    in_the_way: str = ""
    cures: tuple[CurePart, ...] = ()
    assumptions: tuple[str, ...] = ()
    versions: dict[str, str]
    seed: int = 0

    def counts(self) -> dict[str, int]:
        """Replicas of each kind by name."""
        return {kind.name: kind.count for kind in self.kinds}
