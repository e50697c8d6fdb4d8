"""Seconds that an engine will really take: peak times by achieved rates, plus the overheads it exposes.

A decode step of a replica (mode achieved; peak times and counts from `serving.Work`):

    memory_s  = memory * (dense_s + kv_s) + expert * experts_s * (unpack, where the chip widens them to multiply)
    core      = (memory_s^q + (matrix * (matrix_s + attention_s))^q)^(1/q)
    overhead  = kernels * kernel_s + fixed_s
    prompts   = prefill of the other users' prompts, each once in `output` steps; 0 where prefill has its own pool
    step      = family_rate * core + family_overhead * overhead + rank_users * user_s + collective * collectives_s
    tpot      = release * (step / acceptance + prompts)

Time to first token, the mean over requests of closed-loop clients that start together:

    service   = own * prompt_s + chunks * kernels * prompt_kernel_s            chunks = 1 + prompt / chunk_tokens
    ttft      = release * (engine_fixed + wait_steps * chunks * step + service * (1 + burst * others' prompts))
                + time in the queue where memory cannot hold all users

a prompt is computed in chunks, each of which waits for a few steps of the others (here with their prompts).

A score of constants with physical meaning for all chips, models and engines; a factor for each engine release
that was measured, drawn towards 1. Each is fitted by `calibration` and kept in `instances/achieved/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.facts.records import BY_ENGINE, BY_FAMILY, AchievedRecord
from codesign.physics.serving import Coefficients

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Rows:
    """Works of several predictions as arrays, with what else they depend on."""

    work: dict[str, Array]
    prompt: Array          # tokens in
    output: Array          # tokens out
    concurrency: Array     # users asked for, on one replica
    apart: Array           # 1.0 where prefill has its own pool
    pools: Array           # prefill replicas for each decode replica, at least one
    chunk: Array           # most prompt tokens of a step; NaN where the engine's own is not known
    names: list[tuple[str, str, str]]  # (engine, family, release key)

    def only(self, at: Any) -> "Rows":
        """The rows at positions (or under the mask) `at`."""
        chosen = np.arange(len(self.output))[at]
        columns = {name: getattr(self, name)[chosen] for name in COLUMNS}
        return Rows({k: v[chosen] for k, v in self.work.items()}, **columns, names=[self.names[i] for i in chosen])


COLUMNS = ("prompt", "output", "concurrency", "apart", "pools", "chunk")


def rows_at(
    decode: Coefficients, users: Array, *, asked: Array | None = None, prompt: float, output: float,
    name: tuple[str, str, str], prefill: Coefficients | None = None, pools: float = 1.0, chunk: float | None = None,
) -> Rows:  # fmt: skip
    """One deployment at several numbers of `users` in its steps, of `asked` for (all of whom are served if None).

    A prefill deployment (of its own pool) gives the prompt's times where there is one.
    """
    work = decode.work(users)
    for field in ("prefill_s", "prompt_collectives_s"):
        work[field] = np.full_like(users, (prefill or decode).fixed[field])

    def each(value: float) -> Array:
        return np.full_like(users, value)

    return Rows(work, each(prompt), each(output), users if asked is None else asked, each(float(prefill is not None)),
                each(max(pools, 1.0)), each(np.nan if chunk is None else chunk), [name] * len(users))  # fmt: skip


def joined(parts: Sequence[Rows]) -> Rows:
    """Several rows as one."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    work = {name: np.concatenate([part.work[name] for part in parts]) for name in parts[0].work}
    return Rows(work, **columns, names=[name for part in parts for name in part.names])


@dataclass(frozen=True)
class Constants:
    """Constants by name; `engine`, `family` and `release` hold those of each name, 1 or the mean for others."""

    common: dict[str, float]
    engine: dict[str, dict[str, float]]
    family: dict[str, dict[str, float]]
    release: dict[str, float]
    first: dict[str, float]
    first_engine: dict[str, float]   # fixed_s
    first_release: dict[str, float]

    def gather(self, rows: Rows) -> dict[str, Array]:
        """Every constant as an array over the rows; an engine never seen gets the mean of those that were."""
        mean = {k: float(np.exp(np.mean([np.log(e[k]) for e in self.engine.values()]))) for k in BY_ENGINE}
        first = float(np.exp(np.mean(np.log(list(self.first_engine.values())))))
        k = {name: np.full(len(rows.output), value) for name, value in {**self.common, **self.first}.items()}
        for name in BY_ENGINE:
            k[name] = np.array([self.engine.get(e, mean)[name] for e, _, _ in rows.names])
        for name in BY_FAMILY:
            k[f"family_{name}"] = np.array([self.family.get(f, {}).get(name, 1.0) for _, f, _ in rows.names])
        k["release"] = np.array([self.release.get(r, 1.0) for _, _, r in rows.names])
        k["first_fixed_s"] = np.array([self.first_engine.get(e, first) for e, _, _ in rows.names])
        k["first_release"] = np.array([self.first_release.get(r, 1.0) for _, _, r in rows.names])
        return k


