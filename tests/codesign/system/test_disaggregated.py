"""`best` with phases disaggregated: a plain search over both pools, the queue, the transfer, cures, verification."""

import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import AuditError, DataError, UnboundedError
from codesign.physics import achieved, prediction, serving
from codesign.physics.layout import Layout
from codesign.physics.workload import Model
from codesign.system import audit, disaggregated, pools, pools_audit, pools_enumeration
from codesign.system.disaggregated import chosen, prepare, prepare_and_solve, solve
from codesign.system.offers import Offer
from codesign.system.pools import CAP, Prompts
from codesign.system.pools_audit import Both
from codesign.system.query import Query
from formulations.solvers import highs
from tests.cases.command import best, known, put, run, tampered_rows
from tests.cases.query_strategies import built_in, query

APART = ("--mode", "achieved", "--phases", "disaggregated", "--input", "4k", "--output", "1k")
FEW = (*APART, "--chip", "h100-sxm,b200-sxm")
SMALL = {"mode": "achieved", "model": "llama-3.1-8b", "context": 40000,
         "serving": {"phases": "disaggregated", "input": 32768, "output": 7232}}  # fmt: skip
H100 = {"allow": {"chips": ["h100-sxm"]}}
CASES: dict[str, dict[str, Any]] = {
    "plain": H100 | {"limits": {"chips": 40, "tensor": 1, "replicas": 12}},
    "first token": H100 | {"limits": {"chips": 48, "tensor": 2, "ttft": 2.2, "replicas": 6}},
    "users": H100 | {"limits": {"budget": 2e6, "tensor": 1, "users": 90, "user_speed": 60.0, "replicas": 9}},
    "two chips": {"allow": {"chips": ["h100-sxm", "b200-sxm"]}, "spare_servers": 1,
                  "limits": {"chips": 48, "tensor": 1, "user_speed": 40.0, "replicas": 5}},
    "experts": {"model": "gpt-oss-20b", "allow": {"chips": ["h100-sxm"]},
                "limits": {"chips": 32, "tensor": 1, "users": 60, "user_speed": 150.0, "replicas": 3}},
    "slow link": H100 | {"assume": {"chips.h100-sxm.connections.scale_out_bandwidth": "2 GB/s"},
                         "limits": {"chips": 40, "tensor": 1, "replicas": 12}},
}  # fmt: skip
OBJECTIVES = ("throughput-per-dollar", "throughput", "throughput-per-watt", "cost")


def asked_for(case: str, maximize: str) -> Query:
    fields = CASES[case]
    limits = {**fields["limits"], **({"users": 50} if maximize == "cost" and "users" not in fields["limits"] else {})}
    return query(**{**SMALL, **fields, "maximize": maximize, "limits": limits})


def catalogue(q: Query) -> Any:
    from codesign.facts import catalog

    return catalog.load(None, q.assumptions()) if q.assume else built_in()


# the optimum is that of a plain search, in which nothing is shared with the columns


def layouts(model: Model, q: Query) -> Iterator[Layout]:
    experts = max(layer.experts for layer in model.layers)
    for t, d, p in [(1 << i, 1 << j, 1 << k) for i in range(8) for j in range(8) for k in range(5)]:
        if t > (q.limits.tensor or 128) or (d > 1 and not experts) or t * d > 128 or p > len(model.layers):
            continue
        for e in [e for e in range(1, t * d + 1) if t * d % e == 0 and experts % e == 0] if experts else [1]:
            if t * d * p <= (q.limits.chips or math.inf):
                yield Layout(t, d, p, e, "fp8", "fp8")


def rows(model: Model, offer: Offer, d: Layout, users: Any, q: Query, record: Any) -> Any:
    found = serving.coefficients(model, offer.chip, d, q.input, q.output)
    name = ("vllm", record.family_of(offer.chip.name), prediction.release_key(model, ""))
    return achieved.rows_at(found, users, prompt=q.input, output=q.output, name=name, prefill=found)


