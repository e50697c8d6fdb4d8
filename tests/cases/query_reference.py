"""Best system by looking at every layout, batch and replica count, apart from the code under test.

Step times are `performance.decode_step` (two batches give its straight parts, the experts' table the
rest; each layout checks itself against the scalar formula), memory is `performance.room`, money is
`cost.server_bill`, and servers are filled in whole numbers. Nothing is taken from layouts, columns,
audit or the program.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from unittest import mock

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.records import ModelRecord
from codesign.physics import performance, workload
from codesign.physics.experts import busiest
from codesign.physics.hardware import Chip
from codesign.physics.layout import BYTES, Layout
from codesign.physics.workload import Model
from codesign.system import offers
from codesign.system.answer import Answer
from codesign.system.offers import Offer
from codesign.system.query import Query

NEAR = 1e-12  # relative: a limit met exactly may miss by a float's rounding
NO_BOUND = ("budget", "hourly", "power", "chips", "racks", "replicas")


@dataclass(frozen=True)
class Place:
    """One layout on one offer, and the seconds of a step at each batch 1, 2, ..., room."""

    offer: Offer
    layout: Layout
    step_s: Any

    def bought(self, query: Query, replicas: Any) -> Any:
        """Servers of `replicas` (whole numbers) with spares; a tensor group stays in one server where it fits."""
        size, groups = self.offer.bill.chips, replicas * self.layout.pipeline
        if self.layout.tensor <= size:
            used = -(-groups // (size // self.layout.tensor))
        else:
            used = groups * -(-self.layout.tensor // size)
        return used + query.spare_servers

    def taken(self, query: Query, replicas: Any) -> dict[str, Any]:
        """What `replicas` take of each shared limit in force."""
        bill, bought, server = self.offer.bill, self.bought(query, replicas), self.offer.chip.server
        each = {
            "budget": bill.capital_usd, "hourly": bill.hourly_usd, "power": bill.power_w, "chips": bill.chips,
        }  # fmt: skip
        found = {name: bought * one for name, one in each.items() if getattr(query.limits, name) is not None}
        if query.limits.racks is not None:
            assert server is not None
            found["racks"] = -(-bought // server.per_rack)
        return found | ({} if query.limits.replicas is None else {"replicas": replicas})

    def affordable(self, query: Query) -> Any:
        """All replica counts that the limits allow; without a limit, enough for the users and to fill servers."""
        last = math.ceil((query.limits.users or 1) / self.layout.pipeline) + self.offer.bill.chips
        if bounded(query):
            last = 1
            while all(amount <= getattr(query.limits, k) * (1 + NEAR) for k, amount in self.taken(query, last).items()):
                last *= 2
        replicas = np.arange(1, last + 1)
        fits = np.ones(last, dtype=bool)
        for name, amount in self.taken(query, replicas).items():
            fits &= amount <= getattr(query.limits, name) * (1 + NEAR)
        return replicas[fits]

    def value(self, query: Query) -> float | None:
        """Best objective of all its batches and replica counts; None where a limit stops every one."""
        replicas, batch = self.affordable(query), np.arange(1, len(self.step_s) + 1)
        pace = query.limits.user_speed
        kept = np.ones(len(batch), dtype=bool) if pace is None else self.step_s * pace <= 1 + NEAR
        gain = self.layout.pipeline * batch / self.step_s
        points = {"cost": np.zeros(len(batch)), "user-speed": 1 / self.step_s}.get(query.maximize, gain)
        from_here = np.maximum.accumulate(np.where(kept, points, -np.inf)[::-1])[::-1]  # best of this batch or larger
        least = -(-(query.limits.users or 1) // (self.layout.pipeline * replicas))
        able = least <= len(batch)
        replicas, best = replicas[able], from_here[least[able] - 1]
        replicas, best = replicas[best > -np.inf], best[best > -np.inf]
        if len(replicas) == 0:
            return None
        bought = self.bought(query, replicas)
        if query.maximize == "cost":
            return float((bought * self.each(query)).min())
        if query.maximize == "user-speed":
            return float(best.max())
        below = 1.0 if query.maximize == "throughput" else bought * self.each(query)
        return float((replicas * best / below).max())

    def each(self, query: Query) -> float:
        """Dollars or watts of one server, whichever the objective counts."""
        bill = self.offer.bill
        if query.maximize == "throughput-per-watt":
            return float(bill.power_w or math.nan)
        return float(bill.hourly_usd if query.dollars == "per-hour" else bill.capital_usd or math.nan)


def bounded(query: Query) -> bool:
    """Whether a limit bounds how large a system may be."""
    return any(getattr(query.limits, name) is not None for name in NO_BOUND)


def layouts(model: Model, chip: Chip, query: Query) -> Iterator[Layout]:
    """Degrees that divide heads and experts; of the stage counts with an equal longest stage the least."""
    depth, experts = len(model.layers), max(layer.experts for layer in model.layers)
    stages = {math.ceil(depth / p): p for p in range(min(32, depth), 0, -1)}.values()
    for weights in query.precision:
        for t in range(1, min(128, model.heads, query.limits.tensor or 128) + 1):
            if model.heads % t == 0 and weights in chip.peak:
                spread = [e for e in range(1, t + 1) if t % e == 0 and experts % e == 0] if experts else [1]
                yield from (Layout(t, 1, p, e, weights, query.kv(weights)) for p in stages for e in spread)


def place(model: Model, offer: Offer, layout: Layout, context: int) -> Place | None:
    """The layout with all its step times; None where it cannot run on the offer."""
    room = performance.room(model, offer.chip, layout, context)
    if room < 1:
        return None
    try:
        one = performance.decode_step(model, offer.chip, layout, 1, context)
    except ValueError:  # no link that reaches so far
        return None
    two, more = performance.decode_step(model, offer.chip, layout, 2, context), np.arange(room)
    parts = {k: getattr(one, k) + more * (getattr(two, k) - getattr(one, k)) for k in one.__dataclass_fields__}
    moe = next((layer for layer in model.layers if layer.experts), None)
    if moe is not None:
        read = busiest(moe.experts, moe.top_k, layout.expert, np.arange(room + 2))[1:]
        layers = performance.largest_stage(model, layout.pipeline, context).expert_layers
        each_bytes = layers * layout.expert / layout.tensor * moe.expert * BYTES[layout.weights]
        each_s = each_bytes / performance.needed(offer.chip, "bandwidth")
        parts["weights_s"] += each_s * (read[:room] - read[0] - more * (read[1] - read[0]))
    busy = np.maximum(parts["weights_s"] + parts["kv_s"], parts["tensor_s"] + parts["vector_s"])
    step_s = layout.pipeline * (busy + parts["exposed_s"]) + parts["hops_s"]
    for batch in {room, room // 2 + 1}:
        exactly = performance.decode_step(model, offer.chip, layout, batch, context).step_s
        assert math.isclose(step_s[batch - 1], exactly, rel_tol=1e-11), (offer.chip.name, layout, batch)
    return Place(offer, layout, step_s)


def model_of(catalog: Catalog, query: Query) -> Model:
    return workload.model(catalog.get(ModelRecord, query.model))


def remembering() -> Any:
    """`performance` without adding up the same layers again and again; for one model at a time."""
    return mock.patch.object(performance, "largest_stage", _Stages(performance.largest_stage))


class _Stages:
    def __init__(self, largest_stage: Any) -> None:
        self.compute, self.known = largest_stage, {}

    def __call__(self, model: Model, pipeline: int, context: int) -> Any:
        if (pipeline, context) not in self.known:
            self.known[pipeline, context] = self.compute(model, pipeline, context)
        return self.known[pipeline, context]


@lru_cache(maxsize=1)
def known(catalog: str, model: Model, context: int) -> dict[Any, Place | None]:
    """Places by chip and layout: many queries in a row differ in their limits alone."""
    return {}


def places(catalog: Catalog, query: Query) -> list[Place]:
    """Every layout that can run on every offer."""
    model = model_of(catalog, query)
    before, found = known(catalog.digest(), model, query.context), []
    with remembering():
        for offer in offers.supply(catalog, query).offers:
            for layout in layouts(model, offer.chip, query):
                key = offer.chip.name, layout
                if key not in before:
                    before[key] = place(model, offer, layout, query.context)
                found.append(before[key] and replace(before[key], offer=offer))
    return [one for one in found if one is not None]


def optimum(catalog: Catalog, query: Query) -> float | None:
    """Best objective in SI over all systems of one layout, replicated; None: infeasible."""
    values = [value for one in places(catalog, query) if (value := one.value(query)) is not None]
    return (min if query.maximize == "cost" else max)(values, default=None)


def unbounded(query: Query) -> bool:
    """Whether a feasible query has no best value: the objective grows with the system, and no limit stops it."""
    spares_weigh_less = query.maximize.startswith("throughput-per") and query.spare_servers > 0
    return (query.maximize == "throughput" or spares_weigh_less) and not bounded(query)


def check(catalog: Catalog, query: Query, answer: Answer) -> float:
    """Every limit obeyed by the answer's system; its objective, recomputed from what one would buy."""
    s = answer.system
    assert s is not None
    (offer,) = [o for o in offers.supply(catalog, query).offers if o.chip.name == s.chip]
    layout = Layout(s.tensor, 1, s.pipeline, s.expert, s.weights, s.kv)
    model = model_of(catalog, query)
    assert layout in set(layouts(model, offer.chip, query))
    assert 1 <= s.batch <= performance.room(model, offer.chip, layout, query.context)
    step_s = performance.decode_step(model, offer.chip, layout, s.batch, query.context).step_s
    here, users = Place(offer, layout, np.array([step_s])), s.replicas * s.pipeline * s.batch
    assert users >= (query.limits.users or 1) and s.replicas >= 1
    assert step_s * (query.limits.user_speed or 0) <= 1 + NEAR
    for name, amount in here.taken(query, s.replicas).items():
        assert amount <= getattr(query.limits, name) * (1 + NEAR), name
    bought = here.bought(query, s.replicas)
    assert (s.servers_bought, s.chips_bought) == (bought, bought * offer.bill.chips)
    if query.maximize == "user-speed":
        return 1 / step_s
    if query.maximize == "cost":
        return float(bought * here.each(query))
    return float(users / step_s / (1 if query.maximize == "throughput" else bought * here.each(query)))
