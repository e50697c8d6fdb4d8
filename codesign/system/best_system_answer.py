"""The words and numbers of a best-system answer, from what was prepared, solved and audited."""

import math
from collections import Counter
from typing import Any

import numpy as np

from codesign.facts.document import LimitPart
from codesign.facts.records import AchievedRecord
from codesign.physics.performance import Layout
from codesign.physics.serving import BLOCK, Deployment
from codesign.system import answer_parts as parts
from codesign.system.answer import Answer, OtherPart, PerformancePart, ProofPart
from codesign.system.audit import Audited, System, servers_for
from codesign.system.columns import most_replicas
from codesign.system.cures import Cures
from codesign.system.prepared import Looked, Prepared, Question, Solved
from codesign.system.query import Query
from codesign.system.serving_space import MOST_RUNNING

LIMIT_UNITS = {
    "budget": "USD", "hourly": "USD/h", "power": "W", "chips": "chips", "racks": "racks", "replicas": "replicas",
    "tensor": "chips", "user_speed": "tokens/s", "users": "users", "memory": "B", "ttft": "s",
}  # fmt: skip


def direction(query: Query) -> int:
    """1 where more is better, -1 where less is."""
    return -1 if query.maximize == "cost" else 1


def better(query: Query, value: float, than: float) -> bool:
    """Whether one objective value (SI) beats another."""
    return direction(query) * (value - than) > 0


def objective_si(query: Query, value: float | None) -> float | None:
    """A value in the program's unit as the objective in SI (see `audit.objective`)."""
    if value is None:
        return None
    if query.maximize == "user-speed":
        return 1e3 / value if value > 0 else None
    if query.maximize == "cost":
        return value * 1e3 if query.dollars == "capital" else value
    hourly = query.maximize == "throughput-per-dollar" and query.dollars == "per-hour"
    per_ms = query.maximize == "throughput" or hourly
    return value * 1e3 if per_ms else value


def objective_unit(query: Query) -> str:
    """Unit of the objective."""
    money = "USD" if query.dollars == "capital" else "USD/h"
    return {
        "throughput": "tokens/s", "user-speed": "tokens/s", "cost": money,
        "throughput-per-watt": "tokens/s/W", "throughput-per-dollar": "tokens/s per " + money,
    }[query.maximize]  # fmt: skip


def layout_name(layout: Layout | Deployment) -> str:
    """ "TP8 PP2 EP1 fp8": how people write a layout."""
    data = f" DP{layout.data}" if isinstance(layout, Deployment) and layout.data > 1 else ""
    expert = f" EP{layout.expert}" if layout.expert > 1 else ""
    return f"TP{layout.tensor}{data} PP{layout.pipeline}{expert} {parts.weights(layout)}"


def answer(
    p: Prepared, solved: Solved, system: System, a: Audited, every: Looked, seconds: dict[str, float]
) -> Answer:
    """The document of a system found."""
    trace = solved.proof.trace
    search = parts.Search(
        columns=len(solved.columns.layout), solved=solved.proof.solved, nodes=solved.proof.nodes, seconds=seconds,
        solves=solved.rounds if trace is None else trace.solves + solved.rounds - 1,
        bound=objective_si(p.query, solved.bound()),
    )  # fmt: skip
    return document(p, system, a, every, search)


def document(p: Prepared, system: System, a: Audited, every: Looked, search: parts.Search) -> Answer:
    """The document of a system; optimal where the program or the enumeration proves it."""
    proof = _proof(p, a, every, search)
    return Answer(
        status="feasible" if proof.method == "none" else "optimal",
        system=parts.system(system, a), performance=_performance(p.query, system, a),
        money=parts.money(p, [(system.offer.bill, a.servers_bought)], a), limits=_limits(system, a), proof=proof,
        others=_others(p, a.value), assumptions=assumptions_of(p), **parts.asked(p), **parts.behind(p, [system]),
    )  # fmt: skip


def infeasible(p: Prepared, cures: Cures) -> Answer:
    """The document of a query that nothing satisfies."""
    return parts.infeasible(p, cures, assumptions_of(p))


def _performance(query: Query, s: System, a: Audited) -> PerformancePart:
    shares = dict(a.time.busy)
    return PerformancePart(
        step_s=a.time.step_s, step_band_s=a.time.band_s, ttft_s=a.time.ttft_s, user_speed=a.user_speed, users=a.users,
        throughput=a.throughput, shares=shares, limiting=max(shares, key=lambda name: shares[name]),
        batch_limited_by=batch_limit(query, s, a), memory_bytes=a.time.memory_bytes,
        usable_bytes=a.time.memory_limit, room=a.time.room,
    )  # fmt: skip


def batch_limit(query: Query, s: System, a: Audited) -> str:
    """What keeps the batch of a system from growing."""
    if query.maximize in ("user-speed", "cost"):
        return "users asked for" if query.limits.users else "one user is fastest"
    if s.batch >= a.time.room:
        full = a.time.memory_bytes * (1 + 1 / max(s.batch, 1)) < a.time.memory_limit
        return "users that an engine runs at once" if full and query.mode == "achieved" else "memory capacity"
    return " or ".join(name for name, limit in (("user speed", query.limits.user_speed), ("time to first token",
                       query.limits.ttft)) if limit is not None) or "the objective"  # fmt: skip


