"""The query against enumeration in plain Python: same optimum, no limit broken, bound on the right side."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings

from codesign.facts.errors import UnboundedError
from codesign.physics import chips as readers
from codesign.physics import performance
from codesign.physics.layout import Layout
from codesign.system import audit
from codesign.system import disaggregated as two_pools
from codesign.system.answer import Answer
from codesign.system.best_system import prepare, prepare_and_solve, solve
from codesign.system.layouts import Space, enumerate_space
from codesign.system.objective import MAXIMIZE
from codesign.system.prepared import PreparedPools
from codesign.system.query import Query
from tests.cases import query_reference as reference
from tests.cases.query_strategies import JUST, built_in, queries, query

SAME = 1e-9  # relative; the promise is 1e-6
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "gemma-3-27b", "mixtral-8x7b", "gpt-oss-20b", "qwen3-30b-a3b",
          "llama-4-scout", "deepseek-v3", "kimi-k2")  # fmt: skip
CHIPS = ("h100-sxm", "gb200-nvl72", "trainium2", "tpu-v5e", "l4", "h100-nvl", "cerebras-wse3")  # domains 1 to 256
H100 = {"model": "llama-3.1-70b", "context": 8192, "hardware": "catalogue", "allow": {"chips": ["h100-sxm"]}}


def repeat(examples: int, strategy: Any, test: Callable[[Any], None], *, start: str) -> None:
    """`test` on so many examples, the same in every run, and others for another `start`."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settled = settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=slow)
    settled(seed(zlib.crc32(start.encode()))(given(strategy)(test)))()


def agree(asked: Query, *, removal: tuple[bool, ...] = (True,)) -> str:
    """Solve, with removal and without as told, and compare with the reference; the status, or "unbounded"."""
    best = reference.optimum(built_in(), asked)
    if best is not None and reference.unbounded(asked):
        with pytest.raises(UnboundedError):
            prepare(built_in(), asked)
        return "unbounded"
    results = [prepare_and_solve(built_in(), asked, removal=one, enumerate_all=False) for one in removal]
    p = results[0].prepared
    assert audit.enumerate_all(asked, p.space, p.servers).value == (best and pytest.approx(best, rel=SAME))
    (status,) = {check(asked, result.answer, best) for result in results}
    return status


def check(asked: Query, answer: Answer, best: float | None) -> str:
    """The answer's status, where it is right about the best value."""
    if best is None:
        assert answer.status == "infeasible" and answer.system is None and answer.proof is None
        return answer.status
    assert answer.status == "optimal" and answer.proof is not None and answer.proof.bound is not None
    assert answer.proof.value == pytest.approx(best, rel=SAME)
    assert reference.check(built_in(), asked, answer) == pytest.approx(best, rel=SAME)
    sign = -1 if asked.maximize == "cost" else 1
    assert sign * (answer.proof.bound - best) >= -SAME * best, "bound on the wrong side"
    assert abs(answer.proof.bound - answer.proof.value) <= 1e-6 * best and answer.proof.gap <= 1e-6
    return answer.status


@pytest.mark.parametrize("maximize", MAXIMIZE)
def test_matches_enumeration(maximize: str) -> None:
    seen, strategy = [], queries(maximize) | queries(maximize, tight=True)
    repeat(12, strategy, lambda asked: seen.append(agree(asked)), start=maximize)
    assert {"optimal", "infeasible"} <= set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("maximize", MAXIMIZE)
@pytest.mark.parametrize("tight", [False, True])
def test_matches_enumeration_with_removal_and_without(maximize: str, tight: bool) -> None:
    seen: list[str] = []
    count = 40 if tight and maximize == "cost" else 20  # few of those are feasible
    repeat(count, queries(maximize, tight=tight), lambda asked: seen.append(agree(asked, removal=(True, False))),
           start=f"{maximize} {tight}")  # fmt: skip
    assert "optimal" in seen and len(seen) >= 20
    assert "infeasible" in seen or not tight


@pytest.mark.parametrize(
    ("maximize", "spares", "limits"),
    [("throughput", 0, {}), ("throughput", 0, {"users": 9}), ("throughput", 1, {"user_speed": 9.0, "tensor": 8}),
     ("throughput-per-dollar", 1, {}), ("throughput-per-watt", 2, {"users": 9})],
)  # fmt: skip
def test_unbounded_names_the_limits_that_would_do(maximize: str, spares: int, limits: dict[str, Any]) -> None:
    asked = query(**H100, maximize=maximize, spare_servers=spares, limits=limits)
    with pytest.raises(UnboundedError, match=r"limits\.budget.*limits\.replicas"):
        prepare(built_in(), asked)
    for bound in ({"racks": 2}, {"replicas": 3}, {"power": 1e5}):
        assert agree(asked.model_copy(update={"limits": query(**H100, limits=limits | bound).limits})) == "optimal"


