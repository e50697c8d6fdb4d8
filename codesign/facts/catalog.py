"""The catalogue of `instances/`: the only reader of its files, checked whole, with sources and hashes.

Nothing is read before `load` is called, and never from the working directory. A user's own folder
has the same shape (`chips/mine.toml`, `sources.toml`); a file of the same name replaces ours.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from codesign.facts.collective_table import MeasuredTable, read_table
from codesign.facts.errors import DataError
from codesign.facts.fact import Fact
from codesign.facts.reading import SHOWN, shown, toml_of
from codesign.facts.records import KINDS, LinkRecord, Record, SourceRecord, numbers

R = TypeVar("R", bound=Record)
Raw = dict[str, Any]
Tree = dict[str, dict[str, tuple[str, Raw]]]  # folder -> name -> (file for messages, table)
COLLECTIVES = "collectives.csv"  # in a user's folder: measured times in place of fitted curves
ALIASES = {"memories": "memory", "chip": "chips", "model": "models", "link": "links", "server": "servers"}


@dataclass(frozen=True)
class Catalog:
    """Checked records by kind and name, their sources, and the hash of each entry as used."""

    records: Mapping[str, Mapping[str, Record]]
    sources: Mapping[str, SourceRecord]
    hashes: Mapping[str, str]                      # "chips.h100-sxm" -> sha256 of its content
    assumed: Mapping[str, str] = field(default_factory=dict)  # path -> the user's value
    collectives: MeasuredTable | None = None     # the user's own, in place of the links' fitted curves

    def get(self, kind: type[R], name: str) -> R:
        """The record of `kind` called `name`; DataError lists near names where there is none."""
        folder = folder_of(kind)
        found = self.records[folder].get(name)
        if found is None:
            raise DataError(unknown(folder, name, list(self.records[folder])))
        assert isinstance(found, kind)
        return found

    def all(self, kind: type[R]) -> list[R]:
        """All records of `kind`, by name."""
        return [self.get(kind, name) for name in sorted(self.records[folder_of(kind)])]

    def fact(self, path: str) -> Fact:
        """The sourced number at a path such as "memory.hbm4.price"."""
        folder, name, key = split_path(path, self.records)
        for found, number in numbers(self.records[folder][name]):
            if found == key:
                return number
        known = ", ".join(k for k, _ in numbers(self.records[folder][name]))
        raise DataError(f"{path}: {folder}/{name}.toml has no number {key!r}; it has: {known}")

    def digest(self) -> str:
        """One hash of the whole catalogue as used."""
        return _sha(dict(self.hashes))


@cache
def folder_of(kind: type[Record]) -> str:
    """The folder of `instances/` that holds records of `kind`."""
    return next(folder for folder, k in KINDS.items() if k is kind)


def unknown(what: str, name: str, known: list[str]) -> str:
    """Message for a name that is not there, with the nearest ones."""
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    plain = sorted(n for n in known if "+" not in n)  # a die with stacks has too many names to list
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(plain)}"
    return f"{what} = {shown(name)} is not in the catalogue; {hint}"


def split_path(path: str, folders: Mapping[str, Mapping[str, Any]]) -> tuple[str, str, str]:
    """Split "chips.h100-sxm.peak.fp8" into folder, name (may hold dots) and key."""
    head, _, rest = path.partition(".")
    folder = ALIASES.get(head, head)
    if folder not in folders:
        raise DataError(f"{path!r}: no kind {head!r}; known: {', '.join(folders)}")
    fits = [name for name in folders[folder] if rest == name or rest.startswith(name + ".")]
    if not fits:
        raise DataError(f"{path!r}: " + unknown(folder, rest.split(".")[0], list(folders[folder])))
    name = max(fits, key=len)
    return folder, name, rest[len(name) + 1 :]


def load(own: Path | None = None, assume: Mapping[str, str | float] | None = None) -> Catalog:
    """Read and check our catalogue, the user's folder `own` over it, and `assume` (path -> value).

    A file collectives.csv in `own` holds measured collectives (see `collective_table`).
    Raises DataError with every fault of every file.
    """
    raw, sources = _read_tree(files("instances"), "")
    if own is not None:
        if not own.is_dir():
            raise DataError(f"--catalog {own}: no such folder")
        _check_folder(own)
        more, more_sources = _read_tree(own, f"{own}/")
        for folder, entries in more.items():
            raw[folder].update(entries)
        sources |= more_sources
    for path, value in (assume or {}).items():
        _assume(raw, path, value)
    checked = _checked(raw, sources, dict(assume or {}))
    if own is None or not (own / COLLECTIVES).is_file():
        return checked
    table = read_table(own / COLLECTIVES, checked.records["links"])
    return replace(checked, collectives=table, hashes={**checked.hashes, COLLECTIVES: table.sha256})


def _check_folder(own: Path) -> None:
    """A misspelt folder must not pass for an empty one."""
    for alias, folder in ALIASES.items():
        if alias not in KINDS and (own / alias).is_dir():
            raise DataError(f"--catalog {own}: folder {alias!r} must be called {folder!r}")
    if not any((own / name).exists() for name in ("sources.toml", COLLECTIVES, *KINDS)):
        known = ", ".join(KINDS)
        wanted = f"sources.toml, {COLLECTIVES} or a folder of {known}"
        raise DataError(f"--catalog {own}: holds no catalogue; expected {wanted}")


def builtin_query(name: str) -> str:
    """The text of a query that ships with the catalogue."""
    return (files("instances") / "queries" / f"{name}.toml").read_text(encoding="utf-8")


def builtin_plan(name: str) -> str:
    """The text of a fleet plan that ships with the catalogue."""
    return (files("instances") / "plans" / f"{name}.toml").read_text(encoding="utf-8")


def _read_tree(root: Traversable, prefix: str) -> tuple[Tree, dict[str, tuple[str, Raw]]]:
    """Raw tables by folder and name, and raw sources, each with the file's name for messages."""
    faults: list[str] = []
    raw: dict[str, dict[str, tuple[str, Raw]]] = {folder: {} for folder in KINDS}
    for folder in KINDS:
        for entry in _toml_files(root / folder):
            where = f"{prefix}{folder}/{entry.name}"
            table = _parse(entry, where, faults)
            raw[folder][entry.name.removesuffix(".toml")] = (where, table)
    entry = root / "sources.toml"
    where = f"{prefix}sources.toml"
    table = _parse(entry, where, faults) if entry.is_file() else {}
    if faults:
        raise DataError("\n".join(faults))
    return raw, {key: (where, value) for key, value in table.items()}


