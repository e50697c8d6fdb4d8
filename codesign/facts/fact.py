"""One number of the catalogue, with everything that is known about where it came from."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, PrivateAttr, field_validator
from pydantic_core import CoreSchema, core_schema
from pydantic_core.core_schema import ValidationInfo

from codesign.facts.errors import DataError
from codesign.facts.units import sane, si

Confidence = Literal[
    "vendor",      # a vendor's own specification or announcement of a shipping part
    "measured",    # somebody measured it and published how
    "reported",    # press, resellers, price lists
    "analyst",     # an analyst's estimate
    "academic",    # a paper or its published model
    "announced",   # a vendor's target for a part that does not ship yet
    "derived",     # arithmetic on other sourced numbers, spelled out in the note
    "unverified",  # no source that we could open; common knowledge or recollection
    "assumed",     # the user's own, given in the query
]  # fmt: skip
CONFIDENCES: tuple[str, ...] = get_args(Confidence)


class Table(BaseModel):
    """A table of a file: unknown keys are errors, and true is not the number 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_number(cls, raw: Any, info: ValidationInfo) -> Any:
        if isinstance(raw, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("true and false are not allowed here")
        return raw


def _quantity(raw: Any) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError('expected a quantity, as "3.35 TB/s" or 8')
    return raw


Written = Annotated[str | int | float, BeforeValidator(_quantity)]


class Other(Table):
    """A value of another source that was not chosen, and why."""

    value: Written
    source: str
    note: str = ""


class Fact(Table):
    """A value as written, its source key (`instances/sources.toml`), date and confidence.

    `low` and `high` bound what sources publish; `si` is the value in the SI unit of the field.
    """

    value: Written
    source: str = Field(min_length=1)
    date: str = Field(pattern=r"^\d{4}(-\d{2}){0,2}$")
    confidence: Confidence
    note: str = ""
    low: Written | None = None
    high: Written | None = None
    others: tuple[Other, ...] = ()
    _si: float = PrivateAttr(default=0.0)
    _unit: str = PrivateAttr(default="")
    _rule: "In | None" = PrivateAttr(default=None)

    @property
    def si(self) -> float:
        """The value in the SI unit of its field."""
        found: float = self.__pydantic_private__["_si"]  # type: ignore[index]  # as self._si, ten times as fast
        return found

    @property
    def unit(self) -> str:
        """The SI unit of its field."""
        return self._unit

    def bounds(self) -> tuple[float, float]:
        """Published low and high in SI; the value itself where none is published."""
        low = self._si if self.low is None else si(self.low, self._unit)
        high = self._si if self.high is None else si(self.high, self._unit)
        return low, high


@dataclass(frozen=True)
class In:
    """Pydantic annotation: the field is a Fact whose value is read in SI `unit`.

    `sign` says what is allowed: "positive", "nonnegative"; `whole` demands an integer; `least` and
    `most` bound a ratio.
    """

    unit: str
    sign: Literal["positive", "nonnegative"] = "positive"
    whole: bool = False
    least: float = 0.0
    most: float = float("inf")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        sourced = core_schema.no_info_before_validator_function(_no_bare_number, handler(source))
        return core_schema.no_info_after_validator_function(self.read, sourced)

    def read(self, fact: Fact) -> Fact:
        """Check the value and its bounds against the unit and attach the SI number."""
        if fact.__pydantic_private__["_rule"] is self:  # type: ignore[index]  # of a table that is read again with another number changed
            return fact
        values = [("value", fact.value), ("low", fact.low), ("high", fact.high)]
        values += [(f"others[{i}]", other.value) for i, other in enumerate(fact.others)]
        numbers = {key: self._number(key, written) for key, written in values if written is not None}
        number = numbers["value"]
        low, high = numbers.get("low", number), numbers.get("high", number)
        if not low <= number <= high:
            raise ValueError(f"value = {fact.value!r} is outside low .. high = {fact.low!r} .. {fact.high!r}")
        fact._si, fact._unit, fact._rule = number, self.unit, self
        return fact

    def _number(self, key: str, written: str | float) -> float:
        try:
            number = sane(written, self.unit)
        except DataError as error:
            raise ValueError(f"{key}: {error}") from error
        if number < 0 or (self.sign == "positive" and number == 0):
            raise ValueError(f"{key} = {written!r} must be {self.sign}")
        if not self.least <= number <= self.most:
            side = f"at least {self.least:g}" if number < self.least else f"at most {self.most:g}"
            raise ValueError(f"{key} = {written!r} must be {side}")
        if self.whole and number != int(number):
            raise ValueError(f"{key} = {written!r} must be a whole number")
        return number


def _no_bare_number(raw: Any) -> Any:
    if isinstance(raw, dict | Fact):
        return raw
    raise ValueError(
        f"{raw!r} has no source; write {{ value = {raw!r}, source = \"KEY\", date = \"2026-01\", "
        'confidence = "vendor" }'
    )
