"""The audit of a fleet notices each rule of a plan that a fleet breaks, and that alone."""

from dataclasses import replace
from typing import Any

import pytest

from codesign.facts.errors import AuditError
from codesign.fleet import audit
from codesign.fleet.best_fleet import FleetResult, fleet_of
from codesign.fleet.prepared import Prepared
from tests.cases.fleet_plans import ONE, SMALL, solved

KINDS = {"prior": "all", "allow__chips": ["h100-sxm", "b200-sxm", "mi300x"]}


def other(p: Prepared, **limits: Any) -> Prepared:
    """The same plan with other limits, and the same columns."""
    return replace(p, plan=p.plan.model_copy(update={"limits": p.plan.limits.model_copy(update=limits)}))


def audited(result: FleetResult, p: Prepared) -> audit.Audited:
    return audit.recompute(p, fleet_of(p, result.solved.outcome.solution))


def test_the_share_that_must_meet_its_limits() -> None:
    result = solved(ONE, workloads__chat__user_speed="150 tokens/s", workloads__chat__share=0.25)
    p, chat = result.prepared, result.prepared.plan.workloads["chat"]
    assert any(not run.column.meets for run in audited(result, p).fleet.runs)
    more = p.plan.model_copy(update={"workloads": {"chat": chat.model_copy(update={"share": 1.0})}})
    with pytest.raises(AuditError, match="within its limits, of 300"):
        audited(result, replace(p, plan=more))


def test_the_number_of_kinds() -> None:
    result = solved(ONE, limits__second_source=0.25, **KINDS)
    two = audited(result, other(result.prepared, kinds=2))
    assert two.kinds == 2
    with pytest.raises(AuditError, match="2 kinds break the limit 1"):
        audited(result, other(result.prepared, kinds=1))


def test_the_second_source() -> None:
    result = solved(ONE, limits__second_source=0.25, **KINDS)
    most = audit.largest_vendor(result.prepared, audited(result, result.prepared).owned)
    assert 0.25 <= 1 - most <= 0.5
    audited(result, other(result.prepared, second_source=1 - most))
    with pytest.raises(AuditError, match=f"one vendor holds {most:.1%} of all chips"):
        audited(result, other(result.prepared, second_source=1 - most + 1e-7))


@pytest.mark.parametrize(("name", "at"), [("capital", "capital"), ("power", "power"), ("racks", "racks")])
def test_amounts_exactly_at_a_limit_and_a_hair_beyond(name: str, at: str) -> None:
    result = solved(ONE)
    used = tuple(float(x) for x in getattr(audited(result, result.prepared), at))
    audited(result, other(result.prepared, **{name: used}))
    with pytest.raises(AuditError, match="breaks the limit"):
        audited(result, other(result.prepared, **{name: tuple(x * (1 - 1e-7) for x in used)}))


def test_money_by_the_hour() -> None:
    result = solved(ONE)
    p = result.prepared
    used = tuple(float(x) for x in audit.hourly(p, audited(result, p)))
    audited(result, other(p, hourly=used))
    with pytest.raises(AuditError, match="breaks the limit"):
        audited(result, other(p, hourly=tuple(x * (1 - 1e-7) for x in used)))


def test_servers_bought_beyond_what_there_is_and_installed_ones_taken_back() -> None:
    result = solved(SMALL)
    p, fleet = result.prepared, fleet_of(result.prepared, result.solved.outcome.solution)
    few = replace(p.kinds, supply=fleet.bought - (fleet.bought > 0))
    with pytest.raises(AuditError, match="servers bought"):
        audit.recompute(replace(p, kinds=few), fleet)
    with pytest.raises(AuditError, match="servers kept"):
        audit.recompute(p, replace(fleet, kept=fleet.kept + 1))
    there, back = replace(p.kinds, installed=p.kinds.installed + 1), fleet.kept.copy()
    back[:, 1] += 1
    with pytest.raises(AuditError, match="given up and taken back"):
        audit.recompute(replace(p, kinds=there), replace(fleet, kept=back))
