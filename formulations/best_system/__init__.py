"""Choose one layout, its batch and its replicas so that the system is best under every limit.

A column is a layout with a range of replicas and a range of batches on which its step is bounded
from below by straight lines; exactly one column is chosen (hull form: one copy of every variable
for each column, zero unless chosen).

Sets
    columns           j in J
Parameters
    read_fixed        a[j]     ms         step bounded by memory: read_fixed + read_slope * batch
    read_slope        b[j]     ms/user
    compute_fixed     c[j]     ms         step bounded by compute: likewise
    compute_slope     d[j]     ms/user
    least_batch       l[j]     users      of one pipeline stage
    most_batch        u[j]     users      what memory has room for, or the end of the range of batches
    least_replicas    r0[j]    1
    most_replicas     r1[j]    1
    parcels           g[j]     1          parcels (tensor groups, or servers of one) in a replica
    per_server        h[j]     1          parcels that one server holds
    dollars           m[j]     k$         capital of one server
    hourly            o[j]     $/h        cost of one server-hour
    watts             w[j]     kW         IT power of one server
    chips             n[j]     1          chips of one server
    racks             e[j]     1          share of a rack that one server takes
    gain              y[j]     1          ratio: numerator of one unit of batch
    rate              z[j]     any        ratio: denominator of one ms of step
    price             v[j]     any        cost: objective of one server
    served            s[j]     users      serve_users: users of one unit of batch (of one replica for cost)
    objective         -        -          "ratio", "speed" or "cost"
    slowest_step      T        ms         None: no limit, here and below
    users             U        users
    budget            M        k$
    hourly_budget     O        $/h
    power             W        kW
    chip_limit        N        chips
    rack_limit        E        racks
    spares            S        servers    bought and kept idle
Variables
    choose            x[j] in {0,1}            1 if column j is the system
    batch             B[j] integer >= 0        users of one stage
    step              t[j] >= 0        ms      time of one decode step
    replicas          r[j] integer >= 0
    servers           k[j] integer >= 0        servers in use, without the spares
Objective
    best              ratio: max sum y B - lam * sum z t;  speed: min sum t;  cost: min sum v (k + S x)
Constraints
    pick_one          sum_j x[j] = 1                                     one layout, replicated
    read_memory       t[j] >= a[j] x[j] + b[j] B[j]             j in J   weights and KV cache are read
    do_compute        t[j] >= c[j] x[j] + d[j] B[j]             j in J   the arithmetic is done
    fit_memory        B[j] <= u[j] x[j]                         j in J   the users' KV cache fits
    fill_batch        B[j] >= l[j] x[j]                         j in J   the lines hold from here
    keep_pace         t[j] <= T x[j]                            j in J   the users' speed
    replicate_most    r[j] <= r1[j] x[j]                        j in J
    replicate_least   r[j] >= r0[j] x[j]                        j in J
    own_servers       h[j] k[j] >= g[j] r[j]                    j in J   whole servers are bought
    serve_users       sum_j s[j] B[j] >= U   (cost: s[j] r[j])           all users at once
    stay_in_budget    sum_j m[j] (k[j] + S x[j]) <= M
    stay_in_hourly    sum_j o[j] (k[j] + S x[j]) <= O
    stay_in_power     sum_j w[j] (k[j] + S x[j]) <= W
    stay_in_chips     sum_j n[j] (k[j] + S x[j]) <= N
    stay_in_racks     sum_j e[j] (k[j] + S x[j]) <= E
Source
    Physics of the lines: arXiv 2507.14397; ratio by Dinkelbach (1967), see `fractional`. A row whose
    limit is None is not built. Replicas are fixed (r0 = r1) for ratio and speed, where s is r1 times the stages:
    a ratio does not fall when more replicas of the same fill are bought, so the columns carry the
    replica counts that can be best; for cost they are free and s is the closed-form most users.
"""

from formulations.best_system.instance import Instance, Objective, Solution
from formulations.best_system.program import Proof, build, solve

__all__ = ["Instance", "Objective", "Proof", "Solution", "build", "solve"]
