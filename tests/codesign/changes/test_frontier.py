"""Frontiers: equal to complete enumeration, each change proven, wrong words told, exported whole or not at all."""

import csv
import itertools
import random
from typing import Any

import numpy as np
import pytest

from codesign.changes import frontier as asked_frontier
from codesign.changes.frontier import frontier
from codesign.changes.frontier_points import AXES, Staircase, frontier_points, key_of, nondominated, read_axes
from codesign.changes.frontier_proof import objective_of, questions
from codesign.facts.errors import AuditError, DataError, UnboundedError
from codesign.system.best_system import prepare_and_solve
from codesign.system.query import Query
from tests.cases import frontier_reference as plain
from tests.cases import query_reference as reference
from tests.cases.command import known, run
from tests.cases.query_strategies import built_in, query

H100: dict[str, Any] = {"model": "llama-3.1-8b", "context": 32768, "hardware": "catalogue",
                        "allow": {"chips": ["h100-sxm", "l4", "l40s"]}}  # fmt: skip
TWO = ("dollars,throughput", "dollars,user-speed", "throughput,user-speed", "power,chips", "user-speed,per-hour",
       "throughput,power")  # fmt: skip


def found_points(asked: Query, axes: tuple[str, ...]) -> Any:
    """The frontier's points over named axes, as one asks for them, without its proofs."""
    over = read_axes(",".join(axes), asked)
    ground = asked_frontier._ground(built_in(), asked, over)
    return frontier_points(ground.query, ground.space, ground.servers, over).points.values


def check_complete(asked: Query, axes: tuple[str, ...]) -> int:
    """Points of real systems, none missing, beaten or twice; how many, -1 where there is too much to enumerate."""
    every = plain.enumerated(asked, axes)
    if every is None:
        return -1
    if not reference.bounded(asked) and "throughput" in axes and len(every.values):
        with pytest.raises(UnboundedError):
            found_points(asked, axes)
        return 0
    found = found_points(asked, axes)
    assert len(plain.uncovered(every.values, found, axes)) == 0, "missing"
    assert len(plain.strangers(every.values, found)) == 0, "no such system"
    for i, one in enumerate(found):
        assert not plain.no_worse(one, np.delete(found, i, axis=0), axes).any(), "beaten, or twice"
    return len(found)


def check_generated(count: int, wanted: int) -> list[int]:
    """Sizes of the frontiers of so many generated queries that can be enumerated."""
    draw, sizes = random.Random(f"frontier {count}"), list[int]()
    while len(sizes) < wanted:
        size = check_complete(*plain.asked(draw, count))
        sizes += [size] * (size >= 0)
    return sizes


@pytest.mark.parametrize("count", [2, 3])
def test_equals_enumeration(count: int) -> None:
    sizes = check_generated(count, 6)
    assert len(sizes) == 6 and max(sizes) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_equals_enumeration_of_100_queries(count: int) -> None:
    sizes = check_generated(count, 100)
    assert len(sizes) == 100 and sum(size >= 3 for size in sizes) >= 30 and max(sizes) >= 50


ASKED = query(**H100, maximize="throughput", limits={"budget": 6e5, "users": 20})


@pytest.mark.parametrize("axes", TWO)
def test_changes_are_proven(axes: str) -> None:
    """Steps are maximal runs; about one solve a change: two more for the ends, one more for a step of many points."""
    answer = frontier(built_in(), ASKED, axes)
    assert answer.status == "proven" and answer.points == answer.audited
    names = [step.system.name for step in answer.steps]
    assert all(a != b for a, b in itertools.pairwise(names)) and answer.changes == len(names) - 1
    many = sum(len(step.points) > 1 for step in answer.steps)
    assert answer.solves == answer.changes + 2 + many
    for proof in (p for step in answer.steps for p in step.proofs):
        assert proof.holds and proof.value is not None and proof.bound == pytest.approx(proof.value, rel=1e-6)


