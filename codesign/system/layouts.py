"""Every layout of every chip as arrays: the space that a query searches, and its step times.

The same closed forms as `performance`, over all layouts at once; a test holds the two together.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from codesign.facts.memo import by_identity
from codesign.physics.experts import busiest, line_below, lines_below, rises
from codesign.physics.hardware import Chip, Link
from codesign.physics.layout import BYTES, Layout
from codesign.physics.performance import ACTIVATION_BYTES, COLLECTIVES, Stage, largest_stage
from codesign.physics.workload import Layer, Model
from codesign.system.query import Limits
from formulations.best_system.bounds import ROUNDING

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
MOST_TENSOR = 128     # the study gives no collective latency beyond
MOST_PIPELINE = 32
REASONS = ("", "no collective latency for so many chips", "no scale-out link", "more chips than allowed",
           "weights do not fit", "no user's cache fits")  # fmt: skip


@dataclass(frozen=True)
class Space:
    """Layouts by position: indices into `chips` and `precisions`, degrees, and why one is impossible.

    `reason` indexes REASONS; 0 is a layout that can run. `room` is the most users of one stage.
    Step of a layout with B users in a stage, in seconds: the larger of
    read_fixed + read_slope * B + expert * busiest(B) and compute_fixed + compute_slope * B.
    """

    model: Model
    chips: tuple[Chip, ...]
    precisions: tuple[tuple[str, str], ...]  # (weights, kv)
    chip: Ints
    precision: Ints
    tensor: Ints
    pipeline: Ints
    experts: Ints
    reason: Ints
    room: Ints
    read_fixed: Floats
    read_slope: Floats
    expert: Floats
    compute_fixed: Floats
    compute_slope: Floats

    def __len__(self) -> int:
        return len(self.chip)

    @property
    def group(self) -> Ints:
        """Chips of one stage, which a server holds together where it can."""
        return self.tensor

    @property
    def reasons(self) -> tuple[str, ...]:
        """What the codes in `reason` mean."""
        return REASONS

    @property
    def curved(self) -> bool:
        """Whether any layout's memory time is not a straight line in the batch."""
        return any(layer.experts for layer in self.model.layers)

    @property
    def _moe(self) -> Layer | None:
        return next((layer for layer in self.model.layers if layer.experts), None)

    def times(self, batch: Any, at: Any = slice(None)) -> tuple[Floats, Floats, Floats | None]:
        """Step, cycle and time to first token (None: not timed in this mode) in seconds."""
        step = self.step_s(batch, at)
        return step, step, None

    def within(self, batch: Any, limits: Limits, at: Any = slice(None)) -> Any:
        """Whether users of the layouts `at` get what they must, with `batch` users in a stage."""
        step, _, first = self.times(batch, at)
        return meets(limits, step, first)

    def cycle_s(self, batch: Any, at: Any = slice(None)) -> Floats:
        """Seconds in which each user gets one token, all waits shared out; here a step."""
        return self.step_s(batch, at)

    def lines(self, at: Ints, least: Floats, most: Floats, objective: str) -> tuple[Floats, Floats, Floats, Floats]:
        """Two lines (s) under each cycle on least .. most: intercept and slope of memory, then of compute.

        Itself where it is straight; under experts a line that is exact at the most, for speed at the least.
        """
        fixed, slope, moe = self.read_fixed[at], self.read_slope[at], self._moe
        compute = self.compute_fixed[at], self.compute_slope[at]
        if moe is None or len(at) == 0:
            return fixed, slope, *compute
        if objective == "speed":  # the curve never falls: its value at the least batch is a line below
            return fixed + self.expert[at] * self.busiest(least, at), slope, *compute
        lines = np.zeros((2, len(at)))
        degrees = self.experts[at]
        for degree in np.unique(degrees):
            here = degrees == degree
            lines[:, here] = lines_below(moe.experts, moe.top_k, int(degree), most[here].astype(np.int64))
        single = least == most
        lines[0, single] += lines[1, single] * most[single]
        lines[1, single] = 0.0
        return fixed + self.expert[at] * lines[0], slope + self.expert[at] * lines[1], *compute

    def line(self, at: int, least: int, most: int, anchor: str) -> tuple[float, float, float, float]:
        """As `lines` for one layout, exact at the end that `anchor` names."""
        line = (0.0, 0.0) if self._moe is None else line_below(
            self._moe.experts, self._moe.top_k, int(self.experts[at]), least, most, anchor=anchor)  # fmt: skip
        return (float(self.read_fixed[at] + self.expert[at] * line[0]),
                float(self.read_slope[at] + self.expert[at] * line[1]),
                float(self.compute_fixed[at]), float(self.compute_slope[at]))  # fmt: skip

    def peaks(self, at: Ints, least: Floats, most: Floats) -> Iterator[tuple[Ints, Floats]]:
        """Where users per cycle may be best before the most: positions in `at`, and a batch for each."""
        if self._moe is None:
            return
        degrees = self.experts[at]
        for degree in np.unique(degrees):
            for peak in rises(self._moe.experts, self._moe.top_k, int(degree)):
                here = np.flatnonzero((degrees == degree) & (most > peak) & (least <= peak))
                yield here, np.full(len(here), float(peak))

    def step_s(self, batch: Any, at: Any = slice(None)) -> Floats:
        """Seconds of a step at whole `batch`, of the layouts `at`."""
        read = self.read_fixed[at] + self.read_slope[at] * batch + self.expert[at] * self.busiest(batch, at)
        result: Floats = np.maximum(read, self.compute_fixed[at] + self.compute_slope[at] * batch)
        return result

    def busiest(self, batch: Any, at: Any = slice(None)) -> Any:
        """Experts that the busiest group reads at `batch`; 0 for a dense model."""
        moe = next((layer for layer in self.model.layers if layer.experts), None)
        if moe is None:
            return 0.0
        degrees = self.experts[at]
        batch = np.broadcast_to(batch, np.broadcast_shapes(np.shape(degrees), np.shape(batch)))
        degrees = np.broadcast_to(degrees, batch.shape)
        result = np.zeros(batch.shape)
        for degree in np.unique(degrees):
            here = degrees == degree
            result[here] = busiest(moe.experts, moe.top_k, int(degree), batch[here])
        return result

    def layout(self, position: int) -> Layout:
        """The layout at `position`."""
        weights, kv = self.precisions[int(self.precision[position])]
        tensor, pipeline, expert = (int(x[position]) for x in (self.tensor, self.pipeline, self.experts))
        return Layout(tensor, 1, pipeline, expert, weights, kv)


