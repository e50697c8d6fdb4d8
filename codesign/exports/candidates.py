"""candidates.csv: every feasible column with its value in closed form, its bound, and why it was removed."""

import csv
from io import StringIO

import numpy as np

from codesign.prepared import Prepared, Solved
from codesign.queries.best_system_answer import objective_si, objective_unit

HEADER = ("column", "chip", "memory", "stacks", "tensor", "pipeline", "expert", "weights", "kv", "replicas", "batch",
          "users", "value", "bound", "unit", "removed")  # fmt: skip


def candidates(p: Prepared, solved: Solved) -> str:
    """The table as text, best first; `column` is the label in the program's row and variable names."""
    data, bounds = p.columns, solved.proof.sweep.bound
    feasible = np.flatnonzero(~np.isnan(data.true_value))
    best = data.incumbent()
    sign = -1.0 if data.instance.objective == "ratio" else 1.0
    kept = set(solved.proof.sweep.kept.tolist())
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for i in feasible[np.argsort(sign * data.true_value[feasible], kind="stable")].tolist():
        at = int(data.layout[i])
        chip, layout = p.space.chips[int(p.space.chip[at])], p.space.layout(at)
        batch, bound = int(data.true_batch[i]), objective_si(p.query, float(bounds[i]))
        reason = "" if i in kept or best is None else f"bound cannot beat {objective_si(p.query, best[1])!r}"
        writer.writerow((
            int(data.instance.columns[i]), chip.name, chip.memory, chip.stacks or "", layout.tensor, layout.pipeline,
            layout.expert, layout.weights, layout.kv, int(data.instance.most_replicas[i]), batch,
            batch * layout.pipeline, repr(objective_si(p.query, float(data.true_value[i]))), repr(bound),
            objective_unit(p.query), reason,
        ))  # fmt: skip
    return out.getvalue()
