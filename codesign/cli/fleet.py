"""The command on many workloads, kinds of chip and years: `fleet`.

As in `codesign.cli`, first-party imports are inside the commands.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import codesign
from codesign.cli.parts import Assume, Json, Own, pairs, place, tell, written
from codesign.cli.profile import Asked, answer_profile
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    pass


class Losses(StrEnum):
    """What may be lost."""

    one_rack = "one-rack"
    one_kind = "one-kind"


class Objectives(StrEnum):
    """What is best."""

    cost = "cost"
    per_dollar = "throughput-per-dollar"
    value = "value"
    power = "power"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(fleet)


def fleet(
    plan: Annotated[
        Path | None, typer.Argument(metavar="[PLAN.toml]", help="a plan file; built-in if absent", show_default=False)
    ] = None,
    objective: Annotated[Objectives | None, typer.Option(help="what is best", show_default=False)] = None,
    survive: Annotated[
        Losses | None, typer.Option(help="demand must be met after this loss", show_default=False)
    ] = None,
    survive_share: Annotated[str | None, written("of the demand, after the loss: 80%", metavar="SHARE")] = None,
    settings: Annotated[
        list[str] | None, written('a key of the plan: limits.power="300 kW"; none lifts it', "--set", "KEY=VALUE")
    ] = None,
    time_limit: Annotated[str | None, written("stop proving after this time, '60 s'", metavar="TIME")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="without steps of the limits and single kinds, each a program of its own")
    ] = False,
    as_json: Json = False,
    export: Annotated[Path | None, place("write answer, plan, tables, charts, program")] =
    None,
    profile: Annotated[
        Path | None, typer.Option(metavar="TABLE.csv", help="your measured throughput in place of our predictions")
    ] = None,
    period: Annotated[str | None, written("of the plan, whose demand the measured table serves")] = None,
    demand: Annotated[
        Path | None, typer.Option(metavar="DEMAND.toml|csv", help="requests/s by bucket, in place of a plan's")
    ] = None,
    slices: Annotated[
        int | None, typer.Option(min=1, help="of each bucket, one kind each; 8", show_default=False)
    ] = None,
    fractional: Annotated[bool, typer.Option("--fractional", help="buckets divided at will")] = False,
    assume: Assume = None,
    catalog: Own = None,
) -> None:
    """What should be bought, when, and what should run where, for many workloads under one budget?"""
    from codesign.facts.catalog import builtin_plan, load
    from codesign.fleet.reading import read_plan
    from codesign.output.progress import alive

    given = {"objective": objective and objective.value, "survive": survive and survive.value,
             "survive_share": survive_share, "time_limit": time_limit}  # fmt: skip
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    options |= {key: _value(key, text) for key, text in (pairs("--set", settings) or {}).items()}
    options |= {"assume": pairs("--assume", assume)} if assume else {}
    _check_profile(profile, {"--period": period, "--demand": demand, "--slices": slices,
                             "--fractional": fractional or None},
                   {"--objective": objective, "--survive": survive, "--survive-share": survive_share,
                    "--assume": assume, "--quick": quick or None}, plan if demand else None)  # fmt: skip
    if profile is not None:
        mix = Asked(slices, fractional, time_limit=time_limit, as_json=as_json, export=export)
        options.pop("time_limit", None)
        served = None if demand else read_plan(load(catalog), plan, options, builtin_plan("default"))
        answer_profile(profile, mix, demand=demand, plan=served, period=period)
    with alive("solving the plan"):
        found = codesign.fleet(plan, catalog=catalog, quick=quick, settings=options)
    tell(found, as_json, export)
    raise typer.Exit(Exit.of(found.status))


def _check_profile(
    profile: Path | None, its_own: Mapping[str, Any], others: Mapping[str, Any], plan: Path | None
) -> None:
    """A measured table decides alone: prices and speeds are its own. Raises DataError naming what does not go."""
    from codesign.facts.errors import DataError

    given = [name for name, value in (its_own if profile is None else others).items() if value is not None]
    if given and profile is None:
        raise DataError(f"{', '.join(given)}: goes with --profile TABLE.csv")
    if given:
        raise DataError(f"{', '.join(given)}: does not go with --profile, which serves the demand for the least money "
                        "an hour")  # fmt: skip
    if profile is not None and plan is not None:
        raise DataError(f"--demand: the demand is that of {plan}; give one of the two")


def _value(key: str, text: str) -> Any:
    """A written value: a list, a table or a truth value as TOML has them, else a text."""
    from codesign.facts.reading import toml_of

    if text[0] not in "[{\"" and text not in ("true", "false"):
        return text
    return toml_of(f"value = {text}", f"--set {key}={text}")["value"]
