"""Mode achieved bends the right way: better hardware never slows, more work and larger overheads never speed up."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.records import ChipRecord, ModelRecord
from codesign.physics import achieved, calibration, chips, prediction, serving, workload
from codesign.physics.layout import Layout
from codesign.physics.prediction import Asked
from tests.cases.command import load

repeatable = settings(derandomize=True, deadline=None, max_examples=80)
NOISE = 1 + 1e-9
MODELS = ("llama-2-70b", "llama-3.1-8b", "qwen3-32b", "mixtral-8x7b", "gpt-oss-120b", "gemma-3-27b", "deepseek-v3",
          "qwen3-235b-a22b")  # fmt: skip
MODEL = cache(lambda name: workload.model(load().get(ModelRecord, name)))
CHIP = cache(lambda name: chips.chip(load(), load().get(ChipRecord, name)))


@st.composite
def asks(draw):
    """A deployment of a catalogue model: dense, GQA, MoE, windows, latent attention."""
    model = MODEL(draw(st.sampled_from(MODELS)))
    tensor, data = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from([1, 2, 4]))
    experts = max(layer.experts for layer in model.layers)
    expert = draw(st.sampled_from([e for e in (1, 2, 4, 8) if tensor * data % e == 0])) if experts else 1
    d = Layout(tensor, data, draw(st.sampled_from([1, 2])), expert, draw(st.sampled_from(["fp8", "bf16", "fp4"])))
    return Asked(model, CHIP(draw(st.sampled_from(["h100-sxm", "b200-sxm", "mi300x"]))), d,
                 draw(st.integers(1, 512)), draw(st.integers(1, 50_000)), draw(st.integers(1, 10_000)),
                 draw(st.sampled_from(["vllm", "sglang", "trtllm"])), "",
                 draw(st.sampled_from([None, Layout(4)])))  # fmt: skip


def times(asked, **changes):
    """(time per output token, the same without others' prompts, time to first token)."""
    ours, record = prediction.constants(load())
    changed = replace(ours, **{name: {**getattr(ours, name), **table} for name, table in changes.items()})
    rows = prediction.rows_of([asked], record)
    k = changed.gather(rows)
    tpot = achieved.tpot_s(rows, k)[0]
    return tpot, tpot - achieved.terms(rows, k)["prompts"][0], achieved.ttft_s(rows, k)[0]


def no_faster(later, earlier):
    """Each time at least as long, but for rounding."""
    return all(b >= a / NOISE for a, b in zip(earlier, later, strict=True))


@repeatable
@given(asks(), st.sampled_from(["bandwidth", "scale_up_bandwidth", "scale_out_bandwidth", "peak"]), st.floats(1, 100))
def test_a_faster_chip_never_slows(asked, name, factor):
    value = getattr(asked.chip, name)
    more = {key: rate * factor for key, rate in value.items()} if name == "peak" else value * factor
    assert no_faster(times(asked), times(replace(asked, chip=replace(asked.chip, **{name: more}))))


@repeatable
@given(asks(), st.integers(1, 500))
def test_more_users_never_speed_one_up(asked, more):
    assert no_faster(times(replace(asked, users=asked.users + more)), times(asked))


def held(asked):
    """Users that memory holds: beyond them, longer caches mean fewer users in a step."""
    return serving.memory_users(asked.model, asked.chip, asked.deployment, asked.prompt + asked.output)


@repeatable
@given(asks(), st.integers(1, 50_000))
def test_longer_contexts_are_never_faster(asked, more):
    """A longer output thins out the others' prompts, so there only the step itself counts."""
    longer = replace(asked, prompt=asked.prompt + more)
    fits = replace(asked, users=max(1, min(asked.users, held(longer))))
    assert no_faster(times(replace(fits, prompt=longer.prompt)), times(fits))
    assert times(replace(fits, output=fits.output + more, prompt=1))[1] >= times(replace(fits, prompt=1))[1] / NOISE


LARGER = [("common", name) for name in calibration.COMMON if name != "overlap"]
LARGER += [("first", name) for name in calibration.FIRST_TOKEN if name != "chunk_tokens"]


@repeatable
@given(asks(), st.sampled_from(LARGER), st.floats(1, 10))
def test_larger_constants_are_never_faster(asked, constant, factor):
    table, name = constant
    larger = {name: getattr(prediction.constants(load())[0], table)[name] * factor}
    assert no_faster(times(asked, **{table: larger}), times(asked))


def test_every_constant_counts_somewhere():
    """Monotonicity would also hold for a constant that nothing reads."""
    d = Layout(8, weights="fp4")  # an H200 multiplies in no less than 8 bits
    base = Asked(MODEL("deepseek-v3"), CHIP("h200-sxm"), d, 5000, 4096, 1024, "sglang", "", Layout(8))
    for table, name in [*LARGER, ("common", "overlap"), ("first", "chunk_tokens")]:
        larger = {name: getattr(prediction.constants(load())[0], table)[name] * 2}
        assert times(base, **{table: larger}) != times(base), name
    for table, key in (("engine", "sglang"), ("family", "hopper")):
        ours = getattr(prediction.constants(load())[0], table)[key]
        for name, value in ours.items():
            assert times(base, **{table: {key: {**ours, name: value * 2}}})[2] > times(base)[2], name
            if name != "prefill_rate":  # decode waits for no prompt: prefill has its own pool
                assert times(base, **{table: {key: {**ours, name: value * 2}}})[0] > times(base)[0] * 1.001, name


def test_caches_are_replicated_beyond_the_kv_heads():
    """Eight KV heads split at most eight ways; a latent cache is whole on every chip."""
    def kv_s(model, tensor):
        return serving.work(MODEL(model), CHIP("gb200-nvl72"), Layout(tensor), 16, 1024, 1024).kv_s

    assert kv_s("qwen3-32b", 16) == kv_s("qwen3-32b", 8) == pytest.approx(kv_s("qwen3-32b", 1) / 8)
    assert kv_s("deepseek-v3", 16) == kv_s("deepseek-v3", 1)
