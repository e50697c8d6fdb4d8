"""`codesign reproduce liminal`: numbers are computed, verdicts follow from limits, predictions are marked.

Expected numbers come from the study's equation written out here, from `tests/codesign/physics/test_liminal.py`, or
from a catalogue in which one number is different.
"""

import json
import re
from dataclasses import replace
from functools import cache

import jsonschema
import pytest

from codesign.facts.catalog import load
from codesign.facts.records import PaperRecord
from codesign.physics import liminal_findings
from codesign.physics.liminal_findings import Case, Finding, case, judged
from codesign.physics.reproduce_liminal import MODELS, Reproduction, bench_of, reproduce
from tests.cases.command import known

TIB, GIB = 2.0**40, 2.0**30
BANDWIDTH = {"xpu-hbm3": 4, "xpu-hbm4": 18, "xpu-3d-dram": 30, "xpu-sram": 117, "xpu-cows": 2250}  # TiB/s
MEMORY = {"xpu-hbm3": 96e9, "xpu-hbm4": 192e9, "xpu-3d-dram": 36e9, "xpu-sram": 512e6, "xpu-cows": 11e9}
WEIGHTS = {"llama-3.1-405b": 405e9, "llama-3.1-70b": 70_553_706_496}  # the study's rounding; by shape
CACHE = {"llama-3.1-405b": 2 * 8 * 128 * 126, "llama-3.1-70b": 2 * 8 * 128 * 80}
LAYERS = {"llama-3.1-405b": 126, "llama-3.1-70b": 80}
LIMITS = {  # of the study, as (least, most)
    "need": (100e9, 1000e9), "gain": (1.1, 4.5), "collapse": (None, 2), "sub-microsecond": (None, 1e-6),
    "crossing": (None, 4), "utilisation": (None, 0.01), "hbm3": (None, 1000), "easy": (2000, None),
}  # fmt: skip
VERDICTS = {
    "need": "agrees in part", "gain": "agrees in part", "collapse": "agrees in part", "sub-microsecond": "agrees",
    "crossing": "agrees in part", "utilisation": "agrees in part", "hbm3": "agrees", "easy": "agrees in part",
    "hard": "agrees in part", "per-watt": "not checked", "per-dollar": "not checked", "validation": "not checked",
}  # fmt: skip


@cache
def found(**assume: str) -> Reproduction:
    """Ours, with numbers of the HBM3 system set differently."""
    return reproduce(load(assume={f"chips.xpu-hbm3.{key}": value for key, value in assume.items()}))


def finding(name: str, report: Reproduction | None = None) -> Finding:
    return next(f for f in (report or found()).findings if f.name == name)


def values(name: str) -> dict[str, float]:
    return {one.at: one.value for one in finding(name).cases}


# known results


def test_known_results_agree_to_the_printed_digit() -> None:
    assert [k.study for k in found().known] == [86, 290, 776, pytest.approx(881)]
    assert [round(k.ours) for k in found().known] == [86, 290, 776, 881]
    assert all(k.agrees for k in found().known)


def test_known_results_are_computed() -> None:
    """With half the bandwidth the cells do not come out, and the memory still does."""
    assert [k.agrees for k in found(bandwidth="2 TiB/s").known] == [False, False, False, True]


def test_exact_shapes_stand_beside_what_is_known() -> None:
    assert [k.exact and round(k.exact) for k in found().known] == [86, 281, 700, None]


# predictions


def test_predictions_are_all_cells_but_the_known() -> None:
    cells = {(p.model, p.chip, p.tensor, p.context) for p in found().predictions}
    every = {(m, c, t, x) for m in WEIGHTS for c in BANDWIDTH for t in (8, 32, 128) for x in (4096, 131072)}
    assert every - cells == {("llama-3.1-405b", "xpu-hbm3", t, 4096) for t in (8, 32, 128)}
    assert len(cells) == len(found().predictions) == 57
    assert {p.mark for p in found().predictions} == {"prediction"}
    assert {p.batch for p in found().predictions} == {1}


