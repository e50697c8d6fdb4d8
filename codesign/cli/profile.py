"""The command `mix`: a measured throughput table, or a published instance, decides which replicas to rent.

As in `codesign.cli`, first-party imports are inside the commands.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli.parts import Json, exported, pairs, place, quantity, show, written
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    from codesign.fleet.plan import Plan
    from codesign.mix.question import Mix


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(mix)


def mix(
    profile: Annotated[Path | None, typer.Option(metavar="TABLE.csv", help="your measured throughput")] = None,
    demand: Annotated[Path | None, typer.Option(metavar="DEMAND.toml|csv", help="requests/s by bucket")] = None,
    rate: Annotated[str | None, written("requests/s of all buckets together")] = None,
    instance: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="a mix in the published form of Melange")
    ] = None,
    name: Annotated[str | None, typer.Option(help="which instance of a file with many", show_default=False)] = None,
    slices: Annotated[int | None, typer.Option(min=1, help="slices of each bucket; 8", show_default=False)] = None,
    fractional: Annotated[bool, typer.Option("--fractional", help="buckets divided at will")] = False,
    speed: Annotated[str | None, written("of each user, at least: '30 tokens/s'")] = None,
    available: Annotated[
        list[str] | None, written("replicas of a kind at most: 'a100 tp1=4'", "--available", "KIND=N")
    ] = None,
    time_limit: Annotated[str | None, written("stop then with the best found: '10 s'")] = None,
    as_json: Json = False,
    export: Annotated[Path | None, place("write answer, tables, program, charts")] = None,
) -> None:
    """Which replicas of which kinds serve a demand by buckets for the least money, by a measured table?"""
    start = time.monotonic()
    from codesign.facts.errors import DataError

    if (profile is None) == (instance is None):
        raise DataError("give either --profile TABLE.csv or --instance FILE.json")
    if instance is None and profile is not None:
        if name is not None:
            raise DataError("--name goes with --instance")
        options = Asked(slices, fractional, rate, speed, available, time_limit, as_json, export)
        answer_profile(profile, options, demand=demand)
    elif instance is not None:
        own = {"--demand": demand, "--rate": rate, "--speed": speed, "--available": available}
        if wrong := [option for option, value in own.items() if value is not None]:
            raise DataError(f"{', '.join(wrong)}: goes with --profile; an instance says it itself")
        _alone(slices, fractional)
        from codesign.mix.published import mix_of, read_published

        asked = mix_of(read_published(instance, name), where=str(instance), slices=slices, fractional=fractional)
        query = {"instance": str(instance), "name": name, "slices": slices, "sha256": _sha256(instance)}
        _answer(asked, query, (), _left(start, time_limit), as_json, export)


@dataclass(frozen=True)
class Asked:
    """The options of a mix, as they were written."""

    slices: int | None
    fractional: bool
    rate: str | None = None
    speed: str | None = None
    available: list[str] | None = None
    time_limit: str | None = None
    as_json: bool = False
    export: Path | None = None


def answer_profile(
    profile: Path, options: Asked, *, demand: Path | None = None, plan: "Plan | None" = None, period: str | None = None
) -> None:
    """A measured table's answer to a demand file, or to one period of a plan; ends by typer.Exit with its code."""
    from codesign.mix.demand import read_demand
    from codesign.mix.from_plan import demand_of, unasked
    from codesign.mix.measured import Options, mix_of
    from codesign.mix.profile import read_profile

    start = time.monotonic()
    _alone(options.slices, options.fractional)
    wanted = None if demand is None else read_demand(demand)
    wanted = wanted if plan is None else demand_of(plan, period)
    speed = None if options.speed is None else quantity("--speed", options.speed, "tokens/s")
    how = Options(options.slices, options.fractional, speed, _rate(options.rate), _counts(options.available))
    asked, notes = mix_of(read_profile(profile), wanted, how)
    query: dict[str, Any] = {"profile": str(profile), "profile_sha256": _sha256(profile), "rate": options.rate,
             "slices": options.slices, "speed": options.speed, "available": ", ".join(options.available or ()) or None,
             "options": {"rate": how.rate, "speed": how.speed, "available": how.available}}  # fmt: skip
    if demand is not None:
        query |= {"demand": str(demand), "demand_sha256": _sha256(demand)}
    if plan is not None:
        text = plan.as_toml().encode()
        query |= {"plan": ", ".join(plan.workloads), "plan_sha256": hashlib.sha256(text).hexdigest(), "period": period,
                  "plan_toml": text.decode()}  # fmt: skip
        if left := unasked(plan):
            notes = (*notes, f"of the plan not asked here, a measured table has no place for it: {', '.join(left)}")
    _answer(asked, query, notes, _left(start, options.time_limit), options.as_json, options.export)


def _left(start: float, time_limit: str | None) -> float | None:
    """Seconds that are left of the time given, counted from the start of the command; None: no limit."""
    limit_s = None if time_limit is None else quantity("--time-limit", time_limit, "s")
    return None if limit_s is None else max(start + limit_s - time.monotonic(), 0.0)


def _alone(slices: int | None, fractional: bool) -> None:
    from codesign.facts.errors import DataError

    if slices is not None and fractional:
        raise DataError("--slices and --fractional exclude each other")


def _rate(text: str | None) -> float | None:
    from pydantic import TypeAdapter, ValidationError

    from codesign.facts.errors import DataError
    from codesign.mix.demand import Rate

    if text is None:
        return None
    try:
        return TypeAdapter(Rate).validate_python(text)
    except ValidationError as error:
        raise DataError(f"--rate {text!r}: expected requests/s, a number, 0 or more") from error


def _counts(items: list[str] | None) -> dict[str, int]:
    from codesign.facts.errors import DataError

    found = {}
    for name, text in (pairs("--available", items) or {}).items():
        if not text.isascii() or not text.isdigit():
            raise DataError(f"--available {name}={text}: expected a whole number, 0 or more")
        found[name] = int(text)
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _answer(
    asked: "Mix", query: dict[str, Any], notes: tuple[str, ...], left_s: float | None, as_json: bool,
    export: Path | None,
) -> None:  # fmt: skip
    from codesign.mix.cheapest_mix import cheapest_mix
    from codesign.output.mix import render
    from codesign.output.progress import alive

    with alive("solving the mix"):
        result = cheapest_mix(asked, query=query, notes=notes, time_limit=left_s)
    show(result.answer.document() if as_json else None, render(result.answer))
    if export is not None:
        from codesign.output.mix_files import write_mix

        write_mix(export, result)
        exported(export, as_json)
    raise typer.Exit(Exit.of(result.answer.status))
