"""A changed query answered warm is the one answered cold; each change touches the chips that it can move."""

import pytest

from codesign.facts.errors import DataError
from codesign.study.parameters import changed, parameters
from codesign.study.query_study import Warm
from codesign.system.best_system import best_system_under
from tests.cases.command import load
from tests.cases.query_strategies import query

ONE = {"maximize": "throughput-per-dollar", "limits": {"budget": 2e6, "power": 1e5, "user_speed": 20}}
CHEAP = {"maximize": "cost", "dollars": "per-hour", "limits": {"users": 300, "user_speed": 20}}
FAST = {"maximize": "user-speed", "limits": {"budget": 1e6, "users": 20}}
FIELDS = {"model": "llama-3.1-70b", "context": 8192, "hardware": "any",
          "allow": {"chips": ["h100-sxm", "h200-sxm", "gh100", "mi300x"]}}  # fmt: skip
FACTORS = {
    "memory.hbm3.price": 2.0, "memory.hbm3e-8hi.bandwidth": 0.5, "memory.hbm3.capacity": 1.5, "dies.gh100.margin": 0.9,
    "chips.h200-sxm.price": 0.4, "chips.mi300x.bandwidth": 1.3, "links.nvlink4.limit.0.latency": 4.0,
    "servers.hgx-hopper.power": 3.0, "processes.n4.wafer_price": 2.0, "packages.cowos-s.price": 3.0, "context": 1.37,
    "prices.default.facility": 2.5, "prices.default.cost_of_money": 2.0,
    "limits.budget": 0.7, "limits.power": 0.6, "limits.user_speed": 1.2, "limits.users": 2.0,
}  # fmt: skip


def same(warm: Warm, changes: dict[str, float]) -> None:
    catalog, asked = changed(load(), warm.asked, changes)
    cold, hot = best_system_under(catalog, asked), warm.at(changes, proven=True)
    assert (cold.status, hot.system is None) == (hot.status, cold.system is None)
    if cold.system is not None and hot.system is not None:
        assert hot.value == pytest.approx(cold.proof.value, rel=1e-12)
        assert hot.bound == pytest.approx(cold.proof.bound, rel=1e-9)
        for name in ("chip", "memory", "stacks", "tensor", "pipeline", "weights", "kv", "replicas"):
            assert getattr(hot.system, name) == getattr(cold.system, name), name
        assert hot.batch == cold.system.batch


@pytest.mark.parametrize(
    "fields",
    [pytest.param(ONE, marks=pytest.mark.slow), pytest.param(CHEAP, marks=pytest.mark.slow), FAST],
    ids=["ratio", "cost", "speed"],
)
def test_warm_answers_are_cold_answers(fields: dict):
    warm = Warm(None, query(**FIELDS, **fields), catalog=load())
    known = {p.path: p for p in parameters(warm.catalog, warm.query)}
    same(warm, {})
    for path, factor in FACTORS.items():
        if not path.startswith("limits.") or path in known:
            value = known[path].value * factor
            same(warm, {path: float(round(value)) if known[path].whole else value})
    same(warm, {"limits.racks": 2.0, "limits.power": 6e4})
    same(warm, {"memory.hbm3.price": 1e-8, "prices.default.pue": 1.4, "chips.mi300x.power": 1200.0})


def test_a_model_with_experts_and_mode_achieved_are_answered_alike():
    moe = query(**FIELDS | {"model": "mixtral-8x7b"}, **ONE)
    same(Warm(None, moe, catalog=load()), {"chips.h200-sxm.price": 15000.0})
    served = query(**FIELDS | {"hardware": "catalogue", "allow": {"chips": ["h100-sxm", "h200-sxm"]}}, **ONE,
                   mode="achieved")  # fmt: skip
    warm = Warm(None, served, catalog=load())
    for changes in ({"chips.h200-sxm.price": 15000.0}, {"chips.h100-sxm.bandwidth": 5e12}, {"limits.budget": 4e6}):
        same(warm, changes)


def test_a_number_touches_only_the_chips_that_it_can_move():
    warm = Warm(None, query(**FIELDS, **ONE), catalog=load())
    names = {offer.chip.name for offer in warm.supply.offers}
    assert warm.touched(["chips.mi300x.price"]) == {"mi300x"}
    assert warm.touched(["memory.hbm3.price"]) == {n for n in names if n.startswith("gh100") and n.endswith("xhbm3")}
    assert warm.touched(["limits.budget"]) == warm.touched(["prices.default.pue"]) == names
    assert warm.touched(["links.infinity-fabric.hop"]) == {"mi300x"}
    untouched = warm.profile(warm.case({}))
    for path in ("servers.hgx-hopper.price", "links.nvlink4.hop", "dies.gh100.logic_power"):
        value = next(p.value for p in parameters(warm.catalog, warm.query) if p.path == path)
        case = warm.case({path: value * 1.7})
        moved = warm.profile(case)
        shared = set(moved.code.tolist()) & set(untouched.code.tolist())
        assert shared
        here = {offer.chip.name for offer in warm.supply.offers} - warm.touched([path])
        numbers = {warm.number(name) for name in here}
        for code in shared:
            if code >> 39 in numbers:
                was, now = (p.merit[list(p.code).index(code)] for p in (untouched, moved))
                assert was == now, path


def test_two_pools_are_refused_plainly():
    pools = query(**FIELDS | {"hardware": "catalogue"}, **ONE, mode="achieved", serving={"phases": "disaggregated"})
    with pytest.raises(DataError, match="for one pool"):
        Warm(None, pools, catalog=load())
