"""Does an answer of two pools still hold? What `verify` asks of it."""

from pathlib import Path

from codesign.facts.catalog import Catalog
from codesign.facts.errors import AuditError
from codesign.system import disaggregated_answer as words
from codesign.system import pools_audit, rebuilt
from codesign.system.answer import Answer, ProofPart, SystemPart
from codesign.system.audit import System
from codesign.system.best_system_answer import better
from codesign.system.disaggregated import enumerated, nothing, prepare
from codesign.system.pools_audit import AuditedPools, Both
from codesign.system.pools_candidates import DOMINATED, bounds, pool_candidates
from codesign.system.prepared import Looked, PreparedPools
from codesign.system.query import Query
from codesign.system.recorded import (
    Checked,
    in_space,
    layout_of,
    no_layout,
    objective_faults,
    rows_of,
    same,
    table_faults,
)
from codesign.system.serving_space import ServingSpace
from formulations.disaggregated import bounds as disaggregated_bounds

__all__ = ["LOOKED_AT", "checked"]
LOOKED_AT = "pairs of columns with their replicas"
NUMBERS = ("requests_per_s", "utilisation", "link_bytes_per_s", "requests_per_s_per_user")


def checked(answer: Answer, query: Query, catalog: Catalog, folder: Path) -> Checked:
    """The whole document again, and every column of candidates.csv beside it."""
    p = prepare(catalog, query)
    every = enumerated(p)
    wrong, rows = bound_faults(folder / "candidates.csv", p, None if answer.proof is None else answer.proof.value)
    faults, told, value = _document(answer, p, every)
    return Checked(every, value, faults + wrong, told, rows)


def _document(answer: Answer, p: PreparedPools, every: Looked) -> tuple[list[str], list[str], float | None]:
    """Faults, what merely differs, and the objective now."""
    same_catalogue = p.catalog.digest() == answer.catalogue
    if answer.system is None:
        if every.found is not None and every.found.value is not None:
            return [], [], None
        return *rebuilt.of_best(answer, nothing(p), same_catalogue=same_catalogue, refined=False), None
    if answer.prefill is None or answer.proof is None:
        return ["two pools were asked for, one is recorded, or no proof"], [], None
    both = _both(answer.prefill, answer.system, p)
    if isinstance(both, str):
        return [both], [], None
    try:
        audited = pools_audit.recompute(p.query, p.pools.decode.model, p.supply, both)
    except (AuditError, ValueError) as error:
        return [str(error)], [], None
    now = _again(answer.proof, p, both, audited, every)
    faults, told = rebuilt.of_best(answer, now, same_catalogue=same_catalogue, refined=False)
    return faults + objective_faults(answer, p.query, audited.value), told, audited.value


def _again(proof: ProofPart, p: PreparedPools, both: Both, audited: AuditedPools, every: Looked) -> Answer:
    kept = len(disaggregated_bounds.sweep(p.instance.only(p.kept)).kept)
    search = rebuilt.search_again(proof, len(p.pools), (kept, len(p.pools)))
    looked = rebuilt.looked_again(proof, every, limited=p.query.time_limit is not None)
    return words.document(p, both, audited, looked, search)


def _both(prefill: SystemPart, decode: SystemPart, p: PreparedPools) -> Both | str:
    systems = []
    for part, space in ((prefill, p.pools.prefill), (decode, p.pools.decode)):
        found = _system(part, space, p)
        if isinstance(found, str):
            return found
        systems.append(found)
    return Both(*systems)


def _system(part: SystemPart, space: ServingSpace, p: PreparedPools) -> System | str:
    offer = next((o for o in p.supply.offers if o.chip.name == part.chip), None)
    if offer is None:
        return f"{part.chip} is not on offer any more"
    layout = layout_of(part, p.query)
    return System(offer, layout, part.batch, part.replicas) if in_space(part.chip, layout, space) else no_layout(part)


def bound_faults(table: Path, p: PreparedPools, best: float | None) -> tuple[list[str], int]:
    """Recompute every number and bound of candidates.csv beside the answer, if it is there."""
    if not table.is_file() or best is None:
        return [], 0
    rows = rows_of(table, *NUMBERS)
    known, _, _ = bounds(p, removal=any(row["removed"] for row in rows))
    arrays = dict(zip(NUMBERS, (p.pools.speed, p.pools.cap, p.pools.link, p.pools.pace), strict=True))
    kept, faults = set(p.kept.tolist()), []
    for row in rows:
        c, where = int(row["column"]), f"{table}: column {row['column']}"
        if not 0 <= c < len(p.pools):
            faults.append(f"{where} does not exist any more")
            continue
        faults += [f"{where}: {name} is {float(now[c])!r}, recorded as {row[name]}"
                   for name, now in arrays.items() if not same(float(row[name]), float(now[c]))]  # fmt: skip
        bound = float(row["bound"]) if row["bound"] else None
        if not same(bound, known.get(c)):
            faults.append(f"{where}: bound is {known.get(c)!r}, recorded as {row['bound']}")
        if row["removed"] and bound is not None and better(p.query, bound, best):
            faults.append(f"{where} was removed with a bound that can win")
        if row["removed"] == DOMINATED and c in kept:
            faults.append(f"{where} was removed as dominated, and no other column dominates it")
    faults += table_faults(table, pool_candidates(p, removal=any(row["removed"] for row in rows)))
    return faults[:10], len(rows)
