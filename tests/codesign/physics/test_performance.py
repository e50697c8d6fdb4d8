"""A decode step term by term by hand, the largest stage, room to the byte, and what is refused."""

from dataclasses import replace

import pytest

from codesign.physics.experts import busiest
from codesign.physics.layout import Layout
from codesign.physics.performance import decode_step, kv_share, largest_stage, room, user_bytes, weights_bytes
from codesign.physics.workload import Layer
from codesign.system.layouts import enumerate_space
from tests.cases.small_models import CHIP, LAYER, small

DENSE = small(LAYER, LAYER, LAYER)
EXPERTS = replace(LAYER, experts=16, top_k=2, expert=30)
PAIR = Layout(tensor=2, pipeline=2, expert=1, weights="fp8", kv="fp8")


def test_every_term_of_a_dense_step():
    """3 layers on 2 stages of 2 chips, 3 users a stage, context 5.

    Largest stage, term by term: 2 layers, 200 sharded weights (the other: 100 and the head's 40),
    32 of K and V, 16 replicated, 2 * 8 * 5 = 80 cache elements of a user.
    """
    t = decode_step(DENSE, CHIP, PAIR, batch=3, context=5)
    read = 200 / 2 + 32 / 2 + 16 + 3 * 4 / 2              # the last: embedding rows of 3 users
    assert t.weights_s == pytest.approx(read / 1000)
    assert t.kv_s == pytest.approx(3 * 80 / 2 / 1000)
    attention = 2 * 16 * 5 / 2                             # 2 layers, 16 FLOP a token seen, 2 chips
    assert t.tensor_s == pytest.approx(3 * (2 * (200 / 2 + 32 / 2 + 16) + attention) / 1e6)
    assert t.vector_s == pytest.approx(3 * 2 * (50 + 20 * 5) / 2 / 1e5)
    reduced = 2 * 2 * (1 / 2) * (3 * 4 * 2)                # two all-reduces send 2 (t-1)/t of B * hidden * 2 bytes
    assert t.exposed_s == pytest.approx(2 * (3 * 0.5 + reduced / 400))
    assert t.hops_s == pytest.approx(2 * (0.25 + 3 * 4 * 2 / 400))
    memory, compute = (138 + 120) / 1000, 1032 / 1e6 + 450 / 1e5
    assert (t.memory_s, t.compute_s) == (pytest.approx(memory), pytest.approx(compute))
    assert t.step_s == pytest.approx(2 * (memory + 3 + 96 / 400) + 2 * (0.25 + 24 / 400))
    assert t.shares()["bandwidth"] == pytest.approx(2 * memory / t.step_s)
    assert t.shares()["compute"] == pytest.approx(2 * compute / t.step_s)
    assert t.shares()["collectives"] == pytest.approx(1 - t.shares()["bandwidth"])


def test_the_larger_of_memory_and_compute_counts():
    slow = replace(CHIP, peak={"fp8": 1.0})
    t = decode_step(DENSE, slow, replace(PAIR, pipeline=1), batch=3, context=5)
    assert t.compute_s > t.memory_s
    assert t.step_s == pytest.approx(t.compute_s + t.exposed_s)


def test_one_chip_exposes_nothing():
    alone = replace(CHIP, scale_up=None, scale_up_bandwidth=None, domain=1, scale_out=None)
    t = decode_step(DENSE, alone, Layout(1, 1, 1, 1, "fp8", "fp8"), batch=1, context=1)
    assert (t.exposed_s, t.hops_s) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("domain", "tensor", "pipeline", "inside", "across"),
    [(4, 2, 2, 2, 0), (4, 2, 3, 1, 2), (8, 2, 3, 3, 0), (2, 2, 2, 0, 2), (2, 2, 3, 0, 3), (1, 2, 2, 0, 2)],
)
def test_hops_inside_and_across_domains(domain, tensor, pipeline, inside, across):
    """p hops around the ring; as many cross as there are domains, if more than one."""
    t = decode_step(DENSE, replace(CHIP, domain=domain), Layout(tensor, 1, pipeline, 1, "fp8", "fp8"), 3, 5)
    assert t.hops_s == pytest.approx(inside * (0.25 + 24 / 400) + across * (2.0 + 24 / 100))


