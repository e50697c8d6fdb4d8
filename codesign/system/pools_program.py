"""From the columns of two pools to the program of `formulations.disaggregated`, and its values back to SI."""

import math

import numpy as np

from codesign.system.columns import KILO, limits_in, money_of, servers_in
from codesign.system.pools import Pools
from codesign.system.query import Query
from formulations import disaggregated

GIGA = 1e-9  # B -> GB


def instance_of(query: Query, pools: Pools) -> disaggregated.Instance:
    """The program over all columns, labelled by position: requests/s, GB, thousands of dollars, $/h, kW."""
    servers, chip, most = pools.servers, pools.chip, query.limits.replicas
    labels = np.arange(len(pools))
    kinds: dict[str, disaggregated.Objective] = {"throughput": "throughput", "cost": "cost"}
    return disaggregated.Instance(
        prefill=labels[: pools.split], decode=labels[pools.split :],
        speed=pools.speed, utilisation=pools.cap, link=pools.link * GIGA, pace=pools.pace,
        most_replicas=np.full(len(pools), math.inf if most is None else float(most)),
        price=np.ones(len(pools)) if query.maximize == "throughput" else money_of(query, servers)[chip] * _unit(query),
        objective=kinds.get(query.maximize, "ratio"),
        cache=pools.cache_bytes * GIGA,
        **servers_in(servers, pools.layout, chip), **limits_in(query),
    )  # fmt: skip


def _unit(query: Query) -> float:
    """The program's unit of money and power in SI; 1 for dollars an hour and for throughput."""
    hourly = query.dollars == "per-hour" and query.maximize in ("throughput-per-dollar", "cost")
    return 1.0 if hourly or query.maximize == "throughput" else KILO


def objective_si(query: Query, value: float | None) -> float | None:
    """A value in the program's unit as the objective in SI: requests become their output tokens."""
    if value is None:
        return None
    if query.maximize == "cost":
        return value / _unit(query)
    return value * query.output * _unit(query)
