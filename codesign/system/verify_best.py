"""Does an answer of one pool still hold? What `verify` asks of it."""

import math
from pathlib import Path

from codesign.facts.catalog import Catalog
from codesign.facts.errors import AuditError
from codesign.system import audit, rebuilt
from codesign.system import best_system_answer as words
from codesign.system.answer import Answer, ProofPart, SystemPart
from codesign.system.audit import AGREE, Audited, System
from codesign.system.best_system import enumerated, nothing, prepare
from codesign.system.best_system_answer import better, objective_si
from codesign.system.candidates import candidates
from codesign.system.prepared import Looked, Prepared
from codesign.system.query import Query
from codesign.system.recorded import Checked, in_space, layout_of, no_layout, objective_faults, rows_of, table_faults
from formulations.best_system import bounds

__all__ = ["checked"]


def checked(answer: Answer, query: Query, catalog: Catalog, folder: Path) -> Checked:
    """The whole document again, and every column of candidates.csv beside it."""
    p = prepare(catalog, query)
    every = enumerated(p)
    wrong, rows = _bound_faults(folder / "candidates.csv", p, None if answer.proof is None else answer.proof.value)
    faults, told, value = _document(answer, p, every)
    return Checked(every, value, faults + wrong, told, rows)


def _document(answer: Answer, p: Prepared, every: Looked) -> tuple[list[str], list[str], float | None]:
    """Faults, what merely differs, and the objective now."""
    same_catalogue = p.catalog.digest() == answer.catalogue
    if answer.system is None:
        if p.columns.incumbent() is not None:
            return [] if every.found is not None else ["a system exists now"], [], None
        return *rebuilt.of_best(answer, nothing(p), same_catalogue=same_catalogue, refined=False), None
    if answer.proof is None:
        return ["a system is recorded without its proof"], [], None
    system = _system(answer.system, p)
    if isinstance(system, str):
        return [system], [], None
    try:
        audited = audit.recompute(p.query, p.space.model, p.supply, system)
    except (AuditError, ValueError) as error:
        return [str(error)], [], None
    now = _again(answer.proof, p, system, audited, every)
    faults, told = rebuilt.of_best(answer, now, same_catalogue=same_catalogue, refined=p.space.curved)
    return faults + objective_faults(answer, p.query, audited.value), told, audited.value


def _again(proof: ProofPart, p: Prepared, system: System, audited: Audited, every: Looked) -> Answer:
    known = p.columns.incumbent()
    kept = len(bounds.sweep(p.columns.instance, known and known[1]).kept)
    search = rebuilt.search_again(proof, len(p.columns.layout), (kept, len(p.columns.layout)))
    looked = rebuilt.looked_again(proof, every, limited=p.query.time_limit is not None)
    return words.document(p, system, audited, looked, search)


def _system(part: SystemPart, p: Prepared) -> System | str:
    offer = next((o for o in p.supply.offers if o.chip.name == part.chip), None)
    if offer is None:
        return f"{part.chip} is not on offer any more"
    layout = layout_of(part, p.query)
    return System(offer, layout, part.batch, part.replicas) if in_space(part.chip, layout, p.space) else no_layout(part)


def _bound_faults(table: Path, p: Prepared, best: float | None) -> tuple[list[str], int]:
    """Recompute every value and bound of candidates.csv beside the answer, if it is there."""
    if not table.is_file() or best is None:
        return [], 0
    sweep = bounds.sweep(p.columns.instance)
    position = {int(label): i for i, label in enumerate(p.columns.instance.columns)}
    faults, rows = [], rows_of(table, "value", "bound")
    for row in rows:
        i = position.get(int(row["column"]))
        if i is None:
            faults.append(f"{table}: column {row['column']} does not exist any more")
            continue
        now = [objective_si(p.query, float(x)) for x in (p.columns.true_value[i], sweep.bound[i])]
        for name, value in zip(("value", "bound"), now, strict=True):
            if value is None or not math.isclose(value, float(row[name]), rel_tol=AGREE):
                faults.append(f"{table}: column {row['column']}: {name} is {value!r}, recorded as {row[name]}")
        if row["removed"] and better(p.query, float(row["bound"]), best):
            faults.append(f"{table}: column {row['column']} was removed with a bound that can win")
    faults += table_faults(table, candidates(p, removal=any(row["removed"] for row in rows)))
    return faults[:10], len(rows)
