"""Pipelines by hand and by Hypothesis, and their balance by plain enumeration."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from formulations.spatial_pipeline import Instance

STAGE = {"kind": "tensor", "throughput": 10.0, "utilisation": 0.5}


def instance(stages: list[dict[str, Any]], **others: Any) -> Instance:
    """Stages given by what differs from STAGE, on four SMs and with memory enough."""
    rows = [STAGE | stage for stage in stages]
    common = {"dram_bytes": 1.0, "l2_bytes": 3.0, "dram_bandwidth": 1e3, "l2_bandwidth": 3e3, "sms": 4} | others
    return Instance(
        stages=tuple(f"s{n}" for n in range(len(rows))),
        kinds=tuple(row["kind"] for row in rows),
        throughput=np.array([row["throughput"] for row in rows]),
        utilisation=np.array([row["utilisation"] for row in rows]),
        **common,
    )


def rate_of(data: Instance, i: int, ctas: int) -> float:
    share = ctas / data.sms if data.scale is None else data.scale[i, ctas - 1]
    return float(data.throughput[i] / data.utilisation[i] * share)


def best_by_enumeration(data: Instance) -> float | None:
    """Every count of every stage, one after the other; None: no pipeline is resident."""
    most = [data.sms] * len(data.stages) if data.most_ctas is None else data.most_ctas.tolist()
    memory = min(data.dram_bandwidth / data.dram_bytes if data.dram_bytes else math.inf,
                 data.l2_bandwidth / data.l2_bytes if data.l2_bytes else math.inf)  # fmt: skip
    best = None
    for ctas in itertools.product(*(range(1, n + 1) for n in most)):
        used = dict.fromkeys(("tensor", "simt"), 0)
        for kind, a in zip(data.kinds, ctas, strict=True):
            used[kind] += a
        if max(used.values()) <= data.sms:
            slowest = min(min(rate_of(data, i, a) for i, a in enumerate(ctas)), memory)
            best = slowest if best is None else max(best, slowest)
    return best


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    """Up to four stages on up to six SMs; some with tables (rising or not), few CTAs, little memory."""
    count, sms = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    number = st.integers(1, 400)
    data = instance(
        [{"kind": draw(st.sampled_from(["tensor", "simt"])), "throughput": draw(number) / 8,
          "utilisation": draw(st.integers(1, 10)) / 10} for _ in range(count)],
        sms=sms, dram_bytes=draw(st.integers(0, 30)) / 10, l2_bytes=draw(st.integers(0, 30)) / 10,
        dram_bandwidth=draw(number) / 2, l2_bandwidth=draw(number) / 2,
    )  # fmt: skip
    if draw(st.booleans()):
        table = draw(st.lists(st.integers(0, 20), min_size=count * sms, max_size=count * sms))
        data = replace(data, scale=np.array(table, dtype=float).reshape(count, sms) / 20)
    if draw(st.booleans()):
        fewer = draw(st.lists(st.integers(1, sms), min_size=count, max_size=count))
        data = replace(data, most_ctas=np.array(fewer))
    return data
