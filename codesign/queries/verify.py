"""Does this answer still hold, by the domain's formulas alone, and what has changed since?"""

import csv
import json
import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from codesign import audit
from codesign.answer import Answer, SystemPart
from codesign.audit import AGREE, System
from codesign.catalog import Catalog, faults_of, load
from codesign.errors import AuditError, DataError
from codesign.performance import Layout
from codesign.prepared import Prepared
from codesign.queries.best_system import prepare
from codesign.queries.best_system_answer import better, direction, objective_si
from codesign.query import Query
from codesign.serving import Deployment
from formulations import best_system_bounds


class Report(BaseModel):
    """What verification found; `holds` is the verdict under today's catalogue."""

    model_config = ConfigDict(frozen=True)
    holds: bool
    recorded: float | None
    audited: float | None
    best: float | None
    points: int
    checked_bounds: int
    changed: tuple[str, ...]
    faults: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report for people."""
        said = ["the answer holds" if self.holds else "the answer does not hold any more"]
        said += [f"fault: {fault}" for fault in self.faults]
        said += [f"changed: {change}" for change in self.changed] or ["nothing in the catalogue behind it has changed"]
        if self.recorded is not None and self.audited is not None:
            said.append(f"value {self.recorded!r} recorded, {self.audited!r} recomputed")
        best = "none is feasible" if self.best is None else f"the best is {self.best!r}"
        said.append(f"of all {self.points:,} layouts and batches {best}; {self.checked_bounds:,} bounds checked")
        return said


def verify_answer(path: Path, own: Path | None) -> Report:
    """Recompute, enumerate, compare. Raises DataError for a file that is no answer."""
    answer = _read(path)
    query = _query(answer, path)
    catalog = load(own, query.assumptions())
    changed = _changes(answer, catalog)
    p = prepare(catalog, query)
    every = audit.enumerate_all(p.query, p.space, p.servers)
    faults, audited = _system_faults(answer, p)
    recorded = None if answer.proof is None else answer.proof.value
    if answer.status == "infeasible" and every.value is not None:
        faults.append(f"a system exists now, with an objective of {every.value!r}")
    if _beaten(query, answer, audited, every.value):
        faults.append(f"a better system exists: {every.value!r} against {audited!r}")
    bound_faults, checked = _bound_faults(path.parent / "candidates.csv", p, recorded)
    faults += bound_faults
    return Report(holds=not faults, recorded=recorded, audited=audited, best=every.value, points=every.points,
                  checked_bounds=checked, changed=tuple(changed), faults=tuple(faults))  # fmt: skip


def _beaten(query: Query, answer: Answer, audited: float | None, best: float | None) -> bool:
    if answer.status != "optimal" or audited is None or best is None:
        return False
    return better(query, best, audited + direction(query) * AGREE * abs(audited))


def _read(path: Path) -> Answer:
    try:
        return Answer.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from error
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, str(path), Answer))) from error


def _query(answer: Answer, path: Path) -> Query:
    try:
        return Query.model_validate(answer.query)
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, f"{path}: query", Query))) from error


def _changes(answer: Answer, catalog: Catalog) -> list[str]:
    """Numbers behind the answer whose value, source or date differ now, then other entries by hash."""
    found, told = [], set()
    for old in answer.inputs:
        if old.si is None:
            continue
        try:
            new = catalog.fact(old.path)
        except DataError:
            found.append(f"{old.path} = {old.value} is gone")
            told.add(old.path)
            continue
        if (new.si, new.source, new.date) != (old.si, old.source, old.date) and new.source != "user":
            was, now = (f"{x.value} ({x.source}, {x.date})" for x in (old, new))
            found.append(f"{old.path}: {was} is now {now}")
            told.add(old.path)
    for entry, sha in answer.hashes.items():
        if catalog.hashes.get(entry) != sha and not any(path.startswith(entry) for path in told):
            found.append(f"{entry} differs in its notes, shape or assumptions")
    if catalog.digest() != answer.catalogue and not found:
        found.append("other entries of the catalogue, not behind this system")
    return found


def _system_faults(answer: Answer, p: Prepared) -> tuple[list[str], float | None]:
    """Recompute the system; what disagrees with the record."""
    s, recorded = answer.system, answer.proof
    if s is None or recorded is None:
        return [], None
    offer = next((o for o in p.supply.offers if o.chip.name == s.chip), None)
    if offer is None:
        return [f"{s.chip} is not on offer any more"], None
    layout = _layout(s, p.query)
    if not _in_space(s.chip, layout, p):
        named = f"tensor {s.tensor} x pipeline {s.pipeline}, expert {s.expert}, {s.weights}"
        return [f"{named} is no layout that {s.chip} can run"], None
    try:
        audited = audit.recompute(p.query, p.space.model, p.supply, System(offer, layout, s.batch, s.replicas))
    except (AuditError, ValueError) as error:
        return [str(error)], None
    faults = _record_faults(answer, audited)
    if not math.isclose(audited.value, recorded.value, rel_tol=AGREE):
        faults.append(f"objective is {audited.value!r}, recorded as {recorded.value!r}")
    if recorded.bound is not None and better(p.query, audited.value, recorded.bound * (1 + direction(p.query) * AGREE)):
        faults.append(f"objective {audited.value!r} is better than the recorded bound {recorded.bound!r}")
    proven = math.isclose(recorded.value, recorded.bound or math.nan, rel_tol=AGREE * 1.01)
    if answer.status == "optimal" and not proven:
        faults.append(f"recorded as optimal with value {recorded.value!r} and bound {recorded.bound!r} apart")
    return faults, audited.value


def _layout(s: SystemPart, query: Query) -> Layout | Deployment:
    if query.mode == "limit":
        return Layout(s.tensor, s.pipeline, s.expert, s.weights, s.kv)
    q = query.serving
    return Deployment(s.tensor, s.data, s.pipeline, s.expert, s.weights, s.kv, q.draft or 0, q.acceptance or 1.0,
                      q.chunk)  # fmt: skip


def _in_space(chip: str, layout: Layout | Deployment, p: Prepared) -> bool:
    space = p.space
    same = (space.tensor == layout.tensor) & (space.pipeline == layout.pipeline) & (space.experts == layout.expert)
    at = (same & (space.reason == 0)).nonzero()[0].tolist()
    return any(space.chips[int(space.chip[i])].name == chip and space.layout(i) == layout for i in at)


_RECORDED = {
    "system": ("servers", "servers_bought", "chips_bought", "racks"),
    "performance": ("user_speed", "users", "throughput"),
    "money": ("capital_usd", "hourly_usd", "usd_per_mtok", "power_w"),
}


def _record_faults(answer: Answer, audited: audit.Audited) -> list[str]:
    """Numbers of the answer that its system does not have."""
    pairs = [
        (f"{part}.{name}", getattr(getattr(answer, part), name), getattr(audited, name))
        for part, names in _RECORDED.items() if getattr(answer, part) is not None for name in names
    ]  # fmt: skip
    if answer.performance is not None:
        pairs += [(f"performance.{name}", getattr(answer.performance, name), getattr(audited.time, name))
                  for name in ("step_s", "ttft_s", "memory_bytes", "room")]  # fmt: skip
    for limit in answer.limits:
        pairs.append((f"limits.{limit.name}.used", limit.used, audited.used.get(limit.name)))
        pairs.append((f"limits.{limit.name}.allowed", limit.allowed, audited.allowed.get(limit.name)))
    return [f"{name} is {now!r}, recorded as {old!r}" for name, old, now in pairs if not _same(old, now)]


def _same(old: float | None, now: float | None) -> bool:
    return old is now if old is None or now is None else math.isclose(old, now, rel_tol=AGREE)


def _bound_faults(table: Path, p: Prepared, best: float | None) -> tuple[list[str], int]:
    """Recompute every value and bound of candidates.csv beside the answer, if it is there."""
    if not table.is_file() or best is None:
        return [], 0
    sweep = best_system_bounds.sweep(p.columns.instance)
    position = {int(label): i for i, label in enumerate(p.columns.instance.columns)}
    faults, checked = [], 0
    for row in _rows(table):
        i, checked = position.get(int(row["column"])), checked + 1
        if i is None:
            faults.append(f"{table}: column {row['column']} does not exist any more")
            continue
        now = [objective_si(p.query, float(x)) for x in (p.columns.true_value[i], sweep.bound[i])]
        for name, value in zip(("value", "bound"), now, strict=True):
            if value is None or not math.isclose(value, float(row[name]), rel_tol=AGREE):
                faults.append(f"{table}: column {row['column']}: {name} is {value!r}, recorded as {row[name]}")
        if row["removed"] and better(p.query, float(row["bound"]), best):
            faults.append(f"{table}: column {row['column']} was removed with a bound that can win")
    return faults[:10], checked


def _rows(table: Path) -> list[dict[str, str]]:
    """The rows of candidates.csv whose numbers can be read; DataError names the first that cannot."""
    rows = []
    with table.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                int(row["column"]), float(row["value"]), float(row["bound"])
                rows.append({**row, "removed": row["removed"] or ""})
            except (KeyError, TypeError, ValueError) as error:
                wanted = "column, value, bound and removed as --export writes them"
                raise DataError(f"{table}: line {number}: expected {wanted}") from error
    return rows
