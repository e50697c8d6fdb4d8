"""Plans end to end: by hand, in order, with what is installed, and never better for less."""

import math
from dataclasses import replace
from typing import Any

import pytest

from codesign.facts.errors import AuditError, DataError
from codesign.fleet import audit
from codesign.fleet.answer import FleetAnswer
from codesign.fleet.audit import Run
from codesign.fleet.best_fleet import GAP, FleetResult, fleet_of, prepare_and_solve
from codesign.physics.cost import HOURS_PER_YEAR
from formulations import fleet
from tests.cases.fleet_plans import ONE, SMALL, catalog, plan, solved


def value(result: FleetResult) -> float:
    assert result.answer.proof is not None
    return result.answer.proof.value


def answer(base: dict[str, Any], **changes: Any) -> FleetAnswer:
    return solved(base, **changes).answer


def test_one_workload_on_one_kind_by_hand() -> None:
    """Replicas of one chip each: whole servers of 8 hold them, repaid, kept up and fed for a year."""
    result = solved(ONE)
    p, found = result.prepared, result.answer
    (column,) = [c for c in p.columns if c.chips == 1]
    servers = math.ceil(math.ceil(300 / column.rate) / 8)
    bill = p.kinds.offers[0].bill
    (period,) = found.periods
    (kind,) = period.kinds
    assert (found.status, kind.bought, kind.owned, kind.retired) == ("optimal", servers, servers, 0)
    assert found.cost_usd == pytest.approx(servers * bill.hourly_usd * HOURS_PER_YEAR)
    assert found.capital_usd == pytest.approx(servers * (bill.capital_usd or 0.0))
    (one,) = period.workloads
    assert (one.served, one.tokens) == (300, 300 * 256)
    assert one.usd_per_mtok == pytest.approx(servers * bill.hourly_usd / (300 * 256 * 3600) * 1e6)
    assert period.power_w == pytest.approx(servers * (bill.power_w or 0.0))


def test_a_cheaper_year_to_come_changes_the_price_of_chips_and_servers_only() -> None:
    dear, cheap = solved(ONE), solved(ONE, periods__2026__price=0.5)
    bill = dear.prepared.kinds.offers[0].bill
    servers = dear.answer.periods[0].kinds[0].owned
    assert cheap.answer.periods[0].kinds[0].owned == servers
    saved = servers * 0.5 * (bill.hourly["chips"] + bill.hourly["server"]) * HOURS_PER_YEAR
    assert value(dear) - value(cheap) == pytest.approx(saved)


def test_servers_of_the_first_period_serve_the_second() -> None:
    found = answer(SMALL)
    owned = [{kind.chip: kind.owned for kind in period.kinds} for period in found.periods]
    for chip, servers in owned[0].items():
        bought = next((kind.bought for kind in found.periods[1].kinds if kind.chip == chip), 0)
        assert owned[1][chip] == servers + bought


def test_every_number_of_a_period_fits_the_others() -> None:
    for base in (SMALL, ONE):
        for period in answer(base).periods:
            assert sum(w.usd for w in period.workloads) + period.idle_usd == pytest.approx(
                period.charge_usd + period.running_usd)  # fmt: skip
            assert sum(kind.used for kind in period.kinds) == sum(w.chips for w in period.workloads)
            assert sum(r.parcels * r.size * r.replicas for r in period.replicas) == sum(k.used for k in period.kinds)
            assert all(w.served == pytest.approx(w.requests) and w.utilisation <= 1 + 1e-9 for w in period.workloads)
            assert period.hourly_usd == pytest.approx((period.charge_usd + period.running_usd) / (
                period.years * HOURS_PER_YEAR))  # fmt: skip


# installed servers


def test_installed_servers_are_kept_where_that_costs_less() -> None:
    bare, kept = solved(ONE), solved(ONE, installed={"h100-sxm": {"servers": 100, "bought": 2024}})
    (kind,) = kept.answer.periods[0].kinds
    needed = bare.answer.periods[0].kinds[0].owned
    assert (kind.bought, kind.owned, kind.retired) == (0, needed, 100 - needed)
    assert value(kept) < value(bare)
    bill = bare.prepared.kinds.offers[0].bill
    assert value(kept) == pytest.approx(
        needed * (bill.hourly["upkeep"] + bill.hourly["electricity"]) * HOURS_PER_YEAR)  # fmt: skip


def test_installed_servers_end_with_their_life() -> None:
    """Bought in 2021 and repaid in five years they do not work through 2026, and through 2026 from 2022 on."""
    for bought, there in ((2021, 0), (2022, 1)):
        found = solved(ONE, installed={"h100-sxm": {"servers": 1, "bought": bought}})
        assert found.prepared.kinds.installed.tolist() == [[there]]
    (kind,) = answer(ONE, installed={"h100-sxm": {"servers": 1, "bought": 2021}}).periods[0].kinds
    assert kind.bought == answer(ONE).periods[0].kinds[0].bought


