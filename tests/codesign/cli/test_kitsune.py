"""`codesign kitsune` and `codesign reproduce kitsune`: documents, tables, exports, sweeps, layers, bad input."""

import csv
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from codesign.facts.catalog import load
from codesign.kitsune import reproduce as reproduce_kitsune
from codesign.kitsune.apps import APPS, application
from codesign.kitsune.backward import training
from codesign.kitsune.from_answer import layer_of
from codesign.kitsune.gpu import gpu_named
from codesign.kitsune.graph import Graph
from codesign.kitsune.schedule_answer import ask
from codesign.kitsune.sweep import CLOSE, SweepAnswer
from codesign.kitsune.traffic import operator_bytes
from codesign.output.drawing import FORMATS
from codesign.output.kitsune import proven
from codesign.output.kitsune_chart import CHARTS
from formulations.solvers import highs
from tests.cases.command import INSTANCES, best, known, put, run

MLP = str(INSTANCES / "graphs" / "mlp.toml")
SMALL = ("dlrm", "--set", "batch=512")
LLAMA = ("--model", "llama-3.1-70b", "--chip", "h100-sxm", "--mode", "limit")
MODELS = ["bulk", "vertical", "kitsune", "best"]


def document(*args: str) -> Any:
    return known("kitsune", *args, "--json").json


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


# the document and the table


def test_document_is_valid_against_its_schema() -> None:
    schema = known("schema", "schedule").json
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document(*SMALL), schema, jsonschema.Draft202012Validator)


def test_document_has_all_execution_models_and_their_bounds() -> None:
    done = document(*SMALL)
    assert [part["execution"] for part in done["executions"]] == MODELS
    assert done["execution"] == "best" and done["operators"] == 21
    times = {part["execution"]: part["time_s"] for part in done["executions"]}
    assert times["best"] <= min(times["kitsune"], times["vertical"]) <= times["bulk"]
    assert all(part["bound_s"] <= part["time_s"] * (1 + 1e-9) for part in done["executions"])


def test_table_says_what_the_document_says() -> None:
    text, done = plain(known("kitsune", *SMALL).out), document(*SMALL)
    for part in done["executions"]:
        assert f"{part['execution']} " in text and f"{part['speed_up']:.2f}x" in text
        assert f"{part['traffic_cut']:.1%}" in text
    for group in done["executions"][-1]["groups"]:
        assert group["stages"][0]["operator"] in text
        assert group["pipeline"] is None or group["pipeline"]["bottleneck"] in text
    assert all(plain(line) in text for line in done["assumptions"])


@pytest.mark.parametrize("execution", MODELS)
def test_one_execution_is_shown_alone(execution: str) -> None:
    text = known("kitsune", *SMALL, "--execution", execution).out
    assert [line.split()[0] for line in text.splitlines() if " optimal" in line] == [execution]
    assert f"Groups of '{execution}'" in text


def test_sizes_and_settings_are_used() -> None:
    bulk = {args: document(*args)["executions"][0]["time_s"] for args in (SMALL, ("dlrm",))}
    assert bulk[SMALL] < bulk["dlrm",]
    fast = document(*SMALL, "--gpu-set", "dram_bandwidth=2x", "--gpu-set", "sms=216")
    assert fast["settings"] == {"dram_bandwidth": "2x", "sms": "216"}
    assert fast["gpu_numbers"]["sms"] == 216 and fast["gpu_numbers"]["dram_bandwidth"] == 2 * 1555e9


def test_a_file_is_a_graph() -> None:
    assert (known("kitsune", MLP).code, document(MLP)["graph"]) == (0, "mlp")


def test_measured_times_decide(tmp_path: Path) -> None:
    put(tmp_path, {"times.csv": "name,seconds\nbottom1,0.5\n"})
    done = document(*SMALL, "--measured", str(tmp_path / "times.csv"), "--execution", "bulk")
    assert done["measured"] == ["bottom1"] and 0.5 < done["executions"][0]["time_s"] < 0.501


