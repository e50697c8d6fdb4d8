"""Small fleets: a plain reference that tries everything, generated instances, pairs that just fit and just fail."""

import itertools
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from formulations.fleet import Instance
from formulations.fleet.instance import BOTH, DECODE, PREFILL

Column = dict[str, Any]
COLUMN: Column = {"demand": 0, "kind": 0, "phase": BOTH, "meets": True, "rate": 2.0, "parcels": 1, "size": 4}
KIND: Column = {
    "chips": 8, "per_rack": 4.0, "watts": 10.0, "vendor": 0, "life": 9, "price": 100.0, "running": 5.0,
    "installed": 0, "supply": math.inf, "charge": None,
}  # fmt: skip
DEMAND: Column = {"demand": 4.0, "least": None, "strict": 0.0, "worth": 1.0, "tokens": 0.5, "workload": None}
PERIODIC = ("capital", "spending", "power", "racks")


def _over(value: Any, periods: int) -> list[float]:
    return list(value) if isinstance(value, list | tuple) else [value] * periods


def instance(
    columns: list[Column], kinds: list[Column] | None = None, demands: list[Column] | None = None, *,
    periods: int = 1, objective: str = "cost", **limits: Any,
) -> Instance:  # fmt: skip
    """An instance of rows that say only what differs from COLUMN, KIND and DEMAND; charge: price by life or end."""
    cols, hs = [COLUMN | c for c in columns], [KIND | k for k in kinds or [{}]]
    ds = [DEMAND | d for d in demands or [{}]]
    price = np.array([_over(h["price"], periods) for h in hs], dtype=float)
    charge = np.zeros((len(hs), periods, periods))
    for h, b in np.ndindex(len(hs), periods):
        end = min(b + hs[h]["life"], periods)
        charge[h, b, b:end] = price[h, b] / (end - b)
    grid = lambda rows, name, kind=float: np.array([_over(r[name], periods) for r in rows], dtype=kind)  # noqa: E731
    each = lambda rows, name, kind=float: np.array([r[name] for r in rows], dtype=kind)  # noqa: E731
    demand = grid(ds, "demand")
    least = None
    if any(d["least"] is not None for d in ds):
        least = np.array([_over(d["demand"] if d["least"] is None else d["least"], periods) for d in ds], dtype=float)
    limits |= {name: np.array(_over(limits[name], periods), dtype=float) for name in PERIODIC if name in limits}
    return Instance(
        demand=demand, least=least, strict=each(ds, "strict"), worth=grid(ds, "worth"), tokens=each(ds, "tokens"),
        workload_of=np.array([i if d["workload"] is None else d["workload"] for i, d in enumerate(ds)]),
        demand_of=each(cols, "demand", int), kind_of=each(cols, "kind", int), phase=each(cols, "phase", int),
        meets=each(cols, "meets", bool), rate=each(cols, "rate"), parcels=each(cols, "parcels", int),
        size=each(cols, "size", int), chips_per_server=each(hs, "chips", int), servers_per_rack=each(hs, "per_rack"),
        watts=each(hs, "watts"), vendor=each(hs, "vendor", int), life=each(hs, "life", int), price=price,
        charge=charge, running=grid(hs, "running"), installed=grid(hs, "installed", int),
        supply=grid(hs, "supply"), length=np.ones(periods), objective=objective, **limits,
    )  # fmt: skip


# The reference: every number of servers bought and kept, and for each fleet every number of replicas.


def fits(parcels: tuple[int, ...], chips: int, servers: int) -> bool:
    """Whether parcels lie in servers, by trying every server for each."""

    @cache
    def place(i: int, free: tuple[int, ...]) -> bool:
        if i == len(parcels):
            return True
        rooms = {room for room in free if room >= parcels[i]}
        return any(place(i + 1, tuple(sorted((*_without(free, room), room - parcels[i])))) for room in rooms)

    return place(0, (chips,) * servers)


def _without(free: tuple[int, ...], room: int) -> list[int]:
    left = list(free)
    left.remove(room)
    return left


def _covered(data: Instance, counts: tuple[int, ...], d: int, *, strict: bool) -> float:
    sums = {PREFILL: 0.0, DECODE: 0.0}
    for j, count in enumerate(counts):
        if data.demand_of[j] == d and (data.meets[j] or not strict):
            for phase in sums:
                if data.phase[j] in (BOTH, phase):
                    sums[phase] += float(data.rate[j]) * count
    return min(sums.values())


def _served(data: Instance, counts: tuple[int, ...], d: int, p: int) -> float:
    """Most requests/s of a demand that replicas serve, at most all of them."""
    most = min(float(data.demand[d, p]), _covered(data, counts, d, strict=False))
    share = float(data.strict[d])
    return most if share == 0 else min(most, _covered(data, counts, d, strict=True) / share)


