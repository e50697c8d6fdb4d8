"""Columns that a best fleet never needs: another column of the same demand and kind does as well in less space.

Column k dominates column j where k works in every phase in which j works, meets the limits of speed if j
does, and m replicas of k take no more of the servers than one of j (in every packing row) and serve no
less, for some whole m >= 1: then m replicas of k replace every replica of j and break no row. A rate
counts only up to the most that the demand ever asks. Dominance is transitive, and of equal columns the
first one is kept, so that all dominated columns can go at once.
"""


import numpy as np

from formulations.fleet import instance, terms
from formulations.fleet.instance import Instance
from formulations.solvers.arrays import Array, Labels, Mask


def undominated(data: Instance, wanted: Array | None = None) -> Labels:
    """Positions of the columns that are left, ascending; `wanted` [d, p] is the most asked, else `asked`."""
    wanted = instance.asked(data) if wanted is None else wanted
    most = wanted.max(axis=1, initial=0.0)
    rate = np.minimum(data.rate, most[data.demand_of])
    weight = terms.packing(data).weight
    best = _best_of_equals(data, rate, weight)
    left = []
    group = data.demand_of[best] * len(data.kinds) + data.kind_of[best]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    for rows in np.split(best, starts[1:]):
        left.append(rows[~_dominated(data, rate[rows], weight[rows], rows)])
    return np.sort(np.concatenate(left)) if left else best


def _best_of_equals(data: Instance, rate: Array, weight: Array) -> Labels:
    """The fastest column, of equals the first, of every demand, kind, phase, speed class and weight."""
    asked = np.flatnonzero(rate > 0)
    keys = [data.demand_of, data.kind_of, data.phase, data.meets, *weight.T]
    order = asked[np.lexsort([asked, -rate[asked], *[key[asked] for key in reversed(keys)]])]
    if len(order) == 0:
        return order
    changes = np.zeros(len(order), dtype=bool)
    changes[0] = True
    for key in keys:
        changes[1:] |= np.diff(key[order].astype(float)) != 0
    return order[changes]


def _dominated(data: Instance, rate: Array, weight: Array, rows: Labels) -> Mask:
    phase, meets = data.phase[rows], data.meets[rows]
    fits = np.full((len(rows), len(rows)), np.inf)  # [k, j] replicas of k in the space of one of j
    for each in weight.T:
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.floor(each[None, :] / each[:, None])
        fits = np.minimum(fits, np.where(each[:, None] > 0, room, np.inf))
    fits = np.where(np.isfinite(fits), fits, 0.0)
    works = (phase[:, None] == phase[None, :]) | (phase[:, None] == instance.BOTH)
    better = works & (meets[:, None] >= meets[None, :]) & (fits >= 1) & (fits * rate[:, None] >= rate[None, :])
    np.fill_diagonal(better, False)
    found: Mask = better.any(axis=0)
    return found