def _toml_files(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)


def _parse(entry: Traversable, where: str, faults: list[str]) -> Raw:
    try:
        return toml_of(entry.read_text(encoding="utf-8"), where)
    except DataError as error:
        faults.append(str(error))
    except UnicodeDecodeError as error:
        faults.append(f"{where}: not readable as TOML: {error}")
    except OSError as error:
        faults.append(f"{where}: cannot be read: {error.strerror}")
    return {}


def _assume(raw: dict[str, dict[str, tuple[str, Raw]]], path: str, value: str | float) -> None:
    """Set one number of the raw tables to the user's own value."""
    folder, name, key = split_path(path, raw)
    where, table = raw[folder][name]
    if not key:
        raise DataError(f"{path!r} names an entry, not a number of it; expected KIND.NAME.KEY, as chips.h100-sxm.price")
    table = json.loads(json.dumps(table, default=str))
    parent, _, number = key.partition(".")
    if number and isinstance(table.get(parent), str):
        hint = f"; set servers.{table[parent]}.{number}" if parent == "server" else ""
        raise DataError(f"{path!r}: {parent} = {table[parent]!r} is a name{hint}")
    *parents, last = key.split(".")
    spot: Any = table
    for parent in parents:
        spot = _inside(spot, parent, path)
    if isinstance(_inside(spot, last, path), str) and folder != "models":
        raise DataError(f"{path!r}: {spot[last]!r} is text; only numbers can be assumed")
    fact = {"value": value, "source": "user", "date": date.today().isoformat(), "confidence": "assumed"}
    spot[int(last) if isinstance(spot, list) else last] = _unquoted(value) if folder == "models" else fact
    raw[folder][name] = (f"{where} with {path} = {value if len(str(value)) <= SHOWN else shown(value)}", table)


def _inside(spot: Any, key: str, path: str) -> Any:
    """The part of a raw table at `key`, made if there is none; DataError where there can be none."""
    if isinstance(spot, list) and key.isdecimal() and int(key) < len(spot):
        return spot[int(key)]
    if not isinstance(spot, dict):
        known = f"; known: 0 .. {len(spot) - 1}" if isinstance(spot, list) else ""
        raise DataError(f"{path!r}: there is no {key!r} here{known}")
    return spot.setdefault(key, {})


