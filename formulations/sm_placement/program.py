"""The program of `formulations.sm_placement`: solve, build, read."""

from collections.abc import Mapping
from typing import Any

from ortools.sat.python import cp_model

from formulations.sm_placement.bounds import cost, fits, unfold
from formulations.sm_placement.instance import Instance, Solution
from formulations.solvers import cpsat
from formulations.solvers.outcome import Outcome, Status

GRID = 10**14


def solve(data: Instance, *, limits: cpsat.Limits | None = None, gap: float = 1e-6) -> Outcome[Solution]:
    """Least cost of all streams, with its proven bound; OPTIMAL: within `gap` of the cost of sending all far.

    INFEASIBLE: `sm_placement_bounds.obstacles` says which resource is in the way.
    """
    far = cost_of_all_far(data)
    result = cpsat.solve(build(data), limits or cpsat.Limits())
    floor = data.cost_gpc * sum(b for *_, b in data.streams)
    if not result.values:
        return Outcome(result.status, None, None, floor if result.status is Status.UNKNOWN else None)
    solution = read(data, result.values)
    shares = sum(2 * data.ctas[i] * data.ctas[j] for i, j, _ in data.streams)
    saved = far if result.bound is None else (result.bound + shares) * far / GRID
    bound = min(max(far - saved, floor), solution.cost)
    proven = result.status is Status.OPTIMAL and solution.cost - bound <= gap * far
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, solution, solution.cost, bound)


def cost_of_all_far(data: Instance) -> float:
    """Cost where every byte crosses: no placement has more."""
    return data.cost_far * sum(b for *_, b in data.streams)


def build(data: Instance, *, strengthened: bool = True) -> cp_model.CpModel:
    """The program; names are `row[...]` as in the docstring, with positions."""
    m = cp_model.CpModel()
    m.name = "sm_placement"
    stages, gpcs, halves = range(len(data.stages)), range(len(data.gpcs)), sorted(set(data.half))
    tensor, simt = ([i for i in stages if data.kinds[i] == kind] for kind in ("tensor", "simt"))
    inside = {h: [g for g in gpcs if data.half[g] == h] for h in halves}
    total = cp_model.LinearExpr.sum
    count = {(i, g): m.new_int_var(0, min(data.ctas[i], data.gpc_sms[g]), f"count[{i},{g}]")
             for i in stages for g in gpcs}  # fmt: skip
    pair = {(i, j, g): m.new_int_var(0, min(data.ctas[i], data.ctas[j], data.gpc_sms[g]), f"pair[{i},{j},{g}]")
            for i in tensor for j in simt if fits(data, i, j) for g in gpcs}  # fmt: skip
    near_gpc: dict[tuple[int, int], Any] = {}
    near_half: dict[tuple[int, int], Any] = {}
    for e, (i, j, _) in enumerate(data.streams):
        shares = data.ctas[i] * data.ctas[j]
        near_gpc |= {(e, g): m.new_int_var(0, shares, f"near_gpc[{e},{g}]") for g in gpcs}
        near_half |= {(e, h): m.new_int_var(0, shares, f"near_half[{e},{h}]") for h in halves}

    half_weight, gpc_weight = _weights(data)
    m.maximize(sum(half_weight[e] * v for (e, _), v in near_half.items())
               + sum(gpc_weight[e] * u for (e, _), u in near_gpc.items()))  # fmt: skip

    for i in stages:
        m.add(total([count[i, g] for g in gpcs]) == data.ctas[i]).with_name(f"place_all[{i}]")
        if not fits(data, i):
            m.add(total([count[i, g] for g in gpcs]) == 0).with_name(f"place_all[{i}]")
    for name, own in (("fit_tensor", tensor), ("fit_simt", simt)):
        for g in gpcs:
            m.add(total([count[i, g] for i in own]) <= data.gpc_sms[g]).with_name(f"{name}[{g}]")
    for name, own, end in (("pair_tensor", tensor, 0), ("pair_simt", simt, 1)):
        for i in own:
            for g in gpcs:
                paired = [p for key, p in pair.items() if key[end] == i and key[2] == g]
                m.add(total(paired) <= count[i, g]).with_name(f"{name}[{i},{g}]")
    for g in gpcs:
        alone = total([count[i, g] for i in stages]) - total([p for key, p in pair.items() if key[2] == g])
        m.add(alone <= data.gpc_sms[g]).with_name(f"share_sms[{g}]")
    for e, (i, j, _) in enumerate(data.streams):
        for g in gpcs:
            m.add(near_gpc[e, g] <= data.ctas[j] * count[i, g]).with_name(f"send_gpc[{e},{g}]")
            m.add(near_gpc[e, g] <= data.ctas[i] * count[j, g]).with_name(f"receive_gpc[{e},{g}]")
        for h in halves:
            sent, received = (total([count[s, g] for g in inside[h]]) for s in (i, j))
            m.add(near_half[e, h] <= data.ctas[j] * sent).with_name(f"send_half[{e},{h}]")
            m.add(near_half[e, h] <= data.ctas[i] * received).with_name(f"receive_half[{e},{h}]")
    if strengthened:
        for a in gpcs:
            alike = [b for b in gpcs if b > a and (data.gpc_sms[b], data.half[b]) == (data.gpc_sms[a], data.half[a])]
            if alike:
                m.add(count[0, a] >= count[0, alike[0]]).with_name(f"order_gpcs[{a},{alike[0]}]")
    return m


def _weights(data: Instance) -> tuple[list[int], list[int]]:
    """What a share of every stream saves by staying in its half, and then in its GPC, in parts of `GRID`."""
    far = cost_of_all_far(data)
    steps = (data.cost_far - data.cost_half, data.cost_half - data.cost_gpc)
    half, gpc = (
        [int(b * step / far * GRID / (data.ctas[i] * data.ctas[j])) if far else 0 for i, j, b in data.streams]
        for step in steps
    )
    return half, gpc


def read(data: Instance, values: Mapping[str, Any]) -> Solution:
    """Counts as they are, SMs unfolded from counts and pairs; the cost is that of the counts."""
    gpcs = range(len(data.gpcs))
    counts = tuple(tuple(int(values[f"count[{i},{g}]"]) for g in gpcs) for i in range(len(data.stages)))
    pairs = {tuple(map(int, name[5:-1].split(","))): n for name, n in values.items() if name.startswith("pair[")}
    return Solution(counts, unfold(data, counts, pairs), cost(data, counts))
