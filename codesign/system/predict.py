"""How fast will this deployment be, with this engine, today?"""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from codesign.facts.catalog import Catalog
from codesign.facts.cells import csv_text
from codesign.facts.errors import DataError
from codesign.facts.records import ModelRecord
from codesign.physics import achieved, performance, prediction, serving
from codesign.physics.layout import BYTES, Layout
from codesign.physics.measured import ENGINES
from codesign.physics.prediction import Asked, Things
from codesign.system.mode import check_context, check_release


class Prediction(BaseModel):
    """Times in seconds; mode achieved: `band_s` is where 80 % of runs like this one would lie.

    Mode limit knows decode steps only. `memory_bytes` are those of one chip, by what takes them.
    """

    model_config = ConfigDict(frozen=True)
    mode: Literal["achieved", "limit"]
    model: str
    chip: str
    engine: str
    release: str
    chips: int
    users: float
    users_held: int
    prompt: float
    output: float
    ttft_s: float | None
    ttft_band_s: tuple[float, float] | None
    tpot_s: float
    band_s: tuple[float, float] | None
    user_speed: float
    chip_speed: float
    terms_s: dict[str, float]
    memory_bytes: dict[str, float]
    runs_fitted: int
    left_out_errors: dict[str, dict[str, float]]
    notes: tuple[str, ...]


def predict(
    catalog: Catalog, model: str, chip: str, deployment: Layout, *,
    users: float, prompt: float, output: float, engine: str, release: str = "",
) -> Prediction:  # fmt: skip
    """Predict one replica. Raises DataError for unknown names, impossible layouts and missing numbers."""
    things, (constants, record) = Things(catalog), prediction.constants(catalog)
    asked = Asked(things.model(model), things.chip(chip), deployment, users, prompt, output, _engine(engine), release)
    _check(asked)
    check_context(catalog.get(ModelRecord, model), prompt + output, "--input and --output")
    check_release(catalog, asked.engine, release, "--release")
    try:
        rows = prediction.rows_of([asked], record)
    except ValueError as error:
        raise DataError(f"{chip}: {error}") from error
    held = serving.memory_users(asked.model, asked.chip, deployment, prompt + output)
    if held < 1:
        raise DataError(f"--tensor {deployment.tensor}: the weights of {model} leave no room for one user's KV cache")
    k = constants.gather(rows)
    tpot, ttft = (float(x[0]) for x in achieved.both_s(rows, k))
    family = record.family_of(chip)
    low, high = prediction.band_of(record, asked.engine)
    soon, late = prediction.band_of(record, asked.engine, first=True)
    return Prediction(
        mode="achieved", model=model, chip=chip, engine=asked.engine, release=release, chips=deployment.chips,
        users=users, users_held=held, prompt=prompt, output=output, ttft_s=ttft,
        ttft_band_s=(ttft * soon, ttft * late), tpot_s=tpot,
        band_s=(tpot * low, tpot * high),
        user_speed=1 / tpot, chip_speed=min(users, held) / tpot / deployment.chips,
        terms_s={name: float(value[0]) for name, value in achieved.terms(rows, k).items()},
        memory_bytes=_memory(asked, min(users, held)), runs_fitted=record.fit.runs, left_out_errors=record.fit.errors,
        notes=tuple(_notes(asked, held, family in constants.family, constants.release)),
    )  # fmt: skip


def as_rows(found: Prediction) -> str:
    """The prediction as one row of CSV: seconds, tokens/s, bytes of one chip."""
    row = found.model_dump(exclude={"notes", "left_out_errors", "band_s", "ttft_band_s", "terms_s", "memory_bytes"})
    for name, band in (("tpot", found.band_s), ("ttft", found.ttft_band_s)):
        low, high = band or (None, None)
        row |= {f"{name}_low_s": low, f"{name}_high_s": high}
    row |= {f"{name}_s": value for name, value in found.terms_s.items()}
    row |= {f"{name}_bytes": value for name, value in found.memory_bytes.items()}
    return csv_text(tuple(row), [tuple(row.values())])


def deployment(tensor: int, data: int, pipeline: int, expert: int, precision: str, kv: str | None, draft: int,
               acceptance: float, chunk: float | None) -> Layout:  # fmt: skip
    """One replica as options say it; DataError where they contradict each other."""
    cache = kv or ("bf16" if precision == "bf16" else "fp8")
    try:
        return Layout(tensor, data, pipeline, expert, precision, cache, draft, acceptance, chunk)
    except ValueError as error:
        raise DataError(f"--{error}") from error


