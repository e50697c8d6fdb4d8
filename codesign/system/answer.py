"""The answer as a document: what to buy, what it does, what proves it, where every number is from."""

from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import CurePart, Document, InputPart, LimitPart, Part
from codesign.system.key import NamedLayout


class SystemPart(NamedLayout):
    """What to buy and how to run it."""

    title: str
    vendor: str
    composed: bool = Field(description="a die with stacks of a memory, not a product")
    memory_family: str
    chips_per_replica: int
    replicas: int = Field(ge=1)
    batch: int = Field(ge=1, description="users in one pipeline stage at a time")
    users_per_replica: int
    servers: int = Field(description="servers in use")
    servers_bought: int = Field(description="with spares")
    chips_bought: int
    racks: int


class PrefillPart(SystemPart):
    """The pool that computes prompts (`batch` 1: one prompt a stage), SI; `system` is then the pool that decodes."""

    prompt_s: float = Field(description="one prompt alone, all stages")
    interval_s: float = Field(description="between prompts of a replica that always works")
    fixed_s: float = Field(description="of the engine, in every time to first token")
    wait_s: float = Field(description="mean wait for a replica, at `utilisation`")
    send_s: float = Field(description="cache of one prompt over the links of a replica")
    ttft_s: float = Field(description="fixed_s + prompt_s + wait_s + send_s")
    statistic: str = Field(description="what ttft_s is")
    utilisation: float = Field(description="share of time that a replica works, at the system's requests/s")
    utilisation_cap: float = Field(description="most that the time to first token, or the model of queues, allows")
    memory_bytes: float = Field(description="weights and KV cache on the fullest chip")
    usable_bytes: float


class TransferPart(Part):
    """KV caches from the prefill pool to the decode pool, SI."""

    bytes_per_request: float
    used: float = Field(description="B/s, at the system's requests/s")
    sending: float = Field(description="B/s that the links of the prefill pool carry")
    receiving: float = Field(description="B/s that the links of the decode pool carry")


class PerformancePart(Part):
    """One decode step, SI."""

    step_s: float = Field(description="mode achieved: mean time per output token")
    step_band_s: tuple[float, float] | None = Field(
        default=None, description="where 80 % of measured runs like this one would lie"
    )
    ttft_s: float | None = Field(default=None, description="mean time to first token, waits included")
    user_speed: float = Field(description="tokens/s of each user")
    users: int
    throughput: float = Field(description="tokens/s of the system")
    requests: float | None = Field(default=None, description="two pools: requests/s from prompt to last token")
    shares: dict[str, float] = Field(
        description="share of the step for which bandwidth, compute (they overlap) and collectives are busy; "
        "mode achieved: of each of its terms, which add up to 1"
    )
    limiting: str = Field(description="the term with the largest share")
    batch_limited_by: str = Field(description="what keeps the batch from growing")
    memory_bytes: float = Field(description="weights and KV cache on the fullest chip")
    usable_bytes: float
    room: int = Field(description="users of a stage that memory would hold")


class MoneyPart(Part):
    """Dollars and watts of the whole system."""

    capital_usd: float | None
    capital: dict[str, float]
    hourly_usd: float
    hourly: dict[str, float]
    usd_per_mtok: float = Field(description="dollars per million output tokens at the stated utilisation")
    utilisation: float
    power_w: float | None = Field(description="provisioned IT power")
    facility_w: float | None = Field(description="IT power times PUE and mean load")


class ProofPart(Part):
    """Why nothing in the space is better."""

    objective: str
    unit: str
    value: float
    bound: float | None
    gap: float | None
    space: str = "systems of one layout, replicated"
    considered: int = Field(description="layouts")
    impossible: dict[str, int] = Field(description="layouts that cannot run or be bought, by reason")
    feasible: int
    columns: int = Field(description="feasible layouts times replica counts and batch ranges")
    removed: int = Field(description="columns whose bound says that they cannot win")
    solved: int = Field(description="columns in the mixed-integer program")
    solves: int
    nodes: int
    enumerated: int | None = Field(description="points of the complete enumeration that agrees, if it ran")
    method: Literal["program", "enumeration", "both", "none"] = Field(
        description="what proves that nothing is better, to 1e-6: the bound of the program (of its solve, or of all "
        "its columns), the complete enumeration, or both; none: best found, and `bound` is as far as the proof came"
    )
    not_enumerated: str = Field(default="", description="why there is no complete enumeration")
    seconds: dict[str, float]


class OtherPart(Part):
    """The best system of another memory technology, or the best that is a product."""

    label: str
    chip: str | None
    layout: str | None
    replicas: int | None
    value: float | None
    behind: float | None = Field(description="share of the best value that it lacks")
    why: str = ""


class Answer(Document):
    """Best system under a budget: the document that `--json` prints and `verify` repeats."""

    kind: Literal["best-system"] = "best-system"
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    mode: str
    query: dict[str, Any]
    system: SystemPart | None = None
    performance: PerformancePart | None = None
    prefill: PrefillPart | None = Field(default=None, description="two pools: the one that computes prompts")
    transfer: TransferPart | None = None
    money: MoneyPart | None = None
    limits: tuple[LimitPart, ...] = ()
    proof: ProofPart | None = None
    others: tuple[OtherPart, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    in_the_way: str = ""
    cures: tuple[CurePart, ...] = ()
    conflicts: tuple[tuple[str, ...], ...] = Field(
        default=(), description="where no limit cures alone: the smallest sets that nothing satisfies"
    )
    not_looked_for: tuple[str, ...] = Field(default=(), description="cures that were not tried in the time given")
    together: tuple[CurePart, ...] = Field(default=(), description="and the cheapest cure of several, `relax` has more")
    inputs: tuple[InputPart, ...] = ()
    unverified: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    catalogue: str = Field(description="hash of the catalogue as used")
    hashes: dict[str, str] = Field(default_factory=dict, description="of each entry behind the system")
    versions: dict[str, str]
    seed: int = 0
