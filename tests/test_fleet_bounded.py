"""Plans that no limit bounds are refused with their keys; what a search did not decide is never told as decided."""

from typing import Any

import numpy as np
import pytest

from codesign.errors import DataError
from codesign.fleet import cures
from codesign.queries.fleet import prepare_and_solve
from formulations import fleet, fleet_bounds, fleet_cures
from formulations.outcome import Outcome, Status
from tests.command import load
from tests.fleet_cases import instance
from tests.fleet_plans import ONE, SMALL, catalog, plan, table

TWO: Any = [{}, {"kind": 1}], [{}, {"vendor": 1}], [{"demand": 8.0}]


def test_kinds_with_a_second_source_need_a_limit_that_bounds_servers() -> None:
    asked = {"allow__chips": ["h100-sxm", "mi300x"], "limits__kinds": 2, "limits__second_source": 0.3,
             "prior": "all"}
    with pytest.raises(DataError, match=r"limits.kinds = 2 with limits.second_source = 0.3: needs a limit .*power"):
        prepare_and_solve(catalog(), plan(ONE, **asked))
    assert prepare_and_solve(catalog(), plan(ONE, **asked, limits__power="300 kW")).answer.status == "optimal"


def test_cures_of_such_limits_are_found_and_never_called_proven() -> None:
    """Without its power a plan is bounded by nothing: more power is a cure, but not the least that is proven."""
    asked = {"allow__chips": ["h100-sxm", "mi300x"], "limits__kinds": 2, "limits__second_source": 0.3,
             "prior": "all"}
    found = prepare_and_solve(catalog(), plan(ONE, **asked, limits__power="2 kW")).answer
    assert found.status == "infeasible"
    assert any(cure.limit == "limits.power" and cure.works.endswith(", or less,") for cure in found.cures)


def test_program_without_a_proven_bound_claims_nothing() -> None:
    free = {"most_kinds": 2, "second_source": 0.25}
    outcome, _ = fleet.solve(instance(*TWO, **free))
    assert (outcome.status, outcome.bound) == (Status.FEASIBLE, None)
    assert outcome.value == fleet.solve(instance(*TWO, second_source=0.25))[0].value
    assert fleet.solve(instance(*TWO, second_source=0.25, most_kinds=1))[0].status is Status.UNKNOWN
    proven, _ = fleet.solve(instance(*TWO, **free, power=1e4))
    assert (proven.status, proven.value) == (Status.OPTIMAL, outcome.value)
    power = next(c for c in fleet_cures.cures(instance(*TWO, **free, power=1.0)) if c.family == "power")
    assert power.status is Status.FEASIBLE


def test_a_ratio_over_servers_that_cost_nothing_is_refused() -> None:
    free: dict[str, Any] = {
        "objective": "throughput-per-dollar", "installed": {"h100-sxm": {"servers": 2, "bought": 2025}},
        "assume": {"prices.default.upkeep": "0 1/years", "prices.default.electricity": "0 USD/kWh"},
    }  # fmt: skip
    asked = plan(table(ONE), **free)
    with pytest.raises(DataError, match=r"throughput-per-dollar.*costs nothing.*upkeep"):
        prepare_and_solve(load(None, asked.assumptions()), asked)


@pytest.mark.parametrize(("key", "value"), [
    ("limits__power", "1e30 kW"), ("limits__racks", 1e30), ("workloads__chat__requests", "1e30 requests/s"),
])  # fmt: skip
def test_a_number_that_a_solver_takes_for_infinite_is_refused(key: str, value: Any) -> None:
    with pytest.raises(DataError, match=key.split("__")[-1]):
        prepare_and_solve(catalog(), plan(ONE, **{key: value}))


def test_beyond_names_the_parameter() -> None:
    assert fleet_bounds.beyond(instance(*TWO), 1e20) is None
    assert fleet_bounds.beyond(instance(*TWO, power=1e25), 1e20) == ("power", 1e25)
    assert fleet_bounds.beyond(instance(*TWO, power=np.inf), 1e20) is None


def test_what_is_not_decided_is_never_told_as_two_that_must_give(monkeypatch: pytest.MonkeyPatch) -> None:
    short = prepare_and_solve(catalog(), plan(SMALL, limits__power="1 kW", limits__racks=0.01), extras=False)
    way, found, left = cures.cures(short.prepared)
    assert not left
    assert found or "at least two of them must give" in way
    monkeypatch.setattr(fleet_cures, "cures", lambda data, limits: [
        fleet_cures.Cure("power", None, None, Status.UNKNOWN),
        fleet_cures.Cure("racks", None, None, Status.INFEASIBLE)])
    monkeypatch.setattr(fleet, "solve", lambda *a, **k: (Outcome(Status.UNKNOWN, None, None, None), None))
    way, found, left = cures.cures(short.prepared)
    assert not found
    assert "limits.power" in left
    assert "workloads.chat.user_speed" in left
    assert "must give" not in way
    assert way.startswith("no single cure was found, and not decided are: limits.power")


def test_hints_of_chips_left_out_are_keys_of_a_plan() -> None:
    left = prepare_and_solve(catalog(), plan(ONE, allow=None), extras=False).answer.left_out
    assert any("--set prior=" in reason for reason in left.values())
    assert not any(word in reason for reason in left.values() for word in ("--prior", "--basis", "--chip"))
