"""The Python interface: words and answers of the command line, shown in terminal, notebook, frame and files."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import codesign as cd
from codesign.facts.errors import DataError
from codesign.facts.units import si
from tests.cases.command import run

ASKED: dict[str, Any] = {"mode": "limit", "model": "llama-3.1-8b", "chip": ["h100-sxm", "h200-sxm"], "power": None}
WORDS = ("--mode", "limit", "--model", "llama-3.1-8b", "--chip", "h100-sxm,h200-sxm", "--power", "none")


@pytest.fixture(scope="module")
def answer() -> Any:
    return cd.best(**ASKED)


def without_clock(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"proof": {k: v for k, v in document["proof"].items() if k != "seconds"}}


def test_says_what_the_command_says(answer: Any) -> None:
    assert without_clock(json.loads(answer.to_json())) == without_clock(run("best", *WORDS, "--json").json)
    shown = [line for line in run("best", *WORDS).out.splitlines() if "seconds" not in line]
    mine = [line for line in repr(answer).splitlines() if "seconds" not in line]
    assert [line.rstrip() for line in mine] == [line.rstrip() for line in shown][:len(mine)]


def test_shows_itself_in_a_notebook(answer: Any) -> None:
    html = answer._repr_html_()
    assert html.startswith("<pre>") and "h200-sxm" in html and "<script" not in html


def test_fields_are_those_of_the_document(answer: Any) -> None:
    assert answer.system == answer.answer.system and answer.proof.value > 0
    with pytest.raises(AttributeError):
        _ = answer.no_such_field


def test_rows_are_numbers_and_the_best_is_first(answer: Any) -> None:
    rows = answer.to_rows()
    assert rows[0]["chip"] == answer.system.chip and rows[0]["value"] == pytest.approx(answer.proof.value)
    assert all(row["value"] <= rows[0]["value"] and isinstance(row["tensor"], int) for row in rows)


def test_frame_is_of_the_rows(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", rows)))
    assert answer.to_frame() == ("frame", answer.to_rows())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError):
        answer.to_frame()


def test_charts_hold_what_the_answer_says(answer: Any) -> None:
    charts = {name: next(iter(chart.to_dict()["datasets"].values())) for name, chart in answer.charts().items()}
    values = {row["memory"]: row["value"] for row in charts["memories"]}
    assert values == {one.label: one.value for one in answer.others if one.value is not None}
    assert sum(row["usd_per_h"] for row in charts["money"]) == pytest.approx(answer.money.hourly_usd)


def test_writes_the_folder_of_the_command(answer: Any, tmp_path: Path) -> None:
    folder = answer.export(tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == [
        "answer.json", "candidates.csv", "model.lp", "model.mps", "query.toml"]  # fmt: skip
    assert run("verify", folder / "answer.json").code == 0
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        answer.export(tmp_path / "file")


@pytest.mark.parametrize(("options", "words"), [
    ({"modle": "llama-3.1-8b"}, "option 'modle'"), ({"model": "llama-9"}, "llama-9"),
    ({"budget": "lots"}, "lots"), ({"user_speed": "30 GB"}, "30 GB"),
])  # fmt: skip
def test_what_is_asked_wrongly_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        cd.best(**options)


def test_infeasible_is_an_answer() -> None:
    found = cd.best(**ASKED, user_speed="9000 tokens/s")
    assert found.status == "infeasible" and "Infeasible" in repr(found) and found.charts() == {}


def test_predicts_as_the_command() -> None:
    found = cd.predict("llama-3.1-70b", "h100-sxm", users=32, input="4k", tensor=4)
    said = run("predict", "--model", "llama-3.1-70b", "--chip", "h100-sxm", "--users", "32", "--input", "4k",
               "--tensor", "4", "--json").json  # fmt: skip
    assert json.loads(found.to_json()) == said
    (row,) = found.to_rows()
    assert row["tpot_s"] == said["tpot_s"] and row["prompt"] == si("4k", "tokens")
    with pytest.raises(ValueError, match="to_json"):
        found.export("anywhere")


def test_schedules_as_the_command() -> None:
    found = cd.schedule("dlrm", sizes={"batch": 1024}, gpu_set={"l2_bandwidth": "2x"})
    said = run("kitsune", "dlrm", "--set", "batch=1024", "--gpu-set", "l2_bandwidth=2x", "--json").json
    assert json.loads(found.to_json())["executions"] == said["executions"]
    assert [row["execution"] for row in found.to_rows()] == [one["execution"] for one in said["executions"]]


def test_the_question_and_its_room_have_one_name() -> None:
    """Importing the package `codesign.fleet` takes the name of the function; both can be called."""
    import codesign.fleet.plan  # noqa: F401

    for _ in range(2):
        with pytest.raises(DataError, match=r"limits\.powr"):
            cd.fleet(settings={"limits.powr": "1 kW"})
    with pytest.raises(DataError, match="no such file"):
        cd.fleet("none.toml")
