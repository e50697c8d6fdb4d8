"""The frontier of a fleet plan on the terminal."""

from collections.abc import Iterator
from typing import Any

from codesign.changes.frontier_plan_answer import FleetFrontierAnswer
from codesign.facts.units import show
from codesign.output.relax_plan import servers
from codesign.output.text import Table, count


def render(answer: FleetFrontierAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    if not answer.points:
        yield ("Infeasible: no fleet satisfies all limits; `codesign relax` says what is in the way."
               if answer.status == "infeasible" else "Nothing found in the time given.")  # fmt: skip
        return
    dropped = f"; {answer.dropped} of {answer.asked} repeat one of them, or are worse" if answer.dropped else ""
    yield (f"{count(len(answer.points), 'fleet')} of least cost, each within its power, from least power to least "
           f"dollars; proven points, not a complete curve{dropped}")  # fmt: skip
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in ("cost, all periods", "proven at least", "gap", "mean power"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("servers bought")
    for one in answer.points:
        bound = "-" if one.fleet.bound is None else show(one.fleet.bound, "USD")
        table.add_row(show(one.dollars, "USD"), bound, f"{one.fleet.gap or 0.0:.2g}", show(one.power_w, "W"),
                      servers(one.fleet, answer.periods))  # fmt: skip
    yield table
    bounds = ((answer.least_dollars, "USD", "costs less than"), (answer.least_power_w, "W", "has less mean power than"))
    yield "Proven of the ends: " + "; ".join(f"no fleet {what} {show(bound, unit)}" for bound, unit, what in bounds
                                             if bound is not None)  # fmt: skip
    if answer.undecided:
        yield f"{answer.undecided} of them not proven within the gap in the nodes or time given"
    yield f"{answer.solves} integer programs solved"
    yield ""
    yield "Assumptions"
    for each in answer.assumptions:
        yield f"  {each}"
