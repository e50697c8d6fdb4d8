"""Wrong values in any key of any file: an answer, or one message that names the key; never a trace."""

import copy
import datetime
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cases.command import INSTANCES, Done, put, run
from tests.cases.fleet_plans import ONE
from tests.cases.mix_tables import DEMAND, TABLE

QUERY: dict[str, Any] = {
    "schema": 1, "model": "llama-3.1-8b", "context": "8k", "precision": ["fp8"], "kv_precision": "fp8", "mode": "limit",
    "maximize": "throughput", "dollars": "capital", "basis": "buy", "price_basis": "sold", "hardware": "catalogue",
    "available_by": 2030, "spare_servers": 0, "time_limit": "1 min", "allow": {"chips": ["h100-sxm"]},
    "limits": {"budget": "$4M", "power": "20 kW", "chips": 16, "racks": 2, "user_speed": "20 tokens/s", "users": 4,
               "replicas": 8, "tensor": 2},
    "cost": {"pue": 1.2}, "assume": {"chips.h100-sxm.price": "30k$"},
}  # fmt: skip
SERVED: dict[str, Any] = {
    **{key: value for key, value in QUERY.items() if key not in ("mode", "context")}, "context": 1280,
    "limits": {"power": "20 kW", "ttft": "2 s"},
    "serving": {"input": 1024, "output": 256, "engine": "vllm", "release": "vllm 0.12.0", "phases": "aggregated",
                "prior": "none", "draft": 1, "acceptance": 1.5, "chunk": 2048},
}  # fmt: skip
PLAN: dict[str, Any] = {
    **ONE, "engine": "vllm", "release": "vllm 0.12.0", "survive_share": 1.0, "installed": {},
    "limits": {"capital": "$9M", "power": "900 kW", "racks": 9, "kinds": 2, "chips": {"h100-sxm": 500}},
}  # fmt: skip
UNCERTAIN = {"schema": 1, "uncertain": [{"paths": ["chips.h100-sxm.price"], "factor": [0.5, 2.0], "shared": True,
                                         "distribution": "triangular"}]}  # fmt: skip
GRAPH = tomllib.loads((INSTANCES / "graphs" / "mlp.toml").read_text(encoding="utf-8"))

TODAY = datetime.date(2026, 1, 1)
WRONG = st.one_of(
    st.sampled_from([[], {}, [1], ["x", 2], {"x": {"y": [1]}}, TODAY, datetime.time(1, 2)]),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e300, -1e-300, 5e-324, 0.5]),
    st.sampled_from([0, -1, 1, 10**9, 10**18, 2**63, 10**29, 10**400]),
    st.sampled_from(["", " ", "\x1b[1m", "é", "日本", "none", "1e30", "-5", "9" * 5000, "x" * 10000, "0x10", "1/0"]),
    st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
)  # fmt: skip


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a table, tables and lists too."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from paths(one, (*path, key))


def replaced(table: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The table with another value at a place."""
    found = copy.deepcopy(table)
    spot: Any = found
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = value
    return found


def best(folder: Path, file: Path) -> Done:
    return run("best", file)


def fleet(folder: Path, file: Path) -> Done:
    return run("fleet", file, "--quick")


def mix(folder: Path, file: Path) -> Done:
    return run("mix", "--profile", put(folder, {"table.csv": TABLE}) / "table.csv", "--demand", file)


def robust(folder: Path, file: Path) -> Done:
    query = put(folder, {"asked.toml": tomli_w.dumps(QUERY)}) / "asked.toml"
    return run("robust", query, "--uncertainty", file, "--scenarios", "1")


def kitsune(folder: Path, file: Path) -> Done:
    return run("kitsune", file)


KINDS: dict[str, tuple[dict[str, Any], Callable[[Path, Path], Done]]] = {
    "query": (QUERY, best), "served": (SERVED, best), "plan": (PLAN, fleet), "demand": (tomllib.loads(DEMAND), mix),
    "uncertainty": (UNCERTAIN, robust), "graph": (GRAPH, kitsune),
}  # fmt: skip


def judge(done: Done, named: tuple[Any, ...], where: str) -> None:
    """An answer, or one message that names the key or its table."""
    assert done.code in (0, 2, 3, 5), done.err
    assert "Traceback" not in done.err
    if done.code == 2:
        assert done.err.startswith("error: ") and done.err.count("error: ") == 1, done.err
        assert where in done.err or any(str(key).removesuffix("s") in done.err for key in named), (named, done.err)
        assert max(map(len, done.err.splitlines())) < 1200, "a value is written in full"
    else:
        assert done.err == ""


def one(kind: str, folder: Path, path: tuple[Any, ...], value: Any) -> None:
    table, ask = KINDS[kind]
    file = put(folder, {"wrong.toml": tomli_w.dumps(replaced(table, path, value))}) / "wrong.toml"
    judge(ask(folder, file), path, "" if len(path) == 1 else str(path[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_itself_is_right(kind: str, tmp_path: Path) -> None:
    """Else nothing below would say what a wrong value does."""
    table, ask = KINDS[kind]
    done = ask(tmp_path, put(tmp_path, {"right.toml": tomli_w.dumps(table)}) / "right.toml")
    assert (done.code, done.err) == (0, "")


def trial(count: int) -> Any:
    return settings(max_examples=count, derandomize=True, deadline=None,
                    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@trial(4)
def test_any_wrong_value(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    one(kind, tmp_path, data.draw(st.sampled_from(sorted(paths(KINDS[kind][0]), key=str))), data.draw(WRONG))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@trial(30)
def test_many_wrong_values(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    one(kind, tmp_path, data.draw(st.sampled_from(sorted(paths(KINDS[kind][0]), key=str))), data.draw(WRONG))


SETTINGS = ["1e9", "1e300x", "1e-300x", "0x", "nan", "1e30", "-1", "x", "1e12x", "9" * 400, "[1]", "5 kW", "é"]


@pytest.mark.parametrize("key", ["sms", "l2_bandwidth", "l2_capacity", "queue_sync", "registers", "colour"])
def test_wrong_numbers_of_a_gpu(key: str) -> None:
    for value in SETTINGS:
        done = run("kitsune", INSTANCES / "graphs" / "mlp.toml", "--gpu-set", f"{key}={value}")
        assert done.code == 2, (key, value, done.code)
        judge(done, (key,), "GPU")


FOUND = [  # once by chance
    ("served", ("serving", "input"), ["x", 2]), ("served", ("serving", "input"), 10**9),
    ("served", ("assume", "chips.h100-sxm.price"), "9" * 5000),
    ("served", ("assume", "chips.h100-sxm.price"), "x" * 5000),
    ("demand", ("requests_per_s",), 5e-324), ("demand", ("bucket", 0, "name"), "x" * 5000),
    ("query", ("context",), []), ("query", ("limits", "power"), {}), ("query", ("limits", "budget"), TODAY),
    ("query", ("spare_servers",), 10**29), ("plan", ("limits", "power"), {"x": TODAY}), ("plan", ("limits",), TODAY),
    ("plan", ("workloads", "chat", "requests"), "1e300 requests/s"), ("graph", ("inputs", "x"), [10**9] * 4),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "path", "value"), FOUND)
def test_found_values_stay_refused(kind: str, path: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    table, ask = KINDS[kind]
    done = ask(tmp_path, put(tmp_path, {"wrong.toml": tomli_w.dumps(replaced(table, path, value))}) / "wrong.toml")
    assert done.code == 2
    judge(done, path, str(path[-1]))
