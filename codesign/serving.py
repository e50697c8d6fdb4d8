"""Work of serving one replica at peak rates: a decode step, and the prefill that each output token carries.

The same weights, caches and FLOP as mode limit (`performance`), with what a serving engine adds: attention
data parallelism, a precision for each kind of weight, prefill of prompts, and several users' steps in one
batch. All times are at peak rates, in seconds; `achieved` turns them into what one will see.
"""

import math
from dataclasses import dataclass

from codesign.experts import busiest, touched
from codesign.hardware import Chip
from codesign.performance import ACTIVATION_BYTES, BYTES, kv_share, needed
from codesign.workload import Layer, Model

MXFP4_BYTES = 0.53125  # 4 bits and one 8-bit scale for 32 elements
GATHER_PIPELINES = 2   # all-reduces of a layer


@dataclass(frozen=True)
class Deployment:
    """One replica of a model as an engine runs it.

    `tensor` x `data` chips share each layer (attention: `data` groups of `tensor`), `pipeline` stages follow
    each other, routed experts lie on `expert` groups of all chips of a stage.
    """

    tensor: int
    data: int = 1
    pipeline: int = 1
    expert: int = 1
    precision: str = "fp8"
    kv: str = "fp8"

    @property
    def stage_chips(self) -> int:
        """Chips of one pipeline stage."""
        return self.tensor * self.data

    @property
    def chips(self) -> int:
        """Chips of the replica."""
        return self.stage_chips * self.pipeline


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
class Work:
    """Peak seconds of one decode step of a stage, times `pipeline`, and counts that carry overheads.

    `prefill_s` is the prefill of one prompt over the replica's chips.
    """

    dense_s: float
    experts_s: float
    kv_s: float
    matrix_s: float
    attention_s: float
    prefill_s: float
    message_s: float         # activations of one decode step over the links
    prompt_message_s: float  # of one prompt
    collectives: int
    layers: int
    expert_layers: int
    latent_layers: int       # layers with latent attention
    users: float             # of the replica
    rank_users: float        # of one attention rank
    memory_users: int        # most users that memory holds


def _seen(layer: Layer, context: float) -> float:
    return context if layer.window is None else min(context, layer.window)


def work(model: Model, chip: Chip, d: Deployment, users: float, prompt: float, output: float) -> Work:
    """Peak times with `users` in the replica, `prompt` tokens in and `output` tokens out.

    A decode step is timed in the middle of the output. Raises ValueError for a number that the chip lacks.
    """
    n, size = d.stage_chips, stored(model, d.precision)
    stage_users = users / d.pipeline
    context, share = prompt + output / 2, kv_share(model, d.tensor)
    bandwidth = needed(chip, "bandwidth")
    sharded = sum(x.sharded for x in model.layers)
    kv_sharded, replicated = sum(x.kv_sharded for x in model.layers), sum(x.replicated for x in model.layers)
    dense = (sharded / d.tensor + kv_sharded * share + replicated) * size.dense + model.head / d.tensor * size.head
    moe = next((x for x in model.layers if x.experts), None)
    expert_layers = sum(x.experts > 0 for x in model.layers)
    experts_bytes = _experts_bytes(moe, d, expert_layers, stage_users, size.expert)
    kv = sum(x.kv_elements * _seen(x, context) for x in model.layers) * share * BYTES[d.kv]
    chosen = 0 if moe is None else expert_layers * moe.top_k * moe.expert
    peak = matrix_peak(chip, d.precision)
    linear = 2 * (sharded + kv_sharded + replicated + chosen)
    attention = sum(x.attention_flop * _seen(x, context) for x in model.layers)
    prompt_attention = sum(x.attention_flop * _seen(x, prompt / 2) for x in model.layers)
    width = _width(chip, n)
    carried = 4 * (n - 1) / n * len(model.layers) * model.hidden * ACTIVATION_BYTES / width if n > 1 else 0.0
    return Work(
        dense_s=dense / bandwidth,
        experts_s=experts_bytes / bandwidth,
        kv_s=users / d.data * kv / bandwidth,
        matrix_s=users * (linear + 2 * model.head) / n / peak,
        attention_s=users * attention / n / peak,
        prefill_s=prompt * (linear / peak + prompt_attention / chip.peak.get("bf16", peak)) / n,
        message_s=users * carried, prompt_message_s=prompt * carried,
        collectives=GATHER_PIPELINES * len(model.layers) if n > 1 else 0,
        layers=len(model.layers), expert_layers=expert_layers,
        latent_layers=len(model.layers) if model.kv_heads is None else 0,
        users=users, rank_users=users / d.data,
        memory_users=memory_users(model, chip, d, prompt + output),
    )  # fmt: skip


def _experts_bytes(moe: Layer | None, d: Deployment, layers: int, users: float, size: float) -> float:
    """Routed experts that the busiest group of a stage reads, on one of its chips."""
    if moe is None:
        return 0.0
    groups = d.expert if moe.experts % d.expert == 0 else 1
    whole = max(1, round(users))
    read = busiest(moe.experts, moe.top_k, groups, whole) if groups > 1 else touched(moe.experts, moe.top_k, whole)
    return layers * float(read) * moe.expert * groups / d.stage_chips * size


def _width(chip: Chip, chips: int) -> float:
    """Link bandwidth of a group of chips: the scale-out link's where it leaves the scale-up domain."""
    if chips == 1:
        return math.inf
    outside = chip.domain is not None and chips > chip.domain
    return needed(chip, "scale_out_bandwidth" if outside else "scale_up_bandwidth")


def memory_users(
    model: Model, chip: Chip, d: Deployment, context: float, usable: float = 0.9, reserve: float = 2e9
) -> int:
    """Users whose caches fit: a `usable` share of the memory, less weights, activations and runtime `reserve`.

    0.9 is the default memory share of common engines; the reserve covers activations and runtime (derived:
    engines report 1 to 3 GB for both).
    """
    size, share = stored(model, d.precision), kv_share(model, d.tensor)
    moe = next((x for x in model.layers if x.experts), None)
    layers = len(model.layers)
    sharded, kv_sharded = sum(x.sharded for x in model.layers), sum(x.kv_sharded for x in model.layers)
    replicated = sum(x.replicated for x in model.layers)
    weights = (sharded / d.tensor + kv_sharded * share + replicated) * size.dense
    weights += (model.head / d.tensor + (0 if model.tied_embedding else model.embedding / d.tensor)) * size.head
    if moe is not None:
        weights += sum(x.experts * x.expert for x in model.layers) / d.stage_chips * size.expert
    free = needed(chip, "usable_bytes") * usable - reserve - weights / min(d.pipeline, layers)
    each = sum(x.kv_elements * _seen(x, context) for x in model.layers) * share * BYTES[d.kv] / d.pipeline
    return max(0, math.floor(free / each)) * d.data
