"""What a catalogue file may say: one pydantic record for each kind of thing.

A record is a file as written, checked. Unknown keys, missing sources, wrong units and numbers
that are not finite are errors. A number that nobody publishes is left out of the file: the
field is None then, and what needs it says so. No field has a default value for a quantity.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from codesign.facts.fact import Confidence, Fact, In, Table
from codesign.facts.gpu_records import QueueRecord, SmRecord
from codesign.facts.link_records import CollectiveRecord, GroupLatency, StandIn, check_collectives
from codesign.facts.model_records import ExpertShape, LinearShape, MlaShape, PublishedCount
from codesign.facts.paper_records import Table2

Bytes = Annotated[Fact, In("B")]
BytesPerSecond = Annotated[Fact, In("B/s")]
Flops = Annotated[Fact, In("FLOP/s")]
Watts = Annotated[Fact, In("W")]
Seconds = Annotated[Fact, In("s")]
Metres = Annotated[Fact, In("m")]
SquareMetres = Annotated[Fact, In("m2")]
Dollars = Annotated[Fact, In("USD")]
DollarsOrNone = Annotated[Fact, In("USD", "nonnegative")]
DollarsPerHour = Annotated[Fact, In("USD/h")]
Ratio = Annotated[Fact, In("1")]
Share = Annotated[Fact, In("1", most=1.0)]
ShareOrNone = Annotated[Fact, In("1", "nonnegative", most=1.0)]
Whole = Annotated[Fact, In("1", whole=True)]


class Record(Table):
    """What every file has: schema 1, the name that is also the file's name, a title."""

    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$")
    title: str = Field(min_length=1)
    note: str = ""


class MemoryRecord(Record):
    """A memory technology; a `stack` is one HBM stack, one GDDR or LPDDR package, one DDR channel."""

    kind: Literal["hbm", "gddr", "lpddr", "ddr", "stacked", "sram", "flash"]
    family: str  # "hbm3e" for both stack heights: what people filter by
    capacity: Bytes | None = None          # of one stack
    bandwidth: BytesPerSecond | None = None  # of one stack, one direction, as it ships
    bus_width: Whole | None = None         # bits of one stack's interface
    energy: Annotated[Fact, In("J/B")] | None = None
    shoreline: Metres | None = None        # die edge that one stack's interface takes
    footprint: SquareMetres | None = None  # package area of one stack
    price: Annotated[Fact, In("USD/B")] | None = None
    available: Whole | None = None         # year of volume
    area_density: Annotated[Fact, In("B/m2")] | None = None  # on-die memories
    bandwidth_density: Annotated[Fact, In("B/s/m2")] | None = None  # on-die memories


class PeakRates(Table):
    """Dense peak rates, without sparsity."""

    bf16: Flops | None = None
    fp8: Flops | None = None
    fp4: Flops | None = None
    int8: Flops | None = None
    vector: Flops | None = None  # FP32 outside the tensor units


class Connections(Table):
    """How chips of a kind are joined; bandwidths are per chip and per direction."""

    scale_up: str | None = None             # a link of instances/links
    scale_up_bandwidth: BytesPerSecond | None = None
    domain: Whole | None = None             # chips that scale_up joins
    scale_out: str | None = None
    scale_out_bandwidth: BytesPerSecond | None = None


class ChipRecord(Record):
    """A chip that one can buy, rent, or read about. `raw` and `usable` memory are kept apart."""

    vendor: str
    status: Literal["shipping", "announced", "study", "internal"]
    memory: str                              # a memory of instances/memory
    stacks: Whole | None = None
    raw_memory: Bytes | None = None
    usable_memory: Bytes | None = None
    bandwidth: BytesPerSecond | None = None
    peak: PeakRates
    power: Watts | None = None               # thermal design power of the chip
    connections: Connections = Field(default_factory=Connections)
    server: str | None = None                # a server of instances/servers
    price: Dollars | None = None             # bought
    manufacturing_cost: Dollars | None = None
    hyperscaler: DollarsPerHour | None = None  # an owner's all-in cost of a chip-hour
    rent: DollarsPerHour | None = None       # list price of a chip-hour
    available: Whole | None = None
    die_area: SquareMetres | None = None     # all dies together
    process: str | None = None


