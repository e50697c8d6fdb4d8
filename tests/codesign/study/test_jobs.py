"""Many solves on this machine: the same results anywhere, failures told, deaths survived, nothing done twice."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.study.jobs import Many, Progress, run
from codesign.study.journal import NAME, Journal, identity, key_of
from codesign.study.work import Attempt, Failure
from tests.cases import job_makers
from tests.cases.command import put

ROOT = Path(__file__).parents[3]


def solved(points: Any, maker: Any, many: Many = Many(), **more: Any) -> dict[Any, Any]:  # noqa: B008 - frozen
    return dict(run(points, maker, many, identity="test", **more))


@pytest.mark.parametrize("jobs", [1, 2])
def test_same_results_anywhere(jobs: int) -> None:
    expected = {n: {"square": n * n, "third": n / 3} for n in range(40)}
    assert solved(iter(range(40)), job_makers.squares, Many(jobs)) == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_point_stops_no_other(jobs: int) -> None:
    seen: list[Progress] = []
    found = solved(range(10), job_makers.faulty, Many(jobs), progress=seen.append)
    assert {n: result for n, result in found.items() if not isinstance(result, Failure)} == {0: 0, 4: 4, 5: 5, 9: 9}
    assert found[1] == Failure("point 1 says no")
    assert found[2] == Failure("ZeroDivisionError: division by zero")
    assert isinstance(found[3], Failure) and "not JSON compliant" in found[3].error
    assert seen[-1] == Progress(done=10, failed=6) and [p.done for p in seen] == list(range(1, 11))


def test_a_maker_that_fails_is_told_for_every_point() -> None:
    assert solved(range(3), job_makers.unmade) == dict.fromkeys(range(3), Failure("no such catalogue"))


@pytest.mark.parametrize(("deaths", "result"), [(1, 3), (2, None)])
def test_a_worker_that_is_killed(tmp_path: Path, deaths: int, result: int | None) -> None:
    """One death is survived; the point that kills its worker twice has failed, and no other."""
    found = solved(range(12), partial(job_makers.deadly, str(tmp_path), deaths), Many(2))
    assert {n: found[n] for n in range(12) if n != 3} == {n: n for n in range(12) if n != 3}
    told = Failure("its worker ended 2 times, the last time by signal SIGKILL")
    assert found[3] == (told if result is None else result)


def test_large_messages_do_not_wait_for_each_other() -> None:
    points = [{"text": "ab" * 1_000_000, "n": n} for n in range(8)]
    found = [result for _, result in run(points, partial(job_makers.large, 2_000_000), Many(2), identity="")]
    assert [len(result) for result in found] == [4_000_000] * 8


def test_nothing_runs_after_a_consumer_stops() -> None:
    results = run(range(1000), partial(job_makers.burn, 1000), Many(2), identity="")
    next(results)
    before = children()
    results.close()
    assert before and not children()


def children() -> list[str]:
    """Spawned processes of this one that still run."""
    ours = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in ours if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def test_jobs_must_be_positive() -> None:
    with pytest.raises(ValueError, match="jobs = 0 must be at least 1"):
        Many(jobs=0)


# the journal


def test_a_run_that_is_resumed_repeats_nothing(tmp_path: Path) -> None:
    maker, many = partial(job_makers.noted, str(tmp_path)), Many(resume=tmp_path / "kept")
    results = run(range(20), maker, many, identity="test")
    first = dict(next(results) for _ in range(7))
    results.close()
    seen: list[Progress] = []
    found = solved(range(20), maker, many, progress=seen.append)
    assert found == {n: n + 1 for n in range(20)} and first.items() <= found.items()
    assert len((tmp_path / "begun.txt").read_text().splitlines()) == 20
    assert seen[-1] == Progress(20, 0, 7)


def test_another_identity_is_other_work(tmp_path: Path) -> None:
    many = Many(resume=tmp_path)
    assert dict(run([2], job_makers.squares, many, identity=identity("catalogue", "query"))) != {}
    seen: list[Progress] = []
    dict(run([2], job_makers.squares, many, identity=identity("catalogue", "another"), progress=seen.append))
    assert seen == [Progress(1, 0, 0)]
    dict(run([2], job_makers.squares, many, identity=identity("catalogue", "query"), progress=seen.append))
    assert seen[1] == Progress(1, 0, 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_power_fails_after_any_result(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed on is on the disk by then: a run resumed from what was synced repeats none of it."""
    folder, real, synced, entered = tmp_path / "run", os.fsync, [0], list[int]()

    def fsync(handle: int) -> None:
        real(handle)
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            entered.append(handle)
        elif os.path.samestat(os.fstat(handle), os.stat(folder / NAME)):
            synced[0] = os.fstat(handle).st_size

    monkeypatch.setattr(os, "fsync", fsync)
    found = run(range(6), job_makers.squares, Many(jobs, resume=folder), identity="test")
    for n, _ in enumerate(found, start=1):
        assert entered, "the journal itself is in no folder"
        left = put(tmp_path / str(n), {NAME: (folder / NAME).read_bytes()[: synced[0]].decode()})
        with Journal(left) as journal:
            assert len(journal) == n