def searched(q: Query) -> float | None:
    """The best value by looking at every layout, batch and replica count of both pools."""
    p = prepare(catalogue(q), q)
    q, model = p.query, p.pools.decode.model
    constants, record = prediction.constants(built_in())
    cache = sum(x.kv_elements * math.ceil(q.input / 16) * 16 if x.window is None else
                x.kv_elements * min(x.window, math.ceil(q.input / 16) * 16) for x in model.layers)  # fp8: a byte each
    prefill, decode = [], []
    for offer in p.supply.offers:
        for d in layouts(model, q):
            link = (offer.chip.scale_out_bandwidth or 0.0) * d.chips
            if serving.memory(model, offer.chip, d, q.input).users // d.pipeline >= 1:
                own = rows(model, offer, d, np.array([1.0]), q, record)
                service, fixed = achieved.pool_s(own, constants.gather(own))
                rho = most_busy(float(service[0]), float(fixed[0]) + cache / link, d.pipeline, q.limits.ttft)
                if rho > 0:
                    prefill.append((offer, d, min(rho * d.pipeline / float(service[0]), link / cache)))
            held = min(serving.memory(model, offer.chip, d, q.context).users, 1024 * d.data) // d.pipeline
            if held:
                batch = np.arange(1, held + 1)
                several = rows(model, offer, d, batch * float(d.pipeline), q, record)
                step = achieved.tpot_s(several, constants.gather(several))
                keep = step * (q.limits.user_speed or 0.0) <= 1 + 1e-12
                stay = (q.output - 1) * step[keep]
                decode.append((offer, d, np.minimum(batch[keep] * d.pipeline / stay, link / cache), 1 / stay))
    better = min if q.maximize == "cost" else max
    found = [value for i in prefill for j in decode for value in of_pair(q, i, j)]
    return better(found) if found else None


def most_busy(service: float, rest: float, stages: int, limit: float | None) -> float:
    """Largest utilisation in time, by bisection."""
    low, high = 0.0, CAP
    for _ in range(60):
        rho = (low + high) / 2
        ttft = service + rest + rho * service / stages / (2 * (1 - rho))
        low, high = (rho, high) if limit is None or ttft <= limit else (low, rho)
    return low


def of_pair(q: Query, i: Any, j: Any) -> Iterator[float]:
    """Best value of each pair of replica counts, over all batches at once."""
    most = q.limits.replicas or 0
    for first, last in itertools.product(range(1, most + 1), repeat=2):
        bought = [audit.servers_for(x[0], x[1], n) + q.spare_servers for x, n in ((i, first), (j, last))]
        bills = i[0].bill, j[0].bill
        if sum(b.chips * n for b, n in zip(bills, bought, strict=True)) > (q.limits.chips or math.inf):
            break
        dollars = sum((b.capital_usd or math.nan) * n for b, n in zip(bills, bought, strict=True))
        watts = sum((b.power_w or math.nan) * n for b, n in zip(bills, bought, strict=True))
        if dollars > (q.limits.budget or math.inf):
            break
        rate = np.minimum(i[2] * first, j[2] * last)
        rate = rate[rate >= (q.limits.users or 0) * j[3] * (1 - 1e-12)]
        if len(rate):
            tokens = float(rate.max()) * q.output
            yield {"throughput": tokens, "throughput-per-dollar": tokens / dollars, "cost": dollars,
                   "throughput-per-watt": tokens / watts}[q.maximize]  # fmt: skip


def matches(case: str, maximize: str) -> None:
    q = asked_for(case, maximize)
    found = searched(q)
    for removal in (True, False):
        answer = prepare_and_solve(catalogue(q), q, removal=removal).answer
        assert found is not None and answer.proof is not None and answer.status == "optimal", (found, answer.cures)
        assert answer.proof.value == pytest.approx(found, rel=1e-9)
        assert answer.proof.bound == pytest.approx(found, rel=1e-6)
        assert answer.proof.enumerated


@pytest.mark.parametrize(("case", "maximize"), [
    ("plain", "throughput-per-dollar"), ("first token", "throughput"), ("users", "cost"),
    ("slow link", "throughput-per-dollar"),
])  # fmt: skip
def test_matches_a_plain_search(case: str, maximize: str) -> None:
    matches(case, maximize)


@pytest.mark.slow
@pytest.mark.parametrize("maximize", OBJECTIVES)
@pytest.mark.parametrize("case", CASES)
def test_matches_a_plain_search_long(case: str, maximize: str) -> None:
    matches(case, maximize)


# the queue


