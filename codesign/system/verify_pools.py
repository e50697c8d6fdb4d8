"""Does an answer of two pools still hold? What `verify` asks of it."""

from pathlib import Path

from codesign.facts.errors import AuditError
from codesign.system import pools_audit
from codesign.system.answer import Answer, SystemPart
from codesign.system.audit import System
from codesign.system.disaggregated import enumerated, prepare
from codesign.system.pools_audit import AuditedPools, Both, Share
from codesign.system.pools_bounds import DOMINATED, bounds
from codesign.system.prepared import PreparedPools
from codesign.system.recorded import differing, in_space, layout_of, no_layout, objective_faults, rows_of, same
from codesign.system.serving_space import ServingSpace

__all__ = ["bound_faults", "enumerated", "prepare", "system_faults"]
LOOKED_AT = "pairs of columns with their replicas"
NUMBERS = ("requests_per_s", "utilisation", "link_bytes_per_s", "requests_per_s_per_user")


def system_faults(answer: Answer, p: PreparedPools) -> tuple[list[str], float | None]:
    """Recompute both pools; what disagrees with the record."""
    if answer.system is None or answer.prefill is None or answer.proof is None:
        return ([] if answer.system is None else ["two pools were asked for, one is recorded"]), None
    systems = []
    for part, space in ((answer.prefill, p.pools.prefill), (answer.system, p.pools.decode)):
        found = _system(part, space, p)
        if isinstance(found, str):
            return [found], None
        systems.append(found)
    try:
        audited = pools_audit.recompute(p.query, p.pools.decode.model, p.supply, Both(*systems))
    except (AuditError, ValueError) as error:
        return [str(error)], None
    return _record_faults(answer, audited) + objective_faults(answer, p.query, audited.value), audited.value


def _system(part: SystemPart, space: ServingSpace, p: PreparedPools) -> System | str:
    offer = next((o for o in p.supply.offers if o.chip.name == part.chip), None)
    if offer is None:
        return f"{part.chip} is not on offer any more"
    layout = layout_of(part, p.query)
    return System(offer, layout, part.batch, part.replicas) if in_space(part.chip, layout, space) else no_layout(part)


def _record_faults(answer: Answer, a: AuditedPools) -> list[str]:
    """Numbers of the answer that its two pools do not have."""
    pairs: list[tuple[str, float | None, float | None]] = []

    def compare(part: str, now: object, *names: str) -> None:
        if (old := getattr(answer, part)) is not None:
            pairs.extend((f"{part}.{name}", getattr(old, name), getattr(now, name)) for name in names)

    counts = [name for name in Share.__dataclass_fields__ if name in SystemPart.model_fields]
    compare("system", a.decode, *counts)
    compare("prefill", a.prefill, *counts, "utilisation", "memory_bytes")
    compare("prefill", a, "wait_s", "ttft_s")
    compare("prefill", a.prompts, "interval_s", "fixed_s", "send_s")
    compare("performance", a, "user_speed", "users", "throughput", "ttft_s")
    compare("performance", a.time, "step_s", "memory_bytes", "room")
    compare("money", a, "capital_usd", "hourly_usd", "usd_per_mtok", "power_w")
    if answer.performance is not None:
        pairs.append(("performance.requests", answer.performance.requests, a.rate))
    if answer.prefill is not None and answer.transfer is not None and answer.system is not None:
        t, carried = answer.transfer, a.rate * a.cache_bytes
        pairs += [("prefill.prompt_s", answer.prefill.prompt_s, a.prompts.service_s),
                  ("transfer.bytes_per_request", t.bytes_per_request, a.cache_bytes),
                  ("transfer.used", t.used, carried),
                  ("transfer.sending", t.sending, a.prefill.link * answer.prefill.replicas),
                  ("transfer.receiving", t.receiving, a.decode.link * answer.system.replicas)]  # fmt: skip
    for limit in answer.limits:
        pairs.append((f"limits.{limit.name}.used", limit.used, (a.used or {}).get(limit.name)))
        pairs.append((f"limits.{limit.name}.allowed", limit.allowed, (a.allowed or {}).get(limit.name)))
    return differing(pairs)


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
        if row["removed"] and bound is not None and p.query.objective.better(bound, best):
            faults.append(f"{where} was removed with a bound that can win")
        if row["removed"] == DOMINATED and c in kept:
            faults.append(f"{where} was removed as dominated, and no other column dominates it")
    return faults[:10], len(rows)
