"""Switch points: exact neighbours, both systems shown by a fresh solve, nothing missed by a scan; wrong inputs told."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from codesign.changes.switch import switch, switch_all
from codesign.changes.switch_answer import LinePart, SwitchAnswer
from codesign.facts.errors import DataError
from codesign.study.parameters import changed
from codesign.study.query_study import Warm
from codesign.system.best_system import best_system_under
from tests.cases.command import load, run
from tests.cases.query_strategies import query
from tests.cases.switch_cases import Case, case

RATIO = {"model": "llama-3.1-405b", "context": 8192, "hardware": "composed",
         "allow": {"chips": ["gb100"], "memories": ["hbm4"]},
         "limits": {"budget": 3e6, "power": 1.5e5, "user_speed": 30}}  # fmt: skip


def line_of(warm: Warm, path: str, over: str | None = None) -> LinePart:
    return switch(warm, [path], [] if over is None else [over]).lines[0]


def cold(warm: Warm, path: str, value: float) -> tuple[str, int] | None:
    """Chip with layout, and replicas, of the ordinary query with the changed number."""
    catalog, asked = changed(warm.catalog, warm.asked, {path: value})
    system = best_system_under(catalog, asked, enumerate_all=False).system
    return None if system is None else (f"{system.chip} TP{system.tensor} PP{system.pipeline}", system.replicas)


def test_a_system_that_rules_twice_is_found_on_both_bands():
    line = line_of(Warm(None, query(**RATIO), catalog=load()), "limits.user_speed", "1x..3x")
    names = [(band.system.shown) for band in line.bands if band.system]
    assert len(names) == len(line.bands) > 3
    assert len(set(names)) < len(names)
    assert all(a != b for a, b in pairwise(names))


MOVED = ("memory.hbm4.price", "limits.budget", "memory.hbm4.bandwidth")


@pytest.mark.parametrize("path", [
    "prices.default.facility", *(pytest.param(path, marks=pytest.mark.slow) for path in MOVED),
])  # fmt: skip
def test_an_ordinary_query_just_below_and_above_has_the_two_systems(path: str):
    warm = Warm(None, query(**RATIO), catalog=load())
    line = line_of(warm, path, "0.5x..2x")
    assert line.switches
    for i, found in enumerate(line.switches):
        assert found.above == math.nextafter(found.below, math.inf)
        assert found.proven
        for value, band in ((found.below * (1 - 1e-8), line.bands[i]), (found.above * (1 + 1e-8), line.bands[i + 1])):
            assert band.system is not None
            expected = f"{band.system.chip} TP{band.system.tensor} PP{band.system.pipeline}", band.system.replicas
            assert cold(warm, path, value) == expected
    assert line.bands[0].low == line.low
    assert line.bands[-1].high == line.high


def test_whole_numbers_switch_at_whole_numbers():
    warm = Warm(None, query(**RATIO), catalog=load())
    line = line_of(warm, "spare_servers", "0..9")
    assert [band.low for band in line.bands][:5] == [0, 1, 2, 3, 4]
    assert [found.above - found.below for found in line.switches] == [1.0] * len(line.switches)
    assert line.bands[-1].system is None  # nine spares and one server in use are beyond the budget
    assert line.switches[-1].changes == ("feasible",)


def test_a_change_of_batch_alone_is_no_switch():
    warm = Warm(None, query(**RATIO), catalog=load())
    low, high = (warm.at({"limits.user_speed": value}) for value in (38.0, 44.0))
    assert low.system == high.system
    assert low.batch != high.batch
    assert line_of(warm, "limits.user_speed", "38 tokens/s..44 tokens/s").switches == ()


@pytest.mark.slow
def test_several_move_alone_or_by_one_factor():
    fields = RATIO | {"hardware": "any", "allow": {"chips": ["gb100", "mi350x"]}}
    warm = Warm(None, query(**fields), catalog=load())
    paths = ["memory.hbm4.price", "memory.hbm3e-12hi.price"]
    alone = switch(warm, paths, ["1x..3x"]).lines
    assert [line.path for line in alone] == paths
    (both,) = switch(warm, paths, ["1x..3x"], together=True).lines
    assert both.also == ("memory.hbm3e-12hi.price",)
    for band in both.bands:
        middle = (band.low + band.high) / 2
        factor = middle / both.today
        changes = {path: line.today * factor for path, line in zip(paths, alone, strict=True)}
        found = warm.at(changes, proven=True).system
        assert (found and found.name) == (band.system and band.system.shown)


def scanned(one: Case, values: int) -> int:
    """Values of a dense scan whose best system is not that of their band."""
    line = line_of_case(one)
    step = (one.high - one.low) / (values - 1)
    every = [one.low + i * step for i in range(values)]
    if one.moved.whole:
        every = sorted({float(round(value)) for value in every})
    wrong = 0
    for value in every:
        (band, *_) = [band for band in line.bands if band.low <= value <= band.high]
        found = one.warm.at({one.moved.path: min(value, one.high)}).system
        wrong += (found and found.name) != (band.system and band.system.shown)
    return wrong


def line_of_case(one: Case) -> LinePart:
    unit = "" if one.moved.unit == "1" else f" {one.moved.unit}"
    answer = switch(one.warm, [one.moved.path], [f"{one.low!r}{unit}..{one.high!r}{unit}"])
    assert answer.status == "proven"
    (line,) = answer.lines
    assert (line.low, line.high) == (one.low, one.high)
    return line


@pytest.mark.parametrize("seed", [9, 21, 29])
def test_a_scan_finds_no_other_switch(seed: int):
    assert scanned(case(seed), 60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 3, 6, 8, 9, 10, 11, 12, 13, 15, 17, 18, 20, 21, 22, 24, 25, 26, 28, 29])
def test_a_scan_of_a_thousand_values_finds_no_other_switch(seed: int):
    assert scanned(case(seed), 1000) == 0


@pytest.mark.slow
def test_mode_achieved_and_experts_have_switch_points_too():
    fields = {"model": "llama-3.1-70b", "context": 4096, "hardware": "catalogue", "mode": "achieved",
              "allow": {"chips": ["h100-sxm", "h200-sxm"]}, "limits": {"budget": 2e6}}  # fmt: skip
    warm = Warm(None, query(**fields), catalog=load())
    line = line_of(warm, "chips.h200-sxm.price", "0.5x..3x")
    assert {band.system.chip for band in line.bands if band.system} == {"h100-sxm", "h200-sxm"}
    for i, found in enumerate(line.switches):
        for value, band in ((found.below * (1 - 1e-8), line.bands[i]), (found.above * (1 + 1e-8), line.bands[i + 1])):
            system = best_system_under(*changed(warm.catalog, warm.asked, {line.path: value})).system
            assert system is not None
            assert band.system is not None
            assert (system.chip, system.replicas) == (band.system.chip, band.system.replicas)
    drafted = Warm(None, query(**fields, serving={"draft": 3, "acceptance": 2.0}), catalog=load())
    with pytest.raises(DataError, match="only whole numbers"):
        switch(drafted, ["serving.acceptance"])


@pytest.mark.slow
def test_all_parameters_are_ranked_by_their_nearest_switch():
    warm = Warm(None, query(**RATIO), catalog=load())
    answer = switch_all(warm)
    distances = [row.distance for row in answer.ranking if row.distance is not None]
    assert distances == sorted(distances)
    assert len(distances) > 10
    rows = {row.path: row for row in answer.ranking}
    assert len(rows) == len(answer.ranking)
    row = rows["memory.hbm4.price"]
    line = line_of(warm, row.path)
    others = [found.below if found.below < line.today else found.above for found in line.switches]
    expected = min(abs(value / line.today - 1) for value in others)
    assert row.distance == pytest.approx(expected, rel=1e-9)
    assert row.inside == (row.published_low <= row.nearest <= row.published_high)
    assert rows["spare_servers"].note == "cannot be moved by a factor"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --parameter PATH"),
        (["--all", "--parameter", "context"], "give --parameter PATH"),
        (["--all", "--range", "1x..2x"], "--all moves each parameter alone"),
        (["--parameter", "memory.hbm4.prize"], "did you mean price?"),
        (["--parameter", "memory.hbm4.price", "--range", "3x..1x"], "is reversed"),
        (["--parameter", "memory.hbm4.price", "--range", "1x..1x"], "is empty"),
        (["--parameter", "memory.hbm4.price", "--range", "10..20"], "has no unit"),
        (["--parameter", "memory.hbm4.price", "--range", "2x"], "expected LOW..HIGH"),
        (["--parameter", "prices.default.pue", "--range", "0.5x..2x"], "must stay within 1 .. inf"),
        (["--parameter", "spare_servers"], "has no usual range"),
        (["--parameter", "spare_servers", "--range", "0.2..0.8"], "is empty: it needs two different values in whole"),
        (["--parameter", "dies.gb100.die_area", "--range", "1x..1000x"], "less than one die fits"),
        (["--parameter", "context", "--parameter", "memory.hbm4.price", "--together"], "numbers of the catalogue"),
        (["--phases", "disaggregated", "--hardware", "catalogue", "--parameter", "context"], "for one pool, not"),
    ],
)
def test_wrong_inputs_are_told_in_one_message(arguments: list[str], says: str):
    done = run("switch", *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_all_faults_of_paths_and_ranges_are_told_together():
    done = run("switch", "--parameter", "memory.hbm9.price", "--parameter", "context", "--range", "9..x")
    assert done.code == 2
    assert "hbm4" in done.err
    assert "--range '9..x' of context" in done.err


@pytest.mark.slow
def test_the_command_prints_a_document_and_writes_a_folder_whole(tmp_path: Path):
    few = ["--chip", "gb100", "--memory", "hbm4", "--parameter", "memory.hbm4.price", "--range", "0.5x..2x"]
    done = run("switch", *few, "--json", "--export", tmp_path / "out")
    assert done.code == 0
    answer = SwitchAnswer.model_validate(done.json)
    assert json.loads(answer.document()) == done.json
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"answer.json", "bands.csv", "bands-1.png", "bands-1.svg", "bands-1.html"}
    rows = (tmp_path / "out" / "bands.csv").read_text().splitlines()
    assert len(rows) == 1 + len(answer.lines[0].bands)
    assert [float(row.split(",")[3]) for row in rows[1:]] == [band.high for band in answer.lines[0].bands]
    shown = run("switch", *few)
    assert "4 x gb100+8xhbm4 TP4 PP2 fp8" in shown.out
    assert "<- today" in shown.out
