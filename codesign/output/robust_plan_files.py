"""answer.json and tables of a fleet plan's robust purchases: candidates, regrets, scenarios."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from codesign.changes.robust_plan_answer import FleetRobustAnswer, purchases_said
from codesign.facts.cells import csv_text
from codesign.output.files import write_folder

FILES = ("answer.json", "candidates.csv", "regrets.csv", "scenarios.csv")


def write_fleet_robust(folder: Path, answer: FleetRobustAnswer) -> None:
    """Write the folder whole or not at all; numbers in SI, factors on demand."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(answer.document() + "\n", encoding="utf-8")
        periods = answer.periods
        losses = ("today_loss", "regret_mean", "regret_worst", "break_share", "worst_value")
        _csv(stage / "candidates.csv", ("bought", "roles", "today_objective", *losses, "breaks"),
             ([c.name(periods), "; ".join(c.roles), c.today.value, *(getattr(c, name) for name in losses),
               "; ".join(f"{why} {share!r}" for why, share in c.breaks.items())]
              for c in answer.candidates))  # fmt: skip
        _csv(stage / "regrets.csv", ("scenario", "bought", "status", "objective", "bound", "regret", "why"),
             ([one.number, c.name(periods), c.fleets[s].status, c.fleets[s].value, c.fleets[s].bound, c.regret[s],
               c.fleets[s].why]
              for s, one in enumerate(answer.scenarios) for c in answer.candidates))  # fmt: skip
        paths = [one.path for one in answer.uncertain]
        _csv(stage / "scenarios.csv", ("scenario", "status", "objective", "bound", "reference", "bought", *paths),
             ([s.number, s.best.status, s.best.value, s.best.bound, s.reference,
               purchases_said(s.best.bought or {}, periods), *(repr(s.changes[path]) for path in paths)]
              for s in answer.scenarios))  # fmt: skip

    write_folder(folder, fill, FILES)


def _csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    path.write_text(csv_text(header, rows), encoding="utf-8")
