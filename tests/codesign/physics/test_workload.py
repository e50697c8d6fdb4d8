"""Weights, cache and work of every catalogue model against independent counts.

The totals in CHECKPOINT are the parameters of the released safetensors files as Hugging Face
shows them, without multi-token prediction modules and block scales where a checkpoint has them.
"""

import math
import tomllib
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.records import ModelRecord, SourceRecord
from codesign.physics.workload import Model, Traffic, model

INSTANCES = Path(__file__).parents[3] / "instances"
NAMES = sorted(path.stem for path in (INSTANCES / "models").glob("*.toml"))

CHECKPOINT = {
    "deepseek-v3": 671_026_419_200,
    "glm-4.5": 352_797_829_024,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "kimi-k2": 1_026_408_232_448,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "minimax-m2.5": 228_689_764_864,
    "mistral-large-2": 122_610_069_504,
    "mixtral-8x7b": 46_702_792_704,
    "qwen3-8b": 8_190_735_360,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
}
KV_ELEMENTS = {
    "llama-3.1-405b": 258_048,
    "llama-3.1-70b": 163_840,
    "llama-3.1-8b": 65_536,
    "deepseek-v3": 35_136,
    "gpt-oss-120b": 36_864,
    "qwen3-235b-a22b": 96_256,
    "qwen3.5-397b-a17b": 15_360,
}
WITHOUT_INPUT_EMBEDDING = ("deepseek-v3", "gpt-oss-20b", "gpt-oss-120b", "kimi-k2", "glm-5", "minimax-m2.5")

repeatable = settings(derandomize=True, deadline=None, max_examples=200)


def record(name: str) -> ModelRecord:
    text = (INSTANCES / "models" / f"{name}.toml").read_text(encoding="utf-8")
    return ModelRecord.model_validate(tomllib.loads(text))


def catalogue(name: str) -> Model:
    return model(record(name))


def rounded(params: int, written: str) -> str:
    """`params` to the digits and in the unit of a written figure: 70553706496 as "70.6B"."""
    digits, unit = Decimal(written[:-1]), {"B": Decimal(10**9), "T": Decimal(10**12)}[written[-1]]
    return f"{(params / unit).quantize(digits, ROUND_HALF_UP)}{written[-1]}"


def checkpoint_tensors(r: ModelRecord) -> Iterator[tuple[int, ...]]:
    """The shapes of the tensors that a checkpoint of this model holds, in order."""
    yield from [(r.vocab, r.hidden)] * (1 if r.tied_embedding else 2) + [(r.hidden,)]
    for index in range(r.layers):
        yield from [(r.hidden,)] * r.norms
        yield from linear_tensors(r) if index in linear_layers(r) else attention_tensors(r)
        yield from feed_forward_tensors(r, index)


def attention_tensors(r: ModelRecord) -> Iterator[tuple[int, ...]]:
    yield from [(r.hidden,)] * r.output_bias + [(r.heads,)] * r.sinks
    if r.mla:
        s = r.mla
        yield from [(s.q_rank, r.hidden), (s.q_rank,), (r.heads, s.nope_dim + s.rope_dim, s.q_rank)]
        yield from [(s.kv_rank + s.rope_dim, r.hidden), (s.kv_rank,)]
        yield from [(r.heads, s.nope_dim, s.kv_rank), (r.heads, s.v_dim, s.kv_rank)]
        yield (r.hidden, r.heads, s.v_dim)
        return
    assert r.kv_heads and r.head_dim
    for heads in (r.heads, r.kv_heads, r.kv_heads):
        yield (heads, r.head_dim, r.hidden)
        if r.qkv_bias:
            yield (heads, r.head_dim)
    yield from [(r.hidden, r.heads, r.head_dim)]
    if r.output_gate:
        yield from [(r.heads, r.head_dim, r.hidden)] + [(r.heads, r.head_dim)] * r.qkv_bias
    if r.qk_norm == "head":
        yield from [(r.head_dim,), (r.head_dim,)]
    if r.qk_norm == "full":
        yield from [(r.heads, r.head_dim), (r.kv_heads, r.head_dim)]


