"""The answer to a fleet plan as a document: what to buy, keep and retire, what runs where, cost, limits, proof."""

from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import CurePart, Document, InputPart, LimitPart, Part


class KindPart(Part):
    """Servers of one kind in a period."""

    chip: str
    title: str
    vendor: str
    bought: int = Field(description="servers, at the start of the period")
    retired: int = Field(description="installed servers given up at the start of the period")
    ended: int = Field(description="servers whose life is over at the start of the period")
    owned: int
    chips: int
    used: int = Field(description="chips that replicas take")
    spare: int = Field(description="chips that no replica takes")
    racks: float
    power_w: float | None
    capital_usd: float
    cost_usd: float = Field(description="charges, upkeep and electricity of the period")


class ReplicaPart(Part):
    """Replicas of one kind for one workload and length, in a period; they share the requests evenly."""

    workload: str
    input: int
    output: int
    phase: Literal["both", "prefill", "decode"]
    chip: str
    tensor: int = Field(ge=1)
    data: int = Field(ge=1)
    pipeline: int = Field(ge=1)
    expert: int = Field(ge=1)
    weights: str
    kv: str
    batch: int = Field(ge=1, description="users of a stage; prefill: prompts")
    meets: bool = Field(description="fast enough for the share that must get the user speed and the first token")
    replicas: int
    chips_per_replica: int
    parcels: int = Field(description="placement units of a replica")
    size: int = Field(description="chips of a placement unit, inside one server")
    requests: float = Field(description="requests/s that they can serve")
    user_speed: float | None = Field(description="tokens/s of a user of a full replica")
    ttft_s: float | None = Field(description="mean time to first token of a full replica")


class WorkloadPart(Part):
    """One workload in a period."""

    workload: str
    requests: float = Field(description="requests/s asked for")
    served: float = Field(description="requests/s")
    served_by_length: tuple[float, ...] = Field(description="requests/s, of each bucket of lengths")
    utilisation: float = Field(description="share of what its replicas can serve, in the busier phase")
    spare: float = Field(description="requests/s that its replicas could serve beside")
    chips: int
    prefill_chips: int
    decode_chips: int
    tokens: float = Field(description="output tokens/s")
    usd: float = Field(description="its share of the period's cost: of each kind as its chips of those in use")
    usd_per_mtok: float | None = Field(description="dollars per million output tokens; None: serves nothing")


class PeriodPart(Part):
    """One period, SI."""

    name: str
    year: int
    years: float
    kinds: tuple[KindPart, ...]
    workloads: tuple[WorkloadPart, ...]
    replicas: tuple[ReplicaPart, ...]
    capital_usd: float = Field(description="spent at its start")
    charge_usd: float = Field(description="repayment, or rent, in the period")
    running_usd: float = Field(description="upkeep and electricity in the period")
    hourly_usd: float = Field(description="both, an hour")
    power_w: float | None
    racks: float
    idle_usd: float = Field(description="cost of kinds that serve nothing")
    limits: tuple[LimitPart, ...]


class ShadowPart(Part):
    """The program solved again with one limit a step further."""

    limit: str
    period: str = Field(description="empty: of all periods")
    allowed: str
    step: str
    status: str
    value: float | None
    gain: float | None = Field(description="by how much the objective is better")
    at_least: float | None = Field(description="the least that is proven of the gain; None: nothing")
    at_most: float | None = Field(description="the most that is proven of the gain")


class DualPart(Part):
    """A price of the linear relaxation: of an ideal fleet with parts of servers and replicas."""

    limit: str
    period: str
    price: float
    unit: str


class SinglePart(Part):
    """The best fleet of one kind of chip alone."""

    chip: str
    lifted: bool = Field(description="within the limits there is none: those on money, power, racks, supply are lifted")
    status: str
    value: float | None
    bound: float | None
    behind: float | None = Field(description="share of the best value that it lacks, or costs more")


class ScenarioPart(Part):
    """How the hardware does when demand, or a loss, is known."""

    name: str
    probability: float | None
    loss: str = Field(description="what is lost; empty: nothing")
    served: dict[str, tuple[float, ...]] = Field(description="share of each workload's demand met, by period")
    requests: dict[str, tuple[float, ...]] = Field(description="requests/s asked of each workload, by period")
    served_by_length: dict[str, tuple[tuple[float, ...], ...]] = Field(
        description="requests/s served of each workload, by period, of each bucket of lengths")
    replicas: tuple[tuple["ReplicaPart", ...], ...] = Field(description="that then work, by period")


class FleetProofPart(Part):
    """Why no fleet within the plan is better."""

    objective: str
    unit: str
    value: float
    bound: float | None
    gap: float | None
    space: str
    demands: int
    columns: int = Field(description="columns that no other of their demand, chip and phase dominates")
    solved: int = Field(description="columns in the integer program")
    nodes: int
    seconds: dict[str, float]


class FleetAnswer(Document):
    """What to buy for a plan: the document that `--json` prints and `verify` repeats."""

    kind: Literal["fleet"] = "fleet"
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    plan: dict[str, Any]
    periods: tuple[PeriodPart, ...] = ()
    cost_usd: float | None = Field(default=None, description="of all periods: repayment, upkeep, electricity")
    capital_usd: float | None = None
    proof: FleetProofPart | None = None
    shadows: tuple[ShadowPart, ...] = ()
    duals: tuple[DualPart, ...] = ()
    singles: tuple[SinglePart, ...] = ()
    scenarios: tuple[ScenarioPart, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    in_the_way: str = ""
    cures: tuple[CurePart, ...] = ()
    inputs: tuple[InputPart, ...] = ()
    unverified: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    catalogue: str = Field(description="hash of the catalogue as used")
    hashes: dict[str, str] = Field(default_factory=dict, description="of each entry behind the fleet")
    versions: dict[str, str]
    seed: int = 0
