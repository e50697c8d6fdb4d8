"""What a query makes best: a rate over what it takes, the speed of a user, or what a system costs.

Everything that tells one objective from another is said here, once: `query.objective` is asked for it.
A new one is an `Objective` in OBJECTIVES, and a `Counted` where it counts what no other one does.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from codesign.facts.errors import AuditError

MS, KILO = 1e3, 1e-3  # s -> ms; USD -> k$ and W -> kW
Kind = Literal["ratio", "speed", "cost"]


class Achieves(Protocol):
    """What an objective may be read off."""

    @property
    def throughput(self) -> float: ...
    @property
    def user_speed(self) -> float: ...


@dataclass(frozen=True)
class Counted:
    """What servers take that an objective counts: where it is found, and its units.

    `array` is that of `columns.Servers` and `total` that of an audited system; `bill` is that of one server's bill.
    `scale` times SI is what the programs count in.
    """

    array: str
    total: str
    bill: str
    unit: str
    scale: float


CAPITAL = Counted("dollars", "capital_usd", "capital_usd", "USD", KILO)
HOURLY = Counted("hourly", "hourly_usd", "hourly_usd", "USD/h", 1.0)
WATTS = Counted("watts", "power_w", "power_w", "W", KILO)


def money(dollars: str) -> Counted:
    """What "capital" or "per-hour" counts."""
    return CAPITAL if dollars == "capital" else HOURLY


@dataclass(frozen=True)
class Objective:
    """One thing to make best; in SI, its unit is `unit`.

    A ratio is tokens/s over what is `counted` (None: tokens/s alone), of two pools as well; a speed is tokens/s of
    each user, of the program the step; a cost is what is counted of the system that serves the users asked for.
    """

    name: str
    kind: Kind
    counted: Counted | None
    said: str  # unit, "{}" for that of what is counted

    def in_money(self, dollars: str) -> "Objective":
        """The same, with its money counted as the query says."""
        return replace(self, counted=money(dollars)) if self.counted is CAPITAL else self

    @property
    def unit(self) -> str:
        """As it is shown."""
        return self.said.format(self.counted.unit if self.counted else "")

    @property
    def needs_power(self) -> bool:
        """Whether the power of a chip and of its server must be known."""
        return self.counted is WATTS

    @property
    def order(self) -> str:
        """What a solver is told: "maximise throughput"."""
        return f"{'maximise' if self.up else 'minimise'} {self.name}"

    @property
    def up(self) -> bool:
        """Whether more is better."""
        return self.kind != "cost"

    @property
    def direction(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.up else -1

    @property
    def scale(self) -> float:
        """What is counted in the programs' unit, of one in SI; 1 where nothing is."""
        return self.counted.scale if self.counted else 1.0

    @property
    def fewest(self) -> bool:
        """Whether replicas beyond those that the users need add nothing."""
        return self.kind != "ratio"

    @property
    def fills(self) -> bool:
        """Whether it rests on how well replicas fill the servers bought, and so fewer of them may be better."""
        return self.kind == "ratio" and self.counted is not None

    @property
    def pools(self) -> Literal["ratio", "throughput", "cost", None]:
        """The kind of program of two pools; None: not asked of two."""
        if self.kind == "speed":
            return None
        return "cost" if self.kind == "cost" else "ratio" if self.counted else "throughput"

    def better(self, value: float, than: float, by: float = 0.0) -> bool:
        """Whether one value (SI) beats another, by more than a share of it."""
        return self.direction * (value - than) > by * abs(than)

    def merit(self, value: float) -> float:
        """A value as a number of which more is better: one over a cost; and back."""
        return value if self.up else 1 / value

    def of(self, a: Achieves) -> float:
        """The value (SI) of an audited system; AuditError where what is counted is unknown."""
        if self.kind == "speed":
            return a.user_speed
        if self.counted is None:
            return a.throughput
        base: float | None = getattr(a, self.counted.total)
        if base is None:
            raise AuditError(f"{self.name} of a system whose denominator is unknown")
        return base if self.kind == "cost" else a.throughput / base

    def si(self, value: float | None) -> float | None:
        """A value of the program of one pool (steps in ms) in SI; None: none, or no step."""
        if value is None:
            return None
        if self.kind == "speed":
            return MS / value if value > 0 else None
        return value * (1 / self.scale) if self.kind == "cost" else value * (MS * self.scale)

    def pools_si(self, value: float | None, output: int) -> float | None:
        """A value of the program of two pools in SI: requests become their `output` tokens."""
        if value is None:
            return None
        return value / self.scale if self.kind == "cost" else value * output * self.scale

    def endless(self, spares: int) -> str:
        """Why, without a limit on the servers, no system of one pool is best; empty where one is."""
        if self.kind == "ratio" and self.counted is None:
            return f"no limit bounds the {self.name} of a system"
        return "spare servers weigh less in ever larger systems" if self.fills and spares else ""


OBJECTIVES: dict[str, Objective] = {
    one.name: one
    for one in (
        Objective("throughput-per-dollar", "ratio", CAPITAL, "tokens/s per {}"),
        Objective("throughput", "ratio", None, "tokens/s"),
        Objective("throughput-per-watt", "ratio", WATTS, "tokens/s/{}"),
        Objective("user-speed", "speed", None, "tokens/s"),
        Objective("cost", "cost", CAPITAL, "{}"),
    )
}
MAXIMIZE = tuple(OBJECTIVES)


def _known(raw: Any) -> Any:
    """A name of OBJECTIVES; the error is that of one of a few texts."""
    if not isinstance(raw, str) or raw not in OBJECTIVES:
        *first, last = (repr(name) for name in OBJECTIVES)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(first)} or {last}"})
    return raw


Maximize = Annotated[str, BeforeValidator(_known)]
