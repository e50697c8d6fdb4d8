"""Quantities as people write them, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.facts.units import _SHOWN, _UNITS, show, si

WRITTEN = [
    ("$3M", "USD", 3e6),
    ("$3 M", "USD", 3e6),
    ("3M", "USD", 3e6),
    ("3M USD", "USD", 3e6),
    ("3M$", "USD", 3e6),
    ("$20k", "USD", 2e4),
    ("20k$", "USD", 2e4),
    ("$1,250,000", "USD", 1.25e6),
    ("$2.5B", "USD", 2.5e9),
    ("3 million", "USD", 3e6),
    ("$900/h", "USD/h", 900.0),
    ("900/h", "USD/h", 900.0),
    ("$0.9k/h", "USD/h", 900.0),
    ("900 USD/h", "USD/h", 900.0),
    ("$0.07/kWh", "USD/J", 0.07 / 3.6e6),
    ("3.35 TB/s", "B/s", 3.35e12),
    ("3.35TB/s", "B/s", 3.35e12),
    ("400 Gb/s", "B/s", 50e9),
    ("18 TiB/s", "B/s", 18 * 2.0**40),
    ("96 GB", "B", 96e9),
    ("96 GiB", "B", 96 * 2.0**30),
    ("150 kW", "W", 150e3),
    ("150kW", "W", 150e3),
    ("32k", "tokens", 32768.0),
    ("32K", "tokens", 32768.0),
    ("32k tokens", "tokens", 32768.0),
    ("8192", "tokens", 8192.0),
    ("1M", "tokens", 1e6),
    ("30", "tokens/s", 30.0),
    ("30 tok/s", "tokens/s", 30.0),
    ("2.5 us", "s", 2.5e-6),
    ("2.5 µs", "s", 2.5e-6),  # micro sign
    ("2.5 μs", "s", 2.5e-6),  # Greek mu
    ("2 min", "s", 120.0),
    ("1_000", "1", 1000.0),
    ("1,000", "1", 1000.0),
    ("12,345.5", "1", 12345.5),
    ("1e3", "1", 1000.0),
    (".5", "1", 0.5),
    ("25%", "1", 0.25),
    (7, "1", 7.0),
    (0.5, "1", 0.5),
    ("2 PFLOP/s", "FLOP/s", 2e15),
    ("1979 TOP/s", "FLOP/s", 1.979e15),
    ("3.9 pJ/bit", "J/B", 3.9e-12 * 8),
    ("814 mm2", "m2", 814e-6),
    ("0.1 /cm2", "/m2", 1000.0),
    ("5 years", "years", 5.0),
    ("8%/year", "1/years", 0.08),
]


@pytest.mark.parametrize(("text", "unit", "number"), WRITTEN)
def test_written_quantity_is_understood(text: str, unit: str, number: float) -> None:
    assert si(text, unit) == pytest.approx(number, rel=1e-12)


WRONG = [
    ("5 kW", "USD", "in W, expected dollars"),
    ("80 GB", "B/s", "in B, expected B/s"),
    ("80 GX", "B", "unknown unit 'GX'"),
    ("80 gb", "B", "unknown unit 'gb'"),
    ("80", "B", "no unit"),
    (80, "W", "no unit"),
    ("1,5", "1", "not a quantity"),        # 1.5 or 15?
    ("$1,5M", "USD", "not a quantity"),
    ("1,0000", "1", "not a quantity"),
    ("1__0", "1", "not a quantity"),
    ("1.2.3", "1", "'1.2.3'"),
    ("", "USD", "not a quantity"),
    ("$", "USD", "not a quantity"),
    ("many", "1", "not a quantity"),
    ("nan", "1", "not a quantity"),
    ("inf", "USD", "not a quantity"),
    ("1e999", "1", "not finite"),
    ("9e307M", "USD", "not finite"),
    (float("inf"), "1", "not finite"),
    (float("nan"), "1", "not finite"),
    (True, "1", "truth value"),
    ("$3Q", "USD", "unknown suffix 'Q'"),
    ("$3/day", "USD/h", "unknown unit 'USD/day'"),
]


@pytest.mark.parametrize(("text", "unit", "said"), WRONG)
def test_wrong_quantity_says_what_is_right(text: str, unit: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        si(text, unit)
    assert said in str(caught.value)
    assert str(text).strip("$") in str(caught.value)


UNITS = sorted({base for base, _ in _UNITS.values()})
MAGNITUDES = st.floats(1e-18, 1e18)


def last_digit(value: float, unit: str) -> float:
    """Half of the last digit shown: four digits, or $x.xx, $x,xxx, $x.xxM, $x.xxB."""
    if unit not in ("USD", "USD/h"):
        return 6e-4 * value
    return 0.51 * next(digit for least, digit in ((1e9, 1e7), (1e6, 1e4), (1e3, 1.0), (0.0, 0.01)) if value >= least)


@given(MAGNITUDES, st.sampled_from(UNITS))
def test_what_is_shown_reads_as_what_it_was(value: float, unit: str) -> None:
    assert si(show(value, unit), unit) == pytest.approx(value, abs=last_digit(value, unit))


@given(st.integers(1, 10**14), st.sampled_from(["1", "tokens"]))
def test_whole_counts_are_shown_in_full(value: int, unit: str) -> None:
    assert si(show(value, unit), unit) == value


@given(MAGNITUDES, st.sampled_from(sorted(_UNITS)))
def test_every_unit_that_is_written_is_read(number: float, written: str) -> None:
    base, factor = _UNITS[written]
    if written or base == "1":
        assert si(f"{number!r} {written}", base) == number * factor


def test_every_shown_unit_is_known() -> None:
    for base, names in _SHOWN.items():
        assert [_UNITS[name][0] for name in names] == [base] * len(names)
