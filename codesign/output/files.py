"""Write a set of files whole or not at all.

A new folder appears by one rename. Into a folder that is there, where others' files stay, the files go one by one:
while they do, a mark lies in it that names them, so that whatever ends the process, the folder is that of before,
that of after, or marked; `check_whole` refuses a marked one. Ctrl-C waits for these moves.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from codesign.facts.errors import DataError

MARK = "INCOMPLETE"
STAGE = ".codesign-"  # of a fixed length: what is longest in a name may be the folder's own
DOCUMENTS = ("answer.json", "frontier.json", "mix.json", "schedule.json", "reproduction.json", "journal.jsonl")
PROBE = 64 * 1024  # bytes: more than a file system keeps in its own records

Content = str | bytes | Callable[[Path], None] | None  # of a file: what is in it, or what writes it


def write_folder(
    folder: Path, fill: Callable[[Path], None], names: Collection[str], *, option: str = "--export"
) -> None:
    """Let `fill` write files of `names` into a hidden folder, then move them into `folder`.

    A file of `names` that an earlier run left and `fill` does not write is removed; other files of the
    folder stay. Nothing changes when `fill` fails or is interrupted. Raises DataError, which names `option`,
    where the place cannot be written.
    """
    _check(folder, option, blocked=names)
    try:
        _write(Path(os.path.realpath(folder)), fill, names)
    except OSError as error:
        mixed = "; it holds files of two exports now" if (folder / MARK).is_file() else ""
        raise DataError(f"{option} {folder}: cannot be written: {error.strerror or error}{mixed}") from error


def write_files(folder: Path, files: Mapping[str, Content], *, option: str = "--export") -> None:
    """Write files by name, as `write_folder` does; one that is None is not written, and removed if it is there."""

    def fill(stage: Path) -> None:
        for name, content in files.items():
            path = stage / name
            path.parent.mkdir(exist_ok=True)
            if callable(content):
                content(path)
            elif content is not None:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    write_folder(folder, fill, files, option=option)


def own_note(own: Path | None) -> str:
    """First line of a written query or plan that was asked with a catalogue of one's own."""
    return "" if own is None else f"# asked with a catalogue of one's own: --catalog {own}\n"


def check_place(folder: Path, option: str = "--export") -> None:
    """Try, before any work, whether a folder can be written there: names, rights, room. DataError where not."""
    place = Path(os.path.realpath(folder))
    try:
        _check(folder, option, blocked=DOCUMENTS)
        there = next(path for path in (place, *place.parents) if path.exists())
        with _stage(there) as stage:
            inside = stage / place.relative_to(there)
            inside.mkdir(parents=True, exist_ok=True)
            (inside / "probe").write_bytes(b"\0" * PROBE)
            _sync(inside / "probe")
    except OSError as error:
        raise DataError(f"{option} {folder}: cannot be written: {error.strerror or error}") from error


def check_whole(folder: Path) -> None:
    """Raises DataError for a folder in which an export was cut short, so that its files are of two answers."""
    if (folder / MARK).exists():
        raise DataError(f"{folder}: an export into it was cut short, and its files may be of two answers ({MARK} names "
                        "them); export once more")  # fmt: skip


def _check(folder: Path, option: str, *, blocked: Collection[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{option} {folder}: is a file, expected a folder")
    if found := [name for name in blocked if (folder / name).is_dir()]:
        raise DataError(f"{option} {folder}: holds folders called {', '.join(found)}")


def _write(folder: Path, fill: Callable[[Path], None], names: Collection[str]) -> None:
    there = folder.is_dir()
    beside = folder if there else folder.parent  # within it: a mount may begin at the folder
    with _parents(beside), _stage(beside) as stage:
        stage.chmod(0o755)
        fill(stage)
        for path in stage.rglob("*"):
            _sync(path)
        _sync(stage)
        with uninterrupted():
            if there:
                _move(stage, folder, names)
            else:
                os.rename(stage, folder)
            _sync(beside)


@contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """A folder and those above it that are missing; what was made goes again on failure."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):  # another run may use it by now
            for path in missing:
                path.rmdir()
        raise


@contextmanager
def _stage(beside: Path) -> Iterator[Path]:
    """A hidden folder that is gone in the end, also after Ctrl-C."""
    stage: Path | None = None
    try:
        with uninterrupted():
            stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=beside))
        yield stage
    finally:
        with uninterrupted():
            if stage is not None:
                shutil.rmtree(stage, ignore_errors=True)


def _move(stage: Path, folder: Path, names: Collection[str]) -> None:
    """Every file of `stage` to its place, old ones away, under a mark that is there before and gone after."""
    files = sorted(path.relative_to(stage) for path in stage.rglob("*") if path.is_file())
    settled = {str(file) for file in files} | set(names)
    before = _marked(folder)  # of a run that was killed here, perhaps of another command
    _mark(stage, folder, settled | before)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage / file, folder / file)
    for name in sorted(set(names) - {str(file) for file in files}):
        with suppress(FileNotFoundError):
            os.unlink(folder / name)
    for path in {(folder / file).parent for file in files}:
        _sync(path)
    if before - settled:
        _mark(stage, folder, before - settled)
    else:
        os.unlink(folder / MARK)


def _marked(folder: Path) -> set[str]:
    try:
        return set((folder / MARK).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return set()


def _mark(stage: Path, folder: Path, names: Collection[str]) -> None:
    """In one step, and on the disk before anything else moves."""
    (stage / MARK).write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
    _sync(stage / MARK)
    os.replace(stage / MARK, folder / MARK)
    _sync(folder)


def _sync(path: Path) -> None:
    """Wait until the disk has a file or a folder's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C within is heard at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before: Any = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored, or not Python's
        yield
        return
    signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard:
            before(signal.SIGINT, None)
