"""The words and numbers of an answer of two pools, from what was prepared, solved and audited."""

import numpy as np

from codesign.facts.document import LimitPart
from codesign.system import answer_parts as parts
from codesign.system.answer import Answer, OtherPart, PerformancePart, PrefillPart, ProofPart, TransferPart
from codesign.system.best_system_answer import LIMIT_UNITS, achieved_said, better, direction, objective_unit
from codesign.system.cures import Cures
from codesign.system.pools import CAP
from codesign.system.pools_audit import AuditedPools, Both, Share, grown
from codesign.system.pools_enumeration import enumerate_pairs
from codesign.system.pools_program import objective_si
from codesign.system.prepared import Looked, PreparedPools, SolvedPools, Watch
from formulations.solvers.deadline import NEVER, Deadline, OutOfTime

__all__ = ["answer", "better", "direction", "infeasible"]
STATISTIC = "mean over requests; random (Poisson) arrivals split at random over the replicas, M/D/1"
UNITS = LIMIT_UNITS | {"prefill_memory": "B", "prefill_time": "", "decode_time": "", "sent": "B/s", "received": "B/s"}


def answer(
    p: PreparedPools, solved: SolvedPools, both: Both, a: AuditedPools, every: Looked, watch: Watch,
    deadline: Deadline,
) -> Answer:  # fmt: skip
    """The document of two pools found."""
    trace = solved.proof.trace
    search = parts.Search(
        columns=len(p.pools), solved=solved.proof.solved, solves=1 if trace is None else trace.solves,
        nodes=solved.proof.nodes, seconds=watch.seconds, bound=objective_si(p.query, solved.bound()),
    )  # fmt: skip
    return document(p, both, a, every, search, deadline)


def document(
    p: PreparedPools, both: Both, a: AuditedPools, every: Looked, search: parts.Search, deadline: Deadline = NEVER
) -> Answer:
    """The document of two pools; optimal where the program or the enumeration proves it."""
    proof = _proof(p, a, every, search)
    bills = [(s.offer.bill, x.servers_bought) for s, x in zip((both.prefill, both.decode), a.shares, strict=True)]
    return Answer(
        status="feasible" if proof.method == "none" else "optimal",
        system=parts.system(both.decode, a.decode), performance=_performance(p, both, a),
        prefill=_prefill(p, both, a), transfer=_transfer(both, a), money=parts.money(p, bills, a),
        limits=_limits(p, both, a), proof=proof, others=_others(p, a.value, deadline), assumptions=_assumptions(p),
        **parts.asked(p), **parts.behind(p, [both.prefill, both.decode]),
    )  # fmt: skip


def infeasible(p: PreparedPools, cures: Cures) -> Answer:
    """The document of a query that no two pools satisfy."""
    return parts.infeasible(p, cures, _assumptions(p))


def _prefill(p: PreparedPools, both: Both, a: AuditedPools) -> PrefillPart:
    t = a.prompts
    return PrefillPart(
        **parts.system(both.prefill, a.prefill).model_dump(), prompt_s=t.service_s, interval_s=t.interval_s,
        fixed_s=t.fixed_s, wait_s=a.wait_s, send_s=t.send_s, ttft_s=a.ttft_s, statistic=STATISTIC,
        utilisation=a.prefill.utilisation, utilisation_cap=float(t.cap(p.query.limits.ttft)),
        memory_bytes=a.prefill.memory_bytes, usable_bytes=a.prefill.memory_limit,
    )  # fmt: skip


def _transfer(both: Both, a: AuditedPools) -> TransferPart:
    return TransferPart(
        bytes_per_request=a.cache_bytes, used=a.rate * a.cache_bytes, sending=a.prefill.link * both.prefill.replicas,
        receiving=a.decode.link * both.decode.replicas,
    )  # fmt: skip


def _performance(p: PreparedPools, both: Both, a: AuditedPools) -> PerformancePart:
    shares = dict(a.time.busy)
    return PerformancePart(
        step_s=a.time.step_s, step_band_s=a.time.band_s, ttft_s=a.ttft_s, user_speed=a.user_speed, users=a.users,
        throughput=a.throughput, requests=a.rate, shares=shares, limiting=max(shares, key=lambda name: shares[name]),
        batch_limited_by=_batch_limit(p, both, a), memory_bytes=a.time.memory_bytes,
        usable_bytes=a.time.memory_limit, room=a.time.room,
    )  # fmt: skip


def _batch_limit(p: PreparedPools, both: Both, a: AuditedPools) -> str:
    if both.decode.batch >= a.time.room:
        full = a.time.memory_bytes * (1 + 1 / both.decode.batch) < a.time.memory_limit
        return "users that an engine runs at once" if full else "memory capacity"
    return "the objective" if p.query.limits.user_speed is None else "user speed"


