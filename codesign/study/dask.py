"""Points on a Dask cluster that is already there; needs the extra `dask`.

Each of the cluster's threads has a solver of its own; start its workers with one thread each, since Python
runs one at a time. A worker that dies is the scheduler's affair: it gives the point to another one, and up
when the point has ended as many workers as it allows (its setting `allowed-failures`). When the scheduler
cannot be reached for a while the run ends, and the journal has all that was finished.
"""

import importlib
import logging
import pickle
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from codesign.facts.errors import DataError
from codesign.facts.version import __version__
from codesign.study.work import Attempt, Maker, Solve, attempt, made

ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d+")
AHEAD = 2         # points for each of the cluster's threads, as for processes
ANSWER_S = 10.0   # within which a scheduler answers, and has a worker
PATIENCE_S = 30.0  # for a scheduler, or for any worker, that went away in mid-run


class Cluster:
    """`work.Workers` on a Dask scheduler's workers. Raises DataError where it does not answer."""

    def __init__(self, maker: Maker, address: str) -> None:
        self._address, self._run = address, uuid.uuid4().hex
        self._level = logging.getLogger("distributed").level
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is said by us
        self._client: Any = _connected(address)
        self._most: int = AHEAD * max(1, sum(self._client.nthreads().values()))
        self._pickled = pickle.dumps(maker)
        self._maker = self._sent()
        self._held: dict[int, tuple[Any, Any]] = {}
        self._ended: SimpleQueue[tuple[int, Any]] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._held.clear()  # futures that nobody holds are cancelled
        with suppress(Exception):  # of many kinds, where the scheduler has gone
            self._client.close(timeout=2)
        logging.getLogger("distributed").setLevel(self._level)

    @property
    def room(self) -> bool:
        """Whether the cluster has fewer points than its threads need."""
        return len(self._held) < self._most

    @property
    def busy(self) -> bool:
        """Whether it has any."""
        return bool(self._held)

    def submit(self, number: int, point: Any) -> None:
        """To the scheduler."""
        key = f"codesign-{self._run}-{number}-{uuid.uuid4().hex[:8]}"
        future = self._client.submit(_solved, self._maker, point, pure=False, key=key)
        self._held[number] = point, future
        future.add_done_callback(lambda done: self._ended.put((number, done)))

    def collect(self) -> Iterator[tuple[int, Attempt]]:
        """What one worker answered; or nothing, where a point had to be given out again."""
        number, future = self._next()
        if number not in self._held or self._held[number][1] is not future:
            return
        if future.status == "finished":
            answer = self._gathered(future)
        elif future.status == "error":
            answer = Attempt(None, f"{type(future.exception()).__name__}: {future.exception()}")
        else:
            answer = None  # cancelled: the scheduler went away
        if answer is not None:
            del self._held[number]
            yield number, answer
        else:
            self._back()
            self.submit(number, self._held[number][0])

    def _gathered(self, future: Any) -> Attempt | None:
        """The answer, fetched from the worker that has it; None where it is lost with worker or scheduler."""
        try:
            found = future.result(timeout=PATIENCE_S)
        except Exception:  # of many kinds, by what was lost; the point is solved again
            return None
        assert isinstance(found, Attempt)
        return found

    def _next(self) -> tuple[int, Any]:
        """The next future that ended; DataError where the cluster has had no worker for a while."""
        missing_s = 0.0
        while True:
            try:
                return self._ended.get(timeout=1.0)
            except Empty:
                missing_s = 0.0 if self._alive() else missing_s + 1.0
                if missing_s > PATIENCE_S:
                    raise self._lost("has no workers any more") from None

    def _alive(self) -> bool:
        return self._client.status == "running" and len(self._client.scheduler_info()["workers"]) > 0

    def _back(self) -> None:
        """Wait until the scheduler is reached again; DataError where it is not."""
        until = time.monotonic() + PATIENCE_S
        while self._client.status != "running":
            if self._client.status == "closed" or time.monotonic() > until:
                raise self._lost("stopped answering")
            time.sleep(0.1)
        if self._maker.status in ("cancelled", "lost"):
            self._maker = self._sent()

    def _sent(self) -> Any:
        """The maker as a task, not as data: the scheduler makes it again when the workers that have it die."""
        return self._client.submit(bytes, self._pickled, pure=False)

    def _lost(self, what: str) -> DataError:
        return DataError(f"--dask {self._address}: the cluster {what}; with --resume DIR nothing that was finished "
                         "is lost, and the same command goes on from there")  # fmt: skip


def _connected(address: str) -> Any:
    """A client of a cluster that answers, has workers, and has our version there; DataError otherwise."""
    try:
        distributed: Any = importlib.import_module("distributed")  # it takes a second, and is an extra
    except ImportError as error:
        raise DataError("--dask needs the extra dask: pip install 'codesign[dask]'") from error
    if not ADDRESS.fullmatch(address):
        raise DataError(f"--dask {address}: expected a scheduler's address, as tcp://HOST:8786")
    try:
        _knock(address)
        client: Any = distributed.Client(address, timeout=ANSWER_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise DataError(f"--dask {address}: no scheduler answers there within {ANSWER_S:g} s") from error
    try:
        client.wait_for_workers(1, timeout=ANSWER_S)
        _check_version(client, address)
    except TimeoutError as error:
        client.close(timeout=2)
        raise DataError(f"--dask {address}: the cluster has no workers; start some with `dask worker {address}`"
                        ) from error  # fmt: skip
    except DataError:
        client.close(timeout=2)
        raise
    return client


def _knock(address: str) -> None:
    """OSError unless something there speaks first, as a scheduler does: Dask would wait for it without end."""
    scheme, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S) as knocking:
        if scheme == "tcp" and not knocking.recv(1):
            raise ConnectionError("closed without a word")


def _check_version(client: Any, address: str) -> None:
    """What the cluster's workers run must be what runs here."""
    try:
        theirs = client.submit(_version, pure=False).result(timeout=6 * ANSWER_S)  # a first import takes its time
    except ImportError as error:
        raise DataError(f"--dask {address}: its workers cannot import codesign: {error}; install it there") from error
    if theirs != __version__:
        raise DataError(f"--dask {address}: its workers have codesign {theirs}, here is {__version__}; "
                        "install the same there") from None  # fmt: skip


def _version() -> str:
    return __version__


def _solved(pickled: bytes, point: Any) -> Attempt:
    """On a worker of the cluster."""
    return attempt(_solver(pickled, threading.get_ident()), point)


@lru_cache(maxsize=8)
def _solver(pickled: bytes, thread: int) -> Solve:
    """Each thread's own function: it may keep what it built, and two threads must not share that."""
    maker: Maker = pickle.loads(pickled)
    return made(maker)
