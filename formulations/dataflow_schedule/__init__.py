"""Schedule an operator graph on one GPU: which operators run as one, how, and on how many CTAs.

Groups run one after the other. A group is one operator alone (bulk-synchronously), a vertical group as
given, or a spatial pipeline: two or more operators, connected, all stages resident at once. Its price,
payload, alternatives and CTAs are chosen in `dataflow_schedule.price`; here groups are columns.

Sets
    operators         v in V
    groups            S in C                           subsets of V with a way to run them, see Source
Parameters
    alternatives      -        -        of each operator in a pipeline: stages in a row, one row is picked
    alone_s           t[v]     s        run bulk-synchronously by itself
    read              r[v]     B        always read off the chip: weights, inputs of the graph
    write             w[v]     B        always written off the chip: outputs of the graph
    output            o[v]     B        written off the chip if a reader is in another group
    tile_s            f[v]     s        the first tile's way through v, to fill a pipeline
    streams           -        -        False: v is in no pipeline
    edges             (u,v,b)  B        v reads b bytes of what u writes: by queue inside one pipeline
    verticals         (S,y)    s        sets that can run as one kernel, and their time
    payloads          h[p]     B, s     entries of a queue, each stage's hop; all queues of a pipeline have the same
    queue_bandwidth   q        B/s      of the queue of one CTA
    sync_s            g        s        per entry
    queue_room        Q        B        share of L2 for all rings of a pipeline
    shared_memory     H        B        of one SM
    sms               N        1
    dram_bandwidth    D        B/s
    l2_bandwidth      B        B/s
    ring_entries      E        1        of a ring, and one for each stage that what it holds bypasses
    most_operators    n        1        in one pipeline; None: as many as can be resident
Variables
    run               x[S] in {0,1}                    1 if the group is run
    part              z[v] >= 0                        relaxed only: share of v in a column of m[v] for v alone
Objective
    finish            min sum_S T[S] x[S] + sum_v m[v] z[v]        in multiples of sum_v t[v]
    lighten           min sum_S R[S] x[S]                          then, of those that are as fast
Constraints
    run_once          sum_{S: v in S} x[S] + z[v] = 1  v in V
    break_cycle       sum_{S in K} x[S] <= |K| - 1     K in cycles found so far
    stay_fast         sum_S T[S] x[S] <= L             with lighten only
Shorthands
    group_s           T[S]     s        time of a group
    group_bytes       R[S]     B        DRAM bytes of a group
    most_s            m[v]     s        a price of v is no more than that; infinite: no such column
    within_s          L        s        1e-9 above the least time
Source
    Kitsune, arXiv 2502.18403; sub-graphs, splits, CTAs and payloads are chosen together, beyond the paper.
    Time of a pipeline: max(DRAM bytes / D, L2 bytes / B, work / CTAs of every stage) + the longest path of
    f + h, with the payload's hop, and of the time to add what its alternative splits.
    A CTA of each class fits an SM together: the largest shared memory of a tensor stage and that of a SIMT
    stage, with what a payload stages, are within H, so any placement of them is possible. Each CTA of a stage that
    others read has a ring; an operator's level is how many there are on the longest path to it, and what is read k
    levels on bypasses k - 1. DRAM bytes: read, write, output where some reader is elsewhere, edges from elsewhere.
    L2 bytes: those, and what queues carry, written once and read by each consumer. Groups are convex, and no group
    waits for itself through others: a cycle K of the chosen groups is cut off when it is found. A column is a group
    with the best choice for what hangs on it (`dataflow_schedule.pendants`); columns are added by reduced cost
    (`dataflow_schedule.search`).
"""

from formulations.dataflow_schedule.instance import Instance, Payload, Solution, Stage
from formulations.dataflow_schedule.program import build, solve

__all__ = ["Instance", "Payload", "Solution", "Stage", "build", "solve"]
