"""Buy servers over the periods, and place replicas of every workload on them: one program, any mix of kinds.

A kind is a chip in its server. A column is a way to serve one demand: a kind, a layout and a batch, in
both phases or in one. Its replica takes parcels, each inside one server; a stage that spans servers is
as many parcels of whole servers.

Every parameter and variable stands under its own name; letters are indices only.

Sets
    demands           d in D                      a workload in a range of lengths
    workloads         w in W
    kinds             h in H
    vendors           v in V
    periods           b, p in P
    columns           j in J
    hosts             g in G                      the kinds where one_kind, else one that stands for all
Parameters
    demand            [d,p]    requests/s
    least             [d,p]    requests/s         that must be served; None: cost and power all, else none
    strict            [d]      1                  share of what is served by columns that meet the limits of speed
    worth             [d,p]    k$/(requests/s)    value of serving them all period long
    tokens            [d]      ktokens/request    of output
    workload_of       [d]      -
    demand_of         [j]      -
    kind_of           [j]      -
    phase             [j]      -                  BOTH, PREFILL or DECODE
    meets             [j]      -                  fast enough for the strict share
    rate              [j]      requests/s         of one replica
    parcels           [j]      1                  of one replica
    size              [j]      chips              of one parcel, at most those of a server
    chips_per_server  [h]      1
    servers_per_rack  [h]      1
    watts             [h]      kW                 of one server
    vendor            [h]      -
    life              [h]      periods            a server bought in b works from b to b + life - 1
    price             [h,p]    k$                 capital of a server bought in p
    charge            [h,b,p]  k$                 that a server bought in b costs in p
    running           [h,p]    k$                 that a server owned in p costs beside
    installed         [h,p]    servers            there from the start that still work in p
    supply            [h,p]    servers            that can be bought in p; infinite: no limit
    length            [p]      years
    objective         -        -                  "cost", "ratio", "value" or "power"
    capital           [p]      k$                 spent in p; None: no limit, here and below
    spending          [p]      k$                 charges and running cost of p
    power             [p]      kW
    racks             [p]      1
    most_servers      [h]      servers
    most_kinds        -        1
    one_kind          -        -                  True: one kind serves all of a workload
    second_source     -        1                  least share of the chips that is not of one vendor
    least_bought      [h]      servers            that are bought in all periods together
Variables
    buy               [h,p] integer >= 0
    keep              [h,p] integer >= 0          installed servers that are not retired
    own               [h,p] integer >= 0
    replicas          [j,p] integer >= 0
    served            [d,g,p] in [0, wanted]      requests/s
    use               [h] in {0,1}                1 if the kind is ever owned
    host              [w,h] in {0,1}              1 if the kind serves the workload
Objective
    best              cost: min paid;  power: min sum watts own length / sum length;
                      value: max sum worth served;  ratio: max sum tokens length served - lam * paid
Constraints
    count_servers     own[h,p] = keep[h,p] + sum_{b <= p < b + life[h]} buy[h,b]               h in H, p in P
    keep_installed    keep[h,p] <= installed[h,p]                                              h in H, p in P
    stay_retired      keep[h,p] <= keep[h,p-1]                                                 h in H, p > 0
    stay_in_supply    buy[h,p] <= supply[h,p]                                                  h in H, p in P
    buy_least         sum_p buy[h,p] >= least_bought[h]                                        h in H where > 0
    serve_least       sum_g served[d,g,p] >= least[d,p]                                        d in D, p in P
    serve_prompts     sum_{j of d, g, not DECODE} able[j,p] replicas[j,p] >= served[d,g,p]     split demands d
    serve_tokens      sum_{j of d, g, not PREFILL} able[j,p] replicas[j,p] >= served[d,g,p]    d in D
    strict_prompts    sum_{j of serve_prompts} quick[j,p] replicas[j,p] >= strict[d] served[d,g,p]   split demands d
    strict_tokens     sum_{j of serve_tokens} quick[j,p] replicas[j,p] >= strict[d] served[d,g,p]    d in D
    pack_servers      sum_{j of h} weight[j,k] replicas[j,p] <= full[h,k] own[h,p]             rows k of h, p in P
    stay_in_capital   sum_h price[h,p] buy[h,p] <= capital[p]                                  p in P
    stay_in_spending  sum_h (sum_b charge[h,b,p] buy[h,b] + running[h,p] own[h,p]) <= spending[p]     p in P
    stay_in_power     sum_h watts[h] own[h,p] <= power[p]                                      p in P
    stay_in_racks     sum_h own[h,p] / servers_per_rack[h] <= racks[p]                         p in P
    stay_in_servers   own[h,p] <= most_servers[h]                                              h in H, p in P
    mix_vendors       sum_{h of v} chips[h,p] <= (1 - second_source) sum_h chips[h,p]          v in V, p in P
    use_kind          own[h,p] <= most_owned[h,p] use[h]                                       h in H, p in P
    stay_in_kinds     sum_h use[h] <= most_kinds
    host_once         sum_h host[w,h] <= 1                                                     w in W
    serve_host        served[d,h,p] <= wanted[d,p] host[w,h]                            w of d, h in H, p in P
Shorthands
    paid              -        k$                 sum charge[h,b,p] buy[h,b] + sum running[h,p] own[h,p]
    wanted            [d,p]    requests/s         least for cost and power, else demand
    able              [j,p]    requests/s         min(rate[j], wanted[d,p]) for the demand d of j
    quick             [j,p]    requests/s         min(rate[j], strict[d] wanted[d,p]) where meets[j], else 0
    chips             [h,p]    1                  chips_per_server[h] own[h,p]
    weight            [j,k]    chips              that a replica takes in row k of its kind, see `fleet.terms`
    full              [h,k]    chips              that a server gives in it
    most_owned        [h,p]    servers            that are ever of use, tight: `fleet.bounds`
Source
    A request is served by a replica of both phases or by a replica of each, so every phase covers all
    requests. Rows where they say nothing are not built: the prompts of a demand without columns of one
    phase, the strict share where it is 0 or every column meets it. Proof that pack_servers packs:
    `fleet.terms`. Ratio by Dinkelbach (1967), see `fractional`. Larger programs by column generation:
    `fleet.columns`.
"""

from formulations.fleet.instance import Instance, Objective, Solution
from formulations.fleet.program import Proof, as_cheap_as_possible, build, read, solve

__all__ = ["Instance", "Objective", "Proof", "Solution", "as_cheap_as_possible", "build", "read", "solve"]
