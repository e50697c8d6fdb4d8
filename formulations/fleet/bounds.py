"""Closed bounds for `fleet`: the most servers of a kind (big-M of use_kind), the least paid (ratio).

The most servers that a best fleet can own of a kind in a period, of two bounds the smaller one.

By the limits: what supply, installed servers, power, racks, money and `most_servers` allow. By the need:
let need[h, p] be the servers that hold, each column apart from the others, replicas of kind h enough for
every row of every demand that kind h helps to cover. If a fleet owned more in a period in which it cannot
do with one less, all replicas of h could move to that many servers: so in such a period it owns at most
need[h, p]. Take a best fleet from which no server can go. Each server of kind h has a period of its life
in which it cannot. Of the servers owned in p whose such period is p or later all work in the first of
these periods, of the others all work in the last: at most the most need from p on, and the most before p.
Where least_bought servers are to be bought, a server that can go by the need may have to stay; then no more than
these are bought: so many are added.

A second source z may ask for servers that serve nothing. In one period, call A the servers above (a[v] chips of
vendor v), the others extras, q = 1 - z, f the chips of all V vendors, L a common multiple of the chips of every
kind's server, and T the vendors of more than q (f - V L) chips. If some kind of every vendor in T has L chips of
extras, and |T| q <= 1, then L chips of such a kind of each of them (of any one kind, a server, where T is empty) can
go: a vendor in T loses L >= q |T| L, and every other one is far enough from its most. A best fleet from which no more
can go thus has no extras; or a vendor t in T whose H[t] kinds have less than L chips of extras each, so that
q (f - V L) < a[t] + H[t] L; or |T| q > 1, and k q (f - V L) < f for k = |T|, which bounds f the more loosely the
fewer they are. In several periods extras of other lives stand in for each other, and only the limits count.
"""

import math
from dataclasses import replace

import numpy as np

from formulations.fleet import instance, terms
from formulations.fleet.instance import Instance
from formulations.solvers.arrays import Array

MOST_COMMON = 10**6  # shares of a rack: finer ones are not told apart
SLACK = 1e-9  # a quotient this near below a whole number is the whole number: too large an M stays valid


def most_owned(data: Instance, needed: Array | None = None) -> Array:
    """[h, p] servers; raises ValueError where neither a limit nor the need bounds a kind: see `unbounded`.

    `needed` replaces `need` where more is needed than the demand asks: servers in reserve.
    """
    most = _most(data, needed)
    if not np.isfinite(most).all():
        h, p = (int(i[0]) for i in np.nonzero(~np.isfinite(most)))
        raise ValueError(
            f"most_kinds = {data.most_kinds} with second_source over several periods needs a limit (supply, power, "
            f"racks, capital or spending) that bounds the servers of kind {h} in period {p}"
        )
    return most


def unbounded(data: Instance) -> bool:
    """Whether `most_owned` is asked for and has no bound: kinds and a second source, over several periods."""
    return data.most_kinds is not None and bool(data.second_source) and len(data.periods) > 1 and not np.isfinite(
        by_limits(data)).all()  # fmt: skip


def _most(data: Instance, needed: Array | None) -> Array:
    most = by_limits(data)
    if data.second_source and len(data.periods) > 1:
        return most
    least = (by_need(data) if needed is None else over_lives(needed)) + _bought(data)
    return np.minimum(most, with_second_source(data, least) if data.second_source else least)


def with_second_source(data: Instance, least: Array) -> Array:
    """[h, 1] the most servers of each kind, of one period, where all but `least` [h, 1] are there for their vendor."""
    q, chips = 1 - float(data.second_source or 0.0), data.chips_per_server
    if q <= 0:
        return np.zeros(least.shape)  # no vendor may have a chip
    kinds = [data.vendor == v for v in data.vendors]
    own = [float((chips * least[:, 0])[mine].sum()) for mine in kinds]
    vendors, common = len(kinds), float(math.lcm(*chips.tolist()))
    most = [sum(own), *((a + mine.sum() * common) / q + vendors * common for a, mine in zip(own, kinds, strict=True))]
    crowd = math.floor(1 / q + SLACK) + 1
    if crowd <= vendors:
        most.append(crowd * q * vendors * common / (crowd * q - 1))
    return np.maximum(least, _floor(max(most) / chips[:, None]))


