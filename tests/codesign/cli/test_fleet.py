"""`codesign fleet` end to end: exit codes, options over the plan, documents, export, verification."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w

from codesign.fleet import best_fleet, prepared
from codesign.fleet.reading import read_plan
from codesign.output.drawing import FORMATS
from codesign.output.fleet_chart import CHARTS
from formulations.solvers import highs
from tests.cases.command import Done, put, run
from tests.cases.fleet_plans import SMALL, catalog, table

PICTURES = [f"{name}.{kind}" for name in CHARTS for kind in FORMATS]
EXPORTED = {"answer.json", "plan.toml", "purchases.csv", "replicas.csv", "program.lp", "program.mps", *PICTURES}
TIGHT = ("--set", "limits.capital=$1M", "--set", "limits.kinds=1")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small plan as a file."""
    folder = tmp_path_factory.mktemp("plan")
    return put(folder, {"small.toml": tomli_w.dumps(table(SMALL))}) / "small.toml"


@pytest.fixture(scope="module")
def exported(written: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Path]:
    """What the command prints of the small plan with a limit, and the folder that it writes."""
    folder = tmp_path_factory.mktemp("export") / "out"
    return run("fleet", written, "--set", "limits.capital=$8M", "--export", folder), folder


def answer_of(folder: Path) -> Any:
    return json.loads((folder / "answer.json").read_text(encoding="utf-8"))


# exit codes


def test_answered(exported: tuple[Done, Path]) -> None:
    done, folder = exported
    assert (done.code, done.err) == (0, "")
    for text in ("least cost", "2 workloads, 2 periods", "capital $8.00M", "\n2026\n", "\n2027\n", "h100-sxm",
                 "b200-sxm", "Limits", "With a single kind of chip", "Proof", "Assumptions",
                 f"Exported to {folder}"):  # fmt: skip
        assert text in done.out, text


def test_infeasible_names_the_limit_and_its_cure(written: Path) -> None:
    done = run("fleet", written, "--json", *TIGHT)
    assert (done.code, done.err) == (5, "")
    found = done.json
    assert (found["status"], found["periods"]) == ("infeasible", [])
    cure = next(one for one in found["cures"] if one["limit"] == "limits.capital")
    again = run("fleet", written, "--json", "--quick", *TIGHT, "--set", f"limits.capital={1e6 + cure['value']!r} USD")
    assert again.code == 0
    almost = 1e6 + 0.95 * cure["value"]
    less = run("fleet", written, "--json", "--quick", *TIGHT, "--set", f"limits.capital={almost!r} USD")
    assert less.code == 5
    limits = {one["limit"] for one in found["cures"]}
    assert limits <= {"limits.capital", "limits.kinds", "workloads.chat.requests", "workloads.long.requests",
                      "workloads.chat.user_speed", "workloads.chat.ttft"}  # fmt: skip
    text = run("fleet", written, *TIGHT)
    assert "Infeasible" in text.out and "limits.capital = $1.00M / $1.00M: " in text.out and "would work" in text.out


def test_a_workload_that_nothing_can_serve_is_named(written: Path) -> None:
    done = run("fleet", written, "--set", "workloads.chat.user_speed=5000 tokens/s")
    assert done.code == 5
    assert "workloads.chat: no allowed chip serves llama-3.1-8b" in done.out
    assert "workloads.chat.user_speed = 5,000 tokens/s: at most" in done.out


