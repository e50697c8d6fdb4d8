"""Can these replicas serve whole slices? `fleet_slices` asks it of a fleet that slices divided at will allow.

The linear program of the divided slices leaves every kind in use the most room t at once. Its reduced costs
r[b,g] bound what whole slices may do: sum r x <= t for all x that fit, so a pair with r > t is out, and
others are few. Rounding its solution, then moves and exchanges of slices between two kinds that lessen the
overload, often fit; where they do not, a program over the pairs that are left decides.
"""

from dataclasses import dataclass, replace

import highspy
import numpy as np

from formulations.fleet_slices import start
from formulations.fleet_slices.exact import Fleet, fleet
from formulations.fleet_slices.instance import Instance
from formulations.solvers import highs
from formulations.solvers.arrays import Array
from formulations.solvers.outcome import Status
from formulations.solvers.rows import INFINITY, Rows

STEPS = 200      # moves and exchanges, at most
NEAR = 1e-9      # replicas; what is found is counted exactly afterwards
MARGIN = 1e-7    # replicas: reduced costs and room are floats, and a pair goes only where they are this far apart
FINEST_ROWS = 1e-10  # the smallest tolerance of rows that HiGHS takes: well within the replicas spared
NODES = 20_000   # of the program; beyond them the whole program is as good


@dataclass(frozen=True)
class Divided:
    """Slices divided at will (buckets x kinds), the room of every kind in use, and why there is no more.

    The prices of a slice of each bucket and of load on each kind are the program's duals, as are reduced costs
    (buckets x kinds; infinite: not in the program).
    """

    share: Array
    room: float
    reduced: Array
    slices: Array
    price: Array


def fit(
    data: Instance, counts: Array, divided: Divided, limits: highs.Limits
) -> tuple[Status, Fleet | None, int]:
    """Whole slices in `counts` replicas of each kind: OPTIMAL, INFEASIBLE or UNKNOWN, a fleet, and nodes.

    The fleet may cost more than `counts` where the attempt overloads it; None: supply ends.
    """
    whole = settled(data, counts, _rounded(data, counts, divided.share))
    if (carried(data, whole) <= counts + NEAR).all():
        return Status.OPTIMAL, counted(data, whole), 0
    result = _decided(data, counts, divided, limits)
    if result.values:
        whole = np.zeros(data.load.shape)
        for name, value in result.values.items():
            b, g = name.split(",")
            whole[int(b), int(g)] = round(value)
        return Status.OPTIMAL, counted(data, whole), result.nodes
    return result.status, counted(data, whole), result.nodes


def counted(data: Instance, whole: Array) -> Fleet | None:
    """The fleet of whole slices (buckets x kinds)."""
    at = zip(*np.nonzero(whole), strict=True)
    return fleet(data, {(int(data.buckets[b]), int(data.kinds[g])): int(whole[b, g]) for b, g in at})


def shared(data: Instance, share: Array) -> Fleet | None:
    """The fleet of shares (buckets x kinds), of whose floats a bucket's largest takes what is missing."""
    assign: dict[tuple[int, int], float] = {}
    kinds = data.kinds.tolist()
    for b, bucket in enumerate(data.buckets.tolist()):
        most = max(np.flatnonzero(np.isfinite(data.load[b])).tolist(), key=lambda g: share[b, g])
        shares = [max(each, 0.0) if data.fractional else int(each) for each in share[b].tolist()]
        shares[most] += int(data.slices[b]) - sum(shares)
        assign |= {(bucket, kinds[g]): each for g, each in enumerate(shares) if each > 0}
    return fleet(data, assign)


def carried(data: Instance, whole: Array) -> Array:
    """Replicas of each kind kept busy."""
    total: Array = (whole * np.where(np.isfinite(data.load), data.load, 0.0)).sum(axis=0)
    return total


def roomy(data: Instance, counts: Array) -> Divided | None:
    """Divided slices that leave every kind in use the most room at once, by linear program.

    None: some bucket has no kind in use that could take a slice.
    """
    able = start.able(data.load, counts, fractional=data.fractional)
    if not able.any(axis=1).all():
        return None
    bucket, kind = np.nonzero(able)
    pairs, used = len(bucket), np.flatnonzero(counts > 0)
    buckets, kinds = data.load.shape
    slices = data.slices.astype(np.float64)
    pair = np.arange(pairs)
    rows = Rows(
        cost=np.append(np.zeros(pairs), -1.0), low=np.append(np.zeros(pairs), -INFINITY),
        high=np.full(pairs + 1, INFINITY),
        least=np.concatenate([slices, np.full(kinds, -INFINITY)]), most=np.concatenate([slices, counts]),
        row=np.concatenate([bucket, buckets + kind, buckets + used]),
        column=np.concatenate([pair, pair, np.full(len(used), pairs)]),
        value=np.concatenate([np.ones(pairs), data.load[bucket, kind], np.ones(len(used))]),
    )  # fmt: skip
    solver = highs.quiet(rows.lp())
    if data.fractional:  # these shares are the answer, not a guess at whole ones
        solver.setOptionValue("primal_feasibility_tolerance", FINEST_ROWS)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise highs.SolverFailure(f"room of a fleet: {solver.modelStatusToString(solver.getModelStatus())}")
    solution = solver.getSolution()
    share, reduced = np.zeros(data.load.shape), np.full(data.load.shape, np.inf)
    value = np.asarray(solution.col_value)
    share[bucket, kind], reduced[bucket, kind] = value[:pairs], np.asarray(solution.col_dual)[:pairs]
    duals = np.asarray(solution.row_dual)
    return Divided(share, float(value[pairs]), reduced, duals[:buckets], np.maximum(-duals[buckets:], 0.0))