def whole_racks(data: Instance) -> Instance:
    """The instance with its racks rounded down to what whole servers can take, which leaves every fleet as it is.

    Servers take multiples of one small share of a rack; a limit just below a multiple is told from it by no solver
    whose rows hold to 1e-7.
    """
    if data.racks is None or (data.servers_per_rack != np.rint(data.servers_per_rack)).any():
        return data
    common = math.lcm(*(int(n) for n in data.servers_per_rack))
    racks: Array = _floor(data.racks * common) / common if common <= MOST_COMMON else data.racks
    return replace(data, racks=racks)


def _bought(data: Instance) -> Array:
    """[h, 1] servers that have to be bought, needed or not."""
    least = np.zeros(len(data.kinds)) if data.least_bought is None else np.ceil(data.least_bought)
    return least[:, None]


def _floor(quotient: Array) -> Array:
    floored: Array = np.floor(quotient * (1 + SLACK) + SLACK)
    return floored


def _over(limit: Array | None, each: Array) -> Array:
    """[h, p] how many of `each` [h, p] a limit [p] holds; infinite where it holds any number."""
    if limit is None:
        return np.full(each.shape, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        held: Array = np.where(each > 0, _floor(limit[None, :] / each), np.inf)
        return held


def by_limits(data: Instance) -> Array:
    """[h, p] the most servers that each limit alone allows."""
    shape = data.running.shape
    ones = np.ones(shape)
    bought = np.minimum(data.supply, _over(data.capital, data.price))
    works = terms.alive(data)
    summed = np.where(works, bought[:, :, None], 0.0).sum(axis=1) + data.installed
    most = [
        summed, _over(data.power, data.watts[:, None] * ones), _over(data.spending, data.running),
        _over(data.racks, ones / data.servers_per_rack[:, None]),
    ]  # fmt: skip
    if data.most_servers is not None:
        most.append(np.floor(data.most_servers)[:, None] * ones)
    least: Array = np.minimum.reduce(most)
    return least


def by_need(data: Instance) -> Array:
    """[h, p] the most servers that a fleet without an idle server owns."""
    return over_lives(need(data))


def over_lives(each: Array) -> Array:
    """[h, p] the most servers owned, of those each of which some period needs, at most `each` [h, p] together."""
    later = np.maximum.accumulate(each[:, ::-1], axis=1)[:, ::-1]
    before = np.maximum.accumulate(each, axis=1)
    before = np.concatenate([np.zeros((len(each), 1)), before[:, :-1]], axis=1)
    most: Array = later + before
    return most


def need(data: Instance) -> Array:
    """[h, p] servers enough for all that kind h helps to cover."""
    return np.stack([_need(data, p) for p in data.periods], axis=1)


def _need(data: Instance, p: int) -> Array:
    """[h] servers that hold every row's replicas, each row's of its best column and in servers of their own."""
    wanted = instance.asked(data)
    rate, quick = (each[:, p] for each in terms.usable(data, wanted))
    amount = wanted[data.demand_of, p]
    split, strict = terms.split(data)[data.demand_of], terms.strict_rows(data)[data.demand_of]
    prompts, tokens = split & (data.phase != instance.DECODE), data.phase != instance.PREFILL
    share = data.strict[data.demand_of] * amount
    asks = [(rate, amount, prompts), (rate, amount, tokens)]
    asks += [(quick, share, prompts & strict), (quick, share, tokens & strict)]
    packing = terms.packing(data)
    total = np.zeros(len(data.kinds))
    for each, of, helps in asks:
        rows = np.flatnonzero(helps & (each > 0))
        replicas = np.ceil(of[rows] / each[rows])
        full = packing.full[data.kind_of[rows]]
        per_row = np.divide(packing.weight[rows], full, out=np.zeros(full.shape), where=full > 0)
        alone = np.ceil(per_row.max(axis=1, initial=0.0) * replicas - SLACK)  # whole chips over whole chips
        fewest = np.full((len(data.demands), len(data.kinds)), np.inf)
        np.minimum.at(fewest, (data.demand_of[rows], data.kind_of[rows]), alone)
        total += np.where(np.isfinite(fewest), fewest, 0.0).sum(axis=0)
    return total


def least_paid(data: Instance) -> float:
    """k$ that every fleet which serves something pays: it owns a server for a period, bought or installed.

    Raises ValueError where that can be nothing: then a ratio has no bound.
    """
    works = terms.alive(data)
    bought = data.charge.sum(axis=2) + np.where(works, data.running[:, None, :], 0.0).sum(axis=2)
    options = [bought[data.supply >= 1], data.running[data.installed >= 1]]
    least = min((float(each.min()) for each in options if each.size), default=1.0)
    if not least > 0:
        raise ValueError("objective 'ratio' needs a cost of every server: one that costs nothing has no ratio")
    return least
