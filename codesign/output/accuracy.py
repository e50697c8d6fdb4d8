"""Predictions, their errors and fitted constants, on the terminal."""

from rich.console import Group, RenderableType
from rich.padding import Padding

from codesign.facts.records import AchievedRecord
from codesign.facts.units import show
from codesign.output.text import INDENT, columns, pairs
from codesign.physics.validate import Line, Validation
from codesign.system.predict import Prediction

MOST_GROUPS = 14  # lines of a split on the terminal; the CSV has all


def prediction(p: Prediction) -> RenderableType:
    """One prediction with its breakdown and what is known of its error."""
    errors = p.left_out_errors.get("mix", {})
    traffic = f"{p.users:,.0f} users, {p.prompt:,.0f} tokens in, {p.output:,.0f} out"
    first_token = [] if p.ttft_s is None else [
        ("time to first token", f"{show(p.ttft_s, 's')} on average, waits included{_band(p.ttft_band_s)}")]  # fmt: skip
    memory = ", ".join(f"{name} {show(value, 'B')}" for name, value in p.memory_bytes.items() if name != "usable")
    step, first = (f"{errors.get(name, float('nan')):.0%}" for name in ("tpot_median", "ttft_median"))
    rows = [
        ("deployment", f"{p.model} on {p.chips} x {p.chip}, {p.engine} {p.release}".rstrip(" ,") + f"; mode {p.mode}"),
        ("traffic", f"{traffic}; memory holds {p.users_held:,} users"),
        *first_token,
        ("time per output token", f"{show(p.tpot_s, 's')} on average{_band(p.band_s)}"),
        ("speed", f"{p.user_speed:,.1f} tokens/s a user, {p.chip_speed:,.1f} tokens/s a chip"),
        ("of which", ", ".join(f"{name} {show(value, 's')}" for name, value in p.terms_s.items() if value > 0)),
        ("memory of a chip", f"{memory}; of {show(p.memory_bytes['usable'], 'B')} usable"),
        ("known error", f"fitted to {p.runs_fitted:,} runs; median {step} of time per output token and {first} of time "
                        "to first token on input/output mixes left out" if p.runs_fitted else "no system is faster"),
    ]  # fmt: skip
    return Group(pairs(rows), *(Padding(f"note: {note}", INDENT) for note in p.notes))


def _band(band_s: tuple[float, float] | None) -> str:
    return "" if band_s is None else "; 80 % of runs like this lie in " + " .. ".join(show(x, "s") for x in band_s)


def _percent(value: float) -> str:
    return "-" if value != value else f"{value:.0%}"


def errors(v: Validation) -> RenderableType:
    """Errors by split and group, and the rows that were not predicted."""
    step, first = ("TPOT median", "mean", "p90", "bias"), ("TTFT median", "mean", "bias")
    table = columns("split", "group", "rows", "predicted", *step, *first, "in band", left=2)
    for split in dict.fromkeys(line.split for line in v.lines):
        lines = sorted((line for line in v.lines if line.split == split), key=lambda line: -line.rows)
        for line in lines[:MOST_GROUPS]:
            table.add_row(*_row(line))
    reasons = [f"{count:,} rows not predicted: {reason}" for reason, count in v.reasons().most_common()]
    order = [] if not v.pairs else [f"faster of two layouts told right: {v.in_order:,} of {v.pairs:,} pairs"]
    return Group(table, *order, *reasons)


def _row(x: Line) -> list[str]:
    step, first = [_percent(value) for value in x.tpot], [_percent(value) for value in x.ttft]
    counted = [f"{x.rows:,}", f"{x.predicted / x.rows:.0%}"]
    return [x.split, x.group, *counted, *step, first[0], first[1], first[3], _percent(x.in_band)]


def fitted(record: AchievedRecord) -> RenderableType:
    """The constants that all chips share, and the errors on groups left out."""
    table = columns("left out, one at a time", "TPOT median", "TPOT mean", "TTFT median", "TTFT mean")
    for split, each in record.fit.errors.items():
        table.add_row(split, *(f"{each[key]:.1%}" for key in ("tpot_median", "tpot_mean", "ttft_median", "ttft_mean")))
    common = ", ".join(f"{name} {value:.4g}" for name, value in record.common.items())
    return Group(f"{record.fit.runs:,} runs fitted", table, *_honesty(record), f"constants: {common}")


def _honesty(record: AchievedRecord) -> list[str]:
    """How often left-out runs lie inside their bands, and how often the faster of two layouts is told."""
    said = []
    for kind, name in (("tpot", "time per output token"), ("ttft", "time to first token")):
        shares = [f"{split} {x['pooled']:.0%} ({x['low']:.0%} .. {x['high']:.0%})"
                  for split, x in record.fit.coverage.get(kind, {}).items()]  # fmt: skip
        said += [f"left-out runs inside the band of {name}: {', '.join(shares)}"] if shares else []
    right, total = record.fit.ordering.get("fitted", (0, 0))
    return said + ([f"faster of two layouts told right: {right:,} of {total:,} pairs"] if total else [])
