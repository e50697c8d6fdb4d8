"""What a solver did not prove is claimed by no document on changes: all of it is undecided then."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from codesign.changes.frontier import frontier
from codesign.changes.relax import relax
from codesign.changes.sensitivity import sensitivity
from codesign.changes.switch import switch
from codesign.changes.wanted import Wanted
from codesign.changes.why_not import why_not
from codesign.study.query_study import Warm
from codesign.system.query import Query
from formulations import best_system
from formulations.solvers.outcome import Outcome, Status
from tests.cases.query_strategies import built_in, query

FEW: dict[str, Any] = {"model": "llama-3.1-8b", "context": 2048, "hardware": "catalogue",
                       "allow": {"chips": ["h100-sxm", "l40s"]}}  # fmt: skip
FITS = query(**FEW, maximize="throughput", limits={"budget": 1e6, "user_speed": 20.0})
FITS_NOT = query(**FEW, maximize="throughput", limits={"chips": 2, "users": 3000, "user_speed": 100.0})
Ask = Callable[[], Any]
ASKED: dict[str, tuple[Ask, str]] = {
    "why-not": (lambda: why_not(built_in(), FITS, Wanted(chip="l40s")), "behind"),
    "why-not, the best": (lambda: why_not(built_in(), FITS, Wanted(memory="hbm3")), "best"),
    "why-not, nothing": (lambda: why_not(built_in(), FITS_NOT, Wanted(chip="l40s")), "infeasible"),
    "relax": (lambda: relax(built_in(), FITS_NOT), "cured"),
    "frontier": (lambda: frontier(built_in(), FITS, "capital,throughput"), "proven"),
    "sensitivity": (lambda: sensitivity(warm(FITS)), "proven"),
    "switch": (lambda: switch(warm(FITS), ["limits.budget"], ["20000..400000 USD"]), "proven"),
    "switch, one system": (lambda: switch(warm(FITS), ["limits.budget"], ["390000..400000 USD"]), "proven"),
}


def warm(asked: Query) -> Warm:
    return Warm(None, asked, catalog=built_in())


def weaken(monkeypatch: pytest.MonkeyPatch, *, only: int | None = None) -> None:
    """Solves end before their proof: all of them, or the one of this number."""
    solve, solved = best_system.solve, 0

    def unproven(*args: Any, **options: Any) -> tuple[Outcome[Any], Any]:
        nonlocal solved
        outcome, proof = solve(*args, **options)
        solved += 1
        if only not in (None, solved):
            return outcome, proof
        status = Status.UNKNOWN if outcome.solution is None else Status.FEASIBLE
        return replace(outcome, status=status, bound=None), proof

    monkeypatch.setattr(best_system, "solve", unproven)


@pytest.mark.parametrize("name", ASKED)
def test_without_proofs_all_is_undecided(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, proven = ASKED[name]
    assert ask().status == proven
    weaken(monkeypatch)
    assert ask().status == "undecided"


SOME = ["why-not", "relax", "frontier", "sensitivity", "switch", "switch, one system"]
SECOND = [pytest.param(name, 2, marks=pytest.mark.slow) for name in SOME if name not in ("relax", "sensitivity")]


@pytest.mark.parametrize(("name", "only"), [*((name, 1) for name in SOME), *SECOND])
def test_one_solve_without_a_proof_is_enough(name: str, only: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of `relax` and `sensitivity` is enumerated, too, and needs no program."""
    weaken(monkeypatch, only=only)
    assert ASKED[name][0]().status == "undecided"


def test_a_change_that_was_not_proven_is_not_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(change.verified for change in ASKED["why-not"][0]().changes)
    weaken(monkeypatch)
    found = ASKED["why-not"][0]()
    assert found.changes and not any(change.verified for change in found.changes)
    assert not found.best.proven and not found.other.proven
