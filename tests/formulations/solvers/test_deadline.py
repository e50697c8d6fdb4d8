"""A question cut short at any reading of its clock: what it then says is true, and whichever proof ended proves it."""

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.catalog import builtin_query
from codesign.system import audit, disaggregated, pools_enumeration
from codesign.system.answer import Answer
from codesign.system.best_system import prepare, prepare_and_solve
from codesign.system.layouts import portions
from codesign.system.query import Query, read_query
from formulations.solvers import highs
from formulations.solvers.deadline import NEVER, Deadline, OutOfTime
from formulations.solvers.outcome import Status
from tests.cases.query_strategies import built_in, query

REPEATED = settings(derandomize=True, deadline=None)
H100: dict[str, Any] = {"model": "llama-3.1-70b", "context": 8192, "hardware": "catalogue",
                        "allow": {"chips": ["h100-sxm", "h200-sxm"]}}  # fmt: skip
POOLS = H100 | {"mode": "achieved", "serving": {"input": 1024, "output": 256, "engine": "vllm",
                                                "phases": "disaggregated"}}  # fmt: skip
ASKED = {
    "ratio": query(**H100, maximize="throughput-per-dollar", limits={"budget": 2e6, "user_speed": 20}),
    "spares": query(**H100, maximize="throughput-per-dollar", limits={"budget": 2e6, "users": 90}, spare_servers=1),
    "cost": query(**H100, maximize="cost", limits={"users": 1000}),
    "speed": query(**H100, maximize="user-speed", limits={"budget": 2e6, "users": 64}),
    "curved": query(**H100 | {"model": "mixtral-8x22b"}, maximize="throughput",
                    limits={"budget": 1e6, "user_speed": 20}),
    "pools": query(**POOLS, maximize="throughput", limits={"chips": 48, "ttft": 2.0}),
    "pools ratio": query(**POOLS, maximize="throughput-per-dollar", limits={"chips": 32}),
}
NOTHING = {
    "one limit": query(**H100, limits={"budget": 1e5}),
    "several": query(**H100, maximize="cost", limits={"budget": 1e5, "users": 10**6, "user_speed": 500}),
    "pools": query(**POOLS, maximize="throughput", limits={"chips": 8, "user_speed": 400}),
}


def ticking(ticks: float) -> Deadline:
    """Passes at the reading after so many: the same on any machine."""
    return Deadline(ticks, itertools.count().__next__)


@cache
def _whole(text: str) -> Answer:
    return prepare_and_solve(built_in(), Query.model_validate_json(text)).answer


def whole(q: Query) -> Answer:
    return _whole(q.model_dump_json(by_alias=True))


def cut(q: Query, deadline: Deadline, *, removal: bool = True) -> Answer:
    return prepare_and_solve(built_in(), q, removal=removal, deadline=deadline).answer


@cache
def _readings(text: str) -> int:
    clock, q = itertools.count(), Query.model_validate_json(text)
    prepared = disaggregated.prepare if q.phases == "disaggregated" else prepare
    prepared(built_in(), q, Deadline(1e12, clock.__next__))
    return next(clock)


def after_preparing(q: Query, ticks: float) -> Deadline:
    """Passes at the reading after so many that follow those of the preparation, without which nothing is known."""
    return ticking(_readings(q.model_dump_json(by_alias=True)) + ticks)


def true_of(q: Query, answer: Answer, full: Answer) -> str:
    """The method of an answer, once all that it says of value, bound and status is true."""
    assert full.proof is not None and answer.proof is not None and full.proof.method == "both"
    best, proof = full.proof.value, answer.proof
    assert not q.objective.better(proof.value, best, 1e-9)
    assert proof.bound is None or not q.objective.better(best, proof.bound, 1e-6)
    assert (answer.status == "optimal") == (proof.method != "none") == (proof.gap is not None and proof.gap <= 1e-6)
    assert answer.status == "feasible" or proof.value == pytest.approx(best, rel=1e-6)
    assert (proof.enumerated is None) == bool(proof.not_enumerated)
    if proof.method in ("enumeration", "both"):
        assert proof.enumerated == full.proof.enumerated
    return proof.method


@pytest.mark.parametrize("name", ASKED)
def test_cut_short_at_any_time(name):
    q = ASKED[name]
    seen = {true_of(q, cut(q, after_preparing(q, ticks)), whole(q)) for ticks in (0, 1, 2, 3, 4, 6, 9, 15, 40, 1e9)}
    assert "both" in seen and len(seen) > 1


