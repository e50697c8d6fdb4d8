"""What a frontier is over: two or three of capital, dollars per hour, power, chips, throughput and user speed."""

import difflib
from dataclasses import dataclass

from codesign.facts.errors import DataError
from codesign.system.query import Query


@dataclass(frozen=True)
class Axis:
    """One axis: `each` is the array of `columns.Servers` that it adds up (None: a rate), `limit` the query's."""

    name: str
    title: str
    unit: str
    up: bool              # more is better
    whole: bool
    each: str | None
    limit: str | None


AXES = (
    Axis("capital", "capital", "USD", False, False, "dollars", "budget"),
    Axis("per-hour", "dollars per hour", "USD/h", False, False, "hourly", "hourly"),
    Axis("power", "IT power", "W", False, False, "watts", "power"),
    Axis("chips", "chips", "chips", False, True, "chips", "chips"),
    Axis("throughput", "throughput", "tokens/s", True, False, None, None),
    Axis("user-speed", "user speed", "tokens/s", True, False, None, "user_speed"),
)
BY_NAME = {axis.name: axis for axis in AXES}


def read_axes(written: str, query: Query) -> tuple[Axis, ...]:
    """Axes of names with commas; `dollars` is capital or per-hour, as the query counts. DataError names all faults."""
    names = [part.strip() for part in written.split(",") if part.strip()]
    money = "capital" if query.dollars == "capital" and query.basis == "buy" else "per-hour"
    names = [money if name == "dollars" else name for name in names]
    faults = [_unknown(name) for name in dict.fromkeys(names) if name not in BY_NAME]
    faults += [f"--axes: {name} twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if not faults and not 2 <= len(names) <= 3:
        faults = [f"--axes {written!r}: {len(names)} axes, expected two or three of {_known()}"]
    if "capital" in names and query.basis != "buy":
        faults.append(f"--axes capital: basis {query.basis!r} has no capital; use per-hour")
    if faults:
        raise DataError("\n".join(faults))
    return tuple(BY_NAME[name] for name in names)


def _known() -> str:
    return ", ".join(["dollars", *BY_NAME])


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, ["dollars", *BY_NAME], n=1, cutoff=0.5)
    return f"--axes: unknown axis {name!r}; " + (f"did you mean {near[0]}?" if near else f"known: {_known()}")
