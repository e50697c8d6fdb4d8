"""Composed chips of the loaded catalogue: against their products, their edges, and an own recount.

`test_composed.py` composes single chips from raw files; here the whole supply is checked.
"""

import math
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from codesign.facts.catalog import Catalog, load
from codesign.facts.records import ChipRecord, DieRecord, LinkRecord, MemoryRecord, PackageRecord, ProcessRecord
from codesign.physics import chips as readers
from codesign.physics.hardware import Chip, Link, Package, most_stacks

TWINS = {
    "h100-sxm": "gh100+5xhbm3",
    "h200-sxm": "gh100+6xhbm3e-8hi",
    "b200-sxm": "gb100+8xhbm3e-8hi",
}


@cache
def catalogue() -> Catalog:
    return load()


@cache
def composed() -> dict[str, Chip]:
    return {one.name: one for one in readers.composed(catalogue())}


def sold(name: str) -> Chip:
    return readers.chip(catalogue(), catalogue().get(ChipRecord, name))


DIES = catalogue().all(DieRecord)
DIE_NAMES = [die.name for die in DIES]


@pytest.mark.parametrize("name", TWINS)
def test_composed_twin_meets_its_product(name):
    made, product = composed()[TWINS[name]], sold(name)
    assert made.bandwidth == pytest.approx(product.bandwidth, rel=0.01)
    assert made.usable_bytes == pytest.approx(product.usable_bytes, rel=0.01)
    assert made.power_w == pytest.approx(product.power_w, rel=0.10)
    low, high = catalogue().get(ChipRecord, name).price.bounds()
    assert low < high
    assert low <= made.price_usd <= high


@pytest.mark.parametrize("name", TWINS)
def test_composed_twin_is_joined_and_bought_like_its_product(name):
    made, product = composed()[TWINS[name]], sold(name)
    for key in ("vendor", "peak", "vector", "scale_up", "scale_up_bandwidth", "domain", "scale_out",
                "scale_out_bandwidth", "server", "stacks", "memory"):  # fmt: skip
        assert getattr(made, key) == getattr(product, key), key
    assert (made.hyperscaler_usd_h, made.rent_usd_h) == (None, None)  # nobody lists what nobody makes


def test_names_are_unique_and_say_what_is_inside():
    names = Counter(one.name for one in readers.composed(catalogue()))
    assert set(names.values()) == {1}
    for name, one in composed().items():
        assert name == f"{one.die}+{one.stacks}x{one.memory}"
        assert one.status == "composed"
        for path in one.paths:
            assert path in catalogue().hashes, path


def stacks_of(die: DieRecord, memory: MemoryRecord) -> list[int]:
    return sorted(c.stacks for c in composed().values() if (c.die, c.memory) == (die.name, memory.name))


@pytest.mark.parametrize("die", DIES, ids=DIE_NAMES)
def test_every_number_of_stacks_up_to_what_edge_and_package_hold(die):
    """The last stack fits; one more does not, or the package ends. Edges to 1 nm: 66 mm take 6 of 11 mm."""
    package = int(catalogue().get(PackageRecord, die.package).most_stacks.si)
    for memory in catalogue().all(MemoryRecord):
        found = stacks_of(die, memory)
        assert found == list(range(1, len(found) + 1))
        if memory.kind not in die.interfaces or (memory.kind != "stacked" and memory.shoreline is None):
            assert found == []
        elif memory.kind == "stacked":
            assert len(found) == die.dies.si
        else:
            most, each = len(found), memory.shoreline.si
            assert most <= package
            assert most * each <= die.shoreline.si + 1e-9
            assert most == package or (most + 1) * each > die.shoreline.si + 1e-9


@pytest.mark.parametrize(("missing_m", "most"), [(0.0, 7), (1e-6, 6)])
def test_an_edge_of_seven_stacks_holds_seven_and_a_micrometre_less_six(missing_m, most):
    die = readers.die(catalogue(), catalogue().get(DieRecord, "gh100"))
    memory = readers.memory(catalogue().get(MemoryRecord, "hbm3"))
    edge = replace(die, shoreline_m=7 * memory.shoreline_m - missing_m)
    assert most_stacks(edge, memory, Package(die.package, 100.0, most_stacks=99)) == most
    assert most_stacks(edge, memory, Package(die.package, 100.0, most_stacks=5)) == 5