@given(service=st.floats(1e-3, 10), rest=st.floats(0, 10), stages=st.integers(1, 16), limit=st.floats(1e-3, 100))
@settings(derandomize=True, deadline=None)
def test_cap_is_the_largest_utilisation_in_time(service: float, rest: float, stages: int, limit: float) -> None:
    prompts = Prompts(service, rest, 0.0, stages)
    cap = float(prompts.cap(limit))
    assert cap == pytest.approx(most_busy(service, rest, stages, limit), abs=1e-9)
    assert 0 <= cap <= CAP == prompts.cap(None)
    if cap > 0:
        assert prompts.ttft_s(cap) <= limit * (1 + 1e-9)


@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_mean_wait_is_that_of_a_simulated_queue(rho: float) -> None:
    """Poisson arrivals at one server that takes a second each: Lindley's recursion, unrolled."""
    gaps = np.random.default_rng(5).exponential(1 / rho, 1_000_000)
    walk = np.cumsum(1.0 - gaps)
    wait = walk - np.minimum.accumulate(np.minimum(walk, 0.0))
    assert Prompts(1.0, 0.0, 0.0, 1).wait_s(rho) == pytest.approx(float(wait.mean()), rel=0.05)


def test_a_limit_never_helps() -> None:
    """A first token that may be an hour late is the same system as without that limit."""
    free, late = best(*FEW), best(*FEW, "--ttft", "3600 s")
    assert late["proof"]["value"] == free["proof"]["value"]


def test_first_token_limit_binds() -> None:
    free, soon = best(*FEW), best(*FEW, "--ttft", "1 s")
    assert free["prefill"]["ttft_s"] > 1 >= soon["prefill"]["ttft_s"] == soon["performance"]["ttft_s"]
    assert soon["prefill"]["utilisation"] <= soon["prefill"]["utilisation_cap"] * (1 + 1e-9) < CAP
    assert soon["proof"]["value"] < free["proof"]["value"]
    p = soon["prefill"]
    assert p["ttft_s"] == pytest.approx(p["fixed_s"] + p["prompt_s"] + p["wait_s"] + p["send_s"], rel=1e-12)
    assert "mean" in p["statistic"] and "M/D/1" in p["statistic"]


# the two pools and what joins them


def test_transfer_binds_over_a_slow_link() -> None:
    model = ("--model", "llama-2-70b", "--assume", "models.llama-2-70b.context=8192")
    slow = (*model, "--assume", "chips.h100-sxm.connections.scale_out_bandwidth=0.4 GB/s")
    asked = (*APART, "--chip", "h100-sxm", "--user-speed", "none")
    free, bound = best(*asked, *model), best(*asked, *slow)
    t = bound["transfer"]
    assert t["used"] == pytest.approx(min(t["sending"], t["receiving"]), rel=1e-9)
    assert free["transfer"]["used"] < 0.5 * min(free["transfer"]["sending"], free["transfer"]["receiving"])
    binding = {limit["name"] for limit in bound["limits"] if limit["binding"]}
    assert binding & {"sent", "received"}
    assert bound["proof"]["value"] < free["proof"]["value"]


def test_pools_on_different_chips() -> None:
    """Long prompts and short answers: compute for the one pool, cheap memory for the other."""
    asked = (*APART[:4], "--input", "8k", "--output", "64", "--model", "llama-3.1-8b")
    both = best(*asked, "--chip", "h100-sxm,b200-sxm")
    assert {both["prefill"]["chip"], both["system"]["chip"]} == {"h100-sxm", "b200-sxm"}
    for chip in ("h100-sxm", "b200-sxm"):
        assert best(*asked, "--chip", chip)["proof"]["value"] < both["proof"]["value"]
    paths = {line["path"].split(".")[1] for line in both["inputs"]}
    assert {"h100-sxm", "b200-sxm"} <= paths
    assert {"chips.h100-sxm", "chips.b200-sxm"} <= set(both["hashes"])


def test_money_is_of_both_pools() -> None:
    a = best(*FEW, "--spare-servers", "1", "--budget", "$5M", "--power", "none")
    assert sum(a["money"]["capital"].values()) == pytest.approx(a["money"]["capital_usd"])
    assert sum(a["money"]["hourly"].values()) == pytest.approx(a["money"]["hourly_usd"])
    for pool in ("prefill", "system"):
        assert a[pool]["servers_bought"] == a[pool]["servers"] + 1
    used = {limit["name"]: limit["used"] for limit in a["limits"]}
    assert used["budget"] == pytest.approx(a["money"]["capital_usd"])
    assert a["performance"]["throughput"] == pytest.approx(a["performance"]["requests"] * 1024)