def _limits(p: PreparedPools, both: Both, a: AuditedPools) -> tuple[LimitPart, ...]:
    """What a system takes of all it shares binds where the next higher rate of these two pools would break it."""
    more = grown(p.query, both, a)
    found = []
    for name, allowed in (a.allowed or {}).items():
        used = (a.used or {})[name]
        shared = name in more
        binding = more[name] > allowed * (1 + 1e-9) if shared else _binds(name, used, allowed, both, a)
        found.append(LimitPart(name=name, used=used, allowed=allowed, unit=UNITS[name], binding=binding))
    return tuple(found)


def _binds(name: str, used: float, allowed: float, both: Both, a: AuditedPools) -> bool:
    def holds_up(x: Share) -> bool:
        own = [x.handled * s.replicas for x, s in zip(a.shares, (both.prefill, both.decode), strict=True)]
        return x.handled * (both.prefill if x is a.prefill else both.decode).replicas <= min(own) * (1 + 1e-9)

    if name == "user_speed":
        return used < allowed * (1 + 1.0 / both.decode.batch) and both.decode.batch < a.time.room
    if name == "users":
        return used - both.decode.layout.pipeline * both.decode.batch < allowed
    if name == "ttft":
        capped = float(a.prompts.cap(allowed)) < CAP * (1 - 1e-9)
        return capped and holds_up(a.prefill) and not a.prefill.linked
    if name == "memory":
        return both.decode.batch >= a.time.room
    if name in ("sent", "received"):
        pool = a.prefill if name == "sent" else a.decode
        return pool.linked and holds_up(pool)
    return used >= allowed * (1 - 1e-9)


def _proof(p: PreparedPools, a: AuditedPools, every: Looked, search: parts.Search) -> ProofPart:
    space = "a prefill pool and a decode pool, each of one layout replicated"
    if every.over:
        space += f"; enumeration over {every.over}"
    elif every.why_not:
        space += f"; enumeration not done: {every.why_not}"
    return ProofPart(
        objective=f"maximise {p.query.maximize}" if p.query.maximize != "cost" else "minimise cost",
        unit=objective_unit(p.query), value=a.value, space=space,
        considered=len(p.pools.prefill) + len(p.pools.decode), impossible=dict(p.pools.impossible),
        feasible=p.pools.split + len(set(p.pools.layout[p.pools.split :].tolist())), **search.counts(),
        **parts.proof_of(p.query, a.value, search.bound, every),
    )  # fmt: skip


def _others(p: PreparedPools, best: float, deadline: Deadline) -> tuple[OtherPart, ...]:
    """The best of every memory family on offer, both pools of it, by enumeration over the columns kept."""
    family = np.array([offer.chip.family for offer in p.supply.offers], dtype=object)[p.pools.chip]
    found = []
    for label in sorted(set(family.tolist())):
        late = False
        try:
            every = enumerate_pairs(p.query, p.pools, p.kept[family[p.kept] == label], deadline)
        except OutOfTime:
            every, late = None, True
        value = None if every is None else every.value
        why = "no layouts within the limits" if value is None else ""
        if every is None:
            why = "not in the time given" if late else "too many to look at"
        behind = None if value is None else max(0.0, (best - value) / best * direction(p.query))
        found.append(OtherPart(label=f"both pools {label}", chip=None, layout=None, replicas=None, value=value,
                               behind=behind, why=why))  # fmt: skip
    return tuple(sorted(found, key=lambda o: (o.behind is None, o.behind or 0.0)))


def _assumptions(p: PreparedPools) -> tuple[str, ...]:
    if p.supply.achieved is None:
        raise ValueError("two pools are known in mode achieved only")
    cap = f"a prefill replica works at most {CAP:.0%} of the time"
    if p.query.limits.ttft is not None:
        cap += ", and less where the time to first token asks for it"
    return (
        *achieved_said(p.query, p.supply.achieved),
        f"time to first token: {STATISTIC}; {cap}",
        "first token: the engine's fixed time, the prompt alone, the wait, and sending its cache; the prefill pool "
        "computes it, the decode pool all others",
        "a prompt is spread over all chips of a stage; stages compute different prompts",
        "caches go over the scale-out links of the replicas, each used in full, also where pools could share a "
        "scale-up domain; whole blocks, and no overlap with computing",
        "users are those in the decode pool; each asks again at once, without the wait for the first token, "
        "which asks for more than is needed",
        "pools share no server; spares are bought for each" if p.query.spare_servers else "pools share no server",
        *parts.money_said(p),
    )