class DieRecord(Record):
    """Compute silicon to be joined with n stacks of a memory: one package, sold as one chip."""

    vendor: str
    process: str                             # a process of instances/processes
    package: str                             # a package of instances/packages
    dies: Whole                              # equal dies in the package
    die_area: SquareMetres                   # of one of them
    harvest: ShareOrNone                     # share of defective dies that still sell
    peak: PeakRates
    logic_power: Watts                       # the chip without its memory
    interfaces: tuple[Literal["hbm", "gddr", "lpddr", "ddr", "stacked", "flash"], ...]
    shoreline: Metres                        # die edge free for memory interfaces
    pin_rate: BytesPerSecond                 # fastest that the die drives one memory pin
    usable: Share                            # sold share of the raw memory
    usable_with: dict[str, Share] = Field(default_factory=dict)  # where a product shows another share
    connections: Connections
    server: str
    test: Dollars                            # test, assembly, auxiliary parts
    assembly_yield: Share
    margin: Annotated[Fact, In("1", "nonnegative", most=0.99)]  # gross margin of the vendor on cost
    nre: Dollars                             # design, masks, tape-out
    volume: Whole                            # chips over which nre is spread
    available: Whole


class ProcessRecord(Record):
    """A silicon process: what a wafer costs and how often it fails."""

    wafer_price: Dollars
    wafer_diameter: Metres
    defect_density: Annotated[Fact, In("/m2")]
    clustering: Ratio                        # alpha of the negative binomial yield


class PackageRecord(Record):
    """An advanced package: its price and how many stacks it can carry."""

    price: Dollars
    most_stacks: Whole


class LinkRecord(Record):
    """A fabric: ideal collective latencies (mode limit), and fitted times of measured collectives."""

    kind: Literal["scale-up", "scale-out"]
    limit: tuple[GroupLatency, ...]          # rising in group; larger groups have no number
    hop: Seconds                             # one send between neighbours, mode limit
    measured_bandwidth: BytesPerSecond | None = None  # of a chip on which the collectives were measured, one direction
    collectives: tuple[CollectiveRecord, ...] = ()
    like: StandIn | None = None

    @model_validator(mode="after")
    def _rising(self) -> "LinkRecord":
        groups = [entry.group for entry in self.limit]
        if not groups or groups != sorted(set(groups)):
            raise ValueError(f"limit: groups {groups} must be given and rise")
        check_collectives(self.collectives, measured_at=self.measured_bandwidth is not None)
        return self


class ServerRecord(Record):
    """The unit in which chips are bought: a server, or a rack sold whole."""

    chips: Whole
    price: DollarsOrNone | None = None       # everything in it but the accelerators
    power: Annotated[Fact, In("W", "nonnegative")] | None = None  # likewise
    per_rack: Whole                          # how many fill a rack


class EconomicsRecord(Record):
    """Money around the chips: network, building, electricity, finance."""

    network: DollarsOrNone                   # a chip's share of the scale-out network
    facility: Annotated[Fact, In("USD/W", "nonnegative")]       # building per watt of IT power
    electricity: Annotated[Fact, In("USD/J", "nonnegative")]
    pue: Annotated[Fact, In("1", least=1.0)]
    load: Share                              # mean draw over provisioned power
    depreciation: Annotated[Fact, In("years")]              # chips, servers, network
    facility_life: Annotated[Fact, In("years")]
    cost_of_money: Annotated[Fact, In("1/years", "nonnegative")]
    upkeep: Annotated[Fact, In("1/years", "nonnegative")]       # a year's upkeep over capital
    utilisation: Share                       # share of hours at the stated load, for $ per token


