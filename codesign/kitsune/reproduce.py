"""How close do we come to the Kitsune study, arXiv 2502.18403, and what do we predict where it is not known?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from codesign.facts.catalog import Catalog
from codesign.facts.document import Document, Part
from codesign.facts.errors import AuditError
from codesign.facts.fact import Fact
from codesign.facts.paper_records import Headline, MeasuredRow, Row
from codesign.facts.records import StudyRecord
from codesign.kitsune import selection, traffic
from codesign.kitsune.apps import application
from codesign.kitsune.backward import training
from codesign.kitsune.balance import balance
from codesign.kitsune.gpu import gpu_named
from codesign.kitsune.graph import Graph
from codesign.kitsune.pipelines import price
from codesign.kitsune.reproduce_checks import Check, Facts, checks
from codesign.kitsune.schedule import Schedule, evaluate
from codesign.kitsune.simulate import simulate
from codesign.kitsune.times import Assumptions, Times

GPU = "a100-40gb"
ENOUGH = 32  # tiles of a pipeline, from which on simulation and prediction are compared
MOST_SIMULATED = 2000  # tiles; longer ones agree the better and take seconds


class Cell(Part):
    """A cell of Table 2: percent for traffic, a count otherwise."""

    app: str
    mode: Literal["inference", "training"]
    what: Literal["operators", "vertical coverage", "Kitsune coverage", "vertical traffic cut", "Kitsune traffic cut"]
    study: float | None = Field(description="null: not known to us, ours is a prediction")
    ours: float
    mark: Literal["known", "prediction"]


class Difference(Part):
    """A coverage that is not the study's: which operators it covers is not printed there, so ours are named."""

    app: str
    mode: Literal["inference", "training"]
    what: Literal["vertical coverage", "Kitsune coverage"]
    study: int
    ours: int
    covered: tuple[str, ...]
    left_out: tuple[str, ...]


class Speed(Part):
    """Speed-ups of one application and pass against bulk-synchronous execution."""

    app: str
    mode: Literal["inference", "training"]
    bulk_s: float
    vertical: float
    kitsune: float = Field(description="the study's zero-latency model")
    with_queues: float = Field(description="the same with fill, drain and queue cost; a group that loses runs alone")
    subgraphs: tuple[float, ...] = Field(description="of each group, zero-latency model")
    subgraphs_with_queues: tuple[float, ...]


class Mean(Part):
    """A geometric mean; `study` is null where the study gives none."""

    what: str
    study: float | None
    ours: float


class SimulatedGroup(Part):
    """A pipeline of 32 tiles and more, simulated; s."""

    app: str
    operators: int
    tiles: int
    predicted_s: float
    simulated_s: float
    predicted_queued_s: float
    simulated_queued_s: float


class MeasuredGroup(Part):
    """A sub-graph that the study's predecessor measured on an A100, and ours at the application's shapes; FLOP/s."""

    name: str
    app: str
    operators: int
    measured_bulk: float
    bulk: float
    measured_pipelined: float
    pipelined: float = Field(description="with fill and queue cost")
    measured_traffic: float = Field(description="bytes of bulk-synchronous execution over those of the pipeline")
    traffic: float


class KitsuneReproduction(Document):
    """The study beside ours, as one document."""

    study: str
    gpu: str
    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    speeds: tuple[Speed, ...]
    means: tuple[Mean, ...]
    simulated: tuple[SimulatedGroup, ...]
    measured: tuple[MeasuredGroup, ...]
    checks: tuple[Check, ...]
    discrepancy: str
    assumptions: tuple[str, ...]
    catalogue: str = Field(description="SHA-256 over all catalogue entries")


def reproduce(catalog: Catalog, assumed: Assumptions | None = None) -> KitsuneReproduction:
    """Compute all of it, about three seconds. Raises DataError for an entry that the catalogue lacks."""
    paper = catalog.get(StudyRecord, "kitsune")
    gpu = gpu_named(catalog, GPU)
    queued = assumed or Assumptions()
    plain = Assumptions(**{**vars(queued), "latency": False})
    cells, speeds, groups, differences = list[Cell](), list[Speed](), list[SimulatedGroup](), list[Difference]()
    for row in paper.rows:
        graph = application(row.app)
        graph = training(graph) if row.mode == "training" else graph
        slow, fast = Times(graph, gpu, queued), Times(graph, gpu, plain)
        cells += _cells(row, fast)
        differences += _differences(row, graph)
        zero, filled = evaluate(fast, "kitsune"), evaluate(slow, "kitsune")
        speeds.append(_speed(row, fast, zero, filled))
        if row.mode == "inference":
            groups += _simulated(row.app, slow, filled)
    inference, trained = ([s for s in speeds if s.mode == mode] for mode in ("inference", "training"))
    means = tuple(_means(inference, trained, paper.headline))
    facts = Facts(
        {s.app: s.kitsune for s in inference}, {s.app: s.kitsune for s in trained}, {m.what: m.ours for m in means},
        {(c.app, c.what): (c.study, c.ours) for c in cells if c.mode == "inference" and c.study is not None},
        [abs(x / p - 1) for g in groups for x, p in ((g.simulated_s, g.predicted_s),
                                                     (g.simulated_queued_s, g.predicted_queued_s))],
    )  # fmt: skip
    absent = ", ".join(f"{cut:.0%}" for cut in paper.missing())
    return KitsuneReproduction(
        study=paper.title, gpu=GPU, cells=tuple(cells), differences=tuple(differences), speeds=tuple(speeds),
        means=means, simulated=tuple(groups),
        measured=tuple(_measured(row, Times(application(row.app), gpu, queued)) for row in paper.measured),
        checks=tuple(checks(facts, paper.headline)),
        assumptions=tuple(dict.fromkeys((*plain.stated(), *queued.stated()))),
        discrepancy=f"the abstract's traffic cuts of {absent} do not occur among the cells of Table 2 that we know; "
        "the table is reproduced, not the abstract; for training the abstract says up to 2.4x, the text 2.2x",
        catalogue=catalog.digest(),
    )  # fmt: skip


