"""Write a set of files whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from codesign.errors import DataError


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a hidden folder beside `folder`, then move its files into place.

    Nothing is left behind when `fill` fails or is interrupted. Raises DataError where the place
    cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"--export {folder}: is a file, expected a folder")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.absolute().parent))
    except OSError as error:
        raise DataError(f"--export {folder}: cannot be written: {error.strerror}") from error
    try:
        stage.chmod(0o755)
        fill(stage)
        if folder.exists():
            for file in sorted(stage.iterdir()):
                os.replace(file, folder / file.name)
        else:
            os.rename(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
