"""Memory technologies, dies, chips, links and servers in SI, and how a die with stacks makes a chip."""

import math
from dataclasses import dataclass

from codesign.facts.collective_table import Collective


@dataclass(frozen=True)
class Link:
    """A fabric: (largest group, seconds of one collective) in mode limit, rising in group; measured collectives."""

    name: str
    limit: tuple[tuple[int, float], ...]
    hop_s: float
    collectives: tuple[Collective, ...] = ()

    def latency_s(self, group: int) -> float | None:
        """Seconds of one collective over `group` chips, tiny message; None where no number is known."""
        return next((seconds for most, seconds in self.limit if group <= most), None)


@dataclass(frozen=True)
class Server:
    """The unit in which chips are bought; `price_usd` and `power_w` are without the accelerators."""

    name: str
    chips: int
    per_rack: int
    price_usd: float | None
    power_w: float | None


@dataclass(frozen=True)
class Chip:
    """One accelerator package, from the catalogue or composed; None is a number nobody publishes.

    Rates are dense peaks in FLOP/s; bandwidths in B/s, links per direction; memory in bytes.
    """

    name: str
    title: str
    vendor: str
    status: str
    memory: str
    family: str
    stacks: int | None
    raw_bytes: float | None
    usable_bytes: float | None
    bandwidth: float | None
    peak: dict[str, float]
    vector: float | None
    power_w: float | None
    scale_up: Link | None
    scale_up_bandwidth: float | None
    domain: int | None
    scale_out: Link | None
    scale_out_bandwidth: float | None
    server: Server | None
    price_usd: float | None
    cost_usd: float | None
    hyperscaler_usd_h: float | None
    rent_usd_h: float | None
    available: int | None
    die: str | None = None                 # composed chips: the die
    paths: tuple[str, ...] = ()            # catalogue entries behind the numbers


@dataclass(frozen=True)
class MemoryTechnology:
    """One stack of a memory: an HBM stack, a GDDR or LPDDR package, a DDR channel; None is unknown."""

    name: str
    title: str
    kind: str                              # hbm, gddr, lpddr, ddr, stacked, sram, flash
    family: str
    capacity_bytes: float | None
    bandwidth: float | None                # B/s of one stack, as it ships
    bus_width: int | None                  # pins (bits) of one stack
    energy_j_per_byte: float | None
    shoreline_m: float | None              # die edge that one stack takes
    footprint_m2: float | None
    price_usd_per_byte: float | None
    available: int | None                  # year of volume


@dataclass(frozen=True)
class Process:
    """A silicon process: wafer price, diameter, defects per m2, alpha of the negative binomial."""

    name: str
    wafer_usd: float
    wafer_diameter_m: float
    defects_per_m2: float
    clustering: float


@dataclass(frozen=True)
class Package:
    """What joins dies and stacks: its price and the most stacks that it carries."""

    name: str
    price_usd: float
    most_stacks: int


@dataclass(frozen=True)
class Die:
    """Compute silicon of one package before its memory is chosen.

    `dies` equal dies of `area_m2`; `logic_power_w`, peaks and shoreline count all of them together.
    `usable` is the sold share of raw memory, `usable_with` the share that a product shows with one memory.
    """

    name: str
    title: str
    vendor: str
    process: str
    package: str
    dies: int
    area_m2: float
    harvest: float                         # share of defective dies that still sell
    peak: dict[str, float]
    vector: float | None
    logic_power_w: float
    interfaces: tuple[str, ...]
    shoreline_m: float
    pin_rate: float                        # B/s on one memory pin
    usable: float
    usable_with: dict[str, float]
    scale_up: Link | None
    scale_up_bandwidth: float | None
    domain: int | None
    scale_out: Link | None
    scale_out_bandwidth: float | None
    server: Server | None
    test_usd: float
    assembly_yield: float
    margin: float
    nre_usd: float
    volume: int
    available: int


def most_stacks(die: Die, memory: MemoryTechnology, package: Package) -> int:
    """Most stacks of `memory` that the die's edge and the package hold; 0 where they cannot be joined.

    Stacked DRAM lies on the logic die and needs no edge: one stack a die. The edge is taken as one
    length, so a remainder at a corner counts as usable. A memory without a known shoreline gives 0.
    """
    if memory.kind not in die.interfaces:
        return 0
    if memory.kind == "stacked":
        return die.dies
    if memory.shoreline_m is None:
        return 0
    along_edge = math.floor(die.shoreline_m / memory.shoreline_m + 1e-9)  # 66 mm / 11 mm is 6, not 5.999
    return min(along_edge, package.most_stacks)


def compose(
    die: Die,
    memory: MemoryTechnology,
    stacks: int,
    package: Package,
    *,
    cost_usd: float | None = None,
    price_usd: float | None = None,
) -> Chip:
    """The chip that `die` makes with `stacks` of `memory`; a number is None where an input of it is None.

    Cost and price come from `cost.manufacturing_usd` and `cost.sold_usd`. Power is that of the logic
    plus full memory bandwidth times energy a byte. Not modelled: the die keeps its area and price with
    any interface; no thermal limit of memory stacked on logic; no footprint limit of the package
    beyond `most_stacks`; the peak rates do not fall when memory takes a larger share of the power.
    Raises ValueError where die, package and stacks cannot be joined.
    """
    if package.name != die.package:
        raise ValueError(f"package = {package.name!r}: {die.name} is made for {die.package!r}")
    most = most_stacks(die, memory, package)
    if not 1 <= stacks <= most:
        raise ValueError(f"stacks = {stacks}: {die.name} on {package.name} holds 1..{most} of {memory.name}")
    bandwidth = _times(stacks, _stack_bandwidth(die, memory))
    raw_bytes = _times(stacks, memory.capacity_bytes)
    memory_w = _times(bandwidth, memory.energy_j_per_byte)
    share = die.usable_with.get(memory.name, die.usable)
    return Chip(
        name=f"{die.name}+{stacks}x{memory.name}",
        title=f"{die.title} with {stacks} x {memory.title}",
        vendor=die.vendor,
        status="composed",
        memory=memory.name,
        family=memory.family,
        stacks=stacks,
        raw_bytes=raw_bytes,
        usable_bytes=None if raw_bytes is None else float(math.floor(raw_bytes * share)),
        bandwidth=bandwidth,
        peak=dict(die.peak),
        vector=die.vector,
        power_w=None if memory_w is None else die.logic_power_w + memory_w,
        scale_up=die.scale_up,
        scale_up_bandwidth=die.scale_up_bandwidth,
        domain=die.domain,
        scale_out=die.scale_out,
        scale_out_bandwidth=die.scale_out_bandwidth,
        server=die.server,
        price_usd=price_usd,
        cost_usd=cost_usd,
        hyperscaler_usd_h=None,
        rent_usd_h=None,
        available=None if memory.available is None else max(die.available, memory.available),
        die=die.name,
        paths=(
            f"dies.{die.name}",
            f"memory.{memory.name}",
            f"processes.{die.process}",
            f"packages.{die.package}",
        ),
    )


def _stack_bandwidth(die: Die, memory: MemoryTechnology) -> float | None:
    """B/s of one stack: what it ships with, or what the die's pins carry if that is less."""
    if memory.bandwidth is None or memory.kind == "stacked":  # hybrid bonds, not package pins
        return memory.bandwidth
    if memory.bus_width is None:
        return None
    return min(memory.bandwidth, die.pin_rate * memory.bus_width)


def _times(count: float | None, each: float | None) -> float | None:
    return None if count is None or each is None else count * each
