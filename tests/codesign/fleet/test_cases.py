"""Servers for several cases: demand that is not known yet, and losses that must be survived."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from codesign.facts.errors import AuditError
from codesign.fleet import cases
from codesign.fleet.best_fleet import SEVERAL_GAP, fleets_of
from tests.cases.command import put, run
from tests.cases.fleet_plans import ONE, SMALL, solved
from tests.codesign.fleet.test_best_fleet import value

BETWEEN: dict[str, Any] = {"scenarios": {"low": {"probability": "25%", "demand": 0.5},
                                         "high": {"probability": 0.75, "demand": {"chat": 1.5}}}}  # fmt: skip


def owned(result: Any) -> list[int]:
    return [sum(kind.owned for kind in period.kinds) for period in result.answer.periods]


def test_a_rack_in_reserve_by_hand() -> None:
    """Every replica is one chip's, so a rack more of the only kind is what survives the loss of one."""
    alone, safe = solved(ONE), solved(ONE, survive="one-rack")
    rack = int(alone.prepared.kinds.per_rack[0])
    assert owned(safe) == [owned(alone)[0] + rack]
    planned, lost = safe.answer.scenarios
    assert (planned.name, lost.name, lost.probability) == ("as planned", "without a rack of h100-sxm", None)
    assert planned.served == lost.served == {"chat": (1.0,)}


def test_half_of_the_demand_survives_on_less() -> None:
    alone, half = solved(ONE), solved(ONE, survive="one-rack", survive_share="50%")
    (column,) = [c for c in alone.prepared.columns if c.chips == 1]
    needed = math.ceil(math.ceil(150 / column.rate) / 8)
    assert owned(half) == [max(owned(alone)[0], needed + 4)]


def test_losing_the_only_kind_is_infeasible_and_says_so() -> None:
    found = solved(ONE, survive="one-kind", extras=True).answer
    assert (found.status, found.cures) == ("infeasible", ())
    assert "not in the case without every h100-sxm" in found.in_the_way


@pytest.mark.slow
def test_the_share_that_survives_is_a_cure() -> None:
    tight: dict[str, Any] = {"limits__capital": "$5M", "survive": "one-kind"}
    found = solved(SMALL, extras=True, **tight).answer
    (cure,) = found.cures
    assert (found.status, cure.limit) == ("infeasible", "survive_share") and cure.value is not None
    assert solved(SMALL, **tight, survive_share=cure.value).answer.status == "optimal"
    assert solved(SMALL, **tight, survive_share=cure.value * 1.05).answer.status == "infeasible"


@pytest.mark.slow
def test_more_to_survive_never_costs_less() -> None:
    slack = 1 + 2 * SEVERAL_GAP
    values = [value(solved(SMALL, **changes)) for changes in (
        {}, {"survive": "one-rack", "survive_share": 0.6}, {"survive": "one-rack"}, {"survive": "one-kind"},
    )]  # fmt: skip
    assert all(a <= b * slack for a, b in pairwise(values))
    assert values[2] > values[0]


def test_hardware_is_bought_for_the_demand_that_may_come() -> None:
    """Least cost serves every scenario, as the plan with the greatest demand of each workload would."""
    both = solved(SMALL, **BETWEEN)
    high = solved(SMALL, workloads__chat__requests=["1350 requests/s", "2250 requests/s"])
    assert value(both) == pytest.approx(value(high), rel=2 * SEVERAL_GAP)
    low, more = both.answer.scenarios
    assert (low.probability, more.probability) == (0.25, 0.75)
    assert low.requests == {"chat": (450.0, 750.0), "long": (15.0, 15.0)}
    assert more.requests == {"chat": (1350.0, 2250.0), "long": (30.0, 30.0)}
    assert [sum(r.requests for r in period if r.workload == "chat") >= 450 for period in low.replicas] == [True, True]


def test_expected_value_lies_between_the_scenarios() -> None:
    worth: dict[str, Any] = {"objective": "value", "limits__capital": ["$1M", 0], "workloads__chat__worth": "$1/Mtok",
                             "workloads__long__worth": "$3/Mtok"}  # fmt: skip
    both = value(solved(SMALL, **worth, **BETWEEN))
    alone = [value(solved(SMALL, **worth, scenarios={"it": {"probability": 1, "demand": one["demand"]}}))
             for one in BETWEEN["scenarios"].values()]  # fmt: skip
    assert both <= (0.25 * alone[0] + 0.75 * alone[1]) * (1 + SEVERAL_GAP)  # knowing the demand is never worse
    assert both >= 0.25 * alone[0] * (1 - SEVERAL_GAP)


def test_the_audit_looks_at_every_case() -> None:
    result = solved(SMALL, survive="one-rack")
    p, may_come, found = result.prepared, cases.cases_of(result.prepared), fleets_of(result.prepared, result.solved)
    cases.recompute(p, may_come, found)
    for i in range(len(found)):
        broken = [replace(one, runs=one.runs[1:]) if i == k else one for k, one in enumerate(found)]
        with pytest.raises(AuditError):
            cases.recompute(p, may_come, broken)
    with pytest.raises(AuditError, match="find no room"):
        cases.recompute(p, may_come, [found[0]] * len(found))  # replicas on servers that are lost


@pytest.mark.slow
def test_command_and_verification(tmp_path: Path) -> None:
    import tomli_w

    written = put(tmp_path, {"plan.toml": tomli_w.dumps(SMALL)}) / "plan.toml"
    done = run("fleet", written, "--survive", "one-rack", "--survive-share", "90%", "--export", tmp_path / "out")
    assert done.code == 0
    assert "without a rack of b200-sxm" in done.out and "must hold" in done.out
    answer = tmp_path / "out" / "answer.json"
    assert run("verify", answer).code == 0
    document = json.loads(answer.read_text(encoding="utf-8"))
    assert document["plan"]["survive"] == "one-rack"
    for change in (lambda d: d["scenarios"][1]["replicas"][0].pop(), lambda d: d["scenarios"].pop()):
        changed = json.loads(json.dumps(document))
        change(changed)
        answer.write_text(json.dumps(changed), encoding="utf-8")
        assert run("verify", answer).code == 5
