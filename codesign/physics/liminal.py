"""The limit study arXiv 2507.14397 with its own rounded constants, through our step equation.

`performance.decode_step` counts each weight of a model; the study rounds (405e9 bytes), splits all
of it evenly over the tensor group, and takes collectives as latency only. Its printed cells come
out to the digit from

    memory_s   (weight_bytes + batch * context * kv_bytes) / (tensor * bandwidth)
    compute_s  2 FLOP a weight and user over tensor * peak; attention and vector work left out
    exposed_s  layers * collectives * latency(tensor)

in `StepTime` with one stage. Its TB/s are 2^40 B/s and its GB of memory 2^30 B.
"""

from dataclasses import dataclass

from codesign.facts.records import PaperRecord
from codesign.physics.hardware import Chip
from codesign.physics.performance import StepTime, needed

FLOP_PER_WEIGHT = 2  # a multiplication and an addition; weights are FP8, one byte each


@dataclass(frozen=True)
class Study:
    """The study's constants for one model in SI; `latency` is (largest group, seconds), rising."""

    name: str
    weight_bytes: float
    kv_bytes: float                          # of one token, all layers
    layers: int
    collectives: int                         # exposed in each layer
    latency: tuple[tuple[int, float], ...]

    def latency_s(self, group: int) -> float:
        """Seconds of one collective over `group` chips; ValueError beyond the largest group printed."""
        if group == 1:
            return 0.0
        found = next((seconds for most, seconds in self.latency if group <= most), None)
        if found is None:
            raise ValueError(f"tensor = {group}: {self.name} gives no latency beyond {self.latency[-1][0]} chips")
        return found


def study(record: PaperRecord) -> Study:
    """The constants of a catalogue record."""
    return Study(
        record.name, record.weights.si, record.kv_per_token.si, int(record.layers.si), int(record.collectives.si),
        tuple((x.group, x.latency.si) for x in record.latency),
    )  # fmt: skip


def step_time(constants: Study, chip: Chip, *, tensor: int, batch: int, context: int) -> StepTime:
    """One decode step on `tensor` chips; user speed is 1 / step_s.

    Raises ValueError naming the number that study or chip lacks.
    """
    bandwidth, peak = needed(chip, "bandwidth"), chip.peak.get("fp8")
    if peak is None:
        raise ValueError(f"{chip.name} has no peak.fp8")
    return StepTime(
        pipeline=1,
        weights_s=constants.weight_bytes / (tensor * bandwidth),
        kv_s=batch * context * constants.kv_bytes / (tensor * bandwidth),
        tensor_s=batch * FLOP_PER_WEIGHT * constants.weight_bytes / (tensor * peak),
        vector_s=0.0,
        exposed_s=constants.layers * constants.collectives * constants.latency_s(tensor),
        hops_s=0.0,
    )


def user_speed(constants: Study, chip: Chip, *, tensor: int, batch: int, context: int) -> float:
    """Tokens/s that one user sees, the study's UTPS."""
    return 1 / step_time(constants, chip, tensor=tensor, batch=batch, context=context).step_s


def needed_bytes(constants: Study, *, users: int, context: int) -> float:
    """Memory of the weights and all caches in bytes; the study prints it in units of 2^30 as "GB"."""
    return constants.weight_bytes + users * context * constants.kv_bytes
