"""What one replica of a fleet does, by the formulas for a single deployment: nothing of the columns is used."""

import math
from dataclasses import dataclass

from codesign.facts.errors import AuditError
from codesign.fleet.columns import Demand
from codesign.physics import achieved, prediction, serving
from codesign.physics.layout import Layout
from codesign.physics.prediction import Asked
from codesign.physics.workload import Model
from codesign.system import audit
from codesign.system.offers import Offer, Supply
from codesign.system.pools import Prompts, cache_bytes
from codesign.system.query import Limits
from codesign.system.serving_space import room
from formulations.best_system.bounds import ROUNDING


@dataclass(frozen=True)
class Serves:
    """Requests/s of one replica, and what its users get when it is full, in SI; None: not of this phase."""

    rate: float
    user_speed: float | None
    ttft_s: float | None     # prefill: at the utilisation `cap`
    cap: float
    memory_bytes: float
    usable_bytes: float


def serves(of: Demand, model: Model, supply: Supply, offer: Offer, phase: str, d: Layout, batch: int,
           *, within: bool) -> Serves:  # fmt: skip
    """The replica, `within` the user speed and time to first token or not bound by them.

    Raises AuditError where it cannot run, or breaks what it is said to keep.
    """
    query = of.query_of(phase)
    limits = of.query.limits if within else Limits()
    found = _computes(of, model, supply, offer, d, limits) if phase == "prefill" else _decodes(
        of, model, supply, offer, phase, d, batch)  # fmt: skip
    slow = limits.user_speed is not None and found.user_speed is not None and (
        found.user_speed < limits.user_speed * (1 - 2 * ROUNDING))  # fmt: skip
    late = limits.ttft is not None and found.ttft_s is not None and phase != "decode" and (
        found.ttft_s > limits.ttft * (1 + 1e-6))  # fmt: skip
    if slow or late:
        raise AuditError(f"{of.workload}: {phase} on {offer.chip.name} in batches of {batch} at {query.context} tokens "
                         f"gives {found.user_speed!r} tokens/s, first token {found.ttft_s!r} s")  # fmt: skip
    if found.memory_bytes > found.usable_bytes * (1 + 1e-9):
        raise AuditError(f"{of.workload}: {found.memory_bytes!r} B do not fit {found.usable_bytes!r} B")
    return found


def _decodes(
    of: Demand, model: Model, supply: Supply, offer: Offer, phase: str, d: Layout, batch: int
) -> Serves:
    query = of.query_of(phase)
    time = audit.achieved_times(query, model, supply, offer.chip, d, batch)
    if batch > time.room:
        raise AuditError(f"{of.workload}: a batch of {batch} exceeds the {time.room} users that a stage can hold")
    users, speed = batch * d.pipeline, 1 / time.step_s
    if phase == "both":
        return Serves(users / (query.output * time.cycle_s), speed, time.ttft_s, 1.0, time.memory_bytes,
                      time.memory_limit)  # fmt: skip
    rate = min(users / ((query.output - 1) * time.step_s), _carried(of, model, offer, d))
    return Serves(rate, speed, None, 1.0, time.memory_bytes, time.memory_limit)


def _computes(of: Demand, model: Model, supply: Supply, offer: Offer, d: Layout, limits: Limits) -> Serves:
    query, record = of.query, supply.achieved
    if record is None or offer.chip.scale_out_bandwidth is None:
        raise AuditError(f"{of.workload}: {offer.chip.name} cannot be a prefill pool")
    rows = prediction.row_of(
        Asked(model, offer.chip, d, 1, query.input, 0, query.engine, query.release, d), record)  # fmt: skip
    service, fixed = achieved.pool_s(rows, achieved.constants_of(record).gather(rows))
    memory = serving.memory(model, offer.chip, d, query.input)
    if room(memory, d) < 1:
        raise AuditError(f"{of.workload}: a prompt for each of {d.pipeline} stages does not fit {offer.chip.name}")
    size = cache_bytes(model, offer.chip, d.kv, query.input)
    prompts = Prompts(float(service[0]), float(fixed[0]), size / (offer.chip.scale_out_bandwidth * d.chips), d.pipeline)
    cap = float(prompts.cap(limits.ttft))
    if cap <= 0:
        raise AuditError(f"{of.workload}: a first token takes {prompts.alone_s!r} s without any wait")
    held = memory.held_bytes(math.ceil(d.pipeline / d.data))
    rate = min(cap / prompts.interval_s, _carried(of, model, offer, d))
    return Serves(rate, None, float(prompts.ttft_s(rate * prompts.interval_s)), cap, held, memory.usable_bytes)


def _carried(of: Demand, model: Model, offer: Offer, d: Layout) -> float:
    """Requests/s whose caches the links of a replica carry."""
    size = cache_bytes(model, offer.chip, d.kv, of.query.input)
    if offer.chip.scale_out_bandwidth is None:
        raise AuditError(f"{offer.chip.name} has no scale-out bandwidth to move caches over")
    return math.inf if size == 0 else offer.chip.scale_out_bandwidth * d.chips / size
