"""Plans made at random, right and wrong: an answer, or an error that names what is wrong; nothing else is raised."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.fleet.best_fleet import prepare_and_solve
from codesign.fleet.reading import checked
from tests.cases.command import load
from tests.cases.fleet_plans import ONE, SMALL, catalog, table

ODD = (0, -1, 1e-9, 1e9, 1e15, 1e30, 1e308, float("inf"), float("nan"), "", "none", "x", True, [], {}, 10**30)
UNITS: dict[str, tuple[Any, ...]] = {
    "USD": ("$0", "$600k", "$5M", "1e-9 USD", "1e15 USD", "1e30 USD", "1e308 USD", "-1 USD"),
    "USD/h": ("0 USD/h", "5 USD/h", "200 USD/h", "1e30 USD/h"), "W": ("0 W", "2 kW", "60 kW", "1e30 W", "1e308 W"),
    "1": (0, 0.1, 1, 3, 8, 64, 1e30), "share": (0, 1e-9, 0.25, 0.3, 0.5, 0.999999999, 1, 1.5),
    "requests/s": ("0 requests/s", "1e-9 requests/s", "30 requests/s", "1200 requests/s", "1e30 requests/s"),
    "factor": (1e-9, 0.5, 1.0, 1e9, 1e30), "growth": ("-50 %/year", "30 %/year", "1e30 /year"),
    "speed": ("1e-9 tokens/s", "60 tokens/s", "200 tokens/s", "1e30 tokens/s"), "s": ("1e-9 s", "500 ms", "1e30 s"),
}  # fmt: skip
KEYS: dict[str, tuple[Any, ...]] = {
    "limits__capital": UNITS["USD"], "limits__hourly": UNITS["USD/h"], "limits__power": UNITS["W"],
    "limits__racks": UNITS["1"], "limits__kinds": (1, 2, 3, 10**30), "limits__second_source": UNITS["share"],
    "limits__chips": ({"all": 8}, {"all": 0}, {"h100-sxm": 8}, {"all": 10**30}, {"nothing": 1}),
    "limits__one_kind_per_workload": (True, False),
    "workloads__chat__requests": UNITS["requests/s"], "workloads__chat__growth": UNITS["growth"],
    "workloads__chat__user_speed": UNITS["speed"], "workloads__chat__ttft": UNITS["s"],
    "workloads__chat__share": UNITS["share"], "workloads__chat__worth": ("0 USD/Mtok", "2 USD/Mtok", "1e30 USD/Mtok"),
    "workloads__chat__input": ("1k", "1e12", 0), "workloads__chat__output": (1, 2, "256", "1e12"),
    "periods__2026__price": (*UNITS["factor"], {"all": 1.0, "h100-sxm": 1e12}),
    "periods__2026__years": ("1 years", "1e-9 years", "1e30 years"),
    "objective": ("cost", "throughput-per-dollar", "value", "power"), "basis": ("buy", "rent", "hyperscaler"),
    "installed": ({"h100-sxm": {"servers": 3, "bought": 2025}}, {"h100-sxm": {"servers": 10**30, "bought": 2025}}),
    "survive": ("one-rack", "one-kind"), "survive_share": UNITS["share"],
    "scenarios": ({"low": {"probability": 0.5, "demand": 0.5}, "high": {"probability": 0.5, "demand": 2}},
                  {"high": {"probability": 1, "demand": 1e30}}),
    "allow__chips": (["h100-sxm"], ["b200-sxm", "mi300x"], []), "prior": ("all",),
    "assume": ({"prices.default.upkeep": "0 1/years"}, {"chips.h100-sxm.price": "1e30 USD"},
               {"chips.h100-sxm.power": "1e30 W"}, {"prices.default.electricity": "0 USD/kWh"}),
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """One of two plans with up to five keys set, one in eight of them to what is odd for any key."""
    keys = draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=5, unique=True))
    odd = st.integers(0, 7).map(lambda n: n == 7)
    changes = {key: draw(st.sampled_from(ODD if draw(odd) else KEYS[key])) for key in keys}
    return table(draw(st.sampled_from([ONE, SMALL])), **changes)


def answered(asked: dict[str, Any], *, extras: bool) -> str:
    """The status, or "refused"; raises whatever is no error in what was asked."""
    try:
        plan = checked(catalog(), asked, "test")
        assumed = plan.assumptions()
        plan = plan.model_copy(update={"time_limit": 20.0})
        return prepare_and_solve(load(None, assumed) if assumed else catalog(), plan, extras=extras).answer.status
    except DataError:
        return "refused"


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(tables(), st.booleans())
def test_a_plan_made_at_random_is_answered_or_refused(asked: dict[str, Any], extras: bool) -> None:
    assert answered(asked, extras=extras) in ("optimal", "feasible", "infeasible", "unknown", "refused")