def _rounded(data: Instance, counts: Array, divided: Array) -> Array:
    """Whole parts of the shares; each slice left goes to the kind of its bucket that it overloads least."""
    whole: Array = np.floor(divided + NEAR)
    load = data.load
    busy = carried(data, whole)
    missing = (data.slices - whole.sum(axis=1)).astype(np.int64)
    left = np.repeat(np.arange(len(missing)), np.maximum(missing, 0))
    largest = np.where(np.isfinite(load), load, 0.0).max(axis=1)
    for b in left[np.argsort(-largest[left], kind="stable")].tolist():
        beyond = np.where(counts > 0, busy + load[b] - counts, np.inf)
        g = int(np.argmin(beyond if np.isfinite(beyond).any() else load[b]))
        whole[b, g] += 1
        busy[g] += load[b, g]
    return whole


def settled(data: Instance, counts: Array, whole: Array) -> Array:
    """Slices (buckets x kinds) after moves and exchanges, the best first, that each lessen the load beyond `counts`."""
    for _ in range(STEPS):
        busy = carried(data, whole)
        if np.maximum(busy - counts, 0.0).sum() <= NEAR:
            break
        step = _best_step(data.load, counts, whole, busy)
        if step is None:
            break
        g, h, b, c = step
        whole[b, g] -= 1
        whole[b, h] += 1
        if c is not None:
            whole[c, h] -= 1
            whole[c, g] += 1
    return whole


def _best_step(load: Array, counts: Array, whole: Array, busy: Array) -> tuple[int, int, int, int | None] | None:
    """Bucket b moves from kind g to h, and c, if any, comes back: the step that lessens the overload most."""
    best, least, finite = None, -1e-12, np.isfinite(load)
    for g in np.flatnonzero(busy > counts).tolist():
        for h in np.flatnonzero(counts > 0).tolist():
            out = np.flatnonzero((whole[:, g] > 0) & finite[:, h])
            if h == g or len(out) == 0:
                continue
            back = np.flatnonzero((whole[:, h] > 0) & finite[:, g])
            # the last column stands for no slice back
            freed = busy[g] - load[out, g][:, None] + np.append(load[back, g], 0.0)[None, :]
            filled = busy[h] + load[out, h][:, None] - np.append(load[back, h], 0.0)[None, :]
            now = max(busy[g] - counts[g], 0.0) + max(busy[h] - counts[h], 0.0)
            change = np.maximum(freed - counts[g], 0.0) + np.maximum(filled - counts[h], 0.0) - now
            at = int(np.argmin(change))
            if change.flat[at] < least:
                i, j = divmod(at, change.shape[1])
                least = float(change.flat[at])
                best = g, h, int(out[i]), int(back[j]) if j < len(back) else None
    return best


def _decided(data: Instance, counts: Array, divided: Divided, limits: highs.Limits) -> highs.Result:
    """The program of whole slices over the pairs that the reduced costs leave; columns are named "b,g"."""
    room = max(divided.room, 0.0) + MARGIN
    bucket, kind = np.nonzero(divided.reduced <= room)
    if len(np.unique(bucket)) < len(data.buckets):
        return highs.Result(Status.INFEASIBLE, {}, None, None, 0)
    pairs, (buckets, kinds) = len(bucket), data.load.shape
    reduced = np.maximum(divided.reduced[bucket, kind], 0.0)
    slices = data.slices.astype(np.float64)
    pair = np.arange(pairs)
    rows = Rows(
        cost=reduced, low=np.zeros(pairs),
        high=np.minimum(slices[bucket], np.floor(room / np.maximum(reduced, 1e-12) + NEAR)),
        least=np.concatenate([slices, np.full(kinds, -INFINITY)]), most=np.concatenate([slices, counts]),
        row=np.concatenate([bucket, buckets + kind]), column=np.concatenate([pair, pair]),
        value=np.concatenate([np.ones(pairs), data.load[bucket, kind]]), whole=np.full(pairs, True),
    )  # fmt: skip
    solver = highs.quiet(rows.lp())
    solver.setOptionValue("mip_max_improving_sols", 1)
    names = [f"{b},{g}" for b, g in zip(bucket.tolist(), kind.tolist(), strict=True)]
    nodes = min(limits.node_limit, NODES)
    return highs.solve(highs.Program(solver, names, {}), replace(limits, node_limit=nodes))
