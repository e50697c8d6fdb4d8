"""The limit study arXiv 2507.14397: its known cells to the printed digit, its findings as shape.

Vector peaks and link bandwidths of the study's systems are unknown; where our own step needs them
they are assumed so high that their terms vanish.
"""

from dataclasses import replace
from functools import cache

import pytest

from codesign.facts.catalog import Catalog, load
from codesign.facts.records import ChipRecord, LinkRecord, ModelRecord, PaperRecord, numbers
from codesign.physics import chips, liminal, workload
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout
from codesign.physics.performance import COLLECTIVES, StepTime, decode_step, room
from codesign.physics.workload import Model

GIB = 2.0**30
SYSTEMS = ("hbm3", "hbm4", "3d-dram", "sram", "cows")
MODELS = ("llama-3.1-405b", "llama-3.1-70b", "deepseek-v3")
SHORT, LONG = 4096, 131072
VANISH = {"peak.vector": "1e6 PFLOP/s", "connections.scale_up_bandwidth": "1e9 TB/s"}


@cache
def catalogue() -> Catalog:
    return load(assume={f"chips.xpu-{name}.{key}": value for name in SYSTEMS for key, value in VANISH.items()})


@cache
def chip(name: str) -> Chip:
    return chips.chip(catalogue(), catalogue().get(ChipRecord, name))


@cache
def model(name: str) -> Model:
    return workload.model(catalogue().get(ModelRecord, name))


PAPER = catalogue().get(PaperRecord, "liminal")
STUDY = liminal.study(PAPER)


def step(name: str, one: Chip, tensor: int, context: int = SHORT, batch: int = 1) -> StepTime:
    return decode_step(model(name), one, Layout(tensor, 1, 1, 1, "fp8", "fp8"), batch, context)


def faster(one: Chip, factor: float) -> Chip:
    return replace(one, bandwidth=factor * one.bandwidth)


def gain(name: str, tensor: int, context: int, batch: int = 1) -> float:
    """User speed at 8 times the bandwidth of xPU-HBM3 over the speed at its own."""
    slow = step(name, chip("xpu-hbm3"), tensor, context, batch)
    return slow.step_s / step(name, faster(chip("xpu-hbm3"), 8), tensor, context, batch).step_s


@pytest.mark.parametrize("cell", PAPER.cells, ids=lambda cell: f"{cell.chip}-tp{cell.tensor}")
def test_cells_to_the_printed_digit(cell):
    speed = liminal.user_speed(STUDY, chip(cell.chip), tensor=cell.tensor, batch=cell.batch, context=cell.context)
    assert round(speed) == cell.user_speed.si


@pytest.mark.parametrize("need", PAPER.needs, ids=lambda need: f"{need.users}-users")
def test_capacity_to_the_printed_digit(need):
    ours = liminal.needed_bytes(STUDY, users=need.users, context=need.context)
    assert round(ours / GIB) == round(need.memory.si / GIB) == 881


def test_record_holds_only_what_is_known():
    assert [(c.tensor, c.user_speed.si) for c in PAPER.cells] == [(8, 86), (32, 290), (128, 776)]
    assert {c.context for c in PAPER.cells} == {SHORT}  # the 128K column is a prediction, not data
    assert len(numbers(PAPER)) == 4 + 3 + 3 + 1
    assert catalogue().fact("papers.liminal.weights").si == 405e9


def test_constants_are_those_of_the_catalogue():
    ours = model(PAPER.model)
    assert STUDY.weight_bytes == pytest.approx(ours.total_params, rel=0.005)
    assert (STUDY.kv_bytes, STUDY.layers) == (ours.kv_elements, len(ours.layers))
    assert STUDY.collectives == COLLECTIVES
    fabric = chips.link(catalogue().get(LinkRecord, "xpu-fabric"))
    assert [fabric.latency_s(group) for group, _ in STUDY.latency] == [seconds for _, seconds in STUDY.latency]


def test_compute_counts_two_flop_a_weight_and_user():
    t = liminal.step_time(STUDY, chip("xpu-hbm3"), tensor=8, batch=10_000, context=1)
    assert t.compute_s == pytest.approx(10_000 * 2 * 405e9 / (8 * 2.25e15))
    assert t.step_s == pytest.approx(t.compute_s + 126 * 3 * 200e-9)


def test_what_the_study_does_not_give_is_an_error():
    with pytest.raises(ValueError, match="tensor = 256: liminal gives no latency beyond 128 chips"):
        liminal.step_time(STUDY, chip("xpu-hbm3"), tensor=256, batch=1, context=SHORT)
    with pytest.raises(ValueError, match=r"xpu-hbm3 has no peak\.fp8"):
        liminal.step_time(STUDY, replace(chip("xpu-hbm3"), peak={}), tensor=8, batch=1, context=SHORT)
    assert STUDY.latency_s(1) == 0.0


@pytest.mark.parametrize("cell", PAPER.cells, ids=lambda cell: f"tp{cell.tensor}")
def test_exact_weights_meet_the_study_where_it_splits_the_cache_as_it_says(cell):
    """The study splits K and V over all chips: with as many KV heads as chips we meet it within 1 %."""
    split = replace(model(PAPER.model), kv_heads=max(8, cell.tensor))
    ours = decode_step(split, chip(cell.chip), Layout(cell.tensor, 1, 1, 1, "fp8", "fp8"), cell.batch, cell.context)
    assert 1 / ours.step_s == pytest.approx(cell.user_speed.si, rel=0.01)


