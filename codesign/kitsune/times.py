"""How long an operator takes alone, in a vertical group, and as a stage that queues feed.

One set of assumptions for every graph; each number of `Assumptions` says why. An operator alone takes

    alone    = max(DRAM bytes / (dram_share D), work) + launch_s
    work     = waves * (FLOP of a tile / rate of an SM + tile_s)       tensor: the fastest tile and split of K
             = FLOP / (stream_share SIMT peak)                          simt

and a vertical group, one kernel, pays one launch, its traffic and the sum of its work. Where it has more
than one product of matrices a CTA owns whole rows and reads all weights through its own port to L2. As a
stage, spread over all SMs, an operator takes

    streamed = max(FLOP / (stream_share peak), bytes / (l2_share B))

bytes: read and written, weights not among them: they stay with the CTAs of the stage. Units: s, B, FLOP.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from codesign.facts.errors import DataError
from codesign.facts.reading import text_of
from codesign.kitsune.gpu import Gpu
from codesign.kitsune.graph import Graph, Operator
from codesign.kitsune.traffic import group_bytes, operator_bytes

TILES = tuple((rows, columns) for rows in (128, 64, 32, 16) for columns in (128, 64))
LEAST_K = 128  # columns of a split of K: below, sums of the parts cost more than the split gains
KIB = 1024


@dataclass(frozen=True)
class Assumptions:
    """Shares of peaks and latencies, the same for every operator of every graph.

    dram_share 0.85     copies reach 80 to 90 % of the DRAM peak of an A100
    tensor_share 0.70   main loop of a GEMM on full tiles; large FP16 GEMMs reach 210 to 250 of 312 TFLOP/s
    stream_share 0.62   of a pipe's peak in a stage fed from queues, as the study's predecessor took it
    l2_share 0.62       the same share for L2
    tile_s 1 us         of a tile outside its main loop: first operands from DRAM, last store
    launch_s 2.5 us     from the last CTA of a kernel to the first data of the next that waits for it
    entry 16 KiB        one entry of a queue; below the study's 64 KiB: less fill, and the rate suffices mostly
    entries             what the best schedule may take for a pipeline instead, up to the study's 256 KiB
    sum_tile 128        rows and columns of the output that a CTA of a sum over rows owns, as in a GEMM
    queue_share 0.75    of L2 that rings may take, the rest is for weights and what DRAM sends
    latency             False: the study's zero-latency model, no fill and no cost of queues
    """

    dram_share: float = 0.85
    tensor_share: float = 0.70
    stream_share: float = 0.62
    l2_share: float = 0.62
    tile_s: float = 1e-6
    launch_s: float = 2.5e-6
    entry: int = 16 * KIB
    entries: tuple[int, ...] = (16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB)
    sum_tile: int = 128
    queue_share: float = 0.75
    latency: bool = True

    def __post_init__(self) -> None:
        shares = ("dram_share", "tensor_share", "stream_share", "l2_share", "queue_share")
        faults = [f"{name} = {getattr(self, name)!r} must be above 0 and at most 1" for name in shares
                  if not 0 < getattr(self, name) <= 1]  # fmt: skip
        faults += [f"{name} = {getattr(self, name)!r} must not be negative" for name in ("tile_s", "launch_s")
                   if not 0 <= getattr(self, name) < math.inf]  # fmt: skip
        if faults or min((self.entry, self.sum_tile, *self.entries)) < 1:
            raise ValueError("; ".join(faults) or f"entry = {self.entry!r}, entries = {self.entries!r} (B) and "
                             f"sum_tile = {self.sum_tile!r}: all must be at least one")  # fmt: skip

    def stated(self) -> tuple[str, ...]:
        """What is assumed, one sentence each, for a reader of an answer."""
        fed = f"a tile crosses a stage in one queue hop of a {self.entry / KIB:g} KiB entry; fill hides the launch"
        if others := [f"{entry / KIB:g}" for entry in self.entries if entry != self.entry]:
            fed += f"; the best schedule may take entries of {', '.join(others)} KiB for a pipeline"
        if not self.latency:
            fed = "the study's zero-latency model: no fill, drain or queue cost"
        return (
            f"DRAM gives {self.dram_share:.0%} of its peak, alone and in pipelines",
            f"a GEMM alone: {self.tensor_share:.0%} of the tensor peak in its main loop, {self.tile_s * 1e6:g} us a "
            "tile outside it, whole waves of tiles over the SMs",
            f"fed from queues, a stage reaches {self.stream_share:.0%} of its pipe's peak and L2 {self.l2_share:.0%}",
            f"{self.launch_s * 1e6:g} us between two kernels that depend on each other",
            fed,
            f"a CTA of a sum over rows owns {self.sum_tile} rows and columns of it; split in k parts it has k times as "
            "many CTAs, which add up in a tree of queues when the last row has passed",
            "weights are read from DRAM once for each kernel, and stay on the chip while a pipeline runs",
        )


@dataclass(frozen=True)
class Times:
    """Times (s) of one graph on one GPU; `measured` replaces the time alone of the operators it names."""

    graph: Graph
    gpu: Gpu
    assumed: Assumptions = field(default_factory=Assumptions)
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def dram(self) -> float:
        """B/s that DRAM gives."""
        return self.gpu.dram_bandwidth * self.assumed.dram_share

    @property
    def l2(self) -> float:
        """B/s that L2 gives."""
        return self.gpu.l2_bandwidth * self.assumed.l2_share

    def at_entry(self, entry: int) -> "Times":
        """The same with another entry (B) of queues."""
        return self if entry == self.assumed.entry else replace(self, assumed=replace(self.assumed, entry=entry))

    @property
    def hop_s(self) -> float:
        """The first tile's way through a stage: one queue entry, or half a launch where that is longer.

        A pipeline has two stages in a row at least, so its fill is no less than a launch, with which it overlaps.
        """
        if not self.assumed.latency:
            return 0.0
        return max(self.gpu.queue_sync + self.assumed.entry / self.gpu.queue_bandwidth, self.assumed.launch_s / 2)

    @property
    def queue_rate(self) -> float:
        """B/s through the queue of one CTA; infinite in the zero-latency model."""
        if not self.assumed.latency:
            return math.inf
        return self.assumed.entry / (self.gpu.queue_sync + self.assumed.entry / self.gpu.queue_bandwidth)

    @cached_property
    def alone_s(self) -> tuple[float, ...]:
        """Each operator run bulk-synchronously."""
        return tuple(self._alone(i) for i in range(len(self.graph)))

    @cached_property
    def streamed_s(self) -> tuple[float, ...]:
        """Each operator's work as a stage, spread over all SMs; never zero."""
        return tuple(max(self._flow(i), 1e-15) for i in range(len(self.graph)))

    def _alone(self, i: int) -> float:
        op = self.graph.operators[i]
        if op.name in self.measured:
            return self.measured[op.name]
        return max(operator_bytes(self.graph, i) / self.dram, self._work(op)) + self.assumed.launch_s

    def _flow(self, i: int) -> float:
        op = self.graph.operators[i]
        peak = self.gpu.tensor if op.pipe == "tensor" else self.gpu.simt
        touched = sum(self.graph.reads[i].values()) + op.output.bytes
        return max(op.flop / (peak * self.assumed.stream_share), touched / self.l2)

    def _work(self, op: Operator) -> float:
        if op.pipe == "tensor" and op.flop:
            return _tiled(op, self.gpu.sms, self.sm_rate, self.assumed.tile_s)
        peak = self.gpu.tensor if op.pipe == "tensor" else self.gpu.simt
        return op.flop / (peak * self.assumed.stream_share)

    @property
    def sm_rate(self) -> float:
        """FLOP/s of the tensor units of one SM in the main loop of a GEMM."""
        return self.gpu.tensor * self.assumed.tensor_share / self.gpu.sms

    def vertical_s(self, group: Sequence[int]) -> float | None:
        """Seconds of a group as one kernel; None: it does not fit the shared memory of an SM."""
        products = [op for i in group if (op := self.graph.operators[i]).pipe == "tensor"]
        work = sum(self._work(op) for i in group if (op := self.graph.operators[i]).pipe == "simt")
        if len(products) > 1:
            if self.shared_bytes(group) > (self.gpu.shared_memory or math.inf):
                return None
            work += min(self._rowwise(products, rows) for rows in (128, 64, 32, 16))
            work += sum(op.weights for op in products) * self.gpu.sms / self.l2
        else:
            work += sum(self._work(op) for op in products)
        return max(group_bytes(self.graph, group) / self.dram, work) + self.assumed.launch_s

    def _rowwise(self, products: Sequence[Operator], rows: int) -> float:
        """Products one after the other on tiles of whole rows: only the first and last meet DRAM."""
        waves = math.ceil(max(op.rows for op in products) / rows / self.gpu.sms)
        flop = sum(op.flop / op.rows * rows for op in products)
        return waves * (flop / self.sm_rate + self.assumed.tile_s)

    def shared_bytes(self, group: Sequence[int]) -> int:
        """B of shared memory of a vertical group of several products: a layer's weights, and 64 rows in and out."""
        inside = [self.graph.operators[i] for i in group]
        widest = max(op.width * op.output.bytes_per_element for op in inside)
        return max(op.weights for op in inside) + 2 * 64 * widest


