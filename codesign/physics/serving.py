"""Work of serving one replica at peak rates: a decode step, and the prefill that each output token carries.

The same weights, caches and FLOP as mode limit (`performance`), with what a serving engine adds: attention
data parallelism, a precision for each kind of weight, prefill of prompts, drafted tokens, and several users'
steps in one batch. All times are at peak rates, in seconds; `achieved` turns them into what one will see.

For one deployment every part of the work is constant or proportional to users, but for the experts read, which
follow `experts.busiest`, and collectives, which follow the link's measured curve in the bytes of a message:
`coefficients` finds these once, `Coefficients.work` evaluates them for any users. Within an attention group two
all-reduces a layer; with attention data parallelism one in the group, and the tokens of all groups meet for the
feed-forward network: gathered and scattered, or, where experts lie apart, dispatched and combined, as is faster.

With `draft` tokens drafted a step, 1 + draft tokens of each user run through the matrices and are routed to
experts, while weights and caches are read once; drafting each costs one mean layer and the head (an approximation
of multi-token heads and of small draft models). `acceptance` is the mean number of tokens that a step yields.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from codesign.facts.memo import by_identity
from codesign.physics.collectives import Curve, curve, lower, plus
from codesign.physics.experts import busiest
from codesign.physics.hardware import Chip
from codesign.physics.layout import BYTES, Layout
from codesign.physics.performance import ACTIVATION_BYTES, kv_share, needed
from codesign.physics.workload import Layer, Model

MXFP4_BYTES = 0.53125   # 4 bits and one 8-bit scale for 32 elements
ALL_REDUCES = 2         # of a layer: behind attention, and behind the feed-forward network
QUANTISING = 3          # kernels more in a layer whose activations are quantised for its matrices (8 and 4 bits)
USABLE = 0.9            # share of the memory that engines take: default of vLLM, SGLang and TensorRT-LLM
RESERVE_BYTES = 2e9     # driver context, captured graphs, communication buffers (derived: engines report 1 to 3 GB)
BLOCK = 16              # tokens of a KV block: default of vLLM; the last block of a user is partly empty
CHUNK = 8192            # tokens in flight while prompts are computed, where `chunk` is not given: default of vLLM

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Stored:
    """Bytes of one stored weight, by what it belongs to."""

    dense: float
    expert: float
    head: float


def stored(model: Model, precision: str) -> Stored:
    """How engines store a model at a precision.

    The head stays bf16. In four bits only routed experts shrink where a model has them (attention and shared
    parts stay at 8 bits, or at bf16 for a model that ships that way); a dense model shrinks whole.
    """
    moe = any(layer.experts for layer in model.layers)
    if precision == "bf16":
        return Stored(2.0, 2.0, 2.0)
    if precision == "fp4":
        if model.native == "mxfp4":
            return Stored(2.0, MXFP4_BYTES, 2.0)
        return Stored(1.0 if moe else BYTES["fp4"], BYTES["fp4"], 2.0)
    return Stored(BYTES[precision], BYTES[precision], 2.0)


def matrix_peak(chip: Chip, precision: str) -> float:
    """FLOP/s of the narrowest format that the chip multiplies in at this precision; wider if it has none."""
    order = {"fp4": ("fp4", "fp8", "bf16"), "fp8": ("fp8", "bf16"), "int8": ("int8", "bf16"), "bf16": ("bf16",)}
    for name in order[precision]:
        if name in chip.peak:
            return chip.peak[name]
    raise ValueError(f"{chip.name} has no peak.{'|'.join(order[precision])}")


@dataclass(frozen=True)
class Memory:
    """What lies in the memory of each chip of the fullest stage, and how many users' caches fit in the replica."""

    usable_bytes: float       # what the engine takes: USABLE of the chip's
    weights_bytes: float
    activation_bytes: float   # of the tokens in flight
    reserve_bytes: float
    kv_bytes_per_user: float  # of one user whose attention this chip serves
    users: int                # 0 where even one does not fit

    @property
    def fixed_bytes(self) -> float:
        """All but caches."""
        return self.weights_bytes + self.activation_bytes + self.reserve_bytes

    def held_bytes(self, users: int) -> float:
        """With the caches of so many users on this chip."""
        return self.fixed_bytes + users * self.kv_bytes_per_user


