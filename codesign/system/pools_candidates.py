"""Bounds of the columns of two pools, as a file lists them and verification repeats them."""

import math

from codesign.facts.cells import csv_text
from codesign.system.pools import undominated
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


HEADER = ("column", "pool", "chip", "memory", "stacks", "tensor", "data", "pipeline", "expert", "weights", "kv",
          "batch", "users", "requests_per_s", "utilisation", "link_bytes_per_s", "requests_per_s_per_user", "bound",
          "unit", "removed")  # fmt: skip


def pool_candidates(p: PreparedPools, *, removal: bool = True) -> str:
    """The table as text, each pool's fastest column first; `column` is the label in the program's names."""
    known, kept, start = bounds(p, removal=removal)
    pools, best = p.pools, set(undominated(p.pools).tolist())
    rows: list[tuple[object, ...]] = []
    for c in sorted(range(len(pools)), key=lambda c: (c >= pools.split, -float(pools.handled[c]), c)):
        at = int(pools.layout[c])
        chip, layout, batch = pools.decode.chips[int(pools.chip[c])], pools.decode.layout(at), int(pools.batch[c])
        bound, reason = known.get(c), ""
        if c not in kept:
            reason = f"bound cannot beat {start!r}" if c in best else DOMINATED
            reason = "no pair with it is within the limits" if c in known and bound is None else reason
        rows.append((
            c, "prefill" if c < pools.split else "decode", chip.name, chip.memory, chip.stacks or "", layout.tensor,
            layout.data, layout.pipeline, layout.expert, layout.weights, layout.kv, batch, batch * layout.pipeline,
            repr(float(pools.speed[c])), repr(float(pools.cap[c])), repr(float(pools.link[c])),
            repr(float(pools.pace[c])), "" if bound is None else repr(bound), p.query.objective.unit, reason,
        ))  # fmt: skip
    return csv_text(HEADER, rows)