def _unquoted(value: str | float) -> Any:
    """A model's shape is plain numbers, words and truth values."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _checked(
    raw: dict[str, dict[str, tuple[str, Raw]]], raw_sources: dict[str, tuple[str, Raw]], assumed: dict[str, Any]
) -> Catalog:
    faults: list[str] = []
    sources: dict[str, SourceRecord] = {}
    for key, (where, table) in raw_sources.items():
        try:
            sources[key] = SourceRecord.model_validate(table)
        except ValidationError as error:
            faults += faults_of(error, f"{where}: [{key}]", SourceRecord)
    records: dict[str, dict[str, Record]] = {folder: {} for folder in KINDS}
    for folder, entries in raw.items():
        for name, (where, table) in entries.items():
            try:
                record = KINDS[folder].model_validate(table)
            except ValidationError as error:
                faults += faults_of(error, where, KINDS[folder])
                continue
            if record.name != name:
                faults.append(f"{where}: name = {record.name!r} must be the file's name, {name!r}")
            records[folder][name] = record
            faults += _source_faults(record, where, sources)
    if not faults:
        faults = _reference_faults(records, raw)
    if faults:
        raise DataError("\n".join(faults))
    hashes = {f"{k}.{n}": _sha(_undated(table)) for k, entries in raw.items() for n, (_, table) in entries.items()}
    return Catalog(records, sources, hashes, {k: str(v) for k, v in assumed.items()})


def _undated(content: Any) -> Any:
    """The content without the dates of the user's own numbers, which are those of the run."""
    if isinstance(content, dict):
        mine = content.get("source") == "user"
        return {key: _undated(value) for key, value in content.items() if not (mine and key == "date")}
    return [_undated(item) for item in content] if isinstance(content, list) else content


def faults_of(error: ValidationError, where: str, kind: type[BaseModel]) -> list[str]:
    """One line for each fault pydantic found in a table of `kind`: file, key, value, what would be right."""
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        given = "" if isinstance(fault["input"], dict | BaseModel | Fact) else f" = {shown(fault['input'])}"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown key" + _known_keys(kind, fault["loc"][:-1])
        lines.append(f"{where}: {key}{given}: {message}" if key else f"{where}: {message}")
    return lines


def _known_keys(kind: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """The keys of the table at `loc`, for messages."""
    here: type[BaseModel] | None = kind
    for part in loc:
        if here is not None and part in here.model_fields:
            here = _table_in(here.model_fields[str(part)].annotation)
    if here is None:
        return ""
    return "; known: " + ", ".join(field.alias or name for name, field in here.model_fields.items())


def _table_in(annotation: Any) -> type[BaseModel] | None:
    """The table that a field's type holds, such as Fact in Annotated[Fact, ...] | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _table_in(part)) is not None), None)


def _source_faults(record: Record, where: str, sources: Mapping[str, SourceRecord]) -> list[str]:
    keys = [(path, fact.source) for path, fact in numbers(record)]
    keys += [(f"{path}.others", other.source) for path, fact in numbers(record) for other in fact.others]
    keys += [("source", record.source)] if hasattr(record, "source") else []
    if isinstance(record, LinkRecord):
        keys += [(f"collectives.{i}", one.source) for i, one in enumerate(record.collectives)]
    return [
        f"{where}: {path}: source = {key!r} is not in sources.toml"
        for path, key in keys if key not in sources and key != "user"
    ]  # fmt: skip


_REFERENCES = {
    "chips": {
        "memory": "memory", "server": "servers",
        "connections.scale_up": "links", "connections.scale_out": "links",
    },
    "dies": {
        "process": "processes", "package": "packages", "server": "servers",
        "connections.scale_up": "links", "connections.scale_out": "links",
    },
    "papers": {"model": "models"},
    "links": {"like.link": "links"},
}  # fmt: skip


def _reference_faults(records: Mapping[str, Mapping[str, Record]], raw: Mapping[str, Any]) -> list[str]:
    faults = []
    for folder, references in _REFERENCES.items():
        for name, record in records[folder].items():
            for key, target in references.items():
                value: Any = record
                for part in key.split("."):
                    value = getattr(value, part, None)
                if value is not None and value not in records[target]:
                    faults.append(f"{raw[folder][name][0]}: {key}: " + unknown(target, value, list(records[target])))
    return faults


def _sha(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
