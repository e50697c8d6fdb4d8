"""robust: values of designs, both choices over all designs, shares and roles, as brute force has them."""

import csv
import json

import numpy as np
import pytest

from codesign.changes.robust import Terms, robust
from codesign.changes.robust_answer import NOMINAL, REGRET, WORST, RobustAnswer, answer
from codesign.facts.errors import AuditError, DataError
from codesign.study.jobs import Many
from codesign.study.journal import NAME
from codesign.study.scenario import value_of
from codesign.study.uncertainty import Scenario, scenarios
from codesign.system.best_system import best_system_under
from tests.cases import robust_cases
from tests.cases.command import load, put, run
from tests.cases.query_strategies import query
from tests.cases.robust_cases import FIELDS, QUERIES, ask, every_design, no_bar, question_of

SMALL = ("robust", "--model", "llama-3.1-70b", "--chip", "h100-sxm,h200-sxm,mi300x", "--mode", "limit",
         "--budget", "600k$", "--user-speed", "25", "--scenarios", "6")  # fmt: skip


def check_choices(name, count, seed=3):
    """Every layout, every replica count, every scenario: nothing has a smaller worst regret, or a better worst case."""
    found = ask(name, count=count, seed=seed)
    compared = found.compared
    assert compared is not None and compared.regret.complete and compared.worst.complete
    _, merit = every_design(found.question, list(found.solves.scenarios))
    assert (merit <= found.solves.best * (1 + 1e-9)).all()
    assert np.allclose(merit.max(axis=0), found.solves.best, rtol=1e-6)
    regret = np.clip(1 - merit / found.solves.best, 0, 1).max(axis=1)
    assert compared.regret.outcome.value == pytest.approx(regret.min(), abs=1e-8)
    assert compared.values.merit[compared.worst.design].min() == pytest.approx(merit.min(axis=1).max(), rel=1e-8)


@pytest.mark.parametrize("name", ["ratio", "cost"])
def test_both_choices_are_the_best_of_all_designs(name):
    check_choices(name, 6)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_both_choices_are_the_best_of_all_designs_long(name):
    check_choices(name, 8, seed=4)


def check_values(name, some):
    question = question_of(name)
    numbers = robust_cases.ask(name, count=1).uncertain
    slow = {"h100-sxm": 1.3, "mi300x": 0.8}
    drawn = [Scenario({}, slow), *scenarios(numbers, 1, 5)]
    designs, merit = every_design(question, drawn)
    chosen = np.random.default_rng(0).choice(len(designs), some, replace=False)
    for i in chosen:
        for s, scenario in enumerate(drawn):
            tried = robust_cases.value_by_batches(question, scenario, *designs[i])
            assert merit[i, s] == pytest.approx(tried, rel=1e-9)
    assert (merit[chosen] > 0).any()