@pytest.mark.parametrize(
    ("chip", "spares", "limits", "replicas"),
    [("h100-sxm", 0, {"replicas": 3, "tensor": 4}, 2), ("h100-sxm", 0, {"chips": 32, "tensor": 1}, 8),
     ("gb200-nvl72", 0, {"replicas": 11}, 9), ("gb200-nvl72", 1, {"replicas": 7}, 6)],
)  # fmt: skip
def test_fewer_replicas_in_full_servers_can_be_best(
    chip: str, spares: int, limits: dict[str, Any], replicas: int
) -> None:
    """By the dollar; the throughput of the same question takes every replica allowed."""
    changed = {"limits": limits | {"user_speed": 40.0}, "spare_servers": spares, "allow": {"chips": [chip]}}
    asked = query(**H100 | changed)
    assert agree(asked, removal=(True, False)) == "optimal"
    answer = prepare_and_solve(built_in(), asked).answer
    assert answer.system is not None and answer.system.replicas == replicas
    most = prepare_and_solve(built_in(), asked.model_copy(update={"maximize": "throughput"})).answer
    assert agree(asked.model_copy(update={"maximize": "throughput"})) == "optimal"
    assert most.system is not None and most.system.replicas == limits.get("replicas", most.system.replicas)


@pytest.mark.parametrize("maximize", MAXIMIZE)
@pytest.mark.parametrize("lacks", ["speed", "memory", "offers"])
def test_infeasible_without_a_shared_limit_is_not_unbounded(maximize: str, lacks: str) -> None:
    """Too fast for any layout; no layout holds the weights; no chip has the precision."""
    changed: dict[str, Any] = {
        "speed": {"limits": {"user_speed": 1e6, "users": 2}},
        "memory": {"limits": {"tensor": 1, "users": 2}, "model": "kimi-k2", "allow": {"chips": ["l4"]}},
        "offers": {"limits": {"users": 2}, "precision": ["fp4"]},
    }[lacks]
    assert agree(query(**H100 | {"maximize": maximize, "spare_servers": 1} | changed)) == "infeasible"


@pytest.mark.parametrize(("expert", "pace_at", "best_at"), [(2, 22, 21), (2, 33, 32), (4, 22, 21)])
def test_best_batch_inside_its_range_is_found_by_refinement(expert: int, pace_at: int, best_at: int) -> None:
    """Where one more user costs more than it brings, the lines below the experts' curve need cutting."""
    fields = H100 | {"model": "llama-4-scout", "context": 4000}
    everything, layout = reference.places(built_in(), query(**fields)), Layout(8, 1, 1, expert, "fp8", "fp8")
    (spread,) = [x for x in everything if x.layout == layout]
    pace = (1 - JUST) / float(spread.step_s[pace_at - 1])
    asked = query(**fields, limits={"tensor": 8, "replicas": 4, "user_speed": pace})
    p = prepare(built_in(), asked)
    only = np.flatnonzero(p.space.experts[p.columns.layout] == expert)
    arrays = {name: getattr(p.columns, name)[only] for name in ("layout", "true_batch", "true_value")}
    narrow = replace(p.columns, instance=p.columns.instance.only(only), **arrays)
    assert narrow.true_batch[narrow.incumbent()[0]] == best_at, "the closed form does not see it"
    solved, every = solve(replace(p, columns=narrow)), reference.places(built_in(), asked)
    best = max(x.value(asked) or 0.0 for x in every if x.layout.expert == expert)
    assert spread.value(asked) == best and np.argmax(np.arange(1, pace_at + 1) / spread.step_s[:pace_at]) == best_at - 1
    assert solved.rounds > 1 and solved.outcome.solution.batch == best_at
    assert asked.objective.si(solved.outcome.value) == pytest.approx(best, rel=SAME)
    assert asked.objective.si(solved.outcome.bound) == pytest.approx(best, rel=1e-6)


def space_of(model: str, context: int) -> tuple[Space, Query]:
    """All layouts of CHIPS, one more without any scale-out bandwidth, and what was asked."""
    every = ["bf16", "fp8", "fp4", "int8"]
    asked = query(model=model, context=context, precision=every, hardware="catalogue", allow={"chips": CHIPS})
    chips = [one for one in readers.all_chips(built_in(), "catalogue") if one.name in CHIPS]
    chips = [one if one.vector else replace(one, vector=1e13) for one in chips]
    h100 = next(one for one in chips if one.name == "h100-sxm")
    chips.append(replace(h100, name="unknown", scale_out_bandwidth=None))
    pairs = [(weights, asked.kv(weights)) for weights in asked.precision]
    return enumerate_space(reference.model_of(built_in(), asked), chips, pairs, context), asked


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("context", [128, 100_000])
def test_space_is_the_scalar_physics(model: str, context: int) -> None:
    space, asked = space_of(model, context)
    expected = {(c.name, x) for c in space.chips for x in reference.layouts(space.model, c, asked)}
    assert {(space.chips[space.chip[i]].name, space.layout(i)) for i in range(len(space))} == expected
    random, seen = np.random.default_rng(7), set()
    for position in random.choice(len(space), 300).tolist():
        chip, layout = space.chips[space.chip[position]], space.layout(position)
        reason, room = int(space.reason[position]), performance.room(space.model, chip, layout, context)
        seen.add(reason)
        assert (reason == 0 or reason <= 2) if room else reason > 0
        assert int(space.room[position]) == room
        for batch in (1, 2, int(random.integers(3, 100)), int(random.integers(100, 100_000))):
            if reason in (1, 2):
                with pytest.raises(ValueError, match="has no"):
                    performance.decode_step(space.model, chip, layout, batch, context)
            else:
                exactly = performance.decode_step(space.model, chip, layout, batch, context).step_s
                assert float(space.step_s(batch, position)) == pytest.approx(exactly, rel=1e-12)
    assert {0, 1, 2} <= seen


