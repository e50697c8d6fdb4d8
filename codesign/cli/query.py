"""The options that make a query, the same for every command that asks one: `best` and what builds on it.

As in `codesign.cli`, first-party imports are inside the functions.
"""

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from codesign.cli.parts import Assume, Own, pairs, written

if TYPE_CHECKING:
    from codesign.facts.reading import Document
    from codesign.system.query import Query

GIVEN = ("asked", "own")  # what a command takes in place of the options
Command = Callable[..., None]


def asks_query(
    command: Command | None = None, *, plan: Command | None = None, called: Mapping[str, str] | None = None
) -> Callable[..., Any]:
    """A command `(asked, own, ...)` with QUERY.toml and every option of a query in place of these two.

    `asked` is the checked query, `own` the folder of `--catalog`; the command's other parameters stay its own.
    Where the file is a fleet plan, `plan` is called in the same way with the plan. `called`: other names for
    options of the query, by parameter, where the command has that name itself.
    """
    if command is None:
        return lambda given: _asking(given, plan, called or {})
    return _asking(command, plan, called or {})


def asks_query_or(plan: Command, *, called: Mapping[str, str] | None = None) -> Callable[[Command], Command]:
    """As `asks_query`, for a command that takes a fleet plan too."""
    return lambda command: _asking(command, plan, called or {})


def _asking(command: Command, plan: Command | None, called: Mapping[str, str]) -> Command:
    signature = inspect.signature(query_of)
    names = {name: called[name].removeprefix("--").replace("-", "_") if name in called else name
             for name in signature.parameters}  # fmt: skip
    of_query = [_called(p, names[p.name], called.get(p.name)) for p in signature.parameters.values()]
    rest = inspect.signature(command)
    theirs = [parameter for name, parameter in rest.parameters.items() if name not in GIVEN]

    def run(**given: Any) -> None:
        from codesign.facts.reading import Document, toml_file

        own, path = given["catalog"], given["query"]
        said = {name: given.pop(shown) for name, shown in names.items()}
        if path is not None:
            said["query"] = document = Document(path, toml_file(path))
        if path is not None and "workloads" in document.table:
            _ask_plan(plan, said, document, own, given)
        else:
            command(query_of(**said), own, **given)

    parameters = [*of_query, *theirs]
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__signature__ = rest.replace(parameters=[p.replace(kind=p.KEYWORD_ONLY) for p in parameters])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _ask_plan(
    plan: Command | None, said: dict[str, Any], document: "Document", own: Path | None, given: dict[str, Any]
) -> None:
    from codesign.facts.catalog import builtin_plan, load
    from codesign.facts.errors import DataError
    from codesign.fleet.reading import read_plan

    path = document.path
    if plan is None:
        raise DataError(f"{path} is a fleet plan; `codesign fleet {path}` answers those")
    shared = ("query", "catalog", "assume", "cost", "time_limit")
    if wrong := [name for name, value in said.items() if value is not None and name not in shared]:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise DataError(f"{names}: of a query; {path} is a fleet plan and says these things itself")
    options_of = {"assume": pairs("--assume", said["assume"]), "cost": pairs("--cost", said["cost"]),
                  "time_limit": said["time_limit"]}  # fmt: skip
    options: dict[str, Any] = {key: value for key, value in options_of.items() if value is not None}
    plan(read_plan(load(own), document, options, builtin_plan("default")), own, **given)


def _called(parameter: inspect.Parameter, name: str, option: str | None) -> inspect.Parameter:
    """The parameter under another name, its option under another too."""
    if option is None:
        return parameter
    kind, info = get_args(parameter.annotation)
    renamed = copy(info)
    renamed.param_decls = (option,)
    return parameter.replace(name=name, annotation=Annotated[kind, renamed])


def query_of(
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
) -> "Query":
    """The query of a file (built-in if absent) with options over it, checked; DataError names what is wrong."""
    from codesign.system.query import query_of as read

    said = {**locals(), "cost": pairs("--cost", cost), "assume": pairs("--assume", assume)}
    return read(query, {name: value for name, value in said.items() if name not in ("query", "catalog", "read")})
