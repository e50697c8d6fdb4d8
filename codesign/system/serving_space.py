"""Every deployment of every chip in mode achieved, as arrays: the space that a query searches, and its times.

The same formulas as `achieved` for one deployment, over all of them and many numbers of users at once. Where users
per second may peak, and how steep a curve is, is read off the whole curve, batch by batch: no shape is assumed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from codesign.facts.records import AchievedRecord
from codesign.physics import achieved, serving
from codesign.physics.achieved import Rows
from codesign.physics.collectives import Curve
from codesign.physics.experts import busiest
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout
from codesign.physics.prediction import release_key
from codesign.physics.serving import Coefficients
from codesign.physics.workload import Model
from codesign.system.layouts import Floats, Ints, meets, portions, tensor_degrees
from codesign.system.query import Limits, Query
from formulations.solvers.deadline import NEVER, Deadline

MOST_STAGE = 128      # chips of a stage; a data degree may also fill the scale-up domain
MOST_PIPELINE = 16
MOST_RUNNING = 1024   # users of an attention rank in one step: default of vLLM's server (max-num-seqs)
POINTS = 200_000      # of curves held at once
REASONS = ("", "a number of the chip is missing", "more chips than allowed", "weights do not fit",
           "no user's cache fits", "fewer users than stages")  # fmt: skip


def deployments(model: Model, chip: Chip, precision: str, kv: str, query: Query) -> Iterator[Layout]:
    """Every layout considered: powers of two, and data parallel groups that fill the scale-up domain.

    Attention data parallelism is for experts or latent attention; experts lie on whole groups of a stage's chips.
    """
    experts = max(layer.experts for layer in model.layers)
    apart = experts > 0 or model.kv_heads is None
    stages = [p for p in _powers(MOST_PIPELINE) if p <= len(model.layers)]
    for tensor in [t for t in tensor_degrees(model, query.limits.tensor or MOST_STAGE) if t & (t - 1) == 0]:
        wide = [d for d in _powers(MOST_STAGE) if tensor * d <= MOST_STAGE]
        if chip.domain is not None and chip.domain % tensor == 0 and chip.domain <= MOST_STAGE:
            wide = sorted({*wide, chip.domain // tensor})
        for data in wide if apart else [1]:
            spread = [e for e in range(1, tensor * data + 1) if (tensor * data) % e == 0 and experts % e == 0]
            for expert in spread if experts else [1]:
                for pipeline in stages:
                    yield deployment(query, tensor, data, pipeline, expert, precision, kv)


def deployment(
    query: Query, tensor: int, data: int, pipeline: int, expert: int, precision: str, kv: str
) -> Layout:
    """These degrees and precisions, with tokens drafted and chunked as the query says."""
    s = query.serving
    return Layout(tensor, data, pipeline, expert, precision, kv, s.draft or 0, s.acceptance or 1.0, s.chunk)


def _powers(most: int) -> list[int]:
    return [1 << i for i in range(most.bit_length())]


@dataclass(frozen=True)
class Stack:
    """Coefficients of all deployments: by name an array over them; experts as kinds that share one curve."""

    fixed: dict[str, Floats]
    per_user: dict[str, Floats]
    expert_s: Floats
    tokens: Floats
    kind: Ints
    kinds: tuple[tuple[int, int, int], ...]
    exchanges: tuple["Exchanges", ...]
    curves: tuple[Curve, ...]

    def work(self, at: Any, users: Floats) -> dict[str, Floats]:
        """Every field of `serving.Work`, of the deployments `at` with `users`."""
        found = {name: value[at] for name, value in self.fixed.items()}
        found |= {name: value[at] * users for name, value in self.per_user.items()}
        read, kind = np.zeros(len(users)), self.kind[at]
        routed = np.maximum(1, np.rint(users * self.tokens[at])).astype(np.int64)
        for index, experts in enumerate(self.kinds):
            if experts[0]:
                here = kind == index
                read[here] = busiest(*experts, routed[here])
        for x in self.exchanges:
            nbytes, seconds, curve = users * x.bytes_per_user[at], np.zeros(len(users)), x.curve[at]
            for index in np.unique(curve).tolist():
                here = curve == index
                seconds[here] = self.curves[index].seconds(nbytes[here])
            found["collectives_s"] = found["collectives_s"] + x.count[at] * seconds
        return {**found, "experts_s": self.expert_s[at] * read}


@dataclass(frozen=True)
class Exchanges:
    """The first, or the second, collectives of every deployment; a count of 0 where there are none."""

    count: Floats
    bytes_per_user: Floats
    curve: Ints   # position in the stack's curves


def stacked(parts: Sequence[Coefficients]) -> Stack:
    """Coefficients as arrays over their positions."""
    kinds = tuple(dict.fromkeys(part.experts for part in parts))
    index = {kind: i for i, kind in enumerate(kinds)}

    def column(values: list[float]) -> Floats:
        return np.array(values, dtype=np.float64)

    none = {} if parts else {f.name: column([]) for f in fields(serving.Work) if f.name != "experts_s"}
    fixed = none or {name: column([part.fixed[name] for part in parts]) for name in parts[0].fixed}
    each = none or {name: column([part.per_user[name] for part in parts]) for name in parts[0].per_user}
    distinct = dict.fromkeys(x.curve for part in parts for x in part.exchanges)
    curves = {curve: i for i, curve in enumerate(distinct)}
    exchanges = []
    for slot in range(max((len(part.exchanges) for part in parts), default=0)):
        some = [part.exchanges[slot] if slot < len(part.exchanges) else None for part in parts]
        exchanges.append(Exchanges(
            column([0.0 if x is None else x.count for x in some]),
            column([0.0 if x is None else x.bytes_per_user for x in some]),
            np.array([0 if x is None else curves[x.curve] for x in some], dtype=np.int64),
        ))  # fmt: skip
    return Stack(fixed, each, column([part.expert_s for part in parts]), column([part.tokens for part in parts]),
                 np.array([index[part.experts] for part in parts], dtype=np.int64), kinds, tuple(exchanges),
                 tuple(curves))  # fmt: skip


@dataclass(frozen=True)
class ServingSpace:
    """Deployments by position, as `layouts.Space` has them: `reason` 0 can run, `room` is users of one stage.

    Times are those of an engine under the query's traffic; `batch` users are in each of `pipeline` stages.
    """

    model: Model
    chips: tuple[Chip, ...]
    layouts: tuple[Layout, ...]
    query: Query
    chip: Ints
    tensor: Ints
    data: Ints
    pipeline: Ints
    experts: Ints
    reason: Ints
    room: Ints
    runs: Ints                # position in `stack` of each deployment that can run
    stack: Stack
    constants: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.chip)

    @property
    def group(self) -> Ints:
        """Chips of one stage, which a server holds together where it can."""
        return self.tensor * self.data

    @property
    def reasons(self) -> tuple[str, ...]:
        """What the codes in `reason` mean."""
        return REASONS

    @property
    def curved(self) -> bool:
        """Times are curves in the batch."""
        return True

    def layout(self, position: int) -> Layout:
        """The deployment at `position`."""
        return self.layouts[position]

    def _rows(self, batch: Any, at: Any) -> tuple[Rows, dict[str, Floats]]:
        """Works at `batch` users in each stage of the deployments `at` (which can run), and their constants."""
        at = np.arange(len(self))[at]
        users = np.broadcast_to(batch, at.shape) * self.pipeline[at].astype(np.float64)
        spot, q = self.runs[at], self.query
        every = np.ones(len(at))
        rows = Rows(
            self.stack.work(spot, users), prompt=every * q.input, output=every * q.output, concurrency=users,
            apart=every * (q.phases != "aggregated"), pools=every,
            chunk=every * (np.nan if q.serving.chunk is None else q.serving.chunk), names=[],
        )  # fmt: skip
        return rows, {name: value[spot] for name, value in self.constants.items()}

    def step_s(self, batch: Any, at: Any = slice(None)) -> Floats:
        """Time per output token in seconds."""
        return achieved.tpot_s(*self._rows(batch, at))

    def prompts(self, at: Any = slice(None)) -> tuple[Floats, Floats]:
        """Seconds of one prompt alone, all stages, and the fixed seconds of a first token, in a pool for prompts."""
        return achieved.pool_s(*self._rows(1, at))

    def times(self, batch: Any, at: Any = slice(None)) -> tuple[Floats, Floats, Floats | None]:
        """Time per output token, cycle, and time to first token (None where prompts are computed elsewhere).

        The cycle is the time in which each user gets one token, the wait for the first shared out over the output: a
        user asks again when an answer has ended. Where prompts are computed elsewhere it is a step.
        """
        rows, k = self._rows(batch, at)
        if self.query.phases != "aggregated":
            step = achieved.tpot_s(rows, k)
            return step, step, None
        step, first = achieved.both_s(rows, k)
        return step, cycle_s(step, first, self.query.output), first

    def within(self, batch: Any, limits: Limits, at: Any = slice(None)) -> Any:
        """Whether users of the deployments `at` get what they must, with `batch` users in a stage."""
        if limits.ttft is None:
            return meets(limits, self.step_s(batch, at), None)
        step, _, first = self.times(batch, at)
        return meets(limits, step, first)

    def cycle_s(self, batch: Any, at: Any = slice(None)) -> Floats:
        """Seconds of a cycle (see `times`)."""
        return self.times(batch, at)[1]

    def lines(self, at: Ints, least: Floats, most: Floats, objective: str) -> tuple[Floats, Floats, Floats, Floats]:
        """A line (s) under each cycle on least .. most, exact at the most; for speed and cost a constant."""
        nothing = np.zeros(len(at))
        if len(at) == 0 or objective != "ratio":
            return (self.step_s(least, at) if len(at) else nothing), nothing, nothing, nothing
        (at, least, most), back = _distinct(at, least, most)
        ends, slopes = self.cycle_s(most, at), np.zeros(len(at))
        for here, batch, cycle in self._curves(at, least, most):
            rise = (ends[here] - cycle) / np.maximum(most[here] - batch, 1.0)
            np.maximum.at(slopes, here, np.where(batch < most[here], rise, 0.0))
        return (ends - slopes * most)[back], slopes[back], nothing, nothing

    def line(self, at: int, least: int, most: int, anchor: str) -> tuple[float, float, float, float]:
        """As `lines` for one deployment; anchored low it is the constant below a step that never falls."""
        ends = np.array([float(least)]), np.array([float(most)])
        lines = self.lines(np.array([at]), *ends, "ratio" if anchor == "high" else "speed")
        return (float(lines[0][0]), float(lines[1][0]), 0.0, 0.0)

    def peaks(self, at: Ints, least: Floats, most: Floats) -> Iterator[tuple[Ints, Floats]]:
        """Where users per cycle are best on least .. most: positions in `at`, and a batch for each."""
        count = len(at)
        (at, least, most), back = _distinct(at, least, most)
        best, where = np.zeros(len(at)), most.copy()
        for here, batch, cycle in self._curves(at, least, most):
            value = batch / cycle
            np.maximum.at(best, here, value)
            top = value >= best[here]
            where[here[top]] = batch[top]
        yield np.arange(count), where[back]

    def _curves(self, at: Ints, least: Floats, most: Floats) -> Iterator[tuple[Ints, Floats, Floats]]:
        """All points of the curves in portions: positions in `at`, batches rising for each, cycles."""
        for here, turn in portions(np.maximum(most - least + 1, 0).astype(np.int64), POINTS):
            batch = least[here] + turn
            yield here, batch, self.cycle_s(batch, at[here])


def _distinct(at: Ints, least: Floats, most: Floats) -> tuple[tuple[Ints, Floats, Floats], Ints]:
    """Each curve once, and where each of the given ones is among them."""
    rows, back = np.unique(np.stack([at.astype(np.float64), least, most]), axis=1, return_inverse=True)
    return (rows[0].astype(np.int64), rows[1], rows[2]), back.ravel()


def cycle_s(step_s: Any, ttft_s: Any, output: int) -> Any:
    """Seconds in which a user gets one token of `output`, whose first takes `ttft_s` and each other `step_s`."""
    return (ttft_s + (output - 1) * step_s) / output


def room(memory: serving.Memory, d: Layout) -> int:
    """Most users of one stage: what memory holds, and what an engine runs at once."""
    return min(memory.users, MOST_RUNNING * d.data) // d.pipeline


def enumerate_serving(
    model: Model, chips: Sequence[Chip], query: Query, record: AchievedRecord, *, most_chips: float = math.inf,
    deadline: Deadline = NEVER,
) -> ServingSpace:  # fmt: skip
    """All deployments of `chips` for the query's traffic and engine. Raises OutOfTime after the `deadline`."""
    pairs = [(c, d) for c, chip in enumerate(chips) for weights in query.precision
             for d in deployments(model, chip, weights, query.kv(weights), query)]  # fmt: skip
    reason, room_of = np.zeros(len(pairs), dtype=np.int64), np.zeros(len(pairs), dtype=np.int64)
    runs = np.zeros(len(pairs), dtype=np.int64)
    parts: list[Coefficients] = []
    names: list[tuple[str, str, str]] = []
    for i, (c, d) in enumerate(pairs):
        deadline.check()
        found = _coefficients(model, chips[c], d, query, most_chips)
        if isinstance(found, str):
            reason[i] = REASONS.index(found)
            continue
        room_of[i], runs[i] = room(found.memory, d), len(parts)
        parts.append(found)
        names.append((query.engine, record.family_of(chips[c].name), release_key(model, query.release)))

    def of(name: str) -> Ints:
        return np.array([getattr(d, name) for _, d in pairs], dtype=np.int64)

    return ServingSpace(
        model, tuple(chips), tuple(d for _, d in pairs), query, np.array([c for c, _ in pairs], dtype=np.int64),
        of("tensor"), of("data"), of("pipeline"), of("expert"), reason, room_of, runs, stacked(parts),
        achieved.constants_of(record).gather(_named(names)),
    )  # fmt: skip


def _named(names: list[tuple[str, str, str]]) -> Rows:
    """Rows that carry names alone."""
    nothing = np.zeros(len(names))
    return Rows({}, nothing, nothing, nothing, nothing, nothing, nothing, names)


def _coefficients(model: Model, chip: Chip, d: Layout, query: Query, most_chips: float) -> Coefficients | str:
    """The work of a deployment, or which of REASONS stands against it."""
    if d.chips > most_chips:
        return REASONS[2]
    try:
        found = serving.coefficients(model, chip, d, query.input, query.output)
    except ValueError:
        return REASONS[1]
    memory = found.memory
    if memory.fixed_bytes > memory.usable_bytes:
        return REASONS[3]
    if memory.users < 1:
        return REASONS[4]
    return found if room(memory, d) >= 1 else REASONS[5]
