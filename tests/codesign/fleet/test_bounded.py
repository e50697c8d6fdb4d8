"""Plans that few limits bound: solved where the demand bounds them, refused with their keys where nothing does."""

from typing import Any

import pytest

from codesign.facts.errors import DataError
from codesign.fleet.best_fleet import prepare_and_solve
from tests.cases.command import load
from tests.cases.fleet_plans import ONE, catalog, plan, table

TWO: Any = [{}, {"kind": 1}], [{}, {"vendor": 1}], [{"demand": 8.0}]


def test_kinds_with_a_second_source_need_no_other_limit() -> None:
    asked = {"allow__chips": ["h100-sxm", "mi300x"], "limits__kinds": 2, "limits__second_source": 0.3,
             "prior": "all"}
    free = prepare_and_solve(catalog(), plan(ONE, **asked)).answer
    assert free.status == "optimal"
    assert prepare_and_solve(catalog(), plan(ONE, **asked, limits__power="300 kW")).answer.status == "optimal"


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


def test_hints_of_chips_left_out_are_keys_of_a_plan() -> None:
    left = prepare_and_solve(catalog(), plan(ONE, allow=None), extras=False).answer.left_out
    assert any("--set prior=" in reason for reason in left.values())
    assert not any(word in reason for reason in left.values() for word in ("--prior", "--basis", "--chip"))