@pytest.mark.parametrize("p", found().predictions, ids=lambda p: f"{p.model}-{p.chip}-tp{p.tensor}-{p.context}")
def test_prediction_is_the_studys_equation_where_the_model_fits(p) -> None:
    need = WEIGHTS[p.model] + p.context * CACHE[p.model]
    assert p.needed_bytes == pytest.approx(need)
    assert p.available_bytes == pytest.approx(p.tensor * MEMORY[p.chip])
    exposed_s = LAYERS[p.model] * 3 * (0.2e-6 if p.tensor == 8 else 1.5e-6)
    speed = 1 / (need / (p.tensor * BANDWIDTH[p.chip] * TIB) + exposed_s)
    if need <= p.tensor * MEMORY[p.chip]:
        assert p.user_speed == pytest.approx(speed)
        split = p.model != "llama-3.1-70b" or p.tensor <= 64
        assert p.note == ("" if split else "exact shapes: 64 heads do not split 128 ways")
        assert (p.exact_speed is not None) is split
        assert p.exact_speed is None or 0.5 * speed < p.exact_speed < 1.02 * speed
    else:
        assert (p.user_speed, p.exact_speed) == (None, None)
        assert f"needs {need / 1e9:.1f} GB, has {p.tensor * MEMORY[p.chip] / 1e9:.1f} GB" in p.note
        binary = need <= p.tensor * MEMORY[p.chip] * GIB / 1e9
        assert binary is (f"if the study's GB are 2^30 it fits: {speed:,.0f} tokens/s" in p.note)


def test_the_column_of_128k() -> None:
    column = [p for p in found().predictions if (p.model, p.chip) == ("llama-3.1-405b", "xpu-hbm3")]
    assert {p.tensor: round(p.user_speed or 0) for p in column} == {8: 80, 32: 271, 128: 743}


# findings


def test_verdicts() -> None:
    assert {f.name: f.verdict for f in found().findings} == VERDICTS


@pytest.mark.parametrize("f", found().findings, ids=lambda f: f.name)
def test_verdict_follows_from_the_limits(f) -> None:
    inside = {}
    for one in f.cases:
        assert f.name not in LIMITS or (one.least, one.most) in (LIMITS[f.name], (None, None))
        if (one.least, one.most) == (None, None):
            assert one.holds is None
        else:
            low, high = -1.0 if one.least is None else one.least, float("inf") if one.most is None else one.most
            inside[one.at] = low <= one.value <= high
            assert one.holds is inside[one.at]
    if not inside:
        assert (f.verdict, bool(f.where)) == ("not checked", True)
        return
    none, every = not any(inside.values()), all(inside.values())
    assert f.verdict == ("agrees" if every else "does not come out" if none else "agrees in part")
    failed = [at for at, holds in inside.items() if not holds]
    assert f.where == (f"not {'; '.join(failed)}" if failed else "")


@pytest.mark.parametrize(("kept", "verdict"), [(2, "agrees"), (1, "agrees in part"), (0, "does not come out")])
def test_each_verdict_can_come_out(kept: int, verdict: str) -> None:
    cases = [case(f"case {i}", 1.0 if i < kept else 3.0, most=2.0) for i in range(2)]
    assert judged("n", "claim", "check", "x", iter([*cases, case("shown", 9.0)])).verdict == verdict


def test_a_finding_without_limits_is_no_finding() -> None:
    with pytest.raises(ValueError, match="n: no case has a limit"):
        judged("n", "claim", "check", "x", iter([case("shown", 1.0)]))


@pytest.mark.parametrize(("value", "holds"), [(0.9, False), (1.0, True), (2.0, True), (2.1, False)])
def test_limits_belong_to_their_range(value: float, holds: bool) -> None:
    assert case("at", value, least=1.0, most=2.0).holds is holds


def test_numbers_of_the_findings() -> None:
    """As `tests/codesign/physics/test_liminal.py` derives them."""
    gains = values("gain")
    large = [x for at, x in gains.items() if "405b" in at and "TP8 " not in at and "batch" not in at]
    assert (min(large), max(large)) == (pytest.approx(2.12, abs=0.005), pytest.approx(4.25, abs=0.005))
    assert gains["llama-3.1-405b TP8 4K"] == pytest.approx(7.65, abs=0.005)
    assert [round(x, 1) for at, x in values("collapse").items() if "TP128" in at] == [4.8, 2.3, 1.6]
    assert values("crossing") == pytest.approx({"TP128": 1.272, "TP32": 5.089, "TP8": 152.66}, rel=1e-3)
    assert [round(x) for x in values("hbm3").values()] == [743, 424, 618]
    assert values("utilisation").popitem()[1] < 0.02


