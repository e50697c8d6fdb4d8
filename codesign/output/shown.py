"""An answer as a person meets it: a table in a terminal and in a notebook, a frame, JSON, charts, a folder."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from rich.console import Console, RenderableType

from codesign.facts.cells import unquoted
from codesign.output.files import check_place
from codesign.output.text import WIDTH

D = TypeVar("D", bound=BaseModel)
Rows = Callable[[], str]


def _no_charts() -> dict[str, Any]:
    return {}


class Shown(Generic[D]):
    """What a question of the Python interface returns.

    `answer` is the document (SI units, as its schema says); its fields can be read from here too. `parts` are what a
    terminal shows, `rows` a table as CSV text, `charts` Altair charts by name, `write` puts everything into a folder.
    """

    def __init__(
        self, answer: D, parts: Iterable[RenderableType], rows: Rows, *,
        charts: Callable[[], Mapping[str, Any]] = _no_charts, write: Callable[[Path], None] | None = None,
    ) -> None:  # fmt: skip
        self.answer = answer
        self.parts = tuple(parts)
        self._rows, self._charts, self._write = rows, charts, write

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("answer", "parts"):
            raise AttributeError(name)
        return getattr(self.answer, name)

    def __repr__(self) -> str:
        return self._printed().export_text().rstrip("\n")

    def _repr_html_(self) -> str:
        """Of notebooks: the same text, in their own colours."""
        return self._printed().export_html(inline_styles=True, code_format="<pre>{code}</pre>")

    def _printed(self) -> Console:
        console = Console(file=io.StringIO(), width=WIDTH, record=True, highlight=False, markup=False, emoji=False)
        for part in self.parts:
            console.print(part)
        return console

    def to_json(self) -> str:
        """The document as JSON text, as `--json` prints it."""
        return self.answer.model_dump_json(by_alias=True, indent=2)

    def to_rows(self) -> list[dict[str, Any]]:
        """The table of the answer, a dictionary a row; numbers as numbers, SI units."""
        return [{name: _value(cell) for name, cell in row.items()} for row in csv.DictReader(io.StringIO(self._rows()))]

    def to_frame(self) -> Any:
        """The table of the answer as a pandas DataFrame. Raises ImportError where pandas is not installed."""
        import pandas  # where the user has it; no dependency of ours

        return pandas.DataFrame(self.to_rows())

    def charts(self) -> dict[str, Any]:
        """Altair charts by name; none where the answer has no system."""
        return dict(self._charts())

    def export(self, folder: str | Path) -> Path:
        """Write what `--export` writes, whole or not at all. Raises DataError for a place that cannot be written."""
        if self._write is None:
            raise ValueError("this answer is one document; write to_json() where you like")
        check_place(Path(folder), "folder")
        self._write(Path(folder))
        return Path(folder)


def _value(cell: str) -> Any:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return unquoted(cell) or None
