"""answer.json, tables and charts (PNG, SVG, HTML) of a fleet plan's switch points and sensitivity."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from codesign.changes.switch_plan_answer import FleetPart, FleetSensitivityAnswer, FleetSwitchAnswer
from codesign.facts.cells import csv_text
from codesign.output.drawing import FORMATS, save
from codesign.output.files import write_folder
from codesign.output.plan_change_chart import line_chart, tornado_chart

MOST_LINES = 20  # names of files that an earlier run may have left
SWITCH_FILES = ("answer.json", "points.csv", "switches.csv",
                *(f"line-{i}.{kind}" for i in range(1, MOST_LINES + 1) for kind in FORMATS))  # fmt: skip
TORNADO_FILES = ("answer.json", "tornado.csv", "shadow.csv", *(f"tornado.{kind}" for kind in FORMATS))
FLEET = ("status", "objective", "bound", "gap", "cost_usd", "capital_usd", "bought")


def write_fleet_switch(folder: Path, answer: FleetSwitchAnswer) -> None:
    """Write the folder whole or not at all."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(answer.document() + "\n", encoding="utf-8")
        points = ([line.path, line.unit, repr(p.value), *_fleet(p.fleet)] for line in answer.lines for p in line.points)
        _csv(stage / "points.csv", ("parameter", "unit", "value", *FLEET), points)
        switches = ([line.path, line.unit, repr(s.below), repr(s.above), s.ratio, s.narrow, s.proven,
                     _kinds(s.before, answer.periods), _kinds(s.after, answer.periods)]
                    for line in answer.lines for s in line.switches)  # fmt: skip
        _csv(stage / "switches.csv", ("parameter", "unit", "below", "above", "ratio", "narrow", "proven", "before",
                                      "after"), switches)  # fmt: skip
        for i, line in enumerate(answer.lines, 1):
            save(stage, f"line-{i}", line_chart(answer, line))

    write_folder(folder, fill, SWITCH_FILES)


def write_fleet_sensitivity(folder: Path, answer: FleetSensitivityAnswer) -> None:
    """Write the folder whole or not at all."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(answer.document() + "\n", encoding="utf-8")
        rows = ([bar.path, bar.unit, bar.today, bar.confidence, name, end.value, *_fleet(end.best), end.kept.status,
                 end.kept.value, end.kept.why]
                for bar in answer.bars for name, end in (("low", bar.low), ("high", bar.high)))  # fmt: skip
        _csv(stage / "tornado.csv", ("input", "unit", "today", "confidence", "end", "value", *FLEET, "kept_status",
                                     "kept_objective", "kept_why"), rows)  # fmt: skip
        _csv(stage / "shadow.csv", ("limit", "period", "allowed", "step", "status", "gain", "at_least", "at_most"),
             ([s.limit, s.period, s.allowed, s.step, s.status, s.gain, s.at_least, s.at_most] for s in answer.shadows))
        if answer.bars:
            save(stage, "tornado", tornado_chart(answer))

    write_folder(folder, fill, TORNADO_FILES)


def _csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    path.write_text(csv_text(header, rows), encoding="utf-8")


def _fleet(fleet: FleetPart) -> list[Any]:
    bought = "" if fleet.bought is None else "; ".join(
        f"{chip} {' '.join(map(str, counts))}" for chip, counts in fleet.bought.items())  # fmt: skip
    return [fleet.status, fleet.value, fleet.bound, fleet.gap, fleet.cost_usd, fleet.capital_usd, bought]


def _kinds(kinds: Sequence[Sequence[str]] | None, periods: Sequence[str]) -> str:
    if kinds is None:
        return ""
    return "; ".join(f"{period}: {' '.join(names)}" for period, names in zip(periods, kinds, strict=False))
