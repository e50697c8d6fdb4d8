"""Slices packed into a fleet that divided slices fit: `fleet_slices` needs no program where this succeeds.

The linear program leaves each kind as much room as all kinds can have at once; its solution, at a vertex,
divides few buckets. Rounding it overloads some kinds a little, and moves and exchanges of slices between
two kinds, the best first, take that away while they can. Failure proves nothing.
"""

from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

from formulations.fleet_slices_exact import Fleet, fleet
from formulations.highs import INFINITY, SolverFailure

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.fleet_slices import Instance

Array = np.ndarray[Any, np.dtype[np.float64]]
STEPS = 200     # moves and exchanges, at most
NEAR = 1e-9     # replicas; what is found is counted exactly afterwards


def packed(data: "Instance", counts: Array) -> Fleet | None:
    """Whole slices in `counts` replicas of each kind, or the fleet that an attempt overloads it to; None: no room."""
    divided = roomy(data, counts)
    whole = settled(data, counts, _rounded(data, counts, divided))
    at = zip(*np.nonzero(whole), strict=True)
    return fleet(data, {(int(data.buckets[b]), int(data.kinds[g])): int(whole[b, g]) for b, g in at})


def roomy(data: "Instance", counts: Array) -> Array:
    """Divided slices (buckets x kinds) that leave every kind in use the most room at once, by linear program."""
    bucket, kind = np.nonzero(np.isfinite(data.load) & (counts > 0))
    pairs, used = len(bucket), np.flatnonzero(counts > 0)
    buckets, kinds = data.load.shape
    slices = data.slices.astype(np.float64)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = pairs + 1, buckets + kinds
    lp.col_cost_ = np.append(np.zeros(pairs), -1.0)
    lp.col_lower_ = np.append(np.zeros(pairs), -INFINITY)
    lp.col_upper_ = np.append(slices[bucket], INFINITY)
    lp.row_lower_ = np.concatenate([slices, np.full(kinds, -INFINITY)])
    lp.row_upper_ = np.concatenate([slices, counts])
    index, value = np.empty(2 * pairs + len(used), dtype=np.int32), np.ones(2 * pairs + len(used))
    index[0 : 2 * pairs : 2], index[1 : 2 * pairs : 2], index[2 * pairs :] = bucket, buckets + kind, buckets + used
    value[1 : 2 * pairs : 2] = data.load[bucket, kind]
    matrix = lp.a_matrix_
    matrix.format_, matrix.num_col_, matrix.num_row_ = highspy.MatrixFormat.kColwise, pairs + 1, buckets + kinds
    matrix.start_ = np.append(np.arange(0, 2 * pairs + 1, 2), len(index)).astype(np.int32)
    matrix.index_, matrix.value_ = index, value
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverFailure("HiGHS refused the model fleet_slices_pack")
    highs.run()
    divided = np.zeros(data.load.shape)
    if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        divided[bucket, kind] = np.asarray(highs.getSolution().col_value)[:pairs]
    return divided


def _rounded(data: "Instance", counts: Array, divided: Array) -> Array:
    """Whole parts of the shares; each slice left goes to the kind of its bucket that it overloads least."""
    whole: Array = np.floor(divided + NEAR)
    load = data.load
    carried = (whole * np.where(np.isfinite(load), load, 0.0)).sum(axis=0)
    missing = (data.slices - whole.sum(axis=1)).astype(np.int64)
    left = np.repeat(np.arange(len(missing)), np.maximum(missing, 0))
    largest = np.where(np.isfinite(load), load, 0.0).max(axis=1)
    for b in left[np.argsort(-largest[left], kind="stable")].tolist():
        beyond = np.where(counts > 0, carried + load[b] - counts, np.inf)
        g = int(np.argmin(beyond if np.isfinite(beyond).any() else load[b]))
        whole[b, g] += 1
        carried[g] += load[b, g]
    return whole


def settled(data: "Instance", counts: Array, whole: Array) -> Array:
    """Slices (buckets x kinds) after moves and exchanges that each lessen the load beyond `counts`."""
    finite = np.isfinite(data.load)
    load = np.where(finite, data.load, 0.0)
    carried = (load * whole).sum(axis=0)
    for _ in range(STEPS):
        beyond = np.maximum(carried - counts, 0.0)
        if beyond.sum() <= NEAR:
            break
        step = _best_step(load, finite, counts, whole, carried)
        if step is None:
            break
        g, h, b, c = step
        whole[b, g] -= 1
        whole[b, h] += 1
        if c is not None:
            whole[c, h] -= 1
            whole[c, g] += 1
        carried = (load * whole).sum(axis=0)
    return whole


def _best_step(load: Array, finite: Any, counts: Array, whole: Array, carried: Array) -> Any:
    best, least = None, -1e-12
    for g in np.flatnonzero(carried > counts + NEAR / len(counts)).tolist():
        for h in range(len(counts)):
            if h == g or counts[h] <= 0:
                continue
            out = np.flatnonzero((whole[:, g] > 0) & finite[:, h])
            back = np.flatnonzero((whole[:, h] > 0) & finite[:, g])
            if len(out) == 0:
                continue
            # the last column stands for no slice back
            freed = carried[g] - load[out, g][:, None] + np.append(load[back, g], 0.0)[None, :]
            filled = carried[h] + load[out, h][:, None] - np.append(load[back, h], 0.0)[None, :]
            now = max(carried[g] - counts[g], 0.0) + max(carried[h] - counts[h], 0.0)
            change = np.maximum(freed - counts[g], 0.0) + np.maximum(filled - counts[h], 0.0) - now
            at = int(np.argmin(change))
            if change.flat[at] < least:
                i, j = divmod(at, change.shape[1])
                least = float(change.flat[at])
                best = g, h, int(out[i]), int(back[j]) if j < len(back) else None
    return best