@settings(max_examples=30)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5, unique=True), st.data())
def test_torn_anywhere_in_the_last_line(points: list[str], data: st.DataObject) -> None:
    """All lines before it are known, it is solved again, and no line is lost or doubled after."""
    with tempfile.TemporaryDirectory() as name:
        folder, many = Path(name), Many(resume=Path(name))
        expected = solved(points, job_makers.lengths, many)
        whole = (folder / NAME).read_bytes()
        last = whole.rindex(b"\n", 0, -1) + 1 if len(points) > 1 else 0
        (folder / NAME).write_bytes(whole[: data.draw(st.integers(last, len(whole) - 1))])
        assert solved(points, job_makers.lengths, many) == expected
        assert sorted((folder / NAME).read_bytes().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize("kept", [0, 1, 10, -2, -1])
def test_half_a_line_at_the_end_is_cut_off(tmp_path: Path, kept: int) -> None:
    """However much of the last line reached the disk, the lines before stand and the next line is whole."""
    solved(range(4), job_makers.squares, Many(resume=tmp_path))
    lines = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / NAME).write_bytes(b"".join(lines[:3]) + lines[3][:kept])
    seen: list[Progress] = []
    found = solved(range(5), job_makers.squares, Many(resume=tmp_path), progress=seen.append)
    assert found == {n: {"square": n * n, "third": n / 3} for n in range(5)}
    assert seen[-1].known == (4 if kept == -1 else 3)  # without its last character a line lacks only its end
    with Journal(tmp_path) as journal:
        assert len(journal) == 5


def test_failed_points_are_tried_again(tmp_path: Path) -> None:
    solved(range(3), job_makers.faulty, Many(resume=tmp_path))
    assert "point 1 says no" in (tmp_path / NAME).read_text()
    seen: list[Progress] = []
    found = solved(range(3), job_makers.squares, Many(resume=tmp_path), progress=seen.append)
    assert found[0] == 0 and found[1] == {"square": 1, "third": 1 / 3}  # 0 is out of the journal
    assert seen[-1] == Progress(3, 0, 1)


def test_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, 1e-300, 5e22, -0.0]
    with Journal(tmp_path) as journal:
        journal.append(key_of("", 1), 1, Attempt(json.dumps(values)))
    with Journal(tmp_path) as journal:
        assert json.loads(journal.find(key_of("", 1)) or "") == values
        assert journal.find(key_of("", 2)) is None


def test_a_journal_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("name,price\nh100,3\n")
    with pytest.raises(DataError, match=r"journal.jsonl: line 1 is no line of a journal; move the file away"):
        Journal(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"--resume .*file: cannot be written: File exists"):
        Journal(tmp_path / "file")
    with Journal(tmp_path / "mine"), pytest.raises(DataError, match=r"--resume .*mine: in use by another run"):
        Journal(tmp_path / "mine")


SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from codesign.study.jobs import Many, run
from tests.cases import job_makers

if __name__ == "__main__":
    folder = sys.argv[1]
    many = Many(int(sys.argv[2]), resume=Path(folder) / "kept")
    for point, _ in run(range(60), partial(job_makers.noted, folder), many, identity="test"):
        print(point, flush=True)
"""


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_main_process_is_killed(tmp_path: Path, jobs: int) -> None:
    """kill -9 in mid-run: what was told as finished is kept, workers end, and the next run does only the rest."""
    main = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path), str(jobs)], stdout=subprocess.PIPE, cwd=ROOT,
                            text=True)  # fmt: skip
    assert main.stdout is not None
    told = {int(main.stdout.readline()) for _ in range(10)}
    begun = {int(line.split()[1]) for line in (tmp_path / "begun.txt").read_text().splitlines()}
    main.send_signal(signal.SIGKILL)
    main.wait()
    told |= {int(line) for line in main.stdout.read().split()}
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in begun))
    first = len((tmp_path / "begun.txt").read_text().splitlines())
    seen: list[Progress] = []
    maker = partial(job_makers.noted, str(tmp_path))
    found = solved(range(60), maker, Many(resume=tmp_path / "kept"), progress=seen.append)
    assert found == {n: n + 1 for n in range(60)}
    assert len(told) <= seen[-1].known < 60 and len(told) <= first
    again = (tmp_path / "begun.txt").read_text().splitlines()[first:]
    assert len(again) == 60 - seen[-1].known and not told & {int(line.split()[0]) for line in again}


def wait_until(true: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.02)


def peak_bytes(points: int, many: Many) -> int:
    """Most memory held at once in this process while so many points are solved and dropped."""
    tracemalloc.start()
    padded = ({"n": n, "text": "x" * 4000} for n in range(points))
    assert all(len(result) == 8000 for _, result in run(padded, partial(job_makers.large, 4000), many, identity=""))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_points(tmp_path: Path, jobs: int) -> None:
    few, many = (peak_bytes(n, Many(jobs, resume=tmp_path / str(n))) for n in (60, 360))
    assert many < few + 300_000  # the 300 more would be 1.2 MB as points alone