class ModelRecord(Record):
    """The exact shape of a transformer, from its published configuration."""

    source: str
    date: str = Field(pattern=r"^\d{4}(-\d{2}){0,2}$")
    confidence: Confidence
    layers: int = Field(gt=0, le=1000)
    hidden: int = Field(gt=0, le=10**7)
    vocab: int = Field(gt=0, le=10**7)
    tied_embedding: bool
    heads: int = Field(gt=0, le=10**7)
    kv_heads: int | None = Field(default=None, gt=0, le=10**7)
    head_dim: int | None = Field(default=None, gt=0, le=10**7)
    mla: MlaShape | None = None
    linear: LinearShape | None = None        # of the layers without full attention
    qkv_bias: bool = False
    output_bias: bool = False
    output_gate: bool = False                # the output of full attention times a sigmoid, its input as wide as Q
    qk_norm: Literal["none", "head", "full"] = "none"  # a norm of head_dim, or over all heads
    norms: int = Field(default=2, gt=0)      # norms of `hidden` in one layer
    dense_ffn: int | None = Field(default=None, gt=0, le=10**7)
    ffn_matrices: Literal[2, 3] = 3          # 3: gate, up, down
    experts: ExpertShape | None = None
    router_bias: bool = False
    expert_bias: bool = False
    shared_gate: bool = False                # the shared experts' output times a sigmoid of one number
    sinks: bool = False                      # one learned sink per head
    indexer: bool = False                    # chooses the tokens attended to; neither weights nor work counted
    window: int | None = Field(default=None, gt=0, le=10**7)
    full_attention_every: int | None = Field(default=None, gt=0, le=10**7)  # the others: `window` or `linear`
    context: int = Field(gt=0, le=10**9)
    native: Literal["bf16", "fp8", "mxfp4"]
    published: PublishedCount

    @model_validator(mode="after")
    def _whole_shape(self) -> "ModelRecord":
        if (self.mla is None) == (self.kv_heads is None or self.head_dim is None):
            raise ValueError("give either mla, or kv_heads and head_dim")
        if self.experts is None and self.dense_ffn is None:
            raise ValueError("a model without experts needs dense_ffn")
        if (self.window is not None) + (self.linear is not None) != (self.full_attention_every is not None):
            raise ValueError("full_attention_every goes together with either window or linear")
        return self


class PaperCell(Table):
    """One printed result: tokens/s that a user of `chip` sees at a tensor degree, batch and context."""

    chip: str                                # a chip of instances/chips
    tensor: int = Field(gt=0)
    batch: int = Field(gt=0)
    context: int = Field(gt=0)               # tokens
    user_speed: Annotated[Fact, In("tokens/s")]


class PaperNeed(Table):
    """One printed need: memory that holds the weights and the caches of `users` at `context`."""

    users: int = Field(gt=0)
    context: int = Field(gt=0)               # tokens
    memory: Bytes


class PaperRecord(Record):
    """What is known of a published limit study: its constants for one model, and printed results."""

    source: str
    model: str                               # a model of instances/models
    weights: Bytes                           # rounded as the study rounds them
    kv_per_token: Bytes
    layers: Whole
    collectives: Whole                       # exposed ones of a layer
    latency: tuple[GroupLatency, ...]        # rising in group; larger groups have no number
    cells: tuple[PaperCell, ...]
    needs: tuple[PaperNeed, ...]


# Names of the achieved-rate constants; their meanings and units are in `codesign.physics.achieved`.
COMMON = ("memory", "expert", "unpack", "matrix", "prefill", "overlap", "fixed_s", "collective")
BY_ENGINE = ("kernel_s", "user_s", "prefill_rate")
BY_FAMILY = ("rate", "overhead")
FIRST_TOKEN = ("wait_steps", "chunk_tokens", "own", "burst", "prompt_kernel_s", "queue", "pool_fixed")


class FitRecord(Table):
    """How a set of constants was fitted, and how wrong it is on runs that it has not seen."""

    date: str = Field(pattern=r"^\d{4}(-\d{2}){0,2}$")
    runs: int = Field(ge=1)
    chips: dict[str, int]                    # runs by chip
    table: str                               # what was fitted to
    sha256: str                              # of the table
    errors: dict[str, dict[str, float]]      # split -> {tpot_median, tpot_mean, ttft_median, ttft_mean}
    coverage: dict[str, dict[str, dict[str, float]]]  # tpot, ttft -> split -> {pooled, low, high}: see `bands`
    ordering: dict[str, tuple[int, int]]     # pairs of layouts in the right order, of how many


