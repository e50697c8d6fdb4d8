"""Tables of measured serving runs: read with line and column, matched to the catalogue, or refused with a reason.

Columns: model, precision, accelerator, n_accelerators, parallelism, concurrency, input_len, output_len, scenario,
engine, measured_on, tokens_per_s, ttft_ms, tpot_ms, note, source. A file that cannot be right (a column missing, a
time that is not positive, an engine nobody knows) is an error; a run that cannot be predicted is not.
"""

import csv
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from codesign.facts.errors import DataError
from codesign.physics.layout import Layout

REQUIRED = ("model", "precision", "accelerator", "n_accelerators", "parallelism", "concurrency", "input_len",
            "output_len", "engine", "ttft_ms", "tpot_ms")  # fmt: skip
ENGINES = {
    "vllm": "vllm", "sglang": "sglang", "trtllm": "trtllm", "tensorrt": "trtllm", "tensorrt-llm": "trtllm",
    "cuda": "trtllm", "jetpack": "trtllm", "mango": "other", "pytorch": "other", "pytorch:": "other", "": "other",
}  # fmt: skip
MODELS = {
    "deepseek-r1": "deepseek-v3", "deepseek-v3": "deepseek-v3", "llama-3.1-8b": "llama-3.1-8b",
    "llama-3.1-70b": "llama-3.1-70b", "llama-3.1-405b": "llama-3.1-405b", "llama-3.3-70b": "llama-3.1-70b",
    "llama2-70b": "llama-2-70b", "llama-2-70b": "llama-2-70b", "qwen3-32b": "qwen3-32b", "qwen3-8b": "qwen3-8b",
    "qwen3-235b": "qwen3-235b-a22b", "qwen3-30b": "qwen3-30b-a3b", "qwen3-coder-480b": "qwen3-coder-480b",
    "qwen3.5-397b": "qwen3.5-397b-a17b",
    "gpt-oss-120b": "gpt-oss-120b", "gpt-oss-20b": "gpt-oss-20b", "glm-5": "glm-5", "glm-4.5": "glm-4.5",
    "mixtral-8x7b": "mixtral-8x7b", "mixtral-8x22b": "mixtral-8x22b", "kimi-k2": "kimi-k2",
    "minimax-m2": "minimax-m2.5", "llama-4-scout": "llama-4-scout", "llama-4-maverick": "llama-4-maverick",
    "gemma-3-27b": "gemma-3-27b", "mistral-large": "mistral-large-2", "llama3.1-405b": "llama-3.1-405b",
    "llama3.1-8b": "llama-3.1-8b", "llama3_1-8b": "llama-3.1-8b", "llama3_1-70b": "llama-3.1-70b",
    "llama3_1-405b": "llama-3.1-405b",
}  # fmt: skip
CHIPS = {
    "b200": "b200-sxm", "b300": "b300-sxm", "gb200": "gb200-nvl72", "gb300": "gb300-nvl72", "h100-sxm": "h100-sxm",
    "h100-nvl": "h100-nvl", "h100-pcie": "h100-pcie", "h200-sxm": "h200-sxm", "a100": "a100-80-sxm",
    "mi300x": "mi300x", "mi325x": "mi325x", "mi350x": "mi350x", "mi355x": "mi355x", "l40s": "l40s", "h20-": "h20",
    "rtx pro 6000": "rtx-pro-6000-server",
}  # fmt: skip
NEEDED = {"tpot_ms": "no time per output token", "input_len": "no input or output length",
          "output_len": "no input or output length", "concurrency": "no concurrency"}  # fmt: skip
TIMES = ("ttft_ms", "tpot_ms")
SHORTEST_MS = 0.1  # no system gives a token faster: such a time is in seconds
AGGREGATED = re.compile(r"^tp(\d+) pp(\d+) attn_dp(\d+) moe_tp(\d+) moe_ep(\d+)$")
POOL = re.compile(r"(\d*)x\(tp(\d+) dp(\d+) ep(\d+)\)")


