"""A transformer as its layers' weights and work, counted from the shape in its record.

Counts are exact for weights: biases, norms, sinks and routers are in. Work is counted for one
generated token: tensor FLOP count a multiplication and an addition as two; vector FLOP are our
own count, of order 1 for each element that a norm, rotation, gate or softmax touches, and leave
out the softmax over experts and the combination of their outputs.

A layer of linear attention (gated delta rule, arXiv 2412.06464) keeps no cache but a state of fixed
size for each user, which a step reads and writes. It counts in bytes, since its precision is the
model's own and does not follow that of the cache: the state as the record says, the last inputs of
the convolution in bf16 as any activation. The columns of a state need nothing of each other, so it
splits evenly over a tensor group; its update is a product of vectors, counted as vector FLOP.

Left out, with their weights: multi-token prediction layers, vision towers, the indexer of sparse
attention (a model that has one is taken with full attention). Chunked attention is taken as a
sliding window: a chunk holds at most that many tokens. Every head is taken as fully rotated,
also where a model rotates a part of it or skips the rotation in some layers.
"""

from dataclasses import dataclass
from typing import Literal

from codesign.facts.memo import by_identity
from codesign.facts.model_records import ExpertShape, LinearShape, MlaShape
from codesign.facts.records import ModelRecord

# Kernels of a layer as engines fuse them, our own count from vLLM, SGLang and TensorRT-LLM: each exposes its start.
KERNELS = {
    "gqa": 6,      # norm, QKV, rotation and cache write, attention, its reduction, output
    "qk_norm": 1,
    "mla": 12,     # norm, down-projections, two norms, Q up, rotation, cache write, absorbed K, attention, V, output
    "linear": 9,   # norm, two input projections, convolution, gates, state update, gated norm, output
    "indexer": 12,  # projections, norms, rotation, quantisation, scores, top-k, and the gather of chosen entries
    "dense": 3,    # gate and up, activation, down
    "experts": 7,  # router, top-k, sort, two grouped products, activation, weighted sum
    "shared": 2,   # shared experts beside the routed ones, where fused with them in part
}

# Vector FLOP per element, our own count.
NORM_FLOP = 4  # square, sum, product with the root mean square, product with the weight
RESIDUAL_FLOP = 1  # one sum, at each of the layer's two residual connections
SILU_FLOP = 4  # exponential, sum, division, product
GATE_FLOP = 5  # SiLU, then the product with `up`
ROPE_FLOP = 6  # from above: two products, a sum, and the swap, negation and cast around them
SOFTMAX_FLOP = 5  # scale, maximum, exponential, sum, division
STATE_FLOP = 7  # decay, then two each: product with the key, update by the outer product, product with the query

STATE_BYTES = {"fp32": 4, "bf16": 2}  # of one element of a state
INPUT_BYTES = 2  # of one remembered input of the convolution


@dataclass(frozen=True)
class Layer:
    """One transformer layer in numbers of weights, cache elements, state bytes and FLOP."""

    sharded: int  # weights that split evenly: Q, output, dense FFN, shared expert, MLA up-projections, linear
    kv_sharded: int  # K and V projections, which split at most kv_heads ways
    replicated: int  # norms, qk norms, router, shared gate, MLA down-projections, output bias, sinks
    experts: int  # 0 in a dense layer
    top_k: int
    expert: int  # weights of one routed expert
    kv_elements: int  # cache elements for each token of context
    state_bytes: int  # of one user whatever the context, read and written each step: linear attention
    window: int | None  # tokens that the layer sees at most
    attention_flop: int  # tensor FLOP per generated token and token of context seen
    vector_flop: int  # per generated token, whatever the context
    vector_flop_per_context: int  # per generated token and token of context seen
    kernels: int  # that an engine launches one after another for the layer

    def weights(self, experts: int) -> int:
        """Weights of the layer with so many of its routed experts."""
        return self.sharded + self.kv_sharded + self.replicated + experts * self.expert

    def seen(self, context: int) -> int:
        """Tokens of `context` that the layer attends to, and keeps in the cache."""
        return context if self.window is None else min(context, self.window)


