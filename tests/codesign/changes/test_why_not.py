"""Why not: the best with a property by enumeration, factors that multiply to the gap, changes that do make it win."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.changes.decomposition import Parts, decompose, log_mean
from codesign.changes.least_change import Least, nearest
from codesign.changes.wanted import Wanted, read_wanted
from codesign.changes.why_not import why_not
from codesign.changes.why_not_answer import LeastPart, WhyNotAnswer
from codesign.facts.errors import DataError
from codesign.study.parameters import ASKED, changed
from codesign.study.query_study import Warm
from codesign.system import best_system
from codesign.system.answer import Answer
from codesign.system.objective import MAXIMIZE
from codesign.system.query import Query
from tests.cases import query_reference as reference
from tests.cases.command import known, put, run
from tests.cases.query_strategies import built_in, query

FEW: dict[str, Any] = {"model": "llama-3.1-70b", "context": 8192, "hardware": "catalogue",
                       "allow": {"chips": ["h100-sxm", "h200-sxm", "b200-sxm", "mi300x", "mi355x", "l40s"]},
                       }  # fmt: skip
LIMITS = {"budget": 2e6, "power": 1e5, "user_speed": 20.0}


def asked(maximize: str = "throughput-per-dollar", **limits: float) -> Query:
    """A query over six products."""
    return query(**FEW, maximize=maximize, limits=LIMITS | limits)


def best_with(one: Query, wanted: Wanted) -> float | None:
    """The best objective of all systems that have it, by enumeration."""
    values = [place.value(one) for place in reference.places(built_in(), one) if wanted.of_chip(place.offer.chip)
              and wanted.tensor in (None, place.layout.tensor)]  # fmt: skip
    some = [value for value in values if value is not None]
    return (min if one.maximize == "cost" else max)(some, default=None)


WANTED = (Wanted(memory="hbm3e"), Wanted(memory="gddr6"), Wanted(chip="h100-sxm"), Wanted(chip="mi355x"),
          Wanted(tensor=2), Wanted(memory="hbm3", tensor=8))  # fmt: skip


@pytest.mark.parametrize("wanted", [WANTED[0], *(pytest.param(w, marks=pytest.mark.slow) for w in WANTED[1:])],
                         ids=lambda w: w.said())  # fmt: skip
def test_best_with_it_equals_enumeration(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codesign.changes.why_not._changes", lambda *_: ((), (), 0))
    for maximize in MAXIMIZE:
        one = asked(maximize, **({"users": 300} if maximize == "cost" else {}))
        best, other = reference.optimum(built_in(), one), best_with(one, wanted)
        answer = why_not(built_in(), one, wanted)
        assert answer.best is not None and best is not None and answer.best.value == pytest.approx(best, rel=1e-9)
        if other is None:
            assert answer.status == "infeasible" and answer.other is None
            continue
        assert answer.other is not None and answer.other.value == pytest.approx(other, rel=1e-9)
        assert answer.behind == pytest.approx(abs(best - other) / best, abs=1e-9)
        if answer.terms:
            product = math.prod(term.factor for term in answer.terms)
            assert product == pytest.approx(other / best if maximize == "cost" else best / other, rel=1e-9)
            assert answer.losing in {term.name.partition(":")[0] for term in answer.terms}


def apply(one: Query, changes: dict[str, float]) -> tuple[Any, Query]:
    """The catalogue and the query with these numbers."""
    return changed(built_in(), one, changes)


def wins(one: Query, wanted: Wanted, changes: dict[str, float]) -> bool:
    """Whether the best system of the changed query has what is wanted, as `best` answers it."""
    catalog, after = apply(one, changes)
    p = best_system.prepare(catalog, after)
    values = p.columns.true_value
    has = wanted.mask(p.space)[p.columns.layout]
    up = p.columns.instance.objective == "ratio"
    fill = -np.inf if up else np.inf
    ours, theirs = (float((np.nanmax if up else np.nanmin)(np.append(values[mask], fill))) for mask in (has, ~has))
    return ours >= theirs * (1 - 1e-9) if up else ours <= theirs * (1 + 1e-9)


def check_change(one: Query, wanted: Wanted, change: LeastPart) -> None:
    """It wins with a little more of the change, not with a little less, and where exact nowhere in between."""
    assert change.verified, change
    whole = any(ASKED.get(path, ("", False, 0))[1] for path in change.needs)
    jumps = change.kind in ("limits.budget", "limits.power")

    def at(share: float) -> dict[str, float]:
        factor = change.factor**share
        return {path: value * factor for path, value in change.today.items()}

    assert wins(one, wanted, change.needs if whole or jumps else at(1 + 1e-5))
    if change.exact and not whole:
        assert not any(wins(one, wanted, at(share)) for share in np.linspace(0, 1 - 1e-5, 12).tolist())
    for side, has in ((change.before, False), (change.after, True)):
        assert side.value is None or side.bound == pytest.approx(side.value, rel=1e-6)
        assert has or side.system != change.after.system


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [Wanted(memory="gddr6"), Wanted(chip="h100-sxm"), Wanted(chip="b200-sxm"),
                                    Wanted(tensor=4)], ids=lambda w: w.said())  # fmt: skip
def test_least_changes_win(wanted: Wanted) -> None:
    one = asked()
    answer = why_not(built_in(), one, wanted)
    assert answer.status == "behind" and answer.changes
    distances = [abs(math.log(change.factor)) for change in answer.changes]
    assert distances == sorted(distances)
    for change in answer.changes:
        check_change(one, wanted, change)


def test_price_at_which_a_chip_wins() -> None:
    """There both are worth the same: the ratio with a lower price, and that of the best, which stays."""
    one = query(**FEW | {"allow": {"chips": ["b200-sxm", "mi355x"]}}, limits={"replicas": 1})
    wanted = Wanted(chip="b200-sxm")
    answer = why_not(built_in(), one, wanted)
    (change,) = [c for c in answer.changes if c.kind == "price of the chip"]
    assert answer.best is not None and change.exact and change.factor < 1
    check_change(one, wanted, change)
    alone = one.model_copy(update={"allow": one.allow.model_copy(update={"chips": ("b200-sxm",)})})
    catalog, after = apply(alone, change.needs)
    found = best_system.prepare_and_solve(catalog, after, enumerate_all=False).answer
    assert found.proof is not None and found.proof.value == pytest.approx(answer.best.value, rel=1e-8)


def test_a_budget_at_which_it_wins() -> None:
    """Below the price of one B200 server only the H100 is left."""
    chips = ("h100-sxm", "b200-sxm")
    one = query(**FEW | {"allow": {"chips": list(chips)}}, maximize="throughput", limits={"budget": 8e5})
    cheap, dear = (next(o.bill.capital_usd or 0.0 for o in best_system.prepare(built_in(), one).supply.offers
                        if o.chip.name == name) for name in chips)  # fmt: skip
    assert cheap < dear < 8e5
    (change,) = [c for c in why_not(built_in(), one, Wanted(chip="h100-sxm")).changes if c.kind == "limits.budget"]
    assert change.verified and dear * (1 - 1e-8) < change.needs["limits.budget"] < dear


def test_nearest_win_equals_a_scan() -> None:
    draw = np.random.default_rng(1)
    for generous, _ in itertools.product((True, False), range(200)):
        count = int(draw.integers(1, 40))
        steps = draw.integers(0, 4, size=(2, count)).cumsum(axis=1) + draw.integers(0, 6, size=(2, 1))
        ours, theirs = steps if generous else steps[:, ::-1]
        pairs = list(zip(ours.tolist(), theirs.tolist(), strict=True))
        scan = next((i for i, (a, b) in enumerate(pairs) if 0 < a >= b), None)
        asked_for: list[int] = []

        def values(i: int, pairs: Any = pairs, asked_for: list[int] = asked_for) -> tuple[float, float]:
            asked_for.append(i)
            return pairs[i]

        assert nearest(count, values, generous=generous) == scan
    assert nearest(0, lambda i: (1.0, 0.0), generous=True) is None


def test_factors_multiply_to_the_ratio() -> None:
    best = Parts({"price": (2.0, "USD")}, {"memory": 3.0, "links": 1.0}, "s")
    other = Parts({"price": (3.0, "USD")}, {"compute": 5.0, "links": 2.0}, "s")
    terms = decompose(best, other)
    assert math.prod(term.factor for term in terms) == pytest.approx(other.cost / best.cost, rel=1e-12)
    assert terms[0].name == "compute" and {t.name: t.factor for t in terms}["price"] == 1.5
    assert log_mean(2.0, 2.0) == 2.0 and 2 < log_mean(2.0, 3.0) < 3


def test_achieved_mode() -> None:
    """Factors multiply there too, waits for the first token included."""
    one = query(**FEW | {"mode": "achieved", "allow": {"chips": ["h100-sxm", "b200-sxm"]}}, limits={"budget": 1e6})
    for chip in ("h100-sxm", "b200-sxm"):
        answer = why_not(built_in(), one, Wanted(chip=chip))
        if answer.status == "behind":
            assert answer.best is not None and answer.other is not None
            assert math.prod(term.factor for term in answer.terms) == pytest.approx(
                answer.best.value / answer.other.value, rel=1e-6)  # fmt: skip
            return
    pytest.fail("one of two chips is behind")


def test_same_system_is_the_best() -> None:
    answer = why_not(built_in(), asked(), Wanted(chip=best_chip()))
    assert answer.status == "best" and answer.behind == 0.0 and not answer.changes


def best_chip() -> str:
    """Of the six."""
    p = best_system.prepare(built_in(), asked())
    best = p.columns.incumbent()
    assert best is not None
    return p.space.chips[int(p.space.chip[p.columns.layout[best[0]]])].name


def test_absent_chips_say_why() -> None:
    one = query(**FEW | {"hardware": "any", "allow": {}, "forbid": {"chips": ["b300-sxm"]}}, limits=LIMITS)
    for chip, told in (("b300-sxm", "rule it out"), ("groq-lpu-v1", "no peak"), ("tpu-v7", "does not sell it")):
        answer = why_not(built_in(), one, Wanted(chip=chip))
        assert answer.status == "absent" and told in answer.absent[chip]
    composed = why_not(built_in(), query(**FEW, limits=LIMITS), Wanted(chip="gb100"))
    assert composed.status == "absent" and "hardware catalogue" in composed.absent["gb100+hbm4"]


def test_infeasible_says_what_would_let_it_in() -> None:
    answer = why_not(built_in(), asked(user_speed=60.0), Wanted(chip="l40s", tensor=1))
    assert answer.status == "infeasible" and answer.best is not None
    assert all(cure.value is not None for cure in answer.cures)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "why not what"),
        ({"memory": "hbm9"}, "--memory = 'hbm9'"),
        ({"chip": "h1000"}, "--chip = 'h1000'"),
        ({"memory": "x", "chip": "y"}, "--chip"),
        ({"system": Path("no-such.json")}, "no such file"),
        ({"system": Path("no-such.json"), "tensor": 2}, "do not go with it"),
    ],
)
def test_wrong_wishes_are_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_wanted(built_in(), **({"memory": None, "chip": None, "tensor": None, "system": None} | given))


SIX = ("--model", "llama-3.1-70b", "--hardware", "catalogue", "--mode", "limit", "--budget", "$2M",
       "--user-speed", "20", "--allow-chip", ",".join(FEW["allow"]["chips"]))  # fmt: skip


def test_command() -> None:
    done = known("why-not", *SIX, "--chip", "h100-sxm")
    assert done.code == 0 and "Why not chip h100-sxm? The best with it is" in done.out
    assert "price of a chip" in done.out and "Least single change" in done.out
    document = WhyNotAnswer.model_validate(known("why-not", *SIX, "--chip", "h100-sxm", "--json").json)
    assert document.status == "behind" and all(change.verified for change in document.changes)
    assert set(document.query["allow"]["chips"]) == set(FEW["allow"]["chips"])


def test_command_with_another_answer(tmp_path: Path) -> None:
    answer = known("best", "--json", "--model", "llama-3.1-70b", "--chip", "h100-sxm", "--mode", "limit",
                   "--maximize", "user-speed").json  # fmt: skip
    put(tmp_path, {"other.json": json.dumps(answer), "broken.json": "{", "none.json": json.dumps(
        answer | {"system": None})})  # fmt: skip
    done = run("why-not", *SIX, "--system", tmp_path / "other.json", "--json")
    other = done.json["other"]["system"]
    assert done.code == 0 and other["chip"] == "h100-sxm" and other["tensor"] == Answer.model_validate(
        answer).system.tensor  # type: ignore[union-attr]  # fmt: skip
    for name, told in (("broken", "not readable as JSON"), ("none", "no system of one pool")):
        wrong = run("why-not", *SIX, "--system", tmp_path / f"{name}.json")
        assert wrong.code == 2 and told in wrong.err


def test_the_search_counts_its_solves() -> None:
    least = Least(Warm(None, asked(), catalog=built_in()), Wanted(chip="h100-sxm"))
    assert least.of_limit("budget") == [] or least.solves >= 2


def test_a_degree_that_no_layout_has() -> None:
    answer = why_not(built_in(), asked(tensor=4), Wanted(tensor=5))
    assert answer.status == "absent" and answer.absent["tensor degree 5"].endswith("possible: 1, 2, 4")
    assert why_not(built_in(), asked(tensor=4), Wanted(tensor=8)).status == "absent"
