"""The most servers of a kind: enough where a second source is asked, and told where there is no such number."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.changes.relax_plan import fleet_relax
from codesign.changes.relax_plan_conflicts import feasible
from codesign.facts.errors import DataError
from codesign.fleet.best_fleet import prepare_and_solve
from codesign.fleet.cases import cases_of
from codesign.fleet.cures import UNDECIDED, Found, cures
from codesign.fleet.limits import eased, opened
from codesign.fleet.plan import ALL
from codesign.fleet.prepared import prepare
from codesign.study.plan_study import Resolver
from formulations import fleet
from formulations.fleet import Instance, bounds
from formulations.fleet import cures as fleet_cures
from formulations.solvers.outcome import Status
from tests.cases.command import load
from tests.cases.fleet_cases import instance
from tests.cases.fleet_plans import ONE, SMALL, catalog, plan, solved

KINDS = ["h100-sxm", "b200-sxm", "mi300x"]
TWO_SOURCES = {"prior": "all", "allow__chips": KINDS, "limits__kinds": 2, "limits__second_source": 0.3}


@st.composite
def two_sources(draw: st.DrawFn) -> Instance:
    """Two or three kinds of two vendors, a share of a second source, a number of kinds, and no other limit."""
    some = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    kinds = [{"chips": some(2, 3, 4, 8), "vendor": some(0, 1) if h > 1 else h, "price": some(0.0, 1.0, 2.0, 5.0),
              "running": some(0.0, 0.125, 1.0)} for h in range(some(2, 3))]  # fmt: skip
    columns = [{"kind": h, "size": some(1, 2), "rate": some(1.0, 2.0, 3.0)} for h in range(some(1, len(kinds)))]
    return instance(columns, kinds, [{"demand": some(2.0, 6.0, 9.0)}], most_kinds=some(1, 2, 3),
                    second_source=some(0.125, 0.25, 0.375, 0.5, 0.625),
                    least_bought=some(None, np.array([some(0.0, 3.0) for _ in kinds])))  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=25)
@given(two_sources())
def test_optimum_with_a_second_source_is_that_of_the_best_choice_of_kinds(data):
    """The reference has no number of kinds and so no big-M: the others are not on sale."""
    most, values = min(len(data.kinds), data.most_kinds or 0), []
    for chosen in combinations(data.kinds.tolist(), most):
        supply = np.where(np.isin(data.kinds, chosen)[:, None], np.inf, 0.0)
        found = fleet.solve(replace(data, most_kinds=None, supply=supply))[0].value
        values += [] if found is None else [found]
    for method in ("full", "columns"):
        outcome = fleet.solve(data, method=method)[0]
        assert outcome.status is (Status.OPTIMAL if values else Status.INFEASIBLE)
        assert outcome.value == (pytest.approx(min(values), rel=1e-5, abs=1e-7) if values else None)


def test_extras_of_a_vendor_are_within_the_bound():
    """A server of 8 serves; 3/8 of another vendor's chips ask for two servers of 3 that serve nothing."""
    data = instance([{"rate": 9.0, "size": 8}], [{"chips": 8}, {"chips": 3, "vendor": 1, "price": 1.0}],
                    most_kinds=2, second_source=0.375)  # fmt: skip
    solution = fleet.solve(data)[0].solution
    assert solution.own.tolist() == [[1], [2]]
    assert (bounds.most_owned(data) >= solution.own).all()
    assert bounds.most_owned(replace(data, second_source=0.0)).tolist() == [[1], [0]]
    assert bounds.most_owned(replace(data, second_source=1.0)).tolist() == [[0], [0]]


def test_a_plan_of_kinds_and_a_second_source_alone_is_answered():
    assert solved(ONE, **TWO_SOURCES).answer.status == "optimal"


def test_cures_of_a_plan_of_kinds_and_a_second_source():
    found = solved(ONE, extras=True, limits__power="2 kW", **TWO_SOURCES).answer
    assert found.status == "infeasible"
    assert "limits.power" in [cure.limit for cure in found.cures]


def test_several_periods_without_a_bound_are_refused_with_the_keys():
    with pytest.raises(DataError, match=r"limits\.kinds = 2, limits\.second_source = 0\.3: .*add limits\.power"):
        solved(SMALL, **TWO_SOURCES)
    assert solved(SMALL, limits__chips={"all": 4000}, **TWO_SOURCES).answer.status == "optimal"


def test_what_has_no_bound_once_a_limit_is_lifted_is_not_decided():
    """Cures and conflicts lift limits: that leaves a program without a bound is no proof of anything."""
    p = prepare(catalog(), plan(SMALL, **TWO_SOURCES))
    assert feasible(p) is None
    data = instance([{}, {"kind": 1}], [{}, {"vendor": 1}], [{"demand": 8.0}], periods=2, most_kinds=2,
                    second_source=0.25, power=10.0)  # fmt: skip
    found = {(one.family, one.of): one.status for one in fleet_cures.cures(data)}
    assert found["power", None] is Status.UNKNOWN


