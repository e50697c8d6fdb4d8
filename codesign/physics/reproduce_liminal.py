"""How close do we come to the limit study arXiv 2507.14397, and what do we predict where it is not known?"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field

from codesign.facts.catalog import Catalog
from codesign.facts.document import Document, Part
from codesign.facts.records import ChipRecord, ModelRecord, PaperRecord
from codesign.facts.units import si
from codesign.physics import chips as readers
from codesign.physics import liminal, workload
from codesign.physics.hardware import Chip
from codesign.physics.liminal_findings import HBM3, LONG, SHORT, Bench, Finding, findings, fp8, named
from codesign.physics.performance import needed, user_bytes, weights_bytes
from codesign.physics.workload import Model

SYSTEMS = (HBM3, "xpu-hbm4", "xpu-3d-dram", "xpu-sram", "xpu-cows")
MODELS = ("llama-3.1-405b", "llama-3.1-70b", "deepseek-v3")
PREDICTED = MODELS[:2]
DEGREES = (8, 32, 128)
GB, GIB = 1e9, 2.0**30

ASSUMPTIONS = (
    "vector peaks and link bandwidths of the study's systems are not known: their terms are left out",
    "latencies of xPU-SRAM and xPU-COWS are not known: the study's general ideal is used",
    "the study's rounding is known for Llama3-405B only (405e9 bytes): other models are counted by shape",
    "the study's equation splits weights and caches evenly over the group; exact shapes hold K and V projections "
    "and caches whole on each chip beyond the number of KV heads",
    "memory is 1e9 bytes a printed GB in the catalogue, while the study's 881 GB is in units of 2^30",
)
DEFAULT = (
    "codesign reads the experts that a batch is expected to touch, and lets each chip of a tensor group read the "
    "whole latent cache: the router decides before experts are read, so weights that no token chose stay "
    "unread; and latent attention has one cache entry for all heads, which splitting heads does not split. At 4K "
    "this reading contradicts 'below 1,000'; at large context it comes below by the cache alone"
)


class Known(Part):
    """A result that the study prints, and ours with its own constants."""

    what: str
    study: float
    ours: float
    unit: str
    agrees: bool = Field(description="to the digit that the study prints")
    exact: float | None = Field(description="ours with exact shapes; null for memory, or if it does not fit or split")


class Prediction(Part):
    """A result that is not known to us of the study: ours, no more."""

    mark: Literal["prediction"] = "prediction"
    model: str
    chip: str
    tensor: int
    batch: int
    context: int
    needed_bytes: float
    available_bytes: float
    user_speed: float | None = Field(description="tokens/s, the study's equation; null if the model does not fit")
    exact_speed: float | None = Field(description="tokens/s, exact shapes; null if the model does not fit or split")
    note: str


class Reading(Part):
    """One way to count what DeepSeek-V3 reads in a step."""

    what: str
    default: bool = Field(description="what codesign does elsewhere")
    read_bytes: float = Field(description="weights that the busiest chip reads in a step, times 128 chips")
    short_speed: float = Field(description="tokens/s at 4K")
    long_speed: float = Field(description="tokens/s at 128K")
    below_1000: bool = Field(description="at 128K, as the study says of every HBM3 system")


class Reproduction(Document):
    """The study beside ours, as one document."""

    study: str
    known: tuple[Known, ...]
    predictions: tuple[Prediction, ...]
    findings: tuple[Finding, ...]
    readings: tuple[Reading, ...]
    default: str
    assumptions: tuple[str, ...]
    catalogue: str = Field(description="SHA-256 over all catalogue entries")


def reproduce(catalog: Catalog) -> Reproduction:
    """Compute all of it. Raises DataError for an entry that the catalogue lacks."""
    paper = catalog.get(PaperRecord, "liminal")
    bench = bench_of(catalog, paper)
    return Reproduction(
        study=f"{paper.title} (arXiv 2507.14397)",
        known=tuple(_known(bench, paper)),
        predictions=tuple(_predictions(bench, paper)),
        findings=findings(bench),
        readings=tuple(_readings(bench, catalog.get(ModelRecord, "deepseek-v3"))),
        default=DEFAULT,
        assumptions=ASSUMPTIONS,
        catalogue=catalog.digest(),
    )


def bench_of(catalog: Catalog, paper: PaperRecord) -> Bench:
    """The study's systems, with what it does not give so fast that it vanishes."""
    chips = (readers.chip(catalog, catalog.get(ChipRecord, name)) for name in SYSTEMS)
    models = {name: workload.model(catalog.get(ModelRecord, name)) for name in MODELS}
    free = {c.name: replace(c, vector=math.inf, scale_up_bandwidth=math.inf) for c in chips}
    return Bench(liminal.study(paper), paper.model, free, models)


