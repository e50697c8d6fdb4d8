"""Answers changed at random, by a seed: verification notices each, or what was changed is on its list of the unseen.

A change is a field of the document: another number, text, mark or status, a field or entry taken away, entries
exchanged. What is declared unseen has its reason beside it, and is not drawn from.
"""

import copy
import functools
import json
import random
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from codesign.cli.verify import verify_answer
from codesign.facts import catalog
from codesign.facts.errors import CodesignError
from codesign.fleet import verify as verify_fleet
from codesign.mix import verify as verify_mix
from codesign.system import rebuilt
from codesign.system.verify import Report
from tests.cases import fleet_plans, mix_tables
from tests.cases.command import known, load, put, run

LIMIT = ("best", "--json", "--mode", "limit", "--chip", "h100-sxm")
POOLS = ("best", "--json", "--model", "llama-3.1-70b", "--chip", "h100-sxm", "--phases", "disaggregated",
         "--hardware", "catalogue", "--ttft", "5 s")  # fmt: skip
BEST = {
    "one pool": (*LIMIT, "--user-speed", "none"),
    "two limits": (*LIMIT, "--budget", "$200k", "--user-speed", "400 tokens/s"),
    "infeasible": (*LIMIT, "--budget", "$300k"),
    "achieved": ("best", "--json", "--chip", "h100-sxm", "--mode", "achieved"),
    "experts": ("best", "--json", "--model", "mixtral-8x22b", "--mode", "achieved", "--chip", "h100-sxm"),
    "two pools": POOLS,
    "no two pools": (*POOLS, "--budget", "$10k"),
}
CHANGES = {"one pool": 40, "two limits": 20, "infeasible": 20, "achieved": 25, "experts": 20, "two pools": 30,
           "no two pools": 20, "fleet": 20, "fleet of cases": 20, "mix": 30, "no mix": 20}  # fmt: skip
FEW = 6  # of each kind by default; all of them are slow

# not drawn: another question may have the same answer, and a default that is left out says the same
ASKED = ("query", "plan")
SAME_MEANING = ("schema", "kind", "seed", "mode")


def unseen(kind: str, document: Any) -> tuple[str, ...]:
    """What verification declares that it does not see, in a document of a kind."""
    if kind.endswith("mix"):
        return tuple(verify_mix.UNSEEN)
    if kind.startswith("fleet"):
        return tuple(verify_fleet.UNSEEN)
    return (*rebuilt.UNSEEN, *(rebuilt.REFINED if kind == "experts" else ()))


@functools.cache
def text_of(kind: str) -> str:
    if kind in BEST:
        return known(*BEST[kind]).out
    if kind == "fleet":
        return fleet_plans.solved(fleet_plans.SMALL, extras=True).answer.document()
    return fleet_plans.solved(fleet_plans.ONE, survive="one-rack", survive_share=0.5).answer.document()


@pytest.fixture
def base(request: Any, tmp_path: Path) -> tuple[str, Any, Path]:
    """The kind, its document, and where a changed one is to lie."""
    kind, path = request.param, tmp_path / "answer.json"
    if not kind.endswith("mix"):
        return kind, json.loads(text_of(kind)), path
    rare = mix_tables.TABLE.replace(",0.70,", ",0.70,1").replace("12.4,", "12.4,0")
    table = mix_tables.TABLE if kind == "mix" else rare
    put(tmp_path, {"table.csv": table, "demand.toml": mix_tables.DEMAND})
    done = run("mix", "--profile", tmp_path / "table.csv", "--demand", tmp_path / "demand.toml", "--json")
    return kind, done.json, path


