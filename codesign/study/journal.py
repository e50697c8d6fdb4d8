"""What is finished, on disk: one JSON line for each point, written as it comes, found again by a resumed run.

    {"key": "...", "point": ..., "result": ...}      or "error": "..." in place of the result

The key is a hash of what the work is bound to (catalogue, query) and of the point, so one folder may hold the
points of several runs. Each line reaches the disk (fsync) before its result is used. A run that was killed may
leave half a line at the end: it is cut off. Points that failed are tried again.
"""

import fcntl
import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from codesign.facts.errors import DataError
from codesign.study.work import Attempt

NAME = "journal.jsonl"


def identity(*parts: str) -> str:
    """One hash of what all points of a run are bound to: catalogue, query, the kind of work, its version."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def key_of(bound: str, point: Any) -> str:
    """The journal's key of a point under an identity."""
    text = json.dumps(point, sort_keys=True, allow_nan=False)
    return hashlib.sha256(f"{bound} {text}".encode()).hexdigest()[:32]


class Journal:
    """The journal of a folder, held by one run at a time; use as a context manager.

    In memory are keys and places of the lines found at the start, not the results.
    """

    def __init__(self, folder: Path) -> None:
        """Open or begin the journal; DataError where the folder cannot be written, is in use, or holds another file."""
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise DataError(f"--resume {folder}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise DataError(f"--resume {folder}: in use by another run") from error
        try:
            self._places = self._read()
            _sync(folder)
        except DataError:
            self._file.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def find(self, key: str) -> str | None:
        """The result's JSON text of an earlier run; None where there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        self._file.seek(place)
        return json.dumps(json.loads(self._file.readline())["result"])

    def append(self, key: str, point: Any, attempt: Attempt) -> None:
        """Write one line and wait until the disk has it."""
        line = {"key": key, "point": point}
        tail = f'"result": {attempt.text}' if attempt.text is not None else f'"error": {json.dumps(attempt.error)}'
        self._file.seek(0, os.SEEK_END)
        self._file.write(f"{json.dumps(line)[:-1]}, {tail}}}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> dict[str, int]:
        """Places of the finished points; half a line at the end is cut off."""
        found: dict[str, int] = {}
        self._file.seek(0)
        place = 0
        for number, line in enumerate(self._file, 1):
            entry = _entry(line)
            if entry is None and not line.endswith(b"\n"):
                self._file.truncate(place)
                break
            if entry is None:
                raise DataError(f"{self.path}: line {number} is no line of a journal; move the file away")
            if not line.endswith(b"\n"):  # all but the line's end was written
                self._file.write(b"\n")
            if "result" in entry:
                found[entry["key"]] = place
            place += len(line)
        return found


def _sync(folder: Path) -> None:
    """Wait until the disk has the folder's entries, the journal's own among them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    known = isinstance(entry, dict) and isinstance(entry.get("key"), str) and ("result" in entry or "error" in entry)
    return entry if known else None
