"""From the columns of two pools to the program of `formulations.disaggregated`, and its values back to SI."""

import math

import numpy as np

from codesign.columns import KILO, Servers
from codesign.layouts import Floats
from codesign.pools import Pools
from codesign.query import Query
from formulations import disaggregated

GIGA = 1e-9  # B -> GB


def money_of(query: Query, servers: Servers) -> Floats:
    """What the objective counts for each server, by chip, in SI; ones for throughput."""
    if query.maximize == "throughput":
        return np.ones(len(servers.chips))
    if query.maximize == "throughput-per-watt":
        return servers.watts
    return servers.dollars if query.dollars == "capital" else servers.hourly


def instance_of(query: Query, pools: Pools) -> disaggregated.Instance:
    """The program over all columns, labelled by position: requests/s, GB, thousands of dollars, $/h, kW."""
    servers, chip, limit = pools.servers, pools.chip, query.limits
    labels = np.arange(len(pools))
    hourly = query.dollars == "per-hour" and query.maximize in ("throughput-per-dollar", "cost")
    kinds: dict[str, disaggregated.Objective] = {"throughput": "throughput", "cost": "cost"}
    return disaggregated.Instance(
        prefill=labels[: pools.split], decode=labels[pools.split :],
        speed=pools.speed, utilisation=pools.cap, link=pools.link * GIGA, pace=pools.pace,
        most_replicas=np.full(len(pools), math.inf if limit.replicas is None else float(limit.replicas)),
        parcels=servers.parcels[pools.layout], per_server=servers.per_server[pools.layout],
        dollars=servers.dollars[chip] * KILO, hourly=servers.hourly[chip], watts=servers.watts[chip] * KILO,
        chips=servers.chips[chip], racks=servers.racks[chip],
        price=money_of(query, servers)[chip] * (1.0 if hourly or query.maximize == "throughput" else KILO),
        objective=kinds.get(query.maximize, "ratio"),
        cache=pools.cache_bytes * GIGA,
        users=None if limit.users is None else float(limit.users),
        budget=None if limit.budget is None else limit.budget * KILO,
        hourly_budget=limit.hourly,
        power=None if limit.power is None else limit.power * KILO,
        chip_limit=None if limit.chips is None else float(limit.chips),
        rack_limit=None if limit.racks is None else float(limit.racks),
        spares=float(query.spare_servers),
    )  # fmt: skip


def objective_si(query: Query, value: float | None) -> float | None:
    """A value in the program's unit as the objective in SI: requests become their output tokens."""
    if value is None:
        return None
    hourly = query.dollars == "per-hour" and query.maximize in ("throughput-per-dollar", "cost")
    if query.maximize == "cost":
        return value if hourly else value / KILO
    return value * query.output * (1.0 if hourly or query.maximize == "throughput" else KILO)
