"""`codesign verify`: an answer holds, or what changed and what is wrong with it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.command import INSTANCES, Done, entry, known, line_of, put, run, tampered_rows

FEW = ("--mode", "limit", "--chip", "mi300x,mi325x,h100-sxm", "--user-speed", "none")
CHEAPER = "mi300x"  # the rival that wins at a lower price: mi325x in the same server is chosen


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "out"
    assert run("best", *FEW, "--export", out).code == 0
    return out


@pytest.fixture
def alone(exported: Path, tmp_path: Path) -> Path:
    """A copy of the answer without its candidates."""
    return put(tmp_path, {"answer.json": (exported / "answer.json").read_text(encoding="utf-8")}) / "answer.json"


def saved(folder: Path, *args: str) -> Path:
    """The file of an answer, without candidates."""
    return put(folder, {"answer.json": known("best", "--json", *args).out}) / "answer.json"


def changed(path: Path, change: Callable[[Any], object]) -> Path:
    answer = json.loads(path.read_text(encoding="utf-8"))
    change(answer)
    path.write_text(json.dumps(answer), encoding="utf-8")
    return path


@pytest.mark.parametrize("args", [
    (), FEW, (*FEW, "--budget", "$1k"), (*FEW, "--maximize", "cost", "--users", "200"),
    (*FEW, "--maximize", "user-speed"), ("--mode", "limit", "--chip", "h100-sxm", "--model", "mixtral-8x22b"),
    ("--no-removal", "--time-limit", "1 us"), ("--spare-servers", "1"),
    ("--basis", "rent", "--budget", "$900/h", "--dollars", "per-hour"),
    ("--cost", "pue=1.2", "--assume", "chips.h100-sxm.price=1k$"),
])  # fmt: skip
def test_fresh_answer_holds(args: tuple[str, ...], tmp_path: Path) -> None:
    done = run("verify", saved(tmp_path, *args))
    assert (done.code, done.err) == (0, ""), done.out
    assert done.out.startswith("the answer holds\nnothing in the catalogue behind it has changed\n")


def test_every_candidate_is_checked(exported: Path) -> None:
    with (exported / "candidates.csv").open(encoding="utf-8", newline="") as lines:
        rows = len(list(csv.DictReader(lines)))
    done = run("verify", exported / "answer.json", "--json")
    assert (done.code, done.json["checked_bounds"], done.json["holds"]) == (0, rows, True)
    assert f"{rows:,} bounds checked" in run("verify", exported / "answer.json").out


def test_answer_of_experts_holds_with_its_candidates(tmp_path: Path) -> None:
    """Its program was refined since; candidates are the query's own columns."""
    assert run("best", "--model", "deepseek-v3", "--vendor", "AMD", "--export", tmp_path / "out").code == 0
    done = run("verify", tmp_path / "out" / "answer.json")
    assert done.code == 0, done.out


# the catalogue has changed


def chosen(path: Path) -> str:
    return str(json.loads(path.read_text(encoding="utf-8"))["system"]["chip"])


def own_price(folder: Path, chip: str, written: str) -> Path:
    """One's own catalogue in which `chip` has another price."""
    old = line_of(INSTANCES / "chips" / f"{chip}.toml", "price")
    new = f'price = {{ value = "{written}", source = "mine", date = "2026-11", confidence = "reported" }}'
    source = '[mine]\ntitle = "A quote"\nurl = "paper"\nread = "2026-11"\n'
    return put(folder, {f"chips/{chip}.toml": entry("chips", chip, (old, new)), "sources.toml": source})


def test_a_dearer_chip_is_named_and_the_answer_does_not_hold(alone: Path, tmp_path: Path) -> None:
    chip = chosen(alone)
    done = run("verify", alone, "--catalog", own_price(tmp_path / "own", chip, "30000 USD"))
    assert done.code == 5
    assert "the answer does not hold any more" in done.out
    assert f"changed: chips.{chip}.price: " in done.out
    assert "is now 30000 USD (mine, 2026-11)" in done.out
    assert "fault: objective is " in done.out or "fault: budget = " in done.out


def test_a_chip_beyond_the_budget_breaks_it(alone: Path, tmp_path: Path) -> None:
    done = run("verify", alone, "--catalog", own_price(tmp_path / "own", chosen(alone), "900000 USD"))
    assert_fault(done, "breaks the limit 3000000.0")


