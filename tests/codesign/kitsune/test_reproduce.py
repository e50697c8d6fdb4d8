"""`codesign reproduce kitsune`: cells beside the study's, predictions marked, checks with their numbers and misses."""

import json
from functools import cache

import jsonschema
import pytest

from codesign.facts.catalog import load
from codesign.facts.records import StudyRecord
from codesign.kitsune.reproduce import KitsuneReproduction, reproduce
from codesign.kitsune.reproduce_checks import REASONS, Facts, checks

MISSED = {"sub-graphs, geometric mean"}
APPS = 6


@cache
def found() -> KitsuneReproduction:
    return reproduce(load())


def test_every_known_cell_is_there_and_training_traffic_is_predicted() -> None:
    known = [c for c in found().cells if c.mark == "known"]
    predicted = [c for c in found().cells if c.mark == "prediction"]
    assert len(known) == 3 * 11 + 2 * APPS and len(predicted) == 2 * (APPS - 1)
    assert all(c.study is None and c.mode == "training" and "traffic" in c.what for c in predicted)


def test_operator_counts_are_exact() -> None:
    assert all(c.study == c.ours for c in found().cells if c.what == "operators")


def test_coverage_that_differs_names_its_operators() -> None:
    differing = {(c.app, c.mode, c.what) for c in found().cells if "coverage" in c.what and c.study != c.ours}
    assert differing and {(d.app, d.mode, d.what) for d in found().differences} == differing
    operators = {(c.app, c.mode): c.ours for c in found().cells if c.what == "operators"}
    for d in found().differences:
        assert len(d.covered) == d.ours and len({*d.covered, *d.left_out}) == operators[d.app, d.mode]


def test_measured_sub_graphs_are_beside_ours() -> None:
    rows = {m.name: m for m in found().measured}
    assert len(rows) == 6 and all(m.operators >= 6 for m in rows.values())
    assert rows["nerf_all"].operators == 24 and rows["dlrm_bot"].traffic == pytest.approx(15.3, rel=0.05)
    assert all(m.bulk > m.measured_bulk and m.traffic > 1 for m in rows.values())  # a model of peaks and shares


def test_checks_are_hit_but_for_the_ones_that_say_why() -> None:
    missed = {c.name for c in found().checks if not c.hit}
    assert missed == MISSED
    assert all(bool(c.reason) != c.hit for c in found().checks)


def test_headlines() -> None:
    inference = {s.app: s.kitsune for s in found().speeds if s.mode == "inference"}
    assert max(inference, key=lambda app: inference[app]) == "nerf"
    assert min(inference, key=lambda app: inference[app]) == "llama3-8b-context"
    means = {m.what: m.ours for m in found().means}
    assert means["inference, Kitsune"] == pytest.approx(1.5, rel=0.2)
    assert means["inference, sub-graphs with fill and queues"] == pytest.approx(1.9, rel=0.2)


def test_fill_and_queues_never_speed_up() -> None:
    assert all(1 <= s.with_queues <= s.kitsune for s in found().speeds)


def test_the_abstract_s_cuts_are_named() -> None:
    assert all(cut in found().discrepancy for cut in ("41%", "16%", "42%")) and "98%" not in found().discrepancy


def test_it_is_a_document() -> None:
    text = json.loads(found().document())
    jsonschema.validate(text, KitsuneReproduction.model_json_schema(by_alias=True))
    assert text["schema"] == 1 and len(text["assumptions"]) >= 6


def test_misses_have_reasons() -> None:
    headline = load().get(StudyRecord, "kitsune").headline
    cells = {(app, f"{kind} traffic cut"): (50.0, 0.0) for app in ("dlrm", "nerf", "graphcast", "meshgraphnets")
             for kind in ("vertical", "Kitsune")}  # fmt: skip
    names = [m.what for m in found().means]
    bad = Facts({"nerf": 1.0, "dlrm": 9.0, "graphcast": 9.0, "llama3-8b-context": 5.0}, {"nerf": 9.0},
                dict.fromkeys(names, 9.0), cells, [1.0])  # fmt: skip
    results = list(checks(bad, headline))
    assert not any(c.hit for c in results) and all(c.reason for c in results)
    assert len({c.reason for c in results}) == len(REASONS)
