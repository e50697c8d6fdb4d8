"""Recount a fleet without a solver: every row in whole numbers and fractions, parcels put into servers.

Counts are compared exactly. A row of measured numbers (requests/s, k$, kW) is kept when it is short by
at most NEAR of its limit: those numbers are rounded when they are written, not only when they are solved.
"""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from formulations.fleet import instance
from formulations.fleet import terms as fleet_terms
from formulations.fleet.instance import DECODE, PREFILL, Instance, Placed, Solution
from formulations.solvers.arrays import Array

NEAR = Fraction(1, 10**9)
IDLE = (DECODE, PREFILL)  # the phase whose replicas prefill nothing, and decode nothing


def dot(numbers: Array, counts: np.ndarray[Any, Any]) -> Fraction:
    """Exact sum of products of finite numbers and whole counts."""
    pairs = zip(numbers.ravel().tolist(), counts.ravel().tolist(), strict=True)
    return sum((Fraction(a) * n for a, n in pairs if n), Fraction(0))


def replicas(data: Instance, solution: Solution, p: int) -> dict[int, int]:
    """Column -> replicas in a period."""
    return {each.column: each.replicas for each in solution.placed if each.period == p}


def _phases(data: Instance, placed: dict[int, int], d: int, *, strict: bool) -> list[Fraction]:
    """requests/s that replicas prefill, and that they decode; `strict`: those that meet the limits of speed."""
    sums = [Fraction(0), Fraction(0)]
    for j, count in placed.items():
        if data.demand_of[j] == d and (data.meets[j] or not strict):
            for i, idle in enumerate(IDLE):
                if data.phase[j] != idle:
                    sums[i] += Fraction(float(data.rate[j])) * count
    return sums


def capacity(data: Instance, placed: dict[int, int], d: int, *, strict: bool) -> Fraction:
    """requests/s that replicas can serve of a demand from prompt to last token."""
    return min(_phases(data, placed, d, strict=strict))


def most_served(data: Instance, solution: Solution) -> Array:
    """[d, p] requests/s that the replicas can serve, at most what is asked; rounded once."""
    served = np.zeros(data.demand.shape)
    wanted = instance.asked(data)
    for d, p in np.ndindex(*served.shape):
        placed = replicas(data, solution, p)
        most = min(Fraction(float(wanted[d, p])), capacity(data, placed, d, strict=False))
        share = Fraction(float(data.strict[d]))
        most = most if share == 0 else min(most, capacity(data, placed, d, strict=True) / share)
        served[d, p] = float(most)
    return served


def needed(data: Instance, solution: Solution) -> list[Placed]:
    """The replicas without those that can go, largest first, while each demand is served as it is."""
    left = []
    weight = fleet_terms.packing(data).weight.max(axis=1, initial=0.0)
    for p in data.periods.tolist():
        placed = replicas(data, solution, p)
        for j in sorted(placed, key=lambda j: (-weight[j], j)):
            d, rate = int(data.demand_of[j]), Fraction(float(data.rate[j]))
            served = Fraction(float(solution.served[d, p]))
            spare = [_spare(data, placed, j, served, strict=False)]
            if data.meets[j]:
                spare.append(_spare(data, placed, j, served * Fraction(float(data.strict[d])), strict=True))
            placed[j] -= max(min(placed[j], *(math.floor(each / rate) for each in spare)), 0)
        left += [replace(each, replicas=placed[each.column]) for each in solution.placed if each.period == p]
    return [each for each in left if each.replicas]


def _spare(data: Instance, placed: dict[int, int], j: int, need: Fraction, *, strict: bool) -> Fraction:
    """requests/s beyond the need in the phases of column j, the lesser."""
    sums = _phases(data, placed, int(data.demand_of[j]), strict=strict)
    return min(total - need for total, idle in zip(sums, IDLE, strict=True) if data.phase[j] != idle)


def free_chips(data: Instance, solution: Solution, h: int, p: int) -> Counter[int] | None:
    """Free chips of a server -> servers, once every parcel lies in one server; None where they do not fit.

    Largest first, into the fullest server with room: exact where sizes divide each other (`fleet.terms`).
    Sizes that do not are put as they are, then, should they not fit, as the program charges them.
    """
    placed = {j: n for j, n in replicas(data, solution, p).items() if data.kind_of[j] == h}
    chips, servers = int(data.chips_per_server[h]), int(solution.own[h, p])
    sizes = sorted({int(s) for s in data.size[data.kind_of == h]})
    charged = fleet_terms.charged_sizes(sizes, chips) if sizes else {}
    for size in ({s: s for s in sizes}, charged):
        parcels = Counter[int]()
        for j, count in placed.items():
            parcels[size[int(data.size[j])] or chips] += count * int(data.parcels[j])
        free = _put(parcels, Counter({chips: servers}))
        if free is not None:
            return free
    return None


