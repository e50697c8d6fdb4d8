"""From runs, or one deployment, to predicted times: catalogue entries to works, works to seconds with a band."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.records import AchievedRecord, ChipRecord, ModelRecord
from codesign.physics import achieved, bands, chips, serving, workload
from codesign.physics.achieved import Constants, Rows
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout
from codesign.physics.measured import Refused, Run, read_runs
from codesign.physics.measurements import Measured
from codesign.physics.workload import Model


@dataclass(frozen=True)
class Asked:
    """What is to be predicted for one replica (a run is one of these, with its measured times)."""

    model: Model
    chip: Chip
    deployment: Layout
    users: float
    prompt: float
    output: float
    engine: str
    release: str
    prefill: Layout | None = None
    pools: float = 1.0            # prefill replicas for each decode replica


class Things:
    """Models and chips of a catalogue, each built once."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.models: dict[str, Model] = {}
        self.chips: dict[str, Chip] = {}

    def model(self, name: str) -> Model:
        """The model called `name`; DataError where there is none."""
        if name not in self.models:
            self.models[name] = workload.model(self.catalog.get(ModelRecord, name))
        return self.models[name]

    def chip(self, name: str) -> Chip:
        """The chip called `name`; DataError where there is none."""
        if name not in self.chips:
            self.chips[name] = chips.chip(self.catalog, self.catalog.get(ChipRecord, name))
        return self.chips[name]

    def asked(self, run: Run) -> Asked:
        """What a measured run asks for. A pool that no tensor degree can be is taken to prefill elsewhere."""
        deployment = run.deployment
        odd = run.prefill is None and deployment.data & (deployment.data - 1) != 0
        return Asked(
            self.model(run.model), self.chip(run.chip), deployment, run.concurrency / run.replicas, run.prompt,
            run.output, run.engine, run.release, deployment if odd else run.prefill,
            run.prefill_replicas / run.replicas if run.prefill else 1.0,
        )  # fmt: skip


def release_key(model: Model, release: str) -> str:
    """Releases act differently on models with latent attention (their own kernels, multi-token heads)."""
    return f"{release} latent" if model.kv_heads is None else release


def row_of(a: Asked, record: AchievedRecord) -> Rows:
    """What is asked as arrays of one, with as many users in a step as memory holds.

    Where our account of memory leaves no room at all, all users count: a run that was measured did fit. Raises
    ValueError where the chip lacks a number.
    """
    decode = serving.coefficients(a.model, a.chip, a.deployment, a.prompt, a.output)
    users = a.users if decode.memory.users < 1 else min(a.users, decode.memory.users)
    return achieved.rows_at(
        decode, np.array([float(users)]), asked=np.array([float(a.users)]), prompt=a.prompt, output=a.output,
        name=(a.engine, record.family_of(a.chip.name), release_key(a.model, a.release)),
        prefill=None if a.prefill is None else serving.coefficients(a.model, a.chip, a.prefill, a.prompt, a.output),
        pools=a.pools,
        chunk=(a.prefill or a.deployment).chunk,
    )  # fmt: skip


def rows_of(asked: Sequence[Asked], record: AchievedRecord) -> Rows:
    """Everything asked as arrays. Raises ValueError where a chip lacks a number."""
    return achieved.joined([row_of(a, record) for a in asked])


def runs_of(catalog: Catalog, table: Path, record: AchievedRecord) -> tuple[list[Run], list[Refused]]:
    """Runs of a table that can be predicted, and the other rows: also those whose chip lacks a number."""
    things, able = Things(catalog), []
    native = {model.name: str(model.native) for model in catalog.all(ModelRecord)}
    runs, refused = read_runs(table, native, catalog.records["chips"])
    for run in runs:
        try:
            rows_of([things.asked(run)], record)
            able.append(run)
        except ValueError as error:
            refused.append(Refused(run.line, str(error), run.groups()))
    return able, refused


def measured_of(catalog: Catalog, runs: Sequence[Run], record: AchievedRecord) -> Measured:
    """Runs as rows with their measured times."""
    things = Things(catalog)
    rows = rows_of([things.asked(run) for run in runs], record)
    ttft = np.array([np.nan if run.ttft_s is None else run.ttft_s for run in runs])
    return Measured(rows, np.array([run.tpot_s for run in runs]), ttft)


def constants(catalog: Catalog) -> tuple[Constants, AchievedRecord]:
    """The catalogue's achieved-rate constants."""
    record = catalog.get(AchievedRecord, "default")
    return achieved.constants_of(record), record


def band_of(record: AchievedRecord, engine: str, *, first: bool = False) -> tuple[float, float]:
    """10th and 90th percentile of measured over predicted time, per output token or to the first, on runs alike."""
    return bands.band_of(record.first_token_band if first else record.band, engine)
