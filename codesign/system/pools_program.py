"""From the columns of two pools to the program of `formulations.disaggregated`, and its values back to SI."""

import math

import numpy as np

from codesign.system.columns import counted_of, limits_in, servers_in
from codesign.system.pools import Pools
from codesign.system.query import Query
from formulations import disaggregated

GIGA = 1e-9  # B -> GB


def instance_of(query: Query, pools: Pools) -> disaggregated.Instance:
    """The program over all columns, labelled by position: requests/s, GB, thousands of dollars, $/h, kW."""
    servers, chip, most = pools.servers, pools.chip, query.limits.replicas
    labels = np.arange(len(pools))
    kind = query.objective.pools
    if kind is None:
        raise ValueError(f"maximize = {query.maximize!r}: two pools have no program for it")
    return disaggregated.Instance(
        prefill=labels[: pools.split], decode=labels[pools.split :],
        speed=pools.speed, utilisation=pools.cap, link=pools.link * GIGA, pace=pools.pace,
        most_replicas=np.full(len(pools), math.inf if most is None else float(most)),
        price=counted_of(query, servers)[chip] * query.objective.scale,
        objective=kind,
        cache=pools.cache_bytes * GIGA,
        **servers_in(servers, pools.layout, chip), **limits_in(query),
    )  # fmt: skip
