"""Conflicts and cures of a fleet plan on the terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

from codesign.changes.relax_plan_answer import CuredPlanPart, FactorPart, FleetRelaxAnswer
from codesign.changes.switch_plan_answer import NOTHING, UNKNOWN, FleetPart
from codesign.output.text import count


def render(answer: FleetRelaxAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    if answer.status == "feasible":
        yield "Nothing to relax: a fleet satisfies all limits; `codesign fleet` names the best."
        return
    if answer.status == "undecided" and not answer.conflicts:
        yield "Not decided in the nodes or time given: whether a fleet satisfies the plan."
        return
    more = "" if answer.complete or answer.undecided else " (there may be more; --most finds them)"
    yield f"{count(len(answer.conflicts), 'smallest set')} of limits that no fleet satisfies{more}"
    for one in answer.conflicts:
        yield "  " + (" with ".join(one.asked) or "none: no fleet, whatever the limits")
    for names in answer.undecided:
        yield f"  not decided: {' with '.join(names)}, and whatever holds these"
    yield ""
    yield f"Each that cures alone, all others held, and the best fleet then ({answer.objective})"
    if not answer.single:
        yield f"  none: {answer.way or 'none that is enough'}"
    for cure in answer.single:
        yield from _single(cure, answer.periods)
    yield ""
    yield "Together, by one common factor on all amounts of the limits in conflicts, to 2 % (one direction only)"
    if not answer.joint:
        yield "  none"
    for factor in answer.joint:
        yield from _joint(factor, answer.periods)
    yield ""
    yield f"{answer.solves} feasibility programs for the conflicts"
    yield ""
    yield "Assumptions"
    for each in answer.assumptions:
        yield f"  {each}"


def _single(one: CuredPlanPart, periods: Sequence[str]) -> Iterator[str]:
    cure = one.cure
    yield f"  {cure.limit} {cure.asked}: {cure.works} works"
    unsolved = "not solved anew: a speed makes other columns"
    yield f"    {unsolved if one.bought is None else bought(one.bought, periods)}"


def _joint(one: FactorPart, periods: Sequence[str]) -> Iterator[str]:
    what = [f"{verb} {', '.join(names)}" for verb, names in (("multiplied:", one.multiplied), ("divided:", one.divided))
            if names]  # fmt: skip
    proof = f"none at {one.too_little:.4g}" if one.decided else "less not decided"
    yield f"  {one.factor:.4g} works, {proof}; {'; '.join(what)}"
    yield f"    {bought(one.bought, periods)}"


def bought(fleet: FleetPart, periods: Sequence[str]) -> str:
    """One line: servers by kind and period, objective and gap."""
    if fleet.bought is None:
        return NOTHING if fleet.status == "infeasible" else UNKNOWN
    return f"buys {servers(fleet, periods)} (servers); {fleet.value or 0.0:,.6g}, gap {fleet.gap or 0.0:.2g}"


def servers(fleet: FleetPart, periods: Sequence[str]) -> str:
    """Servers bought by kind and period: "2026: 2 x b200-sxm + 1 x h100-sxm"."""
    every = fleet.bought or {}
    kinds = "; ".join(
        f"{period}: " + " + ".join(f"{n[i]:,} x {chip}" for chip, n in every.items() if n[i])
        for i, period in enumerate(periods) if any(n[i] for n in every.values())
    )  # fmt: skip
    return kinds or "nothing"
