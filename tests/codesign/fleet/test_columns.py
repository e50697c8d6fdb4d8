"""Columns say what single predictions say, and what is left out is dominated."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import AuditError
from codesign.fleet.audit import fill
from codesign.fleet.columns import Column, dominates, undominated
from codesign.fleet.prepared import Prepared, prepare
from codesign.fleet.replica import serves
from codesign.physics.layout import Layout
from codesign.system.predict import predict
from tests.cases.fleet_plans import ONE, SMALL, catalog, plan, solved

PLAN = {"workloads__chat__share": 0.9}


def prepared() -> Prepared:
    return solved(SMALL, **PLAN).prepared


def test_every_phase_and_both_speeds_have_columns() -> None:
    seen = {(c.demand, c.phase, c.meets) for c in prepared().columns}
    assert {(0, phase, True) for phase in ("both", "prefill", "decode")} <= seen
    assert (0, "both", False) in seen
    assert {meets for demand, _, meets in seen if demand == 1} == {True}  # no limits: nothing to miss


def test_columns_agree_with_the_formulas_for_one_deployment() -> None:
    p = prepared()
    for c in p.columns:
        of = p.demands[c.demand]
        found = serves(of, p.models[of.workload], p.supplies[of.workload], p.kinds.of(c.chip), c.phase, c.layout,
                       c.batch, within=c.meets)  # fmt: skip
        assert found.rate == pytest.approx(c.rate, rel=1e-9)
        assert found.cap == pytest.approx(c.cap, rel=1e-9)


def test_columns_agree_with_predict() -> None:
    """A closed loop: users / (first token + the other tokens) of `codesign predict`, batch within the limits."""
    p, seen = prepared(), 0
    for c in p.columns:
        if c.phase != "both":
            continue
        of, d = p.demands[c.demand], c.layout
        limits = of.query.limits

        def ask(batch: int, c: Column = c, d: Layout = d) -> tuple[float, float]:
            of = p.demands[c.demand]
            found = predict(catalog(), of.query.model, c.chip, d, users=batch * d.pipeline, prompt=of.length.input,
                            output=of.length.output, engine="vllm", release="")  # fmt: skip
            assert found.ttft_s is not None
            return found.tpot_s, found.ttft_s

        tpot, ttft = ask(c.batch)
        assert c.rate == pytest.approx(c.batch * d.pipeline / (ttft + (of.length.output - 1) * tpot), rel=1e-9)
        if c.meets and limits.user_speed is not None and limits.ttft is not None:
            assert tpot * limits.user_speed <= 1 + 1e-9 and ttft <= limits.ttft * (1 + 1e-9)
            seen += 1
    assert seen >= 2


@pytest.mark.slow
def test_no_batch_within_the_limits_is_larger_and_better() -> None:
    """The largest batch that the formulas for one deployment allow serves no more than the column's."""
    p = prepared()
    first = {c.chip: c for c in reversed(p.columns) if c.demand == 0 and c.phase == "both" and c.meets}
    assert set(first) == {"h100-sxm", "b200-sxm"}
    for c in first.values():
        most = max(b for b in range(1, 1025) if _runs(p, c, b))
        assert c.batch <= most < 1024  # the limits, not the engine's most users, end it
        of = p.demands[c.demand]
        found = serves(of, p.models[of.workload], p.supplies[of.workload], p.kinds.of(c.chip), c.phase, c.layout, most,
                       within=True)  # fmt: skip
        assert found.rate <= c.rate * (1 + 1e-9)


def _runs(p: Prepared, c: Column, batch: int) -> bool:
    of = p.demands[c.demand]
    try:
        serves(of, p.models[of.workload], p.supplies[of.workload], p.kinds.of(c.chip), c.phase, c.layout, batch,
               within=c.meets)  # fmt: skip
    except AuditError:
        return False
    return True


def test_none_of_the_columns_dominates_another() -> None:
    groups: dict[tuple[int, str, str], list[Column]] = {}
    for c in prepared().columns:
        groups.setdefault((c.demand, c.chip, c.phase), []).append(c)
    pairs = [pair for group in groups.values() for pair in itertools.permutations(group, 2)]
    assert pairs and not any(dominates(a, b) for a, b in pairs)


@st.composite
def columns(draw: st.DrawFn) -> list[Column]:
    def one() -> Column:
        size = draw(st.sampled_from([1, 2, 4, 8]))
        return Column(0, "h100-sxm", "both", Layout(1), draw(st.integers(1, 9)), draw(st.integers(1, 40)) / 4,
                      draw(st.integers(1, 4)), size, draw(st.booleans()), 1.0)  # fmt: skip

    return [one() for _ in range(draw(st.integers(2, 5)))]


def _most(found: list[Column], chips: int, *, strictly: bool) -> float:
    """Most requests/s on so many chips in servers of 8: sizes divide 8, so chips that suffice can be placed."""
    best = [0.0] * (chips + 1)
    for here in range(1, chips + 1):
        for c in found:
            if c.chips <= here and (c.meets or not strictly):
                best[here] = max(best[here], best[here - c.chips] + c.rate)
    return best[chips]


@given(columns())
@settings(derandomize=True, deadline=None, max_examples=200)
def test_what_is_left_out_is_never_missed(found: list[Column]) -> None:
    """With and without the dominated columns the same servers serve the same most requests/s."""
    kept = undominated(found)
    for chips, strictly in itertools.product((8, 16, 32), (False, True)):
        assert _most(kept, chips, strictly=strictly) == pytest.approx(_most(found, chips, strictly=strictly))


def test_a_column_of_another_demand_chip_or_phase_dominates_nothing() -> None:
    c = next(c for c in prepared().columns if c.phase == "both")
    worse = [replace(c, rate=c.rate / 2, demand=5), replace(c, rate=c.rate / 2, chip="b200-sxm" if c.chip == "h100-sxm"
             else "h100-sxm"), replace(c, rate=c.rate / 2, phase="decode")]  # fmt: skip
    assert len(undominated([c, *worse])) == 4
    assert undominated([c, replace(c, rate=c.rate / 2)]) == [c]


def test_the_plan_decides_which_phases_there_are() -> None:
    for phases, seen in (("aggregated", {"both"}), ("disaggregated", {"prefill", "decode"})):
        p = prepare(catalog(), plan(ONE, workloads__chat__phases=phases))
        assert {c.phase for c in p.columns} == seen


@pytest.mark.parametrize(
    ("servers", "parcels", "fits"),
    [
        (1, {8: 1}, True), (1, {8: 1, 1: 1}, False), (2, {4: 3, 2: 2}, True), (2, {4: 3, 2: 3}, False),
        (3, {6: 2, 2: 6}, True), (3, {6: 2, 2: 7}, False), (0, {}, True), (0, {1: 1}, False),
    ],
)  # fmt: skip
def test_parcels_fill_servers_of_eight(servers: int, parcels: dict[int, int], fits: bool) -> None:
    if fits:
        fill(servers, 8, parcels, "here")
    else:
        with pytest.raises(AuditError, match="find no room"):
            fill(servers, 8, parcels, "here")
