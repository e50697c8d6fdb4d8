"""Which memory, chip, count and layout serve a model best under a budget, with proof.

    import codesign as cd

    answer = cd.best(model="llama-3.1-70b", budget="$1M", power=None)
    answer                      # the table of the terminal; in a notebook, too
    answer.performance.throughput, answer.proof.bound
    answer.to_frame()           # every layout with its value and bound

Words and quantities are those of the command line: `--user-speed "30 tokens/s"` is `user_speed="30 tokens/s"`; counts,
tokens and dollars may be numbers. `None` lifts a limit, a list stands for names with commas. What is asked wrongly
raises DataError
(`codesign.facts.errors`); infeasible and undecided are answers, to be read in `answer.status`. What a function needs
is imported by its first call.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from codesign.facts.version import __version__

if TYPE_CHECKING:
    from codesign.facts.catalog import Catalog
    from codesign.fleet.answer import FleetAnswer
    from codesign.fleet.plan import Plan
    from codesign.kitsune.graph import Graph
    from codesign.kitsune.schedule_answer import KitsuneAnswer
    from codesign.output.shown import Shown
    from codesign.system.answer import Answer
    from codesign.system.predict import Prediction
    from codesign.system.query import Query

__all__ = ["__version__", "best", "fleet", "load", "predict", "schedule"]

Written = str | float | None  # a quantity as people write it, or a number of the SI unit where that is a count


def load(folder: str | Path | None = None, assume: Mapping[str, str | float] | None = None) -> Catalog:
    """The catalogue: every number with value, unit, source, date and confidence.

    `folder` holds TOML files of your own, over ours; `assume` sets numbers by path ("chips.h100-sxm.price": "20k$").
    Raises DataError with every fault of every file.
    """
    from codesign.facts.catalog import load

    return load(None if folder is None else Path(folder), dict(assume or {}))


def best(
    query: str | Path | Query | None = None, *, catalog: str | Path | None = None, removal: bool = True, **options: Any
) -> Shown[Answer]:
    """Which system is best under a budget? Proven over every layout of every chip.

    `query` is a TOML file (the built-in query where absent), `options` are those of `codesign best`, over it;
    `removal=False` proves over the full program. `to_frame()`: a row for each feasible layout with a replica count
    that can be best, its value and proven bound in the objective's unit.
    Raises DataError, UndecidedError, SolverError, AuditError. Physics: arXiv 2507.14397.
    """
    start = time.monotonic()  # what is imported here counts as time of the question
    from codesign.output import system_chart, system_files
    from codesign.output.shown import Shown
    from codesign.output.system import render
    from codesign.system.best_system import prepare_and_solve
    from codesign.system.query import Query, query_of
    from formulations.solvers.deadline import Deadline

    asked = query if isinstance(query, Query) else query_of(_path(query), {k: _said(v) for k, v in options.items()})
    if asked is query and options:
        raise ValueError(f"{', '.join(options)}: a Query says everything itself; give options with a file, or alone")
    deadline = Deadline.since(start, asked.time_limit)
    result = prepare_and_solve(load(catalog, asked.assumptions()), asked, removal=removal, deadline=deadline)
    answer = result.answer
    return Shown(answer, render(answer), lambda: system_files.table_of(result, removal=removal),
                 charts=lambda: system_chart.charts(answer),
                 write=lambda folder: system_files.write_answer(folder, result, removal=removal, own=_path(catalog)))


def fleet(
    plan: str | Path | Plan | None = None, *, catalog: str | Path | None = None, quick: bool = False,
    settings: Mapping[str, Any] | None = None, **options: Any,
) -> Shown[FleetAnswer]:
    """What should be bought, when, and what should run where, for many workloads under one budget?

    `plan` is a TOML file (the built-in plan where absent); `settings` are its keys by path ("limits.power": "300 kW"),
    `options` its keys at the top (`objective`, `survive`, `time_limit`, `assume`). `quick` leaves out steps of the
    limits and fleets of a single kind. `to_frame()`: a row for each kind of replica in each period.
    Raises DataError, SolverError, AuditError.
    """
    start = time.monotonic()  # what is imported here counts as time of the question
    from codesign.facts.catalog import builtin_plan
    from codesign.fleet.best_fleet import prepare_and_solve
    from codesign.fleet.plan import Plan
    from codesign.fleet.reading import read_plan
    from codesign.output import fleet_chart, fleet_files
    from codesign.output.fleet import render
    from codesign.output.shown import Shown
    from formulations.solvers.deadline import Deadline

    given = {key: "none" if value is None else value for key, value in {**options, **(settings or {})}.items()}
    asked = plan if isinstance(plan, Plan) else read_plan(load(catalog), _path(plan), given, builtin_plan("default"))
    if asked is plan and given:
        raise ValueError(f"{', '.join(given)}: a Plan says everything itself; give settings with a file, or alone")
    deadline = Deadline.since(start, asked.time_limit)
    result = prepare_and_solve(load(catalog, asked.assumptions()), asked, extras=not quick, deadline=deadline)
    answer = result.answer
    return Shown(answer, render(answer), lambda: fleet_files.replicas(answer),
                 charts=lambda: fleet_chart.charts(answer) if answer.periods else {},
                 write=lambda folder: fleet_files.write_fleet(folder, result, own=_path(catalog)))


_fleet = fleet  # the package of that name calls it: see `codesign/fleet/__init__.py`


def predict(
    model: str, chip: str, *, users: Written = 64, input: Written = 1024, output: Written = 1024,  # noqa: A002
    tensor: int = 8, data: int = 1, pipeline: int = 1, expert: int = 1, precision: str = "fp8",
    kv_precision: str | None = None, engine: str = "vllm", release: str = "", draft: int = 0, acceptance: float = 1.0,
    chunk: Written = None, mode: Literal["achieved", "limit"] = "achieved", catalog: str | Path | None = None,
) -> Shown[Prediction]:
    """How fast will this deployment be, with this engine, today? Times in seconds, memory in bytes of one chip.

    Mode limit, what no system can beat, knows decode steps only and has no engine. Raises DataError.
    """
    from codesign.facts.units import sane
    from codesign.output.accuracy import prediction
    from codesign.output.shown import Shown
    from codesign.system.predict import as_rows, deployment, predict_limit
    from codesign.system.predict import predict as ask

    traffic = {"users": sane(users, "1"), "prompt": sane(input, "tokens"), "output": sane(output, "tokens")}
    replica = deployment(tensor, data, pipeline, expert, precision, kv_precision, draft, acceptance,
                         None if chunk is None else sane(chunk, "tokens"))
    if mode == "limit":
        found = predict_limit(load(catalog), model, chip, replica, **traffic)
    else:
        found = ask(load(catalog), model, chip, replica, **traffic, engine=engine, release=release)
    return Shown(found, [prediction(found)], lambda: as_rows(found))


def schedule(
    graph: str | Graph, *, gpu: str = "a100-40gb", execution: Literal["bulk", "vertical", "kitsune", "best"] = "best",
    training: bool = False, sizes: Mapping[str, int] | None = None, gpu_set: Mapping[str, Any] | None = None,
    measured: Mapping[str, float] | None = None, time_limit: Written = None, catalog: str | Path | None = None,
    shown: Literal["all", "chosen"] = "all",
) -> Shown[KitsuneAnswer]:
    """How should one GPU run this operator graph: operator by operator, fused, or as pipelines?

    `graph` is an application of the study ("nerf"), a TOML or ONNX file, "file.py:function", or a Graph; `measured`
    are your own seconds of operators by name, `time_limit` is "60 s" or seconds; `shown` says which ways to run it the
    text has. `to_frame()`: a row for each way, times in seconds.
    Raises DataError, SolverError, AuditError. Source: arXiv 2502.18403.
    """
    start = time.monotonic()
    from codesign.facts.units import sane
    from codesign.kitsune import backward
    from codesign.kitsune.gpu import gpu_named
    from codesign.kitsune.schedule_answer import ask
    from codesign.kitsune.sources import graph_named
    from codesign.kitsune.times import Assumptions, Times
    from codesign.output.kitsune import render
    from codesign.output.shown import Shown
    from formulations.solvers.deadline import Deadline

    found = graph_named(graph, {k: str(v) for k, v in (sizes or {}).items()}) if isinstance(graph, str) else graph
    asked = backward.training(found) if training else found
    chip = gpu_named(load(catalog), gpu, {k: str(v) for k, v in (gpu_set or {}).items()})
    deadline = Deadline.since(start, sane(time_limit, "s") if isinstance(time_limit, str) else time_limit)
    answer = ask(asked, chip, execution, measured=dict(measured or {}), deadline=deadline)
    times = Times(asked, chip, Assumptions(), dict(measured or {}))

    def files() -> ModuleType:  # the solvers behind a placement, which an answer alone does not need
        from codesign.output import kitsune_files

        return kitsune_files

    return Shown(answer, render(answer, alone=shown == "chosen"), lambda: files().executions_table(answer),
                 charts=lambda: files().charts_of(times, answer),
                 write=lambda folder: files().write_schedule(folder, times, answer))


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _said(value: Any) -> Any:
    """A value as an option would say it: None lifts, a list is names with commas."""
    if value is None:
        return "none"
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        return value
    return ",".join(str(each) for each in value)
