"""Generated queries, each with a parameter that moves its best system or might, and the range over which it moves."""

import random
from dataclasses import dataclass
from typing import Any

from codesign.facts.errors import CodesignError
from codesign.study.parameters import Parameter, parameters
from codesign.study.query_study import Warm
from codesign.study.ranges import usual_range
from codesign.system.query import Query
from tests.cases.command import load
from tests.cases.query_strategies import query

MODELS = ("llama-3.1-8b", "llama-3.1-70b", "qwen3-32b", "gemma-3-27b", "mixtral-8x7b", "gpt-oss-20b")
CHIPS = ("h100-sxm", "h200-sxm", "b200-sxm", "mi300x", "mi355x", "gaudi3", "l40s", "gh100")
MAXIMIZE = ("throughput-per-dollar", "throughput-per-dollar", "throughput", "throughput-per-watt", "user-speed", "cost")
KINDS = ("limits.", "context", "memory.", "chips.", "dies.", "prices.", "links.", "servers.", "packages.", "processes.")


@dataclass(frozen=True)
class Case:
    """A warm query and a parameter of it."""

    warm: Warm
    moved: Parameter
    low: float
    high: float


def asked(rng: random.Random) -> Query:
    """A query over two or three chips, with one to three limits."""
    maximize = rng.choice(MAXIMIZE)
    limits: dict[str, Any] = {"budget": rng.choice([3e5, 1e6, 2.5e6, 6e6])}
    extra = {"power": rng.choice([3e4, 1e5, 3e5]), "user_speed": rng.choice([10.0, 25.0, 60.0]),
             "users": rng.choice([8, 60, 400]), "chips": rng.choice([16, 64]), "racks": 4}  # fmt: skip
    limits |= {name: extra[name] for name in rng.sample(sorted(extra), rng.randint(0, 2))}
    if maximize == "cost":
        limits["users"] = extra["users"]
    chips = rng.sample(CHIPS, rng.randint(2, 3))
    return query(
        model=rng.choice(MODELS), context=rng.choice([2048, 8192, 32768]), maximize=maximize, limits=limits,
        precision=["fp8"], allow={"chips": chips}, dollars=rng.choice(["capital", "capital", "per-hour"]),
        spare_servers=rng.choice([0, 0, 0, 1]),
    )  # fmt: skip


def case(seed: int) -> Case:
    """The case of a seed: parameters of all kinds come up; in three of four cases the best system changes."""
    rng = random.Random(seed)
    while True:
        warm = Warm(None, asked(rng), catalog=load())
        today = warm.at({})
        if today.system is None:
            continue
        kind = rng.choice(KINDS)
        every = [p for p in parameters(warm.catalog, warm.query) if p.path.startswith(kind) and p.value > 0]
        near = {today.system.chip.partition("+")[0], today.system.memory}
        mine = [p for p in every if any(f".{name}." in p.path for name in near)]
        moved = rng.choice(mine if mine and rng.random() < 0.8 else every) if every else None
        if moved is None or not (moved.asked or warm.touched([moved.path])):
            continue
        over = usual_range(moved)
        if over is None:
            continue
        wide = 1.0 if moved.whole else rng.choice([1.0, 2.0])
        low, high = max(over.low / wide, moved.least), min(over.high * wide, moved.most)
        if moved.whole:
            low, high = float(-(-low // 1)), float(high // 1)
        try:
            ends = [warm.at({moved.path: value}) for value in (low, high)]
        except CodesignError:  # such a value cannot be
            continue
        differ = [point.system != today.system for point in ends]
        if any(differ) if seed % 4 else ends[0].value != ends[1].value:
            return Case(warm, moved, low, high)