def test_users_of_two_pools_are_those_whole_whom_the_rate_keeps() -> None:
    """Little's law: requests/s times the seconds of an answer's steps; a user begun is no user."""
    a = best(*FEW)["performance"]
    stays = a["requests"] * 1023 * a["step_s"]
    assert 1e-6 < stays % 1 < 1 - 1e-6, "rounding would not be seen"
    assert a["users"] == int(stays)


def test_one_pool_has_no_second() -> None:
    a = best("--mode", "achieved", "--chip", "b200-sxm")
    assert (a["prefill"], a["transfer"], a["performance"]["requests"]) == (None, None, None)


def test_terminal_shows_both_pools() -> None:
    said = known("best", *FEW).out
    for part in ("Prefill pool: ", "Decode pool: ", "Transfer of KV caches", "Both pools", "Limits", "Proof", "M/D/1",
                 "in pools apart", "pairs of columns"):  # fmt: skip
        assert part in said


# closed form, program, enumeration


def test_smaller_batches_are_never_needed() -> None:
    """Over every batch instead of those kept, the best is the same: dense, and experts with users to serve."""
    for case in ("users", "experts"):
        p = prepare(built_in(), asked_for(case, "throughput-per-dollar"))
        space, found = p.pools.decode, p.pools
        most = {int(at): int(b) for at, b in zip(found.layout[found.split :], found.batch[found.split :], strict=True)}
        at = np.concatenate([np.full(b, layout) for layout, b in most.items()])
        batch = np.concatenate([np.arange(1.0, b + 1) for b in most.values()])
        stay = (p.query.output - 1) * space.step_s(batch, at)
        first = np.arange(found.split)
        every = pools.Pools(
            found.prefill, space, found.servers, found.cache_bytes, found.split,
            layout=np.concatenate([found.layout[first], at]),
            batch=np.concatenate([found.batch[first], batch]),
            speed=np.concatenate([found.speed[first], batch * space.pipeline[at] / stay]),
            cap=np.concatenate([found.cap[first], np.ones(len(at))]),
            link=pools.links(space)[np.concatenate([found.layout[first], at])],
            pace=np.concatenate([found.pace[first], 1 / stay]), impossible={},
        )  # fmt: skip
        kept = pools_enumeration.enumerate_pairs(p.query, found, p.kept)
        whole = pools_enumeration.enumerate_pairs(p.query, every, pools.every(every))
        assert kept and whole and kept.value == pytest.approx(whole.value, rel=1e-12)
        assert whole.points > kept.points


def test_program_files_have_the_optimum(tmp_path: Path) -> None:
    assert run("best", *FEW, "--export", tmp_path / "out").code == 0
    for name in ("model.lp", "model.mps"):
        assert highs.read_optimum(tmp_path / "out" / name) == pytest.approx(0.0, abs=1e-6)
    assert "disaggregated, objective ratio" in (tmp_path / "out" / "model.lp").read_text(encoding="utf-8")
    again = run("best", tmp_path / "out" / "query.toml", "--json").json
    assert again["proof"]["value"] == best(*FEW)["proof"]["value"]


def test_audit_finds_what_is_broken() -> None:
    q = asked_for("users", "cost")
    p = prepare(built_in(), q)
    both = chosen(p, solve(p))
    assert both is not None
    model = p.pools.decode.model

    def broken(said: str, **changed: Any) -> None:
        with pytest.raises(AuditError, match=said):
            pools_audit.recompute(p.query, model, p.supply, Both(**{**both.__dict__, **changed}))

    d = both.decode
    broken("budget = ", prefill=audit.System(both.prefill.offer, both.prefill.layout, 1, 10))
    broken("users = ", decode=audit.System(d.offer, d.layout, 1, d.replicas))
    broken("cannot be read", decode=audit.System(d.offer, Layout(1, kv="bf16"), d.batch, d.replicas))
    broken("exceeds", decode=audit.System(d.offer, d.layout, 10**6, d.replicas))


# nothing fits, nothing bounds, nothing is decided


