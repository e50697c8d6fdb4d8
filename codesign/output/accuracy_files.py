"""errors.csv, predictions.csv and the chart of predicted against measured (PNG, SVG, HTML)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codesign.facts.cells import csv_text
from codesign.output.drawing import pictures
from codesign.output.files import write_files
from codesign.physics.validate import Validation

HEADER = ("line", "model", "chip", "engine", "tpot_ms", "predicted_tpot_ms", "ttft_ms", "predicted_ttft_ms", "reason")


def write_validation(folder: Path, v: Validation) -> None:
    """Write the folder whole or not at all."""
    files = {"errors.csv": v.table(), "predictions.csv": _predictions(v), **pictures({"chart": chart(v)})}
    write_files(folder, files, option="--out")


def write_constants(folder: Path, content: dict[str, Any]) -> None:
    """Write `folder`/achieved/default.toml whole or not at all."""
    import tomli_w
    write_files(folder, {"achieved/default.toml": tomli_w.dumps(content)}, option="--out")


def _predictions(v: Validation) -> str:
    rows: list[Sequence[object]] = []
    for run, tpot, ttft in zip(v.runs, v.tpot_s, v.ttft_s, strict=True):
        measured = "" if run.ttft_s is None else f"{run.ttft_s * 1e3:.6g}"
        rows.append((run.line, run.model, run.chip, run.engine, f"{run.tpot_s * 1e3:.6g}", f"{tpot * 1e3:.6g}",
                 measured, f"{ttft * 1e3:.6g}", ""))  # fmt: skip
    rows += [(row.line, "", "", "", "", "", "", "", row.reason) for row in v.refused]
    return csv_text(HEADER, rows)


def chart(v: Validation) -> Any:
    """Predicted against measured time per output token, both axes logarithmic, one colour and shape an engine."""
    import altair as alt

    measured, predicted = [run.tpot_s * 1e3 for run in v.runs], [tpot * 1e3 for tpot in v.tpot_s]
    data = [
        {"measured": m, "predicted": p, "engine": run.engine, "model": run.model, "chip": run.chip}
        for run, m, p in zip(v.runs, measured, predicted, strict=True)
    ]
    low, high = min(measured + predicted) * 0.8, max(measured + predicted) * 1.25
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    points = alt.Chart(alt.InlineData(values=data)).mark_point(size=18, opacity=0.55).encode(
        x=alt.X("measured:Q", scale=scale, title="measured time per output token, ms"),
        y=alt.Y("predicted:Q", scale=scale, title="predicted, ms"),
        color=alt.Color("engine:N", scale=alt.Scale(range=["#0072B2", "#D55E00", "#009E73", "#CC79A7"])),
        shape="engine:N", tooltip=["model:N", "chip:N", "measured:Q", "predicted:Q"],
    )  # fmt: skip
    ends = alt.InlineData(values=[{"measured": low, "predicted": low}, {"measured": high, "predicted": high}])
    line = alt.Chart(ends).mark_line(color="#555555", strokeDash=[4, 3]).encode(x="measured:Q", y="predicted:Q")
    title = f"{len(data):,} measured runs; on the dashed line the prediction is exact"
    return (points + line).properties(width=520, height=520, title=title)
