"""Schedule an operator graph on one GPU: the twin of `dataflow_schedule`, one compact program for small graphs.

No list of groups, no closed form of a pipeline: groups, ways to run, payloads, alternatives and CTAs are all
variables, in whole numbers. A group is named by its first operator, its head h. Time counts in ticks.

Sets
    operators         v in V
    heads             h                                the first operator of a group, h <= v for each v in it
    edges             e                                from u to v
    ways              w                                "alone", vertical groups, payloads (a pipeline)
    stages            s                                of an alternative a of v
Parameters
    tick              sum_v t[v] / 10**8  s
    others            as in `dataflow_schedule`, seconds in ticks and rounded up, bytes as seconds
Variables
    join              x[v,h] in {0,1}                  1 if v is in the group of h
    way               y[h,w] in {0,1}                  1 if that group is run this way
    position          p[v] integer                     of the group of v in an order of groups
    inner             z[e] in {0,1}                    1 if edge e is inside a pipeline
    parent            q[v,u] in {0,1}                  1 if v hangs on u in a tree of its pipeline
    depth             d[v] integer                     in that tree
    keeps             k[v] in {0,1}                    1 if v feeds its own pipeline
    level             l[v] integer                     stages of its pipeline on the longest path to v, less one
    entries           b[v] integer                     of the ring of one CTA of v
    sends             o[v] in {0,1}                    1 if v feeds another group
    pick              c[v,a] in {0,1}                  1 if v is in a pipeline by alternative a
    ctas              n[v,a,s] integer >= 0
    used              m[v,a,s,h] integer >= 0          n of the operators in the group of h
    steady            T[v] integer >= 0        tick    slowest stage or memory of v's pipeline
    filled            f[v] integer >= 0        tick    the first tile is through v
    same, pipe, effort, rings, dram, l2                what the rows `link` say: both ends in one group, v in a
                                                       pipeline, n T, entries of a stage's rings, seconds of bytes
    shared            g[h,class] integer >= 0  B       shared memory of one CTA
    time              W[h] integer >= 0        tick    of the group of h
Objective
    finish            min sum_h W[h]
Constraints
    join_once         sum_h x[v,h] = 1                                 v in V
    head_first        x[v,h] <= x[h,h]                                 v, h
    one_way           sum_w y[h,w] = x[h,h]                            h
    alone             y[h,alone] implies no other member               h
    vertical          y[h,S] implies the members are S                 h, S
    several           y[h,payload] implies another member              h
    most_operators    y[h,payload] implies at most most_operators           h
    wait              p[u] < p[v] in two groups, p[u] = p[v] in one    edges, v, h
    inside            z[e] = both ends in one pipeline                 edges
    hang              one parent for all but the head, one step less deep, in the same pipeline
    feed              k[v] = some z[e] out of v; o[v] = some edge out of v to another group
    pick_one          sum_a c[v,a] = 1 in a pipeline, else 0           v
    own_ctas          c[v,a] <= n[v,a,s] <= most c[v,a]                v, a, s
    fit_sms           sum of m <= N                                    h, class
    rise              l[v] = max l[u] + 1 over inner edges into v, or 0                v
    bypass            b[v] = E + max l[u] - l[v] - 1 over inner edges from v to u, or E  v
    fit_rings         sum of b m of the stages that are read <= entries that fit       h, payload
    fit_shared        sum over classes of g <= H                       h
    keep_up           n[v,a,s] T[v] >= effort                          v, a, s, payload
    read_dram         T[h] >= DRAM bytes / D                           h
    cross_l2          T[h] >= L2 bytes / B                             h
    agree             T[v] <= T[h] where x[v,h]                        v, h
    fill              f[v] >= f[u] + tile_s + hop + adding over inner edges             edges, payload
    last              W[h] >= T[h] + f[v] where x[v,h] in a pipeline   v, h;  >= its time alone or vertical
    link              definitions of same, pipe, effort, rings, dram, l2, used and shared
Source
    Kitsune, arXiv 2502.18403. Positions make groups convex and their graph free of cycles at once. Error of the
    grid: every group of a best schedule stays feasible with as many ticks more as it has numbers rounded up,
    plus one for the balance: an effort rounded up by r ticks asks n >= 1 CTAs for no more than r + 1 ticks. Each
    operator and edge adds a bounded number of them to its own group, `rounded` in sum, so the true optimum is
    at least the proven bound less `rounded` ticks.
"""

