"""A folder that is written over is, whatever ends the process, the old one, the new one, or marked as neither."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.output import files as atomic
from tests.cases.command import every_file, put, run

NAMES = ("answer.json", "plan.toml", "query.toml", "table.csv")
STEPS = ("replace", "rename", "unlink", "fsync", "rmdir", "mkdir")
H100 = ("--mode", "limit", "--chip", "h100-sxm")


class Killed(BaseException):
    """The process is no more; nothing of it runs after this."""


@contextmanager
def killed_at(step: int) -> Iterator[list[str]]:
    """Each call that changes a folder is counted, and all of them fail from the given one on."""
    done: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **given: Any) -> Any:
            if len(done) >= step:
                raise Killed
            done.append(name)
            return real(*args, **given)

        return call

    real = {name: getattr(os, name) for name in STEPS} | {"fsync": lambda _: None}  # waiting for the disk shows nothing
    patches = [patch.object(os, name, counted(name, call)) for name, call in real.items()]
    cleaning = patch.object(atomic.shutil, "rmtree", lambda *_, **__: None)
    for one in (*patches, cleaning):
        one.start()
    try:
        yield done
    finally:
        for one in (*patches, cleaning):
            one.stop()


def write(folder: Path, content: dict[str, str], names: tuple[str, ...] = NAMES) -> None:
    atomic.write_folder(folder, lambda stage: put(stage, content) and None, names)


def seen(folder: Path) -> dict[str, str]:
    return {} if not folder.exists() else {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*") if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }  # fmt: skip


def steps_of(folder: Path, content: dict[str, str]) -> int:
    with killed_at(10**6) as done:
        write(folder, content)
    return len(done)


CONTENTS = st.dictionaries(st.sampled_from(("answer.json", "query.toml", "table.csv", "achieved/default.toml")),
                           st.sampled_from(("old", "new", "other")), min_size=1)  # fmt: skip


@settings(max_examples=50)
@given(CONTENTS, CONTENTS, st.booleans(), st.data())
def test_killed_anywhere_the_folder_is_old_or_new_or_refused(
    old: dict[str, str], new: dict[str, str], foreign: bool, data: st.DataObject
) -> None:
    mine = {"notes.txt": "mine"} if foreign else {}
    with tempfile.TemporaryDirectory() as place:
        most = steps_of(put(Path(place) / "count", old | mine), new)
        step = data.draw(st.integers(0, most), label="step")
        out = put(Path(place) / "out", old | mine)
        with killed_at(step), pytest.raises(Killed) if step < most else nullcontext():
            write(out, new)
        found = seen(out)
        assert {name: found.get(name) for name in mine} == mine
        kept = {name: text for name, text in old.items() if name not in NAMES}  # not the writer's to remove
        try:
            atomic.check_whole(out)
        except DataError:
            assert "INCOMPLETE" in found
        else:
            assert found in (old | mine, kept | new | mine)
        steps_of(out, new)
        assert seen(out) == kept | new | mine


def test_every_step_of_replacing_is_one_of_the_three(tmp_path: Path) -> None:
    old, new = dict.fromkeys(NAMES, "old"), {"answer.json": "new", "query.toml": "new"}
    most = steps_of(put(tmp_path / "count", old), new)
    kinds: list[Any] = []
    for step in range(most + 1):
        out = put(tmp_path / str(step), old)
        with killed_at(step), suppress(Killed):
            write(out, new)
        found = seen(out)
        kinds.append("marked" if "INCOMPLETE" in found else "old" if found == old else "new" if found == new else found)
    assert set(kinds) == {"old", "marked", "new"}
    assert kinds == sorted(kinds, key=("old", "marked", "new").index)


def test_new_folder_killed_at_every_step_is_absent_or_whole(tmp_path: Path) -> None:
    new = {"answer.json": "new", "query.toml": "new"}
    most = steps_of(tmp_path / "count", new)
    for step in range(most + 1):
        with killed_at(step), suppress(Killed):
            write(tmp_path / str(step), new)
        assert seen(tmp_path / str(step)) in ({}, new)


def test_mark_of_another_command_stays_until_its_files_are_whole(tmp_path: Path) -> None:
    out = put(tmp_path, {"answer.json": "old", "table.csv": "new", "INCOMPLETE": "answer.json\ntable.csv\n"})
    write(out, {"frontier.json": "new"}, names=("frontier.json",))
    with pytest.raises(DataError, match="cut short"):
        atomic.check_whole(out)
    write(out, {"answer.json": "new", "table.csv": "new"})
    atomic.check_whole(out)
    assert dict(every_file(out)) == {"answer.json": "new", "frontier.json": "new", "table.csv": "new"}


def test_verify_refuses_a_marked_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("best", *H100, "--export", out).code == 0
    assert run("verify", out / "answer.json").code == 0
    (out / "INCOMPLETE").write_text("answer.json\n", encoding="utf-8")
    done = run("verify", out / "answer.json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {out}: an export into it was cut short")


@pytest.mark.parametrize("when", ["fill", "move"])
def test_ctrl_c_leaves_the_old_or_the_new(when: str, tmp_path: Path) -> None:
    out = put(tmp_path / "out", dict.fromkeys(NAMES, "old"))
    real = os.replace

    def struck(*args: Any) -> None:
        real(*args)
        signal.raise_signal(signal.SIGINT)

    def fill(stage: Path) -> None:
        put(stage, {"answer.json": "new", "query.toml": "new"})
        if when == "fill":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), patch.object(os, "replace", struck if when == "move" else real):
        atomic.write_folder(out, fill, NAMES)
    assert seen(out) == (dict.fromkeys(NAMES, "old") if when == "fill" else {"answer.json": "new", "query.toml": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_written_in_another_thread(tmp_path: Path) -> None:
    """Where Python lets nobody change what a signal does."""
    thread = threading.Thread(target=write, args=(tmp_path / "out", {"answer.json": "new"}))
    thread.start()
    thread.join()
    assert seen(tmp_path / "out") == {"answer.json": "new"}


KILLER = """
import sys
from pathlib import Path
from codesign.output import files as atomic
names = [f"{i}.csv" for i in range(40)]
for turn in range(10**6):
    def fill(stage):
        for name in names:
            (stage / name).write_text(str(turn))
    atomic.write_folder(Path(sys.argv[1]), fill, names)
    print(turn, flush=True)
