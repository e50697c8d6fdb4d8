"""Tables of the catalogue."""

from rich import box

from codesign.facts.catalog import ALIASES, Catalog, unknown
from codesign.facts.errors import DataError
from codesign.facts.records import KINDS, ModelRecord, Record, numbers
from codesign.output.text import Table, columns


def folder_named(kind: str) -> str:
    """The folder of a kind as people call it; DataError names the known ones."""
    folder = ALIASES.get(kind, kind)
    if folder not in KINDS:
        raise DataError(f"{kind!r} is no kind of thing in the catalogue; known: {', '.join([*KINDS, 'memories'])}")
    return folder


def listing(catalog: Catalog, kind: str | None) -> Table:
    """Names and titles of one kind, or how many there are of each."""
    if kind is None:
        table = columns("kind", "entries")
        for folder, entries in catalog.records.items():
            table.add_row(folder, str(len(entries)))
        return table
    table = columns("name", "title", "numbers", "unverified", left=2)
    for name, record in sorted(catalog.records[folder_named(kind)].items()):
        facts = [fact for _, fact in numbers(record)]
        doubtful = sum(f.confidence in ("unverified", "announced", "assumed") for f in facts)
        table.add_row(name, record.title, str(len(facts)) if facts else "-", str(doubtful) if facts else "-")
    return table


def showing(catalog: Catalog, kind: str, name: str | None) -> Table:
    """Every number of one entry, or of all entries of a kind."""
    folder = folder_named(kind)
    entries = catalog.records[folder]
    if name is not None and name not in entries:
        raise DataError(unknown(folder, name, list(entries)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=None if name is None else entries[name].title)
    for head in ("number", "value", "unit", "source", "date", "confidence", "note"):
        table.add_column(head, overflow="fold", ratio=None)
    for key in [name] if name is not None else sorted(entries):
        for row in _rows(entries[key], "" if name is not None else f"{key}."):
            table.add_row(*row)
    return table


def _rows(record: Record, prefix: str) -> list[tuple[str, ...]]:
    if isinstance(record, ModelRecord):
        about = {"schema_", "name", "title", "note", "source", "date", "confidence"}
        shape = record.model_dump(exclude=about, exclude_none=True)
        return [(f"{prefix}{key}", str(value), "", record.source, record.date, record.confidence, "")
                for key, value in _flat(shape)]  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for key, fact in numbers(record):
        known = fact.low is not None or fact.high is not None
        spread = f"{fact.low or fact.value} .. {fact.high or fact.value}" if known else ""
        others = "; ".join(f"{o.value} ({o.source})" for o in fact.others)
        note = "; ".join(part for part in (spread, fact.note, others and f"others: {others}") if part)
        rows.append((f"{prefix}{key}", str(fact.value), fact.unit, fact.source, fact.date, fact.confidence, note))
    return rows


def _flat(shape: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for key, value in shape.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return rows