def _limits(s: System, a: Audited) -> tuple[LimitPart, ...]:
    """A shared limit binds where the next replicas that fill whole servers would break it; speed and memory
    where one more user of a stage would."""
    holds = max(1, s.offer.bill.chips // s.layout.stage_chips)
    period = holds // math.gcd(holds, s.layout.pipeline)
    larger = servers_for(s.offer, s.layout, s.replicas + period) + a.servers_bought - a.servers
    found = []
    for name, allowed in a.allowed.items():
        used = a.used[name]
        if name in ("budget", "hourly", "power", "chips", "racks"):
            binding = used * larger / a.servers_bought > allowed
        elif name == "user_speed":
            binding = used < allowed * (1 + 1.0 / max(s.batch, 1)) and s.batch < a.time.room
        elif name == "users":
            binding = used - s.layout.pipeline * s.replicas < allowed
        elif name in ("memory", "ttft"):
            binding = s.batch >= a.time.room if name == "memory" else used * (1 + 1.0 / max(s.batch, 1)) > allowed
        else:
            binding = used >= allowed
        found.append(LimitPart(name=name, used=used, allowed=allowed, unit=LIMIT_UNITS[name], binding=binding))
    return tuple(found)


def _proof(p: Prepared, a: Audited, every: Looked, search: parts.Search) -> ProofPart:
    feasible = ~np.isnan(p.columns.true_value)
    layouts = len(set(p.columns.layout[feasible].tolist()))
    return ProofPart(
        objective=f"maximise {p.query.maximize}" if p.query.maximize != "cost" else "minimise cost",
        unit=objective_unit(p.query), value=a.value, considered=len(p.space),
        impossible=_impossible(p, layouts), feasible=layouts, **search.counts(),
        **parts.proof_of(p.query, a.value, search.bound, every),
    )  # fmt: skip


def _impossible(p: Prepared, feasible: int) -> dict[str, int]:
    by_code = np.bincount(p.space.reason, minlength=len(p.space.reasons))
    counts = Counter({p.space.reasons[code]: int(n) for code, n in enumerate(by_code) if code})
    can_run = p.space.reason == 0
    poor = can_run & (most_replicas(p.query, p.space, p.servers) < 1)
    counts["one replica exceeds a limit"] = int(poor.sum())
    counts["too slow for its users, or for all users at once"] = int((can_run & ~poor).sum()) - feasible
    return {reason: n for reason, n in counts.items() if n}


def _others(p: Prepared, best: float) -> tuple[OtherPart, ...]:
    """Best of every memory family on offer, and the best product, in closed form."""
    data = p.columns
    family = np.array([offer.chip.family for offer in p.supply.offers], dtype=object)
    product = np.array([offer.chip.die is None for offer in p.supply.offers])
    of_column = p.space.chip[data.layout]
    groups = [(f, family[of_column] == f) for f in sorted(set(family.tolist()))]
    groups.append(("best product", product[of_column] if len(product) else np.zeros(0, dtype=bool)))
    found = [_other(p, label, mask, best) for label, mask in groups]
    return tuple(sorted(found, key=lambda o: (o.label == "best product", o.behind is None, o.behind or 0.0)))


def _other(p: Prepared, label: str, mask: Any, best: float) -> OtherPart:
    values = np.where(mask, p.columns.true_value, np.nan)
    if np.isnan(values).all():
        return OtherPart(label=label, chip=None, layout=None, replicas=None, value=None, behind=None,
                         why="no layout within the limits")  # fmt: skip
    up = p.columns.instance.objective == "ratio"
    at = int(np.nanargmax(values) if up else np.nanargmin(values))
    value = objective_si(p.query, float(values[at])) or math.nan
    behind = (best - value) / best * direction(p.query)
    position = int(p.columns.layout[at])
    return OtherPart(
        label=label, chip=p.space.chips[int(p.space.chip[position])].name, layout=layout_name(p.space.layout(position)),
        replicas=int(p.columns.instance.most_replicas[at]) if up else None, value=value, behind=max(0.0, behind),
    )  # fmt: skip


def assumptions_of(p: Question) -> tuple[str, ...]:
    """What mode, money and the user's own numbers take for granted."""
    modelled = _limit_said() if p.supply.achieved is None else achieved_said(p.query, p.supply.achieved)
    return (*modelled, *parts.money_said(p))


def _limit_said() -> list[str]:
    return [
        "mode limit: peak rates, ideal overlap, the study's collective latencies (arXiv 2507.14397): "
        "no system does better",
        "decode only, every user at the full context; prefill, activations and runtime memory are not counted",
    ]


def achieved_said(q: Query, record: AchievedRecord) -> list[str]:
    """What mode achieved takes for granted."""
    wrong = record.fit.errors.get("chip") or next(iter(record.fit.errors.values()), None)
    error = "" if wrong is None else f", {wrong['tpot_median']:.0%} median error on a chip left out"
    where = {
        "aggregated": "prompts are computed in the same steps; a user asks again when an answer has ended",
        "decode": "prompts are computed elsewhere, at no cost here",
        "disaggregated": "prompts are computed in a pool of their own",
    }[q.phases]
    said = [
        f"mode achieved: {q.serving.engine or 'vllm'}, constants fitted to {record.fit.runs:,} measured runs{error}",
        f"{q.input:,} tokens in, {q.output:,} out; {where}",
        "memory: 90 % of the chip's, less weights, activations and 2 GB for the runtime; caches in blocks of "
        f"{BLOCK} tokens at full length; at most {MOST_RUNNING:,} users at once in an attention group",
    ]
    if q.phases == "aggregated":
        said.append("time to first token is the mean over requests of users that ask again at once, waits included")
    if q.serving.draft:
        said.append(f"{q.serving.draft} tokens drafted a step, {q.serving.acceptance or 1.0:g} kept on average")
    return said
