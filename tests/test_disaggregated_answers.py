"""`best --phases disaggregated`: the optimum of a plain search, limits that bind, answers that verify."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codesign import achieved, audit, prediction, serving
from codesign.prediction import Asked
from codesign.queries.best_system import prepare_and_solve
from codesign.query import Query
from codesign.serving import Deployment
from codesign.supply import Offer, supply
from codesign.workload import Model
from codesign.workload import model as model_of
from tests.command import best, run
from tests.query_strategies import built_in, query

SMALL = {
    "mode": "achieved", "model": "llama-3.1-8b", "context": 20_000, "kv_precision": "bf16",
    "allow": {"chips": ["h100-sxm", "b200-sxm"]},
    "serving": {"phases": "disaggregated", "input": 16_000, "output": 4_000},
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "ratio": {"limits": {"chips": 32, "tensor": 1, "user_speed": 40.0}},
    "first token": {"limits": {"chips": 24, "tensor": 1, "ttft": 3.0}},
    "throughput": {"maximize": "throughput", "limits": {"budget": 1.5e6, "tensor": 1, "user_speed": 60.0}},
    "cost": {"maximize": "cost", "limits": {"users": 300, "tensor": 1, "budget": 3e6}},
    "watts": {"maximize": "throughput-per-watt", "limits": {"chips": 24, "tensor": 1, "ttft": 2.0}},
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One pool's layout: requests/s of a replica, one user's requests/s, and where it runs."""

    offer: Offer
    layout: Deployment
    rate: float
    pace: float


def layouts(model: Model, q: Query) -> Iterator[Deployment]:
    for pipeline in (1, 2, 4, 8, 16):
        if pipeline <= len(model.layers):
            yield Deployment(1, 1, pipeline, 1, "fp8", q.kv("fp8"))


def rows(model: Model, offer: Offer, d: Deployment, users: float, q: Query) -> tuple[Any, Any]:
    constants, record = prediction.constants(built_in())
    asked = Asked(model, offer.chip, d, users, q.input, q.output, "vllm", "", d)
    row = prediction.row_of(asked, record)
    return row, constants.gather(row)


def prefill(model: Model, offer: Offer, d: Deployment, q: Query, cache: float) -> Column | None:
    if serving.memory_users(model, offer.chip, d, q.input) < d.pipeline:
        return None
    service, fixed = (float(x[0]) for x in achieved.pool_s(*rows(model, offer, d, 1, q)))
    link = d.chips * (offer.chip.scale_out_bandwidth or math.nan)
    interval, slack = service / d.pipeline, (q.limits.ttft or math.inf) - fixed - service - cache / link
    if slack <= 0:
        return None
    busy = 0.9 if q.limits.ttft is None else min(0.9, 2 * slack / (interval + 2 * slack))
    return Column(offer, d, min(busy / interval, link / cache), 0.0)


def decode(model: Model, offer: Offer, d: Deployment, q: Query, cache: float) -> Iterator[Column]:
    link = d.chips * (offer.chip.scale_out_bandwidth or math.nan)
    held = min(serving.memory_users(model, offer.chip, d, q.input + q.output), 1024) // d.pipeline
    for batch in range(1, held + 1):
        step = float(achieved.tpot_s(*rows(model, offer, d, batch * d.pipeline, q))[0])
        if 1 / step < (q.limits.user_speed or 0):
            return
        each = 1 / ((q.output - 1) * step)
        yield Column(offer, d, min(batch * d.pipeline * each, link / cache), each)


def searched(q: Query) -> float | None:
    """Every pair of layouts, every batch, every count of replicas that is not idle, in plain Python."""
    from codesign.mode import settled
    from codesign.records import ModelRecord

    q = settled(built_in(), q)
    model, offers = model_of(built_in().get(ModelRecord, q.model)), supply(built_in(), q).offers
    cache = serving.memory(model, offers[0].chip, Deployment(1, kv=q.kv("fp8")), q.input).kv_bytes_per_user
    both = [(offer, d) for offer in offers for d in layouts(model, q)]
    first = [c for offer, d in both if (c := prefill(model, offer, d, q, cache)) is not None]
    second = [c for offer, d in both for c in decode(model, offer, d, q, cache)]
    values = [value for a in first for b in second for value in pairs(a, b, q)]
    return None if not values else (min if q.maximize == "cost" else max)(values)


