"""Frontiers by looking at every layout, batch and replica count, apart from the code under test.

Step times, memory and money are those of `query_reference`; which point beats which is compared value by value.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.facts.records import ModelRecord
from codesign.system import offers
from codesign.system.query import Query
from tests.cases import query_reference as reference
from tests.cases.query_strategies import CHIPS, built_in, query

SAME = 2e-10  # relative: values nearer than this are one value
AXES = ("capital", "per-hour", "power", "chips", "throughput", "user-speed")
UP = ("throughput", "user-speed")
MOST_POINTS = 25_000


@dataclass(frozen=True)
class Enumerated:
    """All points of a query: values (points x axes), and which place, batch and replica count each is."""

    values: Any
    place: Any
    batch: Any
    replicas: Any


def enumerated(query: Query, axes: Sequence[str]) -> Enumerated | None:
    """Every system within the limits; None where there are more than `MOST_POINTS`."""
    counted = query.model_copy(update={"maximize": "throughput-per-watt"}) if "power" in axes else query
    parts, total = [], 0
    for number, one in enumerate(_places(counted)):
        replicas = one.affordable(query)
        total += len(replicas) * len(one.step_s)
        if total > MOST_POINTS:
            return None
        parts.append(_points(query, axes, number, one, replicas))
    if not parts:
        return Enumerated(np.zeros((0, len(axes))), *(np.zeros(0, dtype=int) for _ in range(3)))
    return Enumerated(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _places(query: Query) -> Iterator[reference.Place]:
    """As `query_reference.places`, one at a time."""
    model = reference.model_of(built_in(), query)
    with reference.remembering():
        for offer in offers.supply(built_in(), query).offers:
            for layout in reference.layouts(model, offer.chip, query):
                if (one := reference.place(model, offer, layout, query.context)) is not None:
                    yield one


def _points(query: Query, axes: Sequence[str], number: int, one: reference.Place, replicas: Any) -> tuple[Any, ...]:
    batch, count = (x.ravel() for x in np.meshgrid(np.arange(1, len(one.step_s) + 1), replicas, indexing="ij"))
    step_s, bought, bill = one.step_s[batch - 1], one.bought(query, count), one.offer.bill
    users = one.layout.pipeline * batch * count
    columns = {
        "capital": bought * (bill.capital_usd or np.nan), "per-hour": bought * bill.hourly_usd,
        "power": bought * (bill.power_w or np.nan), "chips": bought * bill.chips,
        "throughput": users / step_s, "user-speed": 1 / step_s,
    }  # fmt: skip
    fits = users >= (query.limits.users or 1)
    fits &= step_s * (query.limits.user_speed or 0) <= 1 + reference.NEAR
    values = np.stack([columns[name] for name in axes], axis=1).astype(float)
    return values[fits], np.full(fits.sum(), number), batch[fits], count[fits]


def no_worse(one: Any, others: Any, axes: Sequence[str]) -> Any:
    """For each of `others` whether `one` is no worse on any axis, to rounding."""
    found = np.ones(len(others), dtype=bool)
    for i, name in enumerate(axes):
        if name in UP:
            found &= one[i] >= others[:, i] * (1 - SAME)
        else:
            found &= one[i] <= others[:, i] * (1 + SAME)
    return found


def uncovered(points: Any, frontier: Any, axes: Sequence[str]) -> Any:
    """The points that no point of the frontier equals or beats: those that it misses."""
    left = points
    for one in frontier:
        left = left[~no_worse(one, left, axes)]
    return left


def strangers(points: Any, frontier: Any) -> Any:
    """The points of the frontier that no system has."""
    if len(points) == 0:
        return frontier
    axis = int(np.argmax([len(np.unique(column)) for column in points.T]))
    ranked = points[np.argsort(points[:, axis])]
    low = np.searchsorted(ranked[:, axis], frontier[:, axis] * (1 - SAME))
    high = np.searchsorted(ranked[:, axis], frontier[:, axis] * (1 + SAME))
    known = [np.isclose(ranked[a:b], one, rtol=SAME, atol=0).all(axis=1).any()
             for one, a, b in zip(frontier, low, high, strict=True)]  # fmt: skip
    return frontier[~np.array(known, dtype=bool)]


def asked(draw: random.Random, count: int) -> tuple[Query, tuple[str, ...]]:
    """A query over one to three chips with a few limits, and so many axes in any order."""
    basis = draw.choice(["buy", "buy", "buy", "rent", "hyperscaler"])
    names = [name for name in AXES if name != "capital" or basis == "buy"]
    limits: dict[str, Any] = {"chips": draw.choice([8, 24, 48, 96])}
    amounts = {"power": [2e4, 5e4], "hourly": [20.0, 100.0], "racks": [1, 2], "replicas": [2, 3, 5],
               "user_speed": [10.0, 30.0], "users": [2, 8, 30, 100], "tensor": [2, 4, 8]}  # fmt: skip
    if basis == "buy":
        amounts["budget"] = [2e5, 7e5, 1.5e6]
    for name in draw.sample(sorted(amounts), draw.randint(0, 2)):
        limits[name] = draw.choice(amounts[name])
    if draw.random() < 0.3:
        limits.pop("chips")
    fields = {
        "model": draw.choice(["llama-3.1-8b", "llama-3.1-70b", "qwen3-32b", "gemma-3-27b", "mixtral-8x7b",
                              "gpt-oss-20b", "qwen3-30b-a3b"]),
        "context": draw.choice([20000, 32768, 65536, 131072]), "precision": [draw.choice(["fp8", "bf16"])],
        "basis": basis, "dollars": "per-hour", "maximize": "throughput", "hardware": "catalogue",
        "spare_servers": draw.choice([0, 0, 0, 1]),
        "allow": {"chips": draw.sample(CHIPS[basis], min(draw.randint(2, 4), len(CHIPS[basis])))},
    }  # fmt: skip
    fields["context"] = min(fields["context"], built_in().get(ModelRecord, fields["model"]).context)
    axes = draw.sample(names, count)
    while not set(axes) & set(UP) and draw.random() < 0.9:  # resources alone seldom leave more than a point
        axes = draw.sample(names, count)
    return query(**fields, limits=limits), tuple(axes)
