"""Every number by its path: what there is, that it reads back as the same double, and what is refused."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.physics import chips
from codesign.study.parameters import changed, parameter, parameters
from tests.cases.command import load
from tests.cases.query_strategies import query

ASKED = query(model="llama-3.1-8b", context=8192, limits={"budget": 1e6, "chips": 64})
EVERY = {p.path: p for p in parameters(load(), ASKED)}


def test_every_number_is_found_by_its_path_and_written_back_as_it_is():
    assert len(EVERY) > 800
    for path, one in EVERY.items():
        assert parameter(load(), ASKED, path) == one
        assert one.least <= one.value <= one.most
        assert one.low is None or one.low <= one.value <= one.high
        catalog, asked = changed(load(), ASKED, {path: one.value})
        assert parameter(catalog, asked, path).value == one.value


def test_numbers_of_the_query_are_those_that_it_sets():
    assert {p.path for p in EVERY.values() if p.asked} == {"context", "spare_servers", "limits.budget", "limits.chips"}
    assert EVERY["limits.chips"].whole
    assert not EVERY["limits.budget"].whole


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.floats(1e-12, 1e-6))
def test_any_double_is_kept_and_assumed_again_from_its_text(price: float):
    catalog, asked = changed(load(), ASKED, {"memory.hbm4.price": price})
    assert catalog.fact("memory.hbm4.price").si == price
    again = load(None, asked.assumptions())
    assert again.fact("memory.hbm4.price").si == price


def test_a_change_reaches_the_chips_and_leaves_the_rest():
    catalog, asked = changed(load(), ASKED, {"chips.h100-sxm.price": 1.0, "limits.budget": 5e5})
    assert asked.limits.budget == 5e5
    prices = {c.name: c.price_usd for c in chips.all_chips(catalog, "catalogue")}
    before = {c.name: c.price_usd for c in chips.all_chips(load(), "catalogue")}
    assert prices["h100-sxm"] == 1.0
    assert {k: v for k, v in prices.items() if k != "h100-sxm"} == {k: v for k, v in before.items() if k != "h100-sxm"}
    assert catalog.digest() != load().digest()
    assert catalog.assumed == {"chips.h100-sxm.price": "1.0 USD"}


def test_the_context_keeps_the_proportion_of_input_and_output():
    served = query(model="llama-3.1-8b", context=8192, mode="achieved", serving={"input": 6144, "output": 2048})
    _, longer = changed(load(), served, {"context": 16384})
    assert (longer.context, longer.input, longer.output) == (16384, 12288, 4096)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("memory.hbm4.prize", "has no number 'prize'; did you mean price?"),
        ("budget", "did you mean limits.budget?"),
        ("limits.bugdet", "did you mean limits.budget"),
        ("memory.hbm9.price", "did you mean hbm4"),
        ("limits.users", "the query sets no such number; it sets: context"),
        ("studies.kitsune.x", "no system rests on it"),
    ],
)
def test_unknown_paths_are_told_with_near_names(path: str, says: str):
    with pytest.raises(DataError, match=re.escape(says)):
        parameter(load(), ASKED, path)


def test_all_faults_of_a_change_are_told_at_once():
    changes = {"prices.default.pue": 0.5, "limits.budget": -1.0, "context": 1.5, "links.nvlink5.hob": 1.0}
    with pytest.raises(DataError) as told:
        changed(load(), ASKED, changes)
    lines = str(told.value).splitlines()
    assert len(lines) == 4
    for line, words in zip(lines, ("at least 1", "greater than 0", "whole number", "did you mean hop"), strict=True):
        assert words in line