FREE = {"prices.default.upkeep": "0 1/years", "prices.default.electricity": "0 USD/kWh"}


@pytest.mark.parametrize("changes", [{"assume": FREE}, {"basis": "hyperscaler"}])
def test_a_ratio_to_nothing_paid_is_refused_with_the_key(changes):
    """Servers that are there, and cost nothing to keep: tokens per dollar have no bound."""
    asked = plan(ONE, objective="throughput-per-dollar", installed={"h100-sxm": {"servers": 4, "bought": 2025}},
                 **changes)  # fmt: skip
    with pytest.raises(DataError, match=r"objective = 'throughput-per-dollar': installed\.h100-sxm costs nothing in"):
        prepare_and_solve(load(None, asked.assumptions()), asked)


def test_cures_that_were_not_decided_are_no_proof_that_there_is_none(monkeypatch):
    """Nothing is decided: nothing is found, and nothing is claimed."""
    none = [fleet_cures.Cure("power", None, None, Status.UNKNOWN), fleet_cures.Cure("demand", 0, None, Status.UNKNOWN)]
    monkeypatch.setattr(fleet_cures, "cures", lambda data, limits: none)
    monkeypatch.setattr("codesign.fleet.cures.works", lambda data, limits: None)
    found = cures(prepare(catalog(), plan(ONE, limits__power="2 kW")))
    assert (found.way, found.parts, found.decided) == (UNDECIDED, (), False)


def test_a_chip_of_which_none_may_be_bought_is_a_single_limit():
    found = cures(prepare(catalog(), plan(ONE, limits__chips={"h100-sxm": 0})))
    assert "limits.chips.h100-sxm" in [cure.limit for cure in found.parts]
    assert found.decided


def test_one_limit_on_all_chips_is_a_single_limit():
    """Half of the chips of each vendor: more of one kind alone is of no use, more of all is."""
    p = prepare(catalog(), plan(ONE, limits__chips={"all": 8}, limits__second_source=0.5, prior="all",
                                allow__chips=["h100-sxm", "mi300x"],
                                workloads__chat__requests="3000 requests/s"))  # fmt: skip
    found = cures(p)
    chips = [cure for cure in found.parts if cure.limit.startswith("limits.chips")]
    assert [cure.limit for cure in chips] == ["limits.chips.all"]
    assert feasible(eased(p, chips[0]))


def test_what_a_case_does_is_not_claimed_where_it_was_not_decided(monkeypatch):
    """A fleet serves the plan; whether one survives a loss is not known."""
    p = prepare(catalog(), plan(ONE, survive="one-kind"))
    monkeypatch.setattr("codesign.fleet.cures._hold", lambda *asked: None)
    found = cures(p, cases_of(p))
    assert "but not in the case" not in found.way
    assert "not decided: as planned, without every h100-sxm" in found.way
    assert not found.decided


def test_relax_is_undecided_where_no_cure_was_and_none_was_found(monkeypatch):
    """The conflicts are proven; that nothing cures them is not."""
    resolver = Resolver(None, plan(ONE, limits__power="2 kW"), catalog=catalog())
    monkeypatch.setattr("codesign.changes.relax_plan.cures.cures", lambda *asked: Found(UNDECIDED, (), False))
    monkeypatch.setattr("codesign.changes.relax_plan._joint", lambda p, names, deadline: ((), True))
    answer = fleet_relax(resolver)
    assert (answer.status, answer.way) == ("undecided", UNDECIDED)


def test_servers_that_only_balance_the_vendors_are_within_the_bound():
    """Half of the chips each, in servers of 8 and of 3: 24 and 24 is the least, though one server serves all."""
    data = instance([{"rate": 9.0, "size": 8}], [{"chips": 8}, {"chips": 3, "vendor": 1}], most_kinds=2,
                    second_source=0.5)  # fmt: skip
    for method in ("full", "columns"):
        assert fleet.solve(data, method=method)[0].solution.own.tolist() == [[3], [8]]
    bought = replace(data, second_source=None, least_bought=np.array([5.0, 5.0]))
    assert bounds.most_owned(bought).tolist() == [[6], [5]]
    assert fleet.solve(replace(data, least_bought=np.array([50.0, 0.0])))[0].solution.own.tolist() == [[51], [136]]


def test_more_of_a_chip_that_is_enough_alone_needs_no_more_of_all():
    p = prepare(catalog(), plan(ONE, limits__chips={"all": 8}))
    assert [cure.limit for cure in cures(p).parts if "chips" in cure.limit] == ["limits.chips.h100-sxm"]


def test_no_limit_lifted_sells_a_chip_before_its_year():
    years = {"2024": {"year": 2024, "price": 1.0}, "2026": {"year": 2026, "price": 1.0}}
    p = prepare(catalog(), plan(ONE, periods=years,
                                limits__chips={"all": 8}, allow__chips=["b200-sxm", "h100-sxm"]))  # fmt: skip
    assert opened(p, ALL).tolist() == [[0.0, np.inf], [np.inf, np.inf]]
