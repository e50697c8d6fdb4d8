"""A fleet plan is read whole: every fault in one message with the path of its key, and written back as it was."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from codesign.facts.catalog import builtin_plan
from codesign.facts.errors import DataError
from codesign.fleet.prepared import prepare
from codesign.fleet.reading import checked, read_plan
from tests.cases.command import known, load, run
from tests.cases.fleet_plans import ONE, SMALL, catalog, plan, table

# keys of the small plan, and what the message must say
WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"workloads__chat__model": "llama-4"}, ["workloads.chat.model = 'llama-4'", "llama-4-scout"]),
    ({"workloads__chat__model": None}, ["workloads.chat.model", "required"]),
    ({"workloads__chat__requests": "-3 requests/s"}, ["workloads.chat.requests", "'-3 requests/s'", "greater than"]),
    ({"workloads__chat__requests": [1, -2]}, ["workloads.chat.requests.1 = -2", "greater than"]),
    ({"workloads__chat__requests": [1, 2, 3]}, ["workloads.chat.requests", "3 values for 2 periods"]),
    ({"workloads__chat__requests": "5 tokens/s"}, ["workloads.chat.requests", "requests/s"]),
    ({"workloads__chat__growth": "10%/year"}, ["workloads.chat.growth", "for each period"]),
    ({"workloads__long__growth": "-100%/year"}, ["workloads.long.growth", "greater than -1"]),
    ({"workloads__chat__precision": "fp9"}, ["workloads.chat.precision", "fp9", "'fp8'"]),
    ({"workloads__chat__precision": "bf16,fp8"}, ["workloads.chat.phases", "kv_precision"]),
    ({"workloads__chat__share": 1.2}, ["workloads.chat.share = 1.2", "less than or equal to 1"]),
    ({"workloads__chat__ttft": "fast"}, ["workloads.chat.ttft", "'fast'"]),
    ({"workloads__chat__output": None}, ["workloads.chat.lengths", "input and output, or a histogram"]),
    ({"workloads__chat__output": 1}, ["workloads.chat.lengths", "at least 2 tokens out"]),
    ({"workloads__chat__lengths": [{"input": 100, "output": 10, "share": 1}]}, ["workloads.chat.lengths", "beside"]),
    ({"workloads__chat__colour": "red"}, ["workloads.chat.colour", "unknown key"]),
    ({"workloads": {}}, ["workloads", "at least 1"]),
    ({"periods__2027__price": None}, ["periods.2027.price", "required"]),
    ({"periods__2027__price": 0}, ["periods.2027.price", "greater than 0"]),
    ({"periods__2027__price": {"h100-sxm": 0.5}}, ["periods.2027.price", "all = 1.0"]),
    ({"periods__2027__price": {"all": 1, "h100": 0.5}}, ["periods.2027.price", "'h100'", "h100-sxm"]),
    ({"periods__2027__year": 2025}, ["periods", "must rise"]),
    ({"periods__2026__years": "3 years"}, ["periods", "2026 lasts 3 years", "2027"]),
    ({"periods": {}}, ["periods", "at least 1"]),
    ({"limits__power": "5"}, ["limits.power", "W"]),
    ({"limits__capital": ["$1M", "$2M", "$3M"]}, ["limits.capital", "3 values for 2 periods"]),
    ({"limits__chips": {"h1": 8}}, ["limits.chips", "'h1'"]),
    ({"limits__chips": {"h100-sxm": -8}}, ["limits.chips.h100-sxm", "greater than"]),
    ({"limits__kinds": 0}, ["limits.kinds = 0", "greater than"]),
    ({"limits__second_source": "120%"}, ["limits.second_source", "less than or equal to 1"]),
    ({"limits__capital": "$1M", "basis": "rent"}, ["limits", "'rent'", "hourly"]),
    ({"installed": {"h9": {"servers": 1, "bought": 2024}}}, ["installed", "'h9'"]),
    ({"installed": {"h100-sxm": {"servers": 0, "bought": 2024}}}, ["installed.h100-sxm.servers = 0"]),
    ({"scenarios": {"low": {"probability": 0.5, "demand": 0.5}}}, ["scenarios", "sum to 0.5"]),
    ({"scenarios": {"low": {"probability": 1, "demand": {"chatt": 0.5}}}}, ["scenarios.low.demand", "'chatt'", "chat"]),
    ({"objective": "fun"}, ["objective = 'fun'", "'throughput-per-dollar'"]),
    ({"objective": "value"}, ["workloads", "worth is missing of chat, long"]),
    ({"survive": "one-chip"}, ["survive = 'one-chip'", "'one-rack'"]),
    ({"schema": 2}, ["schema = 2"]),
    ({"budget": "$1M"}, ["budget", "unknown key", "limits"]),
    ({"workloads__chat__requests": "1e30 requests/s"}, ["workloads.chat.requests", "out of range"]),
    ({"limits__power": "1e30 W"}, ["limits.power", "'1e30 W' is out of range"]),
    ({"limits__capital": "1e30 USD"}, ["limits.capital", "'1e30 USD' is out of range"]),
    ({"limits__kinds": 10**30}, ["limits.kinds", "out of range"]),
    ({"limits__power": []}, ["limits.power"]),
    ({"limits__power": {}}, ["limits.power", "{} is not a quantity"]),
    ({"periods__2026__price": 1e30}, ["periods.2026.price", "out of range"]),
    ({"limits__second_source": 1e-9}, ["limits.second_source", "cannot be told from none"]),
]


@pytest.mark.parametrize(("changes", "told"), WRONG, ids=lambda x: "".join(x)[:40] if isinstance(x, list) else None)
def test_wrong_plans_name_the_key(changes: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(DataError) as error:
        plan(SMALL, **changes)
    message = str(error.value)
    assert message.startswith("test: ")
    assert [text for text in told if text not in message] == [], message


def test_all_faults_come_in_one_message() -> None:
    changes = [change for change, _ in WRONG[:1] + WRONG[2:3] + WRONG[17:18] + WRONG[25:26]]
    merged = {key: value for change in changes for key, value in change.items()}
    with pytest.raises(DataError) as error:
        plan(SMALL, **merged, workloads__long__lengths=[{"input": 10, "output": 10, "share": 0.5}],
             workloads__long__input=None, workloads__long__output=None)  # fmt: skip
    lines = str(error.value).splitlines()
    paths = ["workloads.chat.model", "workloads.chat.requests", "periods.2027.price", "limits",
             "workloads.long.lengths"]  # fmt: skip
    assert len(lines) == len(paths)
    assert [path for path in paths if not any(line.startswith(f"test: {path}") for line in lines)] == []
    assert "the shares sum to 0.5, must sum to 1" in str(error.value)


@pytest.mark.parametrize("name", ["small", "built-in"])
def test_a_plan_written_reads_as_it_was(name: str) -> None:
    asked = plan(SMALL) if name == "small" else read_plan(catalog(), None, {}, builtin_plan("default"))
    assert checked(catalog(), tomllib.loads(asked.as_toml()), "again") == asked


def test_options_go_over_the_file_and_none_lifts_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(builtin_plan("default"), encoding="utf-8")
    asked = read_plan(catalog(), path, {"limits.power": "300 kW", "limits.kinds": "none"}, "")
    assert asked.limits.power == (300_000.0,)
    assert asked.limits.kinds is None
    with pytest.raises(DataError, match=r"mine\.toml: workloads\.chat\.requests"):
        read_plan(catalog(), path, {"workloads.chat.requests": "many"}, "")
    with pytest.raises(DataError, match="no such file"):
        read_plan(catalog(), tmp_path / "none.toml", {}, "")
    with pytest.raises(DataError, match="is no table"):
        read_plan(catalog(), path, {"objective.x": "1"}, "")


def test_requests_grow_by_year_from_the_first_period() -> None:
    asked = plan(SMALL, workloads__long__growth="50%/year", periods__2029={"year": 2029, "price": 0.8},
                 workloads__chat__requests=7)  # fmt: skip
    assert [asked.requests("long", i) for i in range(3)] == pytest.approx([30.0, 45.0, 101.25])
    assert [asked.requests("chat", i) for i in range(3)] == [7.0, 7.0, 7.0]


def test_a_histogram_and_quantities_are_read_in_si() -> None:
    asked = plan(ONE, workloads__chat__input=None, workloads__chat__output=None, workloads__chat__worth="$2/Mtok",
                 workloads__chat__lengths=[{"input": "1k", "output": "1k", "share": "25%"},
                                           {"input": "8k", "output": 16, "share": 0.75}])  # fmt: skip
    one = asked.workloads["chat"]
    assert [(x.input, x.output, x.share) for x in one.buckets()] == [(1024, 1024, 0.25), (8192, 16, 0.75)]
    assert one.worth == pytest.approx(2e-6)
    assert table(ONE)["workloads"]["chat"]["input"] == "1k"  # the plan that tests share is left as it was


def test_what_is_installed_is_there_when_the_first_period_begins() -> None:
    done = known("fleet", "--set", "installed.h100-sxm.bought=2030")
    assert (done.code, done.out) == (2, "")
    assert "installed: h100-sxm: bought = 2030 is after 2026" in done.err


def test_a_share_without_a_loss_is_refused() -> None:
    done = known("fleet", "--survive-share", "80%")
    assert (done.code, done.out) == (2, "") and "add --survive one-rack" in done.err


@pytest.mark.slow
def test_installed_servers_that_no_period_has_are_named() -> None:
    done = known("fleet", "--quick", "--set", "installed.h100-sxm.bought=2010", "--json")
    assert any(line.startswith("installed h100-sxm, bought in 2010: beyond its") for line in done.json["assumptions"])


def test_hints_at_chips_left_out_are_keys_of_a_plan() -> None:
    """`codesign fleet` has no --prior, --basis or --chip."""
    left = prepare(catalog(), plan(ONE, allow__chips=None)).left_out
    assert any("--set prior=all" in why for why in left.values())
    assert any("--set basis=rent" in why for why in left.values())
    assert not any(option in why for why in left.values() for option in ("--prior", "--basis", "--chip"))


@pytest.mark.parametrize(("changes", "said"), [
    ({"workloads__chat__requests": "1e-9 requests/s"}, "workloads.chat.requests = 1e-09 requests/s in 2026"),
    ({"workloads__chat__growth": "900 /year", "workloads__chat__requests": "1e8 requests/s",
      "periods__2027": {"year": 2027, "price": 1.0}}, "workloads.chat.requests = 9.01e+10 requests/s in 2027"),
    ({"scenarios": {"high": {"probability": 1, "demand": 1e9}}}, "scenarios.high: workloads.chat.requests = 3e+11"),
    ({"workloads__chat__user_speed": "9 tokens/s", "workloads__chat__share": 1e-6,
      "workloads__chat__requests": "1e-4 requests/s"}, "times share and survive_share"),
    ({"periods__2026__price": 1e9, "assume": {"chips.h100-sxm.price": "1e12 USD"}}, "a server of h100-sxm costs 8e"),
])  # fmt: skip
def test_amounts_that_follow_and_no_solver_can_tell_are_refused(changes: dict[str, Any], said: str) -> None:
    asked = plan(ONE, **changes)
    with pytest.raises(DataError, match=re.escape(said)):
        prepare(load(None, asked.assumptions()), asked)


def test_a_price_basis_needs_bought_chips() -> None:
    """What a chip costs to make is nothing to who rents it: a plan, or a query, that asks for both is refused."""
    with pytest.raises(DataError, match="price_basis = 'cost': of bought chips; basis 'rent' pays by the hour"):
        plan(ONE, basis="rent", price_basis="cost")
    assert plan(ONE, price_basis="cost").price_basis == "cost"
    done = run("best", "--basis", "rent", "--price-basis", "cost", "--budget", "$200/h", "--dollars", "per-hour")
    assert done.code == 2 and "--price-basis = 'cost'" in done.err and "basis 'rent' pays by the hour" in done.err
