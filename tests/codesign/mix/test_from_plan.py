"""A measured table that serves one period of a fleet plan: its demand, and what of the plan it is not asked."""

import math
from pathlib import Path

import pytest

from tests.cases.command import put, run

PLAN_TABLE = """\
chip,model,layout,bucket,speed,requests_per_s,dollars_per_hour
h100,llama-3.1-70b,tp2,1024/512,45,8,5.0
b200,llama-3.1-70b,tp1,1024/512,45,9,4.5
b200,llama-3.1-70b,tp1,6144/512,45,5,4.5
b200,qwen3-235b-a22b,tp8,8192/1024,55,20,36
h100,gpt-oss-120b,tp1,16384/1024,25,5,2.5
h100,llama-3.1-8b,tp1,2048/128,10,25,2.5
"""


def test_a_plan_s_demand_by_a_measured_table(tmp_path: Path) -> None:
    """2027: 180 requests/s of chat, 3/4 of them short, 50 of code, 50 of documents, 600 of labels."""
    put(tmp_path, {"t.csv": PLAN_TABLE})
    done = run("fleet", "--profile", tmp_path / "t.csv", "--period", "2027", "--json")
    counts = {kind["name"]: kind["count"] for kind in done.json["kinds"]}
    assert done.code == 0 and done.json["cost_usd_per_h"] == pytest.approx(24 * 4.5 + 3 * 36 + 10 * 2.5 + 24 * 2.5)
    assert (counts["b200 tp1"], counts["b200 tp8"]) == (math.ceil(135 / 9 + 45 / 5), math.ceil(50 / 20))
    put(tmp_path, {"mix.json": done.out})
    assert run("verify", tmp_path / "mix.json").code == 0


@pytest.mark.parametrize(("args", "said"), [
    (("--profile", "t.csv"), "--period is missing; a measured table is asked for one period"),
    (("--profile", "t.csv", "--period", "1999"), "'1999' is no period of the plan"),
    (("--slices", "4"), "--slices: goes with --profile"),
    (("--profile", "t.csv", "--objective", "power"), "--objective: does not go with --profile"),
    (("--profile", "t.csv", "--slices", "4", "--fractional"), "exclude each other"),
])  # fmt: skip
def test_a_plan_and_a_table_that_do_not_go_together(args: tuple[str, ...], said: str, tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": PLAN_TABLE})
    done = run("fleet", *(tmp_path / arg if arg == "t.csv" else arg for arg in args))
    assert done.code == 2 and said in done.err


def test_what_a_table_is_not_asked_of_a_plan_is_said(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": PLAN_TABLE})
    done = run("fleet", "--profile", tmp_path / "t.csv", "--period", "2027", "--json")
    (note,) = (line for line in done.json["assumptions"] if line.startswith("of the plan not asked here"))
    for part in ("limits.capital", "limits.power", "limits.kinds", "installed.", "workloads.chat.ttft"):
        assert part in note
    assert "limits.hourly" not in note
