"""Which findings of the limit study arXiv 2507.14397 come out of our step, and where do they not?

Every number is computed when asked for; a verdict follows from its cases alone. The limits are the
study's; where it gives a word ("collapse", "100s of GB") `check` says what we take it to mean.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from codesign.facts.document import Part
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout
from codesign.physics.liminal import Study, needed_bytes, step_time, user_speed
from codesign.physics.performance import StepTime, decode_step, needed, room
from codesign.physics.workload import Model

Verdict = Literal["agrees", "agrees in part", "does not come out", "not checked"]
HBM3 = "xpu-hbm3"
SMALL = "llama-3.1-70b"
SHORT, LONG = 4096, 131072
TENSORS = (8, 16, 32, 64, 128)
PIPELINES = range(1, 17)  # 16 stages of 8 fill the study's domain of 128
MORE = 8  # times the bandwidth


class Case(Part):
    """One number of a finding, and the limits within which it holds."""

    at: str
    value: float
    least: float | None
    most: float | None
    holds: bool | None = Field(description="null where the number has no limit and is only shown")


def case(at: str, value: float, *, least: float | None = None, most: float | None = None) -> Case:
    """The case, judged."""
    holds = None if least is most is None else (least is None or value >= least) and (most is None or value <= most)
    return Case(at=at, value=value, least=least, most=most, holds=holds)


class Finding(Part):
    """A finding of the study beside our numbers."""

    name: str
    claim: str
    check: str = Field(description="what we compute and compare")
    unit: str
    cases: tuple[Case, ...]
    verdict: Verdict
    where: str = Field(description="where it does not hold; for what is not checked, why")


def judged(name: str, claim: str, check: str, unit: str, cases: Iterator[Case]) -> Finding:
    """The finding with the verdict of its cases: all, some or none of the checked ones hold."""
    found = tuple(cases)
    checked = [one for one in found if one.holds is not None]
    failed = [one.at for one in checked if not one.holds]
    if not checked:
        raise ValueError(f"{name}: no case has a limit")
    verdict: Verdict = "agrees"
    if failed:
        verdict = "agrees in part" if len(failed) < len(checked) else "does not come out"
    where = f"not {'; '.join(failed)}" if failed else ""
    return Finding(name=name, claim=claim, check=check, unit=unit, cases=found, verdict=verdict, where=where)


def unchecked(name: str, claim: str, why: str, unit: str = "1", cases: tuple[Case, ...] = ()) -> Finding:
    """A finding that we have not the numbers to check."""
    return Finding(name=name, claim=claim, check="none", unit=unit, cases=cases, verdict="not checked", where=why)


@dataclass(frozen=True)
class Bench:
    """The study's constants, its systems and its models; `exact` counts every weight and head."""

    study: Study
    model: str                    # of the study's constants
    chips: Mapping[str, Chip]
    models: Mapping[str, Model]

    def rounded(self, model: str) -> Study:
        """The study's constants; for a model whose rounding is not known, counts by shape."""
        if model == self.model:
            return self.study
        m = self.models[model]
        own = replace(self.study, name=m.name, weight_bytes=m.total_params)
        return replace(own, kv_bytes=m.kv_elements, layers=len(m.layers))

    def exact(self, model: str, chip: Chip, layout: Layout, context: int, batch: int = 1) -> StepTime:
        """Our own decode step."""
        return decode_step(self.models[model], chip, layout, batch, context)

    def tensors(self, model: str) -> tuple[int, ...]:
        """Tensor degrees that divide the model's heads."""
        return tuple(t for t in TENSORS if self.models[model].heads % t == 0)

    def fitting(self, model: str, chip: Chip, context: int, pipelines: range = range(1, 2)) -> Iterator[Layout]:
        """Layouts within one domain that hold the model and a user's cache."""
        for layout in (fp8(t, p) for t in self.tensors(model) for p in pipelines):
            if layout.chips <= (chip.domain or 1) and room(self.models[model], chip, layout, context) >= 1:
                yield layout

    def fastest(self, model: str, chip: Chip, context: int) -> tuple[float, Layout] | None:
        """Most tokens/s of a lone user over all layouts that fit, and the first such layout."""
        layouts = list(self.fitting(model, chip, context, PIPELINES))
        speeds = [1 / self.exact(model, chip, layout, context).step_s for layout in layouts]
        return (max(speeds), layouts[speeds.index(max(speeds))]) if speeds else None


