"""A Dask cluster of real processes on loopback, and a connection to it that can be cut."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parents[2]
OURS = {**os.environ, "PYTHONPATH": str(ROOT)}


@dataclass
class LocalCluster:
    """A scheduler and its workers, one thread each."""

    address: str
    scheduler: subprocess.Popen[bytes]
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        command = ["dask_worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--host",
                   "127.0.0.1", "--local-directory", str(self.folder), "--death-timeout", "20"]  # fmt: skip
        self.workers.append(started(*command, log=self.folder / f"worker-{len(self.workers)}.log"))


def started(module: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        return subprocess.Popen(command, stdout=out, stderr=out, env=OURS, cwd=ROOT)


@contextmanager
def local_cluster(workers: int = 2) -> Iterator[LocalCluster]:
    """Started here, and ended here by the processes' own handles."""
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), Path(name) / "scheduler.log"
        scheduler = started("dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", log=log)
        cluster = LocalCluster("", scheduler, folder)
        try:
            cluster.address = address_in(log)
            for _ in range(workers):
                cluster.add_worker()
            yield cluster
        finally:
            for process in (*cluster.workers, scheduler):
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                process.wait()


def address_in(log: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := re.search(r"Scheduler at: +(tcp://127.0.0.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"no scheduler:\n{log.read_text()}")


class Cable:
    """A port of this machine that leads to the scheduler; `cut` ends every connection through it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").partition(":")
        self._there = host, int(port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.address = f"tcp://127.0.0.1:{self._socket.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return len(ends)

    def close(self) -> None:
        self._socket.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                far = socket.create_connection(self._there)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
