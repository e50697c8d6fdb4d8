"""Buy servers over the periods, and place replicas of every workload on them: one program, any mix of kinds.

A kind is a chip in its server. A column is a way to serve one demand: a kind, a layout and a batch, in
both phases or in one. Its replica takes parcels, each inside one server; a stage that spans servers is
as many parcels of whole servers.

Sets
    demands           d in D                      a workload in a range of lengths
    workloads         w in W
    kinds             h in H
    vendors           v in V
    periods           p in P
    columns           j in J
    hosts             g in G                      the kinds where one_kind, else one that stands for all
Parameters
    demand            A[d,p]   requests/s
    least             L[d,p]   requests/s         that must be served; None: cost and power all, else none
    strict            f[d]     1                  share of what is served by columns that meet the limits of speed
    worth             u[d,p]   k$/(requests/s)    value of serving them all period long
    tokens            t[d]     ktokens/request    of output
    workload_of       w[d]     -
    demand_of         d[j]     -
    kind_of           h[j]     -
    phase             -        -                  BOTH, PREFILL or DECODE
    meets             -        -                  fast enough for the strict share
    rate              q[j]     requests/s         of one replica
    parcels           g[j]     1                  of one replica
    size              s[j]     chips              of one parcel, at most those of a server
    chips_per_server  C[h]     1
    servers_per_rack  e[h]     1
    watts             w[h]     kW                 of one server
    vendor            v[h]     -
    life              n[h]     periods            a server bought in b works from b to b + n - 1
    price             m[h,p]   k$                 capital of a server bought in p
    charge            c[h,b,p] k$                 that a server bought in b costs in p
    running           o[h,p]   k$                 that a server owned in p costs beside
    installed         I[h,p]   servers            there from the start that still work in p
    supply            S[h,p]   servers            that can be bought in p; infinite: no limit
    length            y[p]     years
    objective         -        -                  "cost", "ratio", "value" or "power"
    capital           M[p]     k$                 spent in p; None: no limit, here and below
    spending          O[p]     k$                 charges and running cost of p
    power             W[p]     kW
    racks             E[p]     1
    most_servers      Z[h]     servers
    most_kinds        K        1
    one_kind          -        -                  True: one kind serves all of a workload
    second_source     z        1                  least share of the chips that is not of one vendor
    least_bought      G[h]     servers            that are bought in all periods together
Variables
    buy               b[h,p] integer >= 0
    keep              k[h,p] integer >= 0         installed servers that are not retired
    own               n[h,p] integer >= 0
    replicas          r[j,p] integer >= 0
    served            y[d,g,p] in [0, B[d,p]]     requests/s
    use               x[h] in {0,1}               1 if the kind is ever owned
    host              x[w,h] in {0,1}             1 if the kind serves the workload
Objective
    best              cost: min sum c b + sum o n;  power: min sum w n y / sum y;  value: max sum u y;
                      ratio: max sum t y y - lam * cost
Constraints
    count_servers     n[h,p] = k[h,p] + sum_{b <= p < b + n[h]} b[h,b]             h in H, p in P
    keep_installed    k[h,p] <= I[h,p]                                             h in H, p in P
    stay_retired      k[h,p] <= k[h,p-1]                                           h in H, p > 0
    stay_in_supply    b[h,p] <= S[h,p]                                             h in H, p in P
    buy_least         sum_p b[h,p] >= G[h]                                         h in H, G[h] > 0
    serve_least       sum_g y[d,g,p] >= L[d,p]                                     d in D, p in P
    serve_prompts     sum_{j: d, g, not DECODE} q[j,p] r[j,p] >= y[d,g,p]          split demands d
    serve_tokens      sum_{j: d, g, not PREFILL} q[j,p] r[j,p] >= y[d,g,p]         d in D
    strict_prompts    sum_{j: serve_prompts, meets} f[j,p] r[j,p] >= f[d] y[d,g,p]     split demands d
    strict_tokens     sum_{j: serve_tokens, meets} f[j,p] r[j,p] >= f[d] y[d,g,p]  d in D
    pack_servers      sum_{j: h} s[j,k] r[j,p] <= F[h,k] n[h,p]                    rows k of h, p in P
    stay_in_capital   sum_h m[h,p] b[h,p] <= M[p]                                  p in P
    stay_in_spending  sum_{h,b} c[h,b,p] b[h,b] + sum_h o[h,p] n[h,p] <= O[p]      p in P
    stay_in_power     sum_h w[h] n[h,p] <= W[p]                                    p in P
    stay_in_racks     sum_h n[h,p] / e[h] <= E[p]                                  p in P
    stay_in_servers   n[h,p] <= Z[h]                                               h in H, p in P
    mix_vendors       sum_{h: v} C[h] n[h,p] <= (1 - z) sum_h C[h] n[h,p]          v in V, p in P
    use_kind          n[h,p] <= N[h,p] x[h]                                        h in H, p in P
    stay_in_kinds     sum_h x[h] <= K
    host_once         sum_h x[w,h] <= 1                                            w in W
    serve_host        y[d,h,p] <= B[d,p] x[w[d],h]                                 d in D, h in H, p in P
Source
    A request is served by a replica of both phases or by a replica of each, so every phase covers all
    requests. B is L for cost and power, else A; q[j,p] = min(q[j], B[d,p]) and f[j,p] = min(q[j],
    f[d] B[d,p]). Rows where they say nothing are not built: the prompts of a demand without columns of
    one phase, the strict share where it is 0 or every column meets it. Weights s[j,k] and F[h,k] of
    pack_servers, with the proof that they pack: `fleet_terms`. N, tight: `fleet_bounds`. Ratio by
    Dinkelbach (1967), see `fractional`. Larger programs by column generation: `fleet_columns`.
"""

from formulations.fleet.instance import Instance, Objective, Solution
from formulations.fleet.program import Proof, as_cheap_as_possible, build, read, solve

__all__ = ["Instance", "Objective", "Proof", "Solution", "as_cheap_as_possible", "build", "read", "solve"]
