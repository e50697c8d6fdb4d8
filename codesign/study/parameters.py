"""Every number that an answer rests on, by its path, and the same catalogue and query with some of them changed.

A path is what `--assume` takes ("memory.hbm4.price", "prices.default.pue", "links.nvlink5.hop"), or a number of
the query by its key ("limits.power", "context"). Values are SI. A changed number is written so that it reads back
as the very same double. Shapes of models and fitted constants are not among them.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from codesign.facts.catalog import Catalog, faults_of, split_path
from codesign.facts.errors import DataError
from codesign.facts.fact import Fact, In
from codesign.facts.memo import by_identity
from codesign.facts.records import KINDS, Record, numbers
from codesign.facts.units import show
from codesign.system.query import Query

FOLDERS = ("chips", "dies", "memory", "links", "servers", "processes", "packages", "prices")
UNDATED = "2000"  # of a number that is only tried
ASKED = {  # numbers of a query: unit, whole, least
    "context": ("tokens", True, 1.0), "spare_servers": ("1", True, 0.0), "available_by": ("1", True, 2000.0),
    "limits.budget": ("USD", False, 0.0), "limits.hourly": ("USD/h", False, 0.0), "limits.power": ("W", False, 0.0),
    "limits.chips": ("1", True, 1.0), "limits.racks": ("1", True, 1.0), "limits.users": ("1", True, 1.0),
    "limits.replicas": ("1", True, 1.0), "limits.tensor": ("1", True, 1.0),
    "limits.user_speed": ("tokens/s", False, 0.0), "limits.ttft": ("s", False, 0.0),
    "serving.input": ("tokens", True, 1.0), "serving.output": ("tokens", True, 1.0),
    "serving.draft": ("1", True, 0.0), "serving.acceptance": ("1", False, 1.0), "serving.chunk": ("tokens", True, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One number: `value`, and `low` .. `high` as published (None: nobody says), in SI; `least` .. `most` can be."""

    path: str
    value: float
    unit: str
    whole: bool
    low: float | None
    high: float | None
    confidence: str
    least: float = 0.0
    most: float = float("inf")

    @property
    def asked(self) -> bool:
        """Whether it is the query's, not the catalogue's."""
        return self.path in ASKED

    def shown(self, value: float | None = None) -> str:
        """A value of it (its own if None) as people write it."""
        return show(self.value if value is None else value, self.unit)


def parameters(catalog: Catalog, query: Query) -> tuple[Parameter, ...]:
    """Every sourced number behind chips and their money, and every number that the query sets."""
    return (*_of_catalog(catalog), *(_of_query(query, key, value) for key, value in _set(query)))


def parameter(catalog: Catalog, query: Query, path: str) -> Parameter:
    """The one at `path`; DataError with near names where there is none, or no value."""
    if path in ASKED:
        known = dict(_set(query))
        if path not in known:
            raise DataError(f"{path!r}: the query sets no such number; it sets: {', '.join(known)}")
        return _of_query(query, path, known[path])
    if path.partition(".")[0] in ("limits", "serving") or "." not in path:
        raise DataError(f"{path!r}: {_near(path, [*ASKED])}")
    folder, name, key = split_path(path, catalog.records)
    if folder not in FOLDERS:
        raise DataError(f"{path!r}: no system rests on it; known: numbers of {', '.join(FOLDERS)}")
    found = _numbers(catalog.records[folder][name])
    if key not in found:
        raise DataError(f"{path!r}: {folder}.{name} has no number {key!r}; {_near(key, [*found])}")
    return _of_fact(folder, name, key, found[key])


def changed(catalog: Catalog, query: Query, changes: Mapping[str, float]) -> tuple[Catalog, Query]:
    """Both with the numbers at these paths set to these SI values; the query's `assume` says so too.

    Raises DataError with every path that is unknown and every value that cannot be.
    """
    faults: dict[str, str] = {}  # by the first path that each is of
    entries: dict[tuple[str, str], dict[str, str]] = {}  # each read again once, with all its numbers as written
    for path, value in changes.items():
        try:
            if path in ASKED:
                query = _ask(query, path, value)
            else:
                known = parameter(catalog, query, path)
                folder, name, key = split_path(path, catalog.records)
                entries.setdefault((folder, name), {})[key] = _text(value, known.unit)
        except DataError as error:
            faults[path] = str(error)
    fresh, assumed = dict(catalog.records), dict[str, str]()
    hashes = dict(catalog.hashes)
    for (folder, name), numbers_written in entries.items():
        try:
            fresh[folder] = {**fresh[folder], name: _with(catalog, folder, name, numbers_written)}
        except DataError as error:
            faults[f"{folder}.{name}.{next(iter(numbers_written))}"] = str(error)
        for key, written in numbers_written.items():
            entry = f"{folder}.{name}"
            hashes[entry] = sha256(json.dumps([hashes.get(entry, ""), key, written]).encode()).hexdigest()
            assumed[f"{entry}.{key}"] = written
    if faults:
        order = {path: i for i, path in enumerate(changes)}
        raise DataError("\n".join(faults[path] for path in sorted(faults, key=lambda path: order.get(path, 0))))
    if not assumed:
        return catalog, query
    dropped = {*changes, *assumed}
    assume = {k: v for k, v in query.assume.items() if k not in dropped} | assumed
    catalog = replace(catalog, records=fresh, hashes=hashes, assumed={**catalog.assumed, **assumed})
    return catalog, query.model_copy(update={"assume": assume})


