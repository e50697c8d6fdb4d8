"""Queries by Hypothesis over a few real chips; each limit is absent, loose, just enough, or just short."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from codesign.facts import catalog
from codesign.facts.catalog import Catalog
from codesign.facts.records import ModelRecord
from codesign.physics import performance
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout
from codesign.physics.workload import Model
from codesign.system import offers as supply
from codesign.system.objective import MAXIMIZE
from codesign.system.query import Query
from tests.cases import query_reference as reference

DENSE = ("llama-3.1-8b", "llama-3.1-70b", "gemma-3-27b", "qwen3-32b")  # gemma: sliding windows
EXPERTS = ("mixtral-8x7b", "gpt-oss-20b", "qwen3-30b-a3b", "llama-4-scout", "deepseek-v3")  # deepseek: MLA
CHIPS = {
    "buy": ("h100-sxm", "h200-sxm", "b200-sxm", "gb200-nvl72", "mi300x", "mi355x", "gaudi3", "l4", "l40s", "h100-nvl",
            "h20", "rtx-pro-6000-server", "a100-80-sxm", "arc-pro-b60"),
    "hyperscaler": ("h100-sxm", "h200-sxm", "b200-sxm", "gb200-nvl72", "mi300x"),
    "rent": ("h100-sxm", "h200-sxm", "l4", "l40s", "h100-nvl", "tpu-v5e", "tpu-v5p", "trainium2", "trainium3"),
}  # fmt: skip
DIES = (("gh100", "hbm3"), ("ad102", "gddr7"), ("ga100", "hbm2e"), ("gb202", "gddr7"))
SHARED = ("budget", "hourly", "power", "chips", "racks", "replicas")
WHOLE = ("chips", "racks", "replicas", "users", "tensor")
UNITS = {"budget": "USD", "hourly": "USD/h", "power": "W", "user_speed": "tokens/s", "ttft": "s"}
SOME = {"budget": 3e6, "hourly": 300.0, "power": 2e5, "chips": 64, "racks": 8, "replicas": 8, "users": 100,
        "user_speed": 30.0, "tensor": 8}  # fmt: skip
JUST = 1e-6  # relative: how far a limit is from what a system takes


@cache
def built_in() -> Catalog:
    """The catalogue, read once."""
    return catalog.load()


def query(**fields: Any) -> Query:
    """A query of SI numbers; limits get their units."""
    given = fields.get("limits", {}).items()
    limits = {name: f"{amount!r} {UNITS[name]}" if name in UNITS else amount for name, amount in given}
    return Query.model_validate({"mode": "limit", "schema": 1} | fields | {"limits": limits})


@st.composite
def _plain(draw: st.DrawFn, maximize: str, models: tuple[str, ...]) -> dict[str, Any]:
    """Fields of a query without limits."""
    model, precisions = draw(st.sampled_from(models)), st.sampled_from(["fp8", "bf16", "fp4", "int8"])
    most = 3 if model in DENSE else 2 if model != "deepseek-v3" else 1
    basis = draw(st.sampled_from(["buy", "buy", "hyperscaler", "rent"]))
    dollars = draw(st.sampled_from(["capital", "per-hour"]))
    if basis != "buy" and maximize in ("throughput-per-dollar", "cost"):
        dollars = "per-hour"
    fields: dict[str, Any] = {
        "model": model, "maximize": maximize, "basis": basis, "dollars": dollars,
        "context": draw(st.sampled_from([1000, 4096, 8192, 32768, 131072]) | st.integers(1000, 131072)),
        "precision": draw(st.lists(precisions, min_size=1, max_size=2, unique=True)),
        "kv_precision": draw(st.sampled_from([None, None, "bf16", "fp8", "fp4"])),
        "spare_servers": draw(st.sampled_from([0, 0, 0, 1, 2])),
        "hardware": "catalogue", "allow": {"chips": draw(st.lists(
            st.sampled_from(CHIPS[basis]), min_size=1, max_size=most, unique=True))},
    }  # fmt: skip
    fields["context"] = min(fields["context"], built_in().get(ModelRecord, model).context)
    if draw(st.integers(0, 7)) == 7:  # many users to look at one by one
        fields["context"] = draw(st.sampled_from([128, 500]))
        fields["precision"], fields["allow"]["chips"] = fields["precision"][:1], fields["allow"]["chips"][:1]
    elif basis == "buy" and model in DENSE and draw(st.integers(0, 4)) == 4:
        die, memory = draw(st.sampled_from(DIES))
        price = draw(st.sampled_from(["sold", "cost"]))
        fields |= {"hardware": "composed", "price_basis": price, "allow": {"chips": [die], "memories": [memory]}}
    return fields


def _runs(model: Model, chip: Chip, layout: Layout, context: int) -> int:
    """Room of a layout; 0 where no link reaches so far."""
    try:
        performance.decode_step(model, chip, layout, 1, context)
    except ValueError:
        return 0
    return performance.room(model, chip, layout, context)


@st.composite
def _system(draw: st.DrawFn, plain: Query) -> dict[str, float]:
    """What some system that can run takes of every limit, and gives its users; SOME if nothing can run."""
    model, offers = reference.model_of(built_in(), plain), supply.supply(built_in(), plain).offers
    if not offers:
        return SOME
    offer = draw(st.sampled_from(offers))
    with reference.remembering():
        every = reference.layouts(model, offer.chip, plain)
        rooms = [(x, room) for x in every if (room := _runs(model, offer.chip, x, plain.context)) > 0]
    if not rooms:
        return SOME
    layout, room = draw(st.sampled_from(rooms))
    batch, replicas = draw(st.integers(1, room)), draw(st.integers(1, 4) | st.integers(1, 24))
    known = {"budget": offer.bill.capital_usd, "power": offer.bill.power_w}
    limited = dict.fromkeys((name for name in SHARED if known.get(name, 1) is not None), 1)
    asked = plain.model_copy(update={"limits": plain.limits.model_copy(update=limited)})
    taken = reference.Place(offer, layout, None).taken(asked, replicas)
    speed = 1 / performance.decode_step(model, offer.chip, layout, batch, plain.context).step_s
    return {**taken, "users": replicas * layout.pipeline * batch, "user_speed": speed, "tensor": layout.tensor}


def _limit(name: str, amount: float, kind: str) -> float | int:
    """The limit that leaves a system room to spare, is just met, or is just missed."""
    at_least = name in ("users", "user_speed")
    scale = {"loose": 3.0, "poor": 0.3, "starved": 0.03}.get(kind, 1.0) ** (-1 if at_least else 1)
    step = {"just": 1, "short": -1}.get(kind, 0) * (-1 if at_least else 1)
    if name in WHOLE:
        return max(1, round(amount * scale) + (step if kind == "short" else 0))
    return amount * scale * (1 + step * JUST)


@st.composite
def queries(
    draw: st.DrawFn, maximize: str | None = None, *, models: tuple[str, ...] = DENSE + EXPERTS, tight: bool = False
) -> Query:
    """A query whose limits are those of one or two systems, moved a little; `tight`: most are short."""
    maximize = maximize or draw(st.sampled_from(MAXIMIZE))
    fields = draw(_plain(maximize, models))
    plain = query(**fields, limits={"users": 1} if maximize == "cost" else {})
    systems = [draw(_system(plain)), draw(_system(plain))]
    kinds = ["starved", "poor", "short"] if tight else ["loose", "loose", "just", "exact", "short"]
    every = st.sampled_from((*SHARED, "users", "user_speed", "tensor"))
    names = draw(st.lists(every, min_size=1, max_size=4, unique=True))
    if tight or maximize == "throughput":
        names += [draw(st.sampled_from(SHARED))]
    if tight:
        names += [draw(st.sampled_from(["users", "user_speed"]))]
    limits: dict[str, Any] = {"users": 100} if maximize == "cost" else {}
    if fields["model"] == "deepseek-v3" or fields["context"] < 1000:  # else too much for enumeration
        limits["tensor"] = draw(st.sampled_from([4, 8]))
    for name in dict.fromkeys(names):
        amount = draw(st.sampled_from(systems)).get(name)
        if amount is not None and (name != "budget" or plain.basis == "buy"):
            limits[name] = _limit(name, amount, draw(st.sampled_from(kinds)))
    return query(**fields, limits=limits)