@dataclass(frozen=True)
class Run:
    """One measured run that can be predicted; `pool` is the prefill pool of a disaggregated one."""

    line: int
    model: str
    chip: str
    engine: str
    release: str
    deployment: Layout
    replicas: int
    prefill: Layout | None
    prefill_replicas: int
    concurrency: float
    prompt: float
    output: float
    ttft_s: float | None
    tpot_s: float
    scenario: str

    @property
    def mix(self) -> str:
        """ "1024/8192": lengths of input and output."""
        return f"{self.prompt:g}/{self.output:g}"

    @property
    def phase(self) -> str:
        """aggregated or disaggregated."""
        return "aggregated" if self.prefill is None else "disaggregated"

    def groups(self) -> dict[str, str]:
        """What the run counts to, by split."""
        return {"chip": self.chip, "model": self.model, "engine": self.engine, "phase": self.phase, "mix": self.mix,
                "scenario": self.scenario or "-"}  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """A row that is not predicted, and why; `groups` is what it would have counted to, as far as the row says."""

    line: int
    reason: str
    groups: Mapping[str, str]


MOST_RUNS = 100_000


def read_runs(path: Path, models: Mapping[str, str], chips: Collection[str]) -> tuple[list[Run], list[Refused]]:
    """Runs of a table; `models` holds the precision of the published weights by the catalogue's names.

    Raises DataError naming file, line and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            absent = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
            if absent:
                raise DataError(f"{path}: line 1: no column {', '.join(absent)}; needed: {', '.join(REQUIRED)}")
            rows = [(reader.line_num, dict(row)) for row in islice(reader, MOST_RUNS + 1)]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if len(rows) > MOST_RUNS:
        raise DataError(f"{path}: more than {MOST_RUNS:,} rows: predictions take seconds for ten thousand; split it")
    found = [_run(str(path), line, row, models, chips) for line, row in rows]
    return [x for x in found if isinstance(x, Run)], [x for x in found if isinstance(x, Refused)]


def _number(where: str, row: Mapping[str, str], column: str) -> float | None:
    """A positive number, or None where the cell is blank or zero; DataError for anything else."""
    text = (row.get(column) or "").strip()
    if text in ("", "UNSET"):
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{where}, column {column}: {text!r} is not a number") from error
    if not math.isfinite(value) or value < 0 or (value == 0 and column in TIMES):
        raise DataError(f"{where}, column {column}: {text!r} must be positive")
    if column in TIMES and value < SHORTEST_MS:
        raise DataError(f"{where}, column {column}: {text!r} is below {SHORTEST_MS} ms; expected milliseconds")
    return value or None


def _run(
    file: str, line: int, row: Mapping[str, str], models: Mapping[str, str], chips: Collection[str]
) -> Run | Refused:
    where = f"{file}: line {line}"
    numbers = {name: _number(where, row, name) for name in
               ("n_accelerators", "concurrency", "input_len", "output_len", "ttft_ms", "tpot_ms")}  # fmt: skip
    release = (row["engine"] or "").strip()
    word = release.split()[0].lower() if release else ""
    if word not in ENGINES:
        raise DataError(f"{where}, column engine: {release!r}: unknown engine; known: vllm, sglang, trtllm")
    model = _matched(row["model"] or "", MODELS)
    chip = _matched(row["accelerator"] or "", CHIPS)
    pools = _pools(row["parallelism"] or "", numbers["n_accelerators"])
    reason = next((why for column, why in NEEDED.items() if numbers[column] is None), "")
    if not reason and isinstance(pools, str):
        reason = pools
    elif not reason and (model is None or model not in models):
        reason = f"model {row['model']} is not in the catalogue"
    elif not reason and (chip is None or chip not in chips):
        reason = f"chip {row['accelerator']} is not in the catalogue"
    if reason or isinstance(pools, str) or model is None or chip is None:
        return Refused(line, reason, _groups(row, model, chip, ENGINES[word], numbers))
    precision = _precision((row["precision"] or "").strip(), models[model], ENGINES[word])
    decode, replicas, prefill, prefill_replicas = pools
    ttft = numbers["ttft_ms"]
    return Run(
        line, model, chip, ENGINES[word] or "other", release, _at(decode, precision), replicas,
        None if prefill is None else _at(prefill, precision), prefill_replicas,
        float(numbers["concurrency"] or 0), float(numbers["input_len"] or 0), float(numbers["output_len"] or 0),
        None if ttft is None else ttft / 1e3, float(numbers["tpot_ms"] or 0) / 1e3, (row.get("scenario") or "").strip(),
    )  # fmt: skip


def _groups(
    row: Mapping[str, str], model: str | None, chip: str | None, engine: str, numbers: Mapping[str, float | None]
) -> dict[str, str]:
    """What a row counts to, by split, whether or not it can be predicted."""
    lengths = [numbers["input_len"], numbers["output_len"]]
    return {
        "chip": chip or row["accelerator"] or "-", "model": model or row["model"] or "-", "engine": engine or "other",
        "phase": "disaggregated" if "disagg" in (row["parallelism"] or "") else "aggregated",
        "mix": "/".join("?" if x is None else f"{x:g}" for x in lengths),
        "scenario": (row.get("scenario") or "").strip() or "-",
    }  # fmt: skip


def _matched(written: str, names: Mapping[str, str]) -> str | None:
    """The catalogue's name of a written one: the longest key that it contains."""
    low = written.lower()
    fits = [key for key in names if key in low]
    return names[max(fits, key=len)] if fits else None


