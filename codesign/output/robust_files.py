"""A folder about robust designs: the document, tables of designs, regrets and scenarios, the chart of regrets."""

from pathlib import Path
from typing import Any

from codesign.changes.robust import Robust
from codesign.changes.robust_answer import RobustAnswer
from codesign.facts.cells import csv_text
from codesign.output.drawing import save
from codesign.output.files import write_folder
from codesign.output.robust_chart import chart

TABLES = ("answer.json", "query.toml", "designs.csv", "regrets.csv", "scenarios.csv")
CHART = "regrets"
FILES = (*TABLES, f"{CHART}.png", f"{CHART}.svg", f"{CHART}.html")


def write_robust(folder: Path, r: Robust, a: RobustAnswer) -> None:
    """Write the folder whole or not at all; where nothing fits there are no designs to tabulate or draw."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(a.document() + "\n", encoding="utf-8")
        (stage / "query.toml").write_text(r.question.query.as_toml(), encoding="utf-8")
        (stage / "scenarios.csv").write_text(_scenarios(r, a), encoding="utf-8")
        if r.compared is not None:
            (stage / "designs.csv").write_text(_designs(a), encoding="utf-8")
            (stage / "regrets.csv").write_text(_regrets(r, a), encoding="utf-8")
            save(stage, CHART, chart(a, r.compared.values.regret, r.compared.values.broken))

    write_folder(folder, fill, FILES)


def _designs(a: RobustAnswer) -> str:
    losses = ("best_share", "regret_mean", "regret_p95", "regret_worst", "break_share", "worst_value")
    rows: list[list[Any]] = [
        ["design", "roles", "nominal_value", "nominal_loss", *losses, *(f"model_error_{name}" for name in losses)]
    ]
    for d in a.designs:
        parts = [[None if part is None else getattr(part, name) for name in losses]
                 for part in (d.scenarios, d.model_error)]  # fmt: skip
        rows.append([d.name, "; ".join(d.roles), d.nominal_value, d.nominal_loss, *parts[0], *parts[1]])
    return csv_text(rows[0], rows[1:])


def _regrets(r: Robust, a: RobustAnswer) -> str:
    """One row for each scenario that was solved, one column for each design; scenarios by number as drawn."""
    if r.compared is None:
        return ""
    regret = r.compared.values.regret
    rows: list[list[Any]] = [["scenario", *(d.name for d in a.designs)]]
    rows += [[int(n), *regret[:, s].tolist()] for s, n in enumerate(r.solves.number)]
    return csv_text(rows[0], rows[1:])


def _scenarios(r: Robust, a: RobustAnswer) -> str:
    """The best of each scenario that was solved, and its numbers in SI."""
    paths = [x.path for x in a.uncertain]
    rows: list[list[Any]] = [["scenario", "best_value", "best_design", *paths]]
    aim = r.question.query.objective
    for s, n in enumerate(r.solves.number):
        scenario, best = r.solves.scenarios[s], float(r.solves.best[s])
        numbers = scenario.changes | {f"step_time.{name}": factor for name, factor in scenario.slow.items()}
        rows.append([int(n), aim.merit(best), r.solves.designs[s].name, *(numbers[p] for p in paths)])
    return csv_text(rows[0], rows[1:])