def test_changes_of_three_axes_are_proven() -> None:
    answer = frontier(built_in(), ASKED, "dollars,throughput,user-speed")
    assert answer.status == "proven" and answer.solves == len(answer.steps) >= 5
    assert all(len(proof.held) == 2 and proof.holds for step in answer.steps for proof in step.proofs)


def test_a_wrong_frontier_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that is missing makes the program disagree."""
    def without_last_but_one(*given: Any) -> Any:
        found = frontier_points(*given)
        keep = np.delete(np.arange(len(found.points)), -2)
        return type(found)(found.points.only(keep), found.timed, found.candidates)

    monkeypatch.setattr(asked_frontier, "frontier_points", without_last_but_one)
    with pytest.raises(AuditError):
        frontier(built_in(), ASKED, "dollars,throughput")


def test_ends_where_the_best_system_is() -> None:
    """The last point is what `best` finds for throughput; the best ratio along it is that of throughput per dollar."""
    answer = frontier(built_in(), ASKED, "capital,throughput")
    best = prepare_and_solve(built_in(), ASKED, enumerate_all=False).answer
    last = answer.steps[-1].points[-1]
    assert best.proof is not None and last.values["throughput"] == pytest.approx(best.proof.value, rel=1e-9)
    ratio = prepare_and_solve(built_in(), ASKED.model_copy(update={"maximize": "throughput-per-dollar", "dollars":
                              "capital"}), enumerate_all=False).answer  # fmt: skip
    points = [p.values for step in answer.steps for p in step.points]
    assert ratio.proof is not None
    assert max(v["throughput"] / v["capital"] for v in points) == pytest.approx(ratio.proof.value, rel=1e-9)


def test_achieved_mode_equals_its_space() -> None:
    """Mode achieved: times are curves, so every batch is looked at again here, over replicas up to the limit."""
    asked = query(**H100 | {"context": 9000, "mode": "achieved", "allow": {"chips": ["h100-sxm"]}},
                  maximize="throughput", limits={"chips": 16})  # fmt: skip
    ground = asked_frontier._ground(built_in(), asked, read_axes("chips,throughput", asked))
    space, best = ground.space, dict[int, float]()
    for at in np.flatnonzero(space.reason == 0).tolist():
        batch = np.arange(1, int(space.room[at]) + 1)
        gain = (space.pipeline[at] * batch / space.cycle_s(batch, np.full(len(batch), at))).max()
        for replicas in range(1, 17):
            chips = int(ground.servers.count(np.array([replicas]), np.array([at]))[0]) * 8
            if chips <= 16:
                best[chips] = max(best.get(chips, 0.0), replicas * gain)
    answer = frontier(built_in(), asked, "chips,throughput")
    found = {int(p.values["chips"]): p.values["throughput"] for step in answer.steps for p in step.points}
    assert answer.status == "proven" and found == pytest.approx(best, rel=1e-9)


def test_a_time_limit_leaves_proofs_undecided() -> None:
    answer = frontier(built_in(), ASKED.model_copy(update={"time_limit": 1e-9}), "dollars,throughput")
    assert answer.status == "undecided" and answer.solves == 0 and answer.points > 0


def test_nondominated_and_staircase_agree_with_comparison() -> None:
    draw = np.random.default_rng(0)
    for axes in (2, 3):
        for _ in range(30):
            keys = draw.integers(0, 6, size=(25, axes))
            kept = nondominated(keys).tolist()
            for i, one in enumerate(keys.tolist()):
                ahead = [j for j, other in enumerate(keys.tolist()) if other != one
                         and all(a >= b for a, b in zip(other, one, strict=True))]  # fmt: skip
                first = not any(other == one for other in keys.tolist()[:i])
                assert (i in kept) == (not ahead and first)
            if axes == 2:
                stairs = Staircase()
                for portion in np.split(np.arange(25), 5):
                    stairs.add(keys[portion, 0], keys[portion, 1])
                assert {*zip(stairs.across.tolist(), stairs.height.tolist(), strict=True)} == {
                    tuple(keys[i].tolist()) for i in kept}  # fmt: skip


def test_keys_join_what_rounding_parts() -> None:
    assert key_of(0.1 + 0.2, up=True) == key_of(0.3, up=True) != key_of(0.3 * (1 + 1e-9), up=True)
    assert key_of(2.0, up=False) < key_of(1.0, up=False)


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ("dolars,throughput", "unknown axis 'dolars'; did you mean dollars?"),
        ("speed", "unknown axis 'speed'"),
        ("throughput", "1 axes, expected two or three"),
        ("capital,power,chips,throughput", "4 axes, expected two or three"),
        ("dollars,capital", "capital twice"),
        ("", "0 axes"),
    ],
)
def test_wrong_axes_are_told(axes: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_axes(axes, ASKED)


def test_axes_of_rented_hardware() -> None:
    rented = query(model="llama-3.1-8b", context=8192, basis="rent", dollars="per-hour", limits={"chips": 8})
    assert [axis.name for axis in read_axes("dollars,throughput", rented)] == ["per-hour", "throughput"]
    with pytest.raises(DataError, match="has no capital"):
        read_axes("capital,throughput", rented)


def test_questions_hold_what_is_not_asked() -> None:
    """The target is a rate where there is one; epsilon lies between the points of a change."""
    by_name = {axis.name: axis for axis in AXES}
    axes = (by_name["chips"], by_name["throughput"])
    assert objective_of(axes).name == "throughput"
    asked = list(questions(axes, [np.array([[8.0, 5.0]]), np.array([[16.0, 9.0], [24.0, 11.0]])]))
    held = [(sorted((axis.name, eps) for axis, eps in one.held.items()), one.expected) for one in asked]
    assert held == [([("chips", 7.0)], None), ([("chips", 15.0)], 5.0), ([("chips", 16.0)], 9.0), ([], 11.0)]


LIMITS = ("--model", "llama-3.1-8b", "--context", "32k", "--hardware", "catalogue", "--chip", "h100-sxm,l4,l40s",
          "--mode", "limit", "--budget", "600k$", "--power", "none")  # fmt: skip


@pytest.mark.slow
def test_command_and_export(tmp_path: Any) -> None:
    done = run("frontier", *LIMITS, "--axes", "dollars,throughput,user-speed", "--export", tmp_path / "f", "--json")
    assert done.code == 0 and done.json["status"] == "proven"
    assert {file.name for file in (tmp_path / "f").iterdir()} == {
        "frontier.json", "frontier.csv", "query.toml", "frontier.png", "frontier.svg", "frontier.html"}  # fmt: skip
    with (tmp_path / "f" / "frontier.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    points = [p["values"] for step in done.json["steps"] for p in step["points"]]
    assert [float(row["capital_usd"]) for row in rows] == [p["capital"] for p in points]
    assert [float(row["user_speed_tokens_s"]) for row in rows] == [p["user-speed"] for p in points]
    assert len(rows) == done.json["points"] and {int(row["step"]) for row in rows} == set(
        range(1, len(done.json["steps"]) + 1))  # fmt: skip


def test_command_on_the_terminal() -> None:
    done = known("frontier", *LIMITS)
    assert done.code == 0 and "capital (less is better) against throughput (more is better)" in done.out
    assert "epsilon-constraint solve" in done.out and "recomputed without a solver" in done.out


def test_command_without_an_answer() -> None:
    assert known("frontier", *LIMITS, "--user-speed", "1M").code == 5
    unbounded = known("frontier", *LIMITS[:-4], "--budget", "none", "--power", "none")
    assert unbounded.code == 2 and "no limit bounds throughput" in unbounded.err
    wrong = known("frontier", "--axes", "dollars,speed")
    assert wrong.code == 2 and "unknown axis 'speed'" in wrong.err
    apart = known("frontier", "--hardware", "catalogue", "--phases", "disaggregated", "--ttft", "2 s")
    assert apart.code == 2 and "one pool" in apart.err
