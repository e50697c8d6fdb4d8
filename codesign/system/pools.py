"""Columns of a prefill pool and of a decode pool, each a layout of one chip, joined by the transfer of KV caches.

Prefill. A replica computes prompts one after another. `service_s` is one prompt alone, over all stages, at achieved
rates; stages work on different prompts, so one begins every `interval_s` = service_s / pipeline and a replica that
always works computes 1 / interval_s requests a second. Weights and a prompt's cache for each stage must fit.

First token. The prefill pool computes it, and it is shown when the cache has been sent. The statistic is the mean:
requests arrive at random (Poisson), are split at random over the replicas, and each takes the same time (M/D/1):

    wait(rho) = rho * interval_s / (2 * (1 - rho))          rho: share of time that a replica works
    ttft(rho) = fixed_s + service_s + wait(rho) + send_s    fixed_s: of the engine; send_s: cache over the link

`cap` is the largest rho that a limit of it allows, and never above CAP: near 1 queues grow beyond any bound, and
a system must not be better for one more limit.

Decode. A replica runs full batches without prompts; a user's cache is of full length. A request stays for output - 1
steps (the first token is the other pool's): speed = users / ((output - 1) * step_s), and pace = 1 / ((output - 1) *
step_s) is what one user asks for who always has a request. The wait for the first token would lower the pace, so it
asks for more than is needed.

Batches. A step never shortens with a larger batch, so pace never rises. A batch is never worth taking if a larger one
has at least its speed: the same replicas then serve as much, at a pace that demands no more. What is left is where
speed falls from one batch to every larger one; with no number of users asked for pace is of no use, and only the
batch of most speed is left. Among columns of one chip that fill servers alike the same holds (`undominated`).

Transfer. The prompt's whole cache, in whole blocks, at the precision that both pools store it in, leaves over the
scale-out links of a prefill replica and arrives over those of a decode replica, each used in full.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codesign.facts.errors import DataError, UnboundedError
from codesign.physics import serving
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout
from codesign.physics.workload import Model
from codesign.system.columns import BOUNDING, Servers, best_batch, limits_of
from codesign.system.layouts import Floats, Ints
from codesign.system.query import Query
from codesign.system.serving_space import ServingSpace
from formulations.solvers.deadline import NEVER, Deadline

CAP = 0.9              # share of time that a prefill replica works at most
POINTS = 10_000         # of curves of speed computed at once
LATE = "first token later than allowed even without a queue"
UNLINKED = "no scale-out bandwidth known"


@dataclass(frozen=True)
class Prompts:
    """One prompt on replicas of the prefill pool, seconds (numbers or arrays)."""

    service_s: Any
    fixed_s: Any
    send_s: Any
    pipeline: Any

    @property
    def interval_s(self) -> Any:
        """From the start of one prompt to the start of the next, in a replica that always works."""
        return self.service_s / self.pipeline

    @property
    def alone_s(self) -> Any:
        """Time to first token without a queue."""
        return self.fixed_s + self.service_s + self.send_s

    def wait_s(self, rho: Any) -> Any:
        """Mean wait of M/D/1 in replicas that work the share `rho` of the time."""
        return rho * self.interval_s / (2 * (1 - rho))

    def ttft_s(self, rho: Any) -> Any:
        """Mean time to first token."""
        return self.alone_s + self.wait_s(rho)

    def cap(self, ttft_s: float | None) -> Any:
        """Largest utilisation within a limit on the mean time to first token; not positive: there is none."""
        if ttft_s is None:
            return np.full_like(np.asarray(self.service_s, dtype=np.float64), CAP)
        slack = ttft_s - np.asarray(self.alone_s)
        return np.where(slack > 0, np.minimum(2 * slack / (self.interval_s + 2 * np.maximum(slack, 0.0)), CAP), 0.0)


def cache_bytes(model: Model, chip: Chip, kv: str, prompt: int) -> float:
    """KV cache of one prompt in bytes, all layers, in whole blocks: what a replica of one chip would keep."""
    return serving.memory(model, chip, Layout(1, kv=kv), prompt).kv_bytes_per_user


def kv_of(query: Query) -> str:
    """The one KV precision of both pools. Raises DataError where the query leads to several."""
    found = sorted({query.kv(weights) for weights in query.precision})
    if len(found) > 1:
        raise DataError(f"--kv-precision: --precision {','.join(query.precision)} would keep caches in "
                        f"{' and '.join(found)}, and pools exchange them; give one for both")  # fmt: skip
    return found[0]


def check(query: Query) -> None:
    """DataError for a question that two pools have no answer to."""
    if query.objective.pools is None:
        raise DataError(f"--maximize {query.maximize}: phases 'disaggregated' has two pools to balance; "
                        "ask for throughput-per-dollar, throughput or cost with --user-speed, "
                        "or use --phases decode")  # fmt: skip
    if query.output < 2:
        raise DataError(f"--output {query.output}: phases 'disaggregated' needs at least 2 tokens out; "
                        "the first is the prefill pool's")  # fmt: skip
    kv_of(query)


def at_prompt(query: Query) -> Query:
    """The question of the prefill pool alone: caches of the prompt, nothing generated."""
    served = query.serving.model_copy(update={"input": query.input, "output": 0})
    return query.model_copy(update={"context": query.input, "serving": served})


@dataclass(frozen=True)
class Pools:
    """Columns of both pools, prefill first, in SI; `layout` is a position in either space, which list the same."""

    prefill: ServingSpace
    decode: ServingSpace
    servers: Servers
    cache_bytes: float
    split: int             # columns of the prefill pool
    layout: Ints
    batch: Floats          # users of a stage; prefill: prompts
    speed: Floats          # requests/s of a replica that always works
    cap: Floats            # share of time that it may work
    link: Floats           # B/s of a replica
    pace: Floats           # requests/s of one user; prefill: 0
    impossible: dict[str, int]

    def __len__(self) -> int:
        return len(self.layout)

    @cached_property
    def chip(self) -> Ints:
        """Position of each column's chip."""
        return self.decode.chip[self.layout]

    @cached_property
    def handled(self) -> Floats:
        """Requests/s that one replica serves: its chips' or its links', whichever are fewer."""
        own: Floats = self.speed * self.cap
        return own if self.cache_bytes == 0 else np.minimum(own, self.link / self.cache_bytes)

    def need(self, users: float | None) -> Floats:
        """Requests/s that the users ask for, by column."""
        result: Floats = (users or 0.0) * self.pace
        return result

    def space(self, column: int) -> ServingSpace:
        """The space of a column's pool."""
        return self.prefill if column < self.split else self.decode