def test_what_was_retired_is_not_taken_back() -> None:
    changes: dict[str, Any] = {"installed": {"h100-sxm": {"servers": 60, "bought": 2025}},
                               "workloads__chat__requests": ["10 requests/s", "2000 requests/s"]}  # fmt: skip
    result = solved(SMALL, **changes)
    counts = fleet_of(result.prepared, result.solved.outcome.solution)  # type: ignore[arg-type]
    h = result.prepared.kinds.names.index("h100-sxm")
    assert (counts.kept[h, 1] <= counts.kept[h, 0]).all()
    again = replace(counts, kept=counts.kept.copy())
    again.kept[h] = [0, 1]
    with pytest.raises(AuditError, match="taken back"):
        audit.recompute(result.prepared, again)


# years


def test_a_chip_is_not_bought_before_its_year() -> None:
    found = solved(SMALL, periods={"old": {"year": 2024, "price": 1.0}, "new": {"year": 2025, "price": 1.0}},
                   workloads__long__requests="40 requests/s")  # fmt: skip
    supply = dict(zip(found.prepared.kinds.names, found.prepared.kinds.supply.tolist(), strict=True))
    assert supply == {"b200-sxm": [0, math.inf], "h100-sxm": [math.inf, math.inf]}
    assert all(kind.chip != "b200-sxm" for kind in found.answer.periods[0].kinds)


def test_life_ends_purchases() -> None:
    """Repaid in two years, servers of the first year are gone in the third."""
    periods = {str(year): {"year": year, "price": 1.0} for year in (2026, 2027, 2028)}
    found = answer(ONE, periods=periods, cost={"depreciation": "2 years"})
    bought = [sum(kind.bought for kind in period.kinds) for period in found.periods]
    owned = [sum(kind.owned for kind in period.kinds) for period in found.periods]
    assert owned == [owned[0]] * 3
    assert bought == [owned[0], 0, owned[0]]
    assert found.periods[2].kinds[0].ended == owned[0]
    with pytest.raises(DataError, match=r"periods\.2026\.years = 3: longer than servers last"):
        solved(ONE, periods={"2026": {"year": 2026, "years": "3 years", "price": 1}}, cost={"depreciation": "2 years"})


def test_rented_servers_are_hired_by_the_period() -> None:
    found = answer(SMALL, basis="rent", limits__hourly="$900/h", workloads__chat__requests=["1500 requests/s", 100])
    assert found.capital_usd == 0
    owned = [sum(kind.owned for kind in period.kinds) for period in found.periods]
    assert owned[1] < owned[0]
    assert all(kind.bought == kind.owned for period in found.periods for kind in period.kinds)
    assert all(period.hourly_usd <= 900 for period in found.periods)


# limits


LIMITS: list[tuple[str, Any, Any]] = [  # key, more, less
    ("limits__capital", "$20M", ["$3.3M", "$1.1M"]), ("limits__power", "300 kW", "109 kW"), ("limits__racks", 10, 2),
    ("limits__hourly", "$1000/h", "$158/h"), ("limits__chips", {"b200-sxm": 80}, {"b200-sxm": 8}),
    ("limits__kinds", 2, 1), ("limits__one_kind_per_workload", False, True),
]  # fmt: skip


@pytest.mark.parametrize(("key", "more", "less"), LIMITS, ids=lambda x: x if isinstance(x, str) else None)
def test_more_of_a_limit_is_never_worse(key: str, more: Any, less: Any) -> None:
    free, loose, tight = solved(SMALL), solved(SMALL, **{key: more}), solved(SMALL, **{key: less})
    slack = 1 + 2 * GAP
    assert value(free) <= value(loose) * slack
    assert tight.answer.status == "infeasible" or value(loose) <= value(tight) * slack
    for result in (loose, tight):
        for period in result.answer.periods:
            assert all(limit.used <= limit.allowed * (1 + 1e-9) for limit in period.limits)


def test_less_demand_costs_no_more_and_more_choice_neither() -> None:
    base = solved(SMALL)
    assert value(solved(SMALL, workloads__chat__requests=["800 requests/s", "1400 requests/s"])) <= value(base)
    assert value(solved(SMALL, workloads__chat__share=0.8)) <= value(base) * (1 + 2 * GAP)
    assert value(solved(SMALL, allow__chips=["h100-sxm"])) >= value(base)
    assert value(solved(SMALL, workloads__chat__phases="aggregated")) >= value(base) * (1 - 2 * GAP)


def test_second_source() -> None:
    vendors: dict[str, Any] = {"prior": "all", "allow": {"chips": ["h100-sxm", "mi300x"]}}
    alone, both = solved(ONE, **vendors), solved(ONE, **vendors, limits__second_source="40%")
    (period,) = both.answer.periods
    chips = {kind.vendor: kind.chips for kind in period.kinds}
    assert min(chips.values()) >= 0.4 * sum(chips.values()) - 1e-9
    assert len(chips) == 2
    assert value(both) >= value(alone) * (1 - GAP)
    assert answer(ONE, limits__second_source="40%").status == "infeasible"  # one vendor is on offer


