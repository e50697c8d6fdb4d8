"""A user's own measured collectives: a CSV table, checked line by line, in place of the fitted curves.

Columns: link, op, group, message_bytes, latency_us; `note` and `source` may follow. Sizes are those of
`codesign.physics.collectives`: bytes of the whole tensor as one chip sees it. A scale-out link's rows are whole
collectives over chips of several scale-up domains; those of a scale-up link lie within one.
"""

import csv
import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from codesign.facts.errors import DataError
from codesign.facts.link_records import OPS


@dataclass(frozen=True)
class Collective:
    """Seconds of one collective over `group` chips at some message sizes, measured or fitted.

    `bandwidth` is what the measured chips' link carries (B/s, one direction); None where it was
    measured on the chips asked about. `basis` says where the numbers are from.
    """

    op: str
    group: int
    nbytes: tuple[float, ...]              # rising
    seconds: tuple[float, ...]             # never falling
    bandwidth: float | None
    basis: str


COLUMNS = ("link", "op", "group", "message_bytes", "latency_us")
REMARKS = ("note", "source")
MOST_FAULTS = 20


Key = tuple[str, str, int]  # link, op, group


@dataclass(frozen=True)
class MeasuredTable:
    """Collectives by link as a user measured them, linear between the sizes measured."""

    file: str
    sha256: str
    links: Mapping[str, tuple[Collective, ...]]


def read_table(path: Path, known: Collection[str] | None = None) -> MeasuredTable:
    """Read a table; `known` are the links there are (names are not checked without it).

    At least two sizes for each link, op and group. A size given twice is refused: which of two implementations, or
    what mean, is the measurer's to say. A time above that of a longer message is lowered to it.
    Raises one DataError with every fault: file, line, column and what would be right.
    """
    try:
        content = path.read_bytes()
        rows = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    heads = [name.strip() for name in rows[0]] if rows else []
    faults = _head_faults(heads)
    found: dict[Key, dict[float, tuple[float, int]]] = {}
    if not faults:
        for line, cells in enumerate(rows[1:], start=2):
            faults += _add(found, line, heads, cells, known)
    faults += [
        f"line {line}, column message_bytes: {op} over {group} chips of {link} has one size; at least two are needed"
        for (link, op, group), times in found.items() if len(times) == 1 for _, line in times.values()
    ]  # fmt: skip
    if not found and not faults:
        faults = [f"line 2: no rows; each gives {', '.join(COLUMNS)}"]
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        raise DataError("\n".join([f"{path}: {fault}" for fault in faults[:MOST_FAULTS]] + more))
    links = {link: tuple(_collective(path, key, found[key]) for key in sorted(found) if key[0] == link)
             for link in sorted({key[0] for key in found})}  # fmt: skip
    return MeasuredTable(str(path), hashlib.sha256(content).hexdigest(), links)


def _head_faults(heads: list[str]) -> list[str]:
    absent = [name for name in COLUMNS if name not in heads]
    odd = [name for name in heads if name not in (*COLUMNS, *REMARKS)]
    needed = f"the columns are {', '.join(COLUMNS)}"
    faults = [f"line 1: no column {', '.join(absent)}; {needed}"] if absent else []
    faults += [f"line 1, column {name or '(no name)'}: unknown; {needed}, and may be {', '.join(REMARKS)}"
               for name in odd]  # fmt: skip
    return faults + [f"line 1, column {x}: given twice" for x in sorted({x for x in heads if heads.count(x) > 1})]


def _add(found: dict[Key, dict[float, tuple[float, int]]], line: int, heads: list[str], cells: list[str],
         known: Collection[str] | None) -> list[str]:  # fmt: skip
    """Put one row where it belongs, or say what is wrong with it."""
    if not any(cell.strip() for cell in cells):
        return []
    if len(cells) != len(heads):
        return [f"line {line}: {len(cells)} cells under {len(heads)} columns"]
    row = {name: cell.strip() for name, cell in zip(heads, cells, strict=True)}
    numbers = {name: _number(row[name]) for name in ("group", "message_bytes", "latency_us")}
    group, nbytes, latency_us = numbers["group"], numbers["message_bytes"], numbers["latency_us"]
    rules = {
        "link": (row["link"] != "" if known is None else row["link"] in known,
                 "a link of the catalogue" if known is None else f"one of {', '.join(sorted(known))}"),
        "op": (row["op"] in OPS, f"one of {', '.join(OPS)}"),
        "group": (group is not None and group >= 2 and group == int(group), "a whole number of chips, at least 2"),
        "message_bytes": (nbytes is not None and nbytes > 0, "a positive number of bytes"),
        "latency_us": (latency_us is not None and latency_us > 0, "a positive number of microseconds"),
    }  # fmt: skip
    faults = [f"line {line}, column {name}: {row[name]!r} is not {rule}"
              for name, (good, rule) in rules.items() if not good]  # fmt: skip
    if faults or group is None or nbytes is None or latency_us is None:
        return faults
    times = found.setdefault((row["link"], row["op"], int(group)), {})
    if nbytes in times:
        return [f"line {line}, column message_bytes: {row['message_bytes']} is in line {times[nbytes][1]} already; "
                "keep one time for each size: the faster implementation, or the mean"]  # fmt: skip
    times[nbytes] = (latency_us * 1e-6, line)
    return []


def _number(text: str) -> float | None:
    """The finite number that is written, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _collective(path: Path, key: Key, times: dict[float, tuple[float, int]]) -> Collective:
    sizes = sorted(times)
    # a time above that of a longer message is lowered to it
    seconds = tuple(accumulate((times[size][0] for size in reversed(sizes)), min))[::-1]
    return Collective(key[1], key[2], tuple(sizes), seconds, None, f"measured by the user, {path}")