@dataclass(frozen=True)
class Work:
    """Peak seconds of one decode step, over all stages, and counts that carry overheads.

    `prefill_s` is the prefill of one prompt over the replica's chips.
    """

    dense_s: float
    experts_s: float
    kv_s: float
    matrix_s: float
    attention_s: float
    prefill_s: float
    collectives_s: float     # of one decode step, as measured; between stages at the link's bandwidth
    prompt_collectives_s: float  # of one prompt
    kernels: float           # launched one after another; drafting a token adds a layer's
    users: float             # of the replica
    rank_users: float        # of one attention rank
    acceptance: float        # tokens that a step yields for each user
    unpacked: float          # 1.0 where experts are stored narrower than the chip multiplies in, else 0.0


@dataclass(frozen=True)
class Exchange:
    """Collectives of one kind: how many in a step, bytes of a token, and of a user in a step, their time by bytes."""

    count: float
    token_bytes: float
    bytes_per_user: float
    curve: Curve


@dataclass(frozen=True)
class Coefficients:
    """The work of one deployment as a function of its users, by the names of `Work`."""

    fixed: dict[str, float]
    per_user: dict[str, float]
    expert_s: float                # to read one expert of every layer, on the chips of the group that holds it
    experts: tuple[int, int, int]  # (experts, top_k, groups) of `experts.busiest`; experts 0 in a dense model
    tokens: float                  # that one user adds to a stage's step
    exchanges: tuple["Exchange", ...]
    memory: Memory

    def work(self, users: Any) -> dict[str, Array]:
        """Every field of `Work` at these numbers of users."""
        several = np.asarray(users, dtype=np.float64)
        found = {name: np.full_like(several, value) for name, value in self.fixed.items()}
        found |= {name: several * value for name, value in self.per_user.items()}
        found["experts_s"] = np.zeros_like(several)
        if self.experts[0]:
            routed = np.maximum(1, np.rint(several * self.tokens)).astype(np.int64)
            found["experts_s"] = self.expert_s * busiest(*self.experts, routed)
        for x in self.exchanges:
            found["collectives_s"] = found["collectives_s"] + x.count * x.curve.seconds(several * x.bytes_per_user)
        return found


def coefficients(model: Model, chip: Chip, d: Layout, prompt: float, output: float) -> Coefficients:
    """The work of a deployment with `prompt` tokens in and `output` tokens out, a step timed mid-output.

    Raises ValueError for a number that the chip lacks.
    """
    n, size, layers = d.stage_chips, stored(model, d.weights), len(model.layers)
    context, drafted = prompt + output / 2, d.draft / layers   # drafted: in layers of the model
    bandwidth, peak = needed(chip, "bandwidth"), matrix_peak(chip, d.weights)
    experts, top_k, expert, expert_layers, groups = _routing(model, d)
    dense = _dense(model, d.tensor, 1)[0] * size.dense
    head = model.head / d.tensor * size.head
    cache, linear, attention, prompt_attention, launched = _totals(model, context, prompt)
    kv = cache * kv_share(model, d.tensor) * BYTES[d.kv]
    kv += 2 * model.state_bytes / d.tensor  # a linear layer's state is read and written
    tokens = 1 + d.draft + drafted
    exchanges = _exchanges(model, chip, d)
    inflight = min(prompt, d.chunk or CHUNK)
    kernels = launched + (0 if d.weights == "bf16" else QUANTISING * layers)
    return Coefficients(
        fixed={
            "dense_s": (dense * (1 + drafted) + head * (1 + d.draft)) / bandwidth,
            "prefill_s": prompt * (linear / peak + prompt_attention / chip.peak.get("bf16", peak)) / n,
            "prompt_collectives_s": sum(
                prompt / inflight * x.count * float(x.curve.seconds(inflight * x.token_bytes)) for x in exchanges),
            "kernels": kernels * (1 + drafted),
            "acceptance": d.acceptance,
            "unpacked": float(experts > 0 and d.weights not in chip.peak),
        },
        per_user={
            "kv_s": kv * (1 + drafted) / d.data / bandwidth,
            "matrix_s": (tokens * linear + (1 + 2 * d.draft) * 2 * model.head) / n / peak,
            "attention_s": tokens * attention / n / peak,
            "collectives_s": _hop_s(model, chip, d) * (1 + d.draft),
            "users": 1.0,
            "rank_users": 1 / d.data,
        },
        expert_s=expert_layers * (1 + drafted) * expert * groups / n * size.expert / bandwidth,
        experts=(experts, top_k, groups), tokens=(1 + d.draft) / d.pipeline,
        exchanges=tuple(replace(x, count=x.count * (1 + drafted)) for x in exchanges),
        memory=memory(model, chip, d, prompt + output),
    )  # fmt: skip


