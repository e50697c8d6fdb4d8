"""A folder with a mix of replicas: mix.json, counts.csv, slices.csv, model.lp and model.mps, two charts, its inputs.

With copies of the files that it was asked with, the folder can be verified wherever it is.
"""

from pathlib import Path

from codesign.facts.cells import csv_text
from codesign.mix.answer import MixAnswer
from codesign.mix.cheapest_mix import MixResult
from codesign.output.drawing import pictures
from codesign.output.files import Content, write_files
from codesign.output.mix_chart import CHARTS, charts
from codesign.output.program import programs
from formulations import fleet_slices

INPUTS = ("instance", "profile", "demand")  # of the query: names of files
COUNTS = ("kind", "chip", "layout", "model", "count", "available", "price_usd_per_h", "cost_usd_per_h", "load", "spare")
SLICES = ("bucket", "model", "kind", "slices", "of", "requests_per_s", "load")


def write_mix(folder: Path, result: MixResult) -> None:
    """Write the folder whole or not at all; without a fleet there is the document only, and the program."""
    answer = result.answer
    found = answer.proof is not None
    solved = len(result.instance.buckets) and not result.mix.unserved()
    write_files(folder, {
        "mix.json": answer.document() + "\n",
        "counts.csv": _counts(answer) if found else None,
        "slices.csv": _slices(answer) if found else None,
        **pictures(dict.fromkeys(CHARTS) | (charts(answer) if found else {})),
        **(_programs(result) if solved else programs("model", None)),
        **_inputs(answer),
    })  # fmt: skip


def _inputs(answer: MixAnswer) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {f"{key}{suffix}": None for key in INPUTS for suffix in (".csv", ".toml", ".json")}
    for key in INPUTS:
        name = Path(str(answer.query.get(key) or ""))
        if name.is_file() and f"{key}{name.suffix}" in found:
            found[f"{key}{name.suffix}"] = name.read_bytes()
    return found


def _programs(result: MixResult) -> dict[str, Content]:
    value = result.answer.cost_usd_per_h
    header = ["fleet_slices: assign(bucket,kind), count(kind); units: slices, replicas, dollars per hour",
              *(f"kind {g}: {kind.name}" for g, kind in enumerate(result.mix.kinds)),
              *(f"bucket {b}: {bucket.label}" for b, bucket in enumerate(result.mix.buckets)),
              *([] if value is None or result.answer.status != "optimal" else [f"optimum = {value!r}"])]  # fmt: skip
    return programs("model", fleet_slices.build(result.instance), [" ".join(line.split()) for line in header])


def _counts(answer: MixAnswer) -> str:
    return csv_text(COUNTS, (
        (k.name, k.chip, k.layout, k.model, k.count, k.available, k.price_usd_per_h, k.cost_usd_per_h, k.load, k.spare)
        for k in answer.kinds
    ))  # fmt: skip


def _slices(answer: MixAnswer) -> str:
    return csv_text(SLICES, (
        (s.bucket, s.model, s.kind, s.slices if answer.fractional else round(s.slices), s.of, s.requests_per_s, s.load)
        for s in answer.shares
    ))  # fmt: skip
