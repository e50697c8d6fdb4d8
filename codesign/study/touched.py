"""Which chips a changed number of the catalogue touches, and those chips made anew: the rest is kept.

A number of a memory touches the dies that take it, a number of a link the chips and dies that it joins, and so
on; a number of the prices touches the bill of every chip, and a number of the query no chip at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from codesign.facts.catalog import Catalog, split_path
from codesign.facts.records import ChipRecord, Connections, DieRecord, LinkRecord
from codesign.physics import chips as readers
from codesign.physics.hardware import Chip
from codesign.study.parameters import ASKED
from codesign.system.query import Query

Rank = tuple[bool, str, str, int]


def rank(chip: Chip) -> Rank:
    """The order in which `offers.all_chips` has them: the catalogue's, then by die, memory and stacks."""
    return (True, chip.die, chip.memory, chip.stacks or 0) if chip.die else (False, chip.name, "", 0)


def entries(catalog: Catalog, paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(folder, name) of each entry of the catalogue that has one of the numbers, each once."""
    split = [split_path(path, catalog.records)[:2] for path in paths if path not in ASKED]
    return tuple(dict.fromkeys(split))


def chips_of(catalog: Catalog, query: Query, entry: tuple[str, str]) -> Iterator[Chip]:
    """Every chip that a number of the entry can touch, as the catalogue makes it; not for prices."""
    folder, name = entry
    chips = [r.name for r in catalog.all(ChipRecord) if _chip_rests_on(catalog, r, folder, name)]
    dies = [r.name for r in catalog.all(DieRecord) if _die_rests_on(catalog, r, folder, name)]
    memories = [name] if folder == "memory" else list(catalog.records["memory"])
    wanted = {"chips": chips, "dies": dies, "memory": memories}  # a memory touches no catalogue chip
    fewer = {kind: {key: catalog.records[kind][key] for key in names} for kind, names in wanted.items()}
    yield from readers.all_chips(replace(catalog, records={**catalog.records, **fewer}), query.hardware)


def _chip_rests_on(catalog: Catalog, r: ChipRecord, folder: str, name: str) -> bool:
    return {"chips": r.name == name, "servers": r.server == name}.get(folder, False) or (
        folder == "links" and _joined_by(catalog, r.connections, name)
    )


def _die_rests_on(catalog: Catalog, r: DieRecord, folder: str, name: str) -> bool:
    own = {"dies": r.name, "servers": r.server, "processes": r.process, "packages": r.package}
    return folder == "memory" or own.get(folder) == name or (
        folder == "links" and _joined_by(catalog, r.connections, name))  # fmt: skip


def _joined_by(catalog: Catalog, c: Connections, name: str) -> bool:
    """Whether a link joins the chip, or stands in for one that does."""
    for joined in (c.scale_up, c.scale_out):
        if joined is not None:
            record = catalog.get(LinkRecord, joined)
            if name == joined or name in {one.name for one in readers.stand_ins(catalog, record)}:
                return True
    return False
