"""What a mix of rented replicas is made of: kinds of replica, buckets of a demand, and who serves what how fast.

A kind is a chip in a layout that runs one model; a bucket is requests of one model and like lengths. Rates
are requests/s, prices USD/h, both the decimals that people wrote: everything here is exact.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from formulations.fleet_slices import Instance
from formulations.fleet_slices.exact import SPARED

MOST_REPLICAS = 10**9  # for one slice; a rate so small is a mistake in the table


@dataclass(frozen=True)
class Kind:
    """A kind of replica, and how many of it there are; None: as many as wanted."""

    name: str
    chip: str
    layout: str
    model: str
    price: float
    available: int | None


@dataclass(frozen=True)
class Bucket:
    """Requests of one model and like lengths: requests/s in all, and into how many equal slices they are cut.

    `speed` is asked for each user, `fastest` the most that any kind gives at all, tokens/s; None: not known.
    """

    name: str
    model: str
    rate: Fraction
    slices: int
    speed: float | None = None
    fastest: float | None = None

    @property
    def label(self) -> str:
        """Its name, with the model's where that is known."""
        return f"{self.model}: {self.name}" if self.model else self.name


@dataclass(frozen=True)
class Mix:
    """The question: `served` holds requests/s of one replica by position of (bucket, kind); absent: it cannot."""

    kinds: tuple[Kind, ...]
    buckets: tuple[Bucket, ...]
    served: Mapping[tuple[int, int], float]
    fractional: bool

    @cached_property
    def loads(self) -> Mapping[tuple[int, int], Fraction]:
        """Replicas that one slice keeps busy, by position of (bucket, kind); exact."""
        one = [bucket.rate / bucket.slices for bucket in self.buckets]
        return {(b, g): one[b] / decimal(rate) for (b, g), rate in self.served.items()}

    @cached_property
    def alone(self) -> tuple[tuple[int, Fraction] | None, ...]:
        """Replicas of each kind that serve everything alone, and their $/h; None: it cannot serve some bucket."""
        return tuple(self._alone(g) for g in range(len(self.kinds)))

    def _alone(self, kind: int) -> tuple[int, Fraction] | None:
        asked = [b for b, bucket in enumerate(self.buckets) if bucket.rate > 0]
        if not all((b, kind) in self.loads for b in asked):
            return None
        total = sum((self.loads[b, kind] * self.buckets[b].slices for b in asked), Fraction(0))
        count = max(math.ceil(total - SPARED), 1 if total else 0)
        return count, count * decimal(self.kinds[kind].price)

    def unserved(self) -> list[int]:
        """Buckets with a demand that no kind serves."""
        able = {b for b, _ in self.served}
        return [b for b, bucket in enumerate(self.buckets) if bucket.rate > 0 and b not in able]


def decimal(number: float) -> Fraction:
    """The decimal that people wrote.

    >>> decimal(0.1) * 30 == 3
    True
    """
    return Fraction(repr(float(number)))


def instance_of(mix: Mix) -> Instance:
    """The program's numbers; a bucket without a demand is none of its buckets, labels are positions in the mix.

    Divided at will, a bucket is one slice.
    """
    asked = [b for b, bucket in enumerate(mix.buckets) if bucket.rate > 0]
    load = np.full((len(asked), len(mix.kinds)), np.inf)
    row = {b: i for i, b in enumerate(asked)}
    for (b, g), each in mix.loads.items():
        if b in row:
            load[row[b], g] = float(each)
    most = [np.inf if kind.available is None else float(kind.available) for kind in mix.kinds]
    return Instance(
        buckets=np.array(asked, dtype=np.int64),
        kinds=np.arange(len(mix.kinds), dtype=np.int64),
        price=np.array([kind.price for kind in mix.kinds], dtype=np.float64),
        slices=np.array([mix.buckets[b].slices for b in asked], dtype=np.int64),
        load=load,
        most=np.array(most, dtype=np.float64),
        fractional=mix.fractional,
    )


def faults(mix: Mix) -> list[str]:
    """What would make the numbers meaningless: a slice that only an absurd number of replicas would serve."""
    return [
        f"bucket {mix.buckets[b].label}, {mix.kinds[g].name}: {mix.served[b, g]!r} requests/s of a replica: one slice "
        f"would take more than {MOST_REPLICAS:,} replicas"
        for (b, g), load in mix.loads.items()
        if load > MOST_REPLICAS
    ]


