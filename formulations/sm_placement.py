"""Place the CTAs of a spatial pipeline on SMs, consumers near their producers.

An SM hosts at most one CTA of each class, if both fit it together. The CTAs of a stage are alike, and so are
the SMs of a GPC: only how many are where is decided, and unfolded to SMs afterwards.

Sets
    stages            i in I
    gpcs              g in G
    streams           e in E, (i, j, b)                stage j reads b bytes of stage i by queues
    halves            h in H                           of L2, as in `half`
Parameters
    kinds             k[i]     -        "tensor" or "simt"
    ctas              a[i]     1
    shared            s[i]     B        shared memory of one CTA
    registers         r[i]     1        of one CTA
    threads           t[i]     1        of one CTA
    gpc_sms           N[g]     1        SMs of the GPC
    half              h[g]     -        the half of L2 that the GPC is next to
    sm_shared         S        B        of one SM
    sm_registers      R        1        of one SM
    sm_threads        T        1        of one SM
    cost_gpc          c0       1/B      cost of a byte that stays in its GPC
    cost_half         c1       1/B      that stays in its half, c1 >= c0
    cost_far          c2       1/B      that crosses, c2 >= c1
Variables
    count             n[i,g] integer >= 0              CTAs of stage i in GPC g
    pair              p[i,j,g] integer >= 0            SMs with a CTA of tensor stage i and of SIMT stage j
    near_gpc          u[e,g] integer >= 0              of a[i] a[j] shares of the stream, those that stay in g
    near_half         v[e,h] integer >= 0              those that stay in half h, with those that stay in its GPCs
Objective
    save              max sum_e b / (a[i] a[j]) ((c2 - c1) sum_h v[e,h] + (c1 - c0) sum_g u[e,g])
Constraints
    place_all         sum_g n[i,g] = a[i]                              i
    fit_tensor        sum_i n[i,g] <= N[g]                             g    over the stages of class "tensor"
    fit_simt          sum_i n[i,g] <= N[g]                             g    over the stages of class "simt"
    pair_tensor       sum_j p[i,j,g] <= n[i,g]                         i tensor, g
    pair_simt         sum_i p[i,j,g] <= n[j,g]                         j simt, g
    share_sms         sum_i n[i,g] - sum_ij p[i,j,g] <= N[g]           g    each further CTA needs an SM
    send_gpc          u[e,g] <= a[j] n[i,g]                            e, g
    receive_gpc       u[e,g] <= a[i] n[j,g]                            e, g
    send_half         v[e,h] <= a[j] sum_{g in h} n[i,g]               e, h
    receive_half      v[e,h] <= a[i] sum_{g in h} n[j,g]               e, h
Strengthening
    order_gpcs        n[i,g] >= n[i,g'] for the first stage i, and g before g' alike in SMs and half
Source
    Kitsune, arXiv 2502.18403: two arbiters, one CTA of each class on an SM; there placement is round-robin and
    distance is not weighed. A producer's CTA sends equal shares, each to any CTA of the consumer that wants one.
    Costs grow from GPC to half to chip, so what can stay near does, and the cheapest transport is the closed
    form in `cost`. p is defined for pairs that fit an SM together. Weights are whole numbers, rounded down by
    less than one part in `GRID` of the sum of all: the bound allows for every share of every stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ortools.sat.python import cp_model

from formulations import cpsat
from formulations.outcome import Outcome, Status
from formulations.sm_placement_bounds import Host, cost, fits, unfold

Kind = Literal["tensor", "simt"]
GRID = 10**14


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; tuples run over `stages` or `gpcs`, streams are positions.

    Raises ValueError, naming the field, for wrong lengths and numbers out of range.
    """

    stages: tuple[str, ...]
    gpcs: tuple[str, ...]
    streams: tuple[tuple[int, int, float], ...]
    kinds: tuple[Kind, ...]
    ctas: tuple[int, ...]
    shared: tuple[int, ...]
    registers: tuple[int, ...]
    threads: tuple[int, ...]
    gpc_sms: tuple[int, ...]
    half: tuple[int, ...]
    sm_shared: int
    sm_registers: int
    sm_threads: int
    cost_gpc: float = 0.0
    cost_half: float = 1.0
    cost_far: float = 2.0

    def __post_init__(self) -> None:
        count, every = len(self.stages), range(len(self.stages))
        sizes = (self.shared, self.registers, self.threads)
        rules = {
            "stages": count > 0,
            "gpcs": len(self.gpcs) > 0,
            "streams": all(i in every and j in every and i != j and 0 <= b < float("inf") for i, j, b in self.streams),
            "kinds": len(self.kinds) == count and set(self.kinds) <= {"tensor", "simt"},
            "ctas": len(self.ctas) == count and min(self.ctas, default=1) >= 1,
            "shared, registers or threads": all(len(s) == count and min(s, default=0) >= 0 for s in sizes),
            "gpc_sms": len(self.gpc_sms) == len(self.gpcs) and min(self.gpc_sms, default=0) >= 0,
            "half": len(self.half) == len(self.gpcs),
            "cost_gpc <= cost_half <= cost_far": 0 <= self.cost_gpc <= self.cost_half <= self.cost_far < float("inf"),
        }
        if faults := [name for name, kept in rules.items() if not kept]:
            raise ValueError(f"sm_placement, {count} stages: length or range is wrong of {', '.join(faults)}")


@dataclass(frozen=True)
class Solution:
    """CTAs of every stage (rows) in every GPC, what each SM hosts, and the cost of all streams."""

    counts: tuple[tuple[int, ...], ...]
    hosts: tuple[Host, ...]
    cost: float


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
