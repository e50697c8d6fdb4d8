"""candidates.csv: every feasible column with its value in closed form, its bound, and why it was removed.

The columns are the query's own. Where experts curve a step, the program's last columns are these cut
into ranges of batches; the first range of a cut column keeps its label.
"""


import numpy as np

from codesign.facts.cells import csv_text
from codesign.system.key import degrees_of
from codesign.system.prepared import Prepared
from formulations.best_system import bounds

HEADER = ("column", "chip", "memory", "stacks", "tensor", "data", "pipeline", "expert", "weights", "kv", "replicas",
          "batch", "users", "value", "bound", "unit", "removed")  # fmt: skip


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
        batch, bound = int(data.true_batch[i]), p.query.objective.si(float(sweep.bound[i]))
        reason = "" if i in kept or best is None else f"bound cannot beat {p.query.objective.si(best[1])!r}"
        degrees = degrees_of(layout)
        rows.append((
            int(data.instance.columns[i]), chip.name, chip.memory, chip.stacks or "", layout.tensor,
            *(degrees[name] for name in ("data", "pipeline", "expert", "weights", "kv")),
            int(data.instance.most_replicas[i]), batch, batch * layout.pipeline,
            repr(p.query.objective.si(float(data.true_value[i]))), repr(bound), p.query.objective.unit, reason,
        ))  # fmt: skip
    return csv_text(HEADER, rows)
