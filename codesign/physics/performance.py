"""Seconds of one decode step in closed form, mode limit: what no system can beat.

One replica: `tensor` chips share every layer, `pipeline` stages follow each other, experts are
spread over `expert` groups inside a tensor group. With B users in each stage (arXiv 2507.14397):

    stage_s = max(memory_s, compute_s) + exposed_s
    step_s  = pipeline * stage_s + hops_s          users = pipeline * B, user speed = 1 / step_s

memory_s   weights once (of the input embedding B rows only), the experts that the busiest group
           touches, every user's KV cache, every user's linear-attention state in and out, over the
           chip's bandwidth
compute_s  tensor FLOP over the tensor peak plus vector FLOP over the vector peak
exposed_s  the study's 3 collectives a layer, 4 where experts are spread (dispatch and combine in
           place of one), each a latency; two of them carry activations over the link
hops_s     activations from stage to stage and back to the first

The largest stage counts, term by term. Not modelled: activations and runtime in memory, the
collective of the output head, skewed routing, contention, kernel launches.
"""

import math
from dataclasses import dataclass

from codesign.facts.memo import by_identity
from codesign.physics.experts import busiest
from codesign.physics.hardware import Chip
from codesign.physics.layout import BYTES, Layout
from codesign.physics.workload import Model

COLLECTIVES = 3          # a layer, arXiv 2507.14397
ACTIVATION_BYTES = 2.0   # activations travel as bf16


@dataclass(frozen=True)
class Stage:
    """The largest pipeline stage, each term by itself the largest over the stages.

    Weights in elements: `sharded` (head included) and `kv_sharded` and `replicated` are read each
    step, `resident` adds the input embedding to `sharded`. `kv` is elements of one user's cache at
    the context, `state` bytes of its linear attention, `attention` and `vector` its FLOP at the context.
    """

    layers: int
    expert_layers: int
    sharded: int
    resident: int
    kv_sharded: int
    replicated: int
    kv: int
    state: int
    attention: int
    vector: int


@by_identity(4096)
def largest_stage(model: Model, pipeline: int, context: int) -> Stage:
    """Split layers evenly, the longer stages first; embedding on the first stage, head on the last."""
    short, longer = divmod(len(model.layers), pipeline)
    stages, begin = [], 0
    for i in range(pipeline):
        end = begin + short + (i < longer)
        part = model.layers[begin:end]
        head = model.head if i == pipeline - 1 else 0
        embedding = model.embedding if i == 0 and not (model.tied_embedding and pipeline == 1) else 0
        sharded = sum(x.sharded for x in part) + head
        stages.append((
            len(part), sum(x.experts > 0 for x in part), sharded, sharded + embedding,
            sum(x.kv_sharded for x in part),
            sum(x.replicated for x in part) + (model.final_norm if head else 0),
            sum(x.kv_elements * x.seen(context) for x in part),
            sum(x.state_bytes for x in part),
            sum(x.attention_flop * x.seen(context) for x in part),
            sum(x.vector_flop + x.vector_flop_per_context * x.seen(context) for x in part),
        ))  # fmt: skip
        begin = end
    return Stage(*(max(column) for column in zip(*stages, strict=True)))


def kv_share(model: Model, tensor: int) -> float:
    """Share of a layer's KV cache on one chip: whole heads, replicated beyond their number; MLA whole."""
    return 1.0 if model.kv_heads is None else math.ceil(model.kv_heads / tensor) / model.kv_heads


@dataclass(frozen=True)
class StepTime:
    """One decode step in seconds, split: `memory_s`, `compute_s`, `exposed_s` are of one stage."""

    pipeline: int
    weights_s: float
    kv_s: float
    tensor_s: float
    vector_s: float
    exposed_s: float
    hops_s: float

    @property
    def memory_s(self) -> float:
        """Weights, KV cache and state over the bandwidth."""
        return self.weights_s + self.kv_s

    @property
    def compute_s(self) -> float:
        """Tensor and vector work."""
        return self.tensor_s + self.vector_s

    @property
    def step_s(self) -> float:
        """What a user waits for a token."""
        return self.pipeline * (max(self.memory_s, self.compute_s) + self.exposed_s) + self.hops_s

    def shares(self) -> dict[str, float]:
        """Share of the step for which each is busy; bandwidth and compute overlap, so the sum can exceed 1."""
        one = self.pipeline / self.step_s
        return {
            "bandwidth": self.memory_s * one,
            "compute": self.compute_s * one,
            "collectives": self.exposed_s * one + self.hops_s / self.step_s,
        }