def test_every_expert_term_of_a_step():
    """2 layers of 16 experts of 30 weights over 4 groups on 4 chips: dispatch and combine for one all-reduce."""
    model, layout = small(EXPERTS, EXPERTS), Layout(4, 1, 1, 4, "fp8", "fp8")
    t = decode_step(model, CHIP, layout, batch=3, context=5)
    plain = decode_step(small(LAYER, LAYER), CHIP, replace(layout, expert=1), batch=3, context=5)
    assert t.weights_s - plain.weights_s == pytest.approx(2 * float(busiest(16, 2, 4, 3)) * 30 / 1000)
    assert t.tensor_s - plain.tensor_s == pytest.approx(3 * 2 * 2 * 2 * 30 / 4 / 1e6)
    reduce, exchange = 2 * 3 / 4, 2 * (2 / 4) * 3 / 4      # each user's activations go to 2 of 4 groups and back
    assert t.exposed_s == pytest.approx(2 * (4 * 1.0 + (reduce + exchange) * 3 * 4 * 2 / 400))
    whole = decode_step(model, CHIP, replace(layout, expert=1), batch=3, context=5)
    assert whole.exposed_s == pytest.approx(2 * (3 * 1.0 + 2 * reduce * 3 * 4 * 2 / 400))
    assert whole.weights_s - plain.weights_s == pytest.approx(2 * 16 * (1 - (14 / 16) ** 3) * 30 / 4 / 1000)


def test_precisions_are_of_weights_and_cache():
    pairs = ("fp8", "bf16"), ("bf16", "fp8")
    fp8, bf16 = (decode_step(DENSE, CHIP, Layout(2, 1, 2, 1, w, k), 3, 5) for w, k in pairs)
    assert bf16.weights_s == pytest.approx(2 * fp8.weights_s)
    assert fp8.kv_s == pytest.approx(2 * bf16.kv_s)
    assert bf16.tensor_s == pytest.approx(2 * fp8.tensor_s)  # half the peak
    fp4 = decode_step(DENSE, replace(CHIP, peak={"fp4": 1e6}), replace(PAIR, weights="fp4"), 3, 5)
    assert fp4.weights_s == pytest.approx(0.5625 * fp8.weights_s)  # 4 bits and a scale of 8 for 16


def heavy(weights: int) -> Layer:
    return replace(LAYER, sharded=weights)


def test_largest_stage_when_layers_do_not_divide():
    """5 layers on 3 stages: 2, 2, 1; the embedding is held by the first, the head is read by the last."""
    model = small(heavy(100), heavy(200), heavy(300), heavy(400), heavy(500))
    stage = largest_stage(model, 3, context=5)
    assert (stage.layers, stage.sharded, stage.kv, stage.attention) == (2, 700, 80, 160)  # 300 + 400 > 500 + head
    assert stage.resident == 700                          # first stage: 300 and the embedding's 40
    assert stage.replicated == 16                         # last stage: 8 and the final norm's 4
    assert largest_stage(small(heavy(100), heavy(200), heavy(690)), 2, 5).sharded == 730  # 690 and the head
    assert largest_stage(small(heavy(690), heavy(10), heavy(690)), 2, 5).resident == 740  # 700 and the embedding


@pytest.mark.parametrize(
    ("tied", "pipeline", "resident", "read"), [(False, 1, 380, 340), (True, 1, 340, 340), (True, 3, 140, 140)]
)
def test_tied_embedding_counts_once_on_one_stage_and_twice_apart(tied, pipeline, resident, read):
    stage = largest_stage(small(LAYER, LAYER, LAYER, tied=tied), pipeline, context=5)
    assert (stage.resident, stage.sharded) == (resident, read)
    first = largest_stage(small(heavy(200), LAYER, LAYER, tied=tied), 3, context=5)
    assert (first.resident, first.sharded) == (240, 200)  # apart, the first stage holds its own copy, unread


def test_stages_hold_all_weights():
    """On one stage all parameters; on many the stages together, the copy of a tied embedding apart."""
    layout = Layout(1, 1, 1, 1, "fp8", "fp8")
    for model in (DENSE, small(EXPERTS, EXPERTS), small(LAYER, EXPERTS, tied=True)):
        assert weights_bytes(model, layout) == model.total_params


