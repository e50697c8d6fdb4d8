"""The one reader of TOML and JSON that users give: whatever is wrong with a file is a DataError that names it."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.facts.errors import DataError

MOST_BYTES = 256 * 2**20  # an answer with every candidate is far below
MOST_DEEP = 50            # tables in tables; what follows recurses over them
MOST_WHOLE = 2**63 - 1    # TOML's own limit, and numpy's
SHOWN = 120               # characters of a value or a name in a message


@dataclass(frozen=True)
class Document:
    """A file that was read once: a pipe cannot be read again."""

    path: Path
    table: dict[str, Any]


def shown(value: object) -> str:
    """A value as written, for messages; what is long is cut."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text):,} characters)"


def text_of(path: Path, where: str = "") -> str:
    """The text of a file. DataError says that there is none, or why it cannot be read; `where` names it there."""
    name = where or _cut(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) <= MOST_BYTES:
            return content.decode("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such file") from error
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, or a path with a null byte
        raise DataError(f"{name}: cannot be read: {error}") from error
    raise DataError(f"{name}: cannot be read: larger than {MOST_BYTES // 2**20} MiB")


def toml_file(path: Path, where: str = "") -> dict[str, Any]:
    """The table of a TOML file. Raises as `text_of` and `toml_of`."""
    return toml_of(text_of(path, where), where or _cut(str(path)))


def toml_of(text: str, where: str) -> dict[str, Any]:
    """The table of a TOML text; DataError where it is none, nested too deeply, or holds a number beyond 64 bits."""
    table: dict[str, Any] = _parsed(tomllib.loads, text, where, "TOML")
    return table


def json_file(path: Path, where: str = "") -> Any:
    """The content of a JSON file. Raises as `toml_file`."""
    return _parsed(json.loads, text_of(path, where), where or _cut(str(path)), "JSON")


def _parsed(parse: Callable[[str], Any], text: str, where: str, form: str) -> Any:
    try:
        content = parse(text)
    except RecursionError as error:
        raise DataError(f"{where}: not readable as {form}: nested too deeply") from error
    except ValueError as error:  # the decoders' own, and a number of too many digits
        raise DataError(f"{where}: not readable as {form}: {error}") from error
    _check(content, where)
    return content


def _check(content: Any, where: str) -> None:
    """Depth and whole numbers, without recursion."""
    left: list[tuple[str, Any, int]] = [("", content, 0)]
    while left:
        key, value, depth = left.pop()
        if depth > MOST_DEEP:
            raise DataError(f"{where}: {_cut(key)}: nested deeper than {MOST_DEEP} tables and lists")
        if isinstance(value, int) and abs(value) > MOST_WHOLE:
            raise DataError(f"{where}: {_cut(key)} = {shown(value)}: a whole number beyond 64 bits")
        if isinstance(value, dict):
            left += [(f"{key}.{name}" if key else name, inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [(f"{key}.{i}", inner, depth + 1) for i, inner in enumerate(value)]


def _cut(name: str) -> str:
    return name if len(name) <= SHOWN else f"{name[:SHOWN]}..."