def linear_tensors(r: ModelRecord) -> Iterator[tuple[int, ...]]:
    """in_proj_qkv, in_proj_z, in_proj_b, in_proj_a, conv1d, A_log, dt_bias, norm, out_proj."""
    assert r.linear
    s = r.linear
    queries_keys_values = 2 * s.key_heads * s.key_dim + s.value_heads * s.value_dim
    yield from [(queries_keys_values, r.hidden), (s.value_heads, s.value_dim, r.hidden)]
    yield from [(s.value_heads, r.hidden), (s.value_heads, r.hidden), (queries_keys_values, 1, s.kernel)]
    yield from [(s.value_heads,), (s.value_heads,), (s.value_dim,), (r.hidden, s.value_heads, s.value_dim)]


def feed_forward_tensors(r: ModelRecord, index: int) -> Iterator[tuple[int, ...]]:
    if index not in expert_layers(r):
        assert r.dense_ffn
        yield (r.ffn_matrices, r.dense_ffn, r.hidden)
        return
    assert r.experts
    e = r.experts
    yield from [(e.experts, r.hidden)] + [(e.experts,)] * r.router_bias + [(1, r.hidden)] * r.shared_gate
    yield from [(r.ffn_matrices, e.shared_ffn, r.hidden), (e.experts, r.ffn_matrices, e.ffn, r.hidden)]
    if r.expert_bias:
        yield from [(e.experts, r.ffn_matrices - 1, e.ffn), (e.experts, r.hidden)]


def linear_layers(r: ModelRecord) -> set[int]:
    if r.linear is None:
        return set()
    assert r.full_attention_every
    return set(range(r.layers)) - set(range(r.full_attention_every - 1, r.layers, r.full_attention_every))


def expert_layers(r: ModelRecord) -> range:
    if r.experts is None:
        return range(0)
    return range(r.experts.first_dense + r.experts.every - 1, r.layers, r.experts.every)


@st.composite
def linear_shapes(draw: st.DrawFn) -> dict[str, object]:
    size, heads = st.integers(1, 64), draw(st.integers(1, 16))
    shape: dict[str, object] = {key: draw(size) for key in ("key_dim", "value_dim", "kernel")}
    shape |= {"key_heads": heads, "value_heads": heads * draw(st.integers(1, 4))}
    return shape | {"state": draw(st.sampled_from(["fp32", "bf16"]))}


@st.composite
def records(draw: st.DrawFn) -> ModelRecord:
    """Any shape, small: GQA or MLA, dense or with experts, with and without windows, linear layers and biases."""
    size, flag = st.integers(1, 64), st.booleans()
    shape: dict[str, object] = {key: draw(size) for key in ("hidden", "vocab", "heads", "dense_ffn")}
    shape |= {key: draw(flag) for key in ("tied_embedding", "output_bias", "router_bias")}
    shape |= {key: draw(flag) for key in ("expert_bias", "sinks")}
    if draw(flag):
        shape["mla"] = {key: draw(size) for key in ("q_rank", "kv_rank", "nope_dim", "rope_dim", "v_dim")}
    else:
        shape |= {"kv_heads": draw(size), "head_dim": draw(size), "qkv_bias": draw(flag), "output_gate": draw(flag)}
        shape["qk_norm"] = draw(st.sampled_from(["none", "head", "full"]))
    if draw(flag):
        experts = draw(st.integers(2, 64))
        mixture = {"experts": experts, "top_k": draw(st.integers(1, experts)), "ffn": draw(size)}
        mixture |= {"shared_ffn": draw(st.integers(0, 64)), "every": draw(st.integers(1, 4))}
        shape["experts"] = mixture | {"first_dense": draw(st.integers(0, 4))}
        shape["shared_gate"] = mixture["shared_ffn"] > 0 and draw(flag)
    others = draw(st.sampled_from(["full", "window", "linear"]))
    if others != "full":
        shape |= {others: draw(size if others == "window" else linear_shapes())}
        shape["full_attention_every"] = draw(st.integers(1, 6))
    shape |= {"layers": draw(st.integers(1, 12)), "norms": draw(st.integers(2, 4)), "context": 8, "schema": 1}
    shape |= {"ffn_matrices": draw(st.sampled_from([2, 3])), "native": "bf16", "name": "any", "title": "any"}
    shape |= {"source": "none", "date": "2026", "confidence": "assumed"}
    return ModelRecord.model_validate(shape | {"published": {"total": "1B", "source": "none"}})


