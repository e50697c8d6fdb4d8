"""Written quantities: read once at the border into SI, written back for people.

`GB` is 1e9 bytes and `GiB` is 2**30; a bare count may carry `k`, `M` or `B` (1e3, 1e6, 1e9),
except that `k` of tokens is the binary 1024 that model cards mean by "8k context".
"""

import math
import re
from typing import Final

from codesign.facts.errors import DataError

_PREFIX: Final = {
    "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
    "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12,
}  # fmt: skip


def _family(symbol: str, base: str, prefixes: str, factor: float = 1.0) -> dict[str, tuple[str, float]]:
    """Units of one symbol under several prefixes: written -> (base unit, factor to it)."""
    names = ["", *prefixes.split()]
    return {f"{p}{symbol}": (base, _PREFIX[p] * factor) for p in names}


_UNITS: Final[dict[str, tuple[str, float]]] = {
    **_family("B", "B", "k K M G T P Ki Mi Gi Ti"),
    **_family("B/s", "B/s", "k M G T P Ki Mi Gi Ti"),
    **_family("b/s", "B/s", "k M G T", 0.125),
    **_family("FLOP/s", "FLOP/s", "M G T P"),
    **_family("OP/s", "FLOP/s", "M G T P"),
    **_family("FLOPS", "FLOP/s", "M G T P"),
    **_family("OPS", "FLOP/s", "M G T P"),
    **_family("W", "W", "k M G m"),
    **_family("s", "s", "m u µ n"),
    "min": ("s", 60.0), "h": ("s", 3600.0), "years": ("years", 1.0), "year": ("years", 1.0),
    **_family("m", "m", "m u µ n"),
    "m2": ("m2", 1.0), "cm2": ("m2", 1e-4), "mm2": ("m2", 1e-6), "um2": ("m2", 1e-12),
    "MB/mm2": ("B/m2", 1e12), "MiB/mm2": ("B/m2", 2.0**20 * 1e6), "GB/s/mm2": ("B/s/m2", 1e15),
    "/cm2": ("/m2", 1e4), "/mm2": ("/m2", 1e6), "/m2": ("/m2", 1.0),
    "J/B": ("J/B", 1.0), "pJ/B": ("J/B", 1e-12), "pJ/bit": ("J/B", 8e-12),
    "USD": ("USD", 1.0), "USD/h": ("USD/h", 1.0), "USD/GB": ("USD/B", 1e-9),
    "USD/W": ("USD/W", 1.0), "USD/kWh": ("USD/J", 1 / 3.6e6), "USD/mm2": ("USD/m2", 1e6),
    "USD/wafer": ("USD", 1.0), "USD/Mtok": ("USD/token", 1e-6),
    "%": ("1", 0.01), "x": ("1", 1.0), "1": ("1", 1.0), "": ("1", 1.0),
    "chips": ("1", 1.0), "racks": ("1", 1.0), "users": ("1", 1.0), "layers": ("1", 1.0),
    "tokens": ("tokens", 1.0), "tok": ("tokens", 1.0),
    "tokens/s": ("tokens/s", 1.0), "tok/s": ("tokens/s", 1.0),
    "requests/s": ("requests/s", 1.0), "req/s": ("requests/s", 1.0),
    "%/year": ("1/years", 0.01), "/year": ("1/years", 1.0), "1/years": ("1/years", 1.0),
    **{unit: (unit, 1.0) for unit in ("USD/B", "USD/J", "USD/m2", "USD/token", "B/m2", "B/s/m2")},
}  # fmt: skip

