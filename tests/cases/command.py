"""The command line inside this process: exit code, output and error text of one call."""

import contextlib
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from codesign.cli.main import main
from codesign.facts import catalog, reading

INSTANCES = Path(__file__).parents[2] / "instances"


# our 130 files are read once for all tests; nothing changes what was read
PARSED = cache(reading.toml_of)
READ = catalog.load
OURS = cache(READ)


def load(own: Path | None = None, assume: Mapping[str, str | float] | None = None) -> catalog.Catalog:
    """`catalog.load`, which need not read our files again."""
    return READ(own, assume) if own is not None or assume else OURS()


@dataclass(frozen=True)
class Done:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on standard output."""
        return json.loads(self.out)


def run(*args: object) -> Done:
    """Call `codesign` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["codesign", *(str(arg) for arg in args)]
    quiet = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    once = patch.object(catalog, "load", load if catalog.load is READ else catalog.load)
    with patch.object(sys, "argv", argv), once, quiet[0], quiet[1]:
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


@cache
def known(*args: str) -> Done:
    """As `run`, once for each list of arguments: for calls that write nothing."""
    return run(*args)


def best(*args: str) -> Any:
    """The JSON answer of `codesign best`."""
    return known("best", "--json", *args).json


def entry(kind: str, name: str, *changes: tuple[str, str], called: str | None = None) -> str:
    """Text of one of our files with each `old` text, which must occur once, replaced by `new`."""
    text = (INSTANCES / kind / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in [*changes, *([(f'name = "{name}"', f'name = "{called}"')] if called else [])]:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text


def put(folder: Path, files: dict[str, str]) -> Path:
    """Write the files of one's own catalogue."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def line_of(path: Path, key: str) -> str:
    """The line of a file that begins with `key =`."""
    return next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(f"{key} ="))


def every_file(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each file of a folder, by name."""
    for path in sorted(folder.iterdir()):
        yield path.name, path.read_text(encoding="utf-8")


def tampered_rows(exported: Path, folder: Path, change: Callable[[list[dict[str, str]]], object]) -> Path:
    """The answer of an export in `folder`, beside its candidates with some rows changed."""
    with (exported / "candidates.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    change(rows)
    put(folder, {"answer.json": (exported / "answer.json").read_text(encoding="utf-8")})
    with (folder / "candidates.csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder / "answer.json"