@by_identity(256)
def _totals(model: Model, context: float, prompt: float) -> tuple[float, int, float, float, int]:
    """Of all layers: cache elements at `context`, FLOP of a token by matrices and attention, of attention to the prompt
    in the mean, kernels."""
    layers = model.layers
    return (
        sum(x.kv_elements * _seen(x, context) for x in layers),
        2 * sum(x.weights(x.top_k if x.experts else 0) for x in layers),
        sum(x.attention_flop * _seen(x, context) for x in layers),
        sum(x.attention_flop * _seen(x, prompt / 2) for x in layers),
        sum(x.kernels for x in layers),
    )


def work(model: Model, chip: Chip, d: Layout, users: float, prompt: float, output: float) -> Work:
    """The work with `users` in the replica. Raises ValueError for a number that the chip lacks."""
    found = coefficients(model, chip, d, prompt, output).work(users)
    return Work(**{name: float(value) for name, value in found.items()})


def memory(model: Model, chip: Chip, d: Layout, context: float) -> Memory:
    """What weights, activations and caches of `context` tokens take on a chip, each in its fullest stage.

    Caches come in whole blocks. Tokens in flight keep what the matrices of one layer give out, and what went in.
    """
    size, share = stored(model, d.weights), kv_share(model, d.tensor)
    stages, weights = _held(model, d.pipeline, math.ceil(context / BLOCK) * BLOCK), []
    for i, (dense, stage) in enumerate(zip(_dense(model, d.tensor, d.pipeline), stages, strict=True)):
        ends = model.head if i == len(stages) - 1 else 0
        ends += model.embedding if i == 0 and not (model.tied_embedding and ends) else 0
        routed = stage.experts / d.stage_chips * size.expert
        weights.append(dense * size.dense + routed + ends / d.tensor * size.head)
    kv = max(stage.cache * share * BYTES[d.kv] + stage.state_bytes / d.tensor for stage in stages)
    widest = _widest(model) / model.hidden / d.tensor
    active = (d.chunk or CHUNK) * (2 * model.hidden + widest) * ACTIVATION_BYTES
    usable = needed(chip, "usable_bytes") * USABLE
    free = usable - max(weights) - active - RESERVE_BYTES
    return Memory(usable, max(weights), active, RESERVE_BYTES, kv, max(0, math.floor(free / kv)) * d.data)


def memory_users(model: Model, chip: Chip, d: Layout, context: float) -> int:
    """Most users of a replica whose caches fit."""
    return memory(model, chip, d, context).users


def _seen(layer: Layer, context: float) -> float:
    return context if layer.window is None else min(context, layer.window)


def _stages(layers: Sequence[Layer], pipeline: int) -> list[Sequence[Layer]]:
    """Layers split evenly, the longer stages first; no stage without a layer."""
    count = min(pipeline, len(layers))
    short, longer = divmod(len(layers), count)
    ends = [short * i + min(i, longer) for i in range(count + 1)]
    return [layers[a:b] for a, b in pairwise(ends)]