CURED = [("--budget", "$300k"), ("--ttft", "0.2 s"), ("--user-speed", "500"), ("--users", "5000"), ("--chips", "8"),
         ("--power", "20 kW"), ("--racks", "1", "--users", "500"), ("--replicas", "1", "--users", "600"),
         ("--users", "300", "--ttft", "0.5 s"), ("--users", "300", "--user-speed", "45")]  # fmt: skip


@pytest.mark.parametrize("asked", [
    asked if at in (1, 2, 3) else pytest.param(asked, marks=pytest.mark.slow) for at, asked in enumerate(CURED)
])
def test_cures_work_and_less_does_not(asked: tuple[str, ...]) -> None:
    done = known("best", *FEW, *asked, "--json")
    assert done.code == 5
    assert done.json["cures"], done.json["in_the_way"]
    for cure in done.json["cures"]:
        name, value = cure["limit"].removeprefix("limits."), cure["value"]
        option, unit = "--" + name.replace("_", "-"), {"budget": " USD", "power": " W", "ttft": " s"}.get(name, "")
        fewer = cure["works"].startswith("at most")
        whole = name in ("chips", "users", "racks", "replicas")
        step = (1 if whole else value * 0.02) * (1 if fewer else -1)
        exact = value if whole else value * (1 - 1e-6 if fewer else 1 + 1e-6)
        for amount, code in ((exact, 0), (value + step, 5)):
            if amount >= 1 or not whole:
                written = f"{amount:.0f}" if whole else f"{amount!r}{unit}"
                assert run("best", *FEW, *asked, option, written).code == code, (cure, written)


def test_terminal_and_verify_of_what_is_infeasible(tmp_path: Path) -> None:
    done = run("best", *FEW, "--budget", "$300k")
    assert (done.code, "would work" in done.out) == (5, True)
    path = put(tmp_path, {"answer.json": known("best", *FEW, "--budget", "$300k", "--json").out}) / "answer.json"
    assert run("verify", path).code == 0
    text = path.read_text(encoding="utf-8").replace("300000.0 USD", "3000000.0 USD")
    path.write_text(text, encoding="utf-8")
    assert "a system exists now" in run("verify", path).out


