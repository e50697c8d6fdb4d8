"""The command line end to end: exit codes, options over files, the JSON and the text of one answer.

The golden answer of the built-in query is renewed by
    CODESIGN_RENEW=1 .venv/bin/python -m pytest tests/codesign/cli/test_main.py -k golden
"""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from codesign.cli.documents import CLASSES
from codesign.facts.units import si
from tests.cases.command import best, known, put, run

GOLDEN = Path(__file__).parents[2] / "golden" / "best.json"
H100 = ("--mode", "limit", "--chip", "h100-sxm")
LARGE = (*H100, "--budget", "$30M", "--power", "2 MW")


# exit codes


def test_answered() -> None:
    done = known("best")
    assert (done.code, done.err) == (0, "")
    assert best()["status"] == "optimal"
    assert best()["proof"]["gap"] <= 1e-6


def test_answered_from_a_shell() -> None:
    """`make best` is this call; the JSON is the same but for seconds."""
    call = [sys.executable, "-m", "codesign", "best", "--json"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert timeless(json.loads(done.stdout)) == timeless(best())


def timeless(answer: Any) -> Any:
    """The answer without what differs between two runs of the same query."""
    return {**answer, "proof": {**answer["proof"], "seconds": None}} if answer["proof"] else answer


# options that are infeasible, and the option that the cure's value goes to
CURES = [
    (("--budget", "$1k"), "--budget", "limits.budget", "USD"),
    (("--budget", "$1/h"), "--budget", "limits.hourly", "USD/h"),
    (("--power", "1 kW"), "--power", "limits.power", "W"),
    ((*H100, "--users", "100k"), "--users", "limits.users", ""),
    ((*H100, "--user-speed", "100k"), "--user-speed", "limits.user_speed", "tokens/s"),
    ((*H100, "--chips", "7"), "--chips", "limits.chips", ""),
    ((*LARGE, "--replicas", "1", "--users", "5000"), "--replicas", "limits.replicas", ""),
    ((*H100, "--tensor", "1", "--user-speed", "40"), "--tensor", "limits.tensor", ""),
    ((*H100, "--users", "200", "--context", "128k"), "--context", "context", ""),
]


@pytest.mark.parametrize(("args", "option", "limit", "unit"), CURES, ids=[limit for _, _, limit, _ in CURES])
def test_infeasible_names_the_limit_and_what_works(args: tuple[str, ...], option: str, limit: str, unit: str) -> None:
    done = known("best", *args)
    assert done.code == 5
    assert "Infeasible" in done.out
    answer = best(*args)
    assert (answer["status"], answer["system"], answer["proof"]) == ("infeasible", None, None)
    (cure,) = [cure for cure in answer["cures"] if cure["limit"] == limit]
    assert option in cure["asked"]
    assert f"{cure['asked']}: {cure['works']} would work" in re.sub(r"\s+", " ", done.out)
    assert option in answer["in_the_way"]
    shown = cure["works"].removeprefix("at least ").removeprefix("at most ")
    assert nearly(si(shown, unit or units(limit)), cure["value"])
    at_least = cure["works"].startswith("at least")
    step = 1.0 if unit == "" else cure["value"] * 1e-6
    over, under = cure["value"], cure["value"] - step if at_least else cure["value"] + step
    assert known("best", *args, option, f"{over!r} {unit}".strip() if unit else f"{over:.0f}").code == 0
    if under >= 1 or unit:  # 0 of anything is bad input
        assert known("best", *args, option, f"{under!r} {unit}".strip() if unit else f"{under:.0f}").code == 5


def units(limit: str) -> str:
    return "tokens" if limit == "context" else "1"


def nearly(shown: float, value: float) -> bool:
    return math.isclose(shown, value, rel_tol=5e-3)


def test_no_chip_left_is_infeasible() -> None:
    done = known("best", *H100, "--no-chip", "h100-sxm")
    assert done.code == 5
    assert "no chip is allowed" in done.out


# its bound is not met by those of the columns, which are known before the program starts
LATE = ("--maximize", "cost", "--users", "1000", "--budget", "none", "--time-limit", "1 us")


@pytest.mark.parametrize("more", [(), ("--no-removal",)])
def test_too_little_time_shows_the_best_found_and_its_bound(more: tuple[str, ...]) -> None:
    """No program is proven in a microsecond; the best found is known before it starts."""
    done = known("best", *LATE, *more)
    assert done.code == 3
    assert "not proven in the time given" in re.sub(r"\s+", " ", done.out)
    answer = best(*LATE, *more)
    assert (answer["status"], answer["proof"]["method"], answer["proof"]["enumerated"]) == ("feasible", "none", None)
    assert answer["proof"]["value"] == best(*LATE[:-2])["proof"]["value"]
    assert answer["proof"]["bound"] <= answer["proof"]["value"] * (1 + 1e-9)
    shown = re.sub(r"\s+", " ", done.out)
    assert f"proven bound {answer['proof']['bound']:.9g}" in shown
    assert "proven by nothing in the time given; not enumerated (not in the time given)" in shown



def test_enough_time_is_optimal() -> None:
    assert known("best", "--time-limit", "10 min").code == 0


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("codesign.facts.catalog.load", interrupted)
    done = run("best")
    assert (done.code, done.out) == (130, "")
    assert "interrupted" in done.err
    assert "Traceback" not in done.err


# a query file and options over it

FILE = """
schema = 1
model = "llama-3.1-70b"
context = "4k"
[limits]
budget = "$1M"
power = "50 kW"
chips = 64
[allow]
chips = ["h100-sxm", "h200-sxm"]
[cost]
pue = 1.4
"""


@pytest.fixture
def query(tmp_path: Path) -> str:
    (tmp_path / "query.toml").write_text(FILE, encoding="utf-8")
    return str(tmp_path / "query.toml")


def asked(query: str, *args: str) -> Any:
    done = run("best", query, "--json", *args)
    assert done.code == 0, done.err
    return done.json["query"]


def test_a_file_alone(query: str) -> None:
    got = asked(query)
    assert (got["model"], got["context"]) == ("llama-3.1-70b", 4096)
    assert got["limits"] == {"budget": "1000000.0 USD", "power": "50000.0 W", "chips": 64}
    assert got["allow"]["chips"] == ["h100-sxm", "h200-sxm"]
    assert got["cost"] == {"pue": 1.4}


def test_options_override_the_file(query: str) -> None:
    got = asked(
        query, "--model", "llama-3.1-8b", "--context", "2k", "--budget", "$2M", "--chips", "32", "--chip", "mi300x",
        "--cost", "load=0.8", "--cost", "pue=1.2",
    )  # fmt: skip
    assert (got["model"], got["context"]) == ("llama-3.1-8b", 2048)
    assert got["limits"] == {"budget": "2000000.0 USD", "power": "50000.0 W", "chips": 32}
    assert got["allow"]["chips"] == ["mi300x"]
    assert got["cost"] == {"pue": "1.2", "load": "0.8"}


def test_none_lifts_a_limit_of_the_file(query: str) -> None:
    assert asked(query, "--power", "none", "--chips", "none")["limits"] == {"budget": "1000000.0 USD"}
    assert asked(query, "--chip", "none")["allow"]["chips"] == []
    assert asked(query, "--budget", "none")["limits"] == {"power": "50000.0 W", "chips": 64}


def test_a_budget_by_the_hour_takes_the_place_of_capital(query: str) -> None:
    assert asked(query, "--budget", "$100/h")["limits"]["hourly"] == "100.0 USD/h"
    assert "budget" not in asked(query, "--budget", "$100/h")["limits"]


OPTIONS = [
    (("--model", "llama-3.1-8b"), "model", "llama-3.1-8b"),
    (("--budget", "3M"), "limits.budget", "3000000.0 USD"),
    (("--budget", "$900/h"), "limits.hourly", "900.0 USD/h"),
    (("--power", "0.2 MW"), "limits.power", "200000.0 W"),
    (("--chips", "1_000"), "limits.chips", 1000),
    (("--racks", "3"), "limits.racks", 3),
    (("--replicas", "2"), "limits.replicas", 2),
    (("--tensor", "4"), "limits.tensor", 4),
    (("--user-speed", "25 tok/s"), "limits.user_speed", "25.0 tokens/s"),
    (("--users", "1,000"), "limits.users", 1000),
    (("--context", "32k"), "context", 32768),
    (("--precision", "fp8, bf16,fp8"), "precision", ["fp8", "bf16"]),
    (("--kv-precision", "bf16"), "kv_precision", "bf16"),
    (("--memory", "hbm3e,hbm4"), "allow.memories", ["hbm3e", "hbm4"]),
    (("--no-memory", "hbm4"), "forbid.memories", ["hbm4"]),
    (("--chip", "gb100"), "allow.chips", ["gb100"]),
    (("--no-chip", "gb100"), "forbid.chips", ["gb100"]),
    (("--vendor", "AMD"), "allow.vendors", ["AMD"]),
    (("--no-vendor", "NVIDIA"), "forbid.vendors", ["NVIDIA"]),
    (("--available-by", "2024"), "available_by", 2024),
    (("--hardware", "catalogue"), "hardware", "catalogue"),
    (("--maximize", "throughput"), "maximize", "throughput"),
    (("--dollars", "per-hour"), "dollars", "per-hour"),
    (("--basis", "rent", "--budget", "$900/h", "--dollars", "per-hour"), "basis", "rent"),
    (("--price-basis", "cost"), "price_basis", "cost"),
    (("--spare-servers", "1"), "spare_servers", 1),
    (("--time-limit", "10 min"), "time_limit", "600.0 s"),
    (("--mode", "achieved"), "mode", "achieved"),
    (("--input", "4k", "--chip", "b200-sxm"), "serving.input", 4096),
    (("--output", "100", "--chip", "b200-sxm"), "serving.output", 100),
    (("--ttft", "5 s"), "limits.ttft", "5.0 s"),
    (("--engine", "trtllm"), "serving.engine", "trtllm"),
    (("--release", "vllm 0.12.0", "--chip", "b200-sxm"), "serving.release", "vllm 0.12.0"),
    (("--phases", "decode"), "serving.phases", "decode"),
    (("--prior", "family"), "serving.prior", "family"),
    (("--draft", "3", "--acceptance", "2.5"), "serving.acceptance", 2.5),
    (("--chunk", "2k"), "serving.chunk", 2048),
    (("--cost", "pue=1.3"), "cost.pue", "1.3"),
    (("--assume", "chips.h100-sxm.price=20k$"), "assume", {"chips.h100-sxm.price": "20k$"}),
]


@pytest.mark.parametrize(("args", "key", "value"), OPTIONS, ids=[args[0] for args, _, _ in OPTIONS])
def test_every_option_reaches_the_query(args: tuple[str, ...], key: str, value: Any) -> None:
    few = () if "--chip" in args else ("--chip", "b200-sxm")  # whether there is an answer does not matter here
    spot = best(*args, *few)["query"]
    for part in key.split("."):
        spot = spot[part]
    assert spot == value


def test_every_option_is_tested() -> None:
    """Each option of `best --help` is in a table of this file, or of the exports' tests."""
    help_text = run("best", "--help").out
    offered = set(re.findall(r"--[a-z-]+", help_text)) - {"--help"}
    here = {word for args, _, _ in OPTIONS for word in args if word.startswith("--")}
    assert offered - here == {"--catalog", "--export", "--json", "--no-removal"}


def test_allowed_and_forbidden() -> None:
    assert best("--vendor", "AMD")["system"]["vendor"] == "AMD"
    assert best("--no-memory", "hbm4")["system"]["memory_family"] != "hbm4"
    assert best("--hardware", "catalogue")["system"]["composed"] is False
    assert best("--memory", "hbm3e")["system"]["memory"] in ("hbm3e-8hi", "hbm3e-12hi")
    assert best("--chip", "gb100")["system"]["chip"].startswith("gb100+")


# the document

ANSWERS = {
    "optimal": (),
    "infeasible": ("--budget", "$1k"),
    "feasible": LATE,
}


@pytest.mark.parametrize("status", ANSWERS)
def test_json_is_valid_against_its_schema(status: str) -> None:
    answer = best(*ANSWERS[status])
    assert answer["status"] == status
    schema = known("schema", "answer").json
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", CLASSES)
def test_every_document_has_a_schema(name: str) -> None:
    schema = known("schema", name).json
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "properties" in schema and schema["additionalProperties"] is False


def test_schema_refuses_what_is_no_answer() -> None:
    schema = known("schema", "answer").json
    for change in ({"status": "perhaps"}, {"system": 3}, {"colour": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**best(), **change}, schema)


@pytest.mark.parametrize("args", [
    (), H100, ("--model", "mixtral-8x7b", *H100), ("--maximize", "cost", "--users", "100"),
    ("--maximize", "user-speed"),
    ("--basis", "rent", "--budget", "$500/h", "--dollars", "per-hour"), ("--spare-servers", "1"),
])  # fmt: skip
def test_json_and_text_agree(args: tuple[str, ...]) -> None:
    answer, text = best(*args), re.sub(r"\s+", " ", known("best", *args).out)
    system, performance, money, proof = (answer[part] for part in ("system", "performance", "money", "proof"))
    assert f"{system['chips_bought']} x {system['title']}" in text
    assert f"tensor {system['tensor']} x pipeline {system['pipeline']}, expert {system['expert']}" in text
    assert f"{system['replicas']:,} on {system['servers_bought']} server" in text
    assert f"{performance['users']:,} at once" in text
    assert f"{performance['throughput']:,.0f} tokens/s in total" in text
    assert f"{performance['user_speed']:,.1f} tokens/s a user" in text
    assert f"{proof['value']:.9g} {proof['unit']}, proven bound {proof['bound']:.9g}" in text
    assert f"{proof['considered']:,} layouts considered" in text
    shown = {name: re.search(rf" {name} (\$[\d.,]+[MB]?(/h)?)", text) for name in ("capital", "running")}
    assert shown["running"] is not None
    assert nearly(si(shown["running"][1], "USD/h"), money["hourly_usd"])
    if money["capital_usd"] is None:
        assert "capital none (not bought)" in text
    else:
        assert shown["capital"] is not None
        assert nearly(si(shown["capital"][1], "USD"), money["capital_usd"])
    for limit in answer["limits"]:
        assert f" {limit['name'].replace('_', ' ')} " in text
    for line in answer["unverified"] + answer["assumptions"]:
        assert line in text
    for name in answer["left_out"]:
        assert name in text


def test_text_of_markup_in_a_title(tmp_path: Path) -> None:
    """A title is text, not instructions to the terminal."""
    text = (Path(__file__).parents[3] / "instances/chips/h100-sxm.toml").read_text(encoding="utf-8")
    put(tmp_path, {"chips/h100-sxm.toml": text.replace("NVIDIA H100 SXM", "H100 [bold]:boom:", 1)})
    assert "x H100 [bold]:boom:," in run("best", *H100, "--catalog", tmp_path).out
    assert "H100 [bold]:boom:" in run("catalog", "list", "chips", "--catalog", tmp_path).out


def test_golden_answer() -> None:
    """The built-in query's whole answer, except seconds, versions and hashes."""
    answer = {k: v for k, v in timeless(best()).items() if k not in ("versions", "catalogue", "hashes")}
    if os.environ.get("CODESIGN_RENEW"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    assert list(differences(json.loads(GOLDEN.read_text(encoding="utf-8")), answer, "answer")) == []


def differences(old: Any, new: Any, at: str) -> Any:
    """Paths at which two documents differ, floats by more than 1e-9 of themselves (gaps: 1e-9)."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for key in old:
            yield from differences(old[key], new[key], f"{at}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{at}[{i}]")
    elif isinstance(old, float) and isinstance(new, float):
        if not math.isclose(old, new, rel_tol=1e-9, abs_tol=1e-9 if at.endswith(("gap", "behind")) else 0.0):
            yield f"{at}: {old!r} is now {new!r}"
    elif type(old) is not type(new) or old != new:
        yield f"{at}: {old!r} is now {new!r}"


def test_differences_are_found() -> None:
    old = {"a": [1, 2.0], "b": None}
    assert list(differences(old, {"a": [1, 2.0 + 1e-12], "b": None}, "x")) == []
    for a, b in (([1, 2.1], None), ([1], None), ([1, 2.0], 0), ([True, 2.0], None)):
        assert len(list(differences(old, {"a": a, "b": b}, "x"))) == 1


# the first minute


@pytest.mark.parametrize("args", [["--help"], ["best", "--help"], ["catalog", "list", "--help"]])
def test_help_needs_neither_solvers_nor_numpy(args: list[str]) -> None:
    """Nor pydantic, except that typer itself reads a command's options with it."""
    code = (
        "import sys; from codesign.cli.main import main\n"
        f"sys.argv = {['codesign', *args]!r}\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'numpy', 'pyomo', 'highspy', 'ortools', 'codesign.facts.catalog', 'codesign.system.answer'}\n"
        "heavy &= set(sys.modules)\n"
        "heavy |= {'pydantic'} & set(sys.modules) if len(sys.argv) == 2 else set()\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_help_names_the_questions_arguments() -> None:
    text = run("best", "--help").out
    for word in ("--budget", "--power", "--model", "--export", "QUERY.toml"):
        assert word in text


def test_a_closed_pipe_is_no_traceback() -> None:
    shell = f"{sys.executable} -m codesign catalog show chips | head -n 1"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