@pytest.mark.parametrize("name", NAMES)
def test_total_is_the_sum_of_the_checkpoint_tensors(name: str) -> None:
    assert catalogue(name).total_params == sum(map(math.prod, checkpoint_tensors(record(name))))


@repeatable
@given(records())
def test_any_total_is_the_sum_of_the_checkpoint_tensors(any_record: ModelRecord) -> None:
    assert model(any_record).total_params == sum(map(math.prod, checkpoint_tensors(any_record)))


@pytest.mark.parametrize(("name", "total"), CHECKPOINT.items())
def test_total_is_that_of_the_released_checkpoint(name: str, total: int) -> None:
    assert catalogue(name).total_params == total


def test_glm_with_its_prediction_layer_is_the_released_checkpoint() -> None:
    """The layer has its own embedding, head, three norms and a projection of two hidden states."""
    glm = catalogue("glm-4.5")
    prediction = glm.layers[-1].weights(160) + 2 * glm.embedding + 2 * glm.hidden**2 + 3 * glm.hidden
    assert glm.total_params + prediction == 358_337_791_296
    assert rounded(glm.total_params + prediction - 4 * glm.embedding, "355B") == "355B"


def test_glm_5_with_its_indexer_has_the_printed_total() -> None:
    glm = catalogue("glm-5")
    indexer = 2048 * 32 * 128 + glm.hidden * 128 + 2 * 128 + glm.hidden * 32
    assert rounded(glm.total_params + len(glm.layers) * indexer, "744B") == "744B"


def test_qwen_with_its_vision_tower_and_prediction_layer_is_the_released_checkpoint() -> None:
    """The hub shows 403.4B; the tower has 27 blocks of 1152, FFN 4304, patches of 3 x 2 x 16 x 16, 2304 positions."""
    qwen = catalogue("qwen3.5-397b-a17b")
    block = 4 * (1152 + 1) * 1152 + (2 * 1152 * 4304 + 4304 + 1152) + 4 * 1152
    merger = 2 * 1152 + (4608 + 1) * 4608 + (4608 + 1) * qwen.hidden
    tower = 27 * block + (3 * 2 * 16 * 16 + 1) * 1152 + 2304 * 1152 + merger
    prediction = qwen.layers[3].weights(512) + 2 * qwen.hidden**2 + 3 * qwen.hidden
    assert rounded(qwen.total_params, "396.35B") == "396.35B"
    assert rounded(qwen.total_params + tower, "397B") == "397B"
    assert rounded(qwen.total_params + tower + prediction, "403.4B") == "403.4B"


@pytest.mark.parametrize("name", NAMES)
def test_printed_figures_match_or_the_difference_is_stated(name: str) -> None:
    built, published = catalogue(name), record(name).published
    pairs = [(built.total_params, published.total)]
    pairs += [(built.active_params, published.active)] if published.active else []
    assert (published.difference != "") == any(rounded(ours, text) != text for ours, text in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_a_stated_difference_excuses_little(name: str) -> None:
    built, published = catalogue(name), record(name).published
    total = float(published.total[:-1]) * {"B": 1e9, "T": 1e12}[published.total[-1]]
    assert built.total_params == pytest.approx(total, rel=0.03)
    if published.active:
        active = float(published.active[:-1]) * 1e9
        counts = (built.active_params, built.active_params - built.embedding)
        assert min(abs(count / active - 1) for count in counts) < 0.05


@pytest.mark.parametrize("name", WITHOUT_INPUT_EMBEDDING)
def test_printed_active_leaves_out_the_input_embedding(name: str) -> None:
    built, written = catalogue(name), record(name).published.active
    assert written is not None
    assert rounded(built.active_params - built.embedding, written) == written


@pytest.mark.parametrize(("name", "elements"), KV_ELEMENTS.items())
def test_kv_elements(name: str, elements: int) -> None:
    assert catalogue(name).kv_elements == elements


def test_half_the_kv_heads_hold_half_the_cache() -> None:
    full = record("llama-3.1-70b")
    half = model(full.model_copy(update={"kv_heads": 4}))
    assert 2 * half.kv_elements == model(full).kv_elements
    assert 2 * half.layers[0].kv_sharded == model(full).layers[0].kv_sharded


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-3.1-8b", []),
        ("mixtral-8x7b", list(range(32))),
        ("deepseek-v3", list(range(3, 61))),
        ("kimi-k2", list(range(1, 61))),
        ("llama-4-scout", list(range(48))),
        ("llama-4-maverick", list(range(1, 48, 2))),
    ],
)
def test_layers_with_experts(name: str, expected: list[int]) -> None:
    assert [i for i, layer in enumerate(catalogue(name).layers) if layer.experts] == expected


