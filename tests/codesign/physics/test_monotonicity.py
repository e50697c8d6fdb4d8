"""More of a resource never slows a step, whatever the model; users per step fall only where listed."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.catalog import load
from codesign.facts.records import ChipRecord, ModelRecord
from codesign.physics import chips, workload
from codesign.physics.experts import rises, saturation
from codesign.physics.hardware import Link
from codesign.physics.layout import Layout
from codesign.physics.performance import decode_step, room, weights_bytes
from codesign.physics.workload import Layer
from codesign.system.layouts import enumerate_space
from tests.cases.small_models import CHIP, LAYER, small

repeatable = settings(derandomize=True, deadline=None, max_examples=80)
NOISE = 1 + 1e-12
LINEAR = replace(LAYER, kv_sharded=0, kv_elements=0, state_bytes=600, attention_flop=0, vector_flop_per_context=0)
KINDS = {                                              # what a layer is, and the KV heads of its model
    "dense": ([LAYER], 8),
    "gqa": ([LAYER], 2),
    "moe": ([LAYER, replace(LAYER, experts=16, top_k=2, expert=30)], 2),
    "moe-one-choice": ([replace(LAYER, experts=16, top_k=1, expert=3000)], 8),
    "mla": ([replace(LAYER, kv_sharded=0), replace(LAYER, kv_sharded=0, experts=32, top_k=4, expert=500)], None),
    "window": ([LAYER, replace(LAYER, window=128)], 2),
    "linear": ([LAYER, LINEAR], 2),
    "moe-linear": ([replace(kind, experts=8, top_k=2, expert=30) for kind in (LAYER, LINEAR)], None),
    "moe-window": ([replace(LAYER, experts=8, top_k=2, expert=30, window=seen) for seen in (None, 9)], 4),
}  # fmt: skip
rates = st.floats(1e-3, 1e9)
factors = st.floats(1.0, 1e6)


@st.composite
def cases(draw):
    """(model, chip, layout, batch, context) with every number that the layout needs."""
    kinds, kv_heads = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    scale = draw(st.integers(1, 1000))
    layers = [_scaled(draw(st.sampled_from(kinds)), scale) for _ in range(draw(st.integers(1, 6)))]
    model = small(*layers, tied=draw(st.booleans()), kv_heads=kv_heads)
    tensor = draw(st.sampled_from([1, 2, 4, 8]))
    experts = max(layer.experts for layer in layers)
    expert = draw(st.sampled_from([e for e in (1, 2, 4, 8) if tensor % e == 0])) if experts else 1
    layout = Layout(tensor, 1, draw(st.integers(1, len(layers))), expert, draw(st.sampled_from(["fp8", "bf16"])), "fp8")
    latency = sorted(draw(st.lists(st.floats(0, 10), min_size=2, max_size=2)))
    chip = replace(
        CHIP, bandwidth=draw(rates), vector=draw(rates), peak={"fp8": draw(rates), "bf16": draw(rates)},
        scale_up=Link("up", ((2, latency[0]), (8, latency[1])), draw(st.floats(0, 10))),
        scale_out=Link("out", ((16, draw(st.floats(0, 10))),), draw(st.floats(0, 10))),
        scale_up_bandwidth=draw(rates), scale_out_bandwidth=draw(rates), domain=draw(st.sampled_from([1, 2, 4, 8, 64])),
    )  # fmt: skip
    return model, chip, layout, draw(st.integers(1, 400)), draw(st.integers(1, 100_000))


def _scaled(layer: Layer, scale: int) -> Layer:
    return replace(layer, sharded=layer.sharded * scale, kv_elements=layer.kv_elements * scale,
                   state_bytes=layer.state_bytes * scale)  # fmt: skip


def seconds(case, **changes) -> float:
    model, chip, layout, batch, context = case
    return decode_step(model, replace(chip, **changes), layout, batch, context).step_s


@repeatable
@given(cases(), st.sampled_from(["bandwidth", "vector", "scale_up_bandwidth", "scale_out_bandwidth"]), factors)
def test_a_faster_chip_never_slows(case, name, factor):
    assert seconds(case, **{name: factor * getattr(case[1], name)}) <= seconds(case) * NOISE


@repeatable
@given(cases(), factors)
def test_a_higher_peak_never_slows(case, factor):
    assert seconds(case, peak={k: factor * v for k, v in case[1].peak.items()}) <= seconds(case) * NOISE


@repeatable
@given(cases(), st.sampled_from(["scale_up", "scale_out"]), st.floats(0, 1), st.floats(0, 1))
def test_a_lower_latency_never_slows(case, name, collective, hop):
    link = getattr(case[1], name)
    better = Link(link.name, tuple((g, collective * s) for g, s in link.limit), hop * link.hop_s)
    assert seconds(case, **{name: better}) <= seconds(case) * NOISE


@repeatable
@given(cases(), st.integers(1, 400))
def test_more_users_never_speed_a_user_up(case, more):
    model, chip, layout, batch, context = case
    assert decode_step(model, chip, layout, batch + more, context).step_s * NOISE >= seconds(case)


@repeatable
@given(cases())
def test_one_user_more_never_lowers_throughput_but_at_the_listed_rises(case):
    model, chip, layout, batch, context = case
    moe = next((layer for layer in model.layers if layer.experts), None)
    listed = () if moe is None else rises(moe.experts, moe.top_k, layout.expert)
    if batch not in listed:
        following = decode_step(model, chip, layout, batch + 1, context).step_s
        assert (batch + 1) / following * NOISE >= batch / seconds(case)


@repeatable
@given(cases(), st.integers(1, 100_000))
def test_a_longer_context_is_never_faster(case, more):
    model, chip, layout, batch, context = case
    assert decode_step(model, chip, layout, batch, context + more).step_s * NOISE >= seconds(case)


@repeatable
@given(cases(), st.floats(0.1, 1e4), st.floats(0, 1e9), st.integers(1, 100_000))
def test_more_memory_never_leaves_less_room_and_longer_context_never_more(case, fill, extra, more):
    model, chip, layout, _, context = case
    tight = replace(chip, usable_bytes=fill * weights_bytes(model, layout))
    users = room(model, tight, layout, context)
    assert room(model, replace(tight, usable_bytes=tight.usable_bytes + extra), layout, context) >= users
    assert room(model, tight, layout, context + more) <= users


@cache
def catalogue():
    return load()


MOE = [name for name in catalogue().records["models"] if catalogue().records["models"][name].experts]


@pytest.mark.parametrize("name", MOE)
@pytest.mark.parametrize("chip", ["b200-sxm", "gb200-nvl72", "tpu-v5e"])
def test_step_over_users_never_rises_but_at_the_listed_rises(name, chip):
    """Every layout of every expert degree, at every batch to beyond the one that touches all experts."""
    model = workload.model(catalogue().get(ModelRecord, name))
    moe = next(layer for layer in model.layers if layer.experts)
    one = chips.chip(catalogue(), catalogue().get(ChipRecord, chip))
    precisions = [("fp8" if "fp8" in one.peak else "bf16", "bf16")]
    space = enumerate_space(model, [one], precisions, 4096)
    batch = np.arange(1, saturation(moe.experts, moe.top_k) + 20)
    for degree in np.unique(space.experts):
        at = np.flatnonzero((space.experts == degree) & ~np.isnan(space.compute_fixed))[:, None]
        share = space.step_s(batch, at) / batch
        grows = np.flatnonzero(np.any(share[:, 1:] > share[:, :-1] * NOISE, axis=0)) + 1
        assert set(grows.tolist()) <= set(rises(moe.experts, moe.top_k, int(degree)))
        assert len(at) > 0 or degree > one.domain