def test_a_cheaper_rival_is_a_better_system(alone: Path, tmp_path: Path) -> None:
    assert chosen(alone) != CHEAPER
    done = run("verify", alone, "--catalog", own_price(tmp_path / "own", CHEAPER, "1 USD"))
    assert done.code == 5
    assert "fault: a better system exists: " in done.out
    assert "changed: other entries of the catalogue, not behind this system" in done.out


def test_a_change_that_does_not_matter_is_told_and_the_answer_holds(alone: Path, tmp_path: Path) -> None:
    done = run("verify", alone, "--catalog", own_price(tmp_path / "own", CHEAPER, "900000 USD"))
    assert done.code == 0
    assert "changed: other entries" in done.out


def test_another_note_is_a_change(alone: Path, tmp_path: Path) -> None:
    chip = chosen(alone)
    own = put(tmp_path / "own", {f"chips/{chip}.toml": entry("chips", chip, ('title = "', 'title = "My '))})
    done = run("verify", alone, "--catalog", own)
    assert done.code == 0
    assert f"changed: chips.{chip} differs" in done.out


def test_a_chip_that_is_gone(tmp_path: Path) -> None:
    old = line_of(INSTANCES / "chips" / "mi300x.toml", "price")
    new = 'price = { value = "100 USD", source = "user", date = "2026-11", confidence = "assumed" }'
    own = put(tmp_path / "own", {"chips/mine.toml": entry("chips", "mi300x", (old, new), called="mine")})
    path = saved(tmp_path, "--memory", "hbm3", "--mode", "limit", "--hardware", "catalogue", "--catalog", str(own))
    assert chosen(path) == "mine"
    assert run("verify", path, "--catalog", own).code == 0
    done = run("verify", path)
    assert done.code == 5
    assert "fault: mine is not on offer any more" in done.out
    assert "changed: chips.mine.price = 100 USD is gone" in done.out


def test_a_system_for_what_was_infeasible(tmp_path: Path) -> None:
    path = saved(tmp_path, "--chip", "h100-sxm", "--budget", "$300k")
    assert json.loads(path.read_text(encoding="utf-8"))["status"] == "infeasible"
    done = run("verify", path, "--catalog", own_price(tmp_path / "own", "h100-sxm", "100 USD"))
    assert done.code == 5
    assert "fault: a system exists now" in done.out


def test_an_assumption_does_not_age(tmp_path: Path) -> None:
    """Assumed numbers carry the day of the run; neither a hash nor a change comes of that."""
    path = saved(tmp_path, "--chip", "h100-sxm", "--assume", "chips.h100-sxm.price=1k$")
    inputs = json.loads(path.read_text(encoding="utf-8"))["inputs"]
    today = next(line["date"] for line in inputs if line["confidence"] == "assumed")
    path.write_text(path.read_text(encoding="utf-8").replace(today, "2020-01-01"), encoding="utf-8")
    done = run("verify", path)
    assert (done.code, "nothing in the catalogue behind it has changed" in done.out) == (0, True)


# the answer has been tampered with

