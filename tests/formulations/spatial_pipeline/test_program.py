"""spatial_pipeline: its docstring is the program; closed form, HiGHS and CP-SAT are plain enumeration."""

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings

from formulations import spatial_pipeline
from formulations.solvers import cpsat, highs
from formulations.solvers.outcome import Status
from formulations.spatial_pipeline import Instance, Solution, bounds
from formulations.spatial_pipeline import cpsat as spatial_pipeline_cpsat
from tests.cases.docstrings import names
from tests.cases.spatial_pipeline_cases import best_by_enumeration, instance, instances

DOC, TWIN_DOC = spatial_pipeline.__doc__ or "", spatial_pipeline_cpsat.__doc__ or ""
REPEATED = settings(derandomize=True, deadline=None)
SIMT = {"kind": "simt"}


def tabled(count: int = 2) -> Instance:
    data = instance([{}, SIMT][:count])
    return replace(data, scale=np.tile([0.3, 0.5, 0.9, 1.0], (count, 1)))


def test_docstring_is_the_twin():
    proto = spatial_pipeline_cpsat.build(tabled()).proto
    rows = list(dict.fromkeys(row.name.partition("[")[0] for row in proto.constraints))
    assert names(TWIN_DOC, "Constraints") == rows == names(DOC, "Constraints")
    variables = list(dict.fromkeys(v.name.partition("[")[0] for v in proto.variables))
    assert names(TWIN_DOC, "Variables") == variables == names(DOC, "Variables")


def test_a_linear_scale_builds_no_table():
    built = [row.local_name for row in spatial_pipeline.build(instance([{}])).component_objects(pyo.Constraint)]
    assert built == [name for name in names(DOC, "Constraints") if name not in ("pick_one", "count_ctas")]


def agrees(data: Instance, *, solvers: bool = True) -> None:
    best = best_by_enumeration(data)
    closed = bounds.balance(data)
    assert (closed is None) == (best is None) == bool(bounds.too_many(data))
    if best is not None:
        assert closed.throughput == pytest.approx(best, rel=1e-12)
        assert bounds.check(data, Solution(closed.ctas, closed.throughput)) == []
        assert closed.throughput <= bounds.ceiling(data) * (1 + 1e-12)
    if not solvers:
        return
    outcome, (twin, error) = spatial_pipeline.solve(data), spatial_pipeline_cpsat.solve(data)
    assert error <= 1e-10 * max(bounds.ceiling(data), 1e-300)
    for found in (outcome, twin):
        assert found.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL)
        if best is not None:
            assert found.value == pytest.approx(best, rel=1e-8, abs=1e-9 * bounds.ceiling(data))
            assert found.bound >= best * (1 - 1e-9)
            assert bounds.check(data, found.solution) == []


@settings(REPEATED, max_examples=40)
@given(instances())
def test_balance_is_that_of_enumeration(data):
    agrees(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=300)
@given(instances())
def test_balance_is_that_of_enumeration_on_300_pipelines(data):
    agrees(data)


@settings(REPEATED, max_examples=100)
@given(instances())
def test_closed_form_is_enumeration(data):
    agrees(data, solvers=False)


@pytest.mark.parametrize("solve", [lambda d: spatial_pipeline.solve(d), lambda d: spatial_pipeline_cpsat.solve(d)[0]])
@pytest.mark.parametrize("kind", ["tensor", "simt"])
def test_as_many_stages_as_sms_just_fit(solve, kind):
    """fit_tensor and fit_simt: four stages of a class on four SMs, whatever the other class has."""
    other = {"kind": "simt" if kind == "tensor" else "tensor"}
    fits = instance([{"kind": kind}] * 4 + [other])
    fails = instance([{"kind": kind}] * 5 + [other])
    assert solve(fits).status is Status.OPTIMAL
    assert solve(fails).status is Status.INFEASIBLE
    assert bounds.too_many(fails) == [f"5 {kind} stages on 4 SMs"]


@pytest.mark.parametrize(
    ("row", "others", "value", "limit"),
    [
        ("keep_up", {}, 10.0, "s0"),
        ("read_dram", {"dram_bandwidth": 9.0}, 9.0, "dram"),
        ("cross_l2", {"l2_bandwidth": 24.0}, 8.0, "l2"),
        ("pick_one", {"scale": np.tile([0.4, 0.0, 0.5, 0.0], (2, 1))}, 10.0, "s0"),
        ("count_ctas", {"scale": np.tile([0.1, 0.2, 0.9, 1.0], (2, 1))}, 4.0, "s0"),
    ],
)
def test_row_binds(row, others, value, limit):
    """Two stages of 20 units/s on four SMs; without the row the pipeline would be faster."""
    data = instance([{}, SIMT if row == "pick_one" else {}], **others)  # there one and three CTAs must fit at once
    assert spatial_pipeline.solve(data).value == pytest.approx(value)
    assert spatial_pipeline_cpsat.solve(data)[0].value == pytest.approx(value)
    closed = bounds.balance(data)
    assert (closed.throughput, closed.limit) == (pytest.approx(value), limit)
    model = spatial_pipeline.build(data)
    top = bounds.ceiling(data)
    model.component(row).deactivate()
    model.speed.setub(None)  # a speed of 1 is already the least of the limits
    assert highs.solve(highs.load(model), highs.Limits()).value * top > value * (1 + 1e-6)


def test_most_ctas_bind():
    data = replace(instance([{}, SIMT]), most_ctas=np.array([1, 4]))
    assert spatial_pipeline.solve(data).value == pytest.approx(5.0)
    assert bounds.balance(data).ctas == (1, 1)


