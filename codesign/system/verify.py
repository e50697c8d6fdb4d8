"""Does this answer still hold, by the domain's formulas alone, and what has changed since?"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from codesign.facts.catalog import Catalog, faults_of, load
from codesign.facts.document import InputPart
from codesign.facts.errors import DataError
from codesign.system import verify_best, verify_pools
from codesign.system.answer import Answer
from codesign.system.audit import AGREE
from codesign.system.best_system_answer import better, direction
from codesign.system.query import Query
from codesign.system.recorded import beside


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
    two = query.phases == "disaggregated"
    looked = (verify_pools if two else verify_best).checked(answer, query, catalog, path.parent)
    found, best = looked.every.found, looked.best
    faults = [*looked.faults, *beside(path.parent / "query.toml", query)]
    if answer.system is None and best is not None:
        faults.append(f"a system exists now, with an objective of {best!r}")
    if _beaten(query, answer, looked.value, best):
        faults.append(f"a better system exists: {best!r} against {looked.value!r}")
    said = "" if found is None else verify_pools.LOOKED_AT if two else "layouts and batches"
    recorded = None if answer.proof is None else answer.proof.value
    return Report(holds=not faults, recorded=recorded, audited=looked.value, best=best,
                  points=found.points if found else 0, looked_at=said, checked_bounds=looked.bounds,
                  changed=(*changes(answer.inputs, answer.hashes, answer.catalogue, catalog), *looked.told),
                  faults=tuple(faults))  # fmt: skip


def _beaten(query: Query, answer: Answer, audited: float | None, best: float | None) -> bool:
    if answer.status != "optimal" or audited is None or best is None:
        return False
    return better(query, best, audited + direction(query) * AGREE * abs(audited))


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
