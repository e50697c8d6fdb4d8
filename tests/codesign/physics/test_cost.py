"""Closed forms of cost by hand, their monotony, and one server's bill worked out on paper."""

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.facts.records import EconomicsRecord
from codesign.physics import cost
from codesign.physics.hardware import Chip, Die, MemoryTechnology, Package, Process, Server

AREAS = st.floats(10e-6, 858e-6)
DEFECTS = st.floats(1.0, 1e4)  # 0.0001 to 1 per cm2
ALPHAS = st.floats(0.5, 20.0)
SHARES = st.floats(0.0, 1.0)
N5 = Process("n5", wafer_usd=16988.0, wafer_diameter_m=0.3, defects_per_m2=1100.0, clustering=10.0)

DIE = Die(
    name="die", title="Die", vendor="V", process="n5", package="pkg", dies=2, area_m2=800e-6, harvest=0.5,
    peak={"bf16": 1e15}, vector=None, logic_power_w=500.0, interfaces=("hbm",), shoreline_m=0.066,
    pin_rate=8e8, usable=1.0, usable_with={}, scale_up=None, scale_up_bandwidth=None, domain=None,
    scale_out=None, scale_out_bandwidth=None, server=None, test_usd=100.0, assembly_yield=0.9,
    margin=0.5, nre_usd=1e9, volume=1_000_000, available=2025,
)  # fmt: skip
HBM = MemoryTechnology(
    name="hbm", title="HBM", kind="hbm", family="hbm", capacity_bytes=16e9, bandwidth=8e11, bus_width=1024,
    energy_j_per_byte=3e-11, shoreline_m=0.011, footprint_m2=None, price_usd_per_byte=1e-8, available=2024,
)  # fmt: skip
PACKAGE = Package("pkg", price_usd=750.0, most_stacks=6)

CHIP = Chip(
    name="chip", title="Chip", vendor="V", status="shipping", memory="hbm", family="hbm", stacks=5,
    raw_bytes=80e9, usable_bytes=80e9, bandwidth=4e12, peak={"bf16": 1e15}, vector=None, power_w=700.0,
    scale_up=None, scale_up_bandwidth=None, domain=8, scale_out=None, scale_out_bandwidth=None,
    server=Server("box", chips=8, per_rack=4, price_usd=40_000.0, power_w=4_400.0),
    price_usd=25_000.0, cost_usd=3_000.0, hyperscaler_usd_h=1.5, rent_usd_h=3.0, available=2024,
)  # fmt: skip
MONEY = cost.Economics(
    network_usd=4_000.0, facility_usd_per_w=12.0, electricity_usd_per_j=0.07 / 3.6e6, pue=1.25, load=0.8,
    depreciation_years=5.0, facility_years=12.0, cost_of_money=0.0, upkeep=0.05, utilisation=0.5,
)  # fmt: skip


def test_dies_per_wafer_by_hand():
    # 300 mm wafer, 100 mm2 dies: 70685.83 / 100 - 942.478 / sqrt(200) = 706.858 - 66.643
    assert cost.dies_per_wafer(100e-6, 0.3) == pytest.approx(640.215, abs=0.001)


def test_die_yield_by_hand():
    # one expected defect a die: (1 + 1/10)^-10; without clustering it tends to exp(-1)
    assert cost.die_yield(1e-4, 1e4, 10) == pytest.approx(1.1**-10)
    assert cost.die_yield(1e-4, 1e4, 1e9) == pytest.approx(math.exp(-1), rel=1e-6)


def test_good_die_of_chiplet_actuary():
    # its computed known good die: 826 mm2 at N5 716 USD with scribe lanes and a 5 mm rim; ours has neither
    assert cost.good_die_usd(826e-6, 0.0, N5) == pytest.approx(716, rel=0.12)


@given(AREAS, DEFECTS, ALPHAS)
def test_yield_is_a_share(area, defects, alpha):
    assert 0 < cost.die_yield(area, defects, alpha) <= 1


@given(AREAS, AREAS, DEFECTS, ALPHAS)
def test_larger_dies_yield_less(one, other, defects, alpha):
    small, large = sorted((one, other))
    assert cost.die_yield(large, defects, alpha) <= cost.die_yield(small, defects, alpha)


