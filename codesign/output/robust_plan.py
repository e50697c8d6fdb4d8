"""Robust purchases of a fleet plan on the terminal."""

from collections.abc import Iterator
from typing import Any, Literal

from codesign.changes.robust_plan_answer import FleetChoicePart, FleetRobustAnswer, PurchasesPart, purchases_said
from codesign.output.text import Table, count

MOST = 12
NOTHING = 5e-4  # a loss that would show as 0.0%


def render(answer: FleetRobustAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    yield f"Objective: {answer.objective} ({answer.unit}); each point a program with its proven bound"
    yield (f"{answer.asked} scenarios of {count(len(answer.uncertain), 'uncertain number')} (published ranges, demand "
           f"by choice), seed {answer.seed}")  # fmt: skip
    if answer.today.bought is None:
        yield ("Infeasible: no fleet satisfies all limits today; `codesign fleet` says what is in the way."
               if answer.status == "infeasible" else "Nothing found in the time given.")  # fmt: skip
        return
    yield f"Today: {purchases_said(answer.today.bought, answer.periods)}; {answer.today.value:,.6g}"
    yield from _left_out(answer)
    if answer.candidates:
        yield ""
        yield from (_chosen(answer, choice) for choice in answer.choices)
        yield ""
        yield (f"The {count(len(answer.candidates), 'purchase')} compared, kept in "
               f"{count(len(answer.scenarios), 'scenario')}")  # fmt: skip
        yield _table(answer)
        if len(answer.candidates) > MOST:
            yield f"... and {len(answer.candidates) - MOST} more (--json)"
        if answer.status == "undecided":
            yield "Not every point is proven in the time given: regrets and choices are of what was found."
    yield f"{answer.solves} integer programs solved"
    yield ""
    yield "Assumptions"
    for each in answer.assumptions:
        yield f"  {each}"


def _left_out(answer: FleetRobustAnswer) -> Iterator[str]:
    for numbers, why in ((answer.infeasible, "no fleet satisfies all limits"), (answer.unknown, "nothing is known in "
                         "the time given")):  # fmt: skip
        if numbers:
            yield f"In {count(len(numbers), 'scenario')} of {answer.asked} {why}; no share counts them"


def _chosen(answer: FleetRobustAnswer, choice: FleetChoicePart) -> str:
    name = choice.question.capitalize()
    if choice.candidate is None:
        return f"{name}: none of the purchases compared does in {answer.must_fit:.0%} of the scenarios"
    found = answer.candidates[choice.candidate]
    said = [f"at worst {found.regret_worst:.1%} behind the best of a scenario, {found.regret_mean:.1%} in the mean"]
    if found.break_share:
        said.append(f"does not do in {found.break_share:.0%} of the scenarios, nor does any that does as often as it "
                    "must do in all: of those, the least mean loss")  # fmt: skip
    elif found.worst_value is not None:
        said.append(f"objective at worst {found.worst_value:,.6g}")
    return f"{name} among the purchases compared: {found.name(answer.periods)}; {'; '.join(said)}"


def _table(answer: FleetRobustAnswer) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in ("servers bought", ">regret mean", ">worst", ">does not do", ">today", ">worst objective", ""):
        side: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        table.add_column(name.lstrip(">"), justify=side, no_wrap=name.startswith(">"))
    ranked = sorted(answer.candidates, key=lambda one: (not one.roles, one.regret_worst, one.regret_mean))
    for one in ranked[:MOST]:
        why = "; ".join([*one.roles, *one.breaks])
        table.add_row(one.name(answer.periods), f"{one.regret_mean:.1%}", f"{one.regret_worst:.1%}",
                      f"{one.break_share:.0%}", _today(one),
                      "-" if one.worst_value is None else f"{one.worst_value:,.6g}", why)  # fmt: skip
    return table


def _today(one: PurchasesPart) -> str:
    if one.today.value is None:
        return "does not do" if one.today.status == "infeasible" else "not known"
    return f"-{one.today_loss:.1%}" if one.today_loss > NOTHING else "best"
