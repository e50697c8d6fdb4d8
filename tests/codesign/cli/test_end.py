"""One meaning of each exit code in every command, and how a command ends when its output or the code itself fails."""

import ast
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import tomli_w
import typer

from codesign.cli.documents import CLASSES
from codesign.cli.main import app
from codesign.facts.exits import Exit
from codesign.kitsune import schedule
from formulations import best_system as formulation
from formulations.solvers.outcome import Status
from tests.cases.command import INSTANCES, Done, known, put, run
from tests.cases.fleet_plans import ONE
from tests.cases.mix_tables import DEMAND, TABLE

for place in ("codesign.study.query_study", "codesign.study.plan_study", "codesign.cli.verify"):
    import_module(place)  # before what they import is replaced, which they would keep

MLP = str(INSTANCES / "graphs" / "mlp.toml")
H100 = "--mode limit --model llama-3.1-8b --chip h100-sxm --budget $1M"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan, a measured table with its demand, an answer and the same answer changed."""
    folder = tmp_path_factory.mktemp("files")
    answer = known("best", "--json", *shlex.split(H100)).json
    wrong = answer | {"proof": answer["proof"] | {"value": answer["proof"]["value"] * 1.01}}
    return put(folder, {
        "plan.toml": tomli_w.dumps(ONE), "table.csv": TABLE, "demand.toml": DEMAND, "answer.json": json.dumps(answer),
        "wrong.json": json.dumps(wrong),
    })  # fmt: skip


ENDS = [
    (f"best {H100}", 0), (f"best {H100} --power '1 W'", 5), ("best --power 3", 2),
    ("verify answer.json", 0), ("verify wrong.json", 5), ("verify table.csv", 2),
    ("fleet plan.toml --quick", 0), ("fleet plan.toml --quick --set limits.capital=$1k", 5),
    ("fleet plan.toml --slices 2", 2),
    ("mix --profile table.csv --demand demand.toml", 0), ("mix --profile table.csv", 2),
    ("mix --profile table.csv --demand demand.toml --speed '50 tokens/s' --available 'large tp2=0'", 5),
    (f"kitsune {MLP} --execution bulk", 0), ("kitsune nothing", 2),
    (f"kitsune {MLP} --gpu-set 'l2_capacity=140000 B' --execution kitsune", 5),
    (f"why-not {H100} --memory hbm3", 0), (f"why-not {H100} --memory hbm4", 5), ("why-not", 2),
    (f"relax {H100}", 0), (f"relax {H100} --no-chip h100-sxm", 5), (f"relax {H100} --weight x=1", 2),
    (f"relax {H100} --power '10 W'", 0),
    (f"frontier {H100}", 0), (f"frontier {H100} --power '1 W'", 5), (f"frontier {H100} --axes x", 2),
    (f"switch {H100} --parameter limits.budget", 0), (f"switch {H100}", 2),
    (f"sensitivity {H100} --power '1 W'", 5), ("sensitivity --power 3", 2),
    (f"robust {H100} --power '1 W' --scenarios 1", 5), (f"robust {H100} --must-fit x", 2),
    ("predict --model llama-3.1-8b --chip h100-sxm --tensor 1", 0), ("predict --model x --chip h100-sxm", 2),
    ("validate answer.json", 2), ("calibrate answer.json --out out", 2), ("schema answer", 0), ("schema x", 2),
    ("catalog list", 0), ("catalog list x", 2), ("catalog show chips l4", 0), ("catalog show x", 2),
    ("catalog check", 0), ("catalog check --catalog x", 2), ("best --bogus", 2), ("bogus", 2),
]  # fmt: skip
DEAR = ("switch", "calibrate", f"why-not {H100} --memory hbm3", f"robust {H100} --power", f"relax {H100} --power")


@pytest.mark.parametrize(("words", "code"), [
    pytest.param(words, code, id=f"{words} -> {code}", marks=[pytest.mark.slow] if words.startswith(DEAR) else [])
    for words, code in ENDS
])  # fmt: skip
def test_command_ends(words: str, code: int, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    done = run(*shlex.split(words))
    assert done.code == code, done.out + done.err
    assert (done.out == "") == (code == Exit.BAD_INPUT) and (done.err == "") == (code != Exit.BAD_INPUT)
    if code == Exit.BAD_INPUT and "Usage" not in done.err:
        assert done.err.startswith("error: ")


@pytest.mark.parametrize("document", CLASSES)
def test_every_status_of_every_document_has_its_code(document: str) -> None:
    """Of `relax` feasible is an answer, nothing to relax, and its command says so."""
    field = CLASSES[document].model_fields.get("status")
    statuses = () if field is None else get_args(field.annotation)
    assert field is None or statuses
    for status in statuses:
        assert Exit.of(status) in Exit
        assert (Exit.of(status) == Exit.INFEASIBLE) == (status in ("infeasible", "incurable", "absent"))


def test_status_of_solvers_and_schedules() -> None:
    found = {status.value: Exit.of(status.value) for status in Status if status is not Status.UNBOUNDED}
    assert found == {"optimal": 0, "feasible": 3, "infeasible": 5, "unknown": 3}
    assert {status.value for status in schedule.Status} == {status.value for status in Status}


def test_no_command_ends_with_a_number_of_its_own() -> None:
    """And none with 1, which is Python's."""
    modules = sorted((Path(__file__).parents[3] / "codesign" / "cli").glob("*.py"))
    every = [node for path in modules for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    ends = [call for call in every
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("typer.Exit", "SystemExit")]  # fmt: skip
    assert len(ends) >= 12
    for call in ends:
        assert "Exit." in ast.unparse(call.args[0]) or "ended(" in ast.unparse(call), ast.unparse(call)
    assert 1 not in list(Exit)


@pytest.mark.parametrize("words", [
    f"why-not {H100} --memory hbm3", f"frontier {H100}",
    pytest.param(f"sensitivity {H100}", marks=pytest.mark.slow), f"robust {H100} --scenarios 1",
])  # fmt: skip
def test_what_is_not_proven_is_undecided(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that rests on programs, where none is solved to its end; `best` and `relax` enumerate, too."""
    solve = formulation.solve

    def stopped(*args: Any, **given: Any) -> Any:
        outcome, proof = solve(*args, **given)
        return (replace(outcome, status=Status.FEASIBLE) if outcome.status is Status.OPTIMAL else outcome), proof

    monkeypatch.setattr(formulation, "solve", stopped)
    done = run(*shlex.split(words))
    assert done.code == Exit.UNDECIDED, done.out + done.err
    assert (done.err == "") != words.startswith("robust") and "Traceback" not in done.err


# what nobody foresaw

EVERY = [words for words, code in ENDS if code == 0 and not words.startswith("verify")] + [
    "reproduce liminal", "reproduce kitsune", "validate table.csv", "calibrate table.csv --out out",
    "verify answer.json", f"sensitivity {H100}", f"robust {H100}",
]  # fmt: skip
PLACES = ("codesign.facts.catalog.load", "codesign.study.query_study.load", "codesign.mix.profile.read_profile",
          "codesign.facts.document.Document.schema_document",
          "codesign.study.plan_study.load", "codesign.cli.verify.verify_answer")  # fmt: skip


def broken(words: str, files: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Done:
    """The command while what it needs first raises."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(files)
    for place in PLACES:
        monkeypatch.setattr(place, fail)
    return run(*shlex.split(words))


def test_every_command_is_looked_at() -> None:
    group = typer.main.get_command(app)
    asked = {words.split()[0] for words in EVERY}
    assert asked == set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", EVERY)
def test_what_nobody_foresaw_is_one_line(words: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = broken(words, files, monkeypatch, ZeroDivisionError("division\nby zero"))
    assert (done.code, done.out) == (Exit.FAULT, "")
    assert done.err == "error: ZeroDivisionError: division by zero (a fault of codesign; --debug shows where)\n"


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), KeyError("x" * 10000)])
def test_any_error_is_one_line(error: Exception, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = broken("best", files, monkeypatch, error)
    assert (done.code, done.out, done.err.count("\n")) == (Exit.FAULT, "", 1)
    assert done.err.startswith(f"error: {type(error).__name__}") and len(done.err) < 500


@pytest.mark.parametrize("words", ["--debug best", "best --debug", "best --power '1 W' --debug"])
def test_debug_shows_the_trace(words: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = broken(words, files, monkeypatch, ZeroDivisionError("by zero"))
    assert done.code == Exit.FAULT and "Traceback" in done.err and "in fail" in done.err
    assert done.err.splitlines()[-1].startswith("error: ZeroDivisionError")


@pytest.mark.parametrize("words", EVERY)
def test_interrupted(words: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = broken(words, files, monkeypatch, KeyboardInterrupt())
    assert (done.code, done.out) == (Exit.INTERRUPTED, "") and "interrupted" in done.err


# the output

LONG = "catalog show models"  # more than a pipe holds

def shell(command: str) -> Any:
    """A command line of bash; `codesign` stands for ours."""
    line = command.replace("codesign", f"{sys.executable} -m codesign", 1)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["--help", LONG, pytest.param("schema answer", marks=pytest.mark.slow)])
def test_a_reader_that_left_is_no_fault(words: str) -> None:
    done = shell(f"codesign {words} | head -n 1 > /dev/null; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["--help", pytest.param("schema answer", marks=pytest.mark.slow)])
def test_a_full_device_is_one_line(words: str) -> None:
    done = shell(f"codesign {words} > /dev/full")
    assert done.returncode == Exit.BAD_INPUT
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"