def _known(bench: Bench, paper: PaperRecord) -> Iterator[Known]:
    for c in paper.cells:
        ours = liminal.user_speed(bench.study, bench.chips[c.chip], tensor=c.tensor, batch=c.batch, context=c.context)
        exact, _ = _exact(bench, paper.model, bench.chips[c.chip], c.tensor, c.context, c.batch)
        what = f"{paper.model} on {c.chip}, TP{c.tensor}, batch {c.batch}, context {named(c.context)}"
        yield Known(what=what, study=c.user_speed.si, ours=ours, unit="tokens/s", exact=exact,
                    agrees=round(ours) == c.user_speed.si)  # fmt: skip
    for n in paper.needs:
        ours = liminal.needed_bytes(bench.study, users=n.users, context=n.context)
        agrees = round(ours / GIB) == round(n.memory.si / GIB)
        what = f"{paper.model}, {n.users} users, context {named(n.context)}: memory"
        yield Known(what=what, study=n.memory.si / GIB, ours=ours / GIB, unit="GiB", exact=None, agrees=agrees)


def _predictions(bench: Bench, paper: PaperRecord) -> Iterator[Prediction]:
    known = {(paper.model, c.chip, c.tensor, c.batch, c.context) for c in paper.cells}
    for model in PREDICTED:
        for chip in bench.chips.values():
            for tensor in DEGREES:
                for context in (SHORT, LONG):
                    if (model, chip.name, tensor, 1, context) not in known:
                        yield _prediction(bench, model, chip, tensor, context)


def _prediction(bench: Bench, model: str, chip: Chip, tensor: int, context: int) -> Prediction:
    constants = bench.rounded(model)
    need = liminal.needed_bytes(constants, users=1, context=context)
    have = tensor * needed(chip, "usable_bytes")
    speed = liminal.user_speed(constants, chip, tensor=tensor, batch=1, context=context)
    exact, note = _exact(bench, model, chip, tensor, context)
    if need > have:
        note = f"does not fit: needs {need / GB:,.1f} GB, has {have / GB:,.1f} GB"
        if need <= have * GIB / GB:
            note += f"; if the study's GB are 2^30 it fits: {speed:,.0f} tokens/s"
    return Prediction(
        model=model, chip=chip.name, tensor=tensor, batch=1, context=context, needed_bytes=need, available_bytes=have,
        user_speed=None if need > have else speed, exact_speed=None if need > have else exact, note=note,
    )  # fmt: skip


def _exact(
    bench: Bench, model: str, chip: Chip, tensor: int, context: int, batch: int = 1
) -> tuple[float | None, str]:
    """Tokens/s by exact shapes, or why there are none."""
    shape, layout = bench.models[model], fp8(tensor)
    if shape.heads % tensor:
        return None, f"exact shapes: {shape.heads} heads do not split {tensor} ways"
    need, have = weights_bytes(shape, layout) + batch * user_bytes(shape, layout, context), needed(chip, "usable_bytes")
    if need > have:
        return None, f"exact shapes do not fit: {need / GB:,.2f} GB on each chip, has {have / GB:,.2f} GB"
    return 1 / bench.exact(model, chip, layout, context, batch).step_s, ""


def _readings(bench: Bench, record: ModelRecord) -> Iterator[Reading]:
    """DeepSeek-V3 on 128 xPU-HBM3: does a step read the experts of one token, or all?"""
    chip, tensor, shape = bench.chips[HBM3], 128, bench.models[record.name]
    for what, count in (("active", record.published.active), ("all", record.published.total)):
        weights = si(count or "", "1")
        constants = replace(bench.rounded(record.name), weight_bytes=weights)
        speeds = [liminal.user_speed(constants, chip, tensor=tensor, batch=1, context=c) for c in (SHORT, LONG)]
        yield _reading(f"study's equation, {what} weights, cache split evenly", weights, speeds)
    everything = replace(bench, models={record.name: _all_read(shape)})
    groups = (
        ("exact shapes, experts touched by the batch, cache whole on each chip", bench, 1),
        ("... with experts in 128 groups (busiest group, a fourth collective)", bench, tensor),
        ("exact shapes, all experts read, cache whole on each chip", everything, 1),
    )
    for what, with_model, expert in groups:
        steps = [with_model.exact(record.name, chip, fp8(tensor, 1, expert), c) for c in (SHORT, LONG)]
        read = steps[0].weights_s * tensor * needed(chip, "bandwidth")
        yield _reading(what, read, [1 / t.step_s for t in steps], default=with_model is bench and expert == 1)


def _reading(what: str, read: float, speeds: list[float], default: bool = False) -> Reading:
    return Reading(what=what, default=default, read_bytes=read, short_speed=speeds[0], long_speed=speeds[1],
                   below_1000=speeds[1] < 1000)  # fmt: skip


def _all_read(shape: Model) -> Model:
    """The model as if every token chose every expert."""
    return replace(shape, layers=tuple(replace(layer, top_k=layer.experts) for layer in shape.layers))