class Reference:
    """Values of every fleet that breaks no row; servers up to `most` of each kind and period."""

    def __init__(self, data: Instance, most: int = 3) -> None:
        self.data, self.most = data, most
        self._held: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        self._gain: dict[Any, float | None] = {}

    def fleets(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        data = self.data
        cells = list(itertools.product(data.kinds.tolist(), data.periods.tolist()))
        buys = [range(int(min(self.most, data.supply[h, p])) + 1) for h, p in cells]
        keeps = [range(int(data.installed[h, p]) + 1) for h, p in cells]
        for keep in itertools.product(*keeps):
            kept = np.array(keep).reshape(data.installed.shape)
            if (np.diff(kept, axis=1) > 0).any():
                continue
            for buy in itertools.product(*buys):
                bought = np.array(buy).reshape(data.installed.shape)
                own = kept.copy()
                for h, b in cells:
                    own[h, b : b + data.life[h]] += bought[h, b]
                if self._allowed(bought, own):
                    yield bought, kept, own

    def _allowed(self, buy: np.ndarray, own: np.ndarray) -> bool:
        data, near = self.data, 1 + 1e-9
        spent = (data.charge * buy[:, :, None]).sum(axis=(0, 1)) + (data.running * own).sum(axis=0)
        taken = {
            "capital": (data.price * buy).sum(axis=0), "spending": spent,
            "power": (data.watts[:, None] * own).sum(axis=0),
            "racks": (own / data.servers_per_rack[:, None]).sum(axis=0),
        }  # fmt: skip
        for name, amount in taken.items():
            limit = getattr(data, name)
            if limit is not None and (amount > limit * near).any():
                return False
        if data.most_servers is not None and (own > data.most_servers[:, None]).any():
            return False
        if data.least_bought is not None and (buy.sum(axis=1) < data.least_bought).any():
            return False
        if data.most_kinds is not None and (own > 0).any(axis=1).sum() > data.most_kinds:
            return False
        if data.second_source is not None:
            chips = data.chips_per_server[:, None] * own
            for v in data.vendors:
                if (chips[data.vendor == v].sum(axis=0) > (1 - data.second_source) * chips.sum(axis=0) * near).any():
                    return False
        return True

    def placements(self, own: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Replicas of every column that the servers of a period hold."""
        data = self.data
        room = [own[h] * int(data.chips_per_server[h]) for h in data.kinds]
        most = [room[data.kind_of[j]] // int(data.size[j] * data.parcels[j]) for j in data.columns]
        for counts in itertools.product(*[range(n + 1) for n in most]):
            parcels: list[list[int]] = [[] for _ in data.kinds]
            for j, count in enumerate(counts):
                parcels[data.kind_of[j]] += [int(data.size[j])] * (count * int(data.parcels[j]))
            if all(sum(parcels[h]) <= room[h] for h in data.kinds) and all(
                fits(tuple(sorted(parcels[h], reverse=True)), int(data.chips_per_server[h]), own[h]) for h in data.kinds
            ):
                yield counts

    def gain(self, own: tuple[int, ...], p: int, host: tuple[int, ...] | None) -> float | None:
        """Most that a period's servers gain; None where they cannot serve what must be served."""
        key = (*own, p, host)
        if key not in self._gain:
            self._gain[key] = self._most_gained(own, p, host)
        return self._gain[key]

    def _most_gained(self, own: tuple[int, ...], p: int, host: tuple[int, ...] | None) -> float | None:
        data, best = self.data, None
        per = data.worth[:, p] if data.objective == "value" else data.tokens * data.length[p]
        if own not in self._held:
            self._held[own] = list(self.placements(own))
        for counts in self._held[own]:
            if host is not None and any(
                n and data.kind_of[j] != host[int(data.workload_of[data.demand_of[j]])] for j, n in enumerate(counts)
            ):
                continue
            served = [_served(data, counts, d, p) for d in data.demands.tolist()]
            if all(y >= least * (1 - 1e-9) for y, least in zip(served, data.least[:, p], strict=True)):
                gained = float(np.dot(per, served))
                best = gained if best is None else max(best, gained)
        return best

    def value(self, buy: np.ndarray, own: np.ndarray) -> float | None:
        """The objective of a fleet with the best replicas; None where it cannot serve."""
        data = self.data
        hosts: Iterator[tuple[int, ...] | None] = iter([None])
        if data.one_kind:
            hosts = itertools.product(data.kinds.tolist(), repeat=int(data.workloads.max()) + 1)
        gains = []
        for host in hosts:
            each = [self.gain(tuple(own[:, p].tolist()), p, host) for p in data.periods.tolist()]
            if None not in each:
                gains.append(sum(each))
        if not gains:
            return None
        paid = float((data.charge.sum(axis=2) * buy).sum() + (data.running * own).sum())
        if data.objective == "cost":
            return paid
        if data.objective == "power":
            return float((data.watts[:, None] * own * data.length).sum() / data.length.sum())
        if data.objective == "value":
            return max(gains)
        return max(gains) / paid if max(gains) > 0 else None

    def best(self) -> float | None:
        values = [v for buy, _, own in self.fleets() if (v := self.value(buy, own)) is not None]
        if not values:
            return None
        return min(values) if self.data.objective in ("cost", "power") else max(values)


# Generated instances. Eighths are exact in floats: limits are met exactly or broken by much.


@st.composite
def instances(draw: st.DrawFn, objectives: tuple[str, ...] = ("cost", "power", "value", "ratio")) -> Instance:
    """One or two kinds, periods and demands; two to four columns; each limit absent, tight or loose."""

    def some(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    def eighths(low: int, high: int) -> float:
        return draw(st.integers(low, high)) / 8

    kinds, demands, periods = some(1, 2, 2), some(1, 2), some(1, 1, 2)
    chips = [some(2, 4, 4) for _ in range(kinds)]
    hs = [
        {"chips": c, "per_rack": some(1.0, 2.0, 4.0), "watts": eighths(8, 80), "vendor": h, "life": some(1, 2, 9),
         "price": [eighths(80, 800) for _ in range(periods)], "running": eighths(1, 80),
         "installed": sorted([some(0, 0, 1) for _ in range(periods)], reverse=True), "supply": some(1.0, 2.0, 2.0, 2.0)}
        for h, c in enumerate(chips)
    ]  # fmt: skip
    ds = [
        {"demand": [eighths(2, 24) for _ in range(periods)], "strict": some(0.0, 0.0, 0.5, 1.0),
         "worth": eighths(1, 40), "tokens": eighths(1, 16), "workload": some(0, d)}
        for d in range(demands)
    ]  # fmt: skip
    columns = []
    for _ in range(draw(st.integers(3, 5))):
        h = draw(st.integers(0, kinds - 1))
        size = draw(st.sampled_from([s for s in (1, 2, 3, 4) if s <= chips[h] and (s < 3 or chips[h] == 4)]))
        columns.append({
            "demand": draw(st.integers(0, demands - 1)), "kind": h, "phase": some(BOTH, BOTH, PREFILL, DECODE),
            "meets": some(True, True, False), "rate": eighths(4, 32), "size": size, "parcels": some(1, 1, 1, 2),
        })  # fmt: skip
    for h in range(kinds):  # 3 and 1 in one server have no chain: 1 becomes 2
        sizes = {c["size"] for c in columns if c["kind"] == h}
        for c in columns if {1, 3} <= sizes else ():
            c["size"] = 2 if c["kind"] == h and c["size"] == 1 else c["size"]
    limits: dict[str, Any] = {"most_kinds": some(None, None, 1), "one_kind": some(False, False, False, True)}
    limits["second_source"] = some(None, None, None, 0.25) if kinds == 2 else None
    limits["least_bought"] = some(None, None, None, np.array([some(0.0, 1.0) for _ in range(kinds)]))
    limits["most_servers"] = some(None, None, np.array([some(1.0, 2.0) for _ in range(kinds)]))
    for name, low, high in (("capital", 100, 1600), ("spending", 100, 1600), ("power", 20, 240), ("racks", 2, 20)):
        if some(False, False, False, False, True):
            limits[name] = eighths(low, high)
    return instance(columns, hs, ds, periods=periods, objective=some(*objectives), **limits)


# For every row of the program a pair: what just keeps it, what just breaks it. Columns, kinds, demands, the rest.
Case = tuple[list[Column], list[Column], list[Column], dict[str, Any]]
POOLS = [{"phase": PREFILL, "rate": 4.0, "size": 8}, {"phase": DECODE, "rate": 4.0, "size": 8}]
TWO = [{"vendor": 0}, {"vendor": 1}]
PAIRS: dict[str, tuple[Case, Case]] = {
    "count_servers": (  # bought in 0 for two periods works in 1, not in 2
        ([{}], [{"supply": [1.0, 0.0], "life": 2}], [{}], {"periods": 2}),
        ([{}], [{"supply": [1.0, 0.0], "life": 1}], [{}], {"periods": 2}),
    ),
    "keep_installed": (
        ([{}], [{"supply": 0.0, "installed": 1}], [{}], {}), ([{}], [{"supply": 0.0, "installed": 0}], [{}], {}),
    ),
    "stay_retired": (  # the power of period 0 retires a server that period 1 would need
        ([{}], [{"supply": 0.0, "installed": 2}], [{"demand": [4.0, 8.0]}], {"periods": 2, "power": [20.0, 20.0]}),
        ([{}], [{"supply": 0.0, "installed": 2}], [{"demand": [4.0, 8.0]}], {"periods": 2, "power": [19.9, 20.0]}),
    ),
    "stay_in_supply": (([{}], [{"supply": 1.0}], [{}], {}), ([{}], [{"supply": 0.99}], [{}], {})),
    "buy_least": (  # bought in any period, needed or not
        ([{}, {"kind": 1}], [{}, {"supply": 1.0}], [{}], {"periods": 2, "least_bought": np.array([0.0, 2.0])}),
        ([{}, {"kind": 1}], [{}, {"supply": [1.0, 0.0]}], [{}], {"periods": 2, "least_bought": np.array([0.0, 2.0])}),
    ),
    "serve_least": (
        ([{}], [{"supply": 1.0}], [{"demand": 9.0, "least": 4.0}], {"objective": "value"}),
        ([{}], [{"supply": 1.0}], [{"demand": 9.0, "least": 4.001}], {"objective": "value"}),
    ),
    "serve_prompts": (
        (POOLS, [{"supply": 2.0}], [{}], {}),
        ([POOLS[0] | {"rate": 3.999}, POOLS[1]], [{"supply": 2.0}], [{}], {}),
    ),
    "serve_tokens": (
        (POOLS, [{"supply": 2.0}], [{}], {}),
        ([POOLS[0], POOLS[1] | {"rate": 3.999}], [{"supply": 2.0}], [{}], {}),
    ),
    "strict_prompts": (
        ([*POOLS, POOLS[0] | {"meets": False}], [{"supply": 2.0}], [{"strict": 1.0}], {}),
        ([POOLS[0] | {"meets": False}, POOLS[1]], [{"supply": 2.0}], [{"strict": 0.001}], {}),
    ),
    "strict_tokens": (
        ([{}, {"meets": False, "rate": 3.0}], [{"supply": 1.0}], [{"demand": 5.0, "strict": 0.4}], {}),
        ([{}, {"meets": False, "rate": 3.0}], [{"supply": 1.0}], [{"demand": 5.0, "strict": 0.41}], {}),
    ),
    "pack_servers": (
        ([{"parcels": 4}], [{"supply": 2.0}], [{"demand": 2.0}], {}),
        ([{"parcels": 5}], [{"supply": 2.0}], [{"demand": 2.0}], {}),
    ),
    "stay_in_capital": (([{}], [{}], [{}], {"capital": 100.0}), ([{}], [{}], [{}], {"capital": 99.9})),
    "stay_in_spending": (([{}], [{}], [{}], {"spending": 105.0}), ([{}], [{}], [{}], {"spending": 104.9})),
    "stay_in_power": (([{}], [{}], [{}], {"power": 10.0}), ([{}], [{}], [{}], {"power": 9.99})),
    "stay_in_racks": (([{}], [{}], [{}], {"racks": 0.25}), ([{}], [{}], [{}], {"racks": 0.249})),
    "stay_in_servers": (
        ([{}], [{}], [{}], {"most_servers": np.array([1.0])}), ([{}], [{}], [{}], {"most_servers": np.array([0.9])}),
    ),
    "mix_vendors": (
        ([{}, {"kind": 1}], TWO, [{"demand": 16.0}], {"second_source": 0.25, "power": 40.0}),
        ([{}, {"kind": 1}], TWO, [{"demand": 16.0}], {"second_source": 0.26, "power": 40.0, "most_servers":
                                                      np.array([math.inf, 1.0])}),
    ),
    "use_kind": (  # a kind that is not in use has no server
        ([{}, {"kind": 1}], [{"supply": 1.0}, {}], [{"demand": 8.0}], {"most_kinds": 2, "racks": 0.5}),
        ([{}, {"kind": 1}], [{"supply": 1.0}, {"supply": 1.0}], [{"demand": 8.0}], {"most_kinds": 1}),
    ),
    "stay_in_kinds": (([{}], [{}], [{}], {"most_kinds": 1}), ([{}], [{}], [{}], {"most_kinds": 0})),
    "host_once": (
        ([{}, {"kind": 1}], [{"supply": 1.0}, {"supply": 1.0}], [{"demand": 4.0}], {"one_kind": True}),
        ([{}, {"kind": 1}], [{"supply": 1.0}, {"supply": 1.0}], [{"demand": 4.1}], {"one_kind": True}),
    ),
    "serve_host": (  # two demands of a workload, a kind for each
        ([{}, {"demand": 1, "kind": 1}, {"demand": 1}], [{}, {}], [{"workload": 0}] * 2, {"one_kind": True}),
        ([{}, {"demand": 1, "kind": 1}], [{}, {}], [{"workload": 0}] * 2, {"one_kind": True}),
    ),
}  # fmt: skip
