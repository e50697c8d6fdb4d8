"""What a mix of rented replicas is made of: kinds of replica, buckets of a demand, and who serves what how fast.

A kind is a chip in a layout that runs one model; a bucket is requests of one model and like lengths. Rates
are requests/s, prices USD/h, both the decimals that people wrote: everything here is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from formulations.fleet_slices import Instance

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
    """Requests of one model and like lengths: requests/s in all, and into how many equal slices they are cut."""

    name: str
    model: str
    rate: Fraction
    slices: int

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

    def load(self, bucket: int, kind: int) -> Fraction:
        """Replicas that one slice keeps busy; exact."""
        b = self.buckets[bucket]
        return b.rate / b.slices / decimal(self.served[bucket, kind])

    def only(self, kind: int) -> "Mix":
        """The same demand with one kind of replica, as many as wanted."""
        served = {(b, 0): rate for (b, g), rate in self.served.items() if g == kind}
        return replace(self, kinds=(replace(self.kinds[kind], available=None),), served=served)

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
    for b, g in mix.served:
        if b in row:
            load[row[b], g] = float(mix.load(b, g))
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
        for b, g in mix.served
        if mix.load(b, g) > MOST_REPLICAS
    ]


