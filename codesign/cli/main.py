"""The command line: options in, answers out. The only module that prints.

First-party imports are inside the commands, against the house rule: `codesign --help` must not pay
for solvers, numpy or pydantic.

Exit codes are those of `codesign.facts.exits`, with one meaning in every command.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import codesign
from codesign.cli import fleet as cli_fleet
from codesign.cli import frontier as cli_frontier
from codesign.cli import kitsune, profile, robust, switch
from codesign.cli.end import ended
from codesign.cli.parts import Assume, Json, Own, pairs, place, print_parts, quantity, show, tell
from codesign.cli.query import asks_query
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codesign.facts.catalog import Catalog
    from codesign.system.query import Query

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
kitsune.register(app, reproduce_app)
cli_fleet.register(app)
profile.register(app)
switch.register(app)
robust.register(app)
cli_frontier.register(app)


MOST_DEGREE, MOST_USERS = 65536, 1e9


class Modes(StrEnum):
    """Two ways to predict time, never mixed."""

    achieved = "achieved"
    limit = "limit"


@app.command()
@asks_query
def best(
    asked: "Query",
    own: Path | None,
    no_removal: Annotated[bool, typer.Option("--no-removal", help="prove over the full program")] = False,
    as_json: Json = False,
    export: Annotated[Path | None, place("write answer, query, candidates, program")] = None,
) -> None:
    """Which system is best under a budget? Proven over every layout of every chip.

    Options go before what the query file says; the value none lifts a limit of the file.
    """
    found = codesign.best(asked, catalog=own, removal=not no_removal)
    tell(found, as_json, export)
    raise typer.Exit(Exit.of(found.status))


@app.command()
def predict(
    model: Annotated[str, typer.Option(help="a model of the catalogue")],
    chip: Annotated[str, typer.Option(help="a chip of the catalogue")],
    users: Annotated[str, typer.Option(metavar="N", help="concurrent users of the replica")] = "64",
    prompt: Annotated[str, typer.Option("--input", metavar="TOKENS", help="tokens in, '8k'")] = "1024",
    output: Annotated[str, typer.Option(metavar="TOKENS", help="tokens out")] = "1024",
    tensor: Annotated[int, typer.Option(min=1, max=MOST_DEGREE, help="tensor degree of the attention")] = 8,
    data: Annotated[int, typer.Option(min=1, max=MOST_DEGREE, help="attention data parallel degree")] = 1,
    pipeline: Annotated[int, typer.Option(min=1, max=MOST_DEGREE, help="pipeline stages")] = 1,
    expert: Annotated[int, typer.Option(min=1, max=MOST_DEGREE, help="groups that the routed experts lie on")] = 1,
    precision: Annotated[str, typer.Option(help="of the weights: bf16, fp8, int8 or fp4")] = "fp8",
    kv_precision: Annotated[str | None, typer.Option(help="of the KV cache; as `best`")] = None,
    engine: Annotated[str | None, typer.Option(help="vllm, sglang or trtllm; vllm", show_default=False)] = None,
    release: Annotated[str | None, typer.Option(help="the engine's release as measured, 'vllm 0.12.0'")] = None,
    draft: Annotated[int, typer.Option(min=0, max=1000, help="tokens drafted in a step (speculative decoding)")] = 0,
    acceptance: Annotated[str, typer.Option(metavar="X", help="mean tokens that a step then yields")] = "1",
    chunk: Annotated[str | None, typer.Option(metavar="TOKENS", help="prompt tokens in one step; as fitted")] = None,
    mode: Annotated[Modes, typer.Option(help="achieved: what you will see; limit: what no system can beat")] =
    Modes.achieved,
    catalog: Own = None,
    as_json: Json = False,
) -> None:
    """How fast will this deployment be, with this engine, today?"""
    if mode is Modes.limit:
        _achieved_only({"--engine": engine, "--release": release, "--chunk": chunk, "--draft": draft or None,
                        "--acceptance": acceptance if acceptance != "1" else None})  # fmt: skip
    found = codesign.predict(
        model, chip, tensor=tensor, data=data, pipeline=pipeline, expert=expert, precision=precision,
        kv_precision=kv_precision, draft=draft, mode=mode.value, catalog=catalog, release=release or "",
        users=quantity("--users", users, "1", least=1, most=MOST_USERS),
        input=quantity("--input", prompt, "tokens", least=1), output=quantity("--output", output, "tokens", least=1),
        acceptance=quantity("--acceptance", acceptance, "1", least=1), engine=engine or "vllm",
        chunk=None if chunk is None else quantity("--chunk", chunk, "tokens", least=1),
    )  # fmt: skip
    tell(found, as_json, wide=True)


def _achieved_only(options: "Mapping[str, object]") -> None:
    """Raise DataError for options given that mode limit has no place for."""
    from codesign.facts.errors import DataError

    if wrong := [name for name, value in options.items() if value is not None]:
        raise DataError(f"{', '.join(wrong)}: known in mode achieved only (--mode limit)")


@app.command()
def validate(
    table: Annotated[Path, typer.Argument(metavar="MEASURED.csv", help="measured serving runs")],
    out: Annotated[Path | None, place("write errors.csv and charts")] = None,
    catalog: Own = None,
) -> None:
    """How wrong are the predictions on measured runs? By chip, model, engine, phase, mix and scenario."""
    from codesign.output.accuracy import errors
    from codesign.physics.validate import validate as ask

    found = ask(_load(catalog), table)
    print_parts(errors(found))
    if out is not None:
        from codesign.output.accuracy_files import write_validation

        write_validation(out, found)


@app.command()
def calibrate(
    table: Annotated[Path, typer.Argument(metavar="MEASURED.csv", help="measured serving runs")],
    out: Annotated[Path, place("folder for achieved/default.toml; use it as --catalog")],
    catalog: Own = None,
) -> None:
    """Fit the achieved-rate constants to your own runs, with cross-validated errors."""
    from codesign.output.accuracy import fitted
    from codesign.output.accuracy_files import write_constants
    from codesign.physics.calibrate import calibrate as ask

    record, content = ask(_load(catalog), table)
    write_constants(out, content)
    print_parts(fitted(record))
    print(f"Written to {out / 'achieved' / 'default.toml'}; use it with --catalog {out}")


@app.command()
def verify(
    answer: Annotated[Path, typer.Argument(metavar="ANSWER.json", help="written by --json or --export")],
    catalog: Own = None,
    as_json: Json = False,
) -> None:
    """Does an answer still hold? Repeats its audit without a solver; says what changed since."""
    from codesign.cli.verify import verify_answer

    report = verify_answer(answer, catalog)
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        for line in report.lines():
            print(line)
    raise typer.Exit(Exit.ANSWERED if report.holds else Exit.INFEASIBLE)


@app.command()
def schema(document: Annotated[str, typer.Argument(help="answer, fleet, frontier, ...: what --json prints")]) -> None:
    """JSON Schema of a document."""
    import json

    from codesign.cli import documents
    from codesign.facts.errors import DataError

    if document not in documents.CLASSES:
        raise DataError(f"schema {document!r}: no such document; known: {', '.join(documents.CLASSES)}")
    print(json.dumps(documents.CLASSES[document].schema_document(), indent=2))


@catalog_app.command("list")
def catalog_list(
    kind: Annotated[str | None, typer.Argument(help="memories, chips, models, ...")] = None,
    catalog: Own = None,
) -> None:
    """What there is."""
    from codesign.output.listing import listing

    print_parts(listing(_load(catalog), kind))


@catalog_app.command("show")
def catalog_show(
    kind: Annotated[str, typer.Argument(help="memories, chips, models, ...")],
    name: Annotated[str | None, typer.Argument(help="one entry; all if absent")] = None,
    assume: Assume = None,
    catalog: Own = None,
) -> None:
    """Every number with unit, source, date and confidence."""
    from codesign.output.listing import showing

    print_parts(showing(_load(catalog, pairs("--assume", assume)), kind, name))


@catalog_app.command("check")
def catalog_check(catalog: Own = None) -> None:
    """Is every file right? All faults of all files at once."""
    loaded = _load(catalog)
    counts = ", ".join(f"{len(entries)} {folder}" for folder, entries in loaded.records.items())
    print(f"ok: {counts}; {len(loaded.sources)} sources; hash {loaded.digest()[:12]}")


@reproduce_app.command("liminal")
def reproduce_liminal(as_json: Json = False) -> None:
    """The limit study arXiv 2507.14397: known cells, predictions, and its findings as checks."""
    from codesign.output.liminal import render
    from codesign.physics.reproduce_liminal import reproduce

    found = reproduce(_load(None))
    show(found.document() if as_json else None, render(found))


def _load(own: Path | None, assume: "Mapping[str, str | float] | None" = None) -> "Catalog":
    from codesign.facts.catalog import load

    return load(own, assume)


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="show where an error arose; also after the command")] = False,
) -> None:
    """Options of every command; `cli_end` takes --debug out of the arguments wherever it stands."""


def main() -> None:
    """Entry point: run the command, turn every error into one message and an exit code (see `exits`)."""
    raise SystemExit(ended(app, sys.argv[1:]))