@pytest.mark.parametrize("die", DIES, ids=DIE_NAMES)
def test_memory_and_power_recount(die):
    for one in (c for c in composed().values() if c.die == die.name):
        memory = catalogue().get(MemoryRecord, one.memory)
        per_stack = None if memory.bandwidth is None else memory.bandwidth.si
        if per_stack is not None and memory.kind != "stacked":
            per_stack = None if memory.bus_width is None else min(per_stack, memory.bus_width.si * die.pin_rate.si)
        assert one.bandwidth == (None if per_stack is None else pytest.approx(one.stacks * per_stack))
        raw = None if memory.capacity is None else one.stacks * memory.capacity.si
        assert one.raw_bytes == (None if raw is None else pytest.approx(raw))
        share = die.usable_with.get(memory.name, die.usable).si
        assert one.usable_bytes == (None if raw is None else pytest.approx(raw * share, abs=1))
        assert one.usable_bytes is None or one.usable_bytes <= one.raw_bytes
        known = per_stack is not None and memory.energy is not None
        watts = die.logic_power.si + one.stacks * per_stack * memory.energy.si if known else None
        assert one.power_w == (pytest.approx(watts) if known else None)
        year = memory.available
        assert one.available == (None if year is None else max(int(die.available.si), int(year.si)))


@pytest.mark.parametrize("die", DIES, ids=DIE_NAMES)
def test_cost_and_price_recount(die):
    """Own arithmetic: wafer price over dies that sell, stacks, package, assembly yield, test; then margin."""
    process = catalogue().get(ProcessRecord, die.process)
    area, across = die.die_area.si, process.wafer_diameter.si
    gross = math.pi * across**2 / 4 / area - math.pi * across / math.sqrt(2 * area)
    good = (1 + area * process.defect_density.si / process.clustering.si) ** -process.clustering.si
    each = process.wafer_price.si / gross / (good + die.harvest.si * (1 - good))
    around = die.dies.si * each + catalogue().get(PackageRecord, die.package).price.si
    for one in (c for c in composed().values() if c.die == die.name):
        memory = catalogue().get(MemoryRecord, one.memory)
        if memory.price is None or memory.capacity is None:
            assert (one.cost_usd, one.price_usd) == (None, None)
            continue
        stacks = one.stacks * memory.capacity.si * memory.price.si
        cost = (around + stacks) / die.assembly_yield.si + die.test.si
        assert one.cost_usd == pytest.approx(cost)
        assert one.price_usd == pytest.approx(cost / (1 - die.margin.si) + die.nre.si / die.volume.si)


@pytest.mark.parametrize("die", DIES, ids=DIE_NAMES)
def test_each_stack_adds_the_same(die):
    """Bandwidth, memory and cost of n stacks lie on a line; more stacks are never worse or cheaper."""
    for memory in catalogue().all(MemoryRecord):
        chips = [composed()[f"{die.name}+{n}x{memory.name}"] for n in stacks_of(die, memory)]
        for fewer, more in pairwise(chips):
            for key in ("bandwidth", "usable_bytes", "power_w", "cost_usd", "price_usd"):
                small, large = getattr(fewer, key), getattr(more, key)
                assert (small is None) == (large is None)
                assert small is None or small < large


@pytest.mark.parametrize(("group", "seconds"), [(1, 1e-6), (8, 1e-6), (9, 2e-6), (64, 2e-6), (65, None)])
def test_latency_is_of_the_smallest_group_that_holds_the_chips(group, seconds):
    assert Link("any", ((8, 1e-6), (64, 2e-6)), 5e-7).latency_s(group) == seconds


@pytest.mark.parametrize("record", catalogue().all(LinkRecord), ids=lambda record: record.name)
def test_latencies_of_a_fabric_rise_with_its_groups(record):
    limit = readers.link(record).limit
    assert list(limit) == sorted(limit)
    assert [seconds for _, seconds in limit] == sorted(seconds for _, seconds in limit)
    assert len({group for group, _ in limit}) == len(limit)


@pytest.mark.parametrize("record", catalogue().all(LinkRecord), ids=lambda record: record.name)
def test_a_link_carries_its_own_collectives_and_those_of_its_stand_ins(record):
    """Its own stand first; each knows the bandwidth at which it was measured and where it is from."""
    alone = readers.link(record)
    whole = readers.link(record, readers.stand_ins(catalogue(), record))
    assert {(one.op, one.group) for one in alone.collectives} == {(one.op, one.group) for one in record.collectives}
    assert set(alone.collectives) <= set(whole.collectives)
    for one in whole.collectives:
        assert one.bandwidth > 0
        assert (one in alone.collectives) == (not one.basis.startswith("derived"))


def test_a_chip_carries_the_stand_ins_of_its_links():
    assert sold("mi300x").scale_up.collectives
    assert {one.group for one in sold("gb200-nvl72").scale_up.collectives if one.op == "all_reduce"} == {2, 4, 8}
    assert sold("h100-sxm").scale_up.collectives == composed()["gh100+5xhbm3"].scale_up.collectives