@pytest.fixture
def _prepared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time ends after the preparation, without which nothing is known."""
    real = disaggregated._pools
    monkeypatch.setattr(disaggregated, "_pools", lambda *asked, **kept: real(*asked[:3], **kept))


@pytest.mark.usefixtures("_prepared_whole")
def test_undecided() -> None:
    done = run("best", *FEW, "--time-limit", "1 us", "--no-removal", "--json")
    assert (done.code, done.json["status"]) == (3, "feasible")
    assert done.json["proof"]["bound"] >= best(*FEW)["proof"]["value"] >= done.json["proof"]["value"]


@pytest.mark.parametrize(("args", "said"), [
    (("--maximize", "user-speed"), "--user-speed"), (("--output", "1"), "at least 2 tokens out"),
    (("--precision", "bf16,fp8"), "--kv-precision"), (("--mode", "limit"), "mode achieved only"),
    (("--maximize", "throughput", "--budget", "none", "--power", "none"), "limits.replicas"),
    (("--budget", "none", "--power", "none"), "limits.budget"), (("--maximize", "cost"), "limits.users"),
])  # fmt: skip
def test_wrong_questions(args: tuple[str, ...], said: str) -> None:
    done = run("best", *FEW, *args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_errors_are_ours() -> None:
    with pytest.raises(UnboundedError, match="grows"):
        prepare(built_in(), query(**SMALL, **H100))
    with pytest.raises(DataError, match="llama-9"):
        prepare(built_in(), query(**SMALL | {"model": "llama-9"}))


def test_a_chip_without_a_link_is_left_out_of_the_columns() -> None:
    q = query(**SMALL, **H100, limits={"chips": 40})
    p = prepare(built_in(), q)
    assert len(p.pools) and not p.pools.impossible.get(f"prefill: {pools.UNLINKED}")
    assert run("best", *APART, "--precision", "bf16,fp8", "--kv-precision", "fp8", "--chip", "b200-sxm").code == 0


# verification


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pools") / "out"
    assert run("best", *FEW, "--users", "200", "--export", out).code == 0
    return out


@pytest.mark.parametrize("args", [
    (), ("--users", "200", "--maximize", "cost"), ("--ttft", "1 s", "--spare-servers", "1", "--budget", "$6M"),
    ("--basis", "rent", "--budget", "$900/h", "--dollars", "per-hour"), ("--no-removal", "--time-limit", "1 us"),
])  # fmt: skip
@pytest.mark.usefixtures("_prepared_whole")
def test_fresh_answer_holds(args: tuple[str, ...], tmp_path: Path) -> None:
    done = run("best", *FEW, *args, "--export", tmp_path / "out")
    assert done.code in (0, 3)
    done = run("verify", tmp_path / "out" / "answer.json")
    assert (done.code, done.err) == (0, ""), done.out
    assert done.out.startswith("the answer holds\nnothing in the catalogue behind it has changed\n")


TAMPERED: dict[str, tuple[Callable[[Any], object], str]] = {
    "value": (lambda a: a["proof"].update(value=a["proof"]["value"] * 1.01), "objective is "),
    "bound": (lambda a: a["proof"].update(bound=a["proof"]["bound"] * 0.99), "better than the recorded bound"),
    "prefill replicas": (lambda a: a["prefill"].update(replicas=a["prefill"]["replicas"] * 9), "budget = "),
    "fewer prefill": (lambda a: a["prefill"].update(pipeline=1, tensor=8), "is "),
    "decode batch": (lambda a: a["system"].update(batch=a["system"]["batch"] + 1), "user_speed = "),
    "prefill chip": (lambda a: a["prefill"].update(chip="h300"), "h300 is not on offer"),
    "layout": (lambda a: a["prefill"].update(tensor=3), "is no layout"),
    "precision": (lambda a: a["system"].update(kv="bf16"), "is no layout"),
    "utilisation": (lambda a: a["prefill"].update(utilisation=0.1), "prefill.utilisation is "),
    "first token": (lambda a: a["prefill"].update(ttft_s=0.1), "prefill.ttft_s is "),
    "transfer": (lambda a: a["transfer"].update(sending=1.0), "transfer.sending is "),
    "cache": (lambda a: a["transfer"].update(bytes_per_request=1.0), "transfer.bytes_per_request is "),
    "requests": (lambda a: a["performance"].update(requests=1.0), "performance.requests is "),
    "money": (lambda a: a["money"].update(capital_usd=1.0), "money.capital_usd is "),
    "limit": (lambda a: a["limits"][0].update(used=1.0), "limits.budget.used is "),
    "no prefill": (lambda a: a.update(prefill=None), "two pools were asked for"),
    "infeasible": (lambda a: a.update(status="infeasible", system=None, prefill=None, proof=None), "exists now"),
    "users": (lambda a: a["query"]["limits"].update(users=4000), "users = "),
    "sooner": (lambda a: a["query"]["limits"].update(ttft="0.5 s"), "ttft = "),
}


@pytest.mark.parametrize("what", [
    what if at % 3 == 0 else pytest.param(what, marks=pytest.mark.slow) for at, what in enumerate(TAMPERED)
])
def test_tampered_answer_is_found(what: str, exported: Path, tmp_path: Path) -> None:
    change, said = TAMPERED[what]
    answer = json.loads((exported / "answer.json").read_text(encoding="utf-8"))
    change(answer)
    done = run("verify", put(tmp_path, {"answer.json": json.dumps(answer)}) / "answer.json")
    assert (done.code, done.err) == (5, ""), done
    assert said in done.out


ROWS: dict[str, tuple[Callable[[list[dict[str, str]]], object], str]] = {
    "speed": (lambda rows: rows[0].update(requests_per_s="1"), "requests_per_s is "),
    "cap": (lambda rows: rows[0].update(utilisation="0.99"), "utilisation is "),
    "bound": (lambda rows: next(r for r in rows if r["bound"]).update(bound="1e-9"), "bound is "),
    "dominated": (lambda rows: next(r for r in rows if not r["removed"]).update(
        removed="dominated: another column of its chip, filling servers alike, serves as much at no higher pace"),
        "no other column dominates it"),
    "column": (lambda rows: rows[0].update(column="99999"), "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("what", ROWS)
def test_tampered_candidates_are_found(what: str, exported: Path, tmp_path: Path) -> None:
    change, said = ROWS[what]
    done = run("verify", tampered_rows(exported, tmp_path, change))
    assert (done.code, said in done.out) == (5, True), done