@pytest.mark.parametrize(
    ("name", "full", "window"),
    [
        ("gemma-3-27b", range(5, 62, 6), 1024),
        ("gpt-oss-20b", range(1, 24, 2), 128),
        ("gpt-oss-120b", range(1, 36, 2), 128),
        ("llama-4-scout", range(3, 48, 4), 8192),
        ("llama-4-maverick", range(3, 48, 4), 8192),
        ("qwen3-8b", range(36), None),
    ],
)
def test_windowed_layers(name: str, full: range, window: int | None) -> None:
    for index, layer in enumerate(catalogue(name).layers):
        assert layer.window == (None if index in full else window)


def test_linear_layers_keep_a_state_and_no_cache() -> None:
    for index, layer in enumerate(catalogue("qwen3.5-397b-a17b").layers):
        full = index % 4 == 3
        assert (layer.kv_elements, layer.state_bytes > 0) == (2 * 2 * 256 if full else 0, not full)
        assert (layer.attention_flop > 0, layer.vector_flop_per_context > 0, layer.window) == (full, full, None)


@pytest.mark.parametrize(("state", "page"), [("fp32", 4.27e6), ("bf16", 2.17e6)])
def test_state_of_a_layer_is_the_page_that_an_engine_allots(state: str, page: float) -> None:
    """MB of a page that vllm-project/tpu-inference pull request 2482 prints for this model."""
    qwen = record("qwen3.5-397b-a17b")
    assert qwen.linear
    shape = qwen.linear.model_copy(update={"state": state})
    layer = model(qwen.model_copy(update={"linear": shape})).layers[0]
    assert layer.state_bytes == pytest.approx(page, rel=0.002)
    assert layer.state_bytes == 64 * 128 * 128 * (4 if state == "fp32" else 2) + 3 * (2 * 16 + 64) * 128 * 2


@repeatable
@given(records())
def test_only_linear_layers_have_a_state(any_record: ModelRecord) -> None:
    built = model(any_record)
    assert {i for i, layer in enumerate(built.layers) if layer.state_bytes} == linear_layers(any_record)
    assert {i for i, layer in enumerate(built.layers) if not layer.kv_elements} == linear_layers(any_record)
    assert built.state_bytes == sum(layer.state_bytes for layer in built.layers)


@pytest.mark.parametrize(("changes", "message"), [
    ({"experts": {"shared_ffn": 0}}, "shared_gate has no meaning without"),
    ({"linear": {"value_heads": 40}}, "value_heads must be a multiple of"),
])  # fmt: skip
def test_a_linear_model_ignores_no_option(changes: dict[str, dict[str, object]], message: str) -> None:
    shape = record("qwen3.5-397b-a17b").model_dump(by_alias=True, exclude_none=True)
    for table, keys in changes.items():
        shape[table] |= keys
    with pytest.raises(ValueError, match=f"qwen3.5-397b-a17b: .*{message}"):
        model(ModelRecord.model_validate(shape))


