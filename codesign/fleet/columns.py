"""What can serve a plan: for each bucket of each workload every deployment on every chip, with its requests/s.

A demand is a workload with one bucket of its lengths. Each column is one way to run replicas for it:

both     prompts and outputs in the same steps. A replica full of users who ask again when an answer has ended serves
         users / (output * cycle_s) requests/s (`serving_space.times`).
prefill  a replica of a pool of its own computes prompts for at most `cap` of the time, so that the mean wait stays
         within the time to first token (`pools`), and sends caches over its links: the fewer of the two.
decode   full batches without prompts: users / ((output - 1) * step_s), or what its links receive.

The batch is the one of most requests/s among some within the user speed and the time to first token (the column
`meets` them), and, where a workload lets a share of its requests miss them, among some that memory holds: the largest,
and BATCHES shares of it, since requests/s need not rise with the batch. Where a replica is not kept full its users
are faster.

Left out, with proof: a column that another of the same demand, chip and phase dominates (`undominated`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from codesign.fleet.plan import Plan
from codesign.fleet.workloads import Length, Workload
from codesign.physics.layout import Layout
from codesign.physics.workload import Model
from codesign.system.columns import best_batch, fill_of
from codesign.system.layouts import Floats, Ints
from codesign.system.offers import Supply
from codesign.system.pools import at_prompt, cache_bytes, kv_of, links, prompts_of
from codesign.system.query import Limits, Query
from codesign.system.serving_space import ServingSpace, enumerate_serving
from formulations.solvers.deadline import NEVER, Deadline

BATCHES = np.geomspace(0.05, 1.0, 25)  # of the largest batch: 13 % apart
PHASES = ("both", "prefill", "decode")
EQUAL = 1e-12


@dataclass(frozen=True)
class Demand:
    """A workload's requests of one length, as a query of its own for each phase."""

    workload: str
    bucket: int
    length: Length
    query: Query          # aggregated; `apart` for the decode pool

    @property
    def apart(self) -> Query:
        """The query of the decode pool."""
        return in_pools(self.query)

    def query_of(self, phase: str) -> Query:
        """The query that a phase's replicas answer."""
        return self.query if phase == "both" else self.apart if phase == "decode" else at_prompt(self.apart)


def in_pools(query: Query) -> Query:
    """The question with prompts computed in a pool apart."""
    return query.model_copy(update={"serving": query.serving.model_copy(update={"phases": "disaggregated"})})


