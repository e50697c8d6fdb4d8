"""The document of `robust`: what is uncertain, the designs compared, the two choices with their proofs."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from pydantic import Field

from codesign.changes.robust import Choice, Compared, Robust
from codesign.facts.document import Document, Part
from codesign.study.designs import BROKEN
from codesign.system.answer_parts import version_of
from codesign.system.key import Replicated
from codesign.system.layouts import Floats, Ints
from codesign.system.objective import Objective

TIE = 1e-9  # regret, absolute: a design this near to the best is told as equal to it
NOMINAL, REGRET, WORST = "nominal optimum", "min-max regret", "best worst case"
QUANTILE = 0.95


class UncertainPart(Part):
    """One uncertain number, SI."""

    path: str
    low: float
    value: float = Field(description="today's, within low .. high")
    high: float
    distribution: str
    draw: int = Field(description="numbers of the same draw rise and fall together")


class LossPart(Part):
    """How a design does over scenarios; regret is 1 - value / best, 1 where a limit is broken."""

    best_share: float = Field(description="of scenarios in which no design is better, ties counted")
    regret_mean: float
    regret_p95: float = Field(description="not exceeded in 95% of the scenarios")
    regret_worst: float
    break_share: float = Field(description="of scenarios in which it breaks a limit")
    breaks: dict[str, float] = Field(description="share by limit")
    worst_value: float | None = Field(description="least objective (cost: largest); null where it breaks a limit")


class DesignPart(Replicated):
    """A design with chip, memory, counts and layout fixed; its batch is chosen anew in each scenario."""

    roles: tuple[str, ...]
    nominal_value: float | None = Field(description="objective today; null where it breaks a limit")
    nominal_loss: float = Field(description="1 - value / best, today")
    scenarios: LossPart
    model_error: LossPart | None = Field(description="only the model's error, all numbers as today")


class ChoicePart(Part):
    """One choice and its proof."""

    question: str
    status: Literal["optimal", "infeasible"]
    design: int | None = Field(description="position in `designs`")
    value: float | None = Field(description="worst loss over the scenarios")
    bound: float | None = Field(description="proven: no design compared has less")
    mean: float | None = Field(description="mean loss, least among the designs with this worst loss")
    considered: int = Field(description="designs valued in every scenario")
    held: int = Field(description="of these not dominated by another in every scenario")
    complete: bool = Field(description="no layout and no replica count of the catalogue could be better")


class RobustAnswer(Document):
    """The document that `--json` prints."""

    kind: Literal["robust"] = "robust"
    status: Literal["optimal", "infeasible"]
    mode: str
    query: dict[str, Any]
    unit: str = Field(description="of values")
    uncertainty: str
    seed: int
    asked: int = Field(description="scenarios drawn")
    solved: int = Field(description="proven, and some system fits; the shares are of these")
    infeasible: tuple[int, ...] = Field(description="scenarios in which nothing fits")
    failed: dict[int, str] = Field(description="scenarios that could not be solved, and why")
    must_fit: float
    error_factor: float
    error_solved: int
    nominal_value: float | None
    uncertain: tuple[UncertainPart, ...]
    designs: tuple[DesignPart, ...] = ()
    choices: tuple[ChoicePart, ...] = ()
    assumptions: tuple[str, ...] = ()
    catalogue: str
    versions: dict[str, str]


def answer(r: Robust) -> RobustAnswer:
    """The document of what was found."""
    query, c = r.question.query, r.compared
    choices = () if c is None else (_choice("least worst regret", c.regret, c), _choice("best worst case", c.worst, c))
    decided = c is not None and all(choice.status == "optimal" for choice in choices)
    return RobustAnswer(
        status="optimal" if decided else "infeasible", mode=query.mode or "",
        query=query.model_dump(by_alias=True, exclude_none=True, mode="json"), unit=query.objective.unit,
        uncertainty=r.terms.uncertainty, seed=r.terms.seed, asked=r.terms.count, solved=len(r.solves.scenarios),
        infeasible=r.solves.infeasible, failed=dict(r.solves.failed), must_fit=r.terms.must_fit,
        error_factor=r.terms.error, error_solved=0 if c is None else len(c.wrong_solves.scenarios),
        nominal_value=r.today["value"],
        uncertain=tuple(UncertainPart(path=x.path, low=x.low, value=x.value, high=x.high,
                                      distribution=x.distribution, draw=x.draw) for x in r.uncertain),
        designs=() if c is None else tuple(_designs(r, c)), choices=choices, assumptions=_assumptions(r),
        catalogue=r.question.catalog.digest(),
        versions={name: version_of(name) for name in ("codesign", "highspy", "pyomo", "numpy")},
    )  # fmt: skip


def _choice(question: str, choice: Choice, c: Compared) -> ChoicePart:
    found = choice.outcome
    return ChoicePart(
        question=question, status="infeasible" if found.solution is None else "optimal", design=choice.design,
        value=found.value, bound=found.bound, mean=None if found.solution is None else found.solution.mean,
        considered=c.considered, held=choice.held, complete=choice.complete,
    )  # fmt: skip


def _designs(r: Robust, c: Compared) -> Iterator[DesignPart]:
    aim = r.question.query.objective
    best = aim.merit(r.today["value"])
    for i, key in enumerate(c.keys):
        roles = [NOMINAL] * (i == 0) + [REGRET] * (c.regret.design == i) + [WORST] * (c.worst.design == i)
        merit = float(c.today.merit[i])
        wrong = c.wrong
        yield DesignPart(
            roles=tuple(roles), **key.model_dump(), nominal_value=_value(merit, aim),
            nominal_loss=max(0.0, 1 - merit / best),
            scenarios=_losses(c.values.regret[i], c.values.broken[i], _value(float(c.values.merit[i].min()), aim)),
            model_error=None if wrong is None else _losses(
                wrong.regret[i], wrong.broken[i], _value(float(wrong.merit[i].min()), aim)),
        )  # fmt: skip


def _value(merit: float, aim: Objective) -> float | None:
    return None if merit == 0 else aim.merit(merit)


def _losses(regret: Floats, broken: Ints, worst: float | None) -> LossPart:
    breaks = {name: float(((broken >> bit) & 1).mean()) for bit, name in enumerate(BROKEN)}
    return LossPart(
        best_share=float((regret <= TIE).mean()), regret_mean=float(regret.mean()), regret_worst=float(regret.max()),
        regret_p95=float(np.quantile(regret, QUANTILE, method="inverted_cdf")),
        break_share=float((broken != 0).mean()), breaks={name: share for name, share in breaks.items() if share},
        worst_value=worst,
    )  # fmt: skip


def _assumptions(r: Robust) -> tuple[str, ...]:
    return (
        "a design is a chip with its memory, a layout and a number of replicas; its batch is free in each scenario",
        "regret is 1 - value / best, the best proven for each scenario; 1 where the design breaks a limit",
        f"model error: the step time of each product and die off by a factor of its own, 1/{r.terms.error:g} to "
        f"{r.terms.error:g}, uniform in its logarithm, all else as today",
        "of designs equal in every scenario the one with most replicas is told",
    )  # fmt: skip
