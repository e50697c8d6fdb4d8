"""Dies with stacks against the chips they became: each twin is predicted, then compared."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from codesign.facts.fact import Fact
from codesign.facts.records import KINDS, ChipRecord, DieRecord, MemoryRecord, PackageRecord, ProcessRecord, numbers
from codesign.physics.cost import manufacturing_usd, sold_usd
from codesign.physics.hardware import Chip, Die, MemoryTechnology, Package, Process, compose, most_stacks

INSTANCES = Path(__file__).parents[3] / "instances"
MINE = ("memory", "dies", "processes", "packages", "prices")


def record(kind, name):
    return KINDS[kind].model_validate(tomllib.loads((INSTANCES / kind / f"{name}.toml").read_text()))


def si(fact: Fact | None) -> float | None:
    return None if fact is None else fact.si


def whole(fact: Fact | None) -> int | None:
    return None if fact is None else int(fact.si)


def memory(name: str) -> MemoryTechnology:
    r: MemoryRecord = record("memory", name)
    return MemoryTechnology(
        name=r.name, title=r.title, kind=r.kind, family=r.family, capacity_bytes=si(r.capacity),
        bandwidth=si(r.bandwidth), bus_width=whole(r.bus_width), energy_j_per_byte=si(r.energy),
        shoreline_m=si(r.shoreline), footprint_m2=si(r.footprint), price_usd_per_byte=si(r.price),
        available=whole(r.available),
    )  # fmt: skip


def process(name: str) -> Process:
    r: ProcessRecord = record("processes", name)
    return Process(r.name, r.wafer_price.si, r.wafer_diameter.si, r.defect_density.si, r.clustering.si)


def package(name: str) -> Package:
    r: PackageRecord = record("packages", name)
    return Package(r.name, r.price.si, int(r.most_stacks.si))


def die(name: str) -> Die:
    r: DieRecord = record("dies", name)
    c = r.connections
    return Die(
        name=r.name, title=r.title, vendor=r.vendor, process=r.process, package=r.package,
        dies=int(r.dies.si), area_m2=r.die_area.si, harvest=r.harvest.si,
        peak={k: f.si for k in ("bf16", "fp8", "fp4", "int8") if (f := getattr(r.peak, k)) is not None},
        vector=si(r.peak.vector), logic_power_w=r.logic_power.si, interfaces=r.interfaces,
        shoreline_m=r.shoreline.si, pin_rate=r.pin_rate.si, usable=r.usable.si,
        usable_with={k: f.si for k, f in r.usable_with.items()},
        scale_up=None, scale_up_bandwidth=si(c.scale_up_bandwidth), domain=whole(c.domain),
        scale_out=None, scale_out_bandwidth=si(c.scale_out_bandwidth), server=None,
        test_usd=r.test.si, assembly_yield=r.assembly_yield.si, margin=r.margin.si, nre_usd=r.nre.si,
        volume=int(r.volume.si), available=int(r.available.si),
    )  # fmt: skip


def twin(die_name: str, stacks: int, memory_name: str) -> Chip:
    d, m = die(die_name), memory(memory_name)
    p = package(d.package)
    cost_usd = manufacturing_usd(d, process(d.process), p, m, stacks)
    price_usd = None if cost_usd is None else sold_usd(cost_usd, d.margin, d.nre_usd, d.volume)
    return compose(d, m, stacks, p, cost_usd=cost_usd, price_usd=price_usd)


TWINS = {
    "h100-sxm": ("gh100", 5, "hbm3"),
    "h200-sxm": ("gh100", 6, "hbm3e-8hi"),
    "b200-sxm": ("gb100", 8, "hbm3e-8hi"),
    "b300-sxm": ("gb100", 8, "hbm3e-12hi"),
    "rubin-vr-nvl72": ("vr200", 8, "hbm4"),
    "a100-80-sxm": ("ga100", 5, "hbm2e"),
    "l40s": ("ad102", 12, "gddr6-clamshell"),
}


@pytest.mark.parametrize("chip", TWINS)
def test_twin_has_the_memory_and_power_of_its_product(chip):
    made, sold = twin(*TWINS[chip]), record("chips", chip)
    assert made.bandwidth == pytest.approx(sold.bandwidth.si, rel=0.01)
    assert made.usable_bytes == pytest.approx(sold.usable_memory.si, rel=0.01)
    if sold.raw_memory is not None:
        assert made.raw_bytes == pytest.approx(sold.raw_memory.si, rel=0.01)
    assert made.power_w == pytest.approx(sold.power.si, rel=0.10)
    assert made.available == int(sold.available.si)


@pytest.mark.parametrize("chip", TWINS)
def test_twin_has_the_rates_and_links_of_its_product(chip):
    made, sold = die(TWINS[chip][0]), record("chips", chip)
    for rate, value in made.peak.items():
        if (chip, rate) not in {("b300-sxm", "fp4"), ("b300-sxm", "int8")}:  # Blackwell Ultra changed these
            assert value == getattr(sold.peak, rate).si
    assert made.scale_up_bandwidth == sold.connections.scale_up_bandwidth.si
    assert made.domain == int(sold.connections.domain.si)
    assert record("dies", TWINS[chip][0]).connections.scale_up == sold.connections.scale_up
    assert record("dies", TWINS[chip][0]).server == sold.server


@pytest.mark.parametrize(
    ("chip", "cost", "price"),
    [
        ("h100-sxm", (0.8 * 3320, 1.2 * 3320), (22_000, 30_000)),
        ("h200-sxm", (4250, 4800), (32_000, 39_000)),  # a prediction: nothing of H200 is fitted
        ("b200-sxm", (5700, 7300), (33_000, 42_000)),
    ],
)
def test_twin_costs_what_analysts_publish(chip, cost, price):
    made = twin(*TWINS[chip])
    assert cost[0] <= made.cost_usd <= cost[1]
    assert price[0] <= made.price_usd <= price[1]


@pytest.mark.parametrize(
    ("chip", "low", "high"),
    [("a100-80-sxm", 10_000, 15_000), ("l40s", 7_500, 9_000), ("rubin-vr-nvl72", 114_000, 126_000)],
)
def test_fitted_margin_meets_the_price_that_it_was_fitted_to(chip, low, high):
    assert low <= twin(*TWINS[chip]).price_usd <= high


def test_gb202_makes_rtx_pro_6000():
    made, sold = twin("gb202", 16, "gddr7-clamshell"), record("chips", "rtx-pro-6000-server")
    assert made.usable_bytes == sold.usable_memory.si
    assert made.bandwidth == pytest.approx(1.792e12)  # the catalogue chip is the slower server edition
    assert made.power_w == pytest.approx(sold.power.si, rel=0.01)
    assert 8_500 <= made.price_usd <= 10_000


@pytest.mark.parametrize(
    ("die_name", "memory_name", "most"),
    [
        ("gh100", "hbm3", 6), ("gh100", "hbm4", 5), ("gb100", "hbm3e-12hi", 8), ("gb100", "hbm4", 8),
        ("gb202", "gddr7", 16), ("gb202", "lpddr5x", 16), ("ad102", "gddr6", 12), ("gb100", "hbf", 8),
        ("gb100", "3d-dram", 2), ("gh100", "3d-dram", 0), ("gh100", "gddr7", 0), ("gb100", "sram", 0),
    ],
)  # fmt: skip
def test_most_stacks(die_name, memory_name, most):
    d, m = die(die_name), memory(memory_name)
    p = package(d.package)
    assert most_stacks(d, m, p) == most
    if most:
        assert compose(d, m, most, p).stacks == most
    with pytest.raises(ValueError, match=f"stacks = {most + 1}"):
        compose(d, m, most + 1, p)


def test_unknown_shoreline_holds_no_stack():
    assert most_stacks(die("gh100"), replace(memory("hbm3"), shoreline_m=None), package("cowos-s")) == 0


def test_wrong_package_is_refused():
    with pytest.raises(ValueError, match="cowos-l"):
        compose(die("gb100"), memory("hbm3e-8hi"), 8, package("cowos-s"))


def test_slow_pins_hold_a_fast_memory_back():
    made = twin("gb100", 8, "hbm4")
    assert made.bandwidth == pytest.approx(8 * 2048 * 7.52e9 / 8)
    assert made.bandwidth < 8 * memory("hbm4").bandwidth


def test_unknown_numbers_stay_unknown():
    stacked, flash, hbm4e = twin("gb100", 2, "3d-dram"), twin("gb100", 8, "hbf"), twin("gb100", 8, "hbm4e")
    assert stacked.bandwidth == pytest.approx(2 * 30 * 2**40)  # hybrid bonds: no pin rate applies
    assert (stacked.cost_usd, stacked.price_usd, stacked.available) == (None, None, None)
    assert flash.bandwidth == pytest.approx(8 * 1.6e12, rel=0.01)
    assert (flash.power_w, flash.price_usd) == (None, None)
    assert hbm4e.power_w is not None and hbm4e.price_usd is None
    no_bus = compose(die("gh100"), replace(memory("hbm3"), bus_width=None), 5, package("cowos-s"))
    assert (no_bus.bandwidth, no_bus.power_w) == (None, None)
    no_size = compose(die("gh100"), replace(memory("hbm3"), capacity_bytes=None), 5, package("cowos-s"))
    assert (no_size.raw_bytes, no_size.usable_bytes) == (None, None)


def test_name_and_paths():
    made = twin("gh100", 5, "hbm3")
    assert made.name == "gh100+5xhbm3"
    assert (made.die, made.status, made.family) == ("gh100", "composed", "hbm3")
    assert made.paths == ("dies.gh100", "memory.hbm3", "processes.n4", "packages.cowos-s")
    for path in made.paths:
        kind, _, name = path.partition(".")
        assert record(kind, name).name == name


FILES = [path for kind in MINE for path in sorted((INSTANCES / kind).glob("*.toml"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_every_file_is_valid_and_every_source_known(path):
    known = {key for file in INSTANCES.glob("*sources*.toml") for key in tomllib.loads(file.read_text())}
    r = record(path.parent.name, path.stem)
    assert r.name == path.stem
    for where, fact in numbers(r):
        cited = {fact.source, *(other.source for other in fact.others)}
        assert cited <= known, where
        assert (fact.source != "unverified") or fact.confidence in ("unverified", "derived"), where


@pytest.mark.parametrize("path", sorted((INSTANCES / "dies").glob("*.toml")), ids=lambda p: p.stem)
def test_every_die_names_things_that_exist(path):
    r: DieRecord = record("dies", path.stem)
    named = [("processes", r.process), ("packages", r.package), ("servers", r.server)]
    named += [("links", link) for link in (r.connections.scale_up, r.connections.scale_out) if link]
    named += [("memory", name) for name in r.usable_with]
    for kind, name in named:
        assert (INSTANCES / kind / f"{name}.toml").is_file(), f"{kind}.{name}"


def test_catalogue_chips_name_memories_that_exist():
    for path in (INSTANCES / "chips").glob("*.toml"):
        chip: ChipRecord = record("chips", path.stem)
        assert (INSTANCES / "memory" / f"{chip.memory}.toml").is_file(), path.stem