def pairs(a: Column, b: Column, q: Query) -> Iterator[float]:
    """Every count of either pool, with the fewest of the other that keep up, or the most that it keeps busy."""
    need, counts = (q.limits.users or 0) * b.pace, set()
    for x, y, turned in ((a, b, False), (b, a, True)):
        for own in range(1, 129):
            if not (affordable(b, 1, a, own, q) if turned else affordable(a, own, b, 1, q)):
                break
            ratio = x.rate * own / y.rate
            for other in {max(1, math.ceil(ratio - 1e-9)), max(1, math.floor(ratio + 1e-9))}:
                counts.add((other, own) if turned else (own, other))
    for own, other in counts:
        value = valued(a, own, b, other, min(a.rate * own, b.rate * other), need, q)
        if value is not None:
            yield value


def bought(a: Column, own: int, b: Column, other: int) -> list[tuple[Offer, int]]:
    return [(c.offer, audit.servers_for(c.offer, c.layout, n)) for c, n in ((a, own), (b, other))]


def affordable(a: Column, own: int, b: Column, other: int, q: Query) -> bool:
    parts = bought(a, own, b, other)
    chips = sum(offer.bill.chips * n for offer, n in parts)
    capital = sum((offer.bill.capital_usd or math.nan) * n for offer, n in parts)
    return chips <= (q.limits.chips or math.inf) and capital <= (q.limits.budget or math.inf)


def valued(a: Column, own: int, b: Column, other: int, rate: float, need: float, q: Query) -> float | None:
    if rate < need * (1 - 1e-12) or not affordable(a, own, b, other, q):
        return None
    parts = bought(a, own, b, other)
    capital = sum((offer.bill.capital_usd or math.nan) * n for offer, n in parts)
    watts = sum((offer.bill.power_w or math.nan) * n for offer, n in parts)
    tokens = rate * q.output
    return {"cost": capital, "throughput": tokens, "throughput-per-watt": tokens / watts,
            "throughput-per-dollar": tokens / capital}[q.maximize]  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c != "first token" else c for c in CASES])
def test_matches_a_plain_search(case: str) -> None:
    q = query(**SMALL, **CASES[case])
    found, answer = searched(q), prepare_and_solve(built_in(), q).answer
    assert found is not None and answer.proof is not None and answer.status == "optimal"
    assert answer.proof.value == pytest.approx(found, rel=1e-9)
    assert answer.proof.bound == pytest.approx(found, rel=1e-6)


ASKED = ("--hardware", "catalogue", "--model", "llama-3.1-70b", "--input", "8k", "--output", "1k",
         "--phases", "disaggregated")  # fmt: skip


def test_both_pools_are_said_and_the_transfer_fits() -> None:
    answer = best(*ASKED, "--ttft", "2 s")
    prefill_part, moved = answer["prefill"], answer["transfer"]
    assert answer["status"] == "optimal" and prefill_part["utilisation"] <= 0.9
    assert prefill_part["ttft_s"] <= 2 and "mean" in prefill_part["statistic"]
    text = run("best", *ASKED, "--ttft", "2 s").out
    assert "Prefill pool" in text and "Decode pool" in text and "mean over requests" in text
    assert json.dumps(moved)


def test_a_shorter_first_token_costs() -> None:
    values = [best(*ASKED, "--ttft", limit)["proof"]["value"] for limit in ("3 s", "700 ms")]
    assert values[0] > values[1]


def test_infeasible_says_the_first_token_that_would_work() -> None:
    done = run("best", *ASKED, "--ttft", "10 ms")
    assert done.code == 1 and "--ttft 10 ms: at least" in done.out


@pytest.mark.parametrize(("args", "said"), [
    (("--maximize", "user-speed"), "two pools"), (("--output", "1", "--input", "8k"), "at least 2 tokens"),
    (("--precision", "fp8,bf16"), "--kv-precision"),
    (("--budget", "none", "--power", "none", "--maximize", "throughput"), "limit"),
])  # fmt: skip
def test_what_two_pools_cannot_answer_is_told(args: tuple[str, ...], said: str) -> None:
    done = run("best", *ASKED, *args)
    assert done.code in (2, 4) and said in done.err and done.out == ""


def test_answers_verify_and_tampering_shows(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert run("best", *ASKED, "--ttft", "2 s", "--export", folder).code == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "answer.json", "candidates.csv", "model.lp", "model.mps", "query.toml"]  # fmt: skip
    done = run("verify", folder / "answer.json")
    assert done.code == 0 and "the answer holds" in done.out
    again = run("best", folder / "query.toml", "--json").json
    assert again["proof"]["value"] == json.loads((folder / "answer.json").read_text())["proof"]["value"]
    for spot, change in (("prefill", {"replicas": 1}), ("system", {"replicas": 1}), ("proof", {"value": 1.0})):
        answer = json.loads((folder / "answer.json").read_text())
        part = answer[spot]
        (part.get("pool", part)).update(change)
        path = tmp_path / f"{spot}.json"
        path.write_text(json.dumps(answer))
        assert run("verify", path).code == 1, spot