@by_identity(4096)
def _dense(model: Model, tensor: int, pipeline: int) -> tuple[float, ...]:
    """Weights on one chip of each stage, all but routed experts."""
    share = kv_share(model, tensor)
    return tuple(
        sum(x.sharded / tensor + x.kv_sharded * share + x.replicated for x in part)
        for part in _stages(model.layers, pipeline)
    )


@dataclass(frozen=True)
class Held:
    """Of one stage: weights of routed experts, cache elements of a user, bytes of its state."""

    experts: int
    cache: float
    state_bytes: int


@by_identity(1024)
def _held(model: Model, pipeline: int, context: float) -> tuple[Held, ...]:
    return tuple(
        Held(sum(x.experts * x.expert for x in part), sum(x.kv_elements * _seen(x, context) for x in part),
             sum(x.state_bytes for x in part))
        for part in _stages(model.layers, pipeline)
    )  # fmt: skip


@by_identity(64)
def _widest(model: Model) -> int:
    """Weights of the largest layer that one token meets."""
    return max(x.weights(x.top_k if x.experts else 0) for x in model.layers)


@by_identity(64)
def _moe(model: Model) -> tuple[int, int, int, int]:
    moe = next((x for x in model.layers if x.experts), None)
    return (0, 0, 0, 0) if moe is None else (
        moe.experts, moe.top_k, moe.expert, sum(x.experts > 0 for x in model.layers))  # fmt: skip


def _routing(model: Model, d: Layout) -> tuple[int, int, int, int, int]:
    """(experts, top_k, weights of one, layers with experts, groups that they lie on)."""
    experts, top_k, expert, layers = _moe(model)
    groups = d.expert if experts and experts % d.expert == 0 else 1
    return experts, top_k, expert, layers, groups


def _exchanges(model: Model, chip: Chip, d: Layout) -> tuple[Exchange, ...]:
    """Collectives of all layers, one token of each user in a step."""
    n, layers = d.stage_chips, len(model.layers)
    size = model.hidden * ACTIVATION_BYTES  # of one token
    if n == 1:
        return ()
    if d.data == 1:
        return (_exchange(d, ALL_REDUCES * layers, size, curve(chip, "all_reduce", n)),)
    within = [_exchange(d, layers, size / d.data, curve(chip, "all_reduce", d.tensor))] if d.tensor > 1 else []
    experts, top_k, *_ = _routing(model, d)
    return (*within, _exchange(d, layers, size, _meeting(chip, n, top_k if experts and d.expert == n else 0)))


@by_identity(4096)
def _meeting(chip: Chip, n: int, top_k: int) -> Curve:
    """Tokens of `n` chips brought together and apart again; where experts lie on all, to the `top_k` of each alone."""
    meet = plus(curve(chip, "all_gather", n), curve(chip, "reduce_scatter", n))
    if not top_k:
        return meet
    reached = n * (1 - (1 - 1 / n) ** top_k)  # chips that a token's experts lie on, in expectation
    apart = curve(chip, "alltoall", n).stretched(n / reached)  # by the bytes of all ranks' tokens
    return lower(meet, apart.times(2.0))


def _exchange(d: Layout, count: float, token_bytes: float, by_bytes: Curve) -> Exchange:
    return Exchange(count, token_bytes, token_bytes * (1 + d.draft) / d.pipeline, by_bytes)


def _hop_s(model: Model, chip: Chip, d: Layout) -> float:
    """Seconds that one user's activations take from stage to stage and back to the first, all hops."""
    if d.pipeline == 1:
        return 0.0
    outside = chip.domain is not None and d.chips > chip.domain
    width = needed(chip, "scale_out_bandwidth" if outside else "scale_up_bandwidth")
    return model.hidden * ACTIVATION_BYTES / width