@given(AREAS, DEFECTS, DEFECTS, ALPHAS)
def test_more_defects_yield_less(area, one, other, alpha):
    few, many = sorted((one, other))
    assert cost.die_yield(area, many, alpha) <= cost.die_yield(area, few, alpha)


@given(SHARES, SHARES, SHARES)
def test_harvest_never_hurts(good, one, other):
    little, much = sorted((one, other))
    assert good <= cost.sellable_yield(good, little) <= cost.sellable_yield(good, much) + 1e-12 <= 1 + 2e-12


@given(AREAS, AREAS, SHARES)
def test_larger_dies_cost_more(one, other, harvest):
    small, large = sorted((one, other))
    assert cost.good_die_usd(small, harvest, N5) <= cost.good_die_usd(large, harvest, N5)


@given(st.integers(1, 12))
def test_each_stack_costs_its_price_over_yield(stacks):
    more, less = (cost.manufacturing_usd(DIE, N5, PACKAGE, HBM, n) for n in (stacks + 1, stacks))
    assert more - less == pytest.approx(160.0 / 0.9)


def test_manufacturing_by_hand():
    dies = 2 * cost.good_die_usd(800e-6, 0.5, N5)
    assert cost.manufacturing_usd(DIE, N5, PACKAGE, HBM, 5) == pytest.approx((dies + 800 + 750) / 0.9 + 100)


@pytest.mark.parametrize("field", ["price_usd_per_byte", "capacity_bytes"])
def test_manufacturing_is_unknown_without_the_memory(field):
    assert cost.manufacturing_usd(DIE, N5, PACKAGE, replace(HBM, **{field: None}), 5) is None


def test_sold_by_hand():
    assert cost.sold_usd(3_000, 0.88, 1e9, 1_000_000) == pytest.approx(25_000 + 1_000)
    assert cost.sold_usd(3_000, 0.0, 1e9, 1_000_000) == pytest.approx(4_000)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cost.dies_per_wafer(0, 0.3), "area_m2 = 0"),
        (lambda: cost.dies_per_wafer(1.0, 0.3), "less than one die"),
        (lambda: cost.die_yield(1e-4, -1, 10), "defects"),
        (lambda: cost.die_yield(1e-4, 1, 0), "clustering = 0"),
        (lambda: cost.sellable_yield(1.2, 0), "good = 1.2"),
        (lambda: cost.sellable_yield(0.5, -0.1), "harvest = -0.1"),
        (lambda: cost.sold_usd(1, 1.0, 0, 1), "margin = 1.0"),
        (lambda: cost.annuity(0, 0.1), "years = 0"),
        (lambda: cost.annuity(5, -0.1), "rate = -0.1"),
        (lambda: cost.dollars_per_mtok(1, 0, 1), "tokens_per_s = 0"),
        (lambda: cost.dollars_per_mtok(1, 1, 1.5), "utilisation = 1.5"),
        (lambda: cost.missing(CHIP, "lease"), "basis = 'lease'"),
        (lambda: cost.missing(CHIP, "buy", "list"), "price_basis = 'list'"),
    ],
)
def test_bad_calls_are_named(call, words):
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        call()


def test_annuity_without_interest_is_the_straight_line():
    assert cost.annuity(5, 0) == 0.2
    assert cost.annuity(5, 1e-9) == pytest.approx(0.2)


@given(st.floats(1, 30), st.floats(0.001, 0.3))
def test_annuity_repays_its_capital(years, rate):
    paid = cost.annuity(years, rate) * (1 - (1 + rate) ** -years) / rate
    assert paid == pytest.approx(1)


def test_bought_server_by_hand():
    bill = cost.server_bill(CHIP, MONEY)
    assert bill.power_w == 8 * 700 + 4_400 == 10_000
    assert (bill.chips_usd, bill.server_usd, bill.network_usd) == (200_000, 40_000, 32_000)
    assert bill.facility_usd == 120_000
    assert bill.capital_usd == 392_000
    assert bill.hourly == pytest.approx(
        {
            "chips": 200_000 / 5 / 8760,
            "server": 40_000 / 5 / 8760,
            "network": 32_000 / 5 / 8760,
            "facility": 120_000 / 12 / 8760,
            "upkeep": 0.05 * 392_000 / 8760,
            "electricity": 10 * 0.8 * 1.25 * 0.07,  # kW at the meter times USD/kWh
        }
    )
    assert bill.hourly_usd == pytest.approx((40_000 + 8_000 + 6_400 + 10_000 + 19_600) / 8760 + 0.70)


