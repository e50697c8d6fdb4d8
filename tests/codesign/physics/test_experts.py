"""Experts touched and read: against enumeration, seeded simulation, and lines against their curve."""

from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.physics.experts import busiest, line_below, lines_below, rises, saturation, touched

repeatable = settings(derandomize=True, deadline=None, max_examples=150)

SHAPES = [(256, 8), (384, 8), (160, 8), (128, 8), (128, 4), (128, 1), (32, 4), (16, 1), (8, 2)]  # of the catalogue
CURVES = [(e, k, g) for e, k in SHAPES for g in (1, 2, 4, 8, 16, 32, 64, 128) if e % g == 0]
SMALL = [curve for curve in CURVES if saturation(*curve[:2]) < 1000]
TINY = 1e-9  # float noise on counts up to 384


@pytest.mark.parametrize(
    ("experts", "top_k", "batch"), [(4, 2, 1), (4, 2, 2), (4, 2, 3), (5, 1, 3), (6, 3, 2), (3, 3, 2)]
)
def test_touched_is_the_mean_over_all_routings(experts, top_k, batch):
    choices = list(combinations(range(experts), top_k))
    distinct = [len(set().union(*routing)) for routing in product(choices, repeat=batch)]
    assert touched(experts, top_k, batch) == pytest.approx(np.mean(distinct), rel=1e-12)


def simulated(experts, top_k, groups, batch, trials=1000):
    """Mean number of experts that the busiest group reads; each token takes top_k distinct experts."""
    random = np.random.default_rng(20250714)
    hit = np.zeros((trials, experts), dtype=bool)
    for _ in range(batch):
        chosen = np.argpartition(random.random((trials, experts)), top_k - 1, axis=1)[:, :top_k]
        hit[np.arange(trials)[:, None], chosen] = True
    return hit.reshape(trials, groups, -1).sum(axis=2).max(axis=1).mean()


@pytest.mark.parametrize("batch", [1, 2, 8, 32])
@pytest.mark.parametrize(
    ("experts", "top_k", "groups"),
    [(256, 8, 8), (256, 8, 64), (160, 8, 16), (128, 4, 4), (128, 1, 8), (32, 4, 8), (16, 1, 2), (8, 2, 8), (8, 2, 2)],
)
def test_busiest_is_within_10_percent_of_simulation(experts, top_k, groups, batch):
    """Independent experts and groups are an approximation; 1000 trials leave about 1 % of noise."""
    assert busiest(experts, top_k, groups, batch) == pytest.approx(
        simulated(experts, top_k, groups, batch), rel=0.10
    )


def test_one_token_with_8_experts_on_64_devices_still_costs_one_device_a_whole_expert():
    assert touched(256, 8, 1) / 64 == 0.125
    assert 1.0 <= busiest(256, 8, 64, 1) < 2.0


@pytest.mark.parametrize(("experts", "top_k", "groups"), CURVES)
def test_busiest_stays_between_its_bounds_and_rises(experts, top_k, groups):
    batch = np.arange(1, saturation(experts, top_k) + 20)
    read, mean = busiest(experts, top_k, groups, batch), touched(experts, top_k, batch) / groups
    least = mean if groups == 1 else np.ceil(mean - TINY)
    assert np.all(read >= least - TINY)
    assert np.all(read <= experts / groups)
    assert np.all(np.diff(read) >= 0)
    assert busiest(experts, top_k, groups, 0) == 0.0


@pytest.mark.parametrize(("experts", "top_k"), SHAPES)
def test_more_groups_never_read_more_each(experts, top_k):
    batch = np.arange(1, saturation(experts, top_k) + 2)
    for few, many in ((g, 2 * g) for g in (1, 2, 4, 8, 16, 32) if experts % (2 * g) == 0):
        assert np.all(busiest(experts, top_k, many, batch) <= busiest(experts, top_k, few, batch) + TINY)