TAMPERED: dict[str, tuple[Callable[[Any], object], str]] = {
    "value": (lambda a: a["proof"].update(value=a["proof"]["value"] * 1.01), "objective is "),
    "bound above": (lambda a: a["proof"].update(bound=a["proof"]["bound"] * 1.01), "apart"),
    "bound below": (lambda a: a["proof"].update(bound=a["proof"]["bound"] * 0.99), "better than the recorded bound"),
    "bound gone": (lambda a: a["proof"].update(bound=None), "apart"),
    "batch beyond memory": (lambda a: a["system"].update(batch=a["performance"]["room"] + 1), "memory = "),
    "batch below": (lambda a: a["system"].update(batch=a["system"]["batch"] - 1), "objective is "),
    "replicas beyond budget": (lambda a: a["system"].update(replicas=a["system"]["replicas"] * 2), "budget = "),
    "layout": (lambda a: a["system"].update(tensor=3), "tensor 3 x pipeline "),
    "precision": (lambda a: a["system"].update(weights="fp4"), "is no layout"),
    "chip": (lambda a: a["system"].update(chip="h300"), "h300 is not on offer"),
    "servers": (lambda a: a["system"].update(servers=1), "system.servers is "),
    "racks": (lambda a: a["system"].update(racks=99), "system.racks is "),
    "capital": (lambda a: a["money"].update(capital_usd=1.0), "money.capital_usd is "),
    "hourly": (lambda a: a["money"].update(hourly_usd=1.0), "money.hourly_usd is "),
    "power": (lambda a: a["money"].update(power_w=None), "money.power_w is "),
    "throughput": (lambda a: a["performance"].update(throughput=1e9), "performance.throughput is "),
    "step": (lambda a: a["performance"].update(step_s=1e-9), "performance.step_s is "),
    "users": (lambda a: a["performance"].update(users=10**6), "performance.users is "),
    "limit used": (lambda a: a["limits"][0].update(used=1.0), "limits.budget.used is "),
    "limit allowed": (lambda a: a["limits"][0].update(allowed=1e9), "limits.budget.allowed is "),
    "infeasible": (lambda a: a.update(status="infeasible", system=None, proof=None), "a system exists now"),
    "another question": (lambda a: a["query"]["limits"].update(user_speed="1000 tokens/s"), "user_speed = "),
    "another objective": (lambda a: a["query"].update(maximize="throughput"), "objective is "),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampered_answer_is_found(what: str, alone: Path) -> None:
    change, said = TAMPERED[what]
    done = run("verify", changed(alone, change))
    assert_fault(done, said)


def test_one_user_too_many_is_too_slow(tmp_path: Path) -> None:
    path = saved(tmp_path, "--mode", "limit", "--user-speed", "60", "--chip", "h100-sxm")
    assert run("verify", path).code == 0
    done = run("verify", changed(path, lambda a: a["system"].update(batch=a["system"]["batch"] + 1)))
    assert_fault(done, "user_speed = ")


def assert_fault(done: Done, said: str) -> None:
    assert (done.code, done.err) == (5, ""), done
    assert done.out.startswith("the answer does not hold any more\nfault: ")
    assert said in done.out


ROWS: dict[str, tuple[Callable[[list[dict[str, str]]], object], str]] = {
    "bound": (lambda rows: rows[1].update(bound=str(float(rows[1]["bound"]) * 0.9)), "bound is "),
    "value": (lambda rows: rows[2].update(value="1"), "value is "),
    "removed with a bound that can win": (lambda rows: rows[1].update(bound="1"), "bound that can win"),
    "column": (lambda rows: rows[1].update(column="999999"), "column 999999 does not exist"),
}


@pytest.mark.parametrize("what", ROWS)
def test_tampered_candidates_are_found(what: str, exported: Path, tmp_path: Path) -> None:
    change, said = ROWS[what]
    assert_fault(run("verify", tampered_rows(exported, tmp_path, change)), said)


@pytest.mark.parametrize("change", [
    lambda rows: rows[1].update(column="x"), lambda rows: rows[1].update(bound=""), lambda rows: rows[0].pop("bound"),
])  # fmt: skip
def test_candidates_that_cannot_be_read(change: Any, exported: Path, tmp_path: Path) -> None:
    def change_all(rows: list[dict[str, str]]) -> None:
        change(rows)
        for row in rows:
            for key in set(row) - set(rows[0]):
                del row[key]

    done = run("verify", tampered_rows(exported, tmp_path, change_all))
    assert done.code == 2
    assert "candidates.csv: line " in done.err


# not an answer


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not readable as JSON"),
        ("{", "not readable as JSON"),
        ("3", "answer.json"),
        ("[]", "answer.json"),
        ("{}", "status"),
        ('{"schema": 2}', "schema = 2"),
        ('model = "llama"', "not readable as JSON"),
    ],
)
def test_not_an_answer(text: str, said: str, tmp_path: Path) -> None:
    done = run("verify", put(tmp_path, {"answer.json": text}) / "answer.json")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a.update(colour=1), "colour = 1: unknown key; known: schema"),
        (lambda a: a["query"].update(colour=1), "query: colour = 1: unknown key; known: schema, model"),
        (lambda a: a["query"].update(model="llama-9"), "'llama-9'"),
        (lambda a: a["query"].pop("model"), "query: model"),
        (lambda a: a["query"]["limits"].update(budget="5 kW"), "query: limits.budget"),
        (lambda a: a["system"].update(batch="many"), "system.batch = 'many'"),
        (lambda a: a["system"].pop("chip"), "system.chip"),
    ],
)
def test_answer_that_says_the_impossible(change: Any, said: str, alone: Path) -> None:
    done = run("verify", changed(alone, change))
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.json", tmp_path):
        done = run("verify", path)
        assert (done.code, str(path) in done.err, done.err.count("\n")) == (2, True, 1)