# commas part thousands only: "1,5" is no number here, since half the world means 1.5 by it
_NUMBER: Final = r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+|\d+(?:_\d+)*)(?![\d,_])(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_WRITTEN: Final = re.compile(rf"^\s*(\$?)\s*({_NUMBER})\s*(.*?)\s*$")
_COUNT_SUFFIX: Final = {"k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "B": 1e9, "b": 1e9,
                        "thousand": 1e3, "million": 1e6, "billion": 1e9}  # fmt: skip
_BARE_UNIT: Final = {"USD": "USD", "USD/h": "USD/h", "tokens": "tokens", "tokens/s": "tokens/s",
                     "requests/s": "requests/s", "1": "1"}


_EXAMPLES: Final = {
    "USD": "$3M, 20k$ or 9250 USD", "USD/h": "$900/h or 1.30 USD/h", "tokens": "32k or 8192 tokens",
    "tokens/s": "30 tokens/s", "1": "8, 1.25 or 25%",
}  # fmt: skip


def known_units(unit: str) -> str:
    """How people write a quantity of `unit`, for messages: examples, or all its units."""
    if unit in _EXAMPLES:
        return f"as {_EXAMPLES[unit]}"
    return "in " + ", ".join(sorted(name for name, (base, _) in _UNITS.items() if base == unit and name))


def si(text: str | float, unit: str) -> float:
    """Read a written quantity as a number of the SI `unit`.

    A bare number is taken in `unit` itself where that is a count, a ratio, USD or tokens.
    Raises DataError on an unknown or different unit and on numbers that are not finite.

    >>> si("3.35 TB/s", "B/s")
    3350000000000.0
    >>> si("$3M", "USD")
    3000000.0
    >>> si("32k", "tokens")
    32768.0
    >>> round(si("2.5 us", "s") * 1e9)
    2500
    """
    if isinstance(text, bool):
        raise DataError(f"{text!r} is a truth value, expected a quantity in {unit}")
    if isinstance(text, int | float):
        return _bare(_float(text), unit, _cut(text))
    match = _WRITTEN.match(text)
    if match is None:
        raise DataError(f"{_cut(text)} is not a quantity; expected {_called(unit)}, {known_units(unit)}")
    dollar, digits, written = match.groups()
    number, written = float(digits.replace("_", "").replace(",", "")), written.replace("μ", "µ")
    if dollar or "$" in written:
        number, written = _dollars(number, written if dollar else written.replace("$", "", 1), text)
    number = _scale(number, written, unit, text)
    if not math.isfinite(number):
        raise DataError(f"{_cut(text)} is not finite")
    return number


# beyond these no question about hardware means anything, and numbers leave what programs can hold
_LARGEST: Final = {
    "USD": 1e15, "USD/h": 1e15, "W": 1e15, "tokens": 1e9, "tokens/s": 1e12, "requests/s": 1e12, "1": 1e12,
    "s": 1e12, "years": 1e4, "1/years": 1e4,
}  # fmt: skip
_RANGE: Final = 1e24  # of all others, and how small they can be


def sane(text: object, unit: str) -> float:
    """As `si`, and within what a question can mean: 1e-24 .. 1e24 of the SI unit, money and counts closer.

    Raises DataError as `si`, on another kind of value than a text or a number, and beyond that range.

    >>> sane("150 kW", "W")
    150000.0
    """
    if not isinstance(text, str | int | float):
        raise DataError(f"expected a quantity in {_called(unit)}, {known_units(unit)}")
    number, most = si(text, unit), _LARGEST.get(unit, _RANGE)
    if not (number == 0 or 1 / _RANGE <= abs(number) <= most):
        side = f"at most {most:g}" if abs(number) > most else f"at least {1 / _RANGE:g}"
        raise DataError(f"{_cut(text)} is out of range: expected {side}{'' if unit == '1' else ' ' + _called(unit)}")
    return number


def _cut(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 120 else f"{shown[:120]}..."


def _called(unit: str) -> str:
    return {"USD": "dollars", "USD/h": "dollars per hour", "1": "a plain number"}.get(unit, unit)


def _dollars(number: float, written: str, shown: str) -> tuple[float, str]:
    """A quantity with `$`: "$3M", "20k$", "$900/h", "$0.07/kWh"."""
    suffix, _, per = written.partition("/")
    suffix = suffix.strip()
    if suffix in _COUNT_SUFFIX:
        number *= _COUNT_SUFFIX[suffix]
    elif suffix:
        raise DataError(f"{_cut(shown)}: unknown suffix {_cut(suffix)}, known: k, M, B")
    return number, f"USD/{per.strip()}" if per else "USD"


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number beyond every float
        return math.inf


def _bare(number: float, unit: str, shown: str) -> float:
    if not math.isfinite(number):
        raise DataError(f"{shown} is not finite")
    if unit not in _BARE_UNIT:
        raise DataError(f"{shown} has no unit, expected {_called(unit)}, {known_units(unit)}")
    return number


def _scale(number: float, written: str, unit: str, shown: str) -> float:
    if not written:
        return _bare(number, unit, _cut(shown))
    head, _, tail = written.partition(" ")
    if unit == "tokens" and head in ("k", "K"):
        return number * 1024.0
    if unit in _BARE_UNIT and head in _COUNT_SUFFIX and tail in ("", unit):
        return number * _COUNT_SUFFIX[head]
    if unit in ("USD", "USD/h") and head[:1] in _COUNT_SUFFIX and head[1:] == unit.removeprefix("USD"):
        return number * _COUNT_SUFFIX[head[0]]
    if unit == "USD/h" and written == "/h":
        return number
    if written not in _UNITS:
        raise DataError(f"{_cut(shown)}: unknown unit {_cut(written)}, expected {_called(unit)}, {known_units(unit)}")
    base, factor = _UNITS[written]
    if base != unit:
        raise DataError(f"{_cut(shown)} is in {_called(base)}, expected {_called(unit)}, {known_units(unit)}")
    return number * factor


_SHOWN: Final = {
    "B": ("TB", "GB", "MB", "kB", "B"), "B/s": ("PB/s", "TB/s", "GB/s", "MB/s", "B/s"),
    "FLOP/s": ("PFLOP/s", "TFLOP/s", "GFLOP/s", "FLOP/s"), "W": ("MW", "kW", "W"),
    "s": ("s", "ms", "us", "ns"), "m": ("mm", "um"), "m2": ("mm2", "um2"), "/m2": ("/cm2",),
    "J/B": ("pJ/bit",), "USD/B": ("USD/GB",), "USD/J": ("USD/kWh",), "USD/token": ("USD/Mtok",),
    "USD/m2": ("USD/mm2",), "B/m2": ("MB/mm2",), "B/s/m2": ("GB/s/mm2",), "1/years": ("%/year",),
}  # fmt: skip


def show(value: float, unit: str) -> str:
    """Write an SI number for people, in the largest unit that leaves at least 1 before the point.

    >>> show(3.35e12, "B/s")
    '3.35 TB/s'
    >>> show(2.9952e6, "USD")
    '$3.00M'
    """
    if unit in ("USD", "USD/h"):
        return _show_dollars(value) + ("/h" if unit == "USD/h" else "")
    choices = _SHOWN.get(unit)
    if choices is None:
        number = f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,.6g}"
        return number + ("" if unit == "1" else f" {unit}")
    for name in choices:
        scaled = value / _UNITS[name][1]
        if abs(scaled) >= 1 or name == choices[-1]:
            return f"{scaled:.4g} {name}" if abs(scaled) < 9999.5 else f"{scaled:,.0f} {name}"
    raise AssertionError("the last choice always returns")


def _show_dollars(value: float) -> str:
    for factor, suffix in ((1e9, "B"), (1e6, "M")):
        if abs(value) >= factor:
            return f"${value / factor:,.2f}{suffix}"
    return f"${value:,.0f}" if abs(value) >= 1000 else f"${value:,.2f}"
