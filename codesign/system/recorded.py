"""What an answer recorded beside what is so now: comparisons that verifying one pool and two have in common."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

from codesign.facts.cells import unquoted
from codesign.facts.errors import DataError
from codesign.physics.performance import Layout
from codesign.physics.serving import Deployment
from codesign.system.answer import Answer, SystemPart
from codesign.system.audit import AGREE
from codesign.system.query import Query
from codesign.system.serving_space import deployment
from codesign.system.spaces import AnySpace


def layout_of(s: SystemPart, query: Query) -> Layout | Deployment:
    """The layout of a recorded pool under a query."""
    if query.mode == "limit":
        return Layout(s.tensor, s.pipeline, s.expert, s.weights, s.kv)
    return deployment(query, s.tensor, s.data, s.pipeline, s.expert, s.weights, s.kv)


def in_space(chip: str, layout: Layout | Deployment, space: AnySpace) -> bool:
    """Whether a chip can run a layout."""
    same_degrees = (space.tensor == layout.tensor) & (space.pipeline == layout.pipeline)
    at = (same_degrees & (space.experts == layout.expert) & (space.reason == 0)).nonzero()[0].tolist()
    return any(space.chips[int(space.chip[i])].name == chip and space.layout(i) == layout for i in at)


def no_layout(s: SystemPart) -> str:
    """What is said of a recorded layout that is not in the space."""
    named = f"tensor {s.tensor} x pipeline {s.pipeline}, expert {s.expert}, {s.weights}"
    return f"{named} is no layout that {s.chip} can run"


def same(old: float | None, now: float | None) -> bool:
    """Whether two numbers that must be one are, to 1e-6; None is only None."""
    return old is now if old is None or now is None else math.isclose(old, now, rel_tol=AGREE)


def differing(pairs: Iterable[tuple[str, float | None, float | None]]) -> list[str]:
    """Numbers of the answer (name, recorded, now) that its system does not have."""
    return [f"{name} is {now!r}, recorded as {old!r}" for name, old, now in pairs if not same(old, now)]


def objective_faults(answer: Answer, query: Query, value: float) -> list[str]:
    """What the recorded value, bound and status are wrong about, where the objective is `value` now."""
    recorded = answer.proof
    faults: list[str] = []
    if recorded is None:
        return faults
    if not math.isclose(value, recorded.value, rel_tol=AGREE):
        faults.append(f"objective is {value!r}, recorded as {recorded.value!r}")
    if recorded.bound is not None and query.objective.better(value, recorded.bound, AGREE):
        faults.append(f"objective {value!r} is better than the recorded bound {recorded.bound!r}")
    proven = math.isclose(recorded.value, recorded.bound or math.nan, rel_tol=AGREE * 1.01)
    if answer.status == "optimal" and not proven:
        faults.append(f"recorded as optimal with value {recorded.value!r} and bound {recorded.bound!r} apart")
    return faults


def rows_of(table: Path, *numbers: str) -> list[dict[str, str]]:
    """The rows of candidates.csv, in which column is whole and `numbers` can be read; DataError names the first not."""
    rows = []
    with table.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                int(row["column"])
                for name in numbers:
                    float(row[name])
                rows.append({name: unquoted(cell or "") for name, cell in row.items() if name is not None})
            except (KeyError, TypeError, ValueError) as error:
                wanted = f"column, {', '.join(numbers)} and removed as --export writes them"
                raise DataError(f"{table}: line {number}: expected {wanted}") from error
    return rows