@pytest.mark.parametrize(("setting", "said"), [
    ("l2_capacity=140000 B", "rings take"),
    ("shared_memory=80 KiB", "a CTA of each class takes"),
])  # fmt: skip
def test_a_group_that_cannot_be_resident_is_infeasible_explained_and_not_adopted(setting: str, said: str) -> None:
    done = known("kitsune", MLP, "--gpu-set", setting, "--execution", "kitsune")
    assert done.code == 5 and "Infeasible" in done.out and said in done.out
    parts = {part["execution"]: part for part in document(MLP, "--gpu-set", setting)["executions"]}
    assert said in parts["kitsune"]["blocked"][0] and parts["kitsune"]["covered"] == 0
    assert parts["best"]["blocked"] == [] and parts["best"]["time_s"] <= parts["bulk"]["time_s"]
    room = 0.75 * 140000 if "l2" in setting else float("inf")
    pipelines = [group["pipeline"] for group in parts["best"]["groups"] if group["pipeline"]]
    assert all(pipeline["ring_bytes"] <= room and pipeline["simulated_s"] for pipeline in pipelines)


@pytest.mark.slow
@pytest.mark.parametrize("app", APPS)
def test_training_of_every_application_is_proven(app: str) -> None:
    done = known("kitsune", app, "--training")
    assert done.code == 0 and "No schedule of 'best' is faster by more than 0.00%" in done.out


def test_what_is_not_proven_says_so() -> None:
    found = ask(training(application("dlrm")), gpu_named(load(), "a100-40gb"), most_sets=20)
    assert found.chosen().status == "feasible" and found.chosen().gap > 0
    assert "Not decided" in proven(found.chosen())


def test_a_time_limit_ends_with_the_best_found_and_what_is_proven() -> None:
    whole = document("nerf")["executions"][-1]
    done = run("kitsune", "nerf", "--time-limit", "1 ns", "--json")
    cut = json.loads(done.out)["executions"][-1]
    assert (done.code, whole["status"], cut["status"]) == (3, "optimal", "feasible")
    assert cut["bound_s"] <= whole["time_s"] * (1 + 1e-9) and whole["time_s"] <= cut["time_s"] * (1 + 1e-9)
    assert any("the time given" in note for note in cut["notes"])
    assert document("nerf", "--time-limit", "1 h")["executions"] == document("nerf")["executions"]


# bad input