def portions(counts: Ints, points: int) -> Iterator[tuple[Ints, Ints]]:
    """(position, turn) for turn 0 .. counts - 1 of each position, in their order, `points` at a time.

    A position with more of them is in several portions: millions of users fit where a context is short.
    """
    ends = np.cumsum(counts)
    for start in range(0, int(ends[-1]) if len(ends) else 0, points):
        stop = min(start + points, int(ends[-1]))
        first, last = np.searchsorted(ends, (start, stop - 1), side="right")
        begins = ends[first : last + 1] - counts[first : last + 1]
        some = np.minimum(ends[first : last + 1], stop) - np.maximum(begins, start)
        yield np.repeat(np.arange(first, last + 1), some), np.arange(start, stop) - np.repeat(begins, some)


def meets(limits: Limits, step_s: Floats, ttft_s: Floats | None) -> Any:
    """Whether users with these times get what they must."""
    fits = np.ones(len(step_s), dtype=bool)
    if limits.user_speed is not None:
        fits &= step_s * limits.user_speed <= 1 + ROUNDING
    if limits.ttft is not None and ttft_s is not None:
        fits &= ttft_s <= limits.ttft * (1 + ROUNDING)
    return fits


def tensor_degrees(model: Model, most: int = MOST_TENSOR) -> list[int]:
    """Degrees that divide the attention heads, up to `most`."""
    return [t for t in range(1, min(most, model.heads) + 1) if model.heads % t == 0]


def pipeline_degrees(model: Model, most: int = MOST_PIPELINE) -> list[int]:
    """The smallest number of stages for each length that the longest stage can have, up to `most`."""
    layers = len(model.layers)
    return [p for p in range(1, min(most, layers) + 1) if p == 1 or math.ceil(layers / p) < math.ceil(layers / (p - 1))]


@lru_cache(maxsize=32)
def _stages(model: Model, context: int) -> tuple[Stage, ...]:
    """The largest stage at each pipeline degree: a sum over all layers, the same for all chips."""
    return tuple(largest_stage(model, p, context) for p in pipeline_degrees(model))


