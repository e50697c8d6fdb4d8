"""Tables of measured runs: what is an error, what is refused with a reason, and what a row is taken to mean."""

import pytest

from codesign.facts.errors import DataError
from codesign.physics import measured
from codesign.physics.layout import Layout
from codesign.physics.measured import REQUIRED
from tests.cases.command import load, put, run
from tests.cases.measured_tables import COLUMNS, good_but, natives, runs_of, write_rows


def read(path, rows, columns=COLUMNS):
    """(runs, refused) of a table of these rows."""
    return measured.read_runs(write_rows(path / "runs.csv", rows, columns), natives(), load().records["chips"])


def only(path, **cells):
    """The run of a table of one row."""
    (found,) = runs_of(write_rows(path / "runs.csv", [good_but(**cells)]))
    return found


def test_a_row_is_read_in_seconds(tmp_path):
    found = only(tmp_path)
    assert (found.model, found.chip) == ("llama-3.1-70b", "h100-sxm")
    assert (found.engine, found.release) == ("vllm", "vllm 0.12.0")
    assert (found.line, found.concurrency, found.ttft_s, found.tpot_s) == (2, 16.0, 0.25, 0.0125)
    assert (found.mix, found.phase, found.scenario) == ("1024/1024", "aggregated", "chat")
    assert found.deployment == Layout(8, 1, 1, 1, "fp8", "fp8")


@pytest.mark.parametrize("column", REQUIRED)
def test_every_required_column_is_missed(tmp_path, column):
    with pytest.raises(DataError, match=f"runs.csv: line 1: no column {column};"):
        read(tmp_path, [good_but()], tuple(name for name in COLUMNS if name != column))


def test_the_other_columns_are_not_missed(tmp_path):
    runs, refused = read(tmp_path, [good_but()], REQUIRED)
    assert (len(runs), refused, runs[0].scenario) == (1, [], "")


WRONG = [
    ("tpot_ms", "fast", "is not a number"), ("concurrency", "16 users", "is not a number"),
    ("tpot_ms", "0", "must be positive"), ("ttft_ms", "0", "must be positive"), ("tpot_ms", "-3", "must be positive"),
    ("ttft_ms", "-3", "must be positive"), ("tpot_ms", "nan", "must be positive"),
    ("ttft_ms", "inf", "must be positive"), ("n_accelerators", "-8", "must be positive"),
    ("input_len", "nan", "must be positive"), ("output_len", "1e999", "must be positive"),
    ("engine", "llama.cpp b4000", "unknown engine"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "text", "rule"), WRONG)
def test_a_wrong_cell_is_named_by_line_and_column(tmp_path, column, text, rule):
    with pytest.raises(DataError, match=f"runs.csv: line 3, column {column}: '{text}'.*{rule}"):
        read(tmp_path, [good_but(), good_but(**{column: text}), good_but()])


@pytest.mark.parametrize("command", ["validate", "calibrate"])
@pytest.mark.parametrize(("column", "text"), [("tpot_ms", "0"), ("engine", "mystery")])
def test_the_command_line_gives_one_message(tmp_path, command, column, text):
    table = write_rows(tmp_path / "runs.csv", [good_but()] * 3 + [good_but(**{column: text})])
    done = run(command, table, "--out", tmp_path / "out")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"line 5, column {column}" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["validate", "calibrate"])
