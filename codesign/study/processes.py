"""Points on processes of this machine: one pipe to each, a point ahead, a dead one replaced.

Each process has a pipe of its own, so it is known which point it was at when it died: that point alone is
counted against, and its replacement goes on with what was left. When this process dies, however it dies, the
pipes close and the workers end at once.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self

from codesign.study.work import Attempt, Maker, Solve, attempt, made

AHEAD = 2    # points at a process: the one it works at, and the next, so that it never waits for us
STRIKES = 2  # a point that ends so many workers has failed


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    held: deque[tuple[int, Any]] = field(default_factory=deque)  # in the order sent, which is that of the answers


class Processes:
    """`work.Workers` on so many spawned processes."""

    def __init__(self, maker: Maker, jobs: int) -> None:
        self._maker = maker
        self._strikes: dict[int, int] = {}
        self._workers = [self._started() for _ in range(jobs)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    @property
    def room(self) -> bool:
        """Whether a process can take a point."""
        return any(len(worker.held) < AHEAD for worker in self._workers)

    @property
    def busy(self) -> bool:
        """Whether any process holds one."""
        return any(worker.held for worker in self._workers)

    def submit(self, number: int, point: Any) -> None:
        """To the process that holds fewest."""
        worker = min(self._workers, key=lambda one: len(one.held))
        worker.held.append((number, point))
        _send(worker, point)

    def collect(self) -> Iterator[tuple[int, Attempt]]:
        """What at least one process answered; or nothing, where one died and was replaced."""
        holding = {id(worker.pipe): worker for worker in self._workers if worker.held}
        for pipe in wait([worker.pipe for worker in holding.values()]):
            worker = holding[id(pipe)]
            try:
                answer = worker.pipe.recv()
            except (EOFError, ConnectionError):
                yield from self._replace(worker)
            else:
                yield worker.held.popleft()[0], answer

    def _started(self) -> _Worker:
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(theirs, self._maker), daemon=True)
        process.start()
        theirs.close()  # else the end of the process would not close the pipe
        return _Worker(process, ours)

    def _replace(self, dead: _Worker) -> Iterator[tuple[int, Attempt]]:
        """A new process with what the dead one held; the point that it was at fails at the last strike."""
        dead.process.join()
        dead.pipe.close()
        fresh = self._started()
        self._workers[self._workers.index(dead)] = fresh
        number, _ = dead.held[0]
        self._strikes[number] = self._strikes.get(number, 0) + 1
        if self._strikes[number] >= STRIKES:
            dead.held.popleft()
            yield number, Attempt(None, f"its worker ended {STRIKES} times, the last time by {_ending(dead)}")
        for held in dead.held:
            fresh.held.append(held)
            _send(fresh, held[1])


def _send(worker: _Worker, point: Any) -> None:
    with suppress(BrokenPipeError, ConnectionError):  # its end is noticed when its answer is waited for
        worker.pipe.send(point)


def _ending(worker: _Worker) -> str:
    code = worker.process.exitcode
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _work(pipe: Connection, maker: Maker) -> None:
    """A process: answers points in the order in which they come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process ends us
    points: SimpleQueue[Any] = SimpleQueue()
    # a thread of its own empties the pipe, so that two large messages never wait for each other
    Thread(target=_receive, args=(pipe, points), daemon=True).start()
    solve = made(maker)
    while True:
        pipe.send(attempt(solve, points.get()))


def _receive(pipe: Connection, points: "SimpleQueue[Any]") -> None:
    try:
        while True:
            points.put(pipe.recv())
    except (EOFError, ConnectionError):
        os._exit(0)  # nobody waits for an answer any more


class Here:
    """`work.Workers` without any: a point is solved when its answer is collected."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._solve: Solve | None = None
        self._held: tuple[int, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._held = None

    @property
    def room(self) -> bool:
        """Whether no point is held."""
        return self._held is None

    @property
    def busy(self) -> bool:
        """Whether a point is held."""
        return self._held is not None

    def submit(self, number: int, point: Any) -> None:
        """Hold a point."""
        self._held = number, point

    def collect(self) -> Iterator[tuple[int, Attempt]]:
        """Solve it."""
        if self._held is not None:
            self._solve = self._solve or made(self._maker)
            (number, point), self._held = self._held, None
            yield number, attempt(self._solve, point)
