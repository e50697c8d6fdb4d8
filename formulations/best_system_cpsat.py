"""Choose one layout, its batch and its replicas: the twin of `best_system`, in whole numbers only.

Sets, rows and variables are those of `best_system`, from the same `Instance`; the code between is
not: no closed-form sweep, no removal, no Pyomo, no floating-point solver. Time of column j counts
in its own ticks of 10**-e[j] ms; up() and down() say how a number is put on its row's grid.

Sets
    columns           j in J
Parameters
    digits            e[j]     1      decimal digits of a tick; as many as keep all sums below 2**60
    weight            q[j]     1      up(y[j] / (lam z[j] tick[j])): ticks that one unit of batch is worth
    others            as in `best_system`; needs a b c d l r0 g U m o w n e rounded up,
                      what is there u r1 h s T M O W N E rounded down
Variables
    choose            x[j] in {0,1}            1 if column j is the system
    batch             B[j] integer >= 0        users of one stage
    step              t[j] integer >= 0  tick  time of one decode step
    replicas          r[j] integer >= 0
    servers           k[j] integer >= 0        servers in use, without the spares
Objective
    best              ratio: max sum q B - t;  speed: min sum t;  cost: min sum v (k + S x)
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
    Ratio by Dinkelbach (1967), see `fractional`: N - lam D keeps its sign when a column's share is
    multiplied by a positive number of its own, here 1 / (lam z[j] tick[j]). The error of the grid
    is proven in `best_system_grid`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from formulations import cpsat
from formulations.best_system import Instance, Solution
from formulations.best_system_grid import Grid, error, grid, least_grid_step, start
from formulations.fractional import Step, maximise_ratio
from formulations.outcome import Outcome, Status