@pytest.mark.parametrize("kind", ["absent", "folder", "binary", "empty"])
def test_a_table_that_cannot_be_read(tmp_path, command, kind):
    path = tmp_path / "runs.csv"
    if kind == "folder":
        path.mkdir()
    elif kind != "absent":
        path.write_bytes(b"" if kind == "empty" else b"model,\xff\xfe\n")
    done = run(command, path, "--out", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "runs.csv" in done.err


REFUSED = [
    ({"concurrency": ""}, "no concurrency"), ({"concurrency": "0"}, "no concurrency"),
    ({"concurrency": "UNSET"}, "no concurrency"), ({"input_len": ""}, "no input or output length"),
    ({"output_len": "0"}, "no input or output length"), ({"tpot_ms": ""}, "no time per output token"),
    ({"n_accelerators": "0"}, "chip count unknown"), ({"n_accelerators": ""}, "chip count unknown"),
    ({"model": "secret-7b"}, "model secret-7b is not in the catalogue"), ({"model": ""}, "is not in the catalogue"),
    ({"accelerator": "Abacus"}, "chip Abacus is not in the catalogue"),
    ({"parallelism": ""}, "parallel layout unknown"), ({"parallelism": "tp8"}, "parallel layout unknown"),
    ({"parallelism": "tp0 pp1 attn_dp1 moe_tp8 moe_ep1"}, "parallel layout unknown"),
    ({"parallelism": "tp8 pp0 attn_dp1 moe_tp8 moe_ep1"}, "parallel layout unknown"),
    ({"parallelism": "disagg prefill x(tp4 dp1 ep4) decode x(tp8 dp1 ep8)"}, "parallel layout unknown"),
    ({"parallelism": "disagg prefill 1x(tp4 dp1 ep4) decode x(tp8 dp1 ep8)"}, "parallel layout unknown"),
    ({"parallelism": "disagg prefill 1x(tp4 dp1 ep4) decode 0x(tp8 dp1 ep8)"}, "parallel layout unknown"),
    ({"parallelism": "disagg prefill 1x(tp0 dp1 ep4) decode 1x(tp8 dp1 ep8)"}, "parallel layout unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "reason"), REFUSED)
def test_a_run_that_cannot_be_predicted_is_refused(tmp_path, cells, reason):
    runs, refused = read(tmp_path, [good_but(), good_but(**cells), good_but()])
    assert [found.line for found in runs] == [2, 4]
    assert [found.line for found in refused] == [3]
    assert reason in refused[0].reason


def test_a_chip_that_lacks_a_number_is_refused(tmp_path):
    """Nobody publishes the network beside an L40S server: sixteen of them cannot be predicted."""
    wide = good_but(accelerator="L40S", n_accelerators="16", parallelism="tp16 pp1 attn_dp1 moe_tp16 moe_ep1")
    done = run("validate", write_rows(tmp_path / "runs.csv", [good_but(), wide]))
    assert (done.code, done.err) == (0, "")
    assert "1 rows not predicted: " in done.out
    assert "l40s has no scale_out link" in done.out


def test_short_rows_and_a_byte_order_mark(tmp_path):
    """A spreadsheet writes a mark before the first column; cells that end early are blank."""
    first = ("tpot_ms", "ttft_ms", "engine", "n_accelerators", "concurrency", "input_len", "output_len", "parallelism")
    cells = ["12.5", "250", "vllm", "8", "16", "1024", "1024", "tp8 pp1 attn_dp1 moe_tp8 moe_ep1"]
    text = "\ufeff" + ",".join([*first, "model", "accelerator", "precision"]) + "\n" + ",".join(cells) + "\n"
    path = put(tmp_path, {"runs.csv": text}) / "runs.csv"
    runs, refused = measured.read_runs(path, {"llama-3.1-70b": "bf16"}, {"h100-sxm"})
    assert (runs, [found.line for found in refused]) == ([], [2])
    assert "is not in the catalogue" in refused[0].reason


def test_a_table_with_nothing_to_predict(tmp_path):
    table = write_rows(tmp_path / "runs.csv", [good_but(model="secret-7b")] * 4)
    for command in ("validate", "calibrate"):
        done = run(command, table, "--out", tmp_path / "out")
        assert (done.code, done.err.count("\n")) == (2, 1)


LAYOUTS = [  # written, (tensor, data, pipeline, expert)
    ("tp8 pp1 attn_dp1 moe_tp8 moe_ep1", (8, 1, 1, 1)),
    (" tp4 pp2 attn_dp1 moe_tp4 moe_ep1 ", (4, 1, 2, 1)),
    ("tp1 pp1 attn_dp8 moe_tp1 moe_ep8", (1, 8, 1, 8)),
    ("tp8 pp1 attn_dp0 moe_tp8 moe_ep0", (8, 1, 1, 1)),        # 0: not used
    ("tp64 pp1 attn_dp1 moe_tp8 moe_ep8", (8, 1, 1, 8)),       # 8 chips, multiplied by themselves
    ("tp8 pp1 attn_dp8 moe_tp8 moe_ep8", (1, 8, 1, 8)),
    ("tp36 pp1 attn_dp1 moe_tp1 moe_ep36", (1, 36, 1, 36)),    # no engine splits 36 ways
    ("tp32 pp1 attn_dp1 moe_tp1 moe_ep32", (32, 1, 1, 32)),
]


@pytest.mark.parametrize(("written", "degrees"), LAYOUTS)
def test_aggregated_layouts(tmp_path, written, degrees):
    found = only(tmp_path, parallelism=written)
    d = found.deployment
    assert (d.tensor, d.data, d.pipeline, d.expert) == degrees
    assert (found.phase, found.prefill, found.replicas) == ("aggregated", None, 1)


def test_a_layout_of_64_is_eight_chips(tmp_path):
    assert only(tmp_path, parallelism="tp64 pp1 attn_dp1 moe_tp8 moe_ep8").deployment.chips == 8


def test_disaggregated_layout(tmp_path):
    written = "disagg prefill 1x(tp4 dp1 ep4) decode 4x(tp8 dp2 ep16)"
    found = only(tmp_path, parallelism=written, n_accelerators="68", precision="NVFP4")
    assert found.phase == "disaggregated"
    assert (found.replicas, found.deployment) == (4, Layout(8, 2, 1, 16, "fp4", "fp8"))
    assert (found.prefill_replicas, found.prefill) == (1, Layout(4, 1, 1, 4, "fp4", "fp8"))
    assert only(tmp_path, parallelism=written, n_accelerators="", precision="NVFP4") == found, "counted by the pools"


MODELS = [
    ("deepseek-ai/DeepSeek-R1-0528", "deepseek-v3"), ("nvidia/DeepSeek-V3-FP4", "deepseek-v3"),
    ("Llama-3.3-70B-Instruct", "llama-3.1-70b"), ("llama2-70b-99.9", "llama-2-70b"),
    ("openai/gpt-oss-20b", "gpt-oss-20b"), ("Qwen3-Coder-480B-A35B", "qwen3-coder-480b"),
    ("Qwen3-235B-A22B", "qwen3-235b-a22b"), ("Qwen3-30B", "qwen3-30b-a3b"),
]  # fmt: skip
CHIPS = [
    ("NVIDIA B200", "b200-sxm"), ("NVIDIA GB200 NVL72", "gb200-nvl72"), ("GB300", "gb300-nvl72"), ("B300", "b300-sxm"),
    ("H100-NVL-94GB", "h100-nvl"), ("H100-PCIe", "h100-pcie"), ("AMD MI355X", "mi355x"), ("H20-3e", "h20"),
    ("NVIDIA H200-SXM-141GB", "h200-sxm"), ("RTX PRO 6000 Blackwell", "rtx-pro-6000-server"), ("L40S", "l40s"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "name"), MODELS)
def test_models_are_matched(tmp_path, written, name):
    assert only(tmp_path, model=written).model == name


@pytest.mark.parametrize(("written", "name"), CHIPS)
def test_chips_are_matched(tmp_path, written, name):
    assert only(tmp_path, accelerator=written).chip == name


@pytest.mark.parametrize("names", [measured.MODELS, measured.CHIPS])
def test_every_match_is_in_the_catalogue(names):
    assert set(names.values()) <= {name for kind in ("models", "chips") for name in load().records[kind]}


@pytest.mark.parametrize(("written", "model", "weights", "kv"), [
    ("FP8", "Llama-3.1-8B", "fp8", "fp8"), ("", "Llama-3.1-8B", "bf16", "bf16"), ("NVFP4", "DeepSeek-R1", "fp4", "fp8"),
    ("BF16", "Llama-3.1-8B", "bf16", "bf16"), ("fp16", "Llama-3.1-8B", "bf16", "bf16"),
    ("MXFP4", "gpt-oss-20b", "fp4", "fp8"), ("", "gpt-oss-120b", "fp4", "fp8"),
])  # fmt: skip
def test_precisions_are_matched(tmp_path, written, model, weights, kv):
    d = only(tmp_path, precision=written, model=model).deployment
    assert (d.weights, d.kv) == (weights, kv)


@pytest.mark.parametrize(("written", "engine"), [
    ("vLLM 0.12.0", "vllm"), ("SGLang", "sglang"), ("TensorRT-LLM 1.0", "trtllm"), ("TRTLLM", "trtllm"),
    ("PyTorch 2.6", "other"), ("", "other"),
])  # fmt: skip
def test_engines_are_matched(tmp_path, written, engine):
    found = only(tmp_path, engine=written)
    assert (found.engine, found.release) == (engine, written)
