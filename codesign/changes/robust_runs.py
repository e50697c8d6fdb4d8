"""Scenarios through the workers of `jobs`: solved with proof, or many designs valued in them; in the order asked."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.facts.errors import SolverError
from codesign.study.designs import Designs, Merits
from codesign.study.jobs import Many, Watch, run
from codesign.study.journal import identity
from codesign.study.scenario import Asked
from codesign.study.uncertainty import Scenario
from codesign.study.work import Failure, Maker
from codesign.system.key import SystemKey
from codesign.system.layouts import Floats, Ints
from codesign.system.query import Query

FEW = 40       # measurements that are sooner made here than a worker process has started
VERSION = "1"  # of what a journal keeps for a scenario
Bar = Callable[[str, int], AbstractContextManager[Watch]]


@dataclass(frozen=True)
class Solves:
    """Scenarios that could be solved, with the proven best of each; the others by number, with their faults."""

    scenarios: tuple[Scenario, ...]
    number: Ints                      # in the order drawn
    best: Floats                      # merit: the objective (SI), one over it for cost
    designs: tuple[SystemKey, ...]
    infeasible: tuple[int, ...]       # nothing fits
    failed: Mapping[int, str]


@dataclass(frozen=True)
class Runs:
    """A question, where its scenarios are solved, and who watches."""

    question: Asked
    many: Many
    bar: Bar

    def solve(self, what: str, wanted: Sequence[Scenario]) -> list[Any]:
        """The proven best of each scenario, or a Failure."""
        return self._all(what, wanted, self.question.solver(), "solve")

    def measure(
        self, what: str, wanted: Sequence[Scenario], designs: Designs, *, audited: bool = False
    ) -> list[Merits]:
        """Merits of the designs in each scenario; SolverError where one cannot be computed."""
        names = [kind.name for kind in designs.kinds]
        bound = json.dumps([names, designs.code.tolist(), designs.replicas.tolist(), audited])
        found = self._all(what, wanted, self.question.measurer(designs, audited=audited), bound, FEW)
        for result in found:
            if isinstance(result, Failure):
                raise SolverError(f"values of designs in a scenario: {result.error}")
        return [
            Merits(np.array(r["merit"], dtype=np.float64), np.array(r["batch"], dtype=np.int64),
                   np.array(r["broken"], dtype=np.int64)) for r in found
        ]  # fmt: skip

    def _all(self, what: str, wanted: Sequence[Scenario], maker: Maker, bound: str, few: int = 0) -> list[Any]:
        points = [scenario.point() for scenario in wanted]
        order = {json.dumps(point): i for i, point in enumerate(points)}
        found: dict[str, Any] = {}
        who = identity("robust", VERSION, bound, self.question.catalog.digest(), self.question.query.as_toml())
        unique = [points[i] for i in order.values()]
        many = self.many if len(unique) >= few else replace(self.many, jobs=1, dask=None)
        with self.bar(what, len(order)) as watch:
            for point, result in run(unique, maker, many, identity=who, progress=watch):
                found[json.dumps(point)] = result
        return [found[json.dumps(point)] for point in points]


def solves_of(query: Query, wanted: Sequence[Scenario], results: Sequence[Any]) -> Solves:
    """Results of `Runs.solve` apart by how they ended."""
    number, best, designs, infeasible, failed = [], [], [], [], {}
    for i, result in enumerate(results):
        if isinstance(result, Failure):
            failed[i] = result.error
        elif result["design"] is None:
            infeasible.append(i)
        else:
            number.append(i)
            best.append(query.objective.merit(result["value"]))
            designs.append(SystemKey(**result["design"]))
    return Solves(tuple(wanted[i] for i in number), np.array(number, dtype=np.int64), np.array(best, dtype=np.float64),
                  tuple(designs), tuple(infeasible), failed)  # fmt: skip
