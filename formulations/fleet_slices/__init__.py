"""Rent replicas of several kinds of chip so that slices of a demand by buckets are served for least money.

The rate of a bucket is cut into equal slices, and each slice goes to one kind. Slices of a bucket are
alike, so they are counted, not chosen one by one: a binary for each would only add symmetry.

Sets
    buckets        b in B                   with a demand
    kinds          g in G
Parameters
    price          p[g]   $/h      of one replica, the decimal as written; >= 0
    slices         s[b]   1        slices of bucket b
    load           a[b,g] replicas that one slice keeps busy, > 0; infinite: g cannot serve b
    most           m[g]   replicas to be had; infinite: as many as wanted
    fractional     -      -        slices may be divided at will
Variables
    count          y[g] integer >= 0
    assign         x[b,g] integer >= 0      where a[b,g] is finite; fractional: real
Objective
    cost           min sum_g p[g] y[g]
Constraints
    serve_slices   sum_g x[b,g] = s[b]            b in B    every slice is served
    carry_load     sum_b a[b,g] x[b,g] <= y[g]    g in G    no kind is overloaded
    stay_in_supply y[g] <= m[g]                   g in G
Source
    Melange: T. Griggs et al., arXiv 2404.14527, there with a binary for each slice and kind. How it is
    proven (a fleet by rounding, a floor from divided slices, a program of what is cheaper): `solve`; the
    rows that are added for it: `fleet_slices.rows`.
"""

from formulations.fleet_slices.instance import Instance
from formulations.fleet_slices.program import build, solve

__all__ = ["Instance", "build", "solve"]
