"""Folders of `why-not` and `relax`: answer.json and tables of the terms, the least changes and the cures, in SI."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codesign.changes.relax_answer import RelaxAnswer
from codesign.changes.relax_plan_answer import FleetRelaxAnswer
from codesign.changes.switch_plan_answer import FleetPart, FleetWhyNotAnswer
from codesign.changes.why_not_answer import WhyNotAnswer
from codesign.facts.cells import csv_text
from codesign.facts.document import Document
from codesign.output.files import write_folder

FILES = ("answer.json", "terms.csv", "changes.csv", "cures.csv", "conflicts.csv", "fleets.csv")
TERMS = ("term", "unit", "best", "asked", "factor")
CHANGES = ("kind", "path", "unit", "today", "needs", "factor", "exact", "verified", "before", "after")
CURES = ("cure", "limit", "asked", "works", "value", "objective", "unit", "bought")
FLEET = ("status", "objective", "bound", "gap", "cost_usd", "capital_usd", "bought")


def write_why_not(folder: Path, answer: WhyNotAnswer) -> None:
    """Write the folder whole or not at all."""
    terms = [(t.name, t.unit, t.best, t.other, t.factor) for t in answer.terms]
    changes = [(c.kind, path, c.units[path], c.today[path], needs, c.factor, c.exact, c.verified, c.before.system,
                c.after.system) for c in answer.changes for path, needs in c.needs.items()]  # fmt: skip
    cures = [("alone", c.limit, c.asked, c.works, c.value, None, None, None) for c in answer.cures]
    _write(folder, answer, {"terms.csv": csv_text(TERMS, terms), "changes.csv": csv_text(CHANGES, changes),
                            "cures.csv": csv_text(CURES, cures)})  # fmt: skip


def write_relax(folder: Path, answer: RelaxAnswer) -> None:
    """Write the folder whole or not at all; the limits of the cheapest joint cure have the same system bought."""
    every = [("alone", one.cure, one.bought) for one in answer.single]
    if answer.joint is not None:
        every += [("together", change.cure, answer.joint.bought) for change in answer.joint.changes]
    cures = [(how, c.limit, c.asked, c.works, c.value, b.value, b.unit, f"{b.replicas} x {b.system.name}")
             for how, c, b in every]  # fmt: skip
    _write(folder, answer, {"cures.csv": csv_text(CURES, cures), "conflicts.csv": _conflicts(answer)})


def write_fleet_why_not(folder: Path, answer: FleetWhyNotAnswer) -> None:
    """Write the folder whole or not at all."""
    entering = None if answer.entry is None else answer.entry.fleet
    fleets = [("best", answer.best), ("asked", answer.other), ("entering", entering)]
    rows = [(name, *_fleet(fleet)) for name, fleet in fleets if fleet is not None]
    _write(folder, answer, {"fleets.csv": csv_text(("fleet", *FLEET), rows)})


def write_fleet_relax(folder: Path, answer: FleetRelaxAnswer) -> None:
    """Write the folder whole or not at all; together: limits times a factor, requests over it."""
    rows: list[tuple[Any, ...]] = [("alone", one.cure.limit, one.cure.asked, one.cure.works, *_fleet(one.bought))
                                   for one in answer.single]  # fmt: skip
    rows += [("together", " ".join((*one.multiplied, *one.divided)), "", f"{one.factor!r}x", *_fleet(one.bought))
             for one in answer.joint]  # fmt: skip
    _write(folder, answer, {"cures.csv": csv_text(("cure", "limit", "asked", "works", *FLEET), rows),
                            "conflicts.csv": _conflicts(answer)})  # fmt: skip


def _conflicts(answer: RelaxAnswer | FleetRelaxAnswer) -> str:
    rows: Iterable[Sequence[object]] = (
        (number, limit, asked) for number, one in enumerate(answer.conflicts, 1)
        for limit, asked in zip(one.limits, one.asked, strict=True)
    )  # fmt: skip
    return csv_text(("conflict", "limit", "asked"), rows)


def _fleet(fleet: FleetPart | None) -> tuple[Any, ...]:
    if fleet is None:
        return (None,) * len(FLEET)
    bought = "; ".join(f"{chip} {' '.join(map(str, counts))}" for chip, counts in (fleet.bought or {}).items())
    return (fleet.status, fleet.value, fleet.bound, fleet.gap, fleet.cost_usd, fleet.capital_usd, bought)


def _write(folder: Path, answer: Document, tables: Mapping[str, str]) -> None:
    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(answer.document() + "\n", encoding="utf-8")
        for name, text in tables.items():
            (stage / name).write_text(text, encoding="utf-8")

    write_folder(folder, fill, FILES)
