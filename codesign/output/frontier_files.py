"""A folder with a frontier: frontier.json, frontier.csv (a row a point), query.toml, and its chart."""

from pathlib import Path

from codesign.changes.frontier_answer import AxisPart, FrontierAnswer
from codesign.facts.cells import csv_text
from codesign.output.drawing import FORMATS, save
from codesign.output.files import write_folder
from codesign.output.frontier_chart import chart
from codesign.system.query import Query

FILES = ("frontier.json", "frontier.csv", "query.toml", *(f"frontier.{kind}" for kind in FORMATS))
UNITS = {"USD": "usd", "USD/h": "usd_h", "W": "w", "chips": "", "tokens/s": "tokens_s"}
SYSTEM = ("chip", "memory", "stacks", "tensor", "data", "pipeline", "expert", "weights", "kv")


def write_frontier(folder: Path, answer: FrontierAnswer, asked: Query) -> None:
    """Write the folder whole or not at all; a frontier without points has no chart."""

    def fill(stage: Path) -> None:
        (stage / "frontier.json").write_text(answer.document() + "\n", encoding="utf-8")
        (stage / "frontier.csv").write_text(table(answer), encoding="utf-8")
        (stage / "query.toml").write_text(asked.as_toml(), encoding="utf-8")
        if answer.steps:
            save(stage, "frontier", chart(answer))

    write_folder(folder, fill, FILES)


def table(answer: FrontierAnswer) -> str:
    """The points as CSV, in SI, along the first axis."""
    header = ("step", *(_head(axis) for axis in answer.axes), *SYSTEM, "replicas", "batch", "users", "servers",
              "chips_bought")  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for number, step in enumerate(answer.steps, start=1):
        named = [getattr(step.system, name) for name in SYSTEM]
        for p in step.points:
            rows.append((number, *(repr(p.values[axis.name]) for axis in answer.axes), *named, p.replicas, p.batch,
                         p.users, p.servers_bought, p.chips_bought))  # fmt: skip
    return csv_text(header, rows)


def _head(axis: AxisPart) -> str:
    """ "user_speed_tokens_s": an axis with its unit."""
    return "_".join(filter(None, (axis.name.replace("-", "_"), UNITS[axis.unit])))