def _tiled(op: Operator, sms: int, sm_rate: float, tile_s: float) -> float:
    """Seconds of a product of matrices in waves of tiles, by the fastest tile and split of K."""
    shape = op.output.shape
    batch = math.prod(shape[:-2]) if op.kind.startswith("bmm") else 1
    rows, columns = math.prod(shape[:-1]) // batch, shape[-1]
    inner = op.flop / (2 * batch * rows * columns)
    times = []
    for high, wide in TILES:
        tiles = batch * math.ceil(rows / high) * math.ceil(columns / wide)
        split = 1
        while split == 1 or (inner / split >= LEAST_K and tiles * split <= 2 * sms):
            waves = math.ceil(tiles * split / sms)
            times.append(waves * (2 * high * wide * inner / split / sm_rate + tile_s))
            split *= 2
    return min(times)


def read_measured(path: Path, graph: Graph) -> dict[str, float]:
    """Measured times by operator from a CSV file with the columns name and seconds.

    Raises DataError with every fault: columns missing, an operator unknown or named twice, a time that is
    no positive number. Operators that the table leaves out keep their roofline times.
    """
    table = csv.DictReader(io.StringIO(text_of(path, f"--measured {path}")))
    if set(table.fieldnames or ()) != {"name", "seconds"}:
        raise DataError(f"--measured {path}: columns are {table.fieldnames}, expected name, seconds")
    found: dict[str, float] = {}
    faults = []
    for line, row in enumerate(table, start=2):
        name, written = (row["name"] or "").strip(), (row["seconds"] or "").strip()
        try:
            seconds = float(written)
        except ValueError:
            seconds = math.nan
        if name not in graph.position:
            faults.append(f"line {line}: {name!r} is no operator of {graph.name!r}")
        elif name in found:
            faults.append(f"line {line}: {name!r} is named twice")
        elif not 0 < seconds < math.inf or None in row:
            faults.append(f"line {line}: {name}: seconds = {written!r} must be one positive number")
        else:
            found[name] = seconds
    if faults:
        raise DataError(f"--measured {path}: " + "; ".join(faults))
    return found
