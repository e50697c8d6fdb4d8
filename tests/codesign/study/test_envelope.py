"""What the bounds of switch points rest on, checked on the merits themselves; and changes against a dense scan."""

import math

import numpy as np
import pytest

from codesign.facts.catalog import builtin_query
from codesign.facts.errors import DataError
from codesign.study.envelope import RESOLUTION, TIE, envelope, scan
from codesign.study.line import Line, Sample
from codesign.study.movement import kinks, shape, up_and_down
from codesign.study.parameters import Parameter, parameters
from codesign.study.query_study import Warm
from codesign.study.ranges import usual_range
from codesign.system.query import Choice, read_query
from tests.cases.command import load
from tests.cases.query_strategies import query
from tests.cases.switch_cases import case

BUILT_IN = read_query(None, {}, builtin_query("best"))
POINTS = 8


def one_of_each_kind(warm: Warm) -> dict[str, Parameter]:
    """For every key of every folder, the parameter that touches most chips."""
    found: dict[str, tuple[int, Parameter]] = {}
    for one in parameters(warm.catalog, warm.query):
        kind = one.path if one.asked else f"{one.path.partition('.')[0]}.{one.path.rpartition('.')[2]}"
        touched = len(warm.touched([one.path])) + ("hbm4" in one.path or "gb100" in one.path)
        if touched > found.get(kind, (0, one))[0]:
            found[kind] = touched, one
    return {kind: one for kind, (_, one) in found.items()}


def samples_of(warm: Warm, one: Parameter, low: float, high: float) -> list[Sample]:
    line = Line(warm, {one.path: one.value})
    values = [low * (high / low) ** (i / (POINTS - 1)) for i in range(1, POINTS - 1)]
    values = [float(round(v)) if one.whole else v for v in values]
    return [line.sample(v) for v in sorted({low, *values, high})]


def check_movement(warm: Warm, one: Parameter, low: float, high: float) -> None:
    """Merits only rise or only fall where one of bills and times moves; -log merit is convex between floors."""
    try:
        samples = samples_of(warm, one, low, high)
    except DataError:  # half or twice of it cannot be
        return
    said = shape([one], samples[0], samples[-1], warm.space, kinks(warm.catalog, warm.query, one))
    codes = np.unique(np.concatenate([s.profile.code for s in samples]))
    merits = np.stack([s.merits(codes) for s in samples])
    if not said.both:
        steps = np.diff(merits, axis=0)
        near = np.abs(steps) <= 4 * TIE * merits[1:]
        assert (((steps >= 0) | near).all(axis=0) | ((steps <= 0) | near).all(axis=0)).all(), one.path
    if said.convex:
        for a, b, c in zip(samples, samples[1:], samples[2:], strict=False):
            if not any(a.value < kink < c.value for kink in said.kinks):
                check_convex(a, b, c, codes, one.path)


def check_convex(a: Sample, b: Sample, c: Sample, codes: np.ndarray, path: str) -> None:
    states = [s.states(codes) for s in (a, b, c)]
    steady = (states[0] == states[1]).all(axis=0) & (states[1] == states[2]).all(axis=0) & (states[0] >= 0).all(axis=0)
    kept = codes[steady]
    u = [math.log(s.value) for s in (a, b, c)]
    f = [-np.log(s.merits(kept)) for s in (a, b, c)]
    line = f[0] + (f[2] - f[0]) * (u[1] - u[0]) / (u[2] - u[0])
    assert (f[1] <= line + 10 * TIE).all(), path


def check_every_kind(warm: Warm) -> int:
    """How many kinds of numbers were checked."""
    checked = 0
    for one in one_of_each_kind(warm).values():
        over = usual_range(one)
        if over is not None and over.low > 0 and not up_and_down(one, warm.query):
            check_movement(warm, one, over.low, over.high)
            checked += 1
    return checked


@pytest.mark.slow
def test_merits_along_every_kind_of_number_move_as_the_bounds_say():
    few = BUILT_IN.model_copy(update={"allow": Choice(chips=("gb100", "b200-sxm"), memories=("hbm4", "hbm3e"))})
    assert check_every_kind(Warm(None, few, catalog=load())) > 40


@pytest.mark.slow
def test_merits_of_all_chips_move_as_the_bounds_say():
    assert check_every_kind(Warm(None, BUILT_IN, catalog=load())) > 45


@pytest.mark.slow
def test_merits_in_mode_achieved_only_rise_or_only_fall():
    served = query(model="llama-3.1-70b", context=4096, hardware="catalogue", mode="achieved", limits={
        "budget": 2e6, "user_speed": 20.0, "ttft": 3.0}, allow={"chips": ["h100-sxm", "h200-sxm"]})  # fmt: skip
    warm = Warm(None, served, catalog=load())
    some = [one for one in parameters(warm.catalog, warm.query)
            if one.path.startswith(("chips.h200-sxm.", "limits.", "links.nvlink4"))]  # fmt: skip
    moved = [one for one in some
             if not up_and_down(one, warm.query) and (one.asked or warm.touched([one.path]))]  # fmt: skip
    assert len(moved) > 10
    for one in moved:
        over = usual_range(one)
        if over is not None:
            check_movement(warm, one, over.low, over.high)


@pytest.mark.parametrize("seed", [1, 8, 9, 10, 13])
def test_merits_of_generated_queries_move_as_the_bounds_say(seed: int):
    one = case(seed)
    assert not up_and_down(one.moved, one.warm.query)
    check_movement(one.warm, one.moved, one.low, one.high)


def test_a_server_of_another_size_moves_merits_up_and_down_and_is_looked_at_number_by_number():
    warm = Warm(None, BUILT_IN, catalog=load())
    kinds = one_of_each_kind(warm)
    assert up_and_down(kinds["servers.chips"], warm.query)
    assert up_and_down(kinds["chips.domain"], warm.query)
    assert not up_and_down(kinds["servers.price"], warm.query)
    line = Line(warm, {"servers.hgx-blackwell.chips": 8.0})
    found = scan(line, 4, 16)
    assert {change.above - change.below for change in found.changes} == {1.0}
    assert line.samples == 13


def test_changes_are_neighbouring_numbers_with_different_systems():
    for seed in (1, 20, 29):
        one = case(seed)
        line = Line(one.warm, {one.moved.path: one.moved.value})
        ends = line.sample(one.low), line.sample(one.high)
        said = shape([one.moved], *ends, one.warm.space, kinks(one.warm.catalog, one.warm.query, one.moved))
        found = envelope(line, one.low, one.high, said)
        assert found.changes
        for change in found.changes:
            step = 1.0 if one.moved.whole else math.nextafter(change.below, math.inf) - change.below
            assert change.above - change.below == step
            assert line.sample(change.below).key == change.before != change.after == line.sample(change.above).key
        first = envelope(line, one.low, one.high, said, nearest="low").changes
        last = envelope(line, one.low, one.high, said, nearest="high").changes
        assert first == found.changes[:1]
        assert last[0].below == pytest.approx(found.changes[-1].below, rel=RESOLUTION)