def constants_of(record: AchievedRecord) -> Constants:
    """The constants of a catalogue entry."""
    return Constants(record.common, record.engine, record.family, record.release, record.first_token,
                     record.first_token_engine, record.first_token_release)  # fmt: skip


def prompt_s(rows: Rows, k: dict[str, Array]) -> Array:
    """Seconds of one prompt's prefill at achieved rates, alone."""
    w = rows.work
    matrix: Array = w["prefill_s"] * k["prefill"] * k["prefill_rate"] * k["family_rate"]
    return matrix + w["prompt_collectives_s"] * k["collective"]


def terms(rows: Rows, k: dict[str, Array]) -> dict[str, Array]:
    """Seconds of each term of the time per output token; they add up to it.

    The core is split between weights, cache and arithmetic in proportion to what each would take alone.
    """
    w, yielded = rows.work, rows.work["acceptance"]
    alone = {
        "weights": k["memory"] * w["dense_s"] + k["expert"] * k["unpack"] ** w["unpacked"] * w["experts_s"],
        "kv": k["memory"] * w["kv_s"],
        "compute": k["matrix"] * (w["matrix_s"] + w["attention_s"]),
    }
    memory, q = alone["weights"] + alone["kv"], 1.0 + k["overlap"]
    core = (memory**q + alone["compute"] ** q) ** (1 / q) * k["family_rate"]
    total = memory + alone["compute"]
    overhead = w["kernels"] * k["kernel_s"] + k["fixed_s"]
    prompts = prompt_s(rows, k) * np.maximum(w["users"] - 1, 0.0) / rows.output
    found = {name: core * part / total for name, part in alone.items()}
    found["overhead"] = overhead * k["family_overhead"] + w["rank_users"] * k["user_s"]
    found["collectives"] = w["collectives_s"] * k["collective"]
    found = {name: value / yielded for name, value in found.items()}
    found["prompts"] = np.where(rows.apart > 0, 0.0, prompts)
    return {name: value * k["release"] for name, value in found.items()}


def tpot_s(rows: Rows, k: dict[str, Array]) -> Array:
    """Seconds per output token."""
    result: Array = np.sum(list(terms(rows, k).values()), axis=0)
    return result


def _chunks(rows: Rows, k: dict[str, Array]) -> Array:
    result: Array = 1.0 + rows.prompt / np.where(np.isnan(rows.chunk), k["chunk_tokens"], rows.chunk)
    return result


def service_s(rows: Rows, k: dict[str, Array]) -> Array:
    """Seconds of one prompt until its first token, alone: its prefill and the kernels of its chunks."""
    result: Array = prompt_s(rows, k) * k["own"] + _chunks(rows, k) * rows.work["kernels"] * k["prompt_kernel_s"]
    return result


def pool_s(rows: Rows, k: dict[str, Array]) -> tuple[Array, Array]:
    """Seconds of one prompt alone in a prefill pool, and the engine's fixed seconds of a first token from there."""
    return service_s(rows, k) * k["first_release"], k["first_fixed_s"] * k["pool_fixed"] * k["first_release"]


def ttft_s(rows: Rows, k: dict[str, Array]) -> Array:
    """Mean seconds to the first token."""
    return both_s(rows, k)[1]


def both_s(rows: Rows, k: dict[str, Array]) -> tuple[Array, Array]:
    """Seconds per output token, and mean seconds to the first."""
    w, tpot, chunks, own = rows.work, tpot_s(rows, k), _chunks(rows, k), service_s(rows, k)
    fixed = k["first_fixed_s"] * np.where(rows.apart > 0, k["pool_fixed"], 1.0)
    others = np.maximum(rows.concurrency - 1, 0.0) / rows.pools
    waiting = np.maximum(rows.concurrency - w["users"], 0.0) / rows.concurrency
    steps = k["wait_steps"] * chunks * tpot * w["acceptance"]
    result: Array = (fixed + steps + own * (1 + k["burst"] * others)) * k["first_release"]
    return tpot, result + k["queue"] * waiting * rows.output * tpot