def pools_of(
    query: Query, prefill: ServingSpace, decode: ServingSpace, servers: Servers, deadline: Deadline = NEVER
) -> Pools:
    """All columns of both pools. Raises UnboundedError where no limit bounds the objective, OutOfTime."""
    size = 0.0
    if len(decode.chips):
        size = cache_bytes(decode.model, decode.chips[0], kv_of(query), query.input)
    runs = [np.flatnonzero(space.reason == 0) for space in (prefill, decode)]
    wide = links(prefill)
    prompts = prompts_of(prefill, runs[0], size, wide[runs[0]])
    cap = prompts.cap(query.limits.ttft)
    linked = np.isfinite(wide)
    able = linked[runs[0]] & (cap > 0)
    first = runs[0][able]
    batch = best_batch(decode, query.limits)
    last, batches, speed = _batches(query, decode, np.where(linked, batch, 0), deadline)
    pace: Floats = speed / (batches * decode.pipeline[last])
    layout = np.concatenate([first, last])
    found = Pools(
        prefill, decode, servers, size, len(first), layout,
        batch=np.concatenate([np.ones(len(first)), batches]),
        speed=np.concatenate([1.0 / prompts.interval_s[able], speed]),
        cap=np.concatenate([cap[able], np.ones(len(last))]),
        link=wide[layout], pace=np.concatenate([np.zeros(len(first)), pace]),
        impossible=_impossible(prefill, decode, linked, int((linked[runs[0]] & ~able).sum()), batch),
    )  # fmt: skip
    _demand_limits(query, found)
    return found