def query_of(plan: Plan, workload: Workload, length: Length) -> Query:
    """One bucket of a workload as a query in mode achieved, over all chips that the plan allows."""
    power = max(plan.limits.power, default=0.0) if plan.limits.power else 0.0
    limits = workload.model_dump(include={"user_speed", "ttft", "tensor"}, mode="json", exclude_none=True)
    return Query.model_validate({
        "model": workload.model, "context": length.input + length.output, "precision": workload.precision,
        "kv_precision": workload.kv_precision, "mode": "achieved", "dollars": "per-hour", "basis": plan.basis,
        "price_basis": plan.price_basis, "hardware": "catalogue",
        "maximize": "throughput-per-watt" if plan.objective == "power" else "throughput-per-dollar",
        "limits": limits | ({"power": f"{power!r} W"} if power else {}),
        "allow": plan.allow, "forbid": plan.forbid, "cost": plan.cost, "assume": plan.assume,
        "serving": {"input": length.input, "output": length.output, "engine": plan.engine, "release": plan.release,
                    "phases": "aggregated", "prior": plan.prior},
    })  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One way to run replicas for a demand."""

    demand: int
    chip: str
    phase: str
    layout: Layout
    batch: int            # users of a stage; prefill: prompts
    rate: float           # requests/s of one replica
    parcels: int          # placement units of a replica
    size: int             # chips of a parcel
    meets: bool           # the user speed and the time to first token
    cap: float            # prefill: share of time that it may work; else 1

    @property
    def chips(self) -> int:
        """Chips that a replica takes."""
        return self.parcels * self.size


def spaces_of(
    of: Demand, workload: Workload, model: Model, supply: Supply, deadline: Deadline = NEVER
) -> dict[str, ServingSpace]:
    """Every deployment on every chip for each phase that the workload allows; its limits play no part.

    Raises OutOfTime after the `deadline`.
    """
    if supply.achieved is None:
        raise ValueError(f"mode = {of.query.mode!r}: fleets are known in mode achieved only")
    chips = [offer.chip for offer in supply.offers]
    whole = enumerate_serving(model, chips, of.query, supply.achieved, deadline=deadline)
    if workload.phases == "aggregated":
        return {"both": whole}
    first = enumerate_serving(model, chips, of.query_of("prefill"), supply.achieved, deadline=deadline)
    apart = {"prefill": first, "decode": replace(whole, query=of.apart)}  # a step's work is the same in both phases
    return apart if workload.phases == "disaggregated" else {"both": whole, **apart}


def columns_of(
    demand: int, of: Demand, workload: Workload, supply: Supply, spaces: Mapping[str, ServingSpace]
) -> list[Column]:
    """Every column of a demand that none dominates."""
    loose = (workload.user_speed is not None or workload.ttft is not None) and workload.share < 1
    held = np.array([float(offer.bill.chips) for offer in supply.offers])
    found: list[Column] = []
    for phase, space in spaces.items():
        for limits in (of.query.limits, Limits()) if loose else (of.query.limits,):
            at, batch, rate, cap = _rates(of, space, phase, limits)
            found += _columns(demand, phase, space, at, batch, rate, cap, held, meets=limits is of.query.limits)
    return undominated(found)


def _rates(of: Demand, space: ServingSpace, phase: str, limits: Limits) -> tuple[Ints, Floats, Floats, Floats]:
    """Positions in the space, batches, requests/s and caps of what is within the limits."""
    if phase == "both":
        at = np.flatnonzero((batch := best_batch(space, limits)) > 0)
        best = _peak(space, at, batch[at])
        rate = best * space.pipeline[at] / (of.query.output * space.cycle_s(best, at))
        return at, best, rate, np.ones(len(at))
    size, wide = cache_bytes(space.model, space.chips[0], kv_of(of.query), of.query.input), links(space)
    linked = np.isfinite(wide)
    if phase == "decode":
        speed = limits.model_copy(update={"ttft": None})
        at = np.flatnonzero(((batch := best_batch(space, speed)) > 0) & linked)
        best = _peak(space, at, batch[at])
        rate = best * space.pipeline[at] / ((of.query.output - 1) * space.step_s(best, at))
        return at, best, _linked(rate, wide[at], size), np.ones(len(at))
    at = np.flatnonzero((space.reason == 0) & linked)
    prompts = prompts_of(space, at, size, wide[at])
    cap = prompts.cap(limits.ttft)
    able = cap > 0
    rate = _linked(cap[able] / prompts.interval_s[able], wide[at[able]], size)
    return at[able], np.ones(int(able.sum())), rate, cap[able]


def _peak(space: ServingSpace, at: Ints, most: Ints) -> Floats:
    """Of the shares BATCHES of `most`, in whole users, the batch of most requests/s."""
    tried = np.maximum(np.floor(most * BATCHES[:, np.newaxis]), 1.0)
    tried[-1] = most
    each = np.array([batch / space.cycle_s(batch, at) for batch in tried])
    best: Floats = tried[np.argmax(each, axis=0), np.arange(len(at))]
    return best


def _linked(rate: Floats, link: Floats, size: float) -> Floats:
    result: Floats = rate if size == 0 else np.minimum(rate, link / size)
    return result


def _columns(
    demand: int, phase: str, space: ServingSpace, at: Ints, batch: Floats, rate: Floats, cap: Floats, held: Floats, *,
    meets: bool,
) -> Iterator[Column]:  # fmt: skip
    parcels, _ = fill_of(space, held)
    for i, position in enumerate(at.tolist()):
        chip = int(space.chip[position])
        yield Column(
            demand, space.chips[chip].name, phase, space.layout(position), int(batch[i]), float(rate[i]),
            parcels=int(parcels[position]), size=int(min(space.group[position], held[chip])), meets=meets,
            cap=float(cap[i]),
        )  # fmt: skip


def dominates(a: Column, b: Column) -> bool:
    """Whether some replicas of `a` can take the place of each one of `b` and together serve no less.

    The parcels of `a` are as large as those of `b` or a whole part of them, so the room of each parcel of `b` holds
    b.size / a.size of them wherever it lies: floor(b.chips / a.chips) replicas of `a` at least. And what meets the
    limits serves those too who need not get them.
    """
    if b.size % a.size or (b.meets and not a.meets):
        return False
    return (b.chips // a.chips) * a.rate >= b.rate * (1 - EQUAL)


def undominated(columns: list[Column]) -> list[Column]:
    """Columns that no other of the same demand, chip and phase dominates; of two equal ones the first.

    Only a column of no more chips can dominate, hence the order.
    """
    groups: dict[tuple[int, str, str], list[Column]] = {}
    for column in columns:
        groups.setdefault((column.demand, column.chip, column.phase), []).append(column)
    kept: list[Column] = []
    for group in groups.values():
        best: list[Column] = []
        for column in sorted(group, key=lambda c: (c.chips, c.size, -c.rate, not c.meets)):
            if not any(dominates(other, column) for other in best):
                best.append(column)
        kept += best
    return kept
