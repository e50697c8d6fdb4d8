"""Quantities of a plan: as people write them, one for all periods or one for each, with names that must exist."""

from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo

from codesign.facts.catalog import unknown
from codesign.facts.errors import DataError
from codesign.facts.units import known_units, sane, show

T = TypeVar("T")


MOST = {  # in SI: above it a solver cannot tell an amount from none that is limited
    "USD": 1e15, "USD/h": 1e12, "W": 1e15, "1": 1e9, "requests/s": 1e9, "1/years": 1e3, "years": 1e3, "USD/token": 1e3,
}  # fmt: skip
LEAST_SHARE = 1e-6  # below it a solver cannot tell a share from none


def _read(unit: str) -> BeforeValidator:
    def read(raw: Any) -> Any:
        if raw is None:
            return None
        if isinstance(raw, list | tuple | dict):
            raise ValueError(f"{raw!r} is not a quantity; expected one, {known_units(unit)}")
        try:
            value = sane(raw, unit)
        except DataError as error:
            raise ValueError(str(error)) from error
        if value > MOST[unit]:
            raise ValueError(f"{raw!r} is more than {show(MOST[unit], unit)}; leave a limit out where there is none")
        return value

    return BeforeValidator(read)


def _write(unit: str) -> PlainSerializer:
    return PlainSerializer(lambda x: f"{x!r} {unit}".strip())


def _told_from_none(share: float) -> float:
    if 0 < share < LEAST_SHARE:
        raise ValueError(f"a share of {share:g} cannot be told from none; must be 0, or {LEAST_SHARE:g} and more")
    return share


Money = Annotated[float, _read("USD"), _write("USD"), Field(ge=0)]
MoneyPerHour = Annotated[float, _read("USD/h"), _write("USD/h"), Field(ge=0)]
Power = Annotated[float, _read("W"), _write("W"), Field(ge=0)]
Racks = Annotated[float, _read("1"), Field(ge=0)]
Amount = Annotated[int, _read("1"), Field(ge=0)]
Kinds = Annotated[int, _read("1"), Field(ge=1)]
Servers = Annotated[int, _read("1"), Field(ge=1)]
Rate = Annotated[float, _read("requests/s"), _write("requests/s"), Field(ge=0)]
Growth = Annotated[float, _read("1/years"), PlainSerializer(lambda x: f"{x!r} /year"), Field(gt=-1)]
Years = Annotated[float, _read("years"), _write("years"), Field(gt=0)]
Worth = Annotated[float, _read("USD/token"), PlainSerializer(lambda x: f"{round(x * 1e6, 12)!r} USD/Mtok"), Field(ge=0)]
Factor = Annotated[float, _read("1"), Field(gt=0)]
Level = Annotated[float, _read("1"), Field(ge=0)]
Share = Annotated[float, _read("1"), Field(ge=0, le=1), AfterValidator(_told_from_none)]


def _several(raw: Any) -> Any:
    return raw if isinstance(raw, list | tuple) or raw is None else (raw,)


def _for_periods(values: tuple[T, ...], info: ValidationInfo) -> tuple[T, ...]:
    """One value for all periods, or one for each."""
    periods = (info.context or {}).get("periods")
    if periods is not None and len(values) not in (1, periods):
        raise ValueError(f"{len(values)} values for {periods} periods; give one for all, or one for each")
    return values


EACH = BeforeValidator(_several)
FIT = AfterValidator(_for_periods)
MoneyByPeriod = Annotated[tuple[Money, ...], EACH, FIT]
MoneyPerHourByPeriod = Annotated[tuple[MoneyPerHour, ...], EACH, FIT]
PowerByPeriod = Annotated[tuple[Power, ...], EACH, FIT]
RacksByPeriod = Annotated[tuple[Racks, ...], EACH, FIT]
AmountByPeriod = Annotated[tuple[Amount, ...], EACH, FIT]
RateByPeriod = Annotated[tuple[Rate, ...], EACH, FIT]


def at(values: tuple[T, ...], period: int) -> T:
    """The value of a period."""
    return values[0] if len(values) == 1 else values[period]


def demand_known(kind: str, names: Iterable[str], info: ValidationInfo, *also: str) -> None:
    """Raise ValueError where one of `names` is none of the kind that the context lists."""
    known = (info.context or {}).get(kind)
    wrong = [] if known is None else [name for name in names if name not in known and name not in also]
    if wrong:
        raise ValueError("; ".join(unknown(kind.removesuffix("s"), name, sorted(known or ())) for name in wrong))