"""


@pytest.mark.slow
def test_killed_for_good(tmp_path: Path) -> None:
    """Files that are all of one turn, or the mark."""
    kinds = set()
    for delay in range(8):
        out = tmp_path / str(delay)
        with subprocess.Popen([sys.executable, "-c", KILLER, str(out)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "0\n"
            time.sleep(delay * 0.002)
            process.kill()
        turns = {text for name, text in seen(out).items() if name.endswith(".csv")}
        kinds.add("marked" if (out / "INCOMPLETE").exists() else len(turns))
        assert (out / "INCOMPLETE").exists() or len(turns) == 1
    assert kinds <= {"marked", 1}


# places that cannot be written, before the work and after it


def worked(*_: object, **__: object) -> None:
    raise AssertionError("work began")


BAD = {
    "a file": ("file", "is a file"), "inside a file": ("file/inside", "Not a directory"),
    "name too long": ("x" * 256, "File name too long"), "long name inside": ("new/" + "x" * 256, "File name too long"),
    "taken": ("taken", "holds folders called"), "no place for folders": ("/proc/out", "cannot be written"),
}  # fmt: skip
COMMANDS = {
    "best": ("best", "--export"), "fleet": ("fleet", "--export"), "robust": ("robust", "--export"),
    "robust, resumed": ("robust", "--resume"), "switch": ("switch", "--all", "--export"),
    "sensitivity": ("sensitivity", "--export"), "frontier": ("frontier", "--export"),
    "why-not": ("why-not", "--chip", "h100-sxm", "--export"), "relax": ("relax", "--export"),
    "kitsune": ("kitsune", "dlrm", "--export"), "study": ("reproduce", "kitsune", "--export"),
    "mix": ("mix", "--profile", "p.csv", "--export"), "validate": ("validate", "m.csv", "--out"),
    "calibrate": ("calibrate", "m.csv", "--out"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_place_is_told_before_any_work(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codesign.facts.catalog.load", worked)
    put(tmp_path, {"file": "mine"})
    (tmp_path / "taken" / "answer.json").mkdir(parents=True)
    option = COMMANDS[command][-1]
    for place, said in list(BAD.values())[: None if command == "best" else 1]:
        done = run(*COMMANDS[command], tmp_path / place)
        assert (done.code, done.out) == (2, ""), done.err
        assert done.err.startswith(f"error: {option} {tmp_path / place}: ")
        assert said in done.err and done.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_disk_full_or_read_only_is_told_before_any_work(
    fault: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr("codesign.facts.catalog.load", worked)
    monkeypatch.setattr(os, "fsync" if fault == errno.ENOSPC else "mkdir", refused)
    done = run("best", "--export", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: --export {tmp_path / 'out'}: cannot be written: {os.strerror(fault)}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_content_is_none_and_goes_if_it_is_there(tmp_path: Path) -> None:
    def written(path: Path) -> None:
        path.write_text("min", encoding="utf-8")

    out = tmp_path / "out"
    put(out, {"old.csv": "old", "mine.txt": "mine"})
    atomic.write_files(out, {"old.csv": None, "new.csv": "\u00e4", "bytes.png": b"png", "deep/model.lp": written})
    assert seen(out) == {"mine.txt": "mine", "new.csv": "\u00e4", "bytes.png": "png", "deep/model.lp": "min"}


def test_trying_leaves_the_place_as_it_was(tmp_path: Path) -> None:
    put(tmp_path / "out", {"notes.txt": "mine"})
    for place in ("out", "new", "new/inside", "out/../new"):
        atomic.check_place(tmp_path / place)
    assert seen(tmp_path) == {"out/notes.txt": "mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("as_json", [False, True])
def test_answer_is_printed_where_the_folder_fails_afterwards(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("formulations.solvers.highs.write", full)
    flag = ["--json"] if as_json else []
    done, plain = run("best", *H100, *flag, "--export", tmp_path / "a" / "out"), run("best", *H100, *flag)
    assert done.code == 2
    assert done.err == f"error: --export {tmp_path / 'a' / 'out'}: cannot be written: No space left on device\n"
    if as_json:
        assert done.json["system"] == plain.json["system"] == json.loads(plain.out)["system"]
    else:
        assert len(done.out.splitlines()) == len(plain.out.splitlines())
        assert "Exported" not in done.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", [("why-not", "--chip", "h200-sxm", *H100[:2]), ("relax", "--budget", "$1k")])
def test_folder_of_what_would_change_the_answer(call: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*call, "--json", "--export", tmp_path / "out")
    files = dict(every_file(tmp_path / "out"))
    assert json.loads(files.pop("answer.json")) == done.json
    tables = {name: list(csv.DictReader(text.splitlines())) for name, text in files.items()}
    if call[0] == "why-not":
        assert {row["term"]: float(row["factor"]) for row in tables["terms.csv"]} == {
            term["name"]: term["factor"] for term in done.json["terms"]}  # fmt: skip
        assert [float(row["needs"]) for row in tables["changes.csv"]] == [
            needs for change in done.json["changes"] for needs in change["needs"].values()]  # fmt: skip
    else:
        cured = [one["cure"]["limit"] for one in done.json["single"]]
        joint = [one["cure"]["limit"] for one in done.json["joint"]["changes"]]
        assert cured and [row["limit"] for row in tables["cures.csv"]] == cured + joint
        assert [row["limit"] for row in tables["conflicts.csv"]] == [
            limit for one in done.json["conflicts"] for limit in one["limits"]]  # fmt: skip
