"""The system that somebody asks about: a memory, a chip, a tensor degree, or the layout of another answer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from codesign.facts.catalog import Catalog, unknown
from codesign.facts.errors import DataError
from codesign.facts.reading import json_file
from codesign.facts.records import MemoryRecord
from codesign.physics import chips as readers
from codesign.physics.hardware import Chip
from codesign.system import offers
from codesign.system.answer import Answer
from codesign.system.key import degrees_of
from codesign.system.query import Query
from codesign.system.spaces import AnySpace

DEGREES = ("tensor", "pipeline", "expert", "data")


@dataclass(frozen=True)
class Wanted:
    """What a system must have; None: no matter. `layout`: degrees and precisions of another answer."""

    memory: str | None = None
    chip: str | None = None
    tensor: int | None = None
    layout: tuple[tuple[str, Any], ...] = ()

    def said(self) -> str:
        """In words."""
        parts = [("memory", self.memory), ("chip", self.chip), ("tensor degree", self.tensor)]
        said = [f"{name} {value}" for name, value in parts if value is not None]
        if self.layout:
            named = dict(self.layout)
            said.append(f"layout TP{named['tensor']} DP{named['data']} PP{named['pipeline']} EP{named['expert']} "
                        f"{named['weights']}, KV {named['kv']}")  # fmt: skip
        return ", ".join(said)

    @property
    def names_a_chip(self) -> bool:
        """Whether a memory or a chip is asked for, not any chip with a degree."""
        return self.memory is not None or self.chip is not None

    def of_chip(self, chip: Chip) -> bool:
        """Whether a chip can have it."""
        memory = self.memory is None or self.memory in (chip.memory, chip.family)
        return memory and (self.chip is None or self.chip in (chip.name, chip.die or chip.name))

    def mask(self, space: AnySpace) -> Any:
        """The layouts of a space that have it."""
        able = np.array([self.of_chip(chip) for chip in space.chips], dtype=bool)
        found = able[space.chip] if len(able) else np.zeros(len(space), dtype=bool)
        if self.tensor is not None:
            found &= space.tensor == self.tensor
        if self.layout:
            alike = [i for i in np.flatnonzero(found).tolist() if degrees_of(space.layout(i)) == dict(self.layout)]
            found = np.zeros(len(space), dtype=bool)
            found[alike] = True
        return found


def read_wanted(
    catalog: Catalog, *, memory: str | None, chip: str | None, tensor: int | None, system: Path | None
) -> Wanted:
    """What the options ask for. Raises DataError for unknown names, an unreadable answer, or no option at all."""
    if memory is None and chip is None and tensor is None and system is None:
        raise DataError("why not what? give --memory, --chip, --tensor or --system")
    if system is not None:
        if (memory, chip, tensor) != (None, None, None):
            raise DataError("--system says chip and layout; --memory, --chip and --tensor do not go with it")
        return _of_answer(system)
    chips = list(readers.all_chips(catalog))
    memories = {name for one in chips for name in (one.memory, one.family)}
    memories |= {name for record in catalog.all(MemoryRecord) for name in (record.name, record.family)}
    names = {name for one in chips for name in (one.name, one.die or one.name)}
    asked = (("--memory", memory, memories), ("--chip", chip, names))
    faults = [unknown(option, value, sorted(known)) for option, value, known in asked
              if value is not None and value not in known]  # fmt: skip
    if faults:
        raise DataError("\n".join(faults))
    return Wanted(memory, chip, tensor)


def _of_answer(path: Path) -> Wanted:
    try:
        answer = Answer.model_validate(json_file(path, f"--system {path}"))
    except ValidationError as error:
        said = str(error).splitlines()[0]
        raise DataError(f"--system {path}: not an answer of `codesign best --json`: {said}") from error
    if answer.system is None or answer.prefill is not None:
        raise DataError(f"--system {path}: holds no system of one pool")
    s = answer.system
    layout = (*((name, getattr(s, name)) for name in DEGREES), ("weights", s.weights), ("kv", s.kv))
    return Wanted(chip=s.chip, layout=tuple(sorted(layout, key=lambda item: item[0])))


def why_absent(catalog: Catalog, query: Query, offered: offers.Supply, wanted: Wanted) -> dict[str, str]:
    """For each chip that could have it and is not on offer: the reason, by name."""
    left = {one.name: one.reason for one in offered.left_out}
    on_offer = {offer.chip.name for offer in offered.offers}
    found = {}
    for chip in readers.all_chips(catalog):
        if not wanted.of_chip(chip) or chip.name in on_offer:
            continue
        shown = chip.name if chip.die is None else f"{chip.die}+{chip.memory}"
        kind = "catalogue" if chip.die is None else "composed"
        if query.hardware not in ("any", kind):
            found[shown] = f"the query asks for hardware {query.hardware}"
        elif not offers.allowed(query, chip):
            found[shown] = "the query's lists or its year rule it out"
        else:
            found[shown] = left.get(shown, "left out")
    return found