@dataclass(frozen=True)
class Model:
    """A transformer: its layers, and what stands before and after them."""

    name: str
    title: str
    layers: tuple[Layer, ...]
    hidden: int
    vocab: int
    heads: int
    kv_heads: int | None  # None: latent attention, one cache entry for all heads
    tied_embedding: bool
    context: int  # tokens, the most that the model takes
    native: Literal["bf16", "fp8", "mxfp4"]

    @property
    def embedding(self) -> int:
        """Weights of the input embedding; a step reads one row of `hidden` per token."""
        return self.vocab * self.hidden

    @property
    def head(self) -> int:
        """Weights of the output projection, read whole each step; the embedding's own if tied."""
        return self.vocab * self.hidden

    @property
    def final_norm(self) -> int:
        """Weights of the norm before the head."""
        return self.hidden

    @property
    def total_params(self) -> int:
        """All weights; a tied embedding is stored, and counted, once."""
        return sum(layer.weights(layer.experts) for layer in self.layers) + self._outside

    @property
    def active_params(self) -> int:
        """Weights of one token's path, whole input embedding and head included.

        Publishers differ: some leave out the input embedding, some both.
        """
        return sum(layer.weights(layer.top_k) for layer in self.layers) + self._outside

    @property
    def kv_elements(self) -> int:
        """Cache elements of one token in all layers, while no window is full."""
        return sum(layer.kv_elements for layer in self.layers)

    @property
    def state_bytes(self) -> int:
        """State of one user in all layers of linear attention."""
        return sum(layer.state_bytes for layer in self.layers)

    @property
    def _outside(self) -> int:
        return self.embedding + (0 if self.tied_embedding else self.head) + self.final_norm


@dataclass(frozen=True)
class Traffic:
    """What users ask of a model: for now only the moment at which a decode step is timed.

    `context` is the number of tokens in the KV cache of each user at that moment; lengths of
    input and output are not part of it yet.
    """

    context: int

    def __post_init__(self) -> None:
        if self.context < 1:
            raise ValueError(f"context = {self.context!r} must be at least 1 token")


@dataclass(frozen=True)
class _Attention:
    sharded: int
    kv_sharded: int
    replicated: int
    vector_flop: int
    kv_elements: int = 0
    state_bytes: int = 0
    flop: int = 0
    vector_flop_per_context: int = 0


@dataclass(frozen=True)
class _FeedForward:
    sharded: int
    vector_flop: int
    replicated: int = 0
    experts: int = 0
    top_k: int = 0
    expert: int = 0


@by_identity(64)
def model(record: ModelRecord) -> Model:
    """The model that a catalogue record describes."""
    return Model(
        name=record.name,
        title=record.title,
        layers=tuple(_layer(record, index) for index in range(record.layers)),
        hidden=record.hidden,
        vocab=record.vocab,
        heads=record.heads,
        kv_heads=record.kv_heads,
        tied_embedding=record.tied_embedding,
        context=record.context,
        native=record.native,
    )


def _layer(record: ModelRecord, index: int) -> Layer:
    attention = _attention(record, index)
    feed = _feed_forward(record, index)
    outer_flop = (record.norms * NORM_FLOP + 2 * RESIDUAL_FLOP) * record.hidden
    return Layer(
        sharded=attention.sharded + feed.sharded,
        kv_sharded=attention.kv_sharded,
        replicated=attention.replicated + feed.replicated + record.norms * record.hidden,
        experts=feed.experts,
        top_k=feed.top_k,
        expert=feed.expert,
        kv_elements=attention.kv_elements,
        state_bytes=attention.state_bytes,
        window=_window(record, index),
        attention_flop=attention.flop,
        vector_flop=attention.vector_flop + feed.vector_flop + outer_flop,
        kernels=_kernels(record, index),
        vector_flop_per_context=attention.vector_flop_per_context,
    )


def _is_full(record: ModelRecord, index: int) -> bool:
    every = record.full_attention_every
    return every is None or (index + 1) % every == 0


def _kernels(record: ModelRecord, index: int) -> int:
    """Kernels of a layer without quantisation, which depends on how the weights are stored."""
    count = KERNELS["gqa" if record.mla is None else "mla"]
    if record.linear is not None and not _is_full(record, index):
        count = KERNELS["linear"]
    elif record.qk_norm != "none":
        count += KERNELS["qk_norm"]
    count += KERNELS["indexer"] if record.indexer else 0
    shape = record.experts
    if shape is None or not _has_experts(shape, index):
        return count + KERNELS["dense"]
    return count + KERNELS["experts"] + (KERNELS["shared"] if shape.shared_ffn else 0)


def _window(record: ModelRecord, index: int) -> int | None:
    return None if _is_full(record, index) else record.window


def _attention(record: ModelRecord, index: int) -> _Attention:
    if record.linear is not None and not _is_full(record, index):
        return _linear(record, record.linear)
    return _gqa(record) if record.mla is None else _mla(record, record.mla)


