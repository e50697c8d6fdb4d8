"""`best` in mode achieved: the optimum of a plain search over predictions, lines below curves, the choice of mode."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.physics import achieved, prediction, serving
from codesign.physics.layout import Layout
from codesign.physics.prediction import Asked
from codesign.physics.workload import Model
from codesign.system import audit
from codesign.system.best_system import prepare, prepare_and_solve
from codesign.system.objective import MAXIMIZE
from codesign.system.offers import Offer
from codesign.system.query import Query
from codesign.system.serving_space import ServingSpace
from tests.cases.command import best, put, run
from tests.cases.query_strategies import built_in, query

SMALL = {"mode": "achieved", "model": "llama-3.1-8b", "context": 16384, "allow": {"chips": ["h100-sxm"]}}
EXPERTS = {"mode": "achieved", "model": "gpt-oss-20b", "context": 65536, "allow": {"chips": ["b200-sxm", "h200-sxm"]}}
CASES: dict[str, dict[str, Any]] = {
    "dense": SMALL | {"limits": {"budget": 1e6, "tensor": 2, "user_speed": 60.0}},
    "first token": SMALL | {"limits": {"budget": 1e6, "tensor": 2, "ttft": 1.5}},
    "decode": SMALL | {"serving": {"phases": "decode"}, "limits": {"chips": 16, "tensor": 2, "user_speed": 20.0}},
    "experts": EXPERTS | {"limits": {"chips": 8, "tensor": 2, "users": 50, "user_speed": 120.0, "replicas": 3}},
    "drafted": SMALL | {"serving": {"draft": 2, "acceptance": 2.1, "engine": "sglang"},
                        "limits": {"budget": 1e6, "tensor": 1, "users": 40}},
}  # fmt: skip


def asked_for(case: str, maximize: str) -> Query:
    fields = CASES[case]
    limits = {**fields["limits"], **({"users": 30} if maximize == "cost" else {})}
    return query(**{**fields, "maximize": maximize, "limits": limits})


def times(model: Model, offer: Offer, d: Layout, users: int, q: Query) -> tuple[float, float]:
    """Mean time to first token and per output token of one deployment, by the prediction's own path."""
    constants, record = prediction.constants(built_in())
    asked = Asked(model, offer.chip, d, users, q.input, q.output, q.serving.engine or "vllm", "",
                  d if q.phases == "decode" else None)  # fmt: skip
    rows = prediction.row_of(asked, record)
    k = constants.gather(rows)
    return float(achieved.ttft_s(rows, k)[0]), float(achieved.tpot_s(rows, k)[0])


def layouts(model: Model, q: Query) -> Iterator[Layout]:
    """Powers of two, written out anew."""
    experts = max(layer.experts for layer in model.layers)
    for t, d, p in [(1 << i, 1 << j, 1 << k) for i in range(8) for j in range(8) for k in range(5)]:
        wide = (experts or model.kv_heads is None) and t * d <= 128
        if t > (q.limits.tensor or 128) or (d > 1 and not wide) or t > 128 or p > len(model.layers):
            continue
        for e in [e for e in range(1, t * d + 1) if t * d % e == 0 and experts % e == 0] if experts else [1]:
            yield Layout(t, d, p, e, "fp8", "fp8", q.serving.draft or 0, q.serving.acceptance or 1.0)


