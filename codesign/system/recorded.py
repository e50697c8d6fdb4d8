"""What an answer recorded beside what is so now: comparisons that verifying one pool and two have in common."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from codesign.facts.catalog import faults_of
from codesign.facts.cells import unquoted
from codesign.facts.errors import DataError
from codesign.facts.reading import toml_file
from codesign.physics.layout import Layout
from codesign.system.answer import Answer, SystemPart
from codesign.system.audit import AGREE
from codesign.system.prepared import Looked
from codesign.system.query import Query
from codesign.system.serving_space import deployment
from codesign.system.spaces import AnySpace


@dataclass(frozen=True)
class Checked:
    """What was found of an answer: the enumeration and the value now, faults, mere differences, bounds looked at."""

    every: Looked
    value: float | None
    faults: list[str]
    told: list[str]
    bounds: int

    @property
    def best(self) -> float | None:
        """The best objective of the enumeration."""
        return None if self.every.found is None else self.every.found.value


def layout_of(s: SystemPart, query: Query) -> Layout:
    """The layout of a recorded pool under a query."""
    if query.mode == "limit":
        return Layout(s.tensor, 1, s.pipeline, s.expert, s.weights, s.kv)
    return deployment(query, s.tensor, s.data, s.pipeline, s.expert, s.weights, s.kv)


def in_space(chip: str, layout: Layout, space: AnySpace) -> bool:
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
                rows.append({**_cells(row), "removed": unquoted(row["removed"] or "")})
            except (KeyError, TypeError, ValueError) as error:
                wanted = f"column, {', '.join(numbers)} and removed as --export writes them"
                raise DataError(f"{table}: line {number}: expected {wanted}") from error
    return rows


def _cells(row: Mapping[str | None, str | None]) -> dict[str, str]:
    return {name: unquoted(cell or "") for name, cell in row.items() if name is not None}


def table_faults(table: Path, now: str) -> list[str]:
    """Cells, rows and columns of candidates.csv that are not what the query has; numbers to 1e-6."""
    today = {row["column"]: _cells(row) for row in csv.DictReader(now.splitlines())}
    with table.open(encoding="utf-8", newline="") as lines:
        rows = {row["column"]: _cells(row) for row in csv.DictReader(lines)}
    faults = []
    for column, row in rows.items():
        faults += [f"{table}: column {column}: {name} is {cell!r}, recorded as {row.get(name)!r}"
                   for name, cell in today.get(column, {}).items() if not _alike(row.get(name, ""), cell)]  # fmt: skip
    missing = [column for column in today if column not in rows]
    if missing:
        faults.append(f"{table}: {len(missing)} columns of the query are not in it, {missing[0]} first")
    return faults


def _alike(old: str, new: str) -> bool:
    """The same words, with the same numbers among them."""
    words = old.split(), new.split()
    return len(words[0]) == len(words[1]) and all(map(_alike_word, *words))


def _alike_word(old: str, new: str) -> bool:
    try:
        return old == new or math.isclose(float(old), float(new), rel_tol=AGREE)
    except ValueError:
        return False


def beside(file: Path, query: Query) -> list[str]:
    """Where another query lies beside an answer, in the query.toml of its folder. DataError where it is none."""
    if not file.is_file():
        return []
    try:
        other = Query.model_validate(toml_file(file))
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, str(file), Query))) from error
    was, now = (one.model_dump(by_alias=True, mode="json") for one in (query, other))
    return [f"{file} asks otherwise than the answer: {key} = {now[key]!r}, in the answer {was[key]!r}"
            for key in was if was[key] != now[key]]  # fmt: skip
