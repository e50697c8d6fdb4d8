"""Answers that are false are found without the program that gave them, wherever the exported folder is."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import AuditError
from codesign.mix import audit, recount, verify
from codesign.mix.cheapest_mix import cheapest_mix
from codesign.mix.question import Bucket, Kind, Mix
from tests.cases.command import run

TABLE = "chip,bucket,requests_per_s,dollars_per_hour,available\ncheap,x,1,1,4\ndear,x,1,10,\n"
DEMAND = '[[bucket]]\nname = "x"\nrequests_per_s = 5\n'

OF = 1  # slices of a bucket, as the answer says it

@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export, without the files that it was asked with."""
    table, demand, out = tmp_path / "p.csv", tmp_path / "d.toml", tmp_path / "out"
    table.write_text(TABLE, encoding="utf-8")
    demand.write_text(DEMAND, encoding="utf-8")
    done = run("mix", "--profile", table, "--demand", demand, "--fractional", "--json", "--export", out)
    assert (done.code, done.json["cost_usd_per_h"], done.json["status"]) == (0, 14.0, "optimal")
    table.unlink()
    demand.unlink()
    moved = tmp_path / "elsewhere" / "out"
    moved.parent.mkdir()
    out.rename(moved)
    return moved


def faults(document: dict[str, Any], folder: Path) -> str:
    answer, mix, changed = verify.read(document, folder / "mix.json", None)
    return "; ".join((*verify.faults(answer, mix)[0], *changed))


def seeded(folder: Path, counts: tuple[int, int], slices: tuple[float, float], **changes: Any) -> str:
    """Faults of another fleet, whose loads and costs agree with themselves."""
    document = json.loads((folder / "mix.json").read_text(encoding="utf-8")) | changes
    cost = counts[0] * 1.0 + counts[1] * 10.0
    for kind, n, share, price in zip(document["kinds"], counts, slices, (1.0, 10.0), strict=True):
        load = share * 5 / OF
        kind |= {"count": n, "cost_usd_per_h": n * price, "load": load, "spare": max(0.0, n - load)}
    document["shares"] = [
        {"bucket": "x", "model": "", "kind": name, "slices": share, "of": OF, "requests_per_s": share * 5 / OF,
         "load": share * 5 / OF} for name, share in zip(("cheap", "dear"), slices, strict=True) if share]  # fmt: skip
    document |= {"cost_usd_per_h": cost, "usd_per_million_requests": cost / (5 * 3600) * 1e6}
    document["proof"] |= {"value": cost, "bound": cost, "gap": 0.0}
    return faults(document, folder)


def test_an_export_is_verified_without_the_folder_it_came_from(folder):
    assert run("verify", folder / "mix.json").code == 0
    (folder / "demand.toml").write_text(DEMAND.replace("5", "4"), encoding="utf-8")
    assert "other content" in faults(json.loads((folder / "mix.json").read_text(encoding="utf-8")), folder)


def test_seeded_answers_are_found(folder):
    document = json.loads((folder / "mix.json").read_text(encoding="utf-8"))
    of = document["shares"][0]["of"]
    assert of == OF
    assert seeded(folder, (4, 1), (0.8 * of, 0.2 * of)) == ""
    assert "4 x cheap, 1 x dear serve the demand for 14.0, less than 50.0" in seeded(folder, (0, 5), (0, of))
    assert "5 replicas of 4" in seeded(folder, (5, 0), (of, 0))
    assert "slices of x are served" in seeded(folder, (4, 2), (0.8 * of, 0.4 * of))
    assert "carry a load" in seeded(folder, (4, 0), (of, 0))
    nothing = {**document, "status": "infeasible", "kinds": [], "shares": [], "proof": None, "cost_usd_per_h": None,
               "usd_per_million_requests": None}  # fmt: skip
    assert "5 replicas of dear alone serve the demand" in faults(nothing, folder)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.data())
def test_no_fleet_by_hand_is_cheaper_than_the_optimum(data):
    n, m = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    kinds = tuple(Kind(f"k{g}", f"k{g}", "", "", data.draw(st.sampled_from([0.0, 1.0, 1.5, 10.0])),
                       data.draw(st.sampled_from([None, 0, 1, 2, 4]))) for g in range(n))  # fmt: skip
    buckets = tuple(Bucket(f"b{b}", "", Fraction(data.draw(st.integers(0, 6))), 3) for b in range(m))
    served = {(b, g): data.draw(st.sampled_from([0.5, 1.0, 1.3, 2.0])) for b in range(m) for g in range(n)
              if data.draw(st.integers(0, 4))}  # fmt: skip
    mix = Mix(kinds, buckets, served, data.draw(st.booleans()))
    answer, other = cheapest_mix(mix).answer, recount.cheapest(mix)
    assert answer.status in ("optimal", "infeasible")
    if other is not None:
        assert answer.cost_usd_per_h is not None
        assert answer.cost_usd_per_h <= float(other[0]) + 1e-9


def test_audit_takes_no_dearer_fleet_for_the_cheapest():
    mix = Mix((Kind("cheap", "c", "", "", 1.0, 4), Kind("dear", "d", "", "", 10.0, None)),
              (Bucket("x", "", Fraction(5), 1),), {(0, 0): 1.0, (0, 1): 1.0}, fractional=True)  # fmt: skip
    found = audit.recompute(mix, {0: 0, 1: 5}, {(0, 1): 1.0})
    with pytest.raises(AuditError, match=r"4 x cheap, 1 x dear serve the demand for 14.0"):
        audit.check(mix, found, value=50.0, bound=50.0, optimal=True)


def test_infeasible_is_not_believed_where_kinds_serve_together(tmp_path):
    mix = Mix((Kind("a", "a", "", "", 1.0, 1), Kind("b", "b", "", "", 1.0, 1)), (Bucket("x", "", Fraction(2), 1),),
              {(0, 0): 1.0, (0, 1): 1.0}, fractional=True)  # fmt: skip
    false = cheapest_mix(mix).answer.model_copy(
        update={"status": "infeasible", "proof": None, "kinds": (), "shares": (), "cost_usd_per_h": None,
                "usd_per_million_requests": None})
    assert verify.faults(false, mix)[0] == ["1 x a, 1 x b serve the demand"]
