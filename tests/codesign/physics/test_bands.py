"""Error bands: quantiles by engine, honest on groups that they do not know, and the order of layouts."""

from dataclasses import replace

import numpy as np
import pytest

from codesign.facts.records import AchievedRecord
from codesign.physics import bands
from codesign.physics.layout import Layout
from codesign.physics.measurements import LeftOut
from tests.cases.command import load
from tests.cases.measured_tables import runs_of, write_table


def left_out(shifts: dict[str, float], spread: float = 0.1, count: int = 200) -> LeftOut:
    """Groups of runs whose ratios are log-normal around a shift of their own."""
    random = np.random.default_rng(3)
    groups = tuple(name for name in shifts for _ in range(count))
    ratios = np.exp(np.concatenate([shift + spread * random.standard_normal(count) for shift in shifts.values()]))
    return LeftOut(groups, ratios, ratios)


def test_bands_are_quantiles_by_engine_and_of_all() -> None:
    ratios = np.concatenate([np.linspace(0.5, 1.5, 101), np.linspace(2.0, 3.0, 11), [np.nan]])
    found = bands.bands(ratios, ["vllm"] * 101 + ["sglang"] * 12)
    assert set(found) == {"all", "vllm"}, "eleven runs are too few for a band"
    assert found["vllm"] == pytest.approx((0.6, 1.4))
    assert found["all"] == pytest.approx(tuple(np.nanquantile(ratios, [0.1, 0.9])))
    assert bands.band_of(found, "vllm") == found["vllm"] and bands.band_of(found, "sglang") == found["all"]


def test_coverage_of_like_groups_is_four_in_five() -> None:
    left = left_out({"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0})
    found = bands.coverage({"chip": left}, ["vllm"] * len(left.groups))["chip"]
    assert found["pooled"] == pytest.approx(0.8, abs=0.04)
    assert found["low"] <= found["pooled"] <= found["high"]


def test_coverage_knows_nothing_of_its_own_group() -> None:
    """A group far from the others falls outside their band, however many runs it has."""
    left = left_out({"a": 0.0, "b": 0.0, "far": 1.0})
    found = bands.coverage({"chip": left}, ["vllm"] * len(left.groups), first=True)["chip"]
    assert found["pooled"] < 0.7 and found["low"] < 0.3 <= 0.75 < found["high"]


def test_ordering_counts_pairs_that_are_clearly_apart(tmp_path) -> None:
    (run, *_) = runs_of(write_table(tmp_path / "runs.csv", only=slice(0, 1)))
    small, large = (replace(run, deployment=Layout(t), tpot_s=s) for t, s in ((4, 0.020), (8, 0.010)))
    near, other = replace(small, deployment=Layout(2), tpot_s=0.0205), replace(large, concurrency=999.0)
    runs = [small, large, near, other, replace(large)]
    assert bands.ordering(runs, np.array([2.0, 1.0, 2.0, 1.0, 1.0])) == (4, 4)
    assert bands.ordering(runs, np.array([1.0, 2.0, 2.5, 1.0, 2.0])) == (2, 4)


def test_shipped_bands_are_honest() -> None:
    """On the fit set: 70 to 90 % of left-out runs inside, nine of ten layout pairs in order, errors within limits."""
    fit = load().get(AchievedRecord, "default").fit
    for kind in ("tpot", "ttft"):
        for split in ("mix", "chip", "model"):
            assert 0.7 <= fit.coverage[kind][split]["pooled"] <= 0.9, (kind, split)
    for right, total in fit.ordering.values():
        assert total > 300 and right >= 0.9 * total
    assert fit.errors["mix"]["tpot_median"] <= 0.12 and fit.errors["mix"]["tpot_mean"] <= 0.18
    assert fit.errors["mix"]["ttft_median"] <= 0.30
    for split in ("chip", "model"):
        assert fit.errors[split]["tpot_median"] < 0.17 and fit.errors[split]["tpot_mean"] < 0.27