# mixes of replicas

TABLE = """chip,layout,bucket,requests_per_s,dollars_per_hour,available
small,tp1,short,10,1.0,
small,tp1,long,0,1.0,
large,tp2,short,40,3.5,9
large,tp2,long,12,3.5,9
"""
DEMAND = """bucket,requests_per_s,slices
short,35,4
long,18,4
"""


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    """An exported mix with its files beside it."""
    put(tmp_path, {"table.csv": TABLE, "demand.csv": DEMAND})
    asked = ("mix", "--profile", tmp_path / "table.csv", "--demand", tmp_path / "demand.csv")
    assert run(*asked, "--export", tmp_path).code == 0
    return tmp_path / "mix.json"


def test_fresh_mix_holds(mix: Path) -> None:
    done = run("verify", mix)
    assert (done.code, done.err) == (0, ""), done.out
    assert done.out.startswith("the answer holds\nnothing in the files behind it has changed\n")
    assert "every slice, load and dollar recomputed" in done.out


@pytest.mark.parametrize(("change", "said"), [
    (lambda a: a.update(cost_usd_per_h=1.0), "cost_usd_per_h is"),
    (lambda a: a["kinds"][1].update(count=a["kinds"][1]["count"] - 1), "replicas carry a load of"),
    (lambda a: a["shares"].pop(), "slices of"),
    (lambda a: a["shares"][0].update(slices=0.5), "0.5 slices of"),
    (lambda a: a["shares"][0].update(kind="huge"), "'huge' serves bucket"),
    (lambda a: a["proof"].update(bound=99.0), "is below the proven bound 99.0"),
    (lambda a: a["singles"][1].update(count=1), "singles.large tp2.count is"),
    (lambda a: a["kinds"][0].update(price_usd_per_h=0.5), "price_usd_per_h is 1.0, recorded as 0.5"),
])  # fmt: skip
def test_a_tampered_mix_does_not_hold(mix: Path, change: Callable[[Any], object], said: str) -> None:
    done = run("verify", changed(mix, change))
    assert done.code == 5 and "the answer does not hold any more" in done.out
    assert said in done.out


def test_a_mix_follows_its_files(mix: Path) -> None:
    put(mix.parent, {"table.csv": TABLE.replace("short,40,3.5", "short,40,3.0").replace("long,12,3.5", "long,12,3.0")})
    done = run("verify", mix)
    assert done.code == 5 and "table.csv has other content" in done.out and "recorded as 10.5" in done.out
    (mix.parent / "table.csv").unlink()
    assert run("verify", mix).code == 0  # the export's own copy
    (mix.parent / "profile.csv").unlink()
    missing = run("verify", mix)
    assert (missing.code, missing.out) == (2, "") and "query.profile" in missing.err and "no such file" in missing.err


def test_mixes_asked_in_other_ways_hold(tmp_path: Path) -> None:
    put(tmp_path, {"table.csv": TABLE, "demand.csv": DEMAND})
    two = {"small": {"cost": 1.0, "tputs": [[2.0, 0.5]]}, "large": {"cost": 3.5, "tputs": [[6.0, 3.0]]}}
    one = {"total_request_rate": 4.0, "workload_distribution": [[0.75, 0.25]], "gpu_info": two}
    put(tmp_path, {"one.json": json.dumps(one)})
    measured = ("--profile", tmp_path / "table.csv", "--demand", tmp_path / "demand.csv")
    for args in (("--instance", tmp_path / "one.json", "--slices", "3"), (*measured, "--fractional"),
                 (*measured, "--rate", "9", "--available", "large tp2=4"),
                 (*measured, "--available", "large tp2=0")):  # fmt: skip
        put(tmp_path, {"mix.json": run("mix", *args, "--json").out})
        done = run("verify", tmp_path / "mix.json")
        assert (done.code, done.err) == (0, ""), (args, done.out)
