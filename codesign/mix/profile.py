"""A user's own table of measured throughput: which replica serves which requests how fast, for how much.

A CSV file with a header. Needed columns:

    chip               any name
    bucket             requests of like lengths, any name: "128/128", "chat"
    dollars_per_hour   of one replica, the same in all rows of a kind
    requests_per_s     that one replica serves of this bucket alone; 0: cannot serve it
    tokens_per_s       instead of requests_per_s, with tokens_per_request beside it

and where they matter: model (what the replica runs; its requests go to no other), layout ("tp2"; a kind is a
chip in a layout), speed (tokens/s that each user gets at this rate: a bucket may have a row for each speed),
available (replicas of the kind to be had; blank: as many as wanted). note and source are not read.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from codesign.facts.errors import DataError
from codesign.facts.reading import shown

NEEDED = ("chip", "bucket", "dollars_per_hour")
RATES = ("requests_per_s", "tokens_per_s")
KNOWN = (*NEEDED, *RATES, "tokens_per_request", "model", "layout", "speed", "available")
UNREAD = ("note", "source")
LEAST, MOST = 1e-12, 1e15   # of any number but 0
MOST_ROWS = 100_000


@dataclass(frozen=True)
class Row:
    """One measurement; `rate` is requests/s of one replica, `speed` tokens/s of each user where that is said."""

    line: int
    chip: str
    layout: str
    model: str
    bucket: str
    price: float
    rate: float
    speed: float | None
    available: int | None

    @property
    def kind(self) -> tuple[str, str, str]:
        """Model, chip and layout."""
        return self.model, self.chip, self.layout


@dataclass(frozen=True)
class Profile:
    """A table that was read; `speeds` says whether it tells the users' speeds."""

    file: str
    rows: tuple[Row, ...]
    speeds: bool

    def buckets(self) -> list[tuple[str, str]]:
        """(model, bucket) in the order of the table."""
        return list(dict.fromkeys((row.model, row.bucket) for row in self.rows))


def read_table(path: Path, option: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Header and (line, cells by column) of a CSV file, cells without spaces at their ends.

    Raises DataError where it cannot be read; a row longer than the header keeps the rest under "".
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restkey="", restval="", strict=True)
            header = [(name or "").strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            some = islice(reader, MOST_ROWS + 1)
            rows = [(reader.line_num, {key: ",".join(cell) if isinstance(cell, list) else cell.strip()
                                       for key, cell in row.items()}) for row in some]  # fmt: skip
    except FileNotFoundError as error:
        raise DataError(f"{option} {path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{option} {path}: cannot be read as CSV: {error}") from error
    if len(rows) > MOST_ROWS:
        raise DataError(f"{option} {path}: more than {MOST_ROWS:,} rows")
    return header, rows


def read_profile(path: Path) -> Profile:
    """The rows of a table. Raises DataError with all its faults, by line and column."""
    header, cells = read_table(path, "--profile")
    faults = _header(header)
    if faults:
        raise _error(path, faults)
    rows = [row for line, cell in cells if (row := _row(line, cell, faults)) is not None]
    if not cells:
        faults.append("no rows below the header")
    faults += _twice(rows) + _changing(rows, "price", "dollars_per_hour") + _changing(rows, "available", "available")
    if faults:
        raise _error(path, faults)
    return Profile(str(path), tuple(rows), "speed" in header)


def _error(path: Path, faults: list[str]) -> DataError:
    return DataError("\n".join(f"{path}: {fault}" for fault in faults))


def _header(header: list[str]) -> list[str]:
    faults = [f"line 1: column {name!r} is unknown; known: {', '.join([*KNOWN, *UNREAD])}"
              for name in header if name not in (*KNOWN, *UNREAD)]  # fmt: skip
    faults += [f"line 1: column {name!r} occurs twice" for name in sorted({n for n in header if header.count(n) > 1})]
    faults += [f"line 1: no column {name}; needed: {', '.join(NEEDED)}" for name in NEEDED if name not in header]
    if not any(name in header for name in RATES):
        faults.append(f"line 1: no column {' or '.join(RATES)}")
    if "tokens_per_s" in header and "tokens_per_request" not in header:
        faults.append("line 1: column tokens_per_s needs tokens_per_request beside it")
    return faults


def _row(line: int, cells: Mapping[str, str], faults: list[str]) -> Row | None:
    """One row, or its faults added to `faults`."""
    before = len(faults)
    where = f"line {line}"
    if "" in cells:
        faults.append(f"{where}: more cells than columns: {cells['']!r}")
    faults += [f"{where}, column {name}: is blank" for name in ("chip", "bucket") if not cells[name]]
    price = _number(where, "dollars_per_hour", cells, faults)
    rate = _rate(where, cells, faults)
    speed = _number(where, "speed", cells, faults, positive=True) if cells.get("speed") else None
    available = _number(where, "available", cells, faults) if cells.get("available") else None
    if available is not None and available != math.floor(available):
        faults.append(f"{where}, column available: {cells['available']!r} is not a whole number")
    if len(faults) > before or price is None or rate is None:
        return None
    return Row(line, cells["chip"], cells.get("layout", ""), cells.get("model", ""), cells["bucket"], price, rate,
               speed, None if available is None else round(available))  # fmt: skip


def _rate(where: str, cells: Mapping[str, str], faults: list[str]) -> float | None:
    """Requests/s out of the one of both columns that is filled."""
    filled = [name for name in RATES if cells.get(name)]
    if len(filled) != 1:
        both = "both are filled" if filled else "blank; write 0 where it cannot serve the bucket"
        faults.append(f"{where}, column {' or '.join(n for n in RATES if n in cells)}: {both}")
        return None
    rate = _number(where, filled[0], cells, faults)
    if filled[0] == "requests_per_s" or rate is None:
        return rate
    tokens = _number(where, "tokens_per_request", cells, faults, positive=True)
    return None if tokens is None else rate / tokens


def _number(
    where: str, column: str, cells: Mapping[str, str], faults: list[str], *, positive: bool = False
) -> float | None:
    """A finite number, 0 or more, or a fault."""
    text = cells.get(column) or ""
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or (positive and value == 0) or not (value == 0 or LEAST <= value <= MOST):
        said = shown(text) if text else "blank"
        faults.append(f"{where}, column {column}: {said}, expected a number, {'above 0' if positive else '0 or more'}")
        return None
    return value


def _twice(rows: list[Row]) -> list[str]:
    seen: dict[tuple[object, ...], int] = {}
    faults = []
    for row in rows:
        first = seen.setdefault((*row.kind, row.bucket, row.speed), row.line)
        if first != row.line:
            faults.append(f"line {row.line}: measures what line {first} does: same chip, layout, model, bucket, speed")
    return faults


def _changing(rows: list[Row], field: str, column: str) -> list[str]:
    """A price or a supply that is not the same in all rows of a kind."""
    first: dict[tuple[str, str, str], Row] = {}
    faults = []
    for row in rows:
        known = first.setdefault(row.kind, row)
        ours, theirs = getattr(row, field), getattr(known, field)
        if ours != theirs:
            said, before = ("blank" if x is None else f"{x:g}" for x in (ours, theirs))
            faults.append(f"line {row.line}, column {column}: {said}, but {before} in line {known.line}, same kind")
    return faults
