"""Uncertain numbers: distributions by their known shares, draws that repeat, groups that move together, bad files."""

from pathlib import Path

import numpy as np
import pytest

from codesign.facts.errors import DataError
from codesign.study.parameters import parameters
from codesign.study.uncertainty import Uncertain, model_error, published, read_uncertainty, scenarios
from codesign.system import offers as supply
from codesign.system.mode import settled
from tests.cases.command import load
from tests.cases.query_strategies import query

ASKED = query(model="llama-3.1-70b", context=8192, allow={"chips": ["h100-sxm", "gh100"]},
              limits={"budget": 2e6, "user_speed": 20.0})  # fmt: skip
PRICE = "chips.h100-sxm.price"


def offers():
    return supply.supply(load(), settled(load(), ASKED)).offers


def read(tmp_path: Path, text: str) -> tuple[Uncertain, ...]:
    path = tmp_path / "doubt.toml"
    path.write_text("schema = 1\n" + text, encoding="utf-8")
    return read_uncertainty(path, load(), ASKED, offers())


@pytest.mark.parametrize(
    ("distribution", "share", "value"),
    [("uniform", 0.25, 15.0), ("triangular", 0.0, 10.0), ("triangular", 0.2, 14.0), ("triangular", 1.0, 30.0),
     ("triangular", 0.8, 30 - (0.2 * 20 * 16) ** 0.5), ("lognormal", 0.05, 10.0), ("lognormal", 0.5, 300**0.5),
     ("lognormal", 0.95, 30.0), ("loguniform", 0.0, 10.0), ("loguniform", 0.5, 300**0.5)],
)  # fmt: skip
def test_quantiles(distribution, share, value):
    assert Uncertain("x", 10.0, 14.0, 30.0, distribution, 0).at(share) == pytest.approx(value)


def test_a_whole_number_stays_whole_and_a_point_stays_a_point():
    assert Uncertain("x", 2.0, 3.0, 6.0, "uniform", 0, whole=True).at(0.3) == 3.0
    assert Uncertain("x", 5.0, 5.0, 5.0, "triangular", 0).at(0.7) == 5.0


def test_draws_repeat_and_longer_runs_begin_alike():
    numbers = published(load(), ASKED, offers())
    ten, twelve = scenarios(numbers, 10, 7), scenarios(numbers, 12, 7)
    assert twelve[:10] == ten == scenarios(numbers, 10, 7) != scenarios(numbers, 10, 8)


def test_published_ranges_of_what_is_on_offer():
    numbers = {x.path: x for x in published(load(), ASKED, offers())}
    known = {p.path: p for p in parameters(load(), ASKED)}
    assert PRICE in numbers and "memory.hbm3.price" in numbers and "prices.default.facility" in numbers
    assert not any(path.startswith(("chips.mi300x", "dies.gb202", "gpus.")) for path in numbers)
    for path, x in numbers.items():
        assert (x.low, x.value, x.high) == (known[path].low, known[path].value, known[path].high)
        assert x.low < x.high and x.distribution == "triangular"
    assert len({x.draw for x in numbers.values()}) == len(numbers)
    for scenario in scenarios(numbers.values(), 20, 0):
        assert all(numbers[path].low <= value <= numbers[path].high for path, value in scenario.changes.items())


def test_a_group_rises_and_falls_together(tmp_path):
    numbers = read(tmp_path, """
        [[uncertain]]
        paths = ["memory.hbm3.price", "chips.h100-sxm.price"]
        factor = [0.5, 2.0]
        [[uncertain]]
        paths = ["step_time.*"]
        distribution = "lognormal"
        factor = [0.67, 1.5]
        shared = false
        [[uncertain]]
        paths = ["limits.budget"]
        low = "$1M"
        high = "$3M"
        """)  # fmt: skip
    today = {p.path: p.value for p in parameters(load(), ASKED)}
    for scenario in scenarios(numbers, 30, 3):
        factors = [scenario.changes[path] / today[path] for path in ("memory.hbm3.price", PRICE)]
        assert factors[0] == pytest.approx(factors[1]) and 0.5 <= factors[0] <= 2.0
        assert set(scenario.slow) == {"h100-sxm", "gh100"} and scenario.slow["h100-sxm"] != scenario.slow["gh100"]
        assert 1e6 <= scenario.changes["limits.budget"] <= 3e6
    slow = np.array([s.slow["gh100"] for s in scenarios(numbers, 2000, 0)])
    assert [np.mean(slow < 0.67), np.mean(slow > 1.5)] == pytest.approx([0.05, 0.05], abs=0.02)


