"""The command line: options in, answers out. The only module that prints.

First-party imports are inside the commands, against the house rule: `codesign --help` must not pay
for solvers, numpy or pydantic.

Exit codes: 0 answered, 1 infeasible (or an answer that no longer holds), 2 bad input, 3 undecided in
the time given, 4 a fault of ours or of a solver, 130 interrupted.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codesign import cli_kitsune
from codesign.cli_parts import Assume, Json, Own, pairs, print_table, written

if TYPE_CHECKING:
    from codesign.answer import Answer
    from codesign.catalog import Catalog

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Which memory, chip, count and layout serve a model best under a budget, with proof.",
)  # fmt: skip
catalog_app = typer.Typer(
    no_args_is_help=True, help="The numbers behind the answers: value, unit, source, date, confidence."
)
app.add_typer(catalog_app, name="catalog")
reproduce_app = typer.Typer(no_args_is_help=True, help="Published studies beside our own numbers.")
app.add_typer(reproduce_app, name="reproduce")
cli_kitsune.register(app, reproduce_app)

INTERRUPTED = 130


class Documents(StrEnum):
    """Documents with a published schema."""

    answer = "answer"
    schedule = "schedule"


class Modes(StrEnum):
    """Two ways to predict time, never mixed."""

    achieved = "achieved"
    limit = "limit"


@app.command()
def best(
    query: Annotated[
        Path | None, typer.Argument(metavar="[QUERY.toml]", help="a query file; built-in if absent", show_default=False)
    ] = None,
    model: Annotated[str | None, written("a model of the catalogue")] = None,
    budget: Annotated[str | None, written("capital, '$3M', or per hour, '$900/h'", metavar="MONEY")] = None,
    power: Annotated[str | None, written("provisioned IT power, '150 kW'", metavar="POWER")] = None,
    chips: Annotated[str | None, written("most chips bought", metavar="N")] = None,
    racks: Annotated[str | None, written("most racks", metavar="N")] = None,
    replicas: Annotated[str | None, written("most replicas", metavar="N")] = None,
    tensor: Annotated[str | None, written("largest tensor degree", metavar="N")] = None,
    user_speed: Annotated[str | None, written("least tokens/s of each user", metavar="SPEED")] = None,
    users: Annotated[str | None, written("concurrent users to serve at least", metavar="N")] = None,
    context: Annotated[str | None, written("tokens in each user's KV cache, '32k'", metavar="TOKENS")] = None,
    mode: Annotated[str | None, written("limit: what no system can beat; achieved: what an engine reaches")] = None,
    prompt: Annotated[str | None, written("tokens in (mode achieved)", "--input", metavar="TOKENS")] = None,
    output: Annotated[str | None, written("tokens out (mode achieved)", metavar="TOKENS")] = None,
    ttft: Annotated[str | None, written("longest mean time to first token, '2 s'", metavar="TIME")] = None,
    engine: Annotated[str | None, written("vllm, sglang or trtllm")] = None,
    release: Annotated[str | None, written("the engine's release as measured, 'vllm 0.12.0'")] = None,
    phases: Annotated[str | None, written("decode, aggregated, or disaggregated: two pools")] = None,
    prior: Annotated[str | None, written("for chips without runs: none, family or all")] = None,
    draft: Annotated[str | None, written("tokens drafted in a step (speculative, multi-token)", metavar="N")] = None,
    acceptance: Annotated[str | None, written("mean tokens that a step then yields", metavar="X")] = None,
    chunk: Annotated[str | None, written("prompt tokens in one step", metavar="TOKENS")] = None,
    precision: Annotated[str | None, written("of weights: bf16, fp8, int8, fp4; or several", metavar="LIST")] = None,
    kv_precision: Annotated[str | None, written("of the KV cache; fp8 beside 8 and 4 bit weights if absent")] = None,
    memory: Annotated[str | None, written("allow only these memories, 'hbm3e,hbm4'", metavar="LIST")] = None,
    no_memory: Annotated[str | None, written("forbid these memories", metavar="LIST")] = None,
    chip: Annotated[str | None, written("allow only these chips or dies", metavar="LIST")] = None,
    no_chip: Annotated[str | None, written("forbid these chips or dies", metavar="LIST")] = None,
    vendor: Annotated[str | None, written("allow only these vendors", metavar="LIST")] = None,
    no_vendor: Annotated[str | None, written("forbid these vendors", metavar="LIST")] = None,
    available_by: Annotated[str | None, written("latest year of availability", metavar="YEAR")] = None,
    hardware: Annotated[str | None, written("any, catalogue (products) or composed (die with stacks)")] = None,
    maximize: Annotated[str | None, written("throughput[-per-dollar or -per-watt], user-speed, cost")] = None,
    dollars: Annotated[str | None, written("capital or per-hour")] = None,
    basis: Annotated[str | None, written("buy, hyperscaler or rent")] = None,
    price_basis: Annotated[str | None, written("sold or cost")] = None,
    spare_servers: Annotated[str | None, written("servers bought and kept idle (N+1: 1)", metavar="N")] = None,
    cost: Annotated[list[str] | None, written("set a number of `prices default`: pue=1.1", metavar="KEY=VALUE")] = None,
    assume: Assume = None,
    catalog: Own = None,
    time_limit: Annotated[str | None, written("stop the proof after this time, '30 s'", metavar="TIME")] = None,
    no_removal: Annotated[bool, typer.Option("--no-removal", help="prove over the full program")] = False,
    as_json: Json = False,
    export: Annotated[Path | None, typer.Option(metavar="DIR", help="write answer, query, candidates, program")] = None,
) -> None:
    """Which system is best under a budget? Proven over every layout of every chip.

    Options go before what the query file says; the value none lifts a limit of the file.
    """
    from codesign.catalog import builtin_query, load
    from codesign.queries.best_system import prepare_and_solve
    from codesign.query import read_query

    options = {
        "model": model, **_budget(budget), "limits.power": power,
        "limits.chips": chips, "limits.racks": racks, "limits.replicas": replicas, "limits.tensor": tensor,
        "limits.user_speed": user_speed, "limits.users": users, "context": context, "precision": precision,
        "limits.ttft": ttft, "mode": mode, "serving.input": prompt, "serving.output": output,
        "serving.engine": engine, "serving.release": release, "serving.phases": phases, "serving.prior": prior,
        "serving.draft": draft, "serving.acceptance": acceptance, "serving.chunk": chunk,
        "kv_precision": kv_precision, "allow.memories": memory, "forbid.memories": no_memory, "allow.chips": chip,
        "forbid.chips": no_chip, "allow.vendors": vendor, "forbid.vendors": no_vendor, "available_by": available_by,
        "hardware": hardware, "maximize": maximize, "dollars": dollars, "basis": basis, "price_basis": price_basis,
        "spare_servers": spare_servers, "time_limit": time_limit, "cost": pairs("--cost", cost),
        "assume": pairs("--assume", assume),
    }  # fmt: skip
    asked = read_query(query, options, builtin_query("best"))
    result = prepare_and_solve(load(catalog, asked.assumptions()), asked, removal=not no_removal)
    if export is not None:
        from codesign.exports.folder import write_answer

        write_answer(export, result, removal=not no_removal, own=catalog)
    _show(result.answer, as_json, export)
    raise typer.Exit({"optimal": 0, "infeasible": 1}.get(result.answer.status, 3))


def _show(answer: "Answer", as_json: bool, export: Path | None) -> None:
    if as_json:
        print(answer.document())
        return
    from rich.console import Console

    from codesign.report.terminal import render

    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False, markup=False, emoji=False)
    for part in render(answer):
        console.print(part)
    if export is not None:
        console.print(f"Exported to {export}")


def _budget(written: str | None) -> dict[str, str | None]:
    """One option for both money limits: what it does not set, it lifts."""
    if written is None:
        return {}
    hourly = "/h" in written.replace(" ", "")
    return {"limits.hourly": written if hourly else "none", "limits.budget": "none" if hourly else written}


@app.command()
def predict(
    model: Annotated[str, typer.Option(help="a model of the catalogue")],
    chip: Annotated[str, typer.Option(help="a chip of the catalogue")],
    users: Annotated[float, typer.Option(min=1, help="concurrent users of the replica")] = 64,
    prompt: Annotated[float, typer.Option("--input", min=1, help="tokens in")] = 1024,
    output: Annotated[float, typer.Option(min=1, help="tokens out")] = 1024,
    tensor: Annotated[int, typer.Option(min=1, help="tensor degree of the attention")] = 8,
    data: Annotated[int, typer.Option(min=1, help="attention data parallel degree")] = 1,
    pipeline: Annotated[int, typer.Option(min=1, help="pipeline stages")] = 1,
    expert: Annotated[int, typer.Option(min=1, help="groups that the routed experts lie on")] = 1,
    precision: Annotated[str, typer.Option(help="of the weights: bf16, fp8, int8 or fp4")] = "fp8",
    kv_precision: Annotated[str | None, typer.Option(help="of the KV cache; as `best`")] = None,
    engine: Annotated[str, typer.Option(help="vllm, sglang or trtllm")] = "vllm",
    release: Annotated[str, typer.Option(help="the engine's release as measured, 'vllm 0.12.0'")] = "",
    draft: Annotated[int, typer.Option(min=0, help="tokens drafted in a step (speculative, multi-token)")] = 0,
    acceptance: Annotated[float, typer.Option(min=1, help="mean tokens that a step then yields")] = 1.0,
    chunk: Annotated[float | None, typer.Option(min=1, help="prompt tokens in one step; as fitted")] = None,
    mode: Annotated[Modes, typer.Option(help="achieved: what you will see; limit: what no system can beat")] =
    Modes.achieved,
    catalog: Own = None,
    as_json: Json = False,
) -> None:
    """How fast will this deployment be, with this engine, today?"""
    from codesign.queries.predict import deployment, predict_limit
    from codesign.queries.predict import predict as ask
    from codesign.report.accuracy import prediction

    replica = deployment(tensor, data, pipeline, expert, precision, kv_precision, draft, acceptance, chunk)
    traffic = {"users": users, "prompt": prompt, "output": output}
    if mode is Modes.limit:
        found = predict_limit(_load(catalog), model, chip, replica, **traffic)
    else:
        found = ask(_load(catalog), model, chip, replica, **traffic, engine=engine, release=release)
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        print_table(prediction(found))


@app.command()
def validate(
    table: Annotated[Path, typer.Argument(metavar="MEASURED.csv", help="measured serving runs")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write errors.csv and charts")] = None,
    catalog: Own = None,
) -> None:
    """How wrong are the predictions on measured runs? By chip, model, engine, phase, mix and scenario."""
    from codesign.queries.validate import validate as ask
    from codesign.report.accuracy import errors

    found = ask(_load(catalog), table)
    if out is not None:
        from codesign.exports.accuracy import write_validation

        write_validation(out, found)
    print_table(errors(found))


@app.command()
def calibrate(
    table: Annotated[Path, typer.Argument(metavar="MEASURED.csv", help="measured serving runs")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder for achieved/default.toml; use it as --catalog")],
    catalog: Own = None,
) -> None:
    """Fit the achieved-rate constants to your own runs, with cross-validated errors."""
    from codesign.queries.calibrate import calibrate as ask
    from codesign.report.accuracy import fitted

    record = ask(_load(catalog), table, out)
    print_table(fitted(record))
    print(f"Written to {out / 'achieved' / 'default.toml'}; use it with --catalog {out}")


@app.command()
def verify(
    answer: Annotated[Path, typer.Argument(metavar="ANSWER.json", help="written by --json or --export")],
    catalog: Own = None,
    as_json: Json = False,
) -> None:
    """Does an answer still hold? Repeats its audit without a solver; says what changed since."""
    from codesign.queries.verify import verify_answer

    report = verify_answer(answer, catalog)
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        for line in report.lines():
            print(line)
    raise typer.Exit(0 if report.holds else 1)


@app.command()
def schema(document: Annotated[Documents, typer.Argument(help="which document")]) -> None:
    """JSON Schema of a document."""
    import json

    from codesign import answer
    from codesign.queries import kitsune

    print(json.dumps((answer if document is Documents.answer else kitsune).schema(), indent=2))


@catalog_app.command("list")
def catalog_list(
    kind: Annotated[str | None, typer.Argument(help="memories, chips, models, ...")] = None,
    catalog: Own = None,
) -> None:
    """What there is."""
    from codesign.report.listing import listing

    print_table(listing(_load(catalog), kind))


@catalog_app.command("show")
def catalog_show(
    kind: Annotated[str, typer.Argument(help="memories, chips, models, ...")],
    name: Annotated[str | None, typer.Argument(help="one entry; all if absent")] = None,
    assume: Assume = None,
    catalog: Own = None,
) -> None:
    """Every number with unit, source, date and confidence."""
    from codesign.report.listing import showing

    print_table(showing(_load(catalog, pairs("--assume", assume)), kind, name))


@catalog_app.command("check")
def catalog_check(catalog: Own = None) -> None:
    """Is every file right? All faults of all files at once."""
    loaded = _load(catalog)
    counts = ", ".join(f"{len(entries)} {folder}" for folder, entries in loaded.records.items())
    print(f"ok: {counts}; {len(loaded.sources)} sources; hash {loaded.digest()[:12]}")


@reproduce_app.command("liminal")
def reproduce_liminal(as_json: Json = False) -> None:
    """The limit study arXiv 2507.14397: known cells, predictions, and its findings as checks."""
    from rich.console import Group

    from codesign.queries.reproduce_liminal import reproduce
    from codesign.report.liminal import render

    found = reproduce(_load(None))
    if as_json:
        print(found.document())
    else:
        print_table(Group(*render(found)))


def _load(own: Path | None, assume: dict[str, str] | None = None) -> "Catalog":
    from codesign.catalog import load

    return load(own, assume)


def main() -> None:
    """Entry point: run the command, turn our errors into one message and an exit code."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer turns Ctrl-C into this
            print("interrupted; nothing was left half-written", file=sys.stderr)
        raise
    except Exception as error:
        from codesign.errors import CodesignError, DataError

        if not isinstance(error, CodesignError):
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, DataError) else 4) from None
