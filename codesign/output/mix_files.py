"""A folder with a mix of replicas: mix.json, counts.csv, slices.csv, model.lp and model.mps, two charts, its inputs.

With copies of the files that it was asked with, the folder can be verified wherever it is.
"""

from pathlib import Path

from codesign.facts.cells import csv_text
from codesign.mix.answer import MixAnswer
from codesign.mix.cheapest_mix import MixResult
from codesign.output.files import write_folder
from codesign.output.mix_chart import FILES as CHARTS
from codesign.output.mix_chart import write_charts
from formulations import fleet_slices
from formulations.solvers import highs

INPUTS = ("instance", "profile", "demand")  # of the query: names of files
COPIES = tuple(f"{key}{suffix}" for key in INPUTS for suffix in (".csv", ".toml", ".json"))
FILES = ("mix.json", "counts.csv", "slices.csv", "model.lp", "model.mps", *COPIES, *CHARTS)
COUNTS = ("kind", "chip", "layout", "model", "count", "available", "price_usd_per_h", "cost_usd_per_h", "load", "spare")
SLICES = ("bucket", "model", "kind", "slices", "of", "requests_per_s", "load")


def write_mix(folder: Path, result: MixResult) -> None:
    """Write the folder whole or not at all; without a fleet there is the document only, and the program."""

    def fill(stage: Path) -> None:
        answer = result.answer
        (stage / "mix.json").write_text(answer.document() + "\n", encoding="utf-8")
        if answer.proof is not None:
            (stage / "counts.csv").write_text(_counts(answer), encoding="utf-8")
            (stage / "slices.csv").write_text(_slices(answer), encoding="utf-8")
            write_charts(stage, answer)
        if len(result.instance.buckets) and not result.mix.unserved():
            _programs(stage, result)
        for key in INPUTS:
            name = Path(str(answer.query.get(key) or ""))
            if name.is_file() and f"{key}{name.suffix}" in COPIES:
                (stage / f"{key}{name.suffix}").write_bytes(name.read_bytes())

    write_folder(folder, fill, FILES)


def _programs(stage: Path, result: MixResult) -> None:
    value = result.answer.cost_usd_per_h
    header = ["fleet_slices: assign(bucket,kind), count(kind); units: slices, replicas, dollars per hour",
              *(f"kind {g}: {kind.name}" for g, kind in enumerate(result.mix.kinds)),
              *(f"bucket {b}: {bucket.label}" for b, bucket in enumerate(result.mix.buckets)),
              *([] if value is None or result.answer.status != "optimal" else [f"optimum = {value!r}"])]  # fmt: skip
    program = highs.load(fleet_slices.build(result.instance))
    for name in ("model.lp", "model.mps"):
        highs.write(program, stage / name, [" ".join(line.split()) for line in header])


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