def test_undecided_in_the_time_given(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time ends after the preparation, without which nothing is known."""
    monkeypatch.setattr(best_fleet, "prepare", lambda catalog, plan, _: prepared.prepare(catalog, plan))
    done = run("fleet", written, "--time-limit", "0.000001 s", "--json")
    assert done.code == 3
    found = done.json
    assert found["status"] in ("unknown", "feasible")
    assert (found["status"] == "feasible") == bool(found["periods"])
    assert run("fleet", written, "--time-limit", "0.000001 s").code == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--set", "limits.power=5"], ["limits.power", "no unit"]),
        (["--set", "workloads.chat.model=llama"], ["workloads.chat.model = 'llama'"]),
        (["--set", "limits.capital=[1, 2"], ["--set limits.capital=[1, 2", "TOML"]),
        (["--set", "nonsense"], ["--set 'nonsense'", "KEY=VALUE"]),
        (["--survive-share", "2"], ["survive_share = '2'", "less than or equal to 1"]),
        (["--assume", "chips.h100.price=1"], ["chips", "h100"]),
        (["--set", "allow.chips=mi300x"], ["no chip is allowed", "mi300x: no measured runs"]),
        (["--set", "allow.chips=h9"], ["h9"]),
    ],
)  # fmt: skip
def test_bad_input(written: Path, options: list[str], told: list[str]) -> None:
    done = run("fleet", written, *options)
    assert (done.code, done.out) == (2, "")
    assert [text for text in told if text not in done.err] == [], done.err


# documents


def test_the_document_fits_its_schema(exported: tuple[Done, Path]) -> None:
    schema = run("schema", "fleet").json
    jsonschema.Draft202012Validator.check_schema(schema)
    document = answer_of(exported[1])
    jsonschema.validate(document, schema)
    assert document["kind"] == "fleet"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "status": "fine"}, schema)


def test_every_number_behind_it_has_a_source(exported: tuple[Done, Path]) -> None:
    document = answer_of(exported[1])
    paths = {one["path"] for one in document["inputs"]}
    assert {"chips.b200-sxm.price", "models.llama-3.1-8b", "prices.default.electricity"} <= paths
    assert all(one["source"] and one["date"] for one in document["inputs"])
    assert {"achieved.default", "models.llama-3.1-70b"} <= set(document["hashes"])


# export


def test_the_folder_is_complete_and_its_plan_gives_the_same_answer(exported: tuple[Done, Path]) -> None:
    _, folder = exported
    assert {path.name for path in folder.iterdir()} == EXPORTED
    assert all((folder / name).stat().st_size > 1000 for name in PICTURES)
    again = run("fleet", folder / "plan.toml", "--json", "--quick")
    assert again.json["periods"] == answer_of(folder)["periods"]


def test_tables_say_what_the_document_says(exported: tuple[Done, Path]) -> None:
    _, folder = exported
    document = answer_of(folder)
    for name, part in (("purchases.csv", "kinds"), ("replicas.csv", "replicas")):
        with (folder / name).open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        said = [(period["name"], one) for period in document["periods"] for one in period[part]]
        assert len(rows) == len(said)
        for row, (period, one) in zip(rows, said, strict=True):
            assert row["period"] == period
            assert {key: str("" if one[key] is None else one[key]) for key in row if key in one} == {
                key: value for key, value in row.items() if key in one}  # fmt: skip


@pytest.mark.parametrize("name", ["program.lp", "program.mps"])
def test_the_program_read_back_has_the_optimum(exported: tuple[Done, Path], name: str) -> None:
    _, folder = exported
    assert highs.read_optimum(folder / name) == pytest.approx(answer_of(folder)["cost_usd"] / 1e3, rel=1e-3)


def test_an_infeasible_plan_leaves_no_old_tables(written: Path, tmp_path: Path) -> None:
    for name in ("purchases.csv", "fleet.png", "mine.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    assert run("fleet", written, *TIGHT, "--quick", "--export", tmp_path).code == 5
    assert {path.name for path in tmp_path.iterdir()} == {"answer.json", "plan.toml", "mine.txt"}
    assert read_plan(catalog(), tmp_path / "plan.toml", {}, "").limits.kinds == 1


# verification


def test_an_answer_holds(exported: tuple[Done, Path]) -> None:
    done = run("verify", exported[1] / "answer.json")
    assert done.code == 0
    assert "the answer holds" in done.out and "every replica" in done.out


def _tampered(exported: Path, folder: Path, *path: Any, value: Any) -> Path:
    document = answer_of(exported)
    spot = document
    for key in path[:-1]:
        spot = spot[key]
    assert spot[path[-1]] != value
    spot[path[-1]] = value
    return put(folder, {"answer.json": json.dumps(document)}) / "answer.json"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("periods", 0, "replicas", 0, "replicas"), 1, "requests/s"),
        (("periods", 1, "kinds", 0, "owned"), 0, "fault"),
        (("periods", 0, "capital_usd"), 1.0, "capital_usd"),
        (("periods", 0, "workloads", 0, "usd"), 1.0, "workloads.chat.usd"),
        (("periods", 0, "replicas", 0, "user_speed"), 1e4, "user_speed"),
        (("cost_usd",), 1.0, "cost_usd"),
        (("proof", "value"), 1.0, "objective"),
        (("proof", "bound"), 1e9, "better than the recorded bound"),
        (("plan", "limits", "capital"), ["$1M"], "capital"),
        (("plan", "workloads", "chat", "requests"), ["500 requests/s"], "500"),
    ],
)  # fmt: skip
def test_a_changed_answer_does_not_hold(
    exported: tuple[Done, Path], tmp_path: Path, path: tuple[Any, ...], value: Any, told: str
) -> None:
    done = run("verify", _tampered(exported[1], tmp_path, *path, value=value))
    assert done.code == 5
    assert "does not hold" in done.out and told in done.out, done.out


def test_verify_says_what_changed_in_the_catalogue(exported: tuple[Done, Path], tmp_path: Path) -> None:
    own = put(tmp_path / "own", {"chips/h100-sxm.toml": (
        Path(__file__).parents[3] / "instances" / "chips" / "h100-sxm.toml").read_text(encoding="utf-8").replace(
        '"26000 USD"', '"27000 USD"')})  # fmt: skip
    shutil.copy(exported[1] / "answer.json", tmp_path / "answer.json")
    done = run("verify", tmp_path / "answer.json", "--catalog", own)
    assert "chips.h100-sxm.price: 26000 USD" in done.out and "27000 USD" in done.out


def test_time_that_ends_before_replicas_are_known_is_undecided() -> None:
    done = run("fleet", "--time-limit", "1 ns")
    assert (done.code, done.out) == (3, "")
    assert "no fleet is known yet" in done.err
