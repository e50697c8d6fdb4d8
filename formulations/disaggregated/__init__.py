"""Choose a prefill pool and a decode pool: one column for each, replicated in the balance that requests need.

A column is a chip, a layout and a batch of one pool. Every request is prefilled by a replica of the
one pool, its KV cache is sent, and a replica of the other pool decodes it. Pools share no server.

Sets
    prefill           i in I                      columns of the prefill pool
    decode            j in J                      columns of the decode pool
    columns           c in C                      I, then J; every array runs over it
Parameters
    speed             q[c]     requests/s         of one replica that always works
    utilisation       p[c]     1                  share of time that a replica may work
    link              b[c]     GB/s               KV cache that one replica sends (i) or receives (j)
    pace              a[c]     requests/s         of one user of column j, who always has a request; i: unused
    most_replicas     r1[c]    1                  infinite where nothing but the limits bounds them
    parcels           g[c]     1                  parcels (tensor groups, or servers of one) in a replica
    per_server        h[c]     1                  parcels that one server holds
    dollars           m[c]     k$                 capital of one server
    hourly            o[c]     $/h                cost of one server-hour
    watts             w[c]     kW                 IT power of one server
    chips             n[c]     1                  chips of one server
    racks             e[c]     1                  share of a rack that one server takes
    price             v[c]     any                ratio: denominator, cost: objective, of one server
    objective         -        -                  "ratio", "throughput" or "cost"
    cache             f        GB/request         KV cache of a prompt; None: no row, here and below
    rate_demanded     A        requests/s
    users             U        users              all with a request at all times
    budget            M        k$
    hourly_budget     O        $/h
    power             W        kW
    chip_limit        N        chips
    rack_limit        E        racks
    spares            S        servers            of each pool, bought and kept idle
Variables
    choose            x[c] in {0,1}               1 if the pool consists of column c
    replicas          r[c] integer >= 0
    servers           k[c] integer >= 0           servers in use, without the spares
    rate              y >= 0   requests/s         served from prompt to last token
Objective
    best              ratio: max y - lam * sum v (k + S x);  throughput: max y;  cost: min sum v (k + S x)
Constraints
    pick_prefill      sum_i x[i] = 1                                       one column, replicated
    pick_decode       sum_j x[j] = 1                                       one column, replicated
    prefill_prompts   y <= sum_i p[i] q[i] r[i]                            time to first token, by its cap p
    decode_tokens     y <= sum_j p[j] q[j] r[j]
    send_cache        f y <= sum_i b[i] r[i]                               links of the prefill pool
    receive_cache     f y <= sum_j b[j] r[j]                               links of the decode pool
    replicate_most    r[c] <= R[c] x[c]                          c in C    R <= r1
    replicate_least   r[c] >= x[c]                               c in C    a pool is not empty
    own_servers       h[c] k[c] >= g[c] r[c]                     c in C    whole servers are bought
    serve_rate        y >= A
    serve_users       y >= U sum_j a[j] x[j]                               all users at the pace of their column
    stay_in_budget    sum_c m[c] (k[c] + S x[c]) <= M
    stay_in_hourly    sum_c o[c] (k[c] + S x[c]) <= O
    stay_in_power     sum_c w[c] (k[c] + S x[c]) <= W
    stay_in_chips     sum_c n[c] (k[c] + S x[c]) <= N
    stay_in_racks     sum_c e[c] (k[c] + S x[c]) <= E
Shorthands
    useful            R[c]     1    least of r1[c], of what each limit leaves beside the smallest other pool, and of
                                    what the other pool (cost: the demand) can keep busy: beyond it nothing is gained
Source
    Two pools: DistServe (arXiv 2401.09670), Splitwise (arXiv 2311.18677); ratio by Dinkelbach (1967),
    see `fractional`. The cap p stands for a queueing statistic that the caller states: the program knows
    means, not waits.
"""

from formulations.disaggregated.instance import Instance, Objective, Solution
from formulations.disaggregated.program import Proof, build, paid, solve

__all__ = ["Instance", "Objective", "Proof", "Solution", "build", "paid", "solve"]