@pytest.mark.parametrize(("experts", "top_k"), [*SHAPES, (8, 8), (2, 1)])
def test_saturation_is_the_first_batch_that_touches_all(experts, top_k):
    """All: the share of experts still missing is at most 1e-9."""
    last = saturation(experts, top_k)
    assert 1 - touched(experts, top_k, last) / experts <= 1e-9 * 1.001
    if last > 1:
        assert 1 - touched(experts, top_k, last - 1) / experts > 1e-9 * 0.999
    assert list(busiest(experts, top_k, 2, np.array([last, last + 1, 100 * last]))) == [experts / 2] * 3


@pytest.mark.parametrize(("experts", "top_k", "groups"), CURVES)
def test_rises_are_all_batches_where_the_share_of_a_user_grows(experts, top_k, groups):
    """Seen one batch at a time; behind saturation there is none."""
    share = [float(busiest(experts, top_k, groups, b)) / b for b in range(1, saturation(experts, top_k) + 50)]
    grows = [b for b, (here, following) in enumerate(pairwise(share), 1) if following > here * (1 + 1e-12)]
    assert list(rises(experts, top_k, groups)) == grows


def test_rises_exist():
    """Batches 130 and 131 of gpt-oss-120b on two groups; ceil(touched / groups) jumps there."""
    assert rises(128, 4, 2) == (130,)
    assert rises(16, 1, 2) == (21, 32)
    assert rises(256, 8, 64) == ()


curves = st.sampled_from(SMALL)


@st.composite
def ranges(draw):
    experts, top_k, groups = draw(curves)
    low = draw(st.integers(1, saturation(experts, top_k) + 30))
    return (experts, top_k, groups), low, low + draw(st.integers(0, 1500))


@repeatable
@given(ranges(), st.sampled_from(["low", "high"]))
def test_line_below_is_below_and_exact_at_its_anchor(case, anchor):
    curve, low, high = case
    intercept, slope = line_below(*curve, low, high, anchor=anchor)
    batch = np.arange(low, high + 1)
    read, at = busiest(*curve, batch), low if anchor == "low" else high
    assert np.all(intercept + slope * batch <= read + TINY)
    assert intercept + slope * at == pytest.approx(float(busiest(*curve, at)), abs=TINY)
    assert slope >= 0


@repeatable
@given(ranges())
def test_line_below_anchored_low_is_as_steep_as_can_be(case):
    """One part in a thousand steeper and some batch lies under the line."""
    curve, low, high = case
    intercept, slope = line_below(*curve, low, high, anchor="low")
    if slope > 1e-6:
        batch = np.arange(low, high + 1)
        assert np.any(intercept + slope * batch + 0.001 * slope * (batch - low) > busiest(*curve, batch) + TINY)


@repeatable
@given(curves, st.lists(st.integers(1, 3000), min_size=1, max_size=6))
def test_lines_below_are_below_from_batch_1_and_exact_at_high(curve, highs):
    high = np.array(highs)
    intercepts, slopes = lines_below(*curve, high)
    for end, intercept, slope in zip(highs, intercepts, slopes, strict=True):
        batch = np.arange(1, end + 1)
        assert np.all(intercept + slope * batch <= busiest(*curve, batch) + TINY)
        assert intercept + slope * end == pytest.approx(float(busiest(*curve, end)), abs=1e-8)


@repeatable
@given(curves, st.integers(2, 3000))
def test_lines_below_are_as_flat_as_can_be(curve, high):
    """The steepest secant that ends at `high`: also beyond saturation."""
    _, slope = lines_below(*curve, np.array([high]))
    batch = np.arange(1, high)
    secants = (busiest(*curve, high) - busiest(*curve, batch)) / (high - batch)
    assert slope[0] == pytest.approx(secants.max(), abs=1e-12)


def test_line_below_refuses_an_empty_range():
    with pytest.raises(ValueError, match="low = 5 must not exceed high = 4"):
        line_below(256, 8, 8, 5, 4, anchor="low")