def links(space: ServingSpace) -> Floats:
    """B/s of the scale-out links of one replica of each layout; NaN where unknown."""
    known = [np.nan if c.scale_out_bandwidth is None else c.scale_out_bandwidth for c in space.chips]
    each = np.array(known, dtype=np.float64)
    result: Floats = each[space.chip] * space.group * space.pipeline
    return result


def prompts_of(space: ServingSpace, at: Ints, size: float, link: Floats) -> Prompts:
    """Prompts on the layouts `at` of the prefill pool, whose replicas send caches of `size` over `link`."""
    service, fixed = space.prompts(at)
    return Prompts(service, fixed, size / link, space.pipeline[at].astype(np.float64))


def _batches(query: Query, space: ServingSpace, most: Ints, deadline: Deadline) -> tuple[Ints, Floats, Floats]:
    """Layout, batch and speed of every batch up to the `most` of each layout that no larger one has the speed of."""
    layouts: list[Ints] = [np.zeros(0, dtype=np.int64)]
    batches: list[Floats] = [np.zeros(0)]
    speeds: list[Floats] = [np.zeros(0)]
    some = np.flatnonzero(most > 0)
    portion = np.cumsum(most[some]) // POINTS  # whole curves, about so many points at once: arrays that stay in a cache
    for each in (some[portion == p] for p in np.unique(portion)):
        deadline.check()
        every = np.repeat(each, most[each])
        batch_of = np.concatenate([np.arange(1, n + 1, dtype=np.float64) for n in most[each].tolist()])
        speed_of: Floats = batch_of * space.pipeline[every] / ((query.output - 1) * space.step_s(batch_of, every))
        ends = np.cumsum(most[each])
        for at, end in zip(each.tolist(), ends.tolist(), strict=True):
            speed = speed_of[end - most[at] : end]
            later = np.append(np.maximum.accumulate(speed[::-1])[::-1][1:], -np.inf)
            keep = np.flatnonzero(speed > later)
            keep = keep if query.limits.users is not None else keep[:1]  # speeds fall along `keep`
            layouts.append(np.full(len(keep), at, dtype=np.int64))
            batches.append((keep + 1).astype(np.float64))
            speeds.append(speed[keep])
    return np.concatenate(layouts), np.concatenate(batches), np.concatenate(speeds)


def _impossible(prefill: ServingSpace, decode: ServingSpace, linked: Any, late: int, batch: Ints) -> dict[str, int]:
    counts: dict[str, int] = {}
    for pool, space in (("prefill", prefill), ("decode", decode)):
        by_code = np.bincount(space.reason, minlength=len(space.reasons))
        counts |= {f"{pool}: {space.reasons[code]}": int(n) for code, n in enumerate(by_code) if code}
        counts[f"{pool}: {UNLINKED}"] = int(((space.reason == 0) & ~linked).sum())
    counts[f"prefill: {LATE}"] = late
    counts["decode: too slow for its users"] = int(((decode.reason == 0) & linked & (batch == 0)).sum())
    return {reason: n for reason, n in counts.items() if n}


def _demand_limits(query: Query, pools: Pools) -> None:
    """Two pools balance better in ever larger systems: all but the cheapest system needs a limit."""
    bounded = bool(limits_of(query)) or query.limits.replicas is not None
    if query.objective.kind != "cost" and not bounded and 0 < pools.split < len(pools):
        raise UnboundedError(f"{query.maximize} of two pools grows with ever larger systems; give one of {BOUNDING}")


def every(pools: Pools) -> Ints:
    """All columns."""
    return np.arange(len(pools))


def undominated(pools: Pools, among: Ints | None = None) -> Ints:
    """Columns that no other of the same pool and chip, filling servers alike, serves as much at no higher pace."""
    servers, columns = pools.servers, every(pools) if among is None else among
    order = columns[np.lexsort((columns, pools.pace[columns], -pools.handled[columns]))]
    lowest: dict[tuple[bool, int, float, float], float] = {}
    kept = []
    for c in order.tolist():
        at = int(pools.layout[c])
        key = (c < pools.split, int(pools.chip[c]), float(servers.parcels[at]), float(servers.per_server[at]))
        if pools.pace[c] < lowest.get(key, math.inf):
            lowest[key] = float(pools.pace[c])
            kept.append(c)
    return np.array(sorted(kept), dtype=np.int64)
