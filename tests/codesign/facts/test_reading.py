"""Files that cannot be read, in every command that reads one: one message, whatever is wrong with them."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.facts.reading import MOST_DEEP, json_file, toml_of
from codesign.mix import profile
from codesign.physics import measured
from tests.cases.command import put, run
from tests.cases.measured_tables import write_table
from tests.cases.mix_tables import DEMAND, TABLE

DEEP = 10_000
TOML = {
    "brackets": "context = " + "[" * DEEP, "closed": "context = " + "[" * DEEP + "]" * DEEP,
    "tables": "context = " + "{a=" * DEEP + "1" + "}" * DEEP, "dots": ".".join(["context"] * 1000) + " = 1",
    "header": "[" + ".".join(["context"] * 1000) + "]", "just too deep": "context = " + "[" * 60 + "]" * 60,
    "bytes": b"\xff\xfe", "digits": "context = " + "9" * 5000, "beyond 64 bits": f"context = {10**29}",
    "null": "context = \x00", "half": "[[bucket", "beyond a float": f"context = {10**400}",
}  # fmt: skip
JSON = {
    "brackets": "[" * DEEP, "closed": "[" * DEEP + "]" * DEEP, "tables": '{"a":' * DEEP + "1" + "}" * DEEP,
    "bytes": b"\xff\xfe", "digits": '{"context": ' + "9" * 5000 + "}", "beyond 64 bits": f'{{"context": {10**29}}}',
    "half": '{"a', "empty": "", "just too deep": '{"context": ' + "[" * 60 + "]" * 60 + "}",
}  # fmt: skip
READS_TOML = {
    "best": ("best", "FILE"), "frontier": ("frontier", "FILE"), "why-not": ("why-not", "FILE", "--chip", "l4"),
    "fleet": ("fleet", "FILE"), "mix": ("mix", "--profile", "table.csv", "--demand", "FILE"),
    "robust": ("robust", "--chip", "h100-sxm", "--uncertainty", "FILE"), "kitsune": ("kitsune", "FILE"),
}  # fmt: skip
READS_JSON = {
    "verify": ("verify", "FILE"), "kitsune": ("kitsune", "--from", "FILE"), "why-not": ("why-not", "--system", "FILE"),
    "mix": ("mix", "--instance", "FILE"),
}  # fmt: skip


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = put(folder, {"table.csv": TABLE}) / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(folder: Path, words: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = run(*(str(file) if word == "FILE" else word for word in words))
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.startswith("error: ") and str(file) in done.err and "Traceback" not in done.err
    assert done.err.count("\n") == 1 and len(done.err) < 1000


EVERYWHERE = ("closed", "bytes", "just too deep")  # every other fault in one command: they share the reader


@pytest.mark.parametrize(("command", "fault"), [
    (command, fault) for command in READS_TOML for fault in TOML if command == "best" or fault in EVERYWHERE
])  # fmt: skip
def test_wrong_toml(command: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path, READS_TOML[command], written(tmp_path, "file.toml", TOML[fault]), monkeypatch)


@pytest.mark.parametrize(("command", "fault"), [
    (command, fault) for command in READS_JSON for fault in JSON if command == "verify" or fault in EVERYWHERE
])  # fmt: skip
def test_wrong_json(command: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path, READS_JSON[command], written(tmp_path, "file.json", JSON[fault]), monkeypatch)


@pytest.mark.parametrize("command", [*READS_TOML, "verify", "from", "system", "instance", "profile", "validate"])
def test_a_name_too_long(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {"verify": ("verify", "FILE"), "from": ("kitsune", "--from", "FILE"), "validate": ("validate", "FILE"),
              "system": ("why-not", "--system", "FILE"), "instance": ("mix", "--instance", "FILE"),
              "profile": ("mix", "--profile", "FILE", "--demand", "d.toml")}  # fmt: skip
    name = "x" * 5000 + ".toml"
    monkeypatch.chdir(put(tmp_path, {"table.csv": TABLE, "d.toml": DEMAND}))
    done = run(*(name if word == "FILE" else word for word in (READS_TOML | others)[command]))
    assert (done.code, done.out) == (2, "") and "name too long" in done.err.lower(), done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("option", ["--model", "--chip", "--memory", "--catalog", "--release", "--budget", "--context"])
def test_a_value_too_long(option: str) -> None:
    done = run("best", option, "9" * 10_000)
    assert (done.code, done.out) == (2, "") and len(done.err) < 3000, done.err[:300]


@pytest.mark.parametrize("command", ["best", "frontier", "fleet"])
def test_a_pipe_is_read_once(command: str, tmp_path: Path) -> None:
    """As `codesign best <(cat query.toml)`: what is read is gone."""
    pipe = tmp_path / "query.toml"
    os.mkfifo(pipe)
    wrong = 'model = "no-such-model"\ncontext = "8k"\n'
    writer = threading.Thread(target=lambda: pipe.write_text(wrong, encoding="utf-8"), daemon=True)
    writer.start()
    done = run(command, pipe)
    writer.join(timeout=10)
    said = "workloads" if command == "fleet" else "no-such-model"
    assert done.code == 2 and said in done.err and not writer.is_alive()


@pytest.mark.slow
def test_a_pipe_from_a_shell() -> None:
    text = 'model = "llama-3.1-8b"\ncontext = "8k"\nmode = "limit"\n[allow]\nchips = ["l4"]\n[limits]\nchips = 8\n'
    line = f"{sys.executable} -m codesign best <(printf '%s' '{text}')"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_deep_enough_is_read() -> None:
    for depth in (1, MOST_DEEP - 1):
        assert toml_of(f"a = {'[' * depth}{']' * depth}", "here")["a"] is not None
    with pytest.raises(DataError, match="deeper than"):
        toml_of(f"a = {'[' * (MOST_DEEP + 1)}{']' * (MOST_DEEP + 1)}", "here")


@given(st.text(max_size=40))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_any_text_is_a_table_or_a_fault(text: str) -> None:
    told = "here: "
    try:
        found = toml_of(text, "here")
    except DataError as error:
        found, told = {}, str(error)
    assert isinstance(found, dict) and told.startswith("here: ")


def test_any_json_is_content_or_a_fault(tmp_path: Path) -> None:
    file, told = tmp_path / "file.json", []
    for text in ("1", "null", "[]", "{}", "NaN", '"\\ud800"', "[1,]", "{'a': 1}", "\ufeff{}"):
        put(tmp_path, {"file.json": text})
        try:
            json_file(file)
        except DataError as error:
            told.append(str(error))
    assert told and all(str(file) in line for line in told)


def test_so_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any of them is predicted; one fewer is taken."""
    runs = write_table(tmp_path / "runs.csv", only=slice(0, 3))
    monkeypatch.setattr(measured, "MOST_RUNS", 2)
    done = run("validate", runs)
    assert (done.code, done.out) == (2, "") and "more than 2 rows" in done.err
    monkeypatch.setattr(measured, "MOST_RUNS", 3)
    assert run("validate", runs).code == 0
    table = put(tmp_path, {"table.csv": TABLE, "demand.toml": DEMAND}) / "table.csv"
    monkeypatch.setattr(profile, "MOST_ROWS", 6)
    done = run("mix", "--profile", table, "--demand", tmp_path / "demand.toml")
    assert (done.code, done.out) == (2, "") and "more than 6 rows" in done.err