def test_model_error_is_each_chips_own_and_as_often_short_as_long():
    numbers = model_error(offers(), 1.5)
    assert {x.path for x in numbers} == {"step_time.h100-sxm", "step_time.gh100"}
    drawn = np.array([[s.slow["h100-sxm"], s.slow["gh100"]] for s in scenarios(numbers, 2000, 0)])
    assert drawn.min() >= 1 / 1.5 and drawn.max() <= 1.5
    assert np.mean(drawn > 1) == pytest.approx(0.5, abs=0.03)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.1


def test_published_range_of_a_file_and_stars(tmp_path):
    numbers = read(tmp_path, '[[uncertain]]\npaths = ["memory.hbm3.price", "dies.gh100.m*"]\nfactor = [0.9, 1.1]')
    assert {x.path for x in numbers} >= {"memory.hbm3.price", "dies.gh100.margin"}
    (price,) = read(tmp_path, f'[[uncertain]]\npaths = ["{PRICE}"]')
    known = {p.path: p for p in parameters(load(), ASKED)}[PRICE]
    assert (price.low, price.high) == (known.low, known.high)


BAD = {
    '[[uncertain]]\npaths = ["memory.hbm3.prize"]\nfactor = [1, 2]': "uncertain.0: 'memory.hbm3.prize': .*price",
    '[[uncertain]]\npaths = ["memory.hbm9.price"]\nfactor = [1, 2]': "hbm9",
    '[[uncertain]]\npaths = ["memory.*.prize"]\nfactor = [1, 2]': "no number of the catalogue has such a path",
    '[[uncertain]]\npaths = ["step_time.h100"]\nfactor = [1, 2]': "is called so; known: h100-sxm, gh100",
    '[[uncertain]]\npaths = ["step_time.gh100"]\nfactor = [0, 2]': "must be above 0",
    '[[uncertain]]\npaths = ["step_time.gh100"]': "no low and high are published",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nfactor = [2, 1]': "the low end must not be above the high end",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nfactor = [-1, 1]': "must be above 0",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nlow = "20k$"': "give both low and high, or neither",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nlow = "20k$"\nhigh = "3 kW"': "'3 kW' is in W, expected dollars",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nlow = "1$"\nhigh = "2$"\nfactor = [1, 2]': "either factor, or low and high",
    f'[[uncertain]]\npaths = ["{PRICE}", "{PRICE}"]\nfactor = [1, 2]': "chips.h100-sxm.price is uncertain twice",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nfactor = [1.1, 2]\ndistribution = "triangular"': "between the ends",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nfactor = [1, 2]\ndistribution = "normal"': "'triangular', 'loguniform' or",
    f'[[uncertain]]\npaths = ["{PRICE}"]\nfactors = [1, 2]': "factors.*unknown key; known: paths, distribution, factor",
    '[[uncertain]]\npaths = ["prices.default.utilisation"]\nfactor = [0.5, 2]': "at most 1",
    '[[uncertain]]\npaths = ["context", "limits.power"]\nfactor = [0.5, 2]': "'limits.power': the query sets no such",
    'uncertain = 3': "uncertain",
    '': "uncertain",
    'x = [': "not readable as TOML",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_wrong_file_is_told(tmp_path, text):
    with pytest.raises(DataError, match=BAD[text]) as told:
        read(tmp_path, text)
    assert "doubt.toml" in str(told.value)


def test_all_faults_of_a_file_at_once(tmp_path):
    wrong = [text for text in BAD if text.startswith("[[uncertain]]\npaths = [\"step_time")]
    with pytest.raises(DataError) as told:
        read(tmp_path, "\n".join(wrong))
    assert [line.split(": ")[1] for line in str(told.value).splitlines()] == [f"uncertain.{i}" for i in range(3)]


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match=r"--uncertainty .*none.toml: no such file; or use --uncertainty catalogue"):
        read_uncertainty(tmp_path / "none.toml", load(), ASKED, offers())
