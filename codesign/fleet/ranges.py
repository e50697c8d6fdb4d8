"""Numbers that a program cannot tell from none, or from no limit: bad input, said with the key they come from.

Solvers take 1e20 for infinite, refuse coefficients from 1e15 on, and tell amounts apart to 1e-9 of a program whose
units are requests/s, thousands of dollars and kW.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import DataError

if TYPE_CHECKING:
    from codesign.fleet.prepared import Prepared

MOST_REQUESTS = 1e9     # requests/s
LEAST_REQUESTS = 1e-5   # requests/s: one a day
MOST_USD = 1e15         # of a server, or of its use in a period
MOST_W = 1e12           # of a server
MOST_SERVERS = 10**9    # installed


def demand_in_range(p: "Prepared") -> None:
    """DataError with every amount that follows from the plan and the catalogue and is too large or too small."""
    if faults := [*_requests(p), *_servers(p)]:
        raise DataError("\n".join(dict.fromkeys(faults)))


def _requests(p: "Prepared") -> Iterator[str]:
    factors = {"": 1.0} if not p.plan.scenarios else {}
    for d, of in enumerate(p.demands):
        said = {f"scenarios.{name}: ": one.factor(of.workload) for name, one in p.plan.scenarios.items()} or factors
        for i, period in enumerate(p.periods):
            for name, factor in said.items():
                amount = float(p.requests[d, i]) * factor
                parts = [share for share in (p.strict(d), p.plan.survive_share) if share]
                if amount and not (min((1.0, *parts)) * amount >= LEAST_REQUESTS and amount <= MOST_REQUESTS):
                    yield (f"{name}workloads.{of.workload}.requests = {amount:g} requests/s in {period} of "
                           f"{of.length.input:,} tokens in and {of.length.output:,} out (requests, growth, shares of "
                           f"lengths): must be 0 or within {LEAST_REQUESTS:g} .. {MOST_REQUESTS:g}, and at least as "
                           "much times share and survive_share")  # fmt: skip


def _servers(p: "Prepared") -> Iterator[str]:
    k = p.kinds
    for h, chip in enumerate(k.names):
        usd = max(float(k.price[h].max()), float(k.charge[h].max()), float(k.running[h].max()))
        if not usd <= MOST_USD:
            yield (f"a server of {chip} costs {usd:g} USD (chips.{chip}.price, periods.price, prices.default): must be "
                   f"at most {MOST_USD:g}")  # fmt: skip
        if np.isfinite(k.watts[h]) and k.watts[h] > MOST_W:
            yield f"a server of {chip} draws {k.watts[h]:g} W (chips.{chip}.power): must be at most {MOST_W:g}"
        if k.installed[h].max() > MOST_SERVERS:
            yield f"installed.{chip}.servers = {k.installed[h].max():g}: must be at most {MOST_SERVERS:g}"