@by_identity(32)
def _grid(model: Model, most_tensor: int) -> Ints:
    """Columns tensor, position in the pipeline degrees, pipeline, expert degree."""
    experts = max(layer.experts for layer in model.layers)
    rows = []
    for t in tensor_degrees(model, most_tensor):
        spread = [e for e in range(1, t + 1) if t % e == 0 and experts % e == 0] if experts else [1]
        rows += [(t, i, p, e) for i, p in enumerate(pipeline_degrees(model)) for e in spread]
    return np.array(rows, dtype=np.int64)


def enumerate_space(
    model: Model,
    chips: Sequence[Chip],
    precisions: Sequence[tuple[str, str]],
    context: int,
    *,
    most_tensor: int = MOST_TENSOR,
    most_chips: float = math.inf,
) -> Space:
    """All layouts of `chips`, each of which has every number that the query needs (see `supply`)."""
    grid = _grid(model, most_tensor)
    pairs = [(c, q) for c in range(len(chips)) for q in range(len(precisions)) if precisions[q][0] in chips[c].peak]
    each = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    chip, precision = np.repeat(each[:, 0], len(grid)), np.repeat(each[:, 1], len(grid))
    tensor, stage, pipeline, expert = (np.tile(grid[:, i], len(each)) for i in range(4))
    columns = _Columns(model, chips, precisions, context, chip, precision, tensor, stage, pipeline, expert)
    return columns.space(most_chips)


def _latencies(link: Link | None, degrees: Sequence[int]) -> list[float]:
    """Seconds of one collective at each degree; NaN where unknown."""
    known = [None if link is None else link.latency_s(t) for t in degrees]
    return [np.nan if s is None else s for s in known]


