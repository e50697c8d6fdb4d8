"""The audit of a fleet knows every limit by itself: a fleet that is right for a plan breaks the stricter one."""

from dataclasses import replace
from typing import Any

import pytest

from codesign.facts.errors import AuditError
from codesign.fleet import audit
from codesign.fleet.best_fleet import fleet_of
from codesign.fleet.prepared import Prepared
from tests.cases.fleet_plans import ONE, SMALL, solved


def limited(p: Prepared, **limits: Any) -> Prepared:
    """The plan with other limits, everything else as it was prepared."""
    return replace(p, plan=p.plan.model_copy(update={"limits": p.plan.limits.model_copy(update=limits)}))


def test_the_audit_counts_kinds() -> None:
    vendors = {"allow__chips": ["h100-sxm", "mi355x"], "prior": "all", "limits__second_source": "40%"}
    result = solved(ONE, **vendors)
    fleet = fleet_of(result.prepared, result.solved.outcome.solution)
    assert audit.recompute(limited(result.prepared, kinds=2), fleet).kinds == 2
    with pytest.raises(AuditError, match="2 kinds break the limit 1"):
        audit.recompute(limited(result.prepared, kinds=1), fleet)


def test_the_audit_asks_for_a_second_source() -> None:
    result = solved(ONE)
    fleet = fleet_of(result.prepared, result.solved.outcome.solution)
    audit.recompute(result.prepared, fleet)
    with pytest.raises(AuditError, match=r"one vendor holds 100.0% of all chips"):
        audit.recompute(limited(result.prepared, second_source=0.01), fleet)


def test_the_audit_asks_for_the_strict_share() -> None:
    """Replicas that no longer count as fast enough serve as much, and none of it within the limits."""
    result = solved(SMALL)
    p, fleet = result.prepared, fleet_of(result.prepared, result.solved.outcome.solution)
    audit.recompute(p, fleet)
    chat = {d for d, of in enumerate(p.demands) if of.workload == "chat"}
    slow = tuple(replace(run, column=replace(run.column, meets=False)) if run.column.demand in chat else run
                 for run in fleet.runs)  # fmt: skip
    with pytest.raises(AuditError, match=r"chat in 2026: prefill for .* 0(\.0)? within its limits"):
        audit.recompute(p, replace(fleet, runs=slow))
