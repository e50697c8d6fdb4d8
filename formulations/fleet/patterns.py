"""What whole replicas of one demand cost: cuts that tighten the relaxation of `fleet`, and a first fleet.

With prices on the chips of every kind (the relaxation's duals of pack_servers), the cheapest whole
replicas that serve one demand in one period are a small program of their own. Its bound makes a row that
every fleet keeps and the relaxation breaks:

    cover_cut   sum_j price[j,p] replicas[j,p] + worth[d,p] sum_g served[d,g,p] >= bound[d,p]

(worth is the objective's coefficient of served, 0 for cost and power). With these rows the relaxation is
as tight as the Lagrangian bound at those prices. A dominated column never is cheaper than what dominates
it, so the bound holds for all columns though only undominated ones are in the small program.

Many patterns of replicas are nearly as cheap, and a fleet is cheap when the chips of its patterns fill
whole servers. `patterns` varies the cheapest pattern of each demand; one is to be chosen for each. That
program is small, and its fleet is a start: it proves nothing.

Source
    A. Geoffrion, Lagrangean relaxation for integer programming, Math. Programming Study 2 (1974) 82-114.
"""

import time
from dataclasses import dataclass

import highspy
import numpy as np

from formulations.fleet.arrays import Program
from formulations.fleet.instance import DECODE, PREFILL
from formulations.solvers import highs
from formulations.solvers.arrays import Array, Labels
from formulations.solvers.rows import INFINITY, Rows

NODES, GAP = 2_000, 1e-6  # of one demand's program
SAFE = 1e-7               # relative: what a cut gives away to the tolerances of the solver that computed it
CHEAPEST, OF_KIND = 250, 40  # patterns kept of one demand: the cheapest, those with more or less of each kind
MOST = 1_500              # exchanges for one removal
MOVED = 32                # replicas of a column that others take over


@dataclass(frozen=True)
class Cover:
    """One demand in one period: its columns, the coverage [row, column] and need [row], the cheapest replicas."""

    demand: int
    period: int
    columns: Labels
    covers: Array
    need: Array
    price: Array
    worth: float
    bound: float
    replicas: Labels | None


def prices(program: Program, duals: Array) -> Array:
    """[j, p] what the chips of one replica cost at the duals of pack_servers."""
    h = program.data.kind_of
    price = np.zeros(program.rate.shape)
    for k, p in np.ndindex(*program.pack.shape[1:]):
        rows = program.pack[h, k, p]
        price[:, p] += np.where(rows >= 0, -program.packing.weight[:, k] * duals[rows], 0.0)
    return np.maximum(price, 0.0)


def cover(program: Program, price: Array, d: int, p: int, columns: Labels, ends: float) -> Cover | None:
    """The cheapest whole replicas of a demand in a period; None where nothing bounds them in time."""
    data, on = program.data, columns[program.rate[columns, p] > 0]
    rows = []
    for name, at in program.cover.items():
        if at[d, 0, p] >= 0:
            each = (program.quick if name.startswith("strict") else program.rate)[on, p]
            works = data.phase[on] != (DECODE if name.endswith("prompts") else PREFILL)
            rows.append((np.where(works, each, 0.0), data.strict[d] if name.startswith("strict") else 1.0))
    covers, share = np.array([each for each, _ in rows]), np.array([each for _, each in rows])
    position = int(program.served[d, 0, p])
    low, most, worth = data.least[d, p], program.frame.upper[position], program.frame.cost[position]
    solver = _cover_program(covers, share, np.append(price[on, p], worth), float(low), most)
    solver.setOptionValue("time_limit", max(ends - time.monotonic(), 0.0))
    solver.run()
    info, n = solver.getInfo(), len(on)
    if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible or not np.isfinite(info.mip_dual_bound):
        return None
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    values = np.array(solver.getSolution().col_value) if found else None
    served = float(low) if values is None else values[n]
    replicas = None if values is None else np.round(values[:n]).astype(np.int64)
    return Cover(d, p, on, covers, share * served, price[on, p], worth, info.mip_dual_bound, replicas)


