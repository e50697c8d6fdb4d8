"""Write a set of files whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from codesign.errors import DataError


def write_folder(folder: Path, fill: Callable[[Path], None], names: Collection[str]) -> None:
    """Let `fill` write files of `names` into a hidden folder, then move them into `folder`.

    A file of `names` that an earlier run left and `fill` does not write is removed; other files of the
    folder stay. Nothing changes when `fill` fails or is interrupted. Raises DataError where the place
    cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"--export {folder}: is a file, expected a folder")
    stale = [folder / name for name in names]
    if blocked := [path.name for path in stale if path.is_dir()]:
        raise DataError(f"--export {folder}: holds folders called {', '.join(blocked)}")
    try:
        _write(folder, fill, stale)
    except OSError as error:
        raise DataError(f"--export {folder}: cannot be written: {error.strerror}") from error


def _write(folder: Path, fill: Callable[[Path], None], stale: list[Path]) -> None:
    there = folder.is_dir()
    beside = folder if there else folder.absolute().parent  # within it: a mount may begin at the folder
    beside.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=beside))
    try:
        stage.chmod(0o755)
        fill(stage)
        if not there:
            os.rename(stage, folder)
            return
        written = {file.name for file in stage.iterdir()}
        for file in sorted(path for path in stage.rglob("*") if path.is_file()):
            target = folder / file.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
        for path in stale:
            if path.name not in written:
                path.unlink(missing_ok=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