def searched(q: Query) -> float | None:
    """The best value of the objective, by looking at every deployment, batch and replica count in plain Python."""
    p = prepare(built_in(), q)
    values = []
    for offer in p.supply.offers:
        for d in layouts(p.space.model, q):
            if d.chips > (q.limits.chips or math.inf):
                continue
            try:
                held = serving.memory_users(p.space.model, offer.chip, d, q.input + q.output)
            except ValueError:
                continue
            values += list(of_layout(p.space.model, offer, d, min(held, 1024 * d.data) // d.pipeline, q))
    if not values:
        return None
    return (min if q.maximize in ("cost",) else max)(values)


def of_layout(model: Model, offer: Offer, d: Layout, room: int, q: Query) -> Iterator[float]:
    most = replicas_most(offer, d, q)
    for batch in range(1, room + 1) if most else []:
        users = batch * d.pipeline
        ttft, tpot = times(model, offer, d, users, q)
        if q.limits.user_speed is not None and 1 / tpot < q.limits.user_speed:
            break
        if q.limits.ttft is not None and ttft > q.limits.ttft:
            break
        cycle = tpot if q.phases == "decode" else (ttft + (q.output - 1) * tpot) / q.output
        need = math.ceil((q.limits.users or 1) / users)
        for replicas in range(need, min(most, need + 20) + 1) if q.maximize == "cost" else range(need, most + 1):
            servers = audit.servers_for(offer, d, replicas)
            capital = servers * (offer.bill.capital_usd or math.nan)
            rate = replicas * users / cycle
            yield {"throughput": rate, "throughput-per-dollar": rate / capital, "cost": capital, "user-speed": 1 / tpot,
                   "throughput-per-watt": rate / (servers * (offer.bill.power_w or math.nan))}[q.maximize]  # fmt: skip


def replicas_most(offer: Offer, d: Layout, q: Query) -> int:
    most = q.limits.replicas or 10**6
    while most and not affordable(offer, audit.servers_for(offer, d, most), q):
        most = most // 2 if most > 64 else most - 1
    return most


def affordable(offer: Offer, servers: int, q: Query) -> bool:
    chips = servers * offer.bill.chips <= (q.limits.chips or math.inf)
    return chips and servers * (offer.bill.capital_usd or math.nan) <= (q.limits.budget or math.inf)


@pytest.mark.parametrize("maximize", ["throughput-per-dollar", "cost"])
@pytest.mark.parametrize("case", ["first token", "drafted"])
def test_matches_a_plain_search(case: str, maximize: str) -> None:
    matches(case, maximize)


@pytest.mark.slow
@pytest.mark.parametrize("maximize", MAXIMIZE)
@pytest.mark.parametrize("case", CASES)
def test_matches_a_plain_search_long(case: str, maximize: str) -> None:
    matches(case, maximize)


def matches(case: str, maximize: str) -> None:
    q = asked_for(case, maximize)
    found = searched(prepare(built_in(), q).query)
    answer = prepare_and_solve(built_in(), q).answer
    assert found is not None and answer.proof is not None and answer.status == "optimal"
    assert answer.proof.value == pytest.approx(found, rel=1e-9)
    assert answer.proof.bound == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("maximize", ["throughput-per-dollar", "throughput", "user-speed"])
def test_full_program_agrees(case: str, maximize: str) -> None:
    """Over all columns, each with a line below its curve, the program finds the closed form's optimum."""
    q = asked_for(case, maximize)
    answers = [prepare_and_solve(built_in(), q, removal=removal).answer for removal in (True, False)]
    assert [a.status for a in answers] == ["optimal", "optimal"]
    values = [a.proof.value for a in answers if a.proof]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert all(a.proof and a.proof.enumerated and abs(a.proof.gap or 0) <= 1e-6 for a in answers)


@pytest.fixture(scope="module")
def space() -> ServingSpace:
    p = prepare(built_in(), query(**EXPERTS, limits={"chips": 32}))
    assert isinstance(p.space, ServingSpace)
    return p.space


@given(data=st.data())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_lines_lie_below_their_curves(space: ServingSpace, data: st.DataObject) -> None:
    able = np.flatnonzero((space.reason == 0) & (space.room > 0))
    at = int(data.draw(st.sampled_from(able.tolist())))
    low = data.draw(st.integers(1, int(space.room[at])))
    high = data.draw(st.integers(low, int(space.room[at])))
    batch = np.arange(low, high + 1, dtype=float)
    every = np.full(len(batch), at)
    for anchor, curve in (("high", space.cycle_s(batch, every)), ("low", space.step_s(batch, every))):
        fixed, slope, _, _ = space.line(at, low, high, anchor)
        assert (fixed + slope * batch <= curve * (1 + 1e-12)).all()
        assert fixed + slope * (high if anchor == "high" else low) == pytest.approx(
            curve[-1 if anchor == "high" else 0], rel=1e-12)  # fmt: skip
    ((_, peak),) = space.peaks(np.array([at]), np.array([float(low)]), np.array([float(high)]))
    assert peak[0] / space.cycle_s(peak, np.array([at])) == pytest.approx(np.max(batch / space.cycle_s(batch, every)))


def test_space_and_prediction_agree(space: ServingSpace) -> None:
    """The arrays of the space and the prediction of one deployment are the same numbers."""
    model, q = space.model, space.query
    p = prepare(built_in(), q)
    for at in np.flatnonzero(space.reason == 0)[::40].tolist():
        offer, d = p.supply.offers[int(space.chip[at])], space.layout(at)
        for batch in {1, int(space.room[at])}:
            ttft, tpot = times(model, offer, d, batch * d.pipeline, q)
            here = np.array([at])
            assert space.step_s(float(batch), here)[0] == pytest.approx(tpot, rel=1e-12)
            assert space.times(float(batch), here)[2][0] == pytest.approx(ttft, rel=1e-12)


MODES = [
    ((), "limit"), (("--hardware", "catalogue"), "achieved"), (("--chip", "b200-sxm"), "achieved"),
    (("--chip", "xpu-hbm4,mi455x"), "limit"), (("--chip", "gb100"), "limit"), (("--engine", "vllm"), "achieved"),
    (("--ttft", "5 s"), "achieved"), (("--chip", "b200-sxm", "--mode", "limit"), "limit"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "mode"), MODES)
def test_mode_is_chosen(args: tuple[str, ...], mode: str) -> None:
    assert best(*args)["mode"] == best(*args)["query"]["mode"] == mode


def test_priors() -> None:
    """A chip without runs comes in under a prior only, and says so otherwise."""
    asked = ("--mode", "achieved", "--chip", "b200-sxm,h20,mi300x", "--user-speed", "none")
    assert set(best(*asked)["left_out"]) == {"h20", "mi300x"}
    assert set(best(*asked, "--prior", "family")["left_out"]) == {"mi300x"}
    assert best(*asked, "--prior", "all")["left_out"] == {}
    composed = best("--mode", "achieved", "--prior", "family", "--hardware", "composed", "--chip", "gh100")
    assert composed["system"]["composed"]


def test_native_precision() -> None:
    assert best("--model", "gpt-oss-120b", "--precision", "native", "--chip", "b200-sxm")["system"]["weights"] == "fp4"
    assert best("--model", "llama-3.1-8b", "--precision", "native", "--mode", "limit")["system"]["weights"] == "bf16"


def test_first_token_limit_binds() -> None:
    free, bound = best("--chip", "b200-sxm"), best("--chip", "b200-sxm", "--ttft", "1 s")
    assert free["performance"]["ttft_s"] > 1 >= bound["performance"]["ttft_s"]
    assert bound["proof"]["value"] < free["proof"]["value"]
    assert run("best", "--chip", "b200-sxm", "--ttft", "1 ms").code == 5


def test_memory_is_never_exceeded() -> None:
    """An answer leaves what the engine reserves; a model too large for the chips has none."""
    part = best("--chip", "h100-sxm", "--user-speed", "none", "--context", "100k")["performance"]
    assert part["memory_bytes"] <= part["usable_bytes"] < 80e9
    assert part["batch_limited_by"] == "memory capacity"
    assert run("best", "--model", "deepseek-v3", "--chip", "h100-sxm", "--chips", "8", "--mode", "achieved").code == 5


def test_unknown_model_is_told() -> None:
    with pytest.raises(DataError, match="llama-9"):
        prepare(built_in(), query(**SMALL | {"model": "llama-9"}))




def test_an_expert_group_beyond_the_domain_pays_for_it() -> None:
    """Dispatch and combine over 16 chips leave the eight of an H200 server, and stay inside an NVL72."""

    def collectives(chip: str, ranks: int) -> float:
        asked = ("--model", "deepseek-v3", "--chip", chip, "--tensor", "1", "--data", str(ranks),
                 "--expert", str(ranks), "--users", str(32 * ranks))  # fmt: skip
        return float(run("predict", "--json", *asked).json["terms_s"]["collectives"])

    assert collectives("h200-sxm", 16) > 2.5 * collectives("h200-sxm", 8)
    assert collectives("gb200-nvl72", 16) < 1.5 * collectives("gb200-nvl72", 8)


def test_own_collectives_replace_the_fitted(tmp_path: Path) -> None:
    """A table of measured collectives in one's own catalogue slows, or speeds, what it names."""
    rows = [f"nvlink4,all_reduce,8,{size},{us}" for size, us in ((1024, 300), (16_777_216, 900))]
    own = put(tmp_path, {"collectives.csv": "\n".join(["link,op,group,message_bytes,latency_us", *rows]) + "\n"})
    asked = ("predict", "--json", "--model", "llama-3.1-70b", "--chip", "h100-sxm")
    ours, mine = run(*asked).json["terms_s"], run(*asked, "--catalog", own).json["terms_s"]
    assert mine["collectives"] > 20 * ours["collectives"] and mine["weights"] == ours["weights"]
    heads = "link,op,group,message_bytes,latency_us"
    bad = put(tmp_path / "bad", {"collectives.csv": f"{heads}\nnvlink4,all_reduce,8,1,-3\n"})
    done = run(*asked, "--catalog", bad)
    assert done.code == 2 and "line 2" in done.err and "latency_us" in done.err


@pytest.mark.parametrize("phases", ["aggregated", "disaggregated"])
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_band_of_a_step_lies_around_it_the_lower_end_first(phases: str, engine: str) -> None:
    """The 10th and 90th percentile of measured over predicted time, of this engine, in this order."""
    q = query(**SMALL, maximize="throughput", limits={"chips": 16},
              serving={"input": 512, "output": 128, "engine": engine, "phases": phases})  # fmt: skip
    found = prepare_and_solve(built_in(), q).answer.performance
    _, record = prediction.constants(built_in())
    low, high = record.band.get(engine, record.band["all"])
    assert found is not None and found.step_band_s is not None and 0 < low < 1 < high
    assert found.step_band_s[0] < found.step_s < found.step_band_s[1]
    assert found.step_band_s == pytest.approx((found.step_s * low, found.step_s * high))


@pytest.mark.parametrize("phases", ["aggregated", "disaggregated"])
def test_a_time_that_ends_before_the_layouts_are_known_is_undecided(phases: str) -> None:
    done = run("best", "--hardware", "catalogue", "--model", "llama-3.1-8b", "--input", "1k", "--output", "1k",
               "--phases", phases, "--chips", "64", "--time-limit", "1 ns")  # fmt: skip
    assert (done.code, done.out) == (3, "")
    assert "no system is known yet" in done.err