class _Columns:
    """The arrays behind a Space while it is computed; one method for each term."""

    def __init__(
        self, model: Model, chips: Sequence[Chip], precisions: Sequence[tuple[str, str]], context: int,
        chip: Ints, precision: Ints, tensor: Ints, stage: Ints, pipeline: Ints, expert: Ints,
    ) -> None:  # fmt: skip
        self.model, self.chips, self.precisions = model, tuple(chips), tuple(precisions)
        self.at, self.precision, self.t, self.p, self.e = chip, precision, tensor, pipeline, expert
        self.moe = next((layer for layer in model.layers if layer.experts), None)
        stages = _stages(model, context)
        self.stage = {
            name: np.array([getattr(s, name) for s in stages], dtype=np.float64)[stage]
            for name in stages[0].__dataclass_fields__
        }
        heads = model.kv_heads
        self.share = np.ones(len(tensor)) if heads is None else np.ceil(heads / tensor) / heads
        self.weight_bytes = np.array([BYTES[w] for w, _ in precisions])[precision]
        self.kv_bytes = np.array([BYTES[k] for _, k in precisions])[precision]

    def of_chip(self, values: list[float | None]) -> Floats:
        """One number of each chip, at every layout; NaN where a chip has none."""
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)[self.at]

    def links(self) -> tuple[Floats, Floats]:
        """Latency and bandwidth of the tensor group's collectives; NaN where unknown."""
        domain = self.of_chip([c.domain for c in self.chips])
        inside = self.t <= domain
        degrees = sorted(set(self.t.tolist()))
        index = np.searchsorted(degrees, self.t)
        latency = []
        for links in ([c.scale_up for c in self.chips], [c.scale_out for c in self.chips]):
            known = {id(link): _latencies(link, degrees) for link in {id(x): x for x in links}.values()}
            each = np.array([known[id(link)] for link in links]).reshape(len(links), len(degrees))
            latency.append(each[self.at, index])
        up = self.of_chip([c.scale_up_bandwidth for c in self.chips])
        out = self.of_chip([c.scale_out_bandwidth for c in self.chips])
        return np.where(inside, *latency), np.where(inside, up, out)

    def exposed(self) -> tuple[Floats, Floats]:
        """Collectives of one stage: seconds fixed, and seconds per user of the stage."""
        latency, bandwidth = self.links()
        t, e = self.t, self.e
        spread = np.where(e > 1, self.stage["expert_layers"], 0.0)
        top_k = self.moe.top_k if self.moe else 0
        carried = 4 * (t - 1) / t * (self.stage["layers"] - spread)
        carried = carried + spread * (2 * (t - 1) / t + 2 * np.minimum(top_k / e, 1.0) * (e - 1) / e)
        alone = t == 1
        fixed = np.where(alone, 0.0, (COLLECTIVES * self.stage["layers"] + spread) * latency)
        slope = np.where(alone, 0.0, carried * self.model.hidden * ACTIVATION_BYTES / bandwidth)
        return fixed, slope

    def hops(self) -> tuple[Floats, Floats]:
        """Stage to stage and back to the first: seconds fixed, and seconds per user of a stage."""
        together = self.of_chip([c.domain for c in self.chips]) // self.t
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = np.where(together >= 1, np.ceil(self.p / together), self.p)
        out = np.where(self.p <= together, 0.0, crossing)
        out = np.where(self.p == 1, 0.0, out)
        up = np.where(self.p == 1, 0.0, self.p - out)
        fixed, slope = np.zeros(len(self.p)), np.zeros(len(self.p))
        for hops, links, widths in (
            (up, [c.scale_up for c in self.chips], [c.scale_up_bandwidth for c in self.chips]),
            (out, [c.scale_out for c in self.chips], [c.scale_out_bandwidth for c in self.chips]),
        ):
            hop = self.of_chip([None if link is None else link.hop_s for link in links])
            message = self.model.hidden * ACTIVATION_BYTES / self.of_chip(list(widths))
            fixed = fixed + np.where(hops > 0, hops * hop, 0.0)
            slope = slope + np.where(hops > 0, hops * message, 0.0)
        return fixed, slope

    def resident(self) -> Floats:
        """Weights in bytes on each chip of the largest stage."""
        s = self.stage
        experts = 0.0 if self.moe is None else s["expert_layers"] * self.moe.experts * self.moe.expert
        elements: Floats = (s["resident"] + experts) / self.t + s["kv_sharded"] * self.share + s["replicated"]
        result: Floats = elements * self.weight_bytes
        return result

    def space(self, most_chips: float) -> Space:
        s, t, p = self.stage, self.t, self.p
        bandwidth = self.of_chip([c.bandwidth for c in self.chips])
        peak = np.array([[c.peak.get(w, np.nan) for w, _ in self.precisions] for c in self.chips])
        peak = peak.reshape(len(self.chips), len(self.precisions))[self.at, self.precision]
        vector = self.of_chip([c.vector for c in self.chips])
        exposed, exposed_slope = self.exposed()
        hops, hops_slope = self.hops()
        size = self.weight_bytes / bandwidth
        dense = (s["sharded"] / t + s["kv_sharded"] * self.share + s["replicated"]) * size
        state = s["state"] / t
        held = s["kv"] * self.share * self.kv_bytes + state
        chosen = 0.0 if self.moe is None else s["expert_layers"] * self.moe.top_k * self.moe.expert
        work = 2 * ((s["sharded"] + chosen) / t + s["kv_sharded"] * self.share + s["replicated"]) + s["attention"] / t
        per_expert = 0.0 if self.moe is None else s["expert_layers"] * self.moe.expert * self.e / t * size
        free = self.of_chip([c.usable_bytes for c in self.chips]) - self.resident()
        users = np.maximum(np.floor(free / (p * held)), 0.0)
        fixed, slope = p * exposed + hops, p * exposed_slope + hops_slope
        return Space(
            self.model, self.chips, self.precisions, self.at, self.precision, t, p, self.e,
            self.reasons(exposed + exposed_slope, hops + hops_slope, free, users, most_chips), users.astype(np.int64),
            read_fixed=p * dense + fixed,
            read_slope=p * (self.model.hidden / t * size + (held + state) / bandwidth) + slope,
            expert=p * per_expert + np.zeros(len(t)),
            compute_fixed=fixed,
            compute_slope=p * (work / peak + s["vector"] / t / vector) + slope,
        )  # fmt: skip

    def reasons(self, exposed: Floats, hops: Floats, free: Floats, users: Floats, most_chips: float) -> Ints:
        """Index into REASONS of the first thing that stands against each layout."""
        against = [np.isnan(exposed), np.isnan(hops), self.t * self.p > most_chips, free < 0, users < 1]
        return np.select(against, range(1, len(against) + 1), default=0)
