"""Which design should be bought when the numbers are uncertain, and what does the nominal optimum risk?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.changes.robust_runs import Bar, Runs, Solves, solves_of
from codesign.changes.robust_values import Values, rivals, thresholds, values_of, with_every_count
from codesign.facts.catalog import Catalog
from codesign.facts.errors import AuditError, DataError, SolverError, UndecidedError
from codesign.study.designs import Designs, Merits, designs_of, keys_of, kinds_of
from codesign.study.jobs import Many
from codesign.study.scenario import NOMINAL, NOT_PROVEN, Asked, asked
from codesign.study.uncertainty import Uncertain, model_error, published, read_uncertainty, scenarios
from codesign.study.work import Failure
from codesign.system import offers as supply
from codesign.system.key import SystemKey
from codesign.system.layouts import Floats
from codesign.system.prepared import Prepared
from codesign.system.query import Query
from formulations import robust_choice
from formulations.solvers.outcome import Outcome

CATALOGUE = "catalogue"
MOST_SCENARIOS = 100_000  # each is a program of its own


@dataclass(frozen=True)
class Terms:
    """How robustness is asked for."""

    uncertainty: str = CATALOGUE  # or a file
    count: int = 200
    seed: int = 0
    must_fit: float = 0.0         # share of scenarios in which the chosen design must keep every limit
    error: float = 1.5            # a model's error: step times off by up to this factor

    def __post_init__(self) -> None:
        faults = []
        if self.count < 1:
            faults.append(f"--scenarios {self.count}: must be at least 1")
        if self.count > MOST_SCENARIOS:
            faults.append(f"--scenarios {self.count}: must be at most {MOST_SCENARIOS:,}")
        if not 0 <= self.must_fit <= 1:
            faults.append(f"--must-fit {self.must_fit:g}: must be a share, 0% to 100%")
        if not 1 < self.error < 100:
            faults.append(f"--model-error {self.error:g}: must be above 1 (1.5: up to 1.5 times as long, or as short)")
        if self.seed < 0:
            faults.append(f"--seed {self.seed}: must not be negative")
        if faults:
            raise DataError("\n".join(faults))


@dataclass(frozen=True)
class Choice:
    """A choice, its design a position in `Compared`; the designs that none dominates; whether none is left out."""

    outcome: Outcome[robust_choice.Solution]
    held: int
    complete: bool

    @property
    def design(self) -> int | None:
        """Position of the design."""
        return None if self.outcome.solution is None else self.outcome.solution.design


@dataclass(frozen=True)
class Compared:
    """The designs to tell of, the nominal optimum first: in every scenario, today, and under the model's error."""

    keys: tuple[SystemKey, ...]
    values: Values
    today: Merits
    wrong: Values | None     # None: no scenario of the model's error has a system
    wrong_solves: Solves
    considered: int          # designs valued in every scenario
    regret: Choice
    worst: Choice


@dataclass(frozen=True)
class Robust:
    """All that an answer tells; nothing is compared where today's query, or every scenario, has no system."""

    question: Asked
    terms: Terms
    nominal: Prepared
    uncertain: tuple[Uncertain, ...]
    today: Mapping[str, Any]  # the nominal solve
    solves: Solves
    compared: Compared | None = None


def robust(catalog: Catalog, query: Query, terms: Terms, many: Many, bar: Bar) -> Robust:
    """Solve every scenario with proof, value designs in all of them, choose with proof, audit without a solver.

    Raises DataError for what cannot be asked, SolverError, AuditError.
    """
    if query.phases == "disaggregated":
        raise DataError("phases = 'disaggregated': robustness is known for one pool, not for two")
    question = asked(catalog, query)
    nominal = question.at(NOMINAL)
    offers = nominal.supply.offers
    numbers = _uncertain(terms, question, offers)
    runs = Runs(question, many, bar)
    drawn = scenarios(numbers, terms.count, terms.seed)
    wrong = scenarios(model_error(offers, terms.error), terms.count, terms.seed)
    (today, *results) = runs.solve("scenarios", [NOMINAL, *drawn, *wrong])
    if isinstance(today, Failure) and today.error.startswith(NOT_PROVEN):
        raise UndecidedError("today's numbers were not proven in the time given: there is no regret without their best")
    if isinstance(today, Failure):
        raise SolverError(f"today's numbers: {today.error}")
    found = Robust(question, terms, nominal, numbers, today, solves_of(query, drawn, results[: len(drawn)]))
    if today["design"] is None or not found.solves.scenarios:
        return found
    compared = _compared(found, runs, solves_of(query, wrong, results[len(drawn) :]))
    return Robust(question, terms, nominal, numbers, today, found.solves, compared)