def _cover_program(covers: Array, share: Array, cost: Array, low: float, most: float) -> highspy.Highs:
    m, n = covers.shape
    rows = Rows(
        cost=cost, low=np.append(np.zeros(n), low), high=np.append(np.full(n, INFINITY), most),
        least=np.zeros(m), most=np.full(m, INFINITY),
        row=np.repeat(np.arange(m), n + 1), column=np.tile(np.arange(n + 1), m),
        value=np.hstack([covers, -share[:, None]]).ravel(), whole=np.arange(n + 1) < n,
    )  # fmt: skip
    solver = highs.quiet(rows.lp())
    for name, value in {"mip_rel_gap": 0.0, "mip_abs_gap": highs.EXACT, "mip_max_nodes": NODES}.items():
        solver.setOptionValue(name, value)
    highs.stop_within(solver, GAP)
    return solver


def patterns(program: Program, one: Cover) -> Labels:
    """Replicas [pattern, column] of patterns near the cheapest one, itself the first; each serves the need."""
    assert one.replicas is not None
    base = one.replicas
    every = np.concatenate([base[None, :], *_exchanges(one, base), *_takeovers(one, base)])
    chips = chips_of(program, one.columns, every)
    extra = every @ one.price
    order = np.lexsort([np.arange(len(every)), extra])
    _, first = np.unique(chips[order], axis=0, return_index=True)
    order = order[np.sort(first)]  # the cheapest of those that take the same chips of every kind
    kept = [np.zeros(1, dtype=np.int64), order[:CHEAPEST]]
    change = chips[order] - chips_of(program, one.columns, base[None, :])
    for k in range(chips.shape[1]):
        kept += [order[change[:, k] > 0][:OF_KIND], order[change[:, k] < 0][:OF_KIND]]
    chosen: Labels = every[np.unique(np.concatenate(kept))]
    return chosen


def _exchanges(one: Cover, base: Labels) -> list[Labels]:
    """Up to a few replicas replaced by up to three others."""
    added = _multisets(len(base), np.argsort(one.price / np.maximum(one.covers.max(axis=0), 1e-12), kind="stable"))
    slack = one.covers @ base - one.need
    gained, paid = added @ one.covers.T, added @ one.price
    found = []
    for removed in _removals(base):
        fits = np.flatnonzero((gained + slack - one.covers @ removed >= 0).all(axis=1))
        near = fits[np.argsort(paid[fits], kind="stable")[:MOST]]
        found.append(base - removed + added[near])
    return found


def _takeovers(one: Cover, base: Labels) -> list[Labels]:
    """Many replicas of one column replaced by as many of another as it takes."""
    found = []
    for j in np.flatnonzero(base):
        for count in range(1, min(int(base[j]), MOVED) + 1):
            left = base.copy()
            left[j] -= count
            lack = one.need - one.covers @ left
            with np.errstate(divide="ignore", invalid="ignore"):
                each = np.where(lack[:, None] > 0, np.ceil(lack[:, None] / one.covers - 1e-12), 0.0).max(axis=0)
            able = np.flatnonzero(np.isfinite(each))
            taken = np.repeat(left[None, :], len(able), axis=0)
            taken[np.arange(len(able)), able] += each[able].astype(np.int64)
            found.append(taken)
    return [each[(each @ one.covers.T >= one.need).all(axis=1)] for each in found]


def _multisets(n: int, order: Labels) -> Labels:
    """Up to two replicas of any columns, and three of the ones with the most requests/s for their price."""
    one = np.eye(n, dtype=np.int64)
    a, b = np.triu_indices(n)
    top = order[:14]
    x, y, z = (top[i.ravel()] for i in np.meshgrid(*[np.arange(len(top))] * 3, indexing="ij"))
    rising = (x <= y) & (y <= z)
    return np.concatenate([np.zeros((1, n), dtype=np.int64), one, one[a] + one[b], (one[x] + one[y] + one[z])[rising]])


def _removals(base: Labels) -> list[Labels]:
    """Up to six replicas of one of a pattern's columns, up to three of two of them."""
    support = np.flatnonzero(base)
    one = np.eye(len(base), dtype=np.int64)
    some = [np.zeros_like(base)]
    some += [count * one[j] for j in support for count in range(1, 7)]
    some += [one[j] + count * one[k] for j in support for k in support if j != k for count in (1, 2)]
    return [each for each in some if (each <= base).all()]


def chips_of(program: Program, columns: Labels, replicas: Labels) -> Labels:
    """[pattern, (kind, row)] chips that patterns take."""
    full = program.packing.full
    weight = np.zeros((len(columns), full.size))
    for k in range(full.shape[1]):
        place = program.data.kind_of[columns] * full.shape[1] + k
        weight[np.arange(len(columns)), place] = program.packing.weight[columns, k]
    taken: Labels = np.rint(replicas @ weight).astype(np.int64)
    return taken
