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
    half              l[g]     -        the half of L2 that the GPC is next to
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

from formulations.sm_placement.instance import Instance, Solution
from formulations.sm_placement.program import build, cost_of_all_far, read, solve

__all__ = ["Instance", "Solution", "build", "cost_of_all_far", "read", "solve"]