def _uncertain(terms: Terms, question: Asked, offers: tuple[supply.Offer, ...]) -> tuple[Uncertain, ...]:
    if terms.uncertainty != CATALOGUE:
        return read_uncertainty(Path(terms.uncertainty), question.catalog, question.query, offers)
    found = published(question.catalog, question.query, offers)
    if not found:
        raise DataError("--uncertainty catalogue: no number behind the chips allowed has a published low and high; "
                        "give a file")  # fmt: skip
    return found


def _compared(r: Robust, runs: Runs, wrong: Solves) -> Compared:
    asked_for = r.question.query
    best = list(dict.fromkeys([SystemKey(**r.today["design"]), *r.solves.designs]))
    values, complete = _valued(r, runs, designs_of(asked_for, kinds_of(r.nominal), best))
    choices = [chosen(loss, values.fits, r.terms.must_fit, complete) for loss in (values.regret, values.short)]
    names = keys_of(asked_for, values.designs)
    wanted = [names[c.design] for c in choices if c.design is not None]
    keys = tuple(dict.fromkeys([*best[:1], *wanted, *best[1:]]))
    at = [names.index(key) for key in keys]
    return _told(runs, values, at, keys, [_moved(c, names, keys) for c in choices], (r.solves, wrong))


def _moved(choice: Choice, names: list[SystemKey], keys: tuple[SystemKey, ...]) -> Choice:
    """The choice with its design's position among the designs told of."""
    found = choice.outcome.solution
    if found is None:
        return choice
    here = robust_choice.Solution(keys.index(names[found.design]), found.worst, found.mean)
    outcome = Outcome(choice.outcome.status, here, choice.outcome.value, choice.outcome.bound)
    return Choice(outcome, choice.held, choice.complete)


def _valued(r: Robust, runs: Runs, best: Designs) -> tuple[Values, bool]:
    """Values of the best designs at every count, and of every rival; and whether the rivals are all there are."""
    drawn, top = r.solves.scenarios, r.solves.best
    designs = with_every_count(best)
    values = values_of(designs, runs.measure("values", drawn, designs), top)
    known = thresholds(values, r.terms.must_fit)
    more = rivals(r.question, drawn, top, designs.kinds, known) if known.known else None
    if more is None or len(more) == 0:
        return values, more is not None
    wider = values_of(more, runs.measure("rivals", drawn, more), top)
    return values.joined(wider.only(wider.rivals(known))), True


def chosen(loss: Floats, fits: Floats, must_fit: float, complete: bool) -> Choice:
    """The design of least worst loss, and how many designs none dominates."""
    outcome = robust_choice.choose(np.arange(len(loss)), loss, fits, must_fit=must_fit)
    return Choice(outcome, len(robust_choice.undominated(loss, fits)), complete)


def _told(
    runs: Runs, values: Values, at: list[int], keys: tuple[SystemKey, ...], choices: list[Choice],
    solves: tuple[Solves, Solves],
) -> Compared:  # fmt: skip
    """Every design told of is recomputed in every scenario by the domain's own formulas."""
    drawn, wrong = solves
    designs = values.designs.only(np.array(at, dtype=np.int64))
    (today,) = runs.measure("today", [NOMINAL], designs, audited=True)
    again = values_of(designs, runs.measure("audit", drawn.scenarios, designs, audited=True), drawn.best)
    if not np.allclose(again.merit, values.merit[at], rtol=1e-9, atol=0.0):
        raise AuditError("the values of the designs differ from one measurement to the next")
    erring = runs.measure("model error", wrong.scenarios, designs, audited=True)
    return Compared(keys, again, today, values_of(designs, erring, wrong.best) if erring else None, wrong,
                    len(values.designs), choices[0], choices[1])  # fmt: skip
