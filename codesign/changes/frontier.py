"""Which systems are best for every budget: the complete staircase of what no other system beats?"""

import time

import numpy as np

from codesign.changes.frontier_answer import AxisPart, FrontierAnswer, PointPart, ProofPart, StepPart, named_system
from codesign.changes.frontier_points import Axis, Found, frontier_points, read_axes
from codesign.changes.frontier_proof import Asked, Ground, objective_of, prove, questions
from codesign.facts.catalog import Catalog, unknown
from codesign.facts.errors import DataError
from codesign.system import answer_parts as parts
from codesign.system import audit, columns, offers
from codesign.system.audit import System
from codesign.system.best_system import space_of
from codesign.system.best_system_answer import assumptions_of
from codesign.system.mode import settled
from codesign.system.query import Query

SAME = 1e-9  # relative: a point and its audit
MOST_AUDITED = 2000  # points; of more the ends of each step


def frontier(catalog: Catalog, query: Query, axes: str) -> FrontierAnswer:
    """The frontier over the axes that are written, proven and audited.

    Raises DataError for names that do not exist, UnboundedError where nothing bounds throughput.
    """
    start = time.perf_counter()
    over = read_axes(axes, query)
    ground = _ground(catalog, query, over)
    found = frontier_points(ground.query, ground.space, ground.servers, over)
    pointed = time.perf_counter()
    runs = _runs(found)
    asked = list(questions(over, [found.points.values[run] for run in runs])) if runs else []
    proofs = prove(ground, objective_of(over), asked, limit_s=query.time_limit)
    proven = time.perf_counter()
    audited = _audit(ground, over, found, runs)
    seconds = {"points": pointed - start, "proofs": proven - pointed, "audit": time.perf_counter() - proven}
    return _answer(ground, over, found, runs, list(zip(asked, proofs, strict=True)), audited, seconds)


def _ground(catalog: Catalog, query: Query, axes: tuple[Axis, ...]) -> Ground:
    """What there is to choose from: every chip that has the numbers which the axes need."""
    if query.model not in catalog.records["models"]:
        raise DataError(unknown("--model (model)", query.model, list(catalog.records["models"])))
    if query.phases == "disaggregated":
        raise DataError("phases = 'disaggregated': a frontier is of one pool, not of two")
    needs = "throughput-per-watt" if any(axis.name == "power" for axis in axes) else "throughput"
    query = settled(catalog, query)
    offered = offers.supply(catalog, query.model_copy(update={"maximize": needs}))
    space = space_of(catalog, query, offered)
    return Ground(query, catalog, offered, space, columns.servers_of(space, offered.offers))


def _runs(found: Found) -> list[slice]:
    """Positions of each maximal run of one layout."""
    layout = found.points.layout
    ends = [*(np.flatnonzero(layout[1:] != layout[:-1]) + 1).tolist(), len(layout)]
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if b > a]


def _system(ground: Ground, found: Found, i: int) -> System:
    points, at = found.points, int(found.points.layout[i])
    return System(ground.supply.offers[int(ground.space.chip[at])], ground.space.layout(at), int(points.batch[i]),
                  int(points.replicas[i]))  # fmt: skip


def _audit(ground: Ground, axes: tuple[Axis, ...], found: Found, runs: list[slice]) -> int:
    """Recompute points from what one would buy; AuditError where one differs. How many."""
    every = range(len(found.points)) if len(found.points) <= MOST_AUDITED else sorted(
        {end for run in runs for end in (run.start, run.stop - 1)})  # fmt: skip
    for i in every:
        a = audit.recompute(ground.query, ground.space.model, ground.supply, _system(ground, found, i))
        true = {"capital": a.capital_usd, "per-hour": a.hourly_usd, "power": a.power_w, "chips": a.chips_bought,
                "throughput": a.throughput, "user-speed": a.user_speed}  # fmt: skip
        for axis, value in zip(axes, found.points.values[i].tolist(), strict=True):
            audit.agree(axis.name, float(true[axis.name] or 0.0), value)
    return len(every)


def _answer(
    ground: Ground, axes: tuple[Axis, ...], found: Found, runs: list[slice], proofs: list[tuple[Asked, ProofPart]],
    audited: int, seconds: dict[str, float],
) -> FrontierAnswer:  # fmt: skip
    systems = [_system(ground, found, run.start) for run in runs]
    steps = tuple(
        StepPart(system=named_system(system), points=_points(ground, axes, found, run),
                 proofs=tuple(proof for asked, proof in proofs if asked.step == i))
        for i, (system, run) in enumerate(zip(systems, runs, strict=True))
    )  # fmt: skip
    holds = all(proof.holds for _, proof in proofs)
    chips = {system.offer.chip.name: system for system in systems}
    return FrontierAnswer(
        status="infeasible" if not runs else "proven" if holds else "undecided",
        axes=tuple(AxisPart(name=x.name, unit=x.unit, better="more" if x.up else "less") for x in axes), steps=steps,
        ends=tuple(proof for asked, proof in proofs if asked.step is None), points=len(found.points),
        changes=max(len(runs) - 1, 0), solves=sum(proof.status != "not asked" for _, proof in proofs),
        considered=len(ground.space), timed=found.timed, candidates=found.candidates, audited=audited, seconds=seconds,
        assumptions=assumptions_of(ground), **parts.asked(ground), **parts.behind(ground, list(chips.values())),
    )  # fmt: skip


def _points(ground: Ground, axes: tuple[Axis, ...], found: Found, run: slice) -> tuple[PointPart, ...]:
    points = found.points.only(run)
    stages = ground.space.pipeline[points.layout]
    chips = ground.servers.chips[ground.space.chip[points.layout]]
    rows = zip(points.values.tolist(), points.replicas.tolist(), points.batch.tolist(), stages.tolist(),
               points.bought.tolist(), chips.tolist(), strict=True)  # fmt: skip
    return tuple(
        PointPart(values={axis.name: value for axis, value in zip(axes, values, strict=True)}, replicas=replicas,
                  batch=batch, users=replicas * batch * stage, servers_bought=bought, chips_bought=round(bought * size))
        for values, replicas, batch, stage, bought, size in rows
    )  # fmt: skip
