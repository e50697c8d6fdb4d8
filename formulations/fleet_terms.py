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
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from formulations.fleet import Instance

Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


BOTH, PREFILL, DECODE = 0, 1, 2  # phases of a column
COLUMN = ("demand_of", "kind_of", "phase", "meets", "rate", "parcels", "size")  # parameters over `columns`


def refuse(data: "Instance") -> None:
    """ValueError naming every parameter of a wrong shape or sign: the caller's fault, found before a solver's."""
    demands, kinds, periods = len(data.demands), len(data.kinds), len(data.periods)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("demand", "least", "worth"), (demands, periods))
    shapes |= dict.fromkeys(("strict", "tokens", "workload_of"), (demands,))
    shapes |= dict.fromkeys(COLUMN, (len(data.columns),))
    shapes |= dict.fromkeys(("servers_per_rack", "watts", "vendor", "life", "most_servers", "least_bought"), (kinds,))
    shapes |= dict.fromkeys(("price", "running", "installed", "supply"), (kinds, periods))
    shapes |= {"charge": (kinds, periods, periods), "chips_per_server": (kinds,), "length": (periods,)}
    shapes |= dict.fromkeys(("capital", "spending", "power", "racks"), (periods,))
    given = {name: getattr(data, name) for name in shapes if getattr(data, name) is not None}
    faults = [f"{n} has shape {a.shape}, expected {shapes[n]}" for n, a in given.items() if a.shape != shapes[n]]
    if not faults:
        positive = ("rate", "parcels", "size", "chips_per_server", "servers_per_rack", "life", "length")
        faults = [f"{n} must be positive" for n in positive if not (given[n] > 0).all()]
        faults += [f"{n} must not be negative or NaN" for n, a in given.items() if not (a >= 0).all()]
        faults += _faults(data)
    if faults:
        raise ValueError("fleet: " + "; ".join(faults))


def _faults(data: "Instance") -> list[str]:
    whole = np.array_equal(data.installed, np.round(data.installed)) and np.array_equal(data.size, np.round(data.size))
    rules = {
        "installed and size must be whole numbers": whole,
        "installed must not grow: what comes later is bought": not (np.diff(data.installed, axis=1) > 0).any(),
        "least must be at most demand": (data.least <= data.demand).all(),
        "strict must be at most 1": (data.strict <= 1).all(),
        "phase must be BOTH, PREFILL or DECODE": np.isin(data.phase, (BOTH, PREFILL, DECODE)).all(),
        "demand_of must name demands": (data.demand_of < len(data.demands)).all(),
        "kind_of must name kinds": (data.kind_of < len(data.kinds)).all(),
        "most_kinds must not be negative": data.most_kinds is None or data.most_kinds >= 0,
        "second_source must be in [0, 1]": data.second_source is None or 0 <= data.second_source <= 1,
    }
    faults = [rule for rule, kept in rules.items() if not kept]
    if not faults and (data.size > data.chips_per_server[data.kind_of]).any():
        faults.append("size must be at most the chips of a server: a larger stage is as many parcels of whole servers")
    return faults


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


def packing(data: "Instance") -> Packing:
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


def asked(data: "Instance") -> Array:
    """[d, p] requests/s worth serving: all the demand where more served is better, else what must be served."""
    return data.demand if data.objective in ("ratio", "value") else data.least


def usable(data: "Instance", wanted: Array) -> tuple[Array, Array]:
    """[j, p] requests/s of a replica, and those of the strict share: never more than its demand asks.

    A replica that could serve more changes no integer solution when it counts for less, and the
    relaxation is tighter. `wanted` is `asked`, or that of another case of the demand.
    """
    most = wanted[data.demand_of]
    share = data.strict[data.demand_of][:, None]
    rate = data.rate[:, None]
    return np.minimum(rate, most), np.where(data.meets[:, None], np.minimum(rate, share * most), 0.0)


def split(data: "Instance") -> Mask:
    """[d] whether some column of the demand works in one phase only: else one row stands for both phases."""
    found = np.zeros(len(data.demands), dtype=bool)
    found[data.demand_of[data.phase != BOTH]] = True
    return found


def strict_rows(data: "Instance") -> Mask:
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


def money(data: "Instance") -> Terms:
    """k$ over all periods."""
    return Terms(data.charge.sum(axis=2), data.running, np.zeros(data.demand.shape))


def gain(data: "Instance") -> Terms:
    """What is to be most: ratio: k tokens/s times years; value: k$ of worth."""
    none = np.zeros(data.running.shape)
    per = data.worth if data.objective == "value" else data.tokens[:, None] * data.length[None, :]
    return Terms(none, none, per)


def objective(data: "Instance", lam: float = 0.0) -> Terms:
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


def alive(data: "Instance") -> Mask:
    """[h, b, p] whether a server bought in b works in p."""
    bought, now = np.meshgrid(data.periods, data.periods, indexing="ij")
    return (bought <= now) & (now < bought + data.life[:, None, None])


def unit(data: "Instance", lam: float = 0.0) -> float:
    """What the objective is divided by, so that its largest coefficient is 100."""
    terms = objective(data, lam)
    largest = max(float(np.abs(each).max(initial=0.0)) for each in (terms.buy, terms.own, terms.served))
    return largest / 100.0 if largest > 0 else 1.0
