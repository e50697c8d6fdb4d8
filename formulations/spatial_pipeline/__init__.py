"""Balance one spatial pipeline: CTAs for every stage so that the slowest stage is fastest.

All stages are resident at once. An SM hosts at most one CTA of either class at a time, so each class
shares the SMs by itself. The model has no latency: no fill, drain, barrier or spin.

Sets
    stages            i in I
    counts            c in C = 1..N                        only with a table of scales
Parameters
    kinds             k[i]     -        "tensor" or "simt": the class of the stage's CTAs
    throughput        t[i]     units/s  run bulk-synchronously on the whole GPU
    utilisation       u[i]     1        of the stage's pipe in that run: fed from a queue it runs at t / u
    dram_bytes        d        B/unit   of the pipeline
    l2_bytes          l2       B/unit   of the pipeline
    dram_bandwidth    D        B/s
    l2_bandwidth      B        B/s
    sms               N        1
    scale             r[i,c]   1        share of t that c CTAs reach; None: c / N
    most_ctas         n[i]     1        None: N
Variables
    ctas              a[i] integer in 1..n[i]
    pick              x[i,c] in {0,1}              tables only: 1 if stage i has c CTAs
    speed             y in 0..1           1        throughput of the pipeline, in multiples of Th0
Objective
    fastest           max y
Constraints
    keep_up           Th0 y <= t[i] / u[i] * r[i,a[i]]     i in I    every stage keeps up
    read_dram         Th0 d y <= D
    cross_l2          Th0 l2 y <= B
    fit_tensor        sum_i a[i] <= N                      over the stages of class "tensor"
    fit_simt          sum_i a[i] <= N                      over the stages of class "simt"
    pick_one          sum_c x[i,c] = 1                     i in I    tables only
    count_ctas        a[i] = sum_c c x[i,c]                i in I    tables only
Source
    Kitsune, arXiv 2502.18403, balance of a pipeline. The paper writes the two sums with equality, which
    a pipeline of one class cannot meet. Th0 is the least of the limits taken one by one, with n[i] CTAs
    for stage i: no pipeline is faster, so y <= 1, and a rate above Th0 is as good as Th0. With a linear
    scale r[i,a] = a / N the row keep_up is linear in a; with a table it is a sum over x.
"""

from formulations.spatial_pipeline.instance import Instance, Solution
from formulations.spatial_pipeline.program import build, solve

__all__ = ["Instance", "Solution", "build", "solve"]
