"""Bounds of the columns of two pools, as a file lists them and verification repeats them."""

import math

from codesign.system.prepared import PreparedPools
from formulations.disaggregated import bounds as disaggregated_bounds

DOMINATED = "dominated: another column of its chip, filling servers alike, serves as much at no higher pace"


def bounds(p: PreparedPools, *, removal: bool) -> tuple[dict[int, float | None], set[int], float | None]:
    """The bound (SI) of every column of the program by label, the labels that removal keeps, the value of the start."""
    data = p.instance.only(p.kept) if removal else p.instance
    sweep = disaggregated_bounds.sweep(data)
    kept = data.columns[sweep.kept] if removal else data.columns
    found = zip(data.columns.tolist(), sweep.bound.tolist(), strict=True)
    known = {c: None if math.isnan(bound) else p.query.objective.pools_si(bound, p.query.output) for c, bound in found}
    return known, set(kept.tolist()), p.query.objective.pools_si(sweep.value, p.query.output)