def fp8(tensor: int, pipeline: int = 1, expert: int = 1) -> Layout:
    """As the study serves: one byte a weight, one byte a cache element."""
    return Layout(tensor, 1, pipeline, expert, "fp8", "fp8")


def named(context: int) -> str:
    """4096 as "4K"."""
    return f"{context // 1024}K"


def findings(bench: Bench) -> tuple[Finding, ...]:
    """All findings known to us, in the order of the study's argument."""
    return (
        judged("need", "one model instance needs 100s of GB",
               "weights and caches, at least 100 GB and below 1 TB", "B", _needs(bench)),
        judged("gain", "8 times the bandwidth buys 1.1 to 4.5 times the user speed",
               "xPU-HBM3, exact shapes, batch 1 and one batch of 32", "x", _gains(bench)),
        judged("collapse", "exposed collectives must take about 1 us; above 2.5 us gains collapse",
               "at 2.5 us 8 times the bandwidth buys less than 2 times the speed; study's constants, 4K", "x",
               _collapse(bench)),
        judged("sub-microsecond", "64 to 128 chips need an all-reduce below 1 us",
               "latency that leaves half of 8 times, 4 times the speed; study's constants, 4K", "s", _latency(bench)),
        judged("crossing", "beyond about 4 times HBM3 bandwidth synchronisation is the first bottleneck",
               "bandwidth over HBM3's at which memory time equals exposed time; study's constants, 4K", "x",
               _crossing(bench)),
        judged("utilisation", "compute utilisation is 1 % or less at low batch",
               "batch 1, 4K: largest share of compute in a step of each system that holds a model", "1", _idle(bench)),
        judged("hbm3", "no HBM3 system reaches 1,000 tokens/s on 405B or DeepSeek-V3 at large context",
               "batch 1, 128K: fastest layout up to 128 chips, DeepSeek-V3 by our default", "tokens/s", _hbm3(bench)),
        judged("easy", "2,000 tokens/s a user is easily reached",
               "batch 1, 4K: the fastest layout up to 128 chips of each system that holds the model", "tokens/s",
               _easy(bench)),
        judged("hard", "10,000 tokens/s needs smaller models, smaller context or better algorithms",
               "batch 1, fastest of all systems: large models at 128K stay below, 70B at 4K comes above", "tokens/s",
               _hard(bench)),
        *_not_checked(bench),
    )  # fmt: skip


def _needs(b: Bench) -> Iterator[Case]:
    for users, context in ((1, SHORT), (32, 65536)):
        for model in b.models:
            need = needed_bytes(b.rounded(model), users=users, context=context)
            at = f"{model}, {users} user{'s' * (users > 1)} at {named(context)}"
            yield case(at, need, least=100e9, most=1000e9)


def _gains(b: Bench) -> Iterator[Case]:
    tried = [(m, t, c, 1) for m in b.models for t in b.tensors(m) if t != 16 for c in (SHORT, LONG)]
    for model, tensor, context, batch in [*tried, (b.model, 128, LONG, 32)]:
        slow, fast = (b.exact(model, one, fp8(tensor), context, batch).step_s for one in _pair(b))
        at = f"{model} TP{tensor} {named(context)}" + (f" batch {batch}" if batch > 1 else "")
        yield case(at, slow / fast, least=1.1, most=4.5)


def _pair(b: Bench) -> tuple[Chip, Chip]:
    chip = b.chips[HBM3]
    return chip, replace(chip, bandwidth=MORE * needed(chip, "bandwidth"))