def _of_catalog(catalog: Catalog) -> Iterator[Parameter]:
    for folder in FOLDERS:
        for name, record in sorted(catalog.records[folder].items()):
            for key, fact in numbers(record):
                yield _of_fact(folder, name, key, fact)


@by_identity(512)
def _numbers(record: Record) -> dict[str, Fact]:
    return dict(numbers(record))


@by_identity(4096)
def _of_fact(folder: str, name: str, key: str, fact: Fact) -> Parameter:
    low, high = fact.bounds()
    known = fact.low is not None or fact.high is not None
    rule = _rule(KINDS[folder], key.split("."))
    return Parameter(f"{folder}.{name}.{key}", fact.si, fact.unit, rule.whole, low if known else None,
                     high if known else None, fact.confidence, rule.least, rule.most)  # fmt: skip


def _rule(kind: Any, keys: list[str]) -> In:
    """What is said of the number at `keys` inside a table."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and keys and kind is not Fact:
        field = kind.model_fields[keys[0]]
        own = [part for part in field.metadata if isinstance(part, In)]
        return own[0] if own else _rule(field.annotation, keys[1:])
    inner = [part for part in get_args(kind) if part not in (str, int, type(None), Ellipsis)]
    rules = [part for part in inner if isinstance(part, In)]
    if rules:
        return rules[0]
    wanted = keys[1:] if getattr(kind, "__origin__", None) in (tuple, dict) else keys
    return _rule(inner[0], wanted)


def _set(query: Query) -> Iterator[tuple[str, float]]:
    for key in ASKED:
        value: Any = query
        for part in key.split("."):
            value = getattr(value, part)
        if value is not None:
            yield key, float(value)


def _of_query(query: Query, key: str, value: float) -> Parameter:
    unit, whole, least = ASKED[key]
    return Parameter(key, value, unit, whole, None, None, "asked", least)


def _near(name: str, known: list[str]) -> str:
    short = {key.rpartition(".")[2]: key for key in known}
    near = [short[name]] if name in short else difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"


def _text(value: float, unit: str) -> str:
    """As `--assume` reads it, back to the same double."""
    return repr(value) if unit == "1" else f"{value!r} {unit}"


def _ask(query: Query, path: str, value: float) -> Query:
    whole = ASKED[path][1]
    if whole and value != int(value):
        raise DataError(f"{path} = {value!r}: must be a whole number")
    number: float = int(value) if whole else value
    if path == "context":
        return _checked(query.at_context(int(number)), f"{path} = {number!r}")
    head, _, key = path.partition(".")
    update = {head: getattr(query, head).model_copy(update={key: number})} if key else {head: number}
    return _checked(query.model_copy(update=update), f"{path} = {number!r}")


def _checked(query: Query, said: str) -> Query:
    try:
        return Query.model_validate(query.model_dump(by_alias=True, exclude_none=True))
    except (ValidationError, DataError) as error:
        lines = faults_of(error, said, Query) if isinstance(error, ValidationError) else [str(error)]
        raise DataError("\n".join(lines)) from error


def _opened(table: Any) -> Any:
    """A table or list of the catalogue that can be changed; what lies inside is kept as it is, already checked."""
    if isinstance(table, BaseModel):
        fields = type(table).model_fields
        return {fields[key].alias or key: value for key, value in table if value is not None}
    return dict(table) if isinstance(table, dict) else list(table)


def _with(catalog: Catalog, folder: str, name: str, written: Mapping[str, str]) -> Record:
    """The record with the numbers at these keys as written; DataError naming those that cannot be."""
    table = _opened(catalog.records[folder][name])
    for key, value in written.items():
        spot, keys = table, key.split(".")
        for part in keys[:-1]:
            at = int(part) if isinstance(spot, list) else part
            spot[at] = _opened(spot[at])
            spot = spot[at]
        spot[keys[-1]] = {"value": value, "source": "user", "date": UNDATED, "confidence": "assumed"}
    try:
        return KINDS[folder].model_validate(table)
    except ValidationError as error:
        said = ", ".join(f"{folder}.{name}.{key} = {value}" for key, value in written.items())
        raise DataError("\n".join(faults_of(error, said, KINDS[folder]))) from error