# objectives


def test_power_value_and_ratio_are_each_best_at_their_own() -> None:
    worth: dict[str, Any] = {"workloads__chat__worth": "$1/Mtok", "workloads__long__worth": "$3/Mtok",
                             "limits__capital": "$2M", "limits__power": "70 kW"}  # fmt: skip
    results = {name: solved(SMALL, **worth, objective=name)
               for name in ("value", "throughput-per-dollar")}  # fmt: skip
    for name, result in results.items():
        for other in results.values():
            a = audit.recompute(other.prepared, fleet_of(other.prepared, other.solved.outcome.solution))  # type: ignore[arg-type]
            assert audit.objective(result.prepared, a) <= value(result) * (1 + 2 * GAP), name
    cost, power = solved(SMALL), solved(SMALL, objective="power")
    mean = sum(period.power_w or math.nan for period in cost.answer.periods) / 2
    assert value(power) <= mean * (1 + GAP)
    assert value(power) == pytest.approx(sum(period.power_w or math.nan for period in power.answer.periods) / 2)


def test_value_serves_what_is_worth_most() -> None:
    worth: dict[str, Any] = {"objective": "value", "limits__capital": ["$0.5M", 0], "allow__chips": ["h100-sxm"]}
    rich = answer(SMALL, **worth, workloads__chat__worth="$9/Mtok", workloads__long__worth="$1/Mtok")
    poor = answer(SMALL, **worth, workloads__chat__worth="$0.1/Mtok", workloads__long__worth="$9/Mtok")
    chat = [sum(period.workloads[0].served for period in found.periods) for found in (rich, poor)]
    assert chat[0] > chat[1]


# proof


def test_extras_are_programs_of_their_own() -> None:
    result = solved(SMALL, extras=True, limits__kinds=1, limits__capital="$3.5M")
    found = result.answer
    if found.status == "infeasible":
        pytest.fail("the plan of this test should be feasible")
    kinds = next(one for one in found.shadows if one.limit == "kinds")
    free = solved(SMALL, limits__kinds=2, limits__capital="$3.5M")
    assert kinds.value == pytest.approx(value(free), rel=2e-3)
    assert {one.chip for one in found.singles} == {"h100-sxm", "b200-sxm"}
    alone = next(one for one in found.singles if one.chip == "b200-sxm")
    other = solved(SMALL, allow__chips=["b200-sxm"], limits__capital="$3.5M")
    if not alone.lifted:
        assert alone.value == pytest.approx(value(other), rel=2e-3)


def test_prices_of_the_relaxation_are_its_own_differences() -> None:
    """Told as of the relaxation: its optimum a hundredth of a server further, against the price."""
    result = solved(SMALL, extras=True, limits__chips={"b200-sxm": [8, 16]})
    (price,) = [one for one in result.answer.duals if one.limit == "chips.b200-sxm" and one.period == "2026"]
    data, h = result.instance, result.prepared.kinds.names.index("b200-sxm")
    supply = data.supply.astype(float)
    supply[h, 0] += 0.01
    now, further = (fleet.solve(one, method="columns")[1].relaxation for one in (data, replace(data, supply=supply)))
    assert now is not None and further is not None
    assert (now - further) / 0.01 * 1e3 == pytest.approx(price.price, rel=1e-6)
    exact = next(one for one in result.answer.shadows if one.limit == "chips.b200-sxm" and one.period == "2026")
    assert exact.gain is not None and 0 < exact.gain != pytest.approx(price.price)  # whole servers


@pytest.mark.parametrize("change", ["replica", "server", "served", "kept"])
def test_the_audit_finds_what_a_fleet_lacks(change: str) -> None:
    result = solved(SMALL)
    p, counts = result.prepared, fleet_of(result.prepared, result.solved.outcome.solution)  # type: ignore[arg-type]
    audit.recompute(p, counts)
    broken = {
        "replica": replace(counts, runs=counts.runs[1:]),
        "server": replace(counts, bought=counts.bought - (counts.bought > 0)),
        "served": replace(counts, served=counts.served * 0.9),
        "kept": replace(counts, kept=counts.kept + 1),
    }[change]
    with pytest.raises(AuditError):
        audit.recompute(p, broken)


def test_the_audit_finds_a_replica_that_serves_less_than_said() -> None:
    result = solved(SMALL)
    counts = fleet_of(result.prepared, result.solved.outcome.solution)  # type: ignore[arg-type]
    first = counts.runs[0]
    boasting = Run(replace(first.column, rate=first.column.rate * 1.01), first.period, first.replicas)
    with pytest.raises(AuditError, match="requests/s, not"):
        audit.recompute(result.prepared, replace(counts, runs=(boasting, *counts.runs[1:])))


def test_no_chip_at_all_is_said() -> None:
    with pytest.raises(DataError, match="mi300x: no measured runs"):
        prepare_and_solve(catalog(), plan(ONE, allow__chips=["mi300x"]))