def _collapse(b: Bench) -> Iterator[Case]:
    tried = ((128, 0.2e-6, None), (128, 1e-6, None), (128, 2.5e-6, 2.0), (32, 2.5e-6, 2.0), (8, 2.5e-6, 2.0))
    for tensor, latency_s, most in tried:
        own = replace(b.study, latency=((tensor, latency_s),))
        slow, fast = (step_time(own, one, tensor=tensor, batch=1, context=SHORT).step_s for one in _pair(b))
        yield case(f"TP{tensor} at {latency_s * 1e6:g} us", slow / fast, most=most)


def _latency(b: Bench) -> Iterator[Case]:
    for tensor in (64, 128):
        memory_s = step_time(b.study, b.chips[HBM3], tensor=tensor, batch=1, context=SHORT).memory_s
        half = MORE / 2  # (memory + exposed) / (memory / MORE + exposed) = half, solved for exposed
        exposed_s = memory_s * (1 - half / MORE) / (half - 1)
        yield case(f"TP{tensor}", exposed_s / (b.study.layers * b.study.collectives), most=1e-6)


def _crossing(b: Bench) -> Iterator[Case]:
    for tensor in (128, 32, 8):
        t = step_time(b.study, b.chips[HBM3], tensor=tensor, batch=1, context=SHORT)
        yield case(f"TP{tensor}", t.memory_s / t.exposed_s, most=4)


def _idle(b: Bench) -> Iterator[Case]:
    for chip in b.chips.values():
        busy = [(b.exact(model, chip, layout, SHORT).shares()["compute"], _where(model, chip, layout))
                for model in b.models for layout in b.fitting(model, chip, SHORT)]  # fmt: skip
        if busy:
            value, at = max(busy)
            yield case(at, value, most=0.01)


def _hbm3(b: Bench) -> Iterator[Case]:
    chip = b.chips[HBM3]
    best, tensor = max((user_speed(b.study, chip, tensor=t, batch=1, context=LONG), t) for t in TENSORS)
    yield case(f"{b.model} TP{tensor}, study's constants", best, most=1000)
    for model in (b.model, "deepseek-v3"):
        if found := b.fastest(model, chip, LONG):
            yield case(f"{model} TP{found[1].tensor}, exact shapes", found[0], most=1000)


def _easy(b: Bench) -> Iterator[Case]:
    for model in b.models:
        for chip in b.chips.values():
            if found := b.fastest(model, chip, SHORT):
                yield case(_where(model, chip, found[1]), found[0], least=2000)


def _hard(b: Bench) -> Iterator[Case]:
    for model in b.models:
        for context in (LONG, SHORT):
            every = ((b.fastest(model, chip, context), chip) for chip in b.chips.values())
            speed, at = max((x[0], _where(model, chip, x[1])) for x, chip in every if x is not None)
            most = 10_000 if model != SMALL and context == LONG else None
            least = 10_000 if model == SMALL and context == SHORT else None
            yield case(f"{at} {named(context)}", speed, least=least, most=most)


def _where(model: str, chip: Chip, layout: Layout) -> str:
    return f"{model} on {chip.name} TP{layout.tensor}" + (f" PP{layout.pipeline}" if layout.pipeline > 1 else "")


def _not_checked(b: Bench) -> Iterator[Finding]:
    yield unchecked(
        "per-watt", "DRAM designs lead in throughput per watt",
        "die areas (logic is 1 W/mm2) and the energy of HBM3 and SRAM in the study are not known; HBM4 and "
        "3D-DRAM alone, whose energy is known, are both DRAM and would not test it",
    )  # fmt: skip
    need = needed_bytes(b.study, users=1, context=SHORT)
    yield unchecked(
        "per-dollar", "DRAM leads in throughput per dollar; SRAM alone is about 10 times behind at low throughput",
        f"no prices of the study's systems are known; shown: chips that hold {b.model} and a user at 4K", "chips",
        tuple(case(chip.name, math.ceil(need / needed(chip, "usable_bytes"))) for chip in b.chips.values()),
    )  # fmt: skip
    yield unchecked(
        "validation", "8 H100 with vLLM expose 95 to 138 us a layer; the limit is 2.4 times optimistic for 70B",
        "the measured runs are not known to us, and the mode limit has no fitted latency",
    )  # fmt: skip
