"""candidates.csv: every feasible column with its value in closed form, its bound, and why it was removed.

The columns are the query's own. Where experts curve a step, the program's last columns are these cut
into ranges of batches; the first range of a cut column keeps its label.
"""


import numpy as np

from codesign.facts.cells import csv_text
from codesign.system.answer_parts import weights
from codesign.system.best_system_answer import objective_si, objective_unit
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
        batch, bound = int(data.true_batch[i]), objective_si(p.query, float(sweep.bound[i]))
        reason = "" if i in kept or best is None else f"bound cannot beat {objective_si(p.query, best[1])!r}"
        rows.append((
            int(data.instance.columns[i]), chip.name, chip.memory, chip.stacks or "", layout.tensor,
            getattr(layout, "data", 1), layout.pipeline, layout.expert, weights(layout), layout.kv,
            int(data.instance.most_replicas[i]), batch, batch * layout.pipeline,
            repr(objective_si(p.query, float(data.true_value[i]))), repr(bound), objective_unit(p.query), reason,
        ))  # fmt: skip
    return csv_text(HEADER, rows)