def decode_step(model: Model, chip: Chip, layout: Layout, batch: int, context: int) -> StepTime:
    """Seconds of one decode step with `batch` users in each stage, at `context` tokens each.

    Raises ValueError naming the number that the chip lacks for this layout, or what the model rules out.
    """
    check_layout(model, layout)
    stage = largest_stage(model, layout.pipeline, context)
    t, share, size = layout.tensor, kv_share(model, layout.tensor), BYTES[layout.weights]
    moe = next((x for x in model.layers if x.experts), None)
    bandwidth, peak = needed(chip, "bandwidth"), chip.peak.get(layout.weights)
    if peak is None:
        raise ValueError(f"{chip.name} has no peak.{layout.weights}")
    read = stage.sharded / t + stage.kv_sharded * share + stage.replicated + batch * model.hidden / t
    experts_flop = 0
    if moe is not None:
        most = float(busiest(moe.experts, moe.top_k, layout.expert, batch))
        read += stage.expert_layers * most * moe.expert * layout.expert / t
        experts_flop = stage.expert_layers * moe.top_k * moe.expert
    work = 2 * ((stage.sharded + experts_flop) / t + stage.kv_sharded * share + stage.replicated)
    return StepTime(
        pipeline=layout.pipeline,
        weights_s=read * size / bandwidth,
        kv_s=batch * (stage.kv * share * BYTES[layout.kv] + 2 * stage.state / t) / bandwidth,
        tensor_s=batch * (work + stage.attention / t) / peak,
        vector_s=batch * stage.vector / t / needed(chip, "vector"),
        exposed_s=_exposed_s(model, chip, layout, stage, batch),
        hops_s=_hops_s(model, chip, layout, batch),
    )


def check_layout(model: Model, layout: Layout) -> None:
    """ValueError unless the model can be spread this way."""
    experts = max(x.experts for x in model.layers)
    if not 1 <= layout.pipeline <= len(model.layers):
        raise ValueError(f"pipeline = {layout.pipeline}: {model.name} has {len(model.layers)} layers")
    if layout.expert != 1 and (not experts or experts % layout.expert or layout.tensor % layout.expert):
        raise ValueError(f"expert = {layout.expert}: must divide tensor = {layout.tensor} and {experts} experts")


def needed(chip: Chip, name: str) -> float:
    """A number of the chip; ValueError where nobody publishes it."""
    value: float | None = getattr(chip, name)
    if value is None:
        raise ValueError(f"{chip.name} has no {name}")
    return value


def _exposed_s(model: Model, chip: Chip, layout: Layout, stage: Stage, batch: int) -> float:
    t, e = layout.tensor, layout.expert
    if t == 1:
        return 0.0
    inside = t <= needed(chip, "domain")
    link = chip.scale_up if inside else chip.scale_out
    bandwidth = needed(chip, "scale_up_bandwidth" if inside else "scale_out_bandwidth")
    latency = None if link is None else link.latency_s(t)
    if latency is None:
        raise ValueError(f"{chip.name} has no collective latency for {t} chips")
    spread = stage.expert_layers if e > 1 else 0
    top_k = max(x.top_k for x in model.layers)
    carried = 2 * 2 * (t - 1) / t * (stage.layers - spread)
    carried += spread * (2 * (t - 1) / t + 2 * min(top_k / e, 1.0) * (e - 1) / e)
    message = carried * batch * model.hidden * ACTIVATION_BYTES / bandwidth
    return (COLLECTIVES * stage.layers + spread) * latency + message


def _hops_s(model: Model, chip: Chip, layout: Layout, batch: int) -> float:
    """From stage to stage and back; a hop between scale-up domains pays the scale-out link."""
    if layout.pipeline == 1:
        return 0.0
    together = int(needed(chip, "domain")) // layout.tensor
    out = 0 if layout.pipeline <= together else math.ceil(layout.pipeline / together) if together else layout.pipeline
    total, message = 0.0, batch * model.hidden * ACTIVATION_BYTES
    for hops, link, name in (
        (layout.pipeline - out, chip.scale_up, "scale_up_bandwidth"),
        (out, chip.scale_out, "scale_out_bandwidth"),
    ):
        if hops:
            if link is None:
                raise ValueError(f"{chip.name} has no {name.removesuffix('_bandwidth')} link")
            total += hops * (link.hop_s + message / needed(chip, name))
    return total


def weights_bytes(model: Model, layout: Layout) -> float:
    """Weights on each chip of the largest stage."""
    stage = largest_stage(model, layout.pipeline, 1)
    moe = next((x for x in model.layers if x.experts), None)
    experts = 0 if moe is None else stage.expert_layers * moe.experts * moe.expert
    share = kv_share(model, layout.tensor)
    elements = (stage.resident + experts) / layout.tensor + stage.kv_sharded * share + stage.replicated
    return elements * BYTES[layout.weights]


def user_bytes(model: Model, layout: Layout, context: int) -> float:
    """KV cache and linear-attention state of one user on each chip of the largest stage."""
    stage = largest_stage(model, layout.pipeline, context)
    return stage.kv * kv_share(model, layout.tensor) * BYTES[layout.kv] + stage.state / layout.tensor


def room(model: Model, chip: Chip, layout: Layout, context: int) -> int:
    """Most users per stage whose caches and states fit beside the weights; every stage holds all pipeline * B users."""
    free = needed(chip, "usable_bytes") - weights_bytes(model, layout)
    per_batch = layout.pipeline * user_bytes(model, layout, context)
    return max(0, math.floor(free / per_batch))