@pytest.mark.parametrize("changes", [{"window": 8}, {"linear": None}, {"full_attention_every": None}])
def test_layers_without_full_attention_are_of_one_kind(changes: dict[str, object]) -> None:
    shape = record("qwen3.5-397b-a17b").model_dump(by_alias=True, exclude_none=True)
    with pytest.raises(ValueError, match="full_attention_every goes together with either window or linear"):
        ModelRecord.model_validate(shape | changes)


def test_window_bounds_what_a_layer_sees() -> None:
    local, whole = catalogue("gpt-oss-20b").layers[:2]
    assert [local.seen(tokens) for tokens in (127, 128, 129)] == [127, 128, 128]
    assert whole.seen(100_000) == 100_000


def test_work_of_a_grouped_query_layer() -> None:
    layer = catalogue("llama-3.1-8b").layers[0]
    assert layer.attention_flop == 4 * 32 * 128
    assert layer.vector_flop == 2 * 4 * 4096 + 2 * 4096 + 5 * 14336 + 6 * (32 + 8) * 128
    assert layer.vector_flop_per_context == 5 * 32


def test_work_of_a_latent_attention_layer() -> None:
    layer = catalogue("deepseek-v3").layers[-1]
    inner_norms, rotated = 1536 + 512, 129 * 64
    assert layer.attention_flop == 2 * 128 * 576 + 2 * 128 * 512
    assert layer.vector_flop == 10 * 7168 + 5 * (8 * 2048 + 2048) + 6 * rotated + 4 * inner_norms
    assert layer.kv_sharded == 0


def test_work_of_a_linear_layer() -> None:
    linear, full = catalogue("qwen3.5-397b-a17b").layers[2:4]
    queries_and_keys, values = 2 * 16 * 128, 64 * 128
    outside = 10 * 4096 + 5 * (10 * 1024 + 1024)
    state = 7 * 64 * 128 * 128
    assert linear.vector_flop == outside + state + 8 * (queries_and_keys + values) + 5 * values + 5 * 2 * 64
    assert full.vector_flop == outside + (6 + 4) * (32 + 2) * 256 + 5 * 32 * 256
    assert full.attention_flop == 4 * 32 * 256


def test_a_tied_embedding_is_stored_once_and_read_as_head() -> None:
    tied = record("gemma-3-27b")
    untied = model(tied.model_copy(update={"tied_embedding": False}))
    assert untied.total_params - model(tied).total_params == untied.head
    assert model(tied).head == 262144 * 5376


@repeatable
@given(records(), st.sampled_from(["layers", "hidden", "vocab"]))
def test_total_grows_with_layers_hidden_and_vocab(any_record: ModelRecord, field: str) -> None:
    larger = any_record.model_copy(update={field: getattr(any_record, field) + 1})
    assert model(larger).total_params > model(any_record).total_params


@repeatable
@given(records())
def test_active_is_at_most_total(any_record: ModelRecord) -> None:
    built = model(any_record)
    assert built.active_params <= built.total_params
    if not any(layer.experts for layer in built.layers):
        assert built.active_params == built.total_params


@pytest.mark.parametrize("name", NAMES)
def test_files_are_named_and_sourced(name: str) -> None:
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in INSTANCES.glob("*sources*.toml")]
    sources = {key: SourceRecord.model_validate(value) for table in tables for key, value in table.items()}
    written = record(name)
    assert written.name == name
    assert {written.source, written.published.source} <= sources.keys()


def test_a_dense_layer_needs_its_width() -> None:
    with pytest.raises(ValueError, match="layer 0 is dense"):
        model(record("deepseek-v3").model_copy(update={"dense_ffn": None}))


@pytest.mark.parametrize("option", [{"qkv_bias": True}, {"qk_norm": "head"}, {"output_gate": True}])
def test_latent_attention_ignores_no_option(option: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="deepseek-v3: qkv_bias and qk_norm"):
        model(record("deepseek-v3").model_copy(update=option))


def test_traffic_needs_a_token() -> None:
    assert Traffic(context=1).context == 1
    with pytest.raises(ValueError, match="context = 0 must be at least 1"):
        Traffic(context=0)
