"""What the fleet programs compute before they are built: requests asked, packing rows, objective terms, big-M.

Everything here is a closed form over arrays; nothing solves. `Instance` is that of `fleet`.

Packing. A kind's server has C chips; a parcel of s chips lies inside one server. Where the sizes in use
form a chain (each divides the next), n servers hold a set of parcels exactly when for every size s the
parcels of s chips and more take at most n * s * floor(C / s) chips. Needed: what a server holds of them
is a multiple of s, at most C. Enough: place the largest first. A parcel of s chips finds no room only
when every server holds a multiple of s above C - s, which is s * floor(C / s): the row of s is full.
(E. Coffman, M. Garey, D. Johnson, Bin packing with divisible item sizes, J. Complexity 3 (1987) 406-428.)
A parcel beside which nothing in use fits takes the whole server: it weighs s * floor(C / s) in every
row, and the argument holds for the other servers. A size that fits no chain is charged as the next
larger size of the longest chain, or as a whole server: safe, and told by `Packing.rounded`.
"""

from dataclasses import dataclass

import numpy as np

from formulations.fleet.instance import BOTH, Instance
from formulations.solvers.arrays import Array, Mask


@dataclass(frozen=True)
class Packing:
    """Rows k of each kind h: `full[h, k]` chips that a server gives (0: no such row), `weight[j, k]` of a replica."""

    full: Array
    weight: Array
    rounded: Mask  # columns charged more chips than they take, since their size is in no chain


def longest_chain(sizes: list[int]) -> list[int]:
    """The longest list of sizes of which each divides the next; of equals the one with the smallest sizes.

    >>> longest_chain([1, 2, 3, 4, 8])
    [1, 2, 4, 8]
    """
    ending: list[list[int]] = []
    for size in sorted(sizes):
        before = [chain for chain in ending if size % chain[-1] == 0]
        ending.append([*max(before, key=len, default=[]), size])
    return max(ending, key=len, default=[])


def charged_sizes(sizes: list[int], chips: int) -> dict[int, int]:
    """Size -> the size of the chain that it is charged as; 0 stands for a whole server."""
    smallest = min(sizes)
    beside = [size for size in sizes if size + smallest <= chips]
    chain = longest_chain(beside)
    charged = dict.fromkeys(sizes, 0)
    return charged | {size: min((s for s in chain if s >= size), default=0) for size in beside}


def packing(data: Instance) -> Packing:
    """The rows of every kind; of rows in which a server gives the same chips only the smallest size's is kept."""
    rows: list[list[tuple[int, int]]] = []  # per kind: (size, chips that a server gives)
    parcel: list[list[Array]] = []
    rounded = np.zeros(len(data.columns), dtype=bool)
    for h in data.kinds:
        on = np.flatnonzero(data.kind_of == h)
        chips, sizes = int(data.chips_per_server[h]), data.size[on].astype(int)
        if len(on) == 0:
            rows.append([])
            parcel.append([])
            continue
        charged = charged_sizes(sorted(set(sizes.tolist())), chips)
        chain = sorted({s for s in charged.values() if s})
        taken = np.array([charged[s] for s in sizes.tolist()])
        rounded[on] = (taken > sizes) | ((taken == 0) & (sizes + sizes.min() <= chips))
        fulls: dict[int, int] = {}
        for s in chain or [chips]:
            fulls.setdefault(s * (chips // s), s)
        rows.append([(s, full) for full, s in fulls.items()])
        parcel.append([np.where(taken == 0, full, np.where(taken >= s, taken, 0.0)) for s, full in rows[-1]])
    width = max((len(r) for r in rows), default=0)
    full, weight = np.zeros((len(data.kinds), width)), np.zeros((len(data.columns), width))
    for h in data.kinds:
        on = np.flatnonzero(data.kind_of == h)
        for k, (_, chips) in enumerate(rows[h]):
            full[h, k] = chips
            weight[on, k] = parcel[h][k] * data.parcels[on]
    return Packing(full, weight, rounded)


def usable(data: Instance, wanted: Array) -> tuple[Array, Array]:
    """[j, p] requests/s of a replica, and those of the strict share: never more than its demand asks.

    A replica that could serve more changes no integer solution when it counts for less, and the
    relaxation is tighter. `wanted` is `asked`, or that of another case of the demand.
    """
    most = wanted[data.demand_of]
    share = data.strict[data.demand_of][:, None]
    rate = data.rate[:, None]
    return np.minimum(rate, most), np.where(data.meets[:, None], np.minimum(rate, share * most), 0.0)


def split(data: Instance) -> Mask:
    """[d] whether some column of the demand works in one phase only: else one row stands for both phases."""
    found = np.zeros(len(data.demands), dtype=bool)
    found[data.demand_of[data.phase != BOTH]] = True
    return found


def strict_rows(data: Instance) -> Mask:
    """[d] whether the strict share is a row: some column does not meet the limits, and some share must."""
    slow = np.zeros(len(data.demands), dtype=bool)
    slow[data.demand_of[~data.meets]] = True
    return slow & (data.strict > 0)


@dataclass(frozen=True)
class Terms:
    """Objective: sum of buy[h, p], own[h, p] and served[d, p], each times its array."""

    buy: Array
    own: Array
    served: Array


def money(data: Instance) -> Terms:
    """k$ over all periods."""
    return Terms(data.charge.sum(axis=2), data.running, np.zeros(data.demand.shape))


def gain(data: Instance) -> Terms:
    """What is to be most: ratio: k tokens/s times years; value: k$ of worth."""
    none = np.zeros(data.running.shape)
    per = data.worth if data.objective == "value" else data.tokens[:, None] * data.length[None, :]
    return Terms(none, none, per)


def objective(data: Instance, lam: float = 0.0) -> Terms:
    """Cost and power are to be least, ratio (at the trial ratio `lam`) and value most."""
    if data.objective == "cost":
        return money(data)
    if data.objective == "power":
        none = np.zeros(data.running.shape)
        share = data.length / data.length.sum()
        return Terms(none, data.watts[:, None] * share[None, :], np.zeros(data.demand.shape))
    if data.objective == "value":
        return gain(data)
    paid, earned = money(data), gain(data)
    return Terms(-lam * paid.buy, -lam * paid.own, earned.served)


def alive(data: Instance) -> Mask:
    """[h, b, p] whether a server bought in b works in p."""
    bought, now = np.meshgrid(data.periods, data.periods, indexing="ij")
    return (bought <= now) & (now < bought + data.life[:, None, None])


def unit(data: Instance, lam: float = 0.0) -> float:
    """What the objective is divided by, so that its largest coefficient is 100."""
    terms = objective(data, lam)
    largest = max(float(np.abs(each).max(initial=0.0)) for each in (terms.buy, terms.own, terms.served))
    return largest / 100.0 if largest > 0 else 1.0