def leaves(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value, and of every list and table."""
    if path:
        yield path
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield from leaves(value, (*path, key))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda spot, key: spot[key], path, document)


def another(value: Any, draw: random.Random) -> Any:
    """A value that says something else: by more than rounding."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw.choice([value + 1, value - 1, 2 * value + 3, -value - 1])
    if isinstance(value, float):
        return draw.choice([value * 1.001 + 1e-3, value * 0.999 - 1e-3, -value - 1.0, value * 1e3 + 1.0])
    if isinstance(value, str):
        status = "feasible" if value == "optimal" else "optimal"
        return draw.choice([f"{value} x", value[:-1] if value else "x", status])
    if value is None:
        return 1.0
    if isinstance(value, list):
        return draw.choice([value[1:], [*value, value[-1]], value[::-1]]) if len(value) > 1 else value[:-1] or [{}]
    return {}


def tampered(document: Any, draw: random.Random, without: Collection[str]) -> tuple[str, Any]:
    """What was changed, and the document with that change."""
    parts: dict[Any, list[tuple[Any, ...]]] = {}  # each part as likely, however many numbers it lists
    for path in leaves(document):
        if not rebuilt.within(".".join(map(str, path)), (*without, *ASKED, *SAME_MEANING)):
            parts.setdefault(path[0], []).append(path)
    while True:
        path, changed = draw.choice(parts[draw.choice(list(parts))]), copy.deepcopy(document)
        spot, key = at(changed, path[:-1]), path[-1]
        if draw.random() < 0.15 and isinstance(spot, dict):
            del spot[key]
        else:
            spot[key] = another(spot[key], draw)
        if not alike(document, changed, without):
            return ".".join(map(str, path)), changed


DEFAULTS = tuple(map(repr, (None, "", [], {}, 0, 1)))


def alike(old: Any, new: Any, without: Collection[str]) -> bool:
    """Whether a change says nothing new: what is left out is what its absence means, or all of it is unseen."""
    found = [one for one in rebuilt.differences(old, new) if not rebuilt.within(one.path, without)]
    return all(one.now == rebuilt.ABSENT and one.recorded in DEFAULTS for one in found)


def verified(document: Any, path: Path) -> Report | str:
    """The report, or what is wrong with the file."""
    path.write_text(json.dumps(document), encoding="utf-8")
    with patch.object(catalog, "load", load), patch("codesign.system.verify.load", load):
        try:
            return verify_answer(path, None)
        except CodesignError as error:
            return str(error)


def noticed(document: Any, path: Path) -> bool:
    report = verified(document, path)
    return isinstance(report, str) or not report.holds


def fresh(base: tuple[str, Any, Path]) -> None:
    kind, document, path = base
    report = verified(document, path)
    assert isinstance(report, Report) and report.holds and not report.changed, (kind, report)


KINDS = pytest.mark.parametrize("base", CHANGES, indirect=True)


def missed(base: tuple[str, Any, Path], seed: int, count: int) -> list[str]:
    kind, document, path = base
    draw = random.Random(f"{kind} {seed}")
    found = (tampered(document, draw, unseen(kind, document)) for _ in range(count))
    return [what for what, changed in found if not noticed(changed, path)]


@KINDS
def test_random_changes_are_noticed(base: tuple[str, Any, Path]) -> None:
    fresh(base)
    assert missed(base, 1, FEW) == []


@pytest.mark.slow
@KINDS
def test_many_random_changes_are_noticed(base: tuple[str, Any, Path]) -> None:
    assert missed(base, 2, CHANGES[base[0]]) == []


# proofs and lists by name

PROOFS: dict[str, tuple[str, Callable[[Any], object], str]] = {
    "bound below the value": ("one pool", lambda a: a["proof"].update(bound=a["proof"]["value"] * 0.99), "better than"),
    "bound far away": ("one pool", lambda a: a["proof"].update(bound=a["proof"]["value"] * 4), "apart"),
    "optimal with a gap of 3": ("one pool", lambda a: a["proof"].update(gap=3.0), "proof.gap is "),
    "bound and gap agree": ("one pool", lambda a: a["proof"].update(
        bound=a["proof"]["value"] * 4, gap=3.0, method="none"), "proof.method is "),
    "undecided, though enumerated": ("one pool", lambda a: (a.update(status="feasible"), a["proof"].update(
        bound=a["proof"]["value"] * 4, gap=3.0, method="none")), "status is 'optimal'"),
    "columns removed": ("one pool", lambda a: a["proof"].update(
        removed=a["proof"]["removed"] - 1, solved=a["proof"]["solved"] + 1), "proof.removed is "),
    "columns removed of two pools": ("two pools", lambda a: a["proof"].update(
        removed=a["proof"]["removed"] - 1, solved=a["proof"]["solved"] + 1), "proof.removed is "),
    "columns that do not add up": ("experts", lambda a: a["proof"].update(removed=a["proof"]["removed"] + 1),
                                   "proof.columns is "),
    "a layout more": ("one pool", lambda a: a["proof"].update(considered=a["proof"]["considered"] + 1), "considered"),
    "a reason less": ("one pool", lambda a: a["proof"]["impossible"].popitem(), "recorded as absent"),
    "points": ("one pool", lambda a: a["proof"].update(enumerated=7), "proof.enumerated is "),
    "no time, though unlimited": ("one pool", lambda a: a["proof"].update(
        enumerated=None, not_enumerated="not in the time given", method="program"), "proof.method is 'both'"),
    "capital": ("one pool", lambda a: a["money"]["capital"].update(chips=1.0), "money.capital.chips is "),
    "hourly": ("one pool", lambda a: a["money"]["hourly"].update(upkeep=0.0), "money.hourly.upkeep is "),
    "share": ("achieved", lambda a: a["performance"]["shares"].popitem(), "performance.shares."),
    "binding": ("one pool", lambda a: a["limits"][0].update(binding=not a["limits"][0]["binding"]), "binding is "),
    "limits exchanged": ("one pool", lambda a: a["limits"].reverse(), "limits."),
    "other": ("one pool", lambda a: a["others"][0].update(value=1.0), "others."),
    "other of pools": ("two pools", lambda a: a["others"][0].update(behind=0.5), "behind is "),
    "cure": ("infeasible", lambda a: a["cures"][0].update(value=1.0), "cures.limits.budget.value is "),
    "unknown": ("infeasible", lambda a: a.update(status="unknown"), "status is 'infeasible'"),
    "late, though unlimited": ("infeasible", lambda a: a.update(not_looked_for=["context"]), "not_looked_for"),
    "fleet: gap": ("fleet", lambda a: a["proof"].update(gap=3.0), "gap is "),
    "fleet: optimal with a gap of 3": ("fleet", lambda a: a["proof"].update(
        gap=3.0, bound=a["proof"]["value"] * -2), "status is 'feasible'"),
    "fleet: no bound": ("fleet", lambda a: a["proof"].update(gap=None, bound=None), "without a bound"),
    "fleet: columns": ("fleet", lambda a: a["proof"].update(columns=1), "proof.solved is at most 1 "),
    "fleet: undominated": ("fleet", lambda a: a["proof"].update(solved=10**6), "proof.solved is at most"),
    "fleet: one kind beats the bound": ("fleet", lambda a: a["singles"][0].update(value=1.0, lifted=False),
                                        "better than the recorded bound"),
    "fleet: pools apart": ("fleet", lambda a: a.update(assumptions=[
        x for x in a["assumptions"] if not x.startswith("pools apart")]), "length of assumptions"),
    "fleet: behind": ("fleet", lambda a: a["singles"][0].update(behind=0.5), "behind is "),
    "fleet: precision": ("fleet", lambda a: a["periods"][0]["replicas"][0].update(kv="fp64"), "cache fp64"),
    "fleet: experts of a dense model": ("fleet", lambda a: a["periods"][0]["replicas"][0].update(expert=2), "expert 2"),
    "fleet: case": ("fleet of cases", lambda a: a["scenarios"][1].update(loss="nothing"), "scenarios."),
    "mix: floor": ("mix", lambda a: a["proof"].update(floor=1e3), "proof.floor 1000.0 is above"),
    "mix: rounded": ("mix", lambda a: a["proof"].update(rounded=0.1), "proof.rounded 0.1 is below"),
    "mix: kind": ("mix", lambda a: a["kinds"][0].update(chip="huge"), "kinds.small.chip is 'small'"),
    "mix: assumption": ("mix", lambda a: a["assumptions"].pop(0), "assumptions begin with"),
}


@pytest.mark.parametrize(("base", "change", "said"), PROOFS.values(), ids=PROOFS, indirect=["base"])
def test_a_changed_proof_is_told(base: tuple[str, Any, Path], change: Callable[[Any], object], said: str) -> None:
    _, document, path = base
    change(document)
    report = verified(document, path)
    assert isinstance(report, Report) and not report.holds
    assert any(said in fault for fault in report.faults), report.faults


@KINDS
def test_what_is_unseen_is_a_field_with_a_reason(base: tuple[str, Any, Path]) -> None:
    kind, document, _ = base
    reasons = verify_mix.UNSEEN if kind.endswith("mix") else (
        verify_fleet.UNSEEN if kind.startswith("fleet") else rebuilt.UNSEEN)
    fields = {".".join(map(str, path)) for path in leaves(document)}
    known = {x for x in reasons if not x.endswith("time_limit") and (document["proof"] or not x.startswith("proof."))}
    assert all(reasons.values()) and known <= fields


@pytest.mark.parametrize("objective", ["cost", "power", "throughput-per-dollar"])
def test_a_fleet_of_the_only_kind_holds(objective: str, tmp_path: Path) -> None:
    """Alone it is the best: it lacks nothing, but for rounding."""
    answer = fleet_plans.solved(fleet_plans.ONE, extras=True, objective=objective).answer
    fresh(("fleet", json.loads(answer.document()), tmp_path / "answer.json"))


# what lies beside an answer


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two exports of one question, asked with another budget."""
    found = []
    for budget in ("$3M", "$2M"):
        out = tmp_path_factory.mktemp("folders") / "out"
        assert run("best", *LIMIT[2:], "--user-speed", "none", "--budget", budget, "--export", out).code == 0
        found.append(out)
    return found[0], found[1]


@pytest.mark.parametrize("name", ["query.toml", "candidates.csv"])
def test_a_folder_of_two_answers_is_noticed(folders: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    for file in folders[0].iterdir():
        put(tmp_path, {file.name: file.read_text(encoding="utf-8")})
    assert run("verify", tmp_path / "answer.json").code == 0
    put(tmp_path, {name: (folders[1] / name).read_text(encoding="utf-8")})
    done = run("verify", tmp_path / "answer.json")
    assert (done.code, done.err) == (5, "") and f"fault: {tmp_path / name}" in done.out


def test_candidates_with_a_row_less(folders: tuple[Path, Path], tmp_path: Path) -> None:
    lines = (folders[0] / "candidates.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    put(tmp_path, {"answer.json": (folders[0] / "answer.json").read_text(encoding="utf-8"),
                   "candidates.csv": "".join(lines[:5] + lines[6:])})  # fmt: skip
    done = run("verify", tmp_path / "answer.json")
    assert done.code == 5 and "1 columns of the query are not in it" in done.out


@pytest.mark.parametrize("text", ["model = 3", "model", "colour = 1"])
def test_a_query_beside_it_that_is_none(folders: tuple[Path, Path], tmp_path: Path, text: str) -> None:
    put(tmp_path, {"answer.json": (folders[0] / "answer.json").read_text(encoding="utf-8"), "query.toml": text})
    done = run("verify", tmp_path / "answer.json")
    assert (done.code, done.out) == (2, "") and "query.toml" in done.err


@pytest.mark.parametrize("kind", [
    "kitsune", "frontier", "switch", "why-not", "relax", "sensitivity", "robust", "x", 3, None, ["best-system"],
])  # fmt: skip
def test_other_documents_are_refused_by_their_kind(tmp_path: Path, kind: Any) -> None:
    done = run("verify", put(tmp_path, {"answer.json": json.dumps({"schema": 1, "kind": kind})}) / "answer.json")
    assert (done.code, done.out) == (2, "")
    assert repr(kind) in done.err and "verify repeats best-system, fleet, mix only" in done.err