def test_interest_makes_every_capital_item_dearer():
    free = cost.server_bill(CHIP, MONEY).hourly
    dear = cost.server_bill(CHIP, replace(MONEY, cost_of_money=0.1)).hourly
    assert all(dear[item] > free[item] for item in ("chips", "server", "network", "facility"))
    assert all(dear[item] == free[item] for item in ("upkeep", "electricity"))


def test_own_silicon_pays_manufacturing_cost():
    assert cost.server_bill(CHIP, MONEY, price_basis="cost").chips_usd == 24_000


@pytest.mark.parametrize(("basis", "hourly"), [("hyperscaler", 12.0), ("rent", 24.0)])
def test_rented_server_is_all_in(basis, hourly):
    bill = cost.server_bill(CHIP, MONEY, basis=basis)
    assert bill.hourly == {"all-in": hourly}
    assert bill.hourly_usd == hourly
    assert bill.capital_usd is None
    assert bill.power_w == 10_000


@pytest.mark.parametrize(
    ("changed", "basis", "price_basis", "names"),
    [
        ({}, "buy", "sold", ()),
        ({"price_usd": None}, "buy", "sold", ("price",)),
        ({"price_usd": None}, "buy", "cost", ()),
        ({"cost_usd": None, "power_w": None}, "buy", "cost", ("manufacturing_cost", "power")),
        ({"server": None}, "buy", "sold", ("server",)),
        ({"server": Server("box", 8, 4, None, None)}, "buy", "sold", ("server.price", "server.power")),
        ({"server": Server("box", 8, 4, 0.0, 0.0)}, "buy", "sold", ()),
        ({"hyperscaler_usd_h": None}, "hyperscaler", "sold", ("hyperscaler",)),
        ({"rent_usd_h": None, "server": None}, "rent", "sold", ("rent", "server")),
        ({"price_usd": None, "power_w": None}, "rent", "sold", ()),
    ],
)
def test_missing_numbers_are_named(changed, basis, price_basis, names):
    chip = replace(CHIP, **changed)
    assert cost.missing(chip, basis, price_basis) == names
    if names:
        with pytest.raises(ValueError, match=names[0]):
            cost.server_bill(chip, MONEY, basis=basis, price_basis=price_basis)
    else:
        assert cost.server_bill(chip, MONEY, basis=basis, price_basis=price_basis).hourly_usd > 0


def test_rented_server_without_power_has_no_power():
    assert cost.server_bill(replace(CHIP, power_w=None), MONEY, basis="rent").power_w is None


def test_dollars_per_mtok_by_hand():
    # 36 USD/h buys 3600 s x 1000 tokens/s x 0.5 = 1.8 million tokens
    assert cost.dollars_per_mtok(36.0, 1000.0, 0.5) == pytest.approx(20.0)


def test_default_economics_come_near_the_published_h100_hour():
    """1.69 USD for a neocloud that buys (SemiAnalysis, InferenceX constants.ts, 2026-04); ours is dearer."""
    path = Path(__file__).parents[3] / "instances" / "prices" / "default.toml"
    r = EconomicsRecord.model_validate(tomllib.loads(path.read_text()))
    money = cost.Economics(
        network_usd=r.network.si, facility_usd_per_w=r.facility.si, electricity_usd_per_j=r.electricity.si,
        pue=r.pue.si, load=r.load.si, depreciation_years=r.depreciation.si, facility_years=r.facility_life.si,
        cost_of_money=r.cost_of_money.si, upkeep=r.upkeep.si, utilisation=r.utilisation.si,
    )  # fmt: skip
    hopper = Server("hgx-hopper", chips=8, per_rack=4, price_usd=72_000.0, power_w=5_472.0)
    bill = cost.server_bill(replace(CHIP, price_usd=26_000.0, server=hopper), money)
    assert bill.hourly_usd / 8 == pytest.approx(1.69, rel=0.25)