@pytest.mark.parametrize("name", ["ratio", "cost", "pools"])
def test_cut_short_without_removal(name):
    q = ASKED[name]
    assert "both" in {true_of(q, cut(q, after_preparing(q, t), removal=False), whole(q)) for t in (0, 2, 5, 1e9)}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_fits_and_the_time_ends(name):
    """Infeasible is proven in closed form at once; of the cures, what is told is whole, and what is not is named."""
    q = NOTHING[name]
    full = whole(q)
    assert full.status == "infeasible" and full.not_looked_for == ()
    counts = []
    for ticks in (0, 1, 2, 3, 5, 8, 13, 21, 1e9):
        answer = cut(q, after_preparing(q, ticks))
        counts.append(len(answer.cures))
        assert answer.status == "infeasible" and set(answer.cures) <= set(full.cures)
        assert answer.conflicts in ((), full.conflicts) and answer.together in ((), full.together)
        less = len(answer.cures) < len(full.cures) or answer.together != full.together
        assert not less or answer.not_looked_for
        assert "at least two" not in answer.in_the_way or not full.cures
    assert counts == sorted(counts) and answer == full


def no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that ends before it has found or proven anything."""
    nothing = highs.Result(Status.UNKNOWN, {}, None, None, 0)
    monkeypatch.setattr(highs, "solve", lambda program, limits, start=None: nothing)


@pytest.mark.parametrize("name", ["cost", "pools"])
def test_an_enumeration_alone_is_a_proof(name, monkeypatch):
    q = ASKED[name]
    full = whole(q)
    no_solver(monkeypatch)
    answer = cut(q, NEVER)
    assert (answer.status, answer.proof.method, answer.proof.gap) == ("optimal", "enumeration", 0.0)
    assert answer.proof.value == pytest.approx(full.proof.value, rel=1e-12)
    assert answer.proof.bound == pytest.approx(full.proof.value, rel=1e-12)
    monkeypatch.setattr(audit, "MOST_POINTS", 10)
    monkeypatch.setattr(pools_enumeration, "MOST_POINTS", 10)
    answer = cut(q, NEVER)
    assert answer.proof.method in ("none", "program") and answer.proof.enumerated is None
    assert "more than 10 " in answer.proof.not_enumerated
    true_of(q, answer, full)


def test_a_program_alone_is_a_proof(monkeypatch):
    monkeypatch.setattr(audit, "MOST_POINTS", 10)
    answer = cut(ASKED["cost"], NEVER)
    assert (answer.status, answer.proof.method, answer.proof.enumerated) == ("optimal", "program", None)


def test_short_contexts_have_more_points_than_are_enumerated():
    answer = cut(read_query(None, {"context": "1"}, builtin_query("best")), NEVER)
    assert (answer.status, answer.proof.method) == ("optimal", "program")
    assert answer.proof.not_enumerated == "more than 200,000,000 layouts and batches"
    assert answer.proof.bound == pytest.approx(answer.proof.value, rel=1e-6)


@pytest.mark.parametrize("maximize", ["cost", "throughput-per-dollar"])
def test_many_users_write_out_no_replicas(maximize):
    """300,000 users need up to as many replicas; only those near the most are looked at."""
    q = query(**H100, maximize=maximize, limits={"users": 300_000})
    p = prepare(built_in(), q)
    alive = np.flatnonzero(p.space.reason == 0)
    fills = audit._fills(p.query, p.space, p.servers, alive, audit._affordable(p.query, p.space, p.servers), NEVER)
    assert fills.flat.size <= 20 * len(alive)
    assert whole(q).proof.method == "both"


@settings(REPEATED, max_examples=100)
@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 12))
def test_portions_hold_every_point_once_and_no_more_than_asked(counts, points):
    found = list(portions(np.array(counts, dtype=np.int64), points))
    pairs = [(int(a), int(b)) for here, turn in found for a, b in zip(here, turn, strict=True)]
    assert pairs == [(i, t) for i, n in enumerate(counts) for t in range(n)]
    assert all(0 < len(here) <= points for here, _ in found)


def test_deadline_counts_down():
    times = iter([10.0, 11.0, 11.5, 12.0, 13.0, 14.0])
    deadline = Deadline.after(3.0, lambda: next(times))
    assert (deadline.at, deadline.left_s) == (13.0, 2.0)
    assert deadline.sooner(0.5).at == 11.5 + (13.0 - 12.0) / 2
    assert not replace(deadline, clock=lambda: 12.9).passed
    assert replace(deadline, clock=lambda: 13.0).passed
    with pytest.raises(OutOfTime):
        replace(deadline, clock=lambda: 20.0).check()


def test_without_a_time_there_is_no_deadline():
    assert Deadline.after(None) == NEVER and not NEVER.passed
    assert NEVER.left_s == float("inf") and NEVER.sooner(0.5) is NEVER
    NEVER.check()


def test_a_solve_ends_at_the_sooner_of_its_own_time_and_the_deadline():
    late = Deadline(13.0, lambda: 10.0)
    assert [highs.Limits(limit_s=s, deadline=late).left_s for s in (1.0, 60.0)] == [1.0, 3.0]