import itertools
from typing import Any

from ortools.sat.python import cp_model

from formulations.dataflow_schedule import order
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.groups import group_of
from formulations.dataflow_schedule.instance import Group, Instance, Solution
from formulations.dataflow_schedule.price import rate, rings
from formulations.solvers import cpsat
from formulations.solvers.outcome import Outcome, Status

TICKS = 10**8  # of all operators alone


def solve(
    data: Instance, *, limits: cpsat.Limits | None = None, gap: float = 1e-5
) -> tuple[Outcome[Solution], float]:
    """Least total time (s), and the error of the grid (s) that its bound includes; small graphs only.

    The partition is the program's; each group's time is computed again in closed form, and never exceeds it.
    """
    model = _Model(data)
    tick = sum(data.alone_s) / TICKS
    error = rounded(data) * tick
    # without all rows the products n T let bounds creep up tick by tick, work that no limit counts
    result = cpsat.solve(model.m, limits or cpsat.Limits(), linearization=2)
    if not result.values:
        return Outcome(result.status, None, None, None), error
    groups = order.in_turn(Graph(data), model.read(result))
    time = sum(group.time_s for group in groups)
    bound = None if result.bound is None else min(max(result.bound * tick - error, 0.0), time)
    proven = result.status is Status.OPTIMAL and bound is not None and time - bound <= gap * time
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, Solution(tuple(groups), time), time, bound), error


def build(data: Instance) -> cp_model.CpModel:
    """The program; names are `row[...]` as in the docstring, with positions."""
    return _Model(data).m


def rounded(data: Instance) -> int:
    """Ticks that rounding adds to a schedule at most: numbers in read_dram and cross_l2, balance, fill, alone."""
    splits = sum(len(row) for rows in data.alternatives for row in rows)
    return 10 * len(data.operators) + 4 * len(data.edges) + splits


