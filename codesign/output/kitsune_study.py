"""The Kitsune study beside ours on the terminal: Table 2, speed-ups, means, checks, what does not fit in the study."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from codesign.facts.units import show
from codesign.kitsune.reproduce import Cell, Difference, KitsuneReproduction, Mean, MeasuredGroup, SimulatedGroup, Speed
from codesign.kitsune.reproduce_checks import Check
from codesign.output.text import Table, columns, section


def render(r: KitsuneReproduction) -> Iterator[RenderableType]:
    """The parts in reading order."""
    yield Text(f"{r.study}, on {r.gpu}", style="bold")
    parts = {
        "Table 2: study / ours; * prediction, the study's number is not known to us": _cells(r.cells),
        "Speed-ups against bulk-synchronous execution": _speeds(r.speeds),
        "Geometric means": _means(r.means),
        "Pipelines of 32 tiles and more, simulated": _simulated(r.simulated),
        "Measured on an A100 before the study, and ours; its shapes are not known, ours are the application's":
            _measured(r.measured),
        "Checks": _checks(r.checks),
    }
    for title, table in parts.items():
        yield from section(title, table)
    if r.differences:
        yield from section("Coverage that differs (the study prints no names; ours, the shorter list)",
                           *map(_difference, r.differences))  # fmt: skip
    yield from section("Within the study", r.discrepancy)
    yield from section("Assumptions", *r.assumptions)


def _difference(d: Difference) -> str:
    word, names = ("covers", d.covered) if len(d.covered) <= len(d.left_out) else ("leaves out", d.left_out)
    rule = d.what.partition(" ")[0]
    return f"{d.app}, {d.mode}, {rule}: study {d.study}, ours {d.ours}, which {word} {', '.join(names)}"


def _cells(cells: tuple[Cell, ...]) -> Table:
    heads = tuple(dict.fromkeys(cell.what for cell in cells))
    table = columns("application", "", *heads, left=2)
    found = {(cell.app, cell.mode, cell.what): cell for cell in cells}
    for app, mode in dict.fromkeys((cell.app, cell.mode) for cell in cells):
        table.add_row(app, mode, *(_cell(found[app, mode, what]) for what in heads))
    return table


def _cell(cell: Cell) -> str:
    places = 2 if "cut" in cell.what else 0
    ours = f"{cell.ours:.{places}f}"
    return f"{ours}*" if cell.study is None else f"{cell.study:.{places}f} / {ours}"


def _speeds(speeds: tuple[Speed, ...]) -> Table:
    table = columns("application", "", "bulk", "vertical", "Kitsune", "with fill and queues", "sub-graphs", left=2)
    for s in speeds:
        spread = f"{min(s.subgraphs):.2f} to {max(s.subgraphs):.2f}" if s.subgraphs else "-"
        table.add_row(s.app, s.mode, show(s.bulk_s, "s"), f"{s.vertical:.2f}x", f"{s.kitsune:.2f}x",
                      f"{s.with_queues:.2f}x", spread)  # fmt: skip
    return table


def _means(means: tuple[Mean, ...]) -> Table:
    table = columns("mean", "study", "ours")
    for m in means:
        table.add_row(m.what, "prediction" if m.study is None else f"{m.study:.2f}x", f"{m.ours:.2f}x")
    return table


def _simulated(groups: tuple[SimulatedGroup, ...]) -> Table:
    table = columns("application", "operators", "tiles", "predicted", "simulated", "with queues: predicted",
                    "simulated")  # fmt: skip
    for g in groups:
        seconds = (g.predicted_s, g.simulated_s, g.predicted_queued_s, g.simulated_queued_s)
        table.add_row(g.app, str(g.operators), str(g.tiles), *(show(s, "s") for s in seconds))
    return table


def _measured(groups: tuple[MeasuredGroup, ...]) -> Table:
    table = columns("sub-graph", "of", "operators", "bulk: measured", "ours", "pipeline: measured", "ours",
                   "gain: measured", "ours", "traffic cut to 1 in: measured", "ours", left=2)  # fmt: skip
    for g in groups:
        rates = (g.measured_bulk, g.bulk, g.measured_pipelined, g.pipelined)
        gains = (g.measured_pipelined / g.measured_bulk, g.pipelined / g.bulk)
        table.add_row(g.name, g.app, str(g.operators), *(show(rate, "FLOP/s") for rate in rates),
                      *(f"{gain:.2f}x" for gain in gains), f"{g.measured_traffic:.1f}", f"{g.traffic:.1f}")  # fmt: skip
    return table


def _checks(checks: tuple[Check, ...]) -> Table:
    table = columns("check", "ours", "asked", "", "why", left=1)
    table.columns[3].justify = table.columns[4].justify = "left"
    for c in checks:
        low, high = ("" if x is None else f"{x:.4g}" for x in (c.least, c.most))
        asked = f"at most {high}" if not low else f"at least {low}" if not high else f"{low} to {high}"
        table.add_row(c.name, f"{c.ours:.4g}", asked, Text("hit" if c.hit else "miss", style="bold"), c.reason)
    return table