@pytest.mark.parametrize(("tensor", "share"), [(1, 1.0), (2, 0.5), (4, 0.25), (8, 0.25), (32, 0.25), (3, 0.5)])
def test_kv_is_replicated_beyond_its_heads(tensor, share):
    model = small(LAYER, kv_heads=4)
    assert kv_share(model, tensor) == share
    assert user_bytes(model, Layout(tensor, 1, 1, 1, "fp8", "fp8"), 5) == share * 40


def test_mla_is_whole_on_every_chip():
    model = small(replace(LAYER, kv_sharded=0), kv_heads=None)
    for tensor in (1, 2, 8):
        assert user_bytes(model, Layout(tensor, 1, 1, 1, "fp8", "fp8"), 5) == 40
    times = [decode_step(model, replace(CHIP, domain=8), Layout(t, 1, 1, 1, "fp8", "fp8"), 3, 5) for t in (1, 8)]
    assert times[0].kv_s == times[1].kv_s


def test_sliding_window_stops_growing():
    windowed = replace(LAYER, window=64)
    layout = Layout(1, 1, 1, 1, "fp8", "fp8")
    seen = [user_bytes(small(windowed, LAYER), layout, context) for context in (32, 64, 65, 1000)]
    assert seen == [8 * 64, 8 * 128, 8 * (64 + 65), 8 * 1064]
    at = [decode_step(small(windowed), CHIP, layout, 2, context) for context in (63, 64, 65, 10_000)]
    assert at[0].step_s < at[1].step_s == at[2].step_s == at[3].step_s


LINEAR = replace(LAYER, kv_sharded=0, kv_elements=0, state_bytes=600, attention_flop=0, vector_flop_per_context=0)
HYBRID = small(LINEAR, LINEAR, LAYER)


def test_state_is_read_and_written_and_stays():
    """2 linear layers and a full one on one stage of 2 chips: 2 * 600 bytes of state, 8 cache elements a token."""
    layout = Layout(2, 1, 1, 1, "fp8", "fp8")
    assert user_bytes(HYBRID, layout, 5) == (8 * 5 + 1200) / 2
    t = decode_step(HYBRID, CHIP, layout, batch=3, context=5)
    assert t.kv_s == pytest.approx(3 * (8 * 5 + 2 * 1200) / 2 / 1000)
    alone = [decode_step(small(LINEAR), CHIP, replace(layout, tensor=1), 3, context) for context in (1, 10_000)]
    assert alone[0] == alone[1]


def test_state_keeps_its_precision_and_is_split_beyond_the_kv_heads():
    model = small(LINEAR, kv_heads=1)
    assert [user_bytes(model, Layout(t, 1, 1, 1, "fp8", kv), 5) for t in (1, 4) for kv in ("fp8", "bf16")] == [
        600, 600, 150, 150]  # fmt: skip


def test_the_stage_with_most_state_counts():
    stage = largest_stage(small(LINEAR, LAYER, LINEAR, LINEAR), 2, context=5)
    assert (stage.state, stage.kv) == (1200, 40)
    assert largest_stage(DENSE, 2, context=5).state == 0


LINEAR_EXPERTS = replace(LINEAR, experts=16, top_k=2, expert=30)


@pytest.mark.parametrize("model", [HYBRID, small(LINEAR), small(LINEAR_EXPERTS, EXPERTS)])
@pytest.mark.parametrize("kv", ["fp8", "bf16"])
def test_states_in_the_arrays_are_those_of_the_closed_form(model, kv):
    chip = replace(CHIP, usable_bytes=1e6)
    space = enumerate_space(model, [chip], [("fp8", kv)], 1000, most_tensor=4)
    for position in range(len(space)):
        layout = space.layout(position)
        assert int(space.room[position]) == room(model, chip, layout, 1000)
        for batch in (1, 7, 1000):
            exactly = decode_step(model, chip, layout, batch, 1000).step_s
            assert float(space.step_s(batch, position)) == pytest.approx(exactly, rel=1e-12)