class _Model:
    """The program; one method for rows that belong together, in the order of the docstring."""

    def __init__(self, data: Instance) -> None:
        self.data, self.m = data, cp_model.CpModel()
        self.m.name = "dataflow_schedule"
        self.horizon = TICKS + rounded(data)
        self.every = range(len(data.operators))
        self.heads = {v: range(v + 1) for v in self.every}
        self._variables()
        self.m.minimize(cp_model.LinearExpr.sum(list(self.time.values())))
        self._groups()
        self._order()
        self._levels()
        self._balance()
        self._times()

    def row(self, name: str, kept: Any, *when: Any) -> None:
        """One row, in force where all of `when` are true."""
        row = self.m.add(kept).with_name(name)
        if when:
            row.only_enforce_if(*when)

    def ticks(self, seconds: float) -> int:
        """Seconds in ticks, rounded up."""
        return cpsat.up(seconds * TICKS / sum(self.data.alone_s), 0)

    def _variables(self) -> None:
        data, m, every = self.data, self.m, self.every
        count, far = len(every), self.horizon
        self.verticals = [(members, self.ticks(time)) for members, time in data.verticals]
        ways = ["alone", *range(len(self.verticals)), *(f"payload{p}" for p in range(len(data.payloads)))]
        self.x = {(v, h): m.new_bool_var(f"join[{v},{h}]") for v in every for h in self.heads[v]}
        self.way = {(h, w): m.new_bool_var(f"way[{h},{w}]") for h in every for w in ways}
        self.position = {v: m.new_int_var(0, count - 1, f"position[{v}]") for v in every}
        self.inner = [m.new_bool_var(f"inner[{e}]") for e in range(len(data.edges))]
        near = sorted({pair for u, v, _ in data.edges for pair in ((u, v), (v, u))})
        self.parent = {(v, u): m.new_bool_var(f"parent[{v},{u}]") for v, u in near}
        self.depth = {v: m.new_int_var(0, count - 1, f"depth[{v}]") for v in every}
        self.keeps = {v: m.new_bool_var(f"keeps[{v}]") for v in every}
        self.sends = {v: m.new_bool_var(f"sends[{v}]") for v in every}
        rows = [(v, a) for v in every for a in range(len(data.alternatives[v]))]
        self.pick = {va: m.new_bool_var(f"pick[{va[0]},{va[1]}]") for va in rows}
        self.stages = [(v, a, s) for v, a in rows for s in range(len(data.alternatives[v][a]))]
        self.ctas = {i: m.new_int_var(0, data.sms, f"ctas[{i}]") for i in self.stages}
        self.efforts: dict[tuple[int, int, int], Any] = {}
        groups = [(*i, h) for i in self.stages for h in self.heads[i[0]]]
        self.used = {i: m.new_int_var(0, data.sms, f"used[{i}]") for i in groups}
        self.steady = {v: m.new_int_var(0, far, f"steady[{v}]") for v in every}
        self.filled = {v: m.new_int_var(0, far, f"filled[{v}]") for v in every}
        kinds = ("tensor", "simt")
        most = data.shared_memory
        self.shared = {(h, k): m.new_int_var(0, most, f"shared[{h},{k}]") for h, k in itertools.product(every, kinds)}
        self.time = {h: m.new_int_var(0, far, f"time[{h}]") for h in every}
        self.payload = {h: [self.way[h, f"payload{p}"] for p in range(len(data.payloads))] for h in every}
        self.piped = {h: cp_model.LinearExpr.sum(self.payload[h]) for h in every}

    def _groups(self) -> None:
        """join_once, head_first, one_way, alone, vertical, several, most_operators."""
        data, m, x = self.data, self.m, self.x
        for v in self.every:
            m.add_exactly_one(x[v, h] for h in self.heads[v]).with_name(f"join_once[{v}]")
        for v, h in x:
            m.add_implication(x[v, h], x[h, h]).with_name(f"head_first[{v},{h}]")
        for h in self.every:
            own = [self.way[h, w] for w in ("alone", *range(len(self.verticals)))]
            self.row(f"one_way[{h}]", sum(own) + self.piped[h] == x[h, h])
            others = [x[v, h] for v in self.every if v > h]
            self.row(f"alone[{h}]", sum(others) == 0, own[0])
            for (members, _), way in zip(self.verticals, own[1:], strict=True):
                for v in self.every:
                    if v >= h:
                        self.row(f"vertical[{h}]", x[v, h] == int(v in members and h == min(members)), way)
            for way in self.payload[h]:
                self.row(f"several[{h}]", sum(others) >= 1, way)
                if data.most_operators is not None:
                    self.row(f"most_operators[{h}]", sum(others) < data.most_operators, way)

    def _order(self) -> None:
        """wait, inside, hang, feed."""
        data, m, x, every = self.data, self.m, self.x, self.every
        self.same: dict[tuple[int, int], Any] = {}
        self.pipe = {v: m.new_bool_var(f"pipe[{v}]") for v in every}  # v is in a pipeline
        for v, h in x:
            self.row("link", self.pipe[v] == self.piped[h], x[v, h])
            self.row(f"wait[{v},{h}]", self.position[v] == self.position[h], x[v, h])
        for v in every:
            if not data.streams[v]:
                self.row(f"inside[{v}]", self.pipe[v] == 0)
        for e, (u, v, _) in enumerate(data.edges):
            if (u, v) not in self.same:
                self.same[u, v] = same = m.new_bool_var(f"same[{u},{v}]")
                for h in range(max(u, v) + 1):
                    a, b = x.get((u, h)), x.get((v, h))
                    for first, second in ((a, b), (b, a)):
                        if first is not None:
                            self.row("link", same == (0 if second is None else second), first)
                step = self.position[v] - self.position[u]
                self.row(f"wait[{e}]", step == 0, same)
                self.row(f"wait[{e}]", step >= 1, ~same)
            both = (self.same[u, v], self.pipe[v])
            m.add_bool_and(both).only_enforce_if(self.inner[e]).with_name(f"inside[{e}]")
            m.add_bool_or([~both[0], ~both[1], self.inner[e]]).with_name(f"inside[{e}]")
        for (v, u), hangs in self.parent.items():
            edge = self.inner[next(e for e, (a, b, _) in enumerate(data.edges) if {a, b} == {u, v})]
            m.add_implication(hangs, edge).with_name(f"hang[{v},{u}]")
            self.row(f"hang[{v},{u}]", self.depth[v] == self.depth[u] + 1, hangs)
        for v in every:
            parents = cp_model.LinearExpr.sum([q for (w, _), q in self.parent.items() if w == v])
            self.row(f"hang[{v}]", parents == self.pipe[v], ~x[v, v])
            self.row(f"hang[{v}]", parents == 0, x[v, v])
            own = [e for e, (u, _, _) in enumerate(data.edges) if u == v]
            kept: list[Any] = [self.inner[e] for e in own] or [0]
            sent: list[Any] = [1 - self.same[v, data.edges[e][1]] for e in own] or [0]
            m.add_max_equality(self.keeps[v], kept).with_name(f"feed[{v}]")
            m.add_max_equality(self.sends[v], sent).with_name(f"feed[{v}]")

    def _balance(self) -> None:
        """pick_one, own_ctas, fit_sms, fit_rings, fit_shared, keep_up."""
        data = self.data
        for v in self.every:
            own = [self.pick[v, a] for a in range(len(data.alternatives[v]))]
            self.row(f"pick_one[{v}]", sum(own) == self.pipe[v])
        for v, a, s in self.stages:
            stage, pick, n = data.alternatives[v][a][s], self.pick[v, a], self.ctas[v, a, s]
            most = min(stage.most or data.sms, data.sms)
            self.row(f"own_ctas[{v},{a},{s}]", n <= most * pick)
            self.row(f"own_ctas[{v},{a},{s}]", n >= pick)
            for h in self.heads[v]:
                self.row("link", self.used[v, a, s, h] == n, self.x[v, h])
                self.row("link", self.used[v, a, s, h] == 0, ~self.x[v, h])
                for p, way in enumerate(self.payload[h]):
                    need = stage.shared + data.payloads[p].staged
                    self.row("link", self.shared[h, stage.kind] >= need, pick, way, self.x[v, h])
                    self._keep_up(v, a, s, h, p)
        for h in self.every:
            for kind in ("tensor", "simt"):
                used = [self.used[v, a, s, h] for v, a, s in self.stages
                        if v >= h and data.alternatives[v][a][s].kind == kind]  # fmt: skip
                self.row(f"fit_sms[{h},{kind}]", cp_model.LinearExpr.sum(used) <= data.sms)
            self.row(f"fit_shared[{h}]", self.shared[h, "tensor"] + self.shared[h, "simt"] <= data.shared_memory)
            owned = sum(self._ring(*i, h) for i in self.stages if i[0] >= h)
            for p, way in enumerate(self.payload[h]):
                self.row(f"fit_rings[{h},{p}]", owned <= rings(data, p), way)

    def _levels(self) -> None:
        """rise, bypass."""
        data, m, most = self.data, self.m, len(self.every)
        self.entries = {v: m.new_int_var(0, data.ring_entries + most, f"entries[{v}]") for v in self.every}
        level = {v: m.new_int_var(0, most, f"level[{v}]") for v in self.every}
        for v in self.every:
            into, out = [m.new_constant(0)], [m.new_constant(0)]
            for e, (u, w, _) in enumerate(data.edges):
                for end, terms, reached in ((w, into, level[u] + 1), (u, out, level[w] - level[u] - 1)):
                    if end == v:
                        terms.append(m.new_int_var(-most, most, f"reached[{e},{v}]"))
                        self.row("link", terms[-1] == reached, self.inner[e])
                        self.row("link", terms[-1] == 0, ~self.inner[e])
            m.add_max_equality(level[v], into).with_name(f"rise[{v}]")
            m.add_max_equality(self.entries[v] - data.ring_entries, out).with_name(f"bypass[{v}]")

    def _ring(self, v: int, a: int, s: int, h: int) -> Any:
        """Entries of all rings of a stage, in the group of h."""
        data, row, used = self.data, self.data.alternatives[v][a], self.used[v, a, s, h]
        if s + 1 < len(row):
            return data.ring_entries * used if row[s].passes > 0 else 0
        if not any(u == v for u, _, _ in data.edges):
            return 0
        most = data.sms * (data.ring_entries + len(self.every))
        every, own = (self.m.new_int_var(0, most, f"{name}[{v},{a},{h}]") for name in ("entries", "rings"))
        self.m.add_multiplication_equality(every, [used, self.entries[v]]).with_name("link")
        self.row("link", own == every, self.keeps[v])
        return own

    def _keep_up(self, v: int, a: int, s: int, h: int, p: int) -> None:
        """n T >= e: of the work, of what the stage is fed and of what it passes on."""
        data, m, per_s = self.data, self.m, rate(self.data, p)
        row, when = data.alternatives[v][a], (self.pick[v, a], self.payload[h][p], self.x[v, h])
        if (v, a, s) not in self.efforts:
            self.efforts[v, a, s] = m.new_int_var(0, self.horizon * data.sms, f"effort[{v},{a},{s}]")
            factors = [self.ctas[v, a, s], self.steady[v]]
            m.add_multiplication_equality(self.efforts[v, a, s], factors).with_name("link")
        effort = self.efforts[v, a, s]
        into = [(self.ticks(b / per_s), self.inner[e]) for e, (_, w, b) in enumerate(data.edges) if w == v]
        fed = self.ticks(row[s - 1].passes / per_s) if s else sum(n * z for n, z in into)
        last = s + 1 == len(row)
        passed = self.ticks(data.output[v] / per_s) * self.keeps[v] if last else self.ticks(row[s].passes / per_s)
        for need in (self.ticks(row[s].work_s * data.sms), self.ticks(row[s].written / per_s), fed, passed):
            self.row(f"keep_up[{v},{a},{s},{h},{p}]", effort >= need, *when)

    def _times(self) -> None:
        """read_dram, cross_l2, agree, fill, last."""
        data, m, every = self.data, self.m, self.every
        parts = {name: {v: m.new_int_var(0, 2**40, f"{name}[{v}]") for v in every} for name in ("dram", "l2")}
        for name, bandwidth in (("dram", data.dram_bandwidth), ("l2", data.l2_bandwidth)):
            for v in every:
                own: Any = self.ticks((data.read[v] + data.write[v]) / bandwidth)
                own += self.ticks(data.output[v] / bandwidth) * self.sends[v]
                for e, (_, w, b) in enumerate(data.edges):
                    if w == v:
                        own += self.ticks(b / bandwidth) * (1 if name == "l2" else 1 - self.inner[e])
                if name == "l2":
                    own += self.ticks(data.output[v] / bandwidth) * self.keeps[v]
                    for a, stages in enumerate(data.alternatives[v]):
                        own += sum(self.ticks(2 * s.passes / bandwidth) for s in stages[:-1]) * self.pick[v, a]
                self.row("link", parts[name][v] == own)
        for h in every:
            for name, row in (("dram", "read_dram"), ("l2", "cross_l2")):
                shares = []
                for v in every:
                    if v >= h:
                        share = m.new_int_var(0, 2**40, f"{name}[{v},{h}]")
                        self.row("link", share >= parts[name][v], self.x[v, h])
                        shares.append(share)
                self.row(f"{row}[{h}]", self.steady[h] >= sum(shares), self.pipe[h])
            self.row(f"last[{h}]", self.time[h] >= self.ticks(data.alone_s[h]), self.way[h, "alone"])
            for w, (_, ticks) in enumerate(self.verticals):
                self.row(f"last[{h}]", self.time[h] >= ticks, self.way[h, w])
        for v, h in self.x:
            inside = (self.x[v, h], self.pipe[v])
            self.row(f"agree[{v},{h}]", self.steady[v] <= self.steady[h], *inside)
            self.row(f"last[{h}]", self.time[h] >= self.steady[h] + self.filled[v], *inside)
        for v in every:
            for h, (p, payload) in itertools.product(self.heads[v], enumerate(data.payloads)):
                tile: Any = self.ticks(data.tile_s[v] + payload.hop_s)
                tile += sum(self.ticks(sum(s.adding_s for s in row)) * self.pick[v, a]
                            for a, row in enumerate(data.alternatives[v]))  # fmt: skip
                when = (self.x[v, h], self.payload[h][p])
                self.row(f"fill[{v}]", self.filled[v] >= tile, *when)
                for e in (e for e, (_, w, _) in enumerate(data.edges) if w == v):
                    u = data.edges[e][0]
                    self.row(f"fill[{e}]", self.filled[v] >= self.filled[u] + tile, *when, self.inner[e])

    def read(self, result: cpsat.Result) -> list[Group]:
        """The groups, each in the fastest way that there is for its members."""
        heads = [h for h in self.every if result.values[f"join[{h},{h}]"]]
        sets = [[v for v in self.every if v >= h and result.values[f"join[{v},{h}]"]] for h in heads]
        graph = Graph(self.data)
        return [group_of(self.data, graph, members) for members in sets]