def test_value_of_a_design_is_that_of_its_best_batch():
    check_values("ratio", 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_value_of_a_design_is_that_of_its_best_batch_long(name):
    check_values(name, 4)


def test_scenarios_are_solved_as_best_solves_them():
    found = ask("ratio", count=2)
    for scenario, best, key in zip(found.solves.scenarios, found.solves.best, found.solves.designs, strict=True):
        asked = query(**FIELDS | QUERIES["ratio"])
        assume = {path: f"{value!r} {unit_of(path)}".strip() for path, value in scenario.changes.items()}
        cold = best_system_under(load(None, assume), asked)
        assert cold.proof is not None and cold.system is not None
        assert cold.proof.value == pytest.approx(best, rel=1e-9)
        assert (cold.system.chip, cold.system.tensor, cold.system.replicas) == (key.chip, key.tensor, key.replicas)


def unit_of(path: str) -> str:
    unit = load().fact(path).unit
    return "" if unit == "1" else unit


def test_slowed_steps_are_slower_by_their_factor():
    question = question_of("ratio")
    today, slow = question.at(Scenario({}, {})), question.at(Scenario({}, {"mi300x": 1.5}))
    at = np.flatnonzero(today.space.reason == 0)
    ratio = slow.space.step_s(4, at) / today.space.step_s(4, at)
    name = np.array([o.chip.name for o in today.supply.offers])[today.space.chip[at]]
    assert np.allclose(ratio, np.where(name == "mi300x", 1.5, 1.0)) and (name == "mi300x").any()


@pytest.mark.slow
def test_mode_achieved_knows_a_models_error_too():
    asked = query(**FIELDS | {"allow": {"chips": ["h100-sxm", "h200-sxm"]}, "mode": "achieved"},
                  limits={"budget": 8e5, "user_speed": 10, "tensor": 8})  # fmt: skip
    found = robust(load(), asked, Terms(count=4), Many(), no_bar)
    told = answer(found)
    assert told.mode == "achieved" and told.status == "optimal" and told.error_solved == 4
    nominal = told.designs[0].model_error
    assert nominal is not None and 0 < nominal.regret_worst <= 1
    slow = found.question.at(Scenario({}, {"h100-sxm": 1.25}), ["h100-sxm"])
    today = found.question.at(Scenario({}, {}), ["h100-sxm"])
    at = np.flatnonzero(today.space.reason == 0)[:5]
    for fast, slowed in zip(today.space.times(3, at), slow.space.times(3, at), strict=True):
        assert np.allclose(slowed, 1.25 * fast)


def test_the_audit_of_a_slowed_system_knows_the_users_speed():
    found = ask("ratio", count=1)
    p = found.question.at(Scenario({}, {}))
    at = int(np.flatnonzero(p.space.reason == 0)[0])
    system = robust_cases.audit.System(p.supply.offers[int(p.space.chip[at])], p.space.layout(at), 1, 1)
    chip, speed = system.offer.chip.name, 1 / float(p.space.step_s(1, np.array([at]))[0])
    edge = speed / 25
    assert value_of(p, Scenario({}, {chip: edge * 0.999}), system) == pytest.approx(
        value_of(p, Scenario({}, {}), system) / (edge * 0.999))  # fmt: skip
    with pytest.raises(AuditError, match="user_speed"):
        value_of(p, Scenario({}, {chip: edge * 1.001}), system)


@pytest.fixture
def doubt(tmp_path):
    return str(put(tmp_path, {"doubt.toml": robust_cases.DOUBT}) / "doubt.toml")


def test_the_document_tells_shares_and_roles(doubt):
    found = ask("ratio", count=16, uncertainty=doubt)
    told = answer(found)
    assert told.status == "optimal" and told.solved == 16 == told.asked and told.failed == {}
    assert told.designs[0].roles[0] == NOMINAL and told.designs[0].nominal_loss == 0
    assert len(told.designs) >= 4 and len({d.chip for d in told.designs}) >= 2
    roles = [role for d in told.designs for role in d.roles]
    assert sorted(roles) == sorted([NOMINAL, REGRET, WORST])
    assert sum(d.scenarios.best_share for d in told.designs) >= 1 - 1e-9
    chosen = told.designs[told.choices[0].design]
    assert chosen.scenarios.regret_worst == pytest.approx(told.choices[0].value, abs=1e-8)
    for d in told.designs:
        loss = d.scenarios
        assert 0 <= loss.regret_mean <= loss.regret_worst <= 1 and loss.regret_p95 <= loss.regret_worst
        assert (loss.regret_worst == 1) == (loss.break_share > 0) == (loss.worst_value is None) == bool(loss.breaks)
        assert chosen.scenarios.regret_worst <= loss.regret_worst + 1e-8
    nominal = told.designs[0].scenarios
    assert nominal.breaks.keys() == {"budget"} and nominal.break_share > 0.05
    assert RobustAnswer.model_validate_json(told.document()) == told


@pytest.mark.slow
def test_must_fit(doubt):
    """Where no design always fits, the least mean regret among those that fit often enough; too often: infeasible."""
    chips = {"chips": ["h100-sxm", "h200-sxm"]}  # each in its turn too dear
    asked = query(**FIELDS | {"allow": chips}, limits={"budget": 4.6e5, "users": 40, "tensor": 8})

    def told(must_fit):
        return answer(robust(load(), asked, Terms(doubt, 16, must_fit=must_fit), Many(), no_bar))

    free = told(0.0)
    shares = [1 - d.scenarios.break_share for d in free.designs]
    assert len(free.designs) > 1 and max(shares) < 1 and free.choices[0].value == 1.0
    assert not free.choices[0].complete
    means = {i: d.scenarios.regret_mean for i, d in enumerate(free.designs)}
    assert free.choices[0].design == min(means, key=lambda i: means[i])
    tight = told(max(shares))
    assert 1 - tight.designs[tight.choices[0].design].scenarios.break_share >= max(shares)
    over = told(1.0)
    assert over.status == "infeasible" and [c.status for c in over.choices] == ["infeasible"] * 2
    assert over.choices[0].design is None


def test_correlated_prices_leave_the_choice_of_chip_alone(tmp_path):
    """All money moves together: no ratio changes its order, and only the size of what is bought can be wrong."""
    file = tmp_path / "doubt.toml"
    paths = ["chips.*.price", "servers.*.price", "prices.default.network", "prices.default.facility"]
    file.write_text(f"schema = 1\n[[uncertain]]\npaths = {json.dumps(paths)}\nfactor = [0.5, 2.0]\n")
    told = answer(ask("ratio", count=6, uncertainty=str(file)))
    assert len({x.draw for x in told.uncertain}) == 1 < len(told.uncertain)
    assert len({(d.chip, d.tensor, d.pipeline) for d in told.designs}) == 1
    assert told.choices[0].value == pytest.approx(0, abs=1e-9)  # a smaller system of the same kind always fits


@pytest.mark.slow
def test_same_answer_on_processes_and_out_of_a_journal(tmp_path):
    alone = run(*SMALL, "--json")
    assert alone.code == 0, alone.err
    assert run(*SMALL, "--json", "--jobs", "2", "--resume", tmp_path).out == alone.out
    lines = (tmp_path / NAME).read_text().splitlines()
    assert run(*SMALL, "--json", "--resume", tmp_path).out == alone.out
    assert (tmp_path / NAME).read_text().splitlines() == lines


def test_a_scenario_that_fails_is_told_and_left_out(tmp_path, monkeypatch):
    from codesign.study import scenario

    solve = scenario._solve

    def flaky(question, point):
        if point["changes"].get("memory.hbm3.price", 0) > 8e-9:
            raise DataError("too dear to think about")
        return solve(question, point)

    monkeypatch.setattr(scenario, "_solve", flaky)
    told = answer(ask("ratio", count=12))
    assert told.failed and told.solved == 12 - len(told.failed)
    assert set(told.failed.values()) == {"too dear to think about"}


def test_command_line(tmp_path):
    done = run(*SMALL, "--export", tmp_path / "out")
    assert done.code == 0, done.err
    for words in ("Least worst regret: ", "Best worst case: ", "Nominal optimum: ", "proven over every layout"):
        assert words in done.out, done.out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"answer.json", "query.toml", "designs.csv", "regrets.csv", "scenarios.csv", "regrets.png",
                     "regrets.svg", "regrets.html"}  # fmt: skip
    document = json.loads((tmp_path / "out" / "answer.json").read_text())
    with (tmp_path / "out" / "regrets.csv").open(newline="") as lines:
        header, *rows = list(csv.reader(lines))
    assert len(rows) == 6 and len(header) == 1 + len(document["designs"])
    worst = max(float(row[1]) for row in rows)
    assert worst == document["designs"][0]["scenarios"]["regret_worst"]
    with (tmp_path / "out" / "scenarios.csv").open(newline="") as lines:
        scenario = next(csv.DictReader(lines))
    assert float(scenario["chips.h100-sxm.price"]) > 1000 and " x " in scenario["best_design"]
    svg = (tmp_path / "out" / "regrets.svg").read_text()
    assert "min-max regret" in svg and "share of scenarios" in svg