def _precision(written: str, native: str, engine: str) -> str:
    """Weights' precision; where none is written it is fp8, what most published runs use, or with vLLM as published.

    That explains published runs best; some of those with other engines may have been bf16.
    """
    low = written.lower() or (native if engine == "vllm" else "fp8")
    if "fp4" in low or native == "mxfp4":
        return "fp4"
    return "bf16" if low.startswith(("bf16", "fp16")) else "fp8"


def _at(d: Layout, precision: str) -> Layout:
    return Layout(d.tensor, d.data, d.pipeline, d.expert, precision, "bf16" if precision == "bf16" else "fp8")


def _pools(written: str, chips: float | None) -> tuple[Layout, int, Layout | None, int] | str:
    """Decode deployment and replicas, prefill likewise; a text is the reason why not."""
    pools = POOL.findall(written)
    if chips is None and not (len(pools) == 2 and all(count for count, *_ in pools)):
        return "chip count unknown"
    if match := AGGREGATED.match(written.strip()):
        degrees = [int(x) for x in match.groups()]
        return (_aggregated(*degrees), 1, None, 0) if degrees[0] and degrees[1] else "parallel layout unknown"
    if len(pools) == 2 and all(count for count, *_ in pools):
        (count_p, *p), (count_d, *d) = [tuple(int(x) for x in pool) for pool in pools]
        if all((count_p, count_d, p[0], d[0])):
            return _pool(*d), count_d, _pool(*p), count_p
    return "parallel layout unknown"


def _pool(tensor: int, data: int, expert: int) -> Layout:
    return Layout(tensor, max(data, 1), 1, max(expert, 1))


def _aggregated(tensor: int, pipeline: int, data: int, moe_tensor: int, expert: int) -> Layout:
    """A layout as published.

    Where expert tensor and expert degree are equal and multiply to the attention's chips, the table has
    multiplied one degree by itself: the run had that many chips. A tensor degree that no engine can split
    (not a power of two) is a pool of so many chips with attention data parallelism.
    """
    data, expert = max(data, 1), max(expert, 1)
    if moe_tensor == expert > 1 and tensor * data == moe_tensor * expert:
        return Layout(expert, 1, pipeline, expert) if data == 1 else Layout(1, expert, pipeline, expert)
    if tensor & (tensor - 1):
        return Layout(1, tensor, pipeline, tensor)
    return Layout(tensor, data, pipeline, expert)
