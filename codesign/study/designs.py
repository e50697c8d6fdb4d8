"""Designs that are bought before it is known what is true: chip, memory, counts and layout fixed, batch free.

`merits` is the value of many designs in one scenario in closed form: greater is better (the objective itself;
one over it for cost), 0 where a limit is broken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from codesign.study.profile import BITS, codes_of
from codesign.system.columns import best_batch, counted_of, limits_of
from codesign.system.key import SystemKey
from codesign.system.layouts import Floats, Ints
from codesign.system.prepared import Prepared
from codesign.system.query import Precision, Query

BROKEN = ("cannot be built", "user speed, memory or first token", "users", "budget", "hourly", "power", "chips",
          "racks", "replicas")  # by bit
CHIP = sum(BITS)  # bits of a code below the chip's number
SHARED = {"dollars": "budget", "hourly": "hourly", "watts": "power", "chips": "chips", "racks": "racks"}


@dataclass(frozen=True)
class Kind:
    """A chip by the words of an answer."""

    name: str
    memory: str
    stacks: int | None


@dataclass(frozen=True)
class Designs:
    """Many designs: a layout's code (`profile.codes_of`) under the numbers of `kinds`, and replicas."""

    kinds: tuple[Kind, ...]  # the number of a chip is its position
    code: Ints
    replicas: Ints

    def __len__(self) -> int:
        return len(self.code)

    @property
    def chips(self) -> tuple[str, ...]:
        """Names of the chips in use."""
        return tuple(sorted(self.kinds[i].name for i in np.unique(self.code >> CHIP).tolist()))

    def only(self, keep: Any) -> "Designs":
        """Those at (or under the mask) `keep`."""
        return Designs(self.kinds, self.code[keep], self.replicas[keep])


@dataclass(frozen=True)
class Merits:
    """For each design its merit (0: breaks a limit), its best batch, and a bit of BROKEN for each broken limit."""

    merit: Floats
    batch: Ints
    broken: Ints


def kinds_of(p: Prepared, known: tuple[Kind, ...] = ()) -> tuple[Kind, ...]:
    """The chips known, then those on offer in a scenario that are not among them."""
    chips = [offer.chip for offer in p.supply.offers]
    return tuple(dict.fromkeys([*known, *(Kind(chip.name, chip.memory, chip.stacks) for chip in chips)]))


def codes_in(p: Prepared, kinds: tuple[Kind, ...]) -> Ints:
    """The code of each layout of a scenario's space; a chip that is none of `kinds` takes the number after theirs."""
    number = {kind.name: i for i, kind in enumerate(kinds)}
    numbers = [number.get(offer.chip.name, len(kinds)) for offer in p.supply.offers]
    return codes_of(p.space, np.array(numbers, dtype=np.int64))


def keys_of(query: Query, designs: Designs) -> list[SystemKey]:
    """The designs by the words of an answer."""
    return [_key(query, designs, i) for i in range(len(designs))]


def _key(query: Query, designs: Designs, i: int) -> SystemKey:
    code, parts = int(designs.code[i]), list[int]()
    for bits in reversed(BITS):
        parts.append(code & ((1 << bits) - 1))
        code >>= bits
    expert, pipeline, data, tensor, precision = parts
    kind, weights = designs.kinds[code], query.precision[precision]
    return SystemKey(chip=kind.name, memory=kind.memory, stacks=kind.stacks, tensor=tensor, pipeline=pipeline,
                     expert=expert, data=data, weights=weights, kv=query.kv(weights), replicas=int(designs.replicas[i]))


def designs_of(query: Query, known: tuple[Kind, ...], keys: Sequence[SystemKey]) -> Designs:
    """The designs of keys; their chips that are not known come after those that are."""
    kinds = tuple(dict.fromkeys([*known, *(Kind(key.chip, key.memory, key.stacks) for key in keys)]))
    codes = []
    for key in keys:
        code = kinds.index(Kind(key.chip, key.memory, key.stacks))
        parts = (query.precision.index(cast(Precision, key.weights)), key.tensor, key.data, key.pipeline, key.expert)
        for bits, part in zip(BITS, parts, strict=True):
            code = (code << bits) | part
        codes.append(code)
    return Designs(kinds, np.array(codes, dtype=np.int64), np.array([k.replicas for k in keys], dtype=np.int64))


def positions(p: Prepared, designs: Designs) -> Ints:
    """Where each design's layout is in a scenario's space; -1 where it is not."""
    codes, wanted = codes_in(p, designs.kinds), designs.code
    if len(codes) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    spot = np.minimum(np.searchsorted(codes[order], wanted), len(codes) - 1)
    at = order[spot]
    return np.where(codes[at] == wanted, at, -1)


def merits(p: Prepared, designs: Designs) -> Merits:
    """Value of every design in one scenario, its batch chosen anew."""
    at = positions(p, designs)
    here = np.flatnonzero(at >= 0)
    merit, batch = np.zeros(len(at)), np.zeros(len(at), dtype=np.int64)
    broken = np.full(len(at), 1, dtype=np.int64)
    spot, replicas = at[here], designs.replicas[here].astype(np.float64)
    most = best_batch(p.space, p.query.limits)[spot].astype(np.float64)
    users = 1.0 if p.query.limits.users is None else float(p.query.limits.users)
    least = np.maximum(np.ceil(users / (p.space.pipeline[spot] * replicas)), 1.0)
    broken[here] = _broken(p, spot, replicas, least, most)
    good = np.flatnonzero(broken[here] == 0)
    found = _best(p, spot[good], replicas[good], least[good], most[good])
    merit[here[good]], batch[here[good]] = found[0], found[1].astype(np.int64)
    return Merits(merit, batch, broken)


def _broken(p: Prepared, at: Ints, replicas: Floats, least: Floats, most: Floats) -> Ints:
    bought = p.servers.count(replicas, at) + p.query.spare_servers
    found = (most < 1).astype(np.int64) << 1
    found |= ((most >= 1) & (least > most)).astype(np.int64) << BROKEN.index("users")
    for array, limit in limits_of(p.query).items():
        over = bought * getattr(p.servers, array)[p.space.chip[at]] > limit * (1 + 1e-12)
        found |= over.astype(np.int64) << BROKEN.index(SHARED[array])
    if p.query.limits.replicas is not None:
        found |= (replicas > p.query.limits.replicas).astype(np.int64) << BROKEN.index("replicas")
    return found


def _best(p: Prepared, at: Ints, replicas: Floats, least: Floats, most: Floats) -> tuple[Floats, Floats]:
    """Merit and batch of designs that keep every limit."""
    bought = p.servers.count(replicas, at) + p.query.spare_servers
    kind = p.query.objective.kind
    if kind == "cost":
        return 1.0 / (counted_of(p.query, p.servers)[p.space.chip[at]] * bought), least
    if kind == "speed":
        return 1.0 / p.space.step_s(least, at), least
    batch, rate = most.copy(), most / p.space.cycle_s(most, at)
    for here, peak in p.space.peaks(at, least, most):
        there = peak / p.space.cycle_s(peak, at[here])
        better = there > rate[here]
        rate[here[better]], batch[here[better]] = there[better], peak[better]
    throughput = rate * replicas * p.space.pipeline[at]
    if p.query.objective.counted is None:
        return throughput, batch
    return throughput / (counted_of(p.query, p.servers)[p.space.chip[at]] * bought), batch