def _means(inference: Sequence[Speed], trained: Sequence[Speed], study: Headline) -> Iterator[Mean]:
    yield Mean(what="inference, Kitsune", study=study.inference_mean.si, ours=_mean(s.kitsune for s in inference))
    yield Mean(what="inference, Kitsune with fill and queues", study=None, ours=_mean(s.with_queues for s in inference))
    groups = [x for s in inference for x in s.subgraphs]
    yield Mean(what="inference, sub-graphs", study=study.subgraph_mean.si, ours=_mean(groups))
    groups = [x for s in inference for x in s.subgraphs_with_queues]
    yield Mean(what="inference, sub-graphs with fill and queues", study=None, ours=_mean(groups))
    fused = _mean(s.vertical for s in inference)
    yield Mean(what="inference, vertical fusion", study=study.vertical_mean.si, ours=fused)
    yield Mean(what="training, Kitsune", study=None, ours=_mean(s.kitsune for s in trained))
    yield Mean(what="training, vertical fusion", study=None, ours=_mean(s.vertical for s in trained))


def _cells(row: Row, times: Times) -> Iterator[Cell]:
    graph = times.graph
    vertical, kitsune = selection.vertical(graph), selection.kitsune(graph)
    printed: Mapping[str, tuple[float | None, float]] = {
        "operators": (row.operators.si, len(graph)),
        "vertical coverage": (row.vertical_covered.si, traffic.coverage(graph, vertical)),
        "Kitsune coverage": (row.kitsune_covered.si, traffic.coverage(graph, kitsune)),
        "vertical traffic cut": (_percent(row.vertical_cut), 100 * traffic.cut(graph, vertical)),
        "Kitsune traffic cut": (_percent(row.kitsune_cut), 100 * traffic.cut(graph, kitsune)),
    }
    for what, (study, ours) in printed.items():
        yield Cell.model_validate({"app": row.app, "mode": row.mode, "what": what, "study": study, "ours": ours,
                                   "mark": "prediction" if study is None else "known"})  # fmt: skip


def _differences(row: Row, graph: Graph) -> Iterator[Difference]:
    rules = {"vertical coverage": (row.vertical_covered.si, selection.vertical(graph)),
             "Kitsune coverage": (row.kitsune_covered.si, selection.kitsune(graph))}  # fmt: skip
    for what, (study, groups) in rules.items():
        inside = {i for group in groups for i in group}
        if len(inside) != study:
            names = [[op.name for i, op in enumerate(graph.operators) if (i in inside) is own] for own in (True, False)]
            yield Difference.model_validate({
                "app": row.app, "mode": row.mode, "what": what, "study": int(study), "ours": len(inside),
                "covered": names[0], "left_out": names[1],
            })  # fmt: skip


def _percent(share: Fact | None) -> float | None:
    return None if share is None else 100 * share.si


def _speed(row: Row, fast: Times, zero: Schedule, queued: Schedule) -> Speed:
    return Speed(
        app=row.app, mode=row.mode, bulk_s=zero.bulk_s, vertical=evaluate(fast, "vertical").speed_up,
        kitsune=zero.speed_up, with_queues=queued.speed_up, subgraphs=tuple(run.speed_up for run in zero.tried),
        subgraphs_with_queues=tuple(run.speed_up for run in queued.tried),
    )  # fmt: skip


def _simulated(app: str, times: Times, schedule: Schedule) -> Iterator[SimulatedGroup]:
    for run in schedule.tried:
        pipeline = run.pipeline
        if pipeline is not None and ENOUGH <= pipeline.tiles <= MOST_SIMULATED:
            ran = simulate(times.graph, times.gpu, times.assumed, pipeline)
            yield SimulatedGroup(app=app, operators=len(run.members), tiles=pipeline.tiles,
                                 predicted_s=pipeline.steady_s + pipeline.fill_s, simulated_s=ran.plain_s,
                                 predicted_queued_s=pipeline.time_s, simulated_queued_s=ran.queued_s)  # fmt: skip


def _measured(row: MeasuredRow, times: Times) -> MeasuredGroup:
    operators = times.graph.operators
    group = tuple(i for i, op in enumerate(operators) if op.name.startswith(row.operators))
    found = balance(times, group)
    if isinstance(found, str):
        raise AuditError(f"{row.name}: {found}")
    flop, alone = sum(operators[i].flop for i in group), sum(times.alone_s[i] for i in group)
    apart = sum(traffic.group_bytes(times.graph, (i,)) for i in group)
    return MeasuredGroup(
        name=row.name, app=row.app, operators=len(group), measured_bulk=row.bulk.si, bulk=flop / alone,
        measured_pipelined=row.pipelined.si, pipelined=flop / price(times, group, found[0]).time_s,
        measured_traffic=row.traffic.si, traffic=apart / traffic.group_bytes(times.graph, group),
    )  # fmt: skip


def _mean(factors: Iterator[float] | Sequence[float]) -> float:
    each = list(factors)
    return math.exp(sum(math.log(x) for x in each) / len(each))