def test_nothing_fits_today(tmp_path):
    done = run(*SMALL, "--user-speed", "2000", "--export", tmp_path)
    assert done.code == 5 and "no system satisfies all limits today" in done.out
    assert not (tmp_path / "regrets.png").exists() and (tmp_path / "answer.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scenarios", "0", "--must-fit", "120%", "--model-error", "0.5", "--seed", "-1"],
         ["--scenarios 0: must be at least 1", "--must-fit 1.2: must be a share", "--model-error 0.5: must be above 1",
          "--seed -1"]),
        (["--uncertainty", "none.toml"], ["--uncertainty none.toml: no such file; or use --uncertainty catalogue"]),
        (["--must-fit", "often"], ["'often' is not a quantity"]),
        (["--jobs", "2", "--dask", "tcp://127.0.0.1:1"], ["--jobs and --dask exclude each other"]),
        (["--dask", "nowhere"], ["--dask nowhere: expected a scheduler's address, as tcp://HOST:8786"]),
        (["--mode", "achieved", "--phases", "disaggregated"], ["robustness is known for one pool, not for two"]),
        (["--chip", "h100-sxm,h900"], ["'h900' is not in the catalogue"]),
    ],
)  # fmt: skip
def test_bad_input(options, said):
    done = run(*SMALL, *options)
    assert done.code == 2 and not done.out
    for words in said:
        assert words in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_losses_below_a_solvers_tolerance_are_chosen_among(tmp_path):
    """A hop's thousandth moves the optimum by a few 1e-8: that is a loss like any other."""
    text = 'schema = 1\n[[uncertain]]\npaths = ["links.*.hop"]\nfactor = [0.999, 1.001]\n'
    table = put(tmp_path, {"unc.toml": text}) / "unc.toml"
    done = run("robust", "--uncertainty", table, "--scenarios", "20", "--json")
    choice = done.json["choices"][1]
    assert (done.code, choice["status"]) == (0, "optimal") and 0 < choice["value"] < 1e-6
    assert choice["value"] == pytest.approx(choice["bound"], rel=1e-6)