def test_latency_that_halves_the_gain() -> None:
    """At that latency the study's equation gives 4 times the speed for 8 times the bandwidth."""
    bench = bench_of(load(), load().get(PaperRecord, "liminal"))
    for one in finding("sub-microsecond").cases:
        tensor = int(one.at.removeprefix("TP"))
        own = replace(bench, study=replace(bench.study, latency=((tensor, one.value),)))
        slow, fast = (
            liminal_findings.user_speed(own.study, chip, tensor=tensor, batch=1, context=4096)
            for chip in liminal_findings._pair(own)
        )
        assert fast / slow == pytest.approx(4)


def test_405b_reaches_2000_only_on_wafers() -> None:
    holds = {one.at: one.holds for one in finding("easy").cases}
    assert [at for at in holds if holds[at] and "405b" in at] == ["llama-3.1-405b on xpu-cows TP8 PP6"]
    assert all("on xpu-hbm3" in at or "405b" in at for at in holds if not holds[at])


def test_findings_are_computed() -> None:
    """HBM3 of twice the bandwidth reaches 1,000; of twice the size it changes no speed at batch 1."""
    fast = finding("hbm3", found(bandwidth="8 TiB/s"))
    assert (fast.verdict, round(fast.cases[0].value)) == ("agrees in part", 1045)
    assert finding("hbm3", found(usable_memory="192 GB")) == finding("hbm3")
    assert finding("crossing", found(bandwidth="8 TiB/s")).cases[0].value == pytest.approx(1.272 / 2, rel=1e-3)


# the open question


def test_readings_of_deepseek_v3() -> None:
    """Written out: 61 layers, 3 collectives of 1.5 us, 576 cache elements a layer and token."""
    readings = found().readings
    for reading, weights in zip(readings, (37e9, 671e9), strict=False):
        for speed, context in ((reading.short_speed, 4096), (reading.long_speed, 131072)):
            read_s = (weights + context * 61 * 576) / (128 * 4 * TIB)
            assert speed == pytest.approx(1 / (read_s + 61 * 3 * 1.5e-6))
    assert [round(r.short_speed, -1) for r in readings[:2]] == [2940, 680]
    assert [r.below_1000 for r in readings] == [r.long_speed < 1000 for r in readings] == [False] + 4 * [True]


def test_default_reading_is_our_own_step() -> None:
    (default,) = (r for r in found().readings if r.default)
    assert default.long_speed == values("hbm3")["deepseek-v3 TP128, exact shapes"]
    everything = found().readings[-1]
    assert default.read_bytes < 671e9 < everything.read_bytes
    assert default.long_speed > everything.long_speed


# the command


def test_json_is_the_document() -> None:
    done = known("reproduce", "liminal", "--json")
    assert (done.code, done.err) == (0, "")
    assert Reproduction.model_validate(done.json) == found()
    assert done.json["schema"] == 1
    jsonschema.validate(done.json, Reproduction.model_json_schema(by_alias=True))
    json.dumps(done.json, allow_nan=False)


def test_text_says_what_the_document_says() -> None:
    done = known("reproduce", "liminal")
    assert (done.code, done.err) == (0, "")
    text = re.sub(r"\s+", " ", done.out)
    for k in found().known:
        assert f"{k.what} {k.study:,.0f} {k.unit} {k.ours:,.1f} {k.unit}" in text
    for p in found().predictions:
        assert p.user_speed is None or f"{p.user_speed:,.0f}" in text
        assert p.user_speed is not None or f"{p.needed_bytes / 1e9:,.1f} GB" in text
    for r in found().readings:
        assert f"{r.short_speed:,.0f} {r.long_speed:,.0f} {'yes' if r.below_1000 else 'no'}" in text
    for verdict in set(VERDICTS.values()):
        assert text.count(verdict) >= list(VERDICTS.values()).count(verdict)
    assert "prediction" in text
    assert "default of codesign" in text


def test_every_model_and_case_is_named_once() -> None:
    for f in found().findings:
        at = [one.at for one in f.cases]
        assert len(set(at)) == len(at)
    assert all(any(m in one.at for one in finding("gain").cases) for m in MODELS)
    assert all(isinstance(one, Case) for f in found().findings for one in f.cases)