@pytest.mark.parametrize("users", [1, 7, 100])
@pytest.mark.parametrize("model", [DENSE, small(EXPERTS, EXPERTS, EXPERTS), small(LAYER, kv_heads=None), HYBRID])
@pytest.mark.parametrize("pipeline", [1, 2])
def test_room_to_the_byte(model, users, pipeline):
    """Weights and `users` users a stage fit exactly; in one byte less, one user less a stage."""
    layout = Layout(2, min(pipeline, len(model.layers)), 1, "fp8", "fp8")
    exact = weights_bytes(model, layout) + layout.pipeline * users * user_bytes(model, layout, 1000)
    assert room(model, replace(CHIP, usable_bytes=exact), layout, 1000) == users
    assert room(model, replace(CHIP, usable_bytes=exact - 1), layout, 1000) == users - 1


def test_room_is_never_negative():
    assert room(DENSE, replace(CHIP, usable_bytes=1.0), PAIR, 5) == 0


def test_cliff_when_the_group_leaves_the_domain():
    """8 chips around a domain of 4 pay the scale-out's latency and width; in a domain of 8 they do not."""
    model, layout = small(EXPERTS, EXPERTS), Layout(8, 1, 1, 8, "fp8", "fp8")
    inside, outside = (decode_step(model, replace(CHIP, domain=d), layout, 3, 5).exposed_s for d in (8, 4))
    assert inside == pytest.approx(2 * (4 * 1.0 + (2 + 2 * 2 / 8) * 7 / 8 * 24 / 400))
    assert outside == pytest.approx(2 * (4 * 3.0 + (2 + 2 * 2 / 8) * 7 / 8 * 24 / 100))


@pytest.mark.parametrize(
    ("changes", "layout", "message"),
    [
        ({"domain": 64}, Layout(16, 1, 1, 1, "fp8", "fp8"), "toy has no collective latency for 16 chips"),
        ({}, Layout(32, 1, 1, 1, "fp8", "fp8"), "toy has no collective latency for 32 chips"),
        ({"scale_out": None}, Layout(8, 1, 1, 1, "fp8", "fp8"), "toy has no collective latency for 8 chips"),
        ({"scale_out": None}, Layout(4, 1, 2, 1, "fp8", "fp8"), "toy has no scale_out link"),
        ({"scale_out_bandwidth": None}, Layout(4, 1, 2, 1, "fp8", "fp8"), "toy has no scale_out_bandwidth"),
        ({"scale_out_bandwidth": None}, Layout(8, 1, 1, 1, "fp8", "fp8"), "toy has no scale_out_bandwidth"),
        ({"scale_up_bandwidth": None}, Layout(2, 1, 1, 1, "fp8", "fp8"), "toy has no scale_up_bandwidth"),
        ({"scale_up": None}, Layout(1, 1, 2, 1, "fp8", "fp8"), "toy has no scale_up link"),
        ({"domain": None}, Layout(2, 1, 1, 1, "fp8", "fp8"), "toy has no domain"),
        ({"bandwidth": None}, Layout(1, 1, 1, 1, "fp8", "fp8"), "toy has no bandwidth"),
        ({"vector": None}, Layout(1, 1, 1, 1, "fp8", "fp8"), "toy has no vector"),
        ({}, Layout(1, 1, 1, 1, "fp4", "fp8"), r"toy has no peak\.fp4"),
    ],
)
def test_a_missing_number_is_named_with_its_chip(changes, layout, message):
    with pytest.raises(ValueError, match=message):
        decode_step(DENSE, replace(CHIP, **changes), layout, 3, 5)


def test_room_needs_usable_memory():
    with pytest.raises(ValueError, match="toy has no usable_bytes"):
        room(DENSE, replace(CHIP, usable_bytes=None), PAIR, 5)


@pytest.mark.parametrize(("layout", "message"), [
    (Layout(1, 1, 3, 1, "fp8", "fp8"), "pipeline = 3: small has 2 layers"),
    (Layout(2, 1, 1, 2, "fp8", "fp8"), "expert = 2: must divide tensor = 2 and 0 experts"),
])  # fmt: skip
def test_a_layout_that_the_model_rules_out(layout, message):
    with pytest.raises(ValueError, match=message):
        decode_step(small(LAYER, LAYER), CHIP, layout, batch=1, context=1)
