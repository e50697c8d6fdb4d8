"""answer.json, bands.csv or ranking.csv, and charts (PNG, SVG, HTML) of switch points."""

from pathlib import Path

from codesign.changes.switch_answer import LinePart, SwitchAnswer
from codesign.facts.cells import csv_text
from codesign.output.drawing import FORMATS, save
from codesign.output.files import write_folder
from codesign.output.switch_chart import bands_chart, ranking_chart

MOST_LINES = 20  # names of files that an earlier run may have left
BANDS = ("parameter", "unit", "low", "high", "chip", "memory", "stacks", "tensor", "pipeline", "expert", "data",
         "weights", "kv", "replicas", "objective_low", "objective_high")  # fmt: skip
RANKING = ("parameter", "unit", "today", "nearest", "distance", "below", "above", "published_low", "published_high",
           "confidence", "inside", "system", "changes", "note")  # fmt: skip
NAMES = (*(f"bands-{i}" for i in range(1, MOST_LINES + 1)), "ranking")
FILES = ("answer.json", "bands.csv", "ranking.csv", *(f"{name}.{kind}" for name in NAMES for kind in FORMATS))


def write_switch(folder: Path, answer: SwitchAnswer) -> None:
    """Write the folder whole or not at all."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(answer.document() + "\n", encoding="utf-8")
        if answer.lines:
            (stage / "bands.csv").write_text(bands(answer.lines), encoding="utf-8")
        for i, line in enumerate(answer.lines, 1):
            save(stage, f"bands-{i}", bands_chart(answer, line))
        if answer.ranking:
            (stage / "ranking.csv").write_text(ranking(answer), encoding="utf-8")
            if any(row.nearest is not None for row in answer.ranking):
                save(stage, "ranking", ranking_chart(answer))

    write_folder(folder, fill, FILES)


def bands(lines: tuple[LinePart, ...]) -> str:
    """One row a band; both ends belong to it, in SI, so that they read back as the same doubles."""
    rows: list[list[object]] = []
    for line in lines:
        for band in line.bands:
            s = band.system
            system = [""] * 10 if s is None else [s.chip, s.memory, s.stacks, s.tensor, s.pipeline, s.expert, s.data,
                                                  s.weights, s.kv, s.replicas]  # fmt: skip
            rows.append([line.path, line.unit, repr(band.low), repr(band.high), *system, band.low_value,
                         band.high_value])  # fmt: skip
    return csv_text(BANDS, rows)


def ranking(answer: SwitchAnswer) -> str:
    """One row a parameter, the nearest switch first."""
    rows: list[list[object]] = []
    for r in answer.ranking:
        rows.append([r.path, r.unit, r.today, r.nearest, r.distance, r.below, r.above, r.published_low,
                     r.published_high, r.confidence, r.inside, "" if r.system is None else r.system.shown,
                     " ".join(r.changes), r.note])  # fmt: skip
    return csv_text(RANKING, rows)
