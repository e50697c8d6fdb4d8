"""Small questions of robustness, and their answer by brute force: each design bought, and asked about, by itself."""

from contextlib import contextmanager
from typing import Any

import numpy as np

from codesign.changes.robust import Robust, Terms, robust
from codesign.physics import performance
from codesign.study.jobs import Many
from codesign.study.scenario import Asked, asked, value_of
from codesign.study.uncertainty import Scenario
from codesign.system import audit
from tests.cases.command import load
from tests.cases.query_strategies import query

CHIPS = ("h100-sxm", "h200-sxm", "mi300x")
FIELDS = {"model": "llama-3.1-70b", "context": 8192, "hardware": "catalogue", "mode": "limit",
          "allow": {"chips": list(CHIPS)}}  # fmt: skip
QUERIES = {
    "ratio": {"maximize": "throughput-per-dollar", "limits": {"budget": 7e5, "user_speed": 25, "tensor": 8}},
    "spares": {"maximize": "throughput-per-watt", "limits": {"budget": 1e6, "users": 30, "tensor": 8},
               "spare_servers": 1},
    "throughput": {"maximize": "throughput", "limits": {"power": 3e4, "user_speed": 25, "replicas": 5, "tensor": 8}},
    "speed": {"maximize": "user-speed", "limits": {"budget": 8e5, "users": 20, "tensor": 8}},
    "cost": {"maximize": "cost", "limits": {"users": 150, "user_speed": 25, "tensor": 8, "budget": 3e6}},
    "experts": {"model": "mixtral-8x7b", "maximize": "throughput-per-dollar",
                "limits": {"budget": 7e5, "user_speed": 25, "tensor": 4, "chips": 8}},
}  # fmt: skip


DOUBT = """
schema = 1
[[uncertain]]
paths = ["chips.*.price"]
factor = [0.6, 1.7]
shared = false
[[uncertain]]
paths = ["chips.*.bandwidth"]
distribution = "loguniform"
factor = [0.7, 1.4]
shared = false
"""


@contextmanager
def no_bar(what: str, total: int) -> Any:
    yield lambda seen: None


def ask(name: str, many: Many = Many(), **terms: Any) -> Robust:  # noqa: B008 - frozen
    return robust(load(), query(**FIELDS | QUERIES[name]), Terms(**{"count": 12} | terms), many, no_bar)


def question_of(name: str) -> Asked:
    return asked(load(), query(**FIELDS | QUERIES[name]))


def value_by_batches(question: Asked, scenario: Scenario, chip: str, layout: Any, replicas: int) -> float:
    """Merit of one design: every batch tried by the domain's formulas; 0 where each breaks a limit."""
    p = question.at(scenario, [chip])
    if not p.supply.offers:
        return 0.0
    best, offer = 0.0, p.supply.offers[0]
    room = performance.room(p.space.model, offer.chip, layout, p.query.context)
    for batch in range(1, room + 1):
        try:
            value = value_of(p, scenario, audit.System(offer, layout, batch, replicas))
        except audit.AuditError:
            continue
        best = max(best, 1 / value if p.query.maximize == "cost" else value)
    return best


def every_design(question: Asked, scenarios: list[Scenario]) -> tuple[list[tuple[str, Any, int]], np.ndarray]:
    """Each layout with 1 .. the most replicas that fit in any scenario, and their merits (designs x scenarios)."""
    from codesign.study.designs import Designs, codes_in, kinds_of, merits
    from codesign.system.columns import most_replicas

    prepared = [question.at(scenario) for scenario in scenarios]
    kinds = kinds_of(prepared[0])
    most: dict[int, int] = {}
    layouts: dict[int, tuple[str, Any]] = {}
    for p in prepared:
        codes, counts = codes_in(p, kinds), most_replicas(p.query, p.space, p.servers)
        for at in np.flatnonzero((p.space.reason == 0) & (counts >= 1)).tolist():
            code = int(codes[at])
            most[code] = max(most.get(code, 0), int(min(counts[at], 60)))
            layouts[code] = (p.supply.offers[int(p.space.chip[at])].chip.name, p.space.layout(at))
    pairs = [(code, r) for code, n in most.items() for r in range(1, n + 1)]
    designs = Designs(kinds, *(np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1)))
    merit = np.stack([merits(p, designs).merit for p in prepared], axis=1)
    return [(*layouts[code], r) for code, r in pairs], merit
