"""Small tables of measured runs, made from our own predictions under known constants: tests need no outside data."""

import csv
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from codesign.facts.records import AchievedRecord, ModelRecord
from codesign.physics import achieved, measured, prediction
from codesign.physics.achieved import Constants
from codesign.physics.measured import Run
from codesign.physics.measurements import Measured
from tests.cases.command import load

COLUMNS = ("model", "precision", "accelerator", "n_accelerators", "parallelism", "concurrency", "input_len",
           "output_len", "scenario", "engine", "measured_on", "tokens_per_s", "ttft_ms", "tpot_ms", "note",
           "source")  # fmt: skip
GOOD = {
    "model": "meta-llama/Llama-3.1-70B-Instruct", "precision": "FP8", "accelerator": "NVIDIA H100-SXM-80GB",
    "n_accelerators": "8", "parallelism": "tp8 pp1 attn_dp1 moe_tp8 moe_ep1", "concurrency": "16",
    "input_len": "1024", "output_len": "1024", "scenario": "chat", "engine": "vllm 0.12.0", "ttft_ms": "250",
    "tpot_ms": "12.5", "measured_on": "2026-01-01", "tokens_per_s": "", "note": "", "source": "made here",
}  # fmt: skip
SERVED = (  # model, precision, chip, chips, layout, engine: each run at every mix and concurrency
    ("Llama-3.1-70B", "FP8", "H100-SXM", 8, "tp8 pp1 attn_dp1 moe_tp8 moe_ep1", "vllm 0.12.0"),
    ("Llama-3.1-70B", "FP8", "B200", 4, "tp4 pp1 attn_dp1 moe_tp4 moe_ep1", "trtllm 1.0.0rc3"),
    ("Llama-3.1-8B", "BF16", "H100-SXM", 1, "tp1 pp1 attn_dp1 moe_tp1 moe_ep1", "vllm 0.12.0"),
    ("DeepSeek-R1-0528", "FP8", "H200-SXM", 8, "tp64 pp1 attn_dp1 moe_tp8 moe_ep8", "sglang 0.5.6"),
    ("DeepSeek-R1-0528", "NVFP4", "B200", 8, "disagg prefill 1x(tp4 dp1 ep4) decode 2x(tp8 dp1 ep8)",
     "trtllm 1.0.0rc3"),
    ("gpt-oss-120b", "MXFP4", "H200-SXM", 2, "tp2 pp1 attn_dp1 moe_tp2 moe_ep1", "vllm 0.12.0"),
    ("Qwen3-235B-A22B", "FP8", "B200", 8, "tp8 pp1 attn_dp1 moe_tp8 moe_ep1", "sglang 0.5.6"),
)  # fmt: skip
MIXES = ((1024, 1024), (1024, 8192), (8192, 1024))
CONCURRENCIES = (1, 4, 16, 64, 256)


def known_constants() -> Constants:
    """Constants unlike those we ship and unlike the priors, and the same for every release and family."""
    ours = achieved.constants_of(load().get(AchievedRecord, "default"))
    common = {**ours.common, "memory": 1.45, "expert": 1.35, "matrix": 1.85, "prefill": 2.3, "collective": 1.4}
    engine = {
        "vllm": {"kernel_s": 3.9e-6, "user_s": 32e-6, "prefill_rate": 1.0},
        "sglang": {"kernel_s": 3.3e-6, "user_s": 21e-6, "prefill_rate": 1.05},
        "trtllm": {"kernel_s": 2.3e-6, "user_s": 24e-6, "prefill_rate": 0.95},
    }
    first = {"wait_steps": 3.0, "chunk_tokens": 6000.0, "own": 1.2, "burst": 0.2, "queue": 0.4, "pool_fixed": 2.0,
             "prompt_kernel_s": 20e-6}
    fixed = {"vllm": 20e-3, "sglang": 40e-3, "trtllm": 60e-3}
    return replace(ours, common=common, engine=engine, family={}, release={}, first=first, first_engine=fixed,
                   first_release={})  # fmt: skip


def write_rows(path: Path, rows: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS) -> Path:
    """A table of these rows."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def good_but(**cells: str) -> dict[str, str]:
    """A row that can be predicted, with some cells changed."""
    assert set(cells) <= set(COLUMNS)
    return {**GOOD, **cells}


def natives() -> dict[str, str]:
    """The precision that each model of the catalogue ships in."""
    return {model.name: str(model.native) for model in load().all(ModelRecord)}


def runs_of(path: Path) -> list[Run]:
    """The runs of a table of which every row can be predicted."""
    runs, refused = measured.read_runs(path, natives(), load().records["chips"])
    assert refused == []
    return runs


def measured_of(path: Path) -> Measured:
    """A table as arrays."""
    return prediction.measured_of(load(), runs_of(path), load().get(AchievedRecord, "default"))


@cache
def _exact(scratch: Path) -> list[dict[str, str]]:
    """Every row with the times that the known constants give."""
    rows = []
    for (model, precision, chip, chips, layout, engine), (into, out), users in product(SERVED, MIXES, CONCURRENCIES):
        rows.append(good_but(model=model, precision=precision, accelerator=chip, n_accelerators=str(chips),
                             parallelism=layout, engine=engine, input_len=str(into), output_len=str(out),
                             concurrency=str(users), scenario="chat" if out <= into else "reasoning"))  # fmt: skip
    data = measured_of(write_rows(scratch, rows)).rows
    k = known_constants().gather(data)
    for row, tpot, ttft in zip(rows, achieved.tpot_s(data, k), achieved.ttft_s(data, k), strict=True):
        row |= {"tpot_ms": repr(float(tpot) * 1e3), "ttft_ms": repr(float(ttft) * 1e3)}
    return rows


def write_table(path: Path, *, noise: float = 0.0, mislabelled: int = 0, only: slice = slice(None)) -> Path:
    """Rows under the known constants, with log-normal noise of a fixed seed; some are ten times too slow."""
    rows = [dict(row) for row in _exact(path.with_suffix(".exact.csv"))][only]
    random = np.random.default_rng(7)
    for row in rows:
        for column in ("tpot_ms", "ttft_ms"):
            row[column] = repr(float(row[column]) * float(np.exp(noise * random.standard_normal())))
    for at in random.choice(len(rows), mislabelled, replace=False):
        rows[at]["tpot_ms"] = repr(10 * float(rows[at]["tpot_ms"]))
    return write_rows(path, rows)
