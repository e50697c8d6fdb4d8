"""Which numbers of a chip may be moved, and the nearest move along a line of values at which something wins."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from codesign.physics.hardware import Chip
from codesign.study.parameters import parameters
from codesign.study.query_study import Warm
from codesign.system.query import Query


@dataclass(frozen=True)
class Kind:
    """Numbers of one chip that are moved together by a factor, up or down."""

    name: str
    paths: tuple[str, ...]
    up: bool
    monotone: bool = True  # whether it can only help those that have it


def kinds(warm: Warm, chip: Chip) -> list[Kind]:
    """What of a chip may be moved: catalogue paths that exist, of the chip or of its die and memory."""
    known = {p.path for p in parameters(warm.catalog, warm.query)}
    home = f"chips.{chip.name}" if chip.die is None else f"dies.{chip.die}"
    memory = f"memory.{chip.memory}"
    links = [link.name for link in (chip.scale_up, chip.scale_out) if link is not None]
    server = None if chip.server is None else f"servers.{chip.server.name}"
    composed = chip.die is not None
    wanted = [
        *_prices(warm.query, chip, home, memory, str(server)),
        # more of a stack costs power, and a price by the byte
        Kind("bandwidth", (f"{memory}.bandwidth",) if composed else (f"{home}.bandwidth",), True, not composed),
        Kind("capacity", (f"{memory}.capacity",) if composed else (f"{home}.usable_memory",), True, not composed),
        Kind("tensor arithmetic", tuple(f"{home}.peak.{p}" for p in ("bf16", "fp8", "fp4", "int8")), True),
        Kind("vector arithmetic", (f"{home}.peak.vector",), True),
        Kind("latency of the links", tuple(p for p in sorted(known) if any(
            p.startswith((f"links.{name}.limit.", f"links.{name}.hop")) for name in links)), False),
        Kind("bandwidth of the links", (f"{home}.connections.scale_up_bandwidth",
                                        f"{home}.connections.scale_out_bandwidth"), True),
        Kind("power of the chip", (f"{home}.logic_power",) if composed else (f"{home}.power",), False),
        Kind("power of the server", (f"{server}.power",), False),
    ]  # fmt: skip
    found = [replace(k, paths=tuple(path for path in k.paths if path in known)) for k in wanted]
    return [k for k in found if k.paths]


def _prices(query: Query, chip: Chip, home: str, memory: str, server: str) -> list[Kind]:
    """What the query's basis pays for."""
    if query.basis != "buy":
        return [Kind("price of a chip-hour", (f"{home}.{query.basis}",), False)]
    bought = Kind("price of the server", (f"{server}.price",), False)
    if chip.die is None:
        price = "price" if query.price_basis == "sold" else "manufacturing_cost"
        return [Kind("price of the chip", (f"{home}.{price}",), False), bought]
    margin = Kind("margin of the chip", (f"{home}.margin",), False)
    return [Kind("price of the memory", (f"{memory}.price",), False), margin, bought]


@dataclass(frozen=True)
class Line:
    """Values from near to far by index; `jumps`: nothing changes between them."""

    count: int
    value: Callable[[int], float]
    jumps: bool


def nearest(count: int, values: Callable[[int], tuple[float, float]], *, generous: bool) -> int | None:
    """The first index at which what is asked for is no worse than the rest; None where there is none.

    `values` are the best of both. With a more generous limit neither falls, with a tighter one neither rises: so a
    stretch without a win is seen by its ends.
    """
    open_ranges = [(0, count - 1)] if count else []
    while open_ranges:
        low, high = open_ranges.pop()
        first, last = values(low), values(high)
        if 0 < first[0] >= first[1]:
            return low
        most, least = (last[0], first[1]) if generous else (first[0], last[1])
        if low == high or most == 0 or most < least:
            continue
        middle = (low + high) // 2
        open_ranges += [(middle + 1, high), (low, middle)]  # the nearer half comes first
    return None
