"""candidates.csv: every feasible column with its value in closed form, its bound, and why it was removed.

The columns are the query's own. Where experts curve a step, the program's last columns are these cut
into ranges of batches; the first range of a cut column keeps its label. Of two pools, the columns of both.
"""

import numpy as np

from codesign.facts.cells import csv_text
from codesign.system.answer_parts import weights
from codesign.system.best_system_answer import objective_si, objective_unit
from codesign.system.pools import undominated
from codesign.system.pools_bounds import DOMINATED
from codesign.system.pools_bounds import bounds as pool_bounds
from codesign.system.prepared import Prepared, PreparedPools, SolvedPools
from formulations.best_system import bounds

HEADER = ("column", "chip", "memory", "stacks", "tensor", "data", "pipeline", "expert", "weights", "kv", "replicas",
          "batch", "users", "value", "bound", "unit", "removed")  # fmt: skip
POOLS = ("column", "pool", "chip", "memory", "stacks", "tensor", "data", "pipeline", "expert", "weights", "kv",
         "batch", "users", "requests_per_s", "utilisation", "link_bytes_per_s", "requests_per_s_per_user", "bound",
         "unit", "removed")  # fmt: skip


def candidates(p: Prepared, *, removal: bool = True) -> str:
    """The table as text, best first; `column` is the label in the program's row and variable names."""
    data, best = p.columns, p.columns.incumbent()
    sweep = bounds.sweep(data.instance, best and best[1])
    feasible = np.flatnonzero(~np.isnan(data.true_value))
    sign = -1.0 if data.instance.objective == "ratio" else 1.0
    kept = set(sweep.kept.tolist()) if removal else set(feasible.tolist())
    rows: list[tuple[object, ...]] = []
    for i in feasible[np.argsort(sign * data.true_value[feasible], kind="stable")].tolist():
        at = int(data.layout[i])
        chip, layout = p.space.chips[int(p.space.chip[at])], p.space.layout(at)
        batch, bound = int(data.true_batch[i]), objective_si(p.query, float(sweep.bound[i]))
        reason = "" if i in kept or best is None else f"bound cannot beat {objective_si(p.query, best[1])!r}"
        rows.append((
            int(data.instance.columns[i]), chip.name, chip.memory, chip.stacks or "", layout.tensor,
            getattr(layout, "data", 1), layout.pipeline, layout.expert, weights(layout), layout.kv,
            int(data.instance.most_replicas[i]), batch, batch * layout.pipeline,
            repr(objective_si(p.query, float(data.true_value[i]))), repr(bound), objective_unit(p.query), reason,
        ))  # fmt: skip
    return csv_text(HEADER, rows)


def pool_candidates(p: PreparedPools, solved: SolvedPools, *, removal: bool = True) -> str:
    """The table as text, each pool's fastest column first; `column` is the label in the program's names."""
    known, kept, start = pool_bounds(p, removal=removal)
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
            layout.data, layout.pipeline, layout.expert, weights(layout), layout.kv, batch, batch * layout.pipeline,
            repr(float(pools.speed[c])), repr(float(pools.cap[c])), repr(float(pools.link[c])),
            repr(float(pools.pace[c])), "" if bound is None else repr(bound), objective_unit(p.query), reason,
        ))  # fmt: skip
    return csv_text(POOLS, rows)
