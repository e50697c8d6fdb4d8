"""Which room verifies a document."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from codesign.facts.errors import DataError
from codesign.facts.reading import json_file, shown
from codesign.fleet import verify as fleet
from codesign.mix import verify as mix
from codesign.output.files import check_whole
from codesign.system import verify as system
from codesign.system.verify import Report

ROOMS: dict[str, Callable[[dict[str, Any], Path, Path | None], Report]] = {
    "best-system": system.verify, "fleet": fleet.verify, "mix": mix.verify,
}  # fmt: skip


def verify_answer(path: Path, own: Path | None) -> Report:
    """Recompute, enumerate, compare. Raises DataError for a file that is no answer, or half-written beside others."""
    check_whole(path.parent)
    document = json_file(path)
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an answer, a JSON object")
    kind = document.get("kind", "best-system")
    if not isinstance(kind, str) or kind not in ROOMS:
        raise DataError(f"{path}: kind = {shown(kind)}: verify repeats {', '.join(ROOMS)} only; ask again with the "
                        "same command and compare")  # fmt: skip
    return ROOMS[kind](document, path, own)
