"""Many solves on a Dask cluster of real processes: the same results, and deaths of any part survived."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from codesign.facts.errors import DataError
from codesign.study import dask as under_test
from codesign.study.jobs import Many, Progress, run
from codesign.study.work import Failure
from tests.cases import job_makers
from tests.cases.dask_cluster import ROOT, Cable, LocalCluster, local_cluster

POINTS = 100


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with local_cluster() as running:
        yield running


def resumed(folder: Path, maker: Any, points: int) -> tuple[dict[int, Any], Progress]:
    """All results, the rest of them solved in this process; and how many were known."""
    seen: list[Progress] = []
    found = dict(run(range(points), maker, Many(resume=folder / "kept"), identity="t", progress=seen.append))
    return found, seen[-1]


@pytest.mark.slow
def test_same_results_failures_and_no_second_run(cluster: LocalCluster, tmp_path: Path) -> None:
    many = Many(dask=cluster.address, resume=tmp_path)
    assert dict(run(range(30), job_makers.squares, many, identity="a")) == {
        n: {"square": n * n, "third": n / 3} for n in range(30)
    }
    found = dict(run(range(5), job_makers.faulty, many, identity="b"))
    assert found[0] == 0 and found[1] == Failure("point 1 says no") and found[4] == 4
    seen: list[Progress] = []
    dict(run(range(30), job_makers.squares, many, identity="a", progress=seen.append))
    assert seen[-1] == Progress(30, 0, 30)


@pytest.mark.slow
def test_a_worker_is_killed(cluster: LocalCluster, tmp_path: Path) -> None:
    """Its points go to the other worker; no point is lost."""
    maker = partial(job_makers.noted, str(tmp_path))
    results = run(range(POINTS), maker, Many(dask=cluster.address), identity="t")
    found = dict(next(results) for _ in range(10))
    cluster.workers[0].send_signal(signal.SIGKILL)
    found |= dict(results)
    assert found == {n: n + 1 for n in range(POINTS)}


@pytest.mark.slow
def test_the_connection_is_cut(cluster: LocalCluster, tmp_path: Path) -> None:
    """The client connects again and goes on; what was under way is given out again."""
    cable = Cable(cluster.address)
    maker = partial(job_makers.noted, str(tmp_path))
    results = run(range(POINTS), maker, Many(dask=cable.address, resume=tmp_path / "kept"), identity="t")
    found = dict(next(results) for _ in range(10))
    assert cable.cut() >= 2
    found |= dict(results)
    cable.close()
    assert found == {n: n + 1 for n in range(POINTS)}
    assert len((tmp_path / "begun.txt").read_text().splitlines()) <= POINTS + 8


@pytest.mark.slow
def test_the_scheduler_is_killed(cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear message; all that was told as finished is in the journal, and only the rest is solved."""
    monkeypatch.setattr(under_test, "PATIENCE_S", 2.0)
    maker = partial(job_makers.noted, str(tmp_path))
    results = run(range(POINTS), maker, Many(dask=cluster.address, resume=tmp_path / "kept"), identity="t")
    told = dict(next(results) for _ in range(10))
    cluster.scheduler.send_signal(signal.SIGKILL)
    with pytest.raises(DataError, match="stopped answering; with --resume DIR nothing that was finished is lost"):
        told |= dict(results)
    found, last = resumed(tmp_path, maker, POINTS)
    assert found == {n: n + 1 for n in range(POINTS)} and told.items() <= found.items()
    assert 10 <= len(told) <= last.known < POINTS


SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from codesign.study.jobs import Many, run
from tests.cases import job_makers

many = Many(dask=sys.argv[2], resume=Path(sys.argv[1]) / "kept")
for point, _ in run(range(100), partial(job_makers.noted, sys.argv[1]), many, identity="t"):
    print(point, flush=True)
"""


@pytest.mark.slow
def test_the_main_process_is_killed(cluster: LocalCluster, tmp_path: Path) -> None:
    main = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path), cluster.address], stdout=subprocess.PIPE,
                            cwd=ROOT, text=True)  # fmt: skip
    assert main.stdout is not None
    told = {int(main.stdout.readline()) for _ in range(10)}
    main.send_signal(signal.SIGKILL)
    main.wait()
    told |= {int(line) for line in main.stdout.read().split()}
    maker = partial(job_makers.noted, str(tmp_path))
    found, last = resumed(tmp_path, maker, POINTS)
    assert found == {n: n + 1 for n in range(POINTS)} and len(told) <= last.known < POINTS


@pytest.mark.slow
def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "ANSWER_S", 1.0)
    with local_cluster(workers=0) as empty, pytest.raises(DataError, match="has no workers; start some with `dask w"):
        list(run([1], job_makers.squares, Many(dask=empty.address), identity=""))


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens; somebody listens and says nothing; no such host; no address at all."""
    monkeypatch.setattr(under_test, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for place in (f"127.0.0.1:{silent.getsockname()[1]}", "127.0.0.1:1", "no-such-host.invalid:8786"):
            with pytest.raises(DataError, match=f"--dask tcp://{place}: no scheduler answers there within 0.5 s"):
                list(run([1], job_makers.squares, Many(dask=f"tcp://{place}"), identity=""))
    for address in ("nonsense", "localhost:8786", "tcp://localhost", "http://localhost:8787"):
        with pytest.raises(DataError, match=f"--dask {address}: expected a scheduler's address, as tcp://HOST:8786"):
            list(run([1], job_makers.squares, Many(dask=address), identity=""))