@pytest.mark.parametrize(("args", "said"), [
    ((), "give either GRAPH or --from"),
    (("dlmr",), "did you mean dlrm?"),
    (("something",), "applications: dlrm"),
    (("dlrm", "--gpu", "a100"), "did you mean a100-40gb"),
    (("dlrm", "--gpu", "h100-sxm"), "has no number for l2_bandwidth"),
    (("dlrm", "--set", "bach=2"), "unknown size 'bach'; known: batch"),
    (("dlrm", "--time-limit", "0 s"), "--time-limit = '0 s' must be at least"),
    (("dlrm", "--time-limit", "-1 s"), "--time-limit"),
    (("dlrm", "--time-limit", "soon"), "--time-limit: 'soon'"),
    (("dlrm", "--time-limit", "3 GB"), "--time-limit: '3 GB'"),
    (("dlrm", "--time-limit", "1 s", "--sweep", "l2_bandwidth=1x..4x"), "--sweep and --time-limit exclude"),
    (("dlrm", "--set", "batch=0"), "must be a positive whole number"),
    (("dlrm", "--set", "batch=1.5"), "must be a positive whole number"),
    (("dlrm", "--set", "batch=many"), "--set batch: 'many' is not a quantity"),
    (("dlrm", "--set", "batch"), "expected KEY=VALUE"),
    ((MLP, "--set", "batch=2"), "has its own sizes"),
    (("dlrm", "--gpu-set", "l3=2x"), "GPU setting 'l3' is not known"),
    (("dlrm", "--gpu-set", "sms=0"), "must be positive"),
    (("dlrm", "--gpu-set", "l2_bandwidth=0.1x"), "is below dram_bandwidth"),
    (("no.toml",), "no.toml: no such file"),
    (("no.onnx",), "no.onnx: "),
    (("no.py:make",), "no.py:make: "),
    (("dlrm", "--sweep", "l2_bandwidth"), "expected KEY=LOW..HIGH"),
    (("dlrm", "--sweep", "l2_bandwidth=2x"), "expected KEY=LOW..HIGH"),
    (("dlrm", "--sweep", "l2_bandwidth=4x..1x"), "4x is not below 1x"),
    (("dlrm", "--sweep", "l3=1x..2x"), "GPU setting 'l3' is not known"),
    (("dlrm", "--sweep", "sms=54..108", "--export", "out"), "exclude each other"),
    (("dlrm", "--sweep", "sms=54..108", "--measured", "times.csv"), "exclude each other"),
    (("dlrm", "--measured", "no.csv"), "--measured no.csv: no such file"),
    (("--from", "no.json"), "no.json: no such file"),
    (("--from", MLP), "not readable as JSON"),
    (("--from", "no.json", "--training"), "do not apply"),
    (("dlrm", "--from", "no.json"), "give either GRAPH or --from"),
])  # fmt: skip
def test_bad_input_is_one_message(args: tuple[str, ...], said: str) -> None:
    done = known("kitsune", *args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ") and said in done.err


# export


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kitsune") / "out"
    put(folder, {"pipeline-99.lp": "of an earlier export", "mine.txt": "kept"})
    assert run("kitsune", MLP, "--execution", "kitsune", "--export", folder).code == 0
    return folder


def pipelines_of(folder: Path) -> list[Any]:
    done = json.loads((folder / "schedule.json").read_text(encoding="utf-8"))
    chosen = next(part for part in done["executions"] if part["execution"] == done["execution"])
    return [group for group in chosen["groups"] if group["pipeline"] is not None]


def test_export_is_the_document_and_a_program_for_each_pipeline(exported: Path) -> None:
    written = json.loads((exported / "schedule.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, known("schema", "schedule").json)
    assert written == document(MLP, "--execution", "kitsune")
    count = len(pipelines_of(exported))
    programs = {f"pipeline-{n}.{end}" for n in range(1, count + 1) for end in ("lp", "mps", "cpsat.txt")}
    charts = {f"{name}.{kind}" for name in CHARTS for kind in FORMATS}
    others = {"schedule.json", "sms.csv", "placements.csv", "mine.txt"}
    assert count and {path.name for path in exported.iterdir()} == {*others, *charts, *programs}


def test_programs_reach_the_balance(exported: Path) -> None:
    for number, group in enumerate(pipelines_of(exported), 1):
        optima = [highs.read_optimum(exported / f"pipeline-{number}.{end}") for end in ("lp", "mps")]
        head = (exported / f"pipeline-{number}.lp").read_text(encoding="utf-8")
        (unit,) = re.findall(r"speed 1 = (\S+) passes a second", head)
        assert optima[0] == pytest.approx(optima[1])
        slowest = group["pipeline"]["steady_s"]
        assert 1 / (optima[0] * float(unit)) >= slowest * (1 - 1e-9)
        twin = (exported / f"pipeline-{number}.cpsat.txt").read_text(encoding="utf-8")
        assert 'name: "spatial_pipeline"' in twin and "keep_up" in twin


def test_a_placement_is_between_its_bound_and_the_arbiters(exported: Path) -> None:
    with (exported / "placements.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(pipelines_of(exported))
    assert all(0 <= float(row["bound"]) <= float(row["cost"]) <= float(row["round_robin"]) <= 1 for row in rows)


def test_every_cta_is_on_an_sm(exported: Path) -> None:
    with (exported / "sms.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    groups = pipelines_of(exported)
    assert len(rows) == 108 * len(groups)
    for number, group in enumerate(groups, 1):
        own = [row for row in rows if row["pipeline"] == str(number)]
        assert [int(row["sm"]) for row in own] == list(range(108))
        assert {row["gpc"] for row in own} == {str(g) for g in range(7)}
        for stage in group["stages"]:
            column = f"{stage['pipe']}_stage"
            assert sum(row[column] == stage["operator"] for row in own) == stage["ctas"]


def test_nothing_is_written_where_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine", encoding="utf-8")
    done = run("kitsune", MLP, "--export", path)
    assert (done.code, path.read_text(encoding="utf-8")) == (2, "mine") and "is a file" in done.err


# sweep


def test_sweep_finds_where_other_groups_are_faster() -> None:
    done = document(*SMALL, "--sweep", "sms=27..108", "--execution", "vertical")
    swept = SweepAnswer.model_validate(done)
    assert swept.unit == "1" and [p.value for p in swept.points][::8] == [27, 108]
    assert len(swept.points) == 9


def test_switches_lie_close_and_gain() -> None:
    swept = SweepAnswer.model_validate(document(MLP, "--sweep", "dram_bandwidth=0.2x..2x"))
    values = [p.value for p in swept.points]
    assert values[0] == pytest.approx(0.2 * 1555e9) and values[-1] == 2 * 1555e9
    ratios = [b / a for a, b in pairwise(values)]
    assert ratios == pytest.approx([10 ** (1 / 8)] * 8)
    times = [p.time_s for p in swept.points]
    assert all(b <= a * (1 + 1e-9) for a, b in pairwise(times))
    for switch in swept.switches:
        assert 1 < switch.below / switch.above <= CLOSE and switch.gone and switch.new and switch.gain > 0


def test_sweep_is_a_table_too() -> None:
    done = known("kitsune", MLP, "--sweep", "dram_bandwidth=0.2x..2x")
    assert done.code == 0 and "311 GB/s" in done.out and "3.11 TB/s" in done.out


# a layer at the sizes of an answer


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("answers") / "answer.json"
    path.write_text(json.dumps(best(*LLAMA)), encoding="utf-8")
    return path


def changed(answer: Path, tmp_path: Path, part: str, **change: Any) -> Path:
    content = json.loads(answer.read_text(encoding="utf-8"))
    content[part] = {**content[part], **change}
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_layer_has_the_weights_and_cache_of_a_chip(answer: Path) -> None:
    system = best(*LLAMA)["system"]
    graph: Graph = layer_of(answer, load())
    batch, tensor = system["batch"], system["tensor"]
    assert (system["weights"], system["kv"], tensor) == ("fp8", "fp8", 8)
    linears = sum(op.weights for op in graph.operators if op.kind == "linear")
    assert linears == (2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672) // tensor
    caches = [t.bytes for t in graph.inputs if t.name.endswith("_cache")]
    assert caches == [batch * 8191 * 128] * 2  # one of 8 KV heads
    scores = graph.operators[graph.position["scores"]]
    assert scores.flop == 2 * batch * 8 * 8192 * 128 and scores.output.elements == batch * 8 * 8192
    assert operator_bytes(graph, graph.position["scores"]) > caches[0]


def test_layer_runs_and_says_what_it_is(answer: Path) -> None:
    done = run("kitsune", "--from", answer)
    assert done.code == 0
    assert "one layer of llama-3.1-70b, one decode step of" in done.out and "collectives between chips" in done.out


@pytest.mark.parametrize(("part", "change", "said"), [
    ("query", {"model": "deepseek-v3"}, "latent attention (MLA), experts (MoE)"),
    ("query", {"model": "gpt-oss-20b"}, "experts (MoE), windowed attention"),
    ("query", {"model": "gemma-3-27b"}, "windowed attention"),
    ("query", {"model": "nobody"}, "is not in the catalogue"),
    ("query", {"context": "long"}, "context = 'long' must be a whole number"),
    ("query", {"assume": {"models.llama-3.1-70b.layers": "3"}}, "a changed model is not supported"),
    ("system", {"data": 4}, "data = 4"),
    ("system", {"tensor": 3}, "tensor = 3 does not divide heads = 64"),
    ("system", {"kv": "fp4"}, "kv = 'fp4' is not known"),
    ("system", {"batch": "many"}, "system.batch = 'many'"),
])  # fmt: skip
def test_what_a_layer_cannot_be(answer: Path, tmp_path: Path, part: str, change: dict[str, Any], said: str) -> None:
    done = run("kitsune", "--from", changed(answer, tmp_path, part, **change))
    assert done.code == 2 and said in done.err


# the study


def test_study_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reproduce_kitsune.reproduce(load())
    monkeypatch.setattr(reproduce_kitsune, "reproduce", lambda _: found)  # once for both
    done, told = run("reproduce", "kitsune", "--json"), run("reproduce", "kitsune")
    jsonschema.validate(done.json, reproduce_kitsune.KitsuneReproduction.model_json_schema(by_alias=True))
    assert (done.code, told.code) == (0, 0)
    text = plain(told.out)
    for cell in done.json["cells"]:
        places = 2 if "cut" in cell["what"] else 0
        ours = f"{cell['ours']:.{places}f}"
        assert (f"{ours}*" if cell["study"] is None else f"{cell['study']:.{places}f} / {ours}") in text
    for check in done.json["checks"]:
        assert check["name"] in text
    assert text.count(" hit ") == sum(check["hit"] for check in done.json["checks"])
    assert text.count(" miss ") == sum(not check["hit"] for check in done.json["checks"])
    assert done.json["discrepancy"].split(";")[0] in text


def test_one_number_is_swept_at_a_time() -> None:
    done = known("kitsune", MLP, "--sweep", "sms=54..108", "--sweep", "l2_bandwidth=1x..2x")
    assert (done.code, done.out) == (2, "") and "--sweep: sms=54..108 and l2_bandwidth=1x..2x" in done.err
