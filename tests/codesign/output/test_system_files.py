"""An exported folder: the answer, the query that gives it again, every candidate, and the program itself."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codesign.facts.errors import DataError
from codesign.output import files
from formulations.solvers import highs
from tests.cases.command import INSTANCES, entry, put, run

FILES = ["answer.json", "candidates.csv", "model.lp", "model.mps", "query.toml"]
H100 = ("--mode", "limit", "--chip", "h100-sxm,h200-sxm")
QUERIES = {
    "built-in": (),
    "full program": (*H100, "--no-removal"),
    "by the hour": ("--budget", "$900/h", "--dollars", "per-hour"),
    "per watt": ("--maximize", "throughput-per-watt"),
    "throughput": ("--maximize", "throughput"),
    "user speed": ("--maximize", "user-speed", "--users", "64"),
    "cost": ("--maximize", "cost", "--users", "300"),
    "spares": ("--spare-servers", "1", "--cost", "pue=1.1", "--assume", "chips.h100-sxm.price=20k$"),
    "rent": ("--basis", "rent", "--budget", "$900/h", "--dollars", "per-hour", "--vendor", "AMD"),
    "experts": ("--model", "deepseek-v3", *H100),
    "experts, full program": ("--mode", "limit", "--model", "mixtral-8x22b", "--chip", "h100-sxm", "--no-removal"),
    "several precisions": (*H100, "--precision", "fp8,bf16", "--kv-precision", "bf16", "--context", "4k"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a query of QUERIES, made once."""
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("exports") / "out"
            assert run("best", *QUERIES[name], "--export", made[name]).code == 0
        return made[name]

    return folder_of