class AchievedRecord(Record):
    """Achieved-rate constants, fitted by `codesign calibrate`; meanings and units in `codesign.physics.achieved`."""

    source: str
    families: dict[str, tuple[str, ...]]     # family -> its chips
    common: dict[str, float]
    engine: dict[str, dict[str, float]]
    family: dict[str, dict[str, float]]
    release: dict[str, float]
    first_token: dict[str, float]
    first_token_engine: dict[str, float]
    first_token_release: dict[str, float]
    band: dict[str, tuple[float, float]]     # group -> 10th and 90th percentile of measured over predicted
    first_token_band: dict[str, tuple[float, float]]
    fit: FitRecord

    def family_of(self, chip: str) -> str:
        """The family of a chip, or of the die of a composed one; a chip of none is its own, with no constants."""
        base = chip.partition("+")[0]
        return next((family for family, chips in self.families.items() if base in chips), base)

    @model_validator(mode="after")
    def _complete(self) -> "AchievedRecord":
        needed = {"common": COMMON, "first_token": FIRST_TOKEN}
        tables = {"common": self.common, "first_token": self.first_token}
        tables |= {f"engine.{name}": table for name, table in self.engine.items()}
        tables |= {f"family.{name}": table for name, table in self.family.items()}
        for name, table in tables.items():
            wanted = needed.get(name) or (BY_ENGINE if name.startswith("engine.") else BY_FAMILY)
            if set(table) != set(wanted):
                raise ValueError(f"{name} has {', '.join(sorted(table))}; expected {', '.join(wanted)}")
        both = self.band.keys() & self.first_token_band.keys()
        if not self.engine or set(self.engine) != set(self.first_token_engine) or "all" not in both:
            raise ValueError("give each engine in engine and first_token_engine, and a band for 'all'")
        if any(not value > 0 for table in tables.values() for value in table.values()):
            raise ValueError("every constant must be positive")
        return self


class GpuRecord(Record):
    """A GPU as operators and pipelines see it; a number that is left out is given by the user, or not needed."""

    vendor: str
    sms: Whole
    tensor: Flops                            # dense, FP16
    simt: Flops                              # FP16 outside the tensor units
    simt_fp32: Flops | None = None
    dram_bandwidth: BytesPerSecond
    l2_bandwidth: BytesPerSecond | None = None
    l2_capacity: Bytes
    gpcs: Whole | None = None
    l2_partitions: Whole | None = None
    power: Watts
    sm: SmRecord
    queue: QueueRecord | None = None


class SourceRecord(Table):
    """Where numbers come from: title, address or DOI, the day it was read."""

    title: str
    url: str
    read: str = Field(pattern=r"^\d{4}(-\d{2}){0,2}$")


class StudyRecord(Record, Table2):
    """What is known of the Kitsune study's results."""


KINDS: dict[str, type[Record]] = {
    "memory": MemoryRecord,
    "chips": ChipRecord,
    "dies": DieRecord,
    "models": ModelRecord,
    "links": LinkRecord,
    "servers": ServerRecord,
    "processes": ProcessRecord,
    "packages": PackageRecord,
    "prices": EconomicsRecord,
    "achieved": AchievedRecord,
    "papers": PaperRecord,
    "gpus": GpuRecord,
    "studies": StudyRecord,
}


def numbers(record: BaseModel, prefix: str = "") -> list[tuple[str, Fact]]:
    """Every sourced number of a record as (dotted path inside the record, fact)."""
    found: list[tuple[str, Fact]] = []
    for key in type(record).model_fields:
        value = getattr(record, key)
        path = f"{prefix}{key}"
        if isinstance(value, Fact):
            found.append((path, value))
        elif isinstance(value, BaseModel):
            found += numbers(value, f"{path}.")
        elif isinstance(value, tuple | dict):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for name, item in items:
                if isinstance(item, Fact):
                    found.append((f"{path}.{name}", item))
                elif isinstance(item, BaseModel):
                    found += numbers(item, f"{path}.{name}.")
    return found
