"""What a link's file may say of its collectives: ideal latencies, fitted knots with source and error, a stand-in."""

import math
from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from codesign.facts.fact import Confidence, Fact, In, Table


class GroupLatency(Table):
    """Latency of one collective over a group of at most `group` chips, for a tiny message."""

    group: int = Field(ge=2)
    latency: Annotated[Fact, In("s")]


class CollectiveRecord(Table):
    """Fitted times of one collective over `group` chips at a few message sizes; how, in `codesign.physics.collectives`.

    The errors are relative, against the measured points behind the fit.
    """

    op: Literal["all_reduce", "all_gather", "reduce_scatter", "alltoall"]
    group: int = Field(ge=2)
    bytes: tuple[float, ...] = Field(min_length=2)
    seconds: tuple[float, ...]
    source: str
    date: str = Field(pattern=r"^\d{4}(-\d{2}){0,2}$")
    confidence: Confidence
    median_error: float = Field(ge=0, allow_inf_nan=False)
    largest_error: float = Field(ge=0, allow_inf_nan=False)
    note: str = ""

    @field_validator("bytes", "seconds", mode="before")
    @classmethod
    def _numbers(cls, raw: Any) -> Any:
        if isinstance(raw, list) and not all(isinstance(x, int | float) and not isinstance(x, bool) for x in raw):
            raise ValueError("expected plain numbers, as 1024 or 4.5e-6")
        return raw

    @model_validator(mode="after")
    def _knots(self) -> "CollectiveRecord":
        sizes, times = self.bytes, self.seconds
        if len(sizes) != len(times):
            raise ValueError(f"{len(sizes)} bytes and {len(times)} seconds; expected as many of one as of the other")
        if not all(0 < x < math.inf for x in (*sizes, *times)):
            raise ValueError("bytes and seconds must be positive and finite")
        if any(a >= b for a, b in pairwise(sizes)) or any(a > b for a, b in pairwise(times)):
            raise ValueError("bytes must rise, and seconds must not fall")
        return self


class StandIn(Table):
    """A measured link whose collectives stand in for those that nobody measured here, and why that one."""

    link: str                                # a link of instances/links
    note: str = Field(min_length=1)


def check_collectives(given: tuple[CollectiveRecord, ...], *, measured_at: bool) -> None:
    """One entry for each operation and group, and the bandwidth at which they were measured; ValueError."""
    for (op, group), times in Counter((one.op, one.group) for one in given).items():
        if times > 1:
            raise ValueError(f"collectives: {op} over {group} chips is given {times} times")
    if given and not measured_at:
        raise ValueError("collectives need measured_bandwidth, the link bandwidth of the chips measured")


OPS = ("all_reduce", "all_gather", "reduce_scatter", "alltoall")