def test_space_keeps_to_the_tensor_and_chip_limits() -> None:
    model = reference.model_of(built_in(), query(**H100))
    chips = [one for one in readers.all_chips(built_in(), "catalogue") if one.name == "h100-sxm"]
    space = enumerate_space(model, chips, [("fp8", "fp8")], 8192, most_tensor=4, most_chips=16)
    assert space.tensor.max() == 4
    assert ((space.reason == 3) == (space.tensor * space.pipeline > 16)).all() and (space.reason == 3).any()


@pytest.mark.parametrize("fields", [
    {"price_basis": "sold"}, {"price_basis": "cost"}, {"basis": "rent"}, {"basis": "hyperscaler"},
])  # fmt: skip
def test_money_is_counted_on_the_basis_asked_for(fields: dict[str, str]) -> None:
    """Each basis reads a number of its own from the chip; no two of them are equal."""
    limits = {"chips": 16} | ({"hourly": 1e4} if "basis" in fields else {"budget": 1e7})
    asked = query(model="llama-3.1-70b", context=8192, hardware="catalogue", maximize="throughput", limits=limits,
                  allow={"chips": ["h100-sxm"]}, **fields)  # fmt: skip
    answer = prepare_and_solve(built_in(), asked).answer
    key = {"sold": "price", "cost": "manufacturing_cost"}.get(fields.get("price_basis", ""), fields.get("basis"))
    every = {name: built_in().fact(f"chips.h100-sxm.{name}").si
             for name in ("price", "manufacturing_cost", "rent", "hyperscaler")}  # fmt: skip
    assert answer.system is not None and answer.money is not None and len(set(every.values())) == 4
    chips, paid = answer.system.chips_bought, every[str(key)]
    if "basis" in fields:
        assert answer.money.hourly_usd == pytest.approx(chips * paid) and answer.money.capital_usd is None
    else:
        assert answer.money.capital["chips"] == pytest.approx(chips * paid)
    assert answer.query.get(next(iter(fields))) == next(iter(fields.values()))


SHARED = {"budget": ("dollars", "budget"), "hourly": ("hourly", "hourly_budget"), "power": ("watts", "power"),
          "chips": ("chips", "chip_limit"), "racks": ("racks", "rack_limit")}  # fmt: skip


@pytest.mark.parametrize("phases", ["aggregated", "disaggregated"])
@pytest.mark.parametrize("limit", SHARED)
def test_a_limit_and_what_servers_take_of_it_are_in_one_unit(limit: str, phases: str) -> None:
    """Share of the limit that one server takes, in the program and by the catalogue's own numbers."""
    allowed = {"budget": 3e6, "hourly": 400.0, "power": 9e4, "chips": 64, "racks": 2}[limit]
    pools = {"mode": "achieved", "serving": {"input": 512, "output": 64, "phases": phases}}
    asked = query(model="llama-3.1-70b", context=8192, hardware="catalogue", maximize="throughput",
                  limits={limit: allowed}, allow={"chips": ["h100-sxm"]}, **pools)  # fmt: skip
    p = two_pools.prepare(built_in(), asked) if phases == "disaggregated" else prepare(built_in(), asked)
    (offer,) = p.supply.offers
    bill, server = offer.bill, offer.chip.server
    taken = {"budget": bill.capital_usd, "hourly": bill.hourly_usd, "power": bill.power_w, "chips": bill.chips,
             "racks": 1 / server.per_rack if server else None}[limit]  # fmt: skip
    each, name = SHARED[limit]
    data = p.instance if isinstance(p, PreparedPools) else p.columns.instance
    assert len(data.columns) and taken is not None
    assert getattr(data, each) / getattr(data, name) == pytest.approx(np.full(len(data.columns), taken / allowed))


@pytest.mark.parametrize("replicas", [1, 5, 9])
def test_a_rack_begun_is_a_rack_taken(replicas: int) -> None:
    """Servers of 8 chips, several to a rack: racks are counted whole in what is told and held against a limit."""
    asked = query(**H100, maximize="throughput", limits={"chips": 8 * replicas, "racks": 9})
    answer = prepare_and_solve(built_in(), asked).answer
    server = prepare(built_in(), asked).supply.offers[0].chip.server
    assert answer.system is not None and server is not None and server.per_rack > 1
    racks = -(-answer.system.servers_bought // server.per_rack)
    assert answer.system.racks == racks
    assert [x.used for x in answer.limits if x.name == "racks"] == [racks]
