"""Does this answer still hold, by the domain's formulas alone, and what has changed since?"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from codesign.facts.catalog import Catalog, faults_of, load
from codesign.facts.document import InputPart
from codesign.facts.errors import AuditError, DataError
from codesign.system import audit, verify_pools
from codesign.system.answer import Answer
from codesign.system.audit import AGREE, Enumerated, System
from codesign.system.best_system import prepare
from codesign.system.prepared import Prepared
from codesign.system.query import Query
from codesign.system.recorded import differing, in_space, layout_of, no_layout, objective_faults, rows_of
from formulations.best_system import bounds as best_system_bounds


class Report(BaseModel):
    """What verification found; `holds` is the verdict under today's catalogue."""

    model_config = ConfigDict(frozen=True)
    holds: bool
    recorded: float | None
    audited: float | None
    best: float | None
    points: int
    looked_at: str  # what the points are; empty: too many to look at each
    checked_bounds: int
    changed: tuple[str, ...]
    faults: tuple[str, ...]
    note: str = ""  # in place of points and bounds
    behind: str = "the catalogue"

    def lines(self) -> list[str]:
        """The report for people."""
        said = ["the answer holds" if self.holds else "the answer does not hold any more"]
        said += [f"fault: {fault}" for fault in self.faults]
        said += [f"changed: {change}" for change in self.changed] or [f"nothing in {self.behind} behind it has changed"]
        if self.recorded is not None and self.audited is not None:
            said.append(f"value {self.recorded!r} recorded, {self.audited!r} recomputed")
        if self.note:
            return [*said, self.note]
        best = "none is feasible" if self.best is None else f"the best is {self.best!r}"
        seen = f"of all {self.points:,} {self.looked_at} {best}" if self.looked_at else "too many systems to see each"
        said.append(f"{seen}; {self.checked_bounds:,} bounds checked")
        return said


def verify(document: dict[str, Any], path: Path, own: Path | None) -> Report:
    """Recompute, enumerate, compare. Raises DataError for what is no answer; `path` is where it was read."""
    answer = _read(document, path)
    query = _query(answer, path)
    catalog = load(own, query.assumptions())
    changed = changes(answer.inputs, answer.hashes, answer.catalogue, catalog)
    two = query.phases == "disaggregated"
    looked = _two_pools if two else _one_pool
    recorded = None if answer.proof is None else answer.proof.value
    every, audited, faults, checked = looked(answer, query, catalog, path.parent / "candidates.csv", recorded)
    best = None if every is None else every.value
    if answer.status == "infeasible" and best is not None:
        faults.append(f"a system exists now, with an objective of {best!r}")
    if _beaten(query, answer, audited, best):
        faults.append(f"a better system exists: {best!r} against {audited!r}")
    said = "" if every is None else verify_pools.LOOKED_AT if two else "layouts and batches"
    return Report(holds=not faults, recorded=recorded, audited=audited, best=best, points=every.points if every else 0,
                  looked_at=said, checked_bounds=checked, changed=tuple(changed), faults=tuple(faults))  # fmt: skip


Looked = tuple[Enumerated | None, float | None, list[str], int]  # best of all, value now, faults, bounds checked


def _one_pool(answer: Answer, query: Query, catalog: Catalog, table: Path, recorded: float | None) -> Looked:
    p = prepare(catalog, query)
    faults, audited = _system_faults(answer, p)
    wrong, checked = _bound_faults(table, p, recorded)
    return audit.enumerate_all(p.query, p.space, p.servers), audited, faults + wrong, checked


def _two_pools(answer: Answer, query: Query, catalog: Catalog, table: Path, recorded: float | None) -> Looked:
    p = verify_pools.prepare(catalog, query)
    faults, audited = verify_pools.system_faults(answer, p)
    wrong, checked = verify_pools.bound_faults(table, p, recorded)
    return verify_pools.enumerated(p).found, audited, faults + wrong, checked


def _beaten(query: Query, answer: Answer, audited: float | None, best: float | None) -> bool:
    if answer.status != "optimal" or audited is None or best is None:
        return False
    return query.objective.better(best, audited, AGREE)


def recounted(
    proof: Any, found: tuple[list[str], float | None], changed: Iterable[str], done: str, *,
    behind: str = "the catalogue",
) -> Report:  # fmt: skip
    """What was recounted without a solver: faults and the value now."""
    faults, audited = found
    if proof is None:
        note = "the answer has no fleet: that there is none is the solver's proof, and it is not proven again"
    else:
        note = f"{done}; the bound is the solver's and is not proven again"
    recorded = None if proof is None else proof.value
    return Report(holds=not faults, recorded=recorded, audited=audited, best=None, points=0, looked_at="",
                  checked_bounds=0, changed=tuple(changed), faults=tuple(faults), note=note, behind=behind)  # fmt: skip


def _read(document: dict[str, Any], path: Path) -> Answer:
    try:
        return Answer.model_validate(document)
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, str(path), Answer))) from error


def _query(answer: Answer, path: Path) -> Query:
    try:
        return Query.model_validate(answer.query)
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, f"{path}: query", Query))) from error


def changes(inputs: Iterable[InputPart], hashes: Mapping[str, str], digest: str, catalog: Catalog) -> list[str]:
    """Numbers behind the answer whose value, source or date differ now, then other entries by hash."""
    found, told = [], set()
    for old in inputs:
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
    for entry, sha in hashes.items():
        if catalog.hashes.get(entry) != sha and not any(path.startswith(entry) for path in told):
            found.append(f"{entry} differs in its notes, shape or assumptions")
    if catalog.digest() != digest and not found:
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
    layout = layout_of(s, p.query)
    if not in_space(s.chip, layout, p.space):
        return [no_layout(s)], None
    try:
        audited = audit.recompute(p.query, p.space.model, p.supply, System(offer, layout, s.batch, s.replicas))
    except (AuditError, ValueError) as error:
        return [str(error)], None
    return _record_faults(answer, audited) + objective_faults(answer, p.query, audited.value), audited.value


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
    return differing(pairs)


def _bound_faults(table: Path, p: Prepared, best: float | None) -> tuple[list[str], int]:
    """Recompute every value and bound of candidates.csv beside the answer, if it is there."""
    if not table.is_file() or best is None:
        return [], 0
    sweep = best_system_bounds.sweep(p.columns.instance)
    position = {int(label): i for i, label in enumerate(p.columns.instance.columns)}
    faults, checked = [], 0
    for row in rows_of(table, "value", "bound"):
        i, checked = position.get(int(row["column"])), checked + 1
        if i is None:
            faults.append(f"{table}: column {row['column']} does not exist any more")
            continue
        now = [p.query.objective.si(float(x)) for x in (p.columns.true_value[i], sweep.bound[i])]
        for name, value in zip(("value", "bound"), now, strict=True):
            if value is None or not math.isclose(value, float(row[name]), rel_tol=AGREE):
                faults.append(f"{table}: column {row['column']}: {name} is {value!r}, recorded as {row[name]}")
        if row["removed"] and p.query.objective.better(float(row["bound"]), best):
            faults.append(f"{table}: column {row['column']} was removed with a bound that can win")
    return faults[:10], checked