def _put(parcels: Counter[int], free: Counter[int]) -> Counter[int] | None:
    for size, left in sorted(parcels.items(), reverse=True):
        for room in sorted(free):
            each = room // size
            if each == 0 or left == 0:
                continue
            filled = min(free[room], left // each)
            free[room] -= filled
            free[room - each * size] += filled
            left -= filled * each
            if 0 < left < each and free[room] > 0:
                free[room] -= 1
                free[room - left * size] += 1
                left = 0
        if left:
            return None
        free = +free
    return free


def broken(data: Instance, solution: Solution) -> list[str]:
    """Names of the rows of `fleet` that a solution breaks, with their indices; an empty list where none."""
    return broken_servers(data, solution) + broken_serving(data, solution)


def broken_servers(data: Instance, s: Solution) -> list[str]:
    """The rows of what is bought, kept and owned."""
    rows = []
    works = fleet_terms.alive(data)
    for h in data.kinds.tolist():
        for p in data.periods.tolist():
            keep, buy, own = (int(each[h, p]) for each in (s.keep, s.buy, s.own))
            bought = sum(int(s.buy[h, b]) for b in data.periods if works[h, b, p])
            kept = {
                "count_servers": own == keep + bought, "whole": min(keep, buy) >= 0,
                "keep_installed": keep <= data.installed[h, p], "stay_retired": p == 0 or keep <= s.keep[h, p - 1],
                "stay_in_supply": buy <= data.supply[h, p],
                "stay_in_servers": data.most_servers is None or own <= data.most_servers[h],
            }  # fmt: skip
            rows += [f"{name}[{h},{p}]" for name, fine in kept.items() if not fine]
    for p in data.periods.tolist():
        rows += [f"{name}[{p}]" for name, fine in _limits(data, s, p).items() if not fine]
    if data.least_bought is not None:
        rows += [f"buy_least[{h}]" for h in data.kinds if int(s.buy[h].sum()) < data.least_bought[h]]
    if data.most_kinds is not None and int((s.own > 0).any(axis=1).sum()) > data.most_kinds:
        rows.append("stay_in_kinds")
    return rows


def broken_serving(data: Instance, s: Solution) -> list[str]:
    """The rows of the replicas, on the servers that `own` says."""
    cells = np.ndindex(*s.own.shape)
    rows = [f"pack_servers[{h},{p}]" for h, p in cells if free_chips(data, s, h, p) is None]
    rows += _serving(data, s)
    if data.one_kind:
        hosts = {(int(data.workload_of[data.demand_of[e.column]]), int(data.kind_of[e.column])) for e in s.placed}
        rows += [f"host_once[{w}]" for w, n in Counter(w for w, _ in hosts).items() if n > 1]
    return rows


def _serving(data: Instance, s: Solution) -> list[str]:
    rows = []
    for p in data.periods.tolist():
        placed = replicas(data, s, p)
        rows += [f"whole[{j},{p}]" for j, count in placed.items() if count < 0]
        for d in data.demands.tolist():
            served = Fraction(float(s.served[d, p]))
            short = served * (1 - NEAR)
            kept = {
                "serve_least": served >= Fraction(float(data.least[d, p])) * (1 - NEAR),
                "serve_most": served <= Fraction(float(data.demand[d, p])),
                "serve_tokens": capacity(data, placed, d, strict=False) >= short,
                "strict_tokens": capacity(data, placed, d, strict=True) >= Fraction(float(data.strict[d])) * short,
            }
            rows += [f"{name}[{d},{p}]" for name, fine in kept.items() if not fine]
    return rows


def _limits(data: Instance, s: Solution, p: int) -> dict[str, bool]:
    own = s.own[:, p]
    racks = sum((int(n) / Fraction(float(e)) for n, e in zip(own, data.servers_per_rack, strict=True)), Fraction(0))
    taken = {
        "capital": dot(data.price[:, p], s.buy[:, p]),
        "spending": dot(data.charge[:, :, p], s.buy) + dot(data.running[:, p], own),
        "power": dot(data.watts, own), "racks": racks,
    }  # fmt: skip
    kept = {}
    for name, amount in taken.items():
        limit = getattr(data, name)
        finite = limit is not None and np.isfinite(limit[p])
        kept[f"stay_in_{name}"] = not finite or amount <= Fraction(float(limit[p])) * (1 + NEAR)
    if data.second_source is not None:
        most, chips = 1 - Fraction(float(data.second_source)), data.chips_per_server * own
        whole = int(chips.sum())
        parts = [int(chips[data.vendor == v].sum()) for v in data.vendors]
        kept["mix_vendors"] = all(part <= most * whole * (1 + NEAR) for part in parts)
    return kept


def amount(data: Instance, solution: Solution, terms: fleet_terms.Terms) -> float:
    """Exact sum of an objective's terms, rounded once."""
    counted = dot(terms.buy, solution.buy) + dot(terms.own, solution.own)
    served = zip(terms.served.ravel().tolist(), solution.served.ravel().tolist(), strict=True)
    return float(counted + sum((Fraction(a) * Fraction(y) for a, y in served), Fraction(0)))


def paid(data: Instance, solution: Solution) -> float:
    """k$ over all periods."""
    return amount(data, solution, fleet_terms.money(data))


def gained(data: Instance, solution: Solution) -> float:
    """What value and ratio count: k$ of worth, or k tokens/s times years."""
    return amount(data, solution, fleet_terms.gain(data))


def value(data: Instance, solution: Solution) -> float:
    """k$, kW, k$ of worth, or k tokens/s times years per k$; raises ZeroDivisionError for a ratio of nothing paid."""
    if data.objective == "ratio":
        return gained(data, solution) / paid(data, solution)
    return amount(data, solution, fleet_terms.objective(data))