def test_both_classes_share_an_sm():
    """A tensor and a SIMT stage have all four SMs each; two of one class share them."""
    assert bounds.balance(instance([{}, SIMT])).throughput == pytest.approx(20.0)
    assert bounds.balance(instance([{}, {}])).throughput == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("solution", "fault"),
    [
        (Solution((2, 2), 10.0), []),
        (Solution((2, 2), 10.1), ["keep_up[s0]", "keep_up[s1]"]),
        (Solution((3, 2), 10.0), ["fit_tensor"]),
        (Solution((0, 2), 0.0), ["ctas[s0] = 0, not a whole number in 1..4"]),
        (Solution((2,), 0.0), ["1 counts for 2 stages"]),
    ],
)
def test_check_finds_what_is_broken(solution, fault):
    assert bounds.check(instance([{}, {}]), solution) == fault


def test_check_finds_memory_and_simt():
    data = instance([SIMT, SIMT], dram_bandwidth=5.0, l2_bandwidth=15.0)
    assert bounds.check(data, Solution((3, 3), 6.0)) == ["read_dram", "cross_l2", "fit_simt"]


def large(tables: bool = False) -> Instance:
    rng = np.random.default_rng(7)
    data = instance([{"kind": str(rng.choice(["tensor", "simt"])), "throughput": float(t), "utilisation": float(u)}
                     for t, u in zip(10 ** rng.uniform(3, 5, 14), rng.uniform(0.1, 1, 14), strict=True)],
                    sms=108, dram_bytes=1e4, l2_bytes=3e4, dram_bandwidth=1.555e12, l2_bandwidth=4.7e12)  # fmt: skip
    return replace(data, scale=np.sort(rng.uniform(0, 1, (14, 108)))) if tables else data


@pytest.mark.parametrize("tables", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_pipeline_of_the_paper_s_size(tables):
    data = large(tables)
    closed = bounds.balance(data)
    for found in (spatial_pipeline.solve(data), spatial_pipeline_cpsat.solve(data)[0]):
        assert found.status is Status.OPTIMAL
        assert found.value == pytest.approx(closed.throughput, rel=1e-8)


def test_sums_stay_in_the_room_of_int64():
    for data in (large(), large(True)):
        proto = spatial_pipeline_cpsat.build(data).proto
        top = [variable.domain[1] for variable in proto.variables]
        rows = [row.linear for row in proto.constraints if row.has_linear()]
        assert max(sum(abs(c) * top[v] for v, c in zip(r.vars, r.coeffs, strict=True)) for r in rows) < cpsat.ROOM


def test_limits_end_without_an_invented_proof_and_at_the_same_place_twice():
    data = large(True)
    runs = [spatial_pipeline_cpsat.solve(data, limits=cpsat.Limits(deterministic_s=1e-3))[0] for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].status in (Status.FEASIBLE, Status.UNKNOWN)
    ended = [spatial_pipeline.solve(data, limits=highs.Limits(node_limit=0)) for _ in range(2)]
    assert ended[0] == ended[1]
    best = bounds.balance(data).throughput
    assert all(run.bound is None or run.bound >= best * (1 - 1e-9) for run in (*runs, *ended))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kinds", ("tensor", "vector")), ("throughput", np.array([1.0, 0.0])), ("utilisation", np.array([0.5, 1.1])),
        ("throughput", np.array([1.0, np.nan])), ("dram_bytes", -1.0), ("l2_bandwidth", 0.0), ("sms", 0),
        ("scale", np.ones((2, 3))), ("most_ctas", np.array([0, 4])), ("stages", ("s0", "s0")),
    ],
)  # fmt: skip
def test_bad_numbers_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        replace(instance([{}, SIMT]), **{field: value})


EDGES = {
    "one stage on one SM": instance([{}], sms=1),
    "equal stages": instance([{}] * 4),
    "no memory is moved": instance([{}, SIMT], dram_bytes=0.0, l2_bytes=0.0),
    "no count is of use": replace(instance([{}, SIMT]), scale=np.zeros((2, 4))),
    "one stage cannot run": replace(instance([{}, SIMT]), scale=np.array([[0.0] * 4, [0.1, 0.2, 0.3, 0.4]])),
    **{f"DRAM {off:+g} beside a balance": instance([{}, {}], dram_bandwidth=10.0 * (1 + off))
       for off in (-1e-7, 0, 1e-7)},
    **{f"{a:g} beside {b:g}": instance([{"throughput": a}, {"throughput": b}, SIMT | {"throughput": a}])
       for a, b in ((1e-9, 1e-9), (1e-9, 1e9), (1e9, 1e-9))},
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges_are_those_of_enumeration_for_any_seed(name):
    """Callers rely on OPTIMAL for each pipeline that is resident, within 1e-6 of it or 1e-9 of the ceiling."""
    data, best = EDGES[name], best_by_enumeration(EDGES[name])
    agrees(data)
    for seed in (0, 1, 2):
        outcome = spatial_pipeline.solve(data, limits=highs.Limits(seed=seed))
        assert outcome.status is Status.OPTIMAL
        assert outcome.value == pytest.approx(best, rel=1e-6, abs=1e-9 * bounds.ceiling(data))


@pytest.mark.parametrize("limits", [{"limit_s": 1e-9}, {"node_limit": 0}])
@pytest.mark.parametrize("name", EDGES)
def test_edges_without_time_claim_nothing(name, limits):
    data, best = EDGES[name], best_by_enumeration(EDGES[name])
    outcome = spatial_pipeline.solve(data, limits=highs.Limits(**limits))
    assert outcome.status is not Status.INFEASIBLE
    assert outcome.bound is None or outcome.bound >= best * (1 - 1e-9)
    if outcome.status is Status.OPTIMAL:
        assert outcome.value == pytest.approx(best, rel=1e-6, abs=1e-9 * bounds.ceiling(data))
