"""Bad input ends with exit code 2, one message that says what is wrong and what is allowed, and nothing written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.command import entry, known, put, run

# arguments of `codesign best`, and what the message must name: option, value, what is allowed
OPTIONS = [
    (["--model", "llama-3.1-405"], ["--model", "'llama-3.1-405'", "llama-3.1-405b"]),
    (["--model", "none"], ["--model", "required"]),
    (["--budget", "5 kW"], ["--budget", "'5 kW'", "dollars", "$3M"]),
    (["--budget=-$3M"], ["--budget", "'-$3M'"]),
    (["--budget=-3M"], ["--budget", "'-3M'", "greater than 0"]),
    (["--budget", "0"], ["--budget", "'0'", "greater than 0"]),
    (["--budget", "nan"], ["--budget", "'nan'", "$3M"]),
    (["--budget", "inf"], ["--budget", "'inf'", "$3M"]),
    (["--budget", "1e999"], ["--budget", "'1e999'", "not finite"]),
    (["--budget", "1,5M"], ["--budget", "'1,5M'", "$3M"]),
    (["--budget", ""], ["--budget", "''", "$3M"]),
    (["--budget", "$900/day"], ["--budget", "'USD/day'", "$3M"]),
    (["--budget", "900 kW/h"], ["--budget", "'kW/h'", "$900/h"]),
    (["--power", "$3"], ["--power", "'$3'", "kW"]),
    (["--power", "150"], ["--power", "'150'", "no unit", "kW"]),
    (["--user-speed", "30 ms"], ["--user-speed", "'30 ms'", "tokens/s"]),
    (["--time-limit", "30"], ["--time-limit", "'30'", "no unit", "ms"]),
    (["--context", "8 GB"], ["--context", "'8 GB'", "8192 tokens"]),
    (["--context", "0"], ["--context", "'0'", "greater than or equal to 1"]),
    (["--chips", "0"], ["--chips", "'0'", "greater than or equal to 1"]),
    (["--chips", "1.5"], ["--chips", "1.5", "integer"]),
    (["--racks", "many"], ["--racks", "'many'", "plain number"]),
    (["--replicas=-1"], ["--replicas", "'-1'", "greater than or equal to 1"]),
    (["--tensor", "0"], ["--tensor", "'0'"]),
    (["--users", "0"], ["--users", "'0'"]),
    (["--available-by", "24"], ["--available-by", "'24'", "2000"]),
    (["--spare-servers=-1"], ["--spare-servers", "'-1'", "greater than or equal to 0"]),
    (["--spare-servers", "true"], ["--spare-servers", "'true'", "integer"]),
    (["--precision", "fp9"], ["--precision =", "'fp9'", "'bf16', 'fp8', 'int8', 'fp4' or 'native'"]),
    (["--precision", ""], ["--precision", "''", "one or more"]),
    (["--kv-precision", "fp9"], ["--kv-precision", "'fp9'", "'fp4'"]),
    (["--memory", "hbm5"], ["--memory", "'hbm5'", "hbm4"]),
    (["--memory", ","], ["--memory", "','", "one or more"]),
    (["--no-memory", "dram"], ["--no-memory", "'dram'", "3d-dram"]),
    (["--chip", "h100"], ["--chip", "'h100'", "h100-nvl"]),
    (["--no-chip", "zzz"], ["--no-chip", "'zzz'", "h100-sxm"]),
    (["--vendor", "Nvidia"], ["--vendor", "'Nvidia'", "NVIDIA"]),
    (["--no-vendor", "zzz"], ["--no-vendor", "'zzz'", "AMD"]),
    (["--hardware", "both"], ["--hardware", "'both'", "'catalogue'"]),
    (["--maximize", "fun"], ["--maximize", "'fun'", "'throughput'"]),
    (["--dollars", "euro"], ["--dollars", "'euro'", "'per-hour'"]),
    (["--basis", "lease"], ["--basis", "'lease'", "'rent'"]),
    (["--price-basis", "list"], ["--price-basis", "'list'", "'sold'"]),
    (["--basis", "rent"], ["limits.budget", "'rent'", "--budget '$900/h'"]),
    (["--basis", "rent", "--budget", "$900/h"], ["dollars = 'capital'", "'rent'", "'per-hour'"]),
    (["--cost", "pue"], ["--cost", "'pue'", "KEY=VALUE"]),
    (["--cost", "pue="], ["--cost", "'pue='", "KEY=VALUE"]),
    (["--cost", "=1"], ["--cost", "'=1'", "KEY=VALUE"]),
    (["--cost", "pue=high"], ["pue", "'high'", "plain number"]),
    (["--cost", "pue=0.9"], ["pue", "'0.9'", "at least 1"]),
    (["--cost", "utilisation=2"], ["utilisation", "'2'", "at most 1"]),
    (["--cost", "load=-1"], ["load", "'-1'", "positive"]),
    (["--cost", "colour=1"], ["colour", "unknown key", "utilisation"]),
    (["--cost", "electricity=3"], ["electricity", "'3'", "USD/kWh"]),
    (["--mode", "ideal"], ["--mode", "'ideal'", "'limit' or 'achieved'"]),
    (["--mode", "limit", "--engine", "vllm"], ["engine", "mode achieved only"]),
    (["--mode", "limit", "--ttft", "1 s"], ["ttft", "mode achieved only"]),
    (["--input", "0"], ["--input", "'0'", "greater than or equal to 1"]),
    (["--input", "8k"], ["--input", "8192", "must leave tokens of context = 8192"]),
    (["--output", "many"], ["--output", "'many'", "tokens"]),
    (["--ttft", "fast"], ["--ttft", "'fast'", "s"]),
    (["--ttft", "1 s", "--phases", "decode"], ["--ttft", "'decode'", "aggregated"]),
    (["--engine", "llamacpp"], ["--engine", "'llamacpp'", "'sglang'"]),
    (["--phases", "both"], ["--phases", "'both'", "'disaggregated'"]),
    (["--prior", "some"], ["--prior", "'some'", "'family'"]),
    (["--draft", "2", "--acceptance", "4"], ["acceptance = 4", "2 drafted tokens", "at most 3"]),
    (["--acceptance", "0.5"], ["--acceptance", "'0.5'", "greater than or equal to 1"]),
    (["--chunk", "0"], ["--chunk", "'0'", "greater than or equal to 1"]),
    (["--assume", "price"], ["--assume", "'price'", "KEY=VALUE"]),
    (["--assume", "chips.h100-sxm.price="], ["--assume", "KEY=VALUE"]),
    (["--assume", "cars.h100-sxm.price=1"], ["'cars'", "chips"]),
    (["--assume", "chips.h100.price=1"], ["'h100'", "h100-nvl"]),
    (["--assume", "chips.h100-sxm=1"], ["'chips.h100-sxm'", "KIND.NAME.KEY"]),
    (["--assume", "chips.h100-sxm.colour=1"], ["colour", "unknown key", "price"]),
    (["--assume", "chips.h100-sxm.peak.fp9=1"], ["peak.fp9", "unknown key", "fp8"]),
    (["--assume", "chips.h100-sxm.price=5 kW"], ["price", "'5 kW'", "dollars"]),
    (["--assume", "chips.h100-sxm.price=-5"], ["price", "'-5'", "positive"]),
    (["--assume", "chips.h100-sxm.vendor=AMD"], ["chips.h100-sxm.vendor", "'NVIDIA'", "only numbers"]),
    (["--assume", "chips.h100-sxm.vendor.x=1"], ["vendor = 'NVIDIA'", "is a name"]),
    (["--assume", "chips.xpu-hbm4.server.price=1"], ["servers.xpu-server.price"]),
    (["--assume", "links.nvlink4.limit.9.latency=1 us"], ["'9'", "0 .. 1"]),
    (["--assume", "chips.h100-sxm.stacks=1.5"], ["stacks", "'1.5'", "whole number"]),
    (["--assume", "dies.gh100.margin=120%"], ["margin", "'120%'", "at most 0.99"]),
    (["--assume", "dies.gh100.die_area=1 m2"], ["gh100.toml", "less than one die"]),
    (["--assume", "models.llama-3.1-405b.layers=true"], ["layers", "True", "not allowed"]),
    (["--assume", "models.llama-3.1-405b.layers=-1"], ["layers", "-1", "greater than 0"]),
    (["--maximize", "throughput", "--budget", "none", "--power", "none"], ["limits.budget", "limits.chips"]),
    (["--maximize", "cost"], ["limits.users", "missing"]),
    (["--catalog", "nowhere"], ["--catalog nowhere", "no such folder"]),
    (["nowhere.toml"], ["nowhere.toml", "no such file"]),
    (["."], [".", "directory"]),
]


@pytest.mark.parametrize(("args", "said"), OPTIONS, ids=[" ".join(args) for args, _ in OPTIONS])
def test_bad_option(args: list[str], said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("best", *args, "--export", "out")
    assert done.code == 2, done.out
    assert one_message(done.err)
    assert [word for word in said if word not in done.err] == [], done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def one_message(err: str) -> bool:
    """One error of one line, and no traceback."""
    return err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err


MINIMAL = 'schema = 1\nmodel = "llama-3.1-8b"\ncontext = "8k"\n'
QUERIES = [
    ("[limits]\nbudget = 3", ["model", "context", "required"]),
    (MINIMAL + "colour = 1", ["colour", "unknown key", "maximize"]),
    (MINIMAL + "[limits]\nmoney = 3", ["limits.money", "unknown key", "budget"]),
    (MINIMAL + "[allow]\nmemory = []", ["allow.memory", "unknown key", "memories"]),
    (MINIMAL + "context = 1", ["not readable as TOML"]),
    (MINIMAL + "[limits\n", ["not readable as TOML", "line 4"]),
    (MINIMAL.replace("1", "2", 1), ["schema = 2", "1"]),
    (MINIMAL + "spare_servers = true", ["spare_servers = True", "not allowed"]),
    (MINIMAL + "[limits]\nchips = true", ["limits.chips = True", "not allowed"]),
    (MINIMAL + "[limits]\nbudget = true", ["limits.budget = True", "not allowed"]),
    (MINIMAL + "[limits]\nbudget = nan", ["limits.budget = nan", "not finite"]),
    (MINIMAL + "[limits]\nbudget = inf", ["limits.budget = inf", "not finite"]),
    (MINIMAL + "[limits]\nbudget = -1", ["limits.budget = -1", "greater than 0"]),
    (MINIMAL + '[limits]\nbudget = "5 kW"', ["limits.budget = '5 kW'", "$3M"]),
    (MINIMAL + "[limits]\npower = 150", ["limits.power = 150", "no unit", "kW"]),
    (MINIMAL + "limits = 3", ["limits = 3", "dictionary"]),
    (MINIMAL + "precision = []", ["precision", "at least 1"]),
    (MINIMAL + "precision = [8]", ["precision.0 = 8", "'fp8'"]),
    (MINIMAL + "[cost]\npue = true", ["cost.pue = True", "quantity"]),
    (MINIMAL + "[cost]\npue = [1]", ["cost.pue", "quantity"]),
    (MINIMAL + "[assume]\nchips = {}", ["assume.chips", "quantity"]),
    (MINIMAL + "model = 8", ["TOML"]),
    (MINIMAL + 'mode = "measured"', ["mode = 'measured'", "'limit'"]),
    ('schema = 1\nmodel = 8\ncontext = "8k"\n', ["model = 8", "string"]),
    ('schema = 1\nmodel = "llama-9"\ncontext = "8k"\n', ["'llama-9'", "llama-3.1-8b"]),
    (b"\xff\xfe", ["cannot be read"]),
]


@pytest.mark.parametrize(("text", "said"), QUERIES, ids=[str(text)[-40:] for text, _ in QUERIES])
def test_bad_query_file(text: str | bytes, said: list[str], tmp_path: Path) -> None:
    query = tmp_path / "query.toml"
    query.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = run("best", query, "--export", tmp_path / "out")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert [word for word in said if word not in done.err] == [], done.err
    if "llama-9" not in str(text):
        assert str(query) in done.err
    assert not (tmp_path / "out").exists()


def test_table_in_place_of_a_limit_that_an_option_sets(tmp_path: Path) -> None:
    (tmp_path / "query.toml").write_text(MINIMAL + "limits = 3", encoding="utf-8")
    done = run("best", tmp_path / "query.toml", "--power", "1 kW")
    assert done.code == 2
    assert "limits = 3: expected a table [limits]" in done.err


PRICE = 'price = { value = "26000 USD", source = "epoch_nvidia", date = "2026-04-22"'
POWER = 'power = { value = "700 W", source = "aiconfigurator", date = "2026-08-21", confidence = "vendor" }'


def h100(old: str, new: str) -> dict[str, str]:
    return {"chips/h100-sxm.toml": entry("chips", "h100-sxm", (old, new))}


FILES: list[tuple[dict[str, str], list[str]]] = [
    (h100(POWER, 'power = "700 W"'), ["chips/h100-sxm.toml", "power", "'700 W'", "has no source", "source ="]),
    (h100(POWER, 'power = { value = "700 W", date = "2026", confidence = "vendor" }'), ["power.source", "required"]),
    (h100(POWER, POWER.replace("aiconfigurator", "")), ["power.source", "at least 1 character"]),
    (h100(POWER, POWER.replace("aiconfigurator", "my-cousin")), ["power", "'my-cousin'", "sources.toml"]),
    (h100(POWER, POWER.replace('"vendor"', '"sure"')), ["power.confidence", "'sure'", "'measured'"]),
    (h100(POWER, POWER.replace("2026-08-21", "yesterday")), ["power.date", "'yesterday'"]),
    (h100(POWER, POWER.replace('"2026-08-21"', "2026-08-21")), ["power.date", "string"]),
    (h100(POWER, POWER.replace("700 W", "700 GB")), ["power", "'700 GB'", "kW"]),
    (h100(POWER, POWER.replace('"700 W"', "700")), ["power", "700", "no unit", "kW"]),
    (h100(POWER, POWER.replace('"700 W"', "true")), ["power.value", "True", "not allowed"]),
    (h100(POWER, POWER.replace('"700 W"', "inf")), ["power", "inf", "not finite"]),
    (h100(POWER, POWER.replace('"700 W"', "nan")), ["power", "nan", "not finite"]),
    (h100(POWER, POWER.replace('"700 W"', '"-700 W"')), ["power", "'-700 W'", "positive"]),
    (h100(POWER, POWER.replace('"700 W"', '"0 W"')), ["power", "'0 W'", "positive"]),
    (h100(POWER, POWER.replace(" }", ', low = "800 W" }')), ["power", "'700 W'", "low .. high"]),
    (h100(POWER, POWER.replace("power", "powr")), ["powr", "unknown key", "power"]),
    (h100(POWER, POWER.replace(" }", ", page = 3 }")), ["power.page = 3", "unknown key", "source, date"]),
    (h100(POWER, "power = [1]"), ["power", "[1]", "has no source"]),
    (h100('name = "h100-sxm"', 'name = "h100"'), ["'h100'", "file's name", "'h100-sxm'"]),
    (h100('name = "h100-sxm"\n', ""), ["name", "required"]),
    (h100("schema = 1", "schema = 2"), ["schema = 2", "1"]),
    (h100('status = "shipping"', 'status = "soon"'), ["status", "'soon'", "'announced'"]),
    (h100('memory = "hbm3"', 'memory = "hbm5"'), ["memory", "'hbm5'", "hbm4"]),
    (h100('scale_up = "nvlink4"', 'scale_up = "nvlink9"'), ["connections.scale_up", "'nvlink9'", "nvlink4"]),
    (h100('server = "hgx-hopper"', 'server = "hgx"'), ["server", "'hgx'", "did you mean hgx-"]),
    (h100("[peak]", "[peak"), ["chips/h100-sxm.toml", "TOML"]),
    ({"sources.toml": '[mine]\ntitle = "Mine"\nurl = "here"\n'}, ["sources.toml: [mine]", "read", "required"]),
    ({"sources.toml": "mine = 3\n"}, ["sources.toml: [mine]", "dictionary"]),
    ({"sources.toml": "[mine"}, ["sources.toml", "TOML"]),
    (
        {"links/nvlink4.toml": entry("links", "nvlink4").replace("group = 8", "group = 200", 1)},
        ["links/nvlink4.toml", "[200, 128]", "rise"],
    ),
    (
        {"links/nvlink4.toml": entry("links", "nvlink4").replace("group = 8", "group = true", 1)},
        ["limit.0.group", "True"],
    ),
    ({"chip/mine.toml": ""}, ["'chip'", "must be called 'chips'"]),
    ({"readme.md": ""}, ["holds no catalogue", "chips"]),
    ({"chips/mine.toml/x": ""}, ["chips/mine.toml", "cannot be read"]),
]


@pytest.mark.parametrize(("files", "said"), FILES, ids=[" ".join(said[:3]) for _, said in FILES])
def test_bad_catalogue_file(files: dict[str, str], said: list[str], tmp_path: Path) -> None:
    own = put(tmp_path / "own", files)
    done = run("catalog", "check", "--catalog", own)
    assert done.code == 2
    assert one_message(done.err), done.err
    assert [word for word in [str(own), *said] if word not in done.err] == [], done.err


def test_bad_catalogue_stops_the_query(tmp_path: Path) -> None:
    own = put(tmp_path / "own", h100(POWER, POWER.replace("700 W", "700 GB")))
    done = run("best", "--catalog", own, "--export", tmp_path / "out")
    assert done.code == 2
    assert one_message(done.err)
    assert not (tmp_path / "out").exists()


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    l40s = entry("chips", "l40s", ('memory = "gddr6"', 'memory = "gddr6"\ncolour = 1'))
    own = put(tmp_path, {**h100(POWER, 'power = "700 W"\ncolour = 1'), "chips/l40s.toml": l40s})
    err = run("catalog", "check", "--catalog", own).err
    assert [err.count(word) for word in ("has no source", "colour", "l40s.toml")] == [1, 2, 1]


def test_bad_input_leaves_an_existing_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text("mine", encoding="utf-8")
    assert run("best", "--budget", "5 kW", "--export", tmp_path).code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("answer.json", "mine")]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["best", "--bogus"], "--bogus"),
        (["best", "a.toml", "b.toml"], "b.toml"),
        (["schema", "question"], "answer"),
        (["catalog", "list", "cars"], "'cars'"),
        (["catalog", "show", "chips", "h100"], "h100-sxm"),
        (["catalog", "show"], "kind"),
        (["verify"], "ANSWER"),
        (["wurst"], "wurst"),
    ],
)
def test_bad_call(args: list[str], said: str) -> None:
    done = known(*args)
    assert done.code == 2
    assert said in re.sub(r"\s+", " ", done.err)


def test_from_a_shell(tmp_path: Path) -> None:
    """The same through a process: message on standard error, nothing on standard output."""
    call = [sys.executable, "-m", "codesign", "best", "--budget", "5 kW", "--export", str(tmp_path / "out")]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, one_message(done.stderr)) == (2, "", True)
    assert not (tmp_path / "out").exists()


# an option is never ignored, and a model never asked for more than it takes

LLAMA = ("--model", "llama-3.1-8b", "--chip", "h100-sxm")
PREDICTED = ("predict", *LLAMA, "--tensor", "1")
REFUSED = [
    (("best", *LLAMA, "--release", "vllm 99"), ["release", "'vllm 99'", "vllm 0.12.0, vllm 0.15.1"]),
    (("best", *LLAMA, "--release", "vllm0.12.0"), ["release", "'vllm0.12.0'", "vllm 0.12.0"]),
    (("best", *LLAMA, "--engine", "sglang", "--release", "vllm 0.12.0"), ["release of sglang", "sglang 0.5.9"]),
    (("best", *LLAMA, "--mode", "limit", "--release", "vllm 0.12.0"), ["release", "mode achieved only"]),
    (("best", *LLAMA, "--mode", "limit", "--draft", "2"), ["draft", "mode achieved only"]),
    (("best", *LLAMA, "--mode", "limit", "--input", "1k"), ["input", "give both"]),
    (("best", *LLAMA, "--mode", "limit", "--output", "1k"), ["output", "give both"]),
    (("best", *LLAMA, "--phases", "decode", "--chunk", "2k"), ["chunk", "'decode'", "aggregated"]),
    (("best", *LLAMA, "--context", "201000"), ["201,000 tokens", "llama-3.1-8b", "131,072"]),
    (("best", *LLAMA, "--mode", "limit", "--context", "131073"), ["131,073 tokens", "131,072"]),
    (("best", "--model", "gemma-3-27b", "--context", "10M"), ["10,000,000 tokens", "gemma-3-27b", "131,072"]),
    (("why-not", "--model", "gemma-3-27b", "--context", "10M", "--chip", "l4"), ["10,000,000 tokens", "131,072"]),
    (("switch", *LLAMA, "--context", "10M", "--parameter", "limits.budget"), ["10,000,000 tokens", "131,072"]),
    ((*PREDICTED, "--release", "vllm 99"), ["--release", "'vllm 99'", "vllm 0.12.0"]),
    ((*PREDICTED, "--engine", "sglang", "--release", "vllm 0.12.0"), ["release of sglang", "sglang 0.5.9"]),
    ((*PREDICTED, "--mode", "limit", "--engine", "vllm"), ["--engine", "mode achieved only"]),
    ((*PREDICTED, "--mode", "limit", "--release", "vllm 0.12.0"), ["--release", "mode achieved only"]),
    ((*PREDICTED, "--mode", "limit", "--chunk", "2k"), ["--chunk", "mode achieved only"]),
    ((*PREDICTED, "--input", "200k"), ["--input", "205,824 tokens", "131,072"]),
    ((*PREDICTED, "--input", "130k", "--mode", "limit"), ["134,144 tokens", "131,072"]),
    ((*PREDICTED, "--input", "1e30"), ["--input", "'1e30'", "1e+09"]),
    ((*PREDICTED, "--users", "nan"), ["--users", "'nan'"]),
    ((*PREDICTED, "--users", "0.5"), ["--users", "'0.5'", "at least 1"]),
    ((*PREDICTED, "--chunk", "many"), ["--chunk", "'many'", "8192 tokens"]),
    (("kitsune", "dlrm", "--gpu-set", "sms=1e9"), ["sms", "'1e9'", "at most"]),
    (("kitsune", "dlrm", "--gpu-set", "sms=5000"), ["sms = 5,000", "4,096"]),
    (("kitsune", "dlrm", "--gpu-set", "l2_bandwidth=1e300x"), ["l2_bandwidth", "at most"]),
    (("kitsune", "dlrm", "--gpu-set", "l2_bandwidth=1e9x"), ["l2_bandwidth", "PB/s", "at most"]),
    (("kitsune", "dlrm", "--set", "batch=1e12"), ["batch", "10,000,000"]),
    (("best", "--spare-servers", str(10**29)), ["--spare-servers", "1000000"]),
    (("best", "--assume", f"models.llama-3.1-405b.layers={10**22}"), ["layers", "1000"]),
    (("best", "--assume", f"models.llama-3.1-405b.hidden={10**22}"), ["hidden", "10000000"]),
    (("robust", *LLAMA, "--scenarios", str(10**11)), ["--scenarios", "100,000"]),
]  # fmt: skip


@pytest.mark.parametrize(("args", "said"), REFUSED, ids=[" ".join(args) for args, _ in REFUSED])
def test_refused(args: tuple[str, ...], said: list[str]) -> None:
    done = known(*args)
    assert (done.code, done.out) == (2, ""), done.out
    assert one_message(done.err) and [word for word in said if word not in done.err] == [], done.err


def test_a_fleet_of_an_unknown_release_is_refused() -> None:
    done = known("fleet", "--set", "release=vllm 99")
    assert done.code == 2 and "release = 'vllm 99'" in done.err and "vllm 0.12.0" in done.err


def test_the_longest_context_is_answered_and_another_can_be_assumed() -> None:
    asked = ("best", *LLAMA, "--mode", "limit", "--context")
    assert known(*asked, "131072").code == 0
    longer = ("--assume", "models.llama-3.1-8b.context=131073")
    assert (known(*asked, "131073", *longer).code, known(*asked, "131074", *longer).code) == (0, 2)


def test_the_first_line_says_engine_release_and_lengths() -> None:
    asked = ("best", *LLAMA, "--engine", "vllm", "--input", "4k", "--output", "1k")
    text = " ".join(known(*asked, "--release", "vllm 0.12.0").out.split())
    assert text.startswith("Asked: mode achieved, vllm 0.12.0, llama-3.1-8b in fp8, 5,120 tokens of context, 4,096 in, "
                           "1,024 out, maximise")  # fmt: skip
    assert known(*asked).out.startswith("Asked: mode achieved, vllm, llama-3.1-8b")
    assert known("best", *LLAMA, "--mode", "limit").out.startswith("Asked: mode limit, llama-3.1-8b in fp8, 8,192")


def test_predict_reads_quantities_as_best_does() -> None:
    written = known(*PREDICTED, "--json", "--input", "8k", "--output", "1k", "--users", "1_0", "--chunk", "2k").json
    plain = known(*PREDICTED, "--json", "--input", "8192", "--output", "1024", "--users", "10", "--chunk", "2048").json
    assert written == plain and (plain["prompt"], plain["output"], plain["users"]) == (8192, 1024, 10)