def _linear(record: ModelRecord, shape: LinearShape) -> _Attention:
    """Gated delta rule: no bias, no rotation; the convolution's products are counted with its weights.

    Projections of keys and queries split evenly, also over more chips than key heads, where engines copy them.
    """
    if shape.value_heads % shape.key_heads:
        raise ValueError(f"{record.name}: linear.value_heads must be a multiple of linear.key_heads")
    keys, values = shape.key_heads * shape.key_dim, shape.value_heads * shape.value_dim
    mixed = 2 * keys + values  # queries, keys and values: through the convolution, then each normalised
    scalars = 2 * shape.value_heads  # learning rate and decay of each head
    state = values * shape.key_dim
    return _Attention(
        sharded=(record.hidden * (mixed + values + scalars)  # `values` again: the gate of the output
                 + mixed * shape.kernel + scalars + values * record.hidden),
        kv_sharded=0,
        replicated=shape.value_dim,  # norm of each head's output
        vector_flop=STATE_FLOP * state + (SILU_FLOP + NORM_FLOP) * mixed + GATE_FLOP * (values + scalars),
        state_bytes=state * STATE_BYTES[shape.state] + mixed * (shape.kernel - 1) * INPUT_BYTES,
    )  # fmt: skip


def _gqa(record: ModelRecord) -> _Attention:
    if record.kv_heads is None or record.head_dim is None:
        raise ValueError(f"{record.name}: a model without mla needs kv_heads and head_dim")
    query, key = record.heads * record.head_dim, record.kv_heads * record.head_dim
    bias = 1 if record.qkv_bias else 0
    norm_weights = {"none": 0, "head": 2 * record.head_dim, "full": query + key}[record.qk_norm]
    normalised = 0 if record.qk_norm == "none" else query + key
    gated = query if record.output_gate else 0
    return _Attention(
        sharded=(record.hidden + bias) * (query + gated) + query * record.hidden,
        kv_sharded=2 * (record.hidden + bias) * key,
        replicated=norm_weights + _attention_extras(record),
        vector_flop=ROPE_FLOP * (query + key) + NORM_FLOP * normalised + GATE_FLOP * gated,
        kv_elements=2 * key,
        flop=4 * query,
        vector_flop_per_context=SOFTMAX_FLOP * record.heads,
    )


def _mla(record: ModelRecord, shape: MlaShape) -> _Attention:
    """Latent attention, decoded in the latent space: K and V up-projections act on Q and output."""
    if record.qkv_bias or record.qk_norm != "none" or record.output_gate:
        raise ValueError(f"{record.name}: qkv_bias and qk_norm have no meaning with mla, nor has output_gate")
    cached = shape.kv_rank + shape.rope_dim
    q_up = shape.q_rank * record.heads * (shape.nope_dim + shape.rope_dim)
    kv_up = shape.kv_rank * record.heads * (shape.nope_dim + shape.v_dim)
    output = record.heads * shape.v_dim * record.hidden
    inner_norms = shape.q_rank + shape.kv_rank
    rotated = (record.heads + 1) * shape.rope_dim
    return _Attention(
        sharded=q_up + kv_up + output,
        kv_sharded=0,
        replicated=record.hidden * (shape.q_rank + cached) + inner_norms + _attention_extras(record),
        vector_flop=ROPE_FLOP * rotated + NORM_FLOP * inner_norms,
        kv_elements=cached,
        flop=2 * record.heads * (cached + shape.kv_rank),
        vector_flop_per_context=SOFTMAX_FLOP * record.heads,
    )


def _attention_extras(record: ModelRecord) -> int:
    return (record.hidden if record.output_bias else 0) + (record.heads if record.sinks else 0)


def _feed_forward(record: ModelRecord, index: int) -> _FeedForward:
    shape = record.experts
    if shape is not None and _has_experts(shape, index):
        return _expert_layer(record, shape)
    if record.dense_ffn is None:
        raise ValueError(f"{record.name}: layer {index} is dense and the record has no dense_ffn")
    return _FeedForward(
        sharded=record.ffn_matrices * record.hidden * record.dense_ffn,
        vector_flop=GATE_FLOP * record.dense_ffn,
    )


def _has_experts(shape: ExpertShape, index: int) -> bool:
    """Of each `every` layers after the first dense ones, the last has experts."""
    behind = index - shape.first_dense
    return behind >= 0 and behind % shape.every == shape.every - 1


def _expert_layer(record: ModelRecord, shape: ExpertShape) -> _FeedForward:
    if record.shared_gate and not shape.shared_ffn:
        raise ValueError(f"{record.name}: shared_gate has no meaning without experts.shared_ffn")
    into = record.ffn_matrices - 1  # matrices from hidden to ffn: gate and up, or up alone
    expert_bias = into * shape.ffn + record.hidden if record.expert_bias else 0
    return _FeedForward(
        sharded=record.ffn_matrices * record.hidden * shape.shared_ffn,
        replicated=(record.hidden + (1 if record.router_bias else 0)) * shape.experts
        + (record.hidden if record.shared_gate else 0),
        vector_flop=GATE_FLOP * (shape.top_k * shape.ffn + shape.shared_ffn),
        experts=shape.experts,
        top_k=shape.top_k,
        expert=record.ffn_matrices * record.hidden * shape.ffn + expert_bias,
    )
