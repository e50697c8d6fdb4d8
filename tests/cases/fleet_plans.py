"""Small fleet plans for tests: dense models, few kinds, one or two periods; each prepared and solved once."""

import copy
import json
from functools import cache
from typing import Any

from codesign.facts.catalog import Catalog
from codesign.fleet.best_fleet import FleetResult, prepare_and_solve
from codesign.fleet.plan import Plan
from codesign.fleet.reading import checked
from tests.cases.command import load

SMALL: dict[str, Any] = {
    "schema": 1,
    "periods": {"2026": {"year": 2026, "price": 1.0}, "2027": {"year": 2027, "price": 0.9}},
    "workloads": {
        "chat": {"model": "llama-3.1-8b", "input": "1k", "output": "256", "user_speed": "60 tokens/s", "ttft": "500 ms",
                 "requests": ["900 requests/s", "1500 requests/s"]},
        "long": {"model": "llama-3.1-70b", "input": "8k", "output": "512", "requests": "30 requests/s"},
    },
    "allow": {"chips": ["h100-sxm", "b200-sxm"]},
}  # fmt: skip
ONE: dict[str, Any] = {
    "schema": 1,
    "periods": {"2026": {"year": 2026, "price": 1.0}},
    "workloads": {"chat": {"model": "llama-3.1-8b", "input": "1k", "output": "256", "requests": "300 requests/s",
                           "phases": "aggregated"}},
    "allow": {"chips": ["h100-sxm"]},
}  # fmt: skip


def catalog() -> Catalog:
    """Our catalogue, read once."""
    return load()


def table(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A plan's table with keys (dots as __) set; None takes one away."""
    found = copy.deepcopy(base)
    for key, value in changes.items():
        *parents, last = key.split("__")
        spot = found
        for parent in parents:
            spot = spot.setdefault(parent, {})
        if value is None:
            spot.pop(last, None)
        else:
            spot[last] = value
    return found


def plan(base: dict[str, Any], **changes: Any) -> Plan:
    """The checked plan."""
    return checked(catalog(), table(base, **changes), "test")


def solved(base: dict[str, Any], *, extras: bool = False, **changes: Any) -> FleetResult:
    """The answer to a plan, once for each."""
    return _solved(json.dumps(table(base, **changes), sort_keys=False), extras)


@cache
def _solved(text: str, extras: bool) -> FleetResult:
    asked = checked(catalog(), json.loads(text), "test")
    assumed = asked.assumptions()
    return prepare_and_solve(load(None, assumed) if assumed else catalog(), asked, extras=extras)
