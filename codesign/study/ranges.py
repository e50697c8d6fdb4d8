"""A range of a number as people write it: "0.5x..3x", "10 USD/GB .. 40 USD/GB", "8..64"."""

import math
import re
from dataclasses import dataclass

from codesign.facts.errors import DataError
from codesign.facts.units import si
from codesign.study.parameters import Parameter

FACTOR = re.compile(r"^\s*([0-9.eE+-]+)\s*x\s*$")


@dataclass(frozen=True)
class Range:
    """Values of a number in SI, low < high."""

    low: float
    high: float


def read_range(text: str, one: Parameter) -> Range:
    """The range; a factor is of today's value. Raises DataError where it is empty, reversed, or beyond what can be."""
    low_text, dots, high_text = text.partition("..")
    said = f"--range {text!r} of {one.path}"
    if not dots or not low_text.strip() or not high_text.strip():
        raise DataError(f"{said}: expected LOW..HIGH, as 0.5x..3x or {one.shown()}..{one.shown(one.value * 2)}")
    low, high = (_end(part, one, said) for part in (low_text, high_text))
    if low > high:
        raise DataError(f"{said}: is reversed: {one.shown(low)} is above {one.shown(high)}")
    if one.whole:
        low, high = float(math.ceil(low - 1e-9)), float(math.floor(high + 1e-9))
    if low >= high:
        raise DataError(f"{said}: is empty: it needs two different values{' in whole numbers' * one.whole}")
    if low < one.least or high > one.most:
        raise DataError(f"{said}: must stay within {one.least:g} .. {one.most:g}")
    return Range(low, high)


def _end(text: str, one: Parameter, said: str) -> float:
    factor = FACTOR.match(text)
    try:
        if factor is not None:
            return float(factor[1]) * one.value
        return si(text.strip(), one.unit)
    except (DataError, ValueError) as error:
        raise DataError(f"{said}: {error}") from error


def usual_range(one: Parameter) -> Range | None:
    """Half to twice today's value, and what is published, as far as it can be; None: nothing to move."""
    low = min(one.value * 0.5, one.value if one.low is None else one.low)
    high = max(one.value * 2.0, one.value if one.high is None else one.high)
    low, high = max(low, one.least), min(high, one.most)
    if one.whole:
        low, high = float(math.ceil(low)), float(math.floor(high))
    return Range(low, high) if low < high else None