def predict_limit(
    catalog: Catalog, model: str, chip: str, d: Layout, *, users: float, prompt: float, output: float
) -> Prediction:
    """The decode step that no system can beat, in the middle of the output. Raises as `predict`."""
    things = Things(catalog)
    asked = Asked(things.model(model), things.chip(chip), d, users, prompt, output, "", "")
    _check(asked)
    check_context(catalog.get(ModelRecord, model), prompt + output, "--input and --output")
    if d.data > 1 or d.draft:
        raise DataError("--data and --draft belong to mode achieved; mode limit has neither")
    layout, context = Layout(d.tensor, 1, d.pipeline, d.expert, d.weights, d.kv), round(prompt + output / 2)
    batch = math.ceil(users / d.pipeline)
    try:
        time = performance.decode_step(asked.model, asked.chip, layout, batch, context)
        held = performance.room(asked.model, asked.chip, layout, round(prompt + output)) * d.pipeline
    except ValueError as error:
        raise DataError(f"{chip}: {error}") from error
    kv = performance.user_bytes(asked.model, layout, round(prompt + output)) * users
    terms = {"memory": time.memory_s, "compute": time.compute_s, "exposed": time.exposed_s}
    notes = () if held >= users else (f"memory holds {held:,} of {users:,.0f} users",)
    return Prediction(
        mode="limit", model=model, chip=chip, engine="", release="", chips=layout.chips, users=users, users_held=held,
        prompt=prompt, output=output, ttft_s=None, ttft_band_s=None, tpot_s=time.step_s, band_s=None,
        user_speed=1 / time.step_s,
        chip_speed=users / time.step_s / layout.chips,
        terms_s={name: value * d.pipeline for name, value in terms.items()} | {"hops": time.hops_s},
        memory_bytes={"weights": performance.weights_bytes(asked.model, layout), "kv": kv,
                      "usable": performance.needed(asked.chip, "usable_bytes")},
        runs_fitted=0, left_out_errors={}, notes=notes,
    )  # fmt: skip


def unmeasured(release: str, model: str) -> str:
    """What is said where a release is known, and not for models with this kind of attention."""
    return f"release {release!r} was not measured on models with the attention of {model}: the engine's mean"


def _memory(a: Asked, users: float) -> dict[str, float]:
    """Bytes on each chip of the fullest stage."""
    m = serving.memory(a.model, a.chip, a.deployment, a.prompt + a.output)
    kv = math.ceil(users / a.deployment.data) * m.kv_bytes_per_user
    return {"weights": m.weights_bytes, "kv": kv, "activations": m.activation_bytes, "runtime": m.reserve_bytes,
            "usable": m.usable_bytes}  # fmt: skip


def _engine(name: str) -> str:
    engine = ENGINES.get(name.split()[0].lower() if name.strip() else "")
    if engine not in ("vllm", "sglang", "trtllm"):
        raise DataError(f"--engine = {name!r} is not known; known: vllm, sglang, trtllm")
    return engine


def _check(a: Asked) -> None:
    d, experts = a.deployment, max(layer.experts for layer in a.model.layers)
    for option, precision in (("--precision", d.weights), ("--kv-precision", d.kv)):
        if precision not in BYTES:
            raise DataError(f"{option} = {precision!r} is not known; known: {', '.join(BYTES)}")
    for option, number in (("--users", a.users), ("--input", a.prompt), ("--output", a.output)):
        if not 1 <= number < math.inf:
            raise DataError(f"{option} = {number:g} must be at least 1 and finite")
    if a.model.heads % d.tensor:
        raise DataError(f"--tensor = {d.tensor} does not divide the {a.model.heads} attention heads of {a.model.name}")
    if d.pipeline > len(a.model.layers):
        raise DataError(f"--pipeline = {d.pipeline}: {a.model.name} has {len(a.model.layers)} layers")
    if d.expert > 1 and (not experts or experts % d.expert or d.stage_chips % d.expert):
        raise DataError(f"--expert = {d.expert} must divide {d.stage_chips} chips and {experts} experts")


def _notes(a: Asked, held: int, known_family: bool, releases: dict[str, float]) -> list[str]:
    notes = []
    if held < a.users:
        notes.append(f"memory holds {held:,} of {a.users:,.0f} users; the others wait")
    if not known_family:
        notes.append(f"no run on {a.chip.name} or its family was fitted: constants of all chips, band too narrow")
    if a.release and prediction.release_key(a.model, a.release) not in releases:
        notes.append(unmeasured(a.release, a.model.name))
    return notes