def answer_of(path: Path) -> Any:
    return json.loads((path / "answer.json").read_text(encoding="utf-8"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with (path / "candidates.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def header_of(path: Path) -> dict[str, float]:
    """Numbers that the comment lines on top give."""
    text = path.read_text(encoding="utf-8")
    return {name: float(value) for name, value in re.findall(r"^[\\*] ([\w* -]+) = (\S+)$", text, re.M)}


@pytest.mark.parametrize("name", QUERIES)
def test_folder_holds_everything(name: str, exported: Any) -> None:
    assert sorted(path.name for path in exported(name).iterdir()) == FILES


@pytest.mark.parametrize("name", QUERIES)
def test_exported_query_gives_the_answer_again(name: str, exported: Any) -> None:
    out = exported(name)
    removal = ["--no-removal"] if "--no-removal" in QUERIES[name] else []
    again, first = run("best", out / "query.toml", "--json", *removal).json, answer_of(out)
    for answer in (again, first):
        answer["proof"].pop("seconds")
    assert again == first


@pytest.mark.parametrize("name", QUERIES)
def test_candidates_are_every_feasible_layout_best_first(name: str, exported: Any) -> None:
    answer, rows = answer_of(exported(name)), rows_of(exported(name))
    proof, system, top = answer["proof"], answer["system"], rows[0]
    keys = ("chip", "tensor", "pipeline", "expert", "weights", "kv")
    assert len({tuple(row[key] for key in keys) for row in rows}) == proof["feasible"]
    assert len({row["column"] for row in rows}) == len(rows)
    sign = 1 if answer["query"]["maximize"] == "cost" else -1
    values = [float(row["value"]) for row in rows]
    assert values == sorted(values, key=lambda value: sign * value)
    assert float(top["value"]) == pytest.approx(proof["value"], rel=1e-9)
    assert {row["unit"] for row in rows} == {proof["unit"]}
    ties = [row for row in rows if float(row["value"]) == pytest.approx(proof["value"], rel=1e-9)]
    assert [str(system[key]) for key in keys] in [[row[key] for key in keys] for row in ties]
    for row in rows:
        assert sign * (float(row["value"]) - float(row["bound"])) >= -1e-9 * abs(float(row["value"]))
        assert int(row["users"]) == int(row["batch"]) * int(row["pipeline"])


@pytest.mark.parametrize("name", QUERIES)
def test_what_was_removed_could_not_win(name: str, exported: Any) -> None:
    answer, rows = answer_of(exported(name)), rows_of(exported(name))
    sign = 1 if answer["query"]["maximize"] == "cost" else -1
    removed = [row for row in rows if row["removed"]]
    assert all(sign * (float(row["bound"]) - answer["proof"]["value"]) > 0 for row in removed)
    assert rows[0]["removed"] == ""
    if "--no-removal" in QUERIES[name]:
        assert removed == []


@pytest.mark.parametrize("suffix", ["lp", "mps"])
@pytest.mark.parametrize("name", QUERIES)
def test_program_read_back_has_the_stated_optimum(name: str, suffix: str, exported: Any) -> None:
    """Ratio: max N - lambda D is that of the answer, to 1e-6 of N; others: the optimum itself."""
    path = exported(name) / f"model.{suffix}"
    header, optimum = header_of(path), highs.read_optimum(path)
    if "optimum" in header:
        assert optimum == pytest.approx(header["optimum"], rel=1e-6)
        return
    numerator, denominator, lam = header["N"], header["D"], header["lambda"]
    assert header["ratio"] == pytest.approx(numerator / denominator, rel=1e-12)
    assert lam == pytest.approx(header["ratio"], rel=1e-6)
    assert header["N - lambda * D"] == pytest.approx(numerator - lam * denominator, abs=1e-9 * numerator)
    assert optimum == pytest.approx(numerator - lam * denominator, abs=1e-6 * numerator)


def test_ratio_in_the_header_is_the_answer(exported: Any) -> None:
    """tokens/s per dollar is users per ms per thousand dollars."""
    header = header_of(exported("built-in") / "model.lp")
    assert header["ratio"] == pytest.approx(answer_of(exported("built-in"))["proof"]["value"], rel=1e-9)


def test_full_program_holds_every_column(exported: Any) -> None:
    columns = {row["column"] for row in rows_of(exported("full program"))}
    text = (exported("full program") / "model.lp").read_text(encoding="utf-8")
    assert columns == set(re.findall(r"read_memory\((\d+)\)", text))


def test_reduced_program_holds_the_columns_that_were_not_removed(exported: Any) -> None:
    kept = {row["column"] for row in rows_of(exported("built-in")) if not row["removed"]}
    text = (exported("built-in") / "model.mps").read_text(encoding="utf-8")
    assert kept == set(re.findall(r"read_memory\((\d+)\)", text))


def test_infeasible_query_exports_what_there_is(tmp_path: Path) -> None:
    done = run("best", "--budget", "$1k", "--export", tmp_path / "out")
    assert done.code == 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["answer.json", "candidates.csv", "query.toml"]
    assert rows_of(tmp_path / "out") == []
    assert run("best", tmp_path / "out" / "query.toml").code == 5


def test_own_catalogue_is_named_in_the_query(tmp_path: Path) -> None:
    own = put(tmp_path / "own", {"chips/mine.toml": entry("chips", "h100-sxm", called="mine")})
    assert run("best", "--chip", "mine", "--catalog", own, "--export", tmp_path / "out").code == 0
    assert f"--catalog {own}" in (tmp_path / "out" / "query.toml").read_text(encoding="utf-8")
    assert run("best", tmp_path / "out" / "query.toml", "--catalog", own).code == 0


# writing whole or not at all


def test_export_over_an_older_one_leaves_nothing_of_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("best", *H100, "--export", out).code == 0
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    (out / "answer.json").write_text("x" * 10**6, encoding="utf-8")
    assert run("best", "--budget", "$1k", "--export", out).code == 5
    assert sorted(path.name for path in out.iterdir()) == ["answer.json", "candidates.csv", "notes.txt", "query.toml"]
    assert answer_of(out)["status"] == "infeasible"
    assert list(tmp_path.iterdir()) == [out]


def test_folders_in_between_are_made(tmp_path: Path) -> None:
    assert run("best", *H100, "--export", tmp_path / "a" / "b").code == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b"]


@pytest.mark.parametrize("place", ["file", "file/inside", "taken", "/proc/out"])
def test_place_that_cannot_be_written(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "taken" / "answer.json").mkdir(parents=True)
    done = run("best", *H100, "--export", tmp_path / place)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: --export {tmp_path / place}: ")
    assert done.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


class Stop(Exception):
    pass


@pytest.mark.parametrize("reason", [KeyboardInterrupt, Stop, OSError])
@pytest.mark.parametrize("there", [False, True])
def test_half_written_files_do_not_stay(reason: type[BaseException], there: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if there:
        put(out, {"answer.json": "old"})

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text("new", encoding="utf-8")
        (stage / "query.toml").write_text("half", encoding="utf-8")
        raise reason

    with pytest.raises(DataError if reason is OSError else reason):
        files.write_folder(out, fill, FILES)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if there else [])
    if there:
        assert [(path.name, path.read_text(encoding="utf-8")) for path in out.iterdir()] == [("answer.json", "old")]


def test_interrupted_export_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(highs, "write", interrupted)
    done = run("best", *H100, "--export", tmp_path / "a" / "out")
    assert (done.code, done.err.count("\n")) == (130, 1)
    assert done.out.startswith("Asked: ")  # the answer is not lost with its folder
    assert list(tmp_path.iterdir()) == []


def opened_for_writing(fifo: Path) -> int:
    """As soon as the other side reads it; OSError after a minute without a reader."""
    for _ in range(600):
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.1)
    raise OSError(f"nobody reads {fifo}")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_in_a_shell(tmp_path: Path) -> None:
    """Once the query is under way: a file in the own catalogue that blocks the reader says when."""
    own = put(tmp_path / "own", {"sources.toml": ""})
    (own / "chips").mkdir()
    os.mkfifo(own / "chips" / "slow.toml")
    call = [sys.executable, "-m", "codesign", "best", "--catalog", str(own), "--export", str(tmp_path / "out")]

    def heard() -> None:  # a job in the background of a shell has the signal ignored, and hands that down
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(call, **pipes, text=True, preexec_fn=heard) as process:
        writer = opened_for_writing(own / "chips" / "slow.toml")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        os.close(writer)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_our_files_are_as_they_were() -> None:
    """No test wrote into the instances."""
    assert not [path for path in INSTANCES.rglob("*") if path.suffix in (".json", ".csv", ".lp", ".mps")]
