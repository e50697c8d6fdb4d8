"""Commands on one GPU's operator graphs: `kitsune`, and `reproduce kitsune`.

As in `codesign.cli`, first-party imports are inside the commands. Infeasible is a pipeline that cannot be resident.
"""

import math
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import codesign
from codesign.cli.parts import Json, Own, exported, pairs, place, quantity, show, tell, written
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    from codesign.facts.catalog import Catalog
    from codesign.kitsune.graph import Graph


class Executions(StrEnum):
    """How a graph is run."""

    bulk = "bulk"
    vertical = "vertical"
    kitsune = "kitsune"
    best = "best"


def register(app: typer.Typer, reproduce_app: typer.Typer) -> None:
    """Add both commands."""
    app.command()(kitsune)
    reproduce_app.command("kitsune")(reproduce_kitsune)


def kitsune(
    graph: Annotated[
        str | None,
        typer.Argument(help="an application, a file .toml or .onnx, or file.py:function", show_default=False),
    ] = None,
    gpu: Annotated[str, typer.Option(help="a GPU of the catalogue")] = "a100-40gb",
    training: Annotated[bool, typer.Option("--training", help="with the backward pass")] = False,
    sizes: Annotated[list[str] | None, written("a size of the application: batch=4096", "--set", "KEY=VALUE")] = None,
    settings: Annotated[
        list[str] | None, written("a number of the GPU: l2_bandwidth=2x, sms=216", "--gpu-set", "KEY=VALUE")
    ] = None,
    execution: Annotated[
        Executions | None, typer.Option(help="show this one; all side by side if absent", show_default=False)
    ] = None,
    measured: Annotated[
        Path | None, written("your own times of operators alone: columns name, seconds", metavar="TIMES.csv")
    ] = None,
    answer: Annotated[
        Path | None, written("a transformer layer at the sizes of an answer of `best`", "--from", "ANSWER.json")
    ] = None,
    over: Annotated[
        list[str] | None, written("where the schedule changes: l2_bandwidth=1x..4x", "--sweep", "KEY=LOW..HIGH")
    ] = None,
    time_limit: Annotated[str | None, written("stop then with the best found: '60 s'", metavar="TIME")] = None,
    as_json: Json = False,
    export: Annotated[Path | None, place("write schedule, SMs, programs, charts")] = None,
    catalog: Own = None,
) -> None:
    """How should one GPU run this operator graph: operator by operator, fused, or as pipelines?"""
    start = time.monotonic()
    from codesign.facts.catalog import load
    from codesign.facts.errors import DataError
    from codesign.kitsune.gpu import gpu_named
    from codesign.kitsune.times import read_measured
    from codesign.output.progress import alive

    if over and len(over) > 1:
        raise DataError(f"--sweep: {' and '.join(over)}; one number of the GPU is swept at a time")
    if over and export is not None:
        raise DataError("--sweep and --export exclude each other: a sweep has no single schedule to write")
    if over and measured is not None:
        raise DataError("--sweep and --measured exclude each other: times are of one GPU, a sweep changes it")
    if over and time_limit is not None:
        raise DataError("--sweep and --time-limit exclude each other: each point of a sweep is proven")
    limit_s = math.inf if time_limit is None else quantity("--time-limit", time_limit, "s", least=1e-10)
    loaded = load(catalog)
    asked = _graph(graph, answer, pairs("--set", sizes) or {}, training, loaded)
    chip = gpu_named(loaded, gpu, pairs("--gpu-set", settings))
    chosen: Literal["bulk", "vertical", "kitsune", "best"] = (execution or Executions.best).value
    if over:
        from codesign.kitsune.sweep import sweep
        from codesign.output.kitsune import render_sweep

        with alive("sweeping"):
            swept = sweep(asked, chip, chosen, over[0])
        show(swept.document() if as_json else None, render_sweep(swept))
        raise typer.Exit(Exit.of("optimal" if all(one.status == "optimal" for one in swept.points) else "undecided"))
    known = {} if measured is None else read_measured(measured, asked)
    with alive("scheduling"):
        left_s = max(limit_s - (time.monotonic() - start), 0.0)
        found = codesign.schedule(asked, gpu=gpu, gpu_set=pairs("--gpu-set", settings), execution=chosen,
                                  measured=known, time_limit=left_s, catalog=catalog,
                                  shown="all" if execution is None else "chosen")  # fmt: skip
    tell(found, as_json, wide=True)
    if export is not None:
        with alive("placing and drawing"):
            found.export(export)
        exported(export, as_json)
    part = found.chosen()
    raise typer.Exit(Exit.INFEASIBLE if part.blocked else Exit.of(part.status))


def reproduce_kitsune(
    as_json: Json = False,
    export: Annotated[Path | None, place("write the document and its chart")] = None,
) -> None:
    """The scheduling study arXiv 2502.18403: Table 2, predictions, and its claims as checks."""
    from codesign.facts.catalog import load
    from codesign.kitsune.reproduce import reproduce
    from codesign.output.kitsune_study import render
    from codesign.output.progress import alive

    with alive("scheduling every application"):
        found = reproduce(load(None))
    show(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.output.kitsune_speedup import write_study

        write_study(export, found)
        exported(export, as_json)


def _graph(
    name: str | None, answer: Path | None, sizes: dict[str, str], training: bool, catalog: "Catalog"
) -> "Graph":
    from codesign.facts.errors import DataError
    from codesign.kitsune import backward
    from codesign.kitsune.from_answer import layer_of
    from codesign.kitsune.sources import graph_named

    if (name is None) == (answer is None):
        raise DataError("give either GRAPH or --from ANSWER.json; `codesign kitsune --help` says what GRAPH can be")
    if answer is not None and (sizes or training):
        raise DataError("--from has the sizes of its answer, a decode step; --set and --training do not apply")
    found = layer_of(answer, catalog) if answer is not None else graph_named(str(name), sizes)
    return backward.training(found) if training else found