@pytest.mark.parametrize(("tensor", "lost"), [(8, 0.0), (32, 0.03), (128, 0.10)])
def test_replicated_kv_heads_cost_what_the_study_leaves_out(tensor, lost):
    """8 KV heads do not split 32 or 128 ways: K and V projections and caches are held 4 and 16 times."""
    paper = liminal.user_speed(STUDY, chip("xpu-hbm3"), tensor=tensor, batch=1, context=SHORT)
    assert 1 / step("llama-3.1-405b", chip("xpu-hbm3"), tensor).step_s == pytest.approx((1 - lost) * paper, rel=0.01)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tensor", [32, 64, 128])
@pytest.mark.parametrize("context", [SHORT, LONG])
def test_eight_times_the_bandwidth_buys_1_to_4_times_the_speed(name, tensor, context):
    if model(name).heads % tensor == 0:
        assert 1.1 <= gain(name, tensor, context) <= 4.5


@pytest.mark.parametrize(
    ("tensor", "context", "batch", "ours"), [(8, SHORT, 1, 7.6), (8, LONG, 1, 7.7), (128, LONG, 32, 7.1)]
)
def test_eight_times_the_bandwidth_buys_more_where_little_is_exposed(tensor, context, batch, ours):
    """Outside 1.1 .. 4.5: small groups with 200 ns, and batches whose caches dwarf the collectives."""
    assert gain("llama-3.1-405b", tensor, context, batch) == pytest.approx(ours, abs=0.1)


def test_gain_of_bandwidth_falls_with_latency():
    """405B, TP128: 8 times the bandwidth buys 4.8 times at 0.2 us, 2.3 at 1 us, 1.6 at 2.5 us."""
    def bought(latency_s: float) -> float:
        own = replace(STUDY, latency=((128, latency_s),))
        slow, fast = (liminal.step_time(own, one, tensor=128, batch=1, context=SHORT).step_s
                      for one in (chip("xpu-hbm3"), faster(chip("xpu-hbm3"), 8)))  # fmt: skip
        return slow / fast

    assert [round(bought(x), 1) for x in (0.2e-6, 1e-6, 2.5e-6)] == [4.8, 2.3, 1.6]


@pytest.mark.parametrize(("tensor", "crossing"), [(8, 152.7), (32, 5.1), (128, 1.3)])
def test_exposed_time_passes_memory_time(tensor, crossing):
    """405B, 4K: beyond `crossing` times HBM3. The study's "about 4" is TP128 always, TP32 nearly, TP8 never."""
    for factor, first in ((crossing * 1.05, True), (crossing * 0.95, False)):
        one = faster(chip("xpu-hbm3"), factor)
        t = liminal.step_time(STUDY, one, tensor=tensor, batch=1, context=SHORT)
        assert (t.exposed_s > t.memory_s) is first


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tensor", [8, 32, 64, 128])
def test_compute_idles_at_batch_1(name, tensor):
    """At most 1 % with HBM3; up to 2.7 % (DeepSeek-V3, HBM4, TP8), 2 % for the dense models."""
    if model(name).heads % tensor == 0:
        t = step(name, chip("xpu-hbm3"), tensor)
        assert t.compute_s / t.step_s <= 0.01
        t = step(name, chip("xpu-hbm4"), tensor)
        assert t.compute_s / t.step_s <= (0.03 if name == "deepseek-v3" else 0.02)


def test_no_hbm3_system_reaches_1000_on_405b_at_128k():
    best = 0.0
    for tensor in (t for t in range(1, 129) if 128 % t == 0):
        paper = liminal.user_speed(STUDY, chip("xpu-hbm3"), tensor=tensor, batch=1, context=LONG)
        best = max(best, paper, 1 / step("llama-3.1-405b", chip("xpu-hbm3"), tensor, LONG).step_s)
    assert 500 < best < 1000


def test_deepseek_v3_on_hbm3_stays_below_1000_at_128k_and_not_at_4k():
    """With active experts only, 128K is slow because each chip reads the whole latent cache (4.6 GB)."""
    hbm3 = chip("xpu-hbm3")
    speeds = {c: max(1 / step("deepseek-v3", hbm3, t, c).step_s for t in (8, 32, 64, 128)) for c in (SHORT, LONG)}
    assert speeds[LONG] < 1000 < speeds[SHORT]


def fits(name: str, one: Chip, layout: Layout) -> bool:
    return room(model(name), one, layout, SHORT) >= 1


@pytest.mark.parametrize("system", ["xpu-hbm4", "xpu-3d-dram", "xpu-cows"])
def test_70b_reaches_2000_tokens_a_second(system):
    fit = [t for t in (8, 32, 64) if fits("llama-3.1-70b", chip(system), Layout(t, 1, 1, 1, "fp8", "fp8"))]
    assert max(1 / step("llama-3.1-70b", chip(system), t).step_s for t in fit) > 2000


@pytest.mark.parametrize("system", ["xpu-hbm3", "xpu-hbm4", "xpu-3d-dram", "xpu-cows"])
@pytest.mark.parametrize("tensor", [8, 16, 32, 64, 128])
@pytest.mark.parametrize("pipeline", [1, 2, 6])
def test_405b_reaches_2000_only_on_wafers_in_groups_of_8(system, tensor, pipeline):
    """Beyond 8 chips 126 layers expose 567 us: 1763 tokens/s at most on any memory (SRAM: beyond one domain)."""
    layout = Layout(tensor, 1, pipeline, 1, "fp8", "fp8")
    if tensor * pipeline <= chip(system).domain and fits("llama-3.1-405b", chip(system), layout):
        speed = 1 / decode_step(model("llama-3.1-405b"), chip(system), layout, 1, SHORT).step_s
        wafers = system == "xpu-cows" and tensor == 8
        assert speed > 9000 if wafers else speed < 1763
