"""Mode achieved: constants found again in made-up runs, errors counted whole, bad questions named."""

import csv
import re
import tomllib

import numpy as np
import pytest

from codesign.facts.records import AchievedRecord
from codesign.physics import achieved, calibration
from codesign.physics.calibration import PRIOR
from tests.cases.command import known, load, put, run
from tests.cases.measured_tables import good_but, measured_of, write_rows, write_table

DEFAULT = "achieved/default.toml"


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """Runs without noise."""
    return measured_of(write_table(tmp_path_factory.mktemp("exact") / "runs.csv"))


def errors(constants, data):
    """Relative errors of times per output token and to first token."""
    k = constants.gather(data.rows)
    step, first = achieved.tpot_s(data.rows, k), achieved.ttft_s(data.rows, k)
    return np.abs(step / data.tpot_s - 1), np.abs(first / data.ttft_s - 1)


def unfitted():
    """Constants at their priors."""
    common, engine, first = ({name: PRIOR[name][0] for name in names} for names in (
        calibration.COMMON, calibration.BY_ENGINE, calibration.FIRST_TOKEN))  # fmt: skip
    engines = ("vllm", "sglang", "trtllm")
    return achieved.Constants(common, dict.fromkeys(engines, engine), {}, {}, first,
                              dict.fromkeys(engines, PRIOR["first_fixed_s"][0]), {})  # fmt: skip


def test_calibration_finds_known_constants(exact):
    """The table is not so near the priors that this says nothing."""
    step, first = errors(calibration.fit(exact), exact)
    assert np.median(step) < 0.025 and np.median(first) < 0.04 and max(step.max(), first.max()) < 0.15
    step, first = errors(unfitted(), exact)
    assert np.median(step) > 0.05 and np.median(first) > 0.25


def test_mislabelled_runs_do_not_drag_the_fit(tmp_path, exact):
    noisy = measured_of(write_table(tmp_path / "runs.csv", noise=0.10, mislabelled=5))
    wild = noisy.tpot_s > 5 * exact.tpot_s
    constants = calibration.fit(noisy)
    assert wild.sum() == 5
    assert np.median(errors(constants, noisy)[0]) < 0.10
    assert np.median(errors(constants, exact)[0]) < 0.04


def test_five_runs_already_help_and_stay_near_the_priors(tmp_path, exact):
    few = measured_of(write_table(tmp_path / "runs.csv", only=slice(0, 105, 21)))
    constants = calibration.fit(few)
    assert len(few.tpot_s) == 5
    for kind, value in constants.common.items():
        assert abs(np.log(value / PRIOR[kind][0])) < 0.5 * PRIOR[kind][1], kind
    for data in (few, exact):
        (step, first), (step_before, first_before) = errors(constants, data), errors(unfitted(), data)
        assert np.median(step) < 0.9 * np.median(step_before) and np.median(first) < 0.5 * np.median(first_before)


def test_five_wild_runs_do_not_leave_the_priors(tmp_path):
    data = measured_of(write_table(tmp_path / "runs.csv", noise=0.5, mislabelled=1, only=slice(0, 105, 21)))
    for kind, value in calibration.fit(data).common.items():
        assert abs(np.log(value / PRIOR[kind][0])) < PRIOR[kind][1], kind


def test_two_fits_are_the_same(exact):
    assert calibration.fit(exact) == calibration.fit(exact)


def test_an_engine_never_timed_to_its_first_token(tmp_path):
    """Its fixed time stays at the prior; the table is still fitted."""
    blank = [good_but(engine="sglang 0.5.6", ttft_ms="", concurrency=str(n)) for n in (1, 8, 64)]
    timed = [good_but(concurrency=str(n)) for n in (1, 8, 64)]
    for rows in (blank, blank + timed):
        done = run("calibrate", write_rows(tmp_path / "runs.csv", rows), "--out", tmp_path)
        assert (done.code, done.err) == (0, "")
        fixed = tomllib.loads((tmp_path / DEFAULT).read_text())["first_token_engine"]
        assert fixed["sglang"] == pytest.approx(PRIOR["first_fixed_s"][0], rel=1e-4)
        assert run("predict", *LLAMA, "--catalog", tmp_path).code == 0


def test_calibrate_writes_what_catalog_then_uses(tmp_path, exact):
    table = write_table(tmp_path / "runs.csv")
    out = put(tmp_path / "mine", {"note.txt": "stays"})
    texts = []
    for _ in range(2):
        done = run("calibrate", table, "--out", out)
        assert (done.code, done.err) == (0, "")
        texts.append((out / DEFAULT).read_text())
    assert texts[0] == texts[1]
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["default.toml", "note.txt"]
    assert tomllib.loads(texts[0])["fit"]["runs"] == len(exact.tpot_s)

    def median(*args):
        folder = tmp_path / f"errors{len(args)}"
        assert run("validate", table, "--out", folder, *args).code == 0
        return float(next(csv.DictReader((folder / "errors.csv").open()))["tpot_median"])

    assert median("--catalog", out) < 0.025 < 0.05 < median()
    assert run("predict", *LLAMA, "--catalog", out).out != run("predict", *LLAMA).out


def test_calibrate_writes_nothing_from_a_bad_table(tmp_path):
    out = put(tmp_path / "mine", {DEFAULT: "kept"})
    for rows in ([good_but()] * 9 + [good_but(tpot_ms="x")], [good_but()] * 2):
        assert run("calibrate", write_rows(tmp_path / "runs.csv", rows), "--out", out).code == 2
        assert run("calibrate", tmp_path / "runs.csv", "--out", tmp_path / "new").code == 2
    assert (out / DEFAULT).read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "runs.csv"}


def test_validate_counts_every_row_once(tmp_path):
    refused = [good_but(concurrency=""), good_but(model="secret-7b"), good_but(concurrency="0")]
    rows = [good_but(), good_but(ttft_ms="", engine="sglang"), *refused, good_but(accelerator="NVIDIA B200")]
    done = run("validate", write_rows(tmp_path / "runs.csv", rows), "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    assert "2 rows not predicted: no concurrency" in done.out and "1 rows not predicted: model secret-7b" in done.out
    lines = list(csv.DictReader((tmp_path / "out" / "errors.csv").open()))
    assert (lines[0]["split"], int(lines[0]["predicted"]), int(lines[0]["rows"])) == ("all", 3, len(rows))
    for split in ("chip", "model", "engine", "phase", "mix", "scenario"):
        assert sum(int(line["predicted"]) for line in lines if line["split"] == split) == 3
    written = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert sorted(int(line["line"]) for line in written) == list(range(2, 2 + len(rows)))
    assert [line["predicted_tpot_ms"] == "" for line in written] == [line["reason"] != "" for line in written]
    assert sum(line["reason"] != "" for line in written) == len(refused)


def test_validate_draws_charts_that_stand_alone(tmp_path):
    done = run("validate", write_rows(tmp_path / "runs.csv", [good_but()] * 3), "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    png, svg = ((tmp_path / "out" / f"chart.{kind}").read_bytes() for kind in ("png", "svg"))
    assert png.startswith(b"\x89PNG") and len(png) > 5_000
    assert svg.startswith(b"<svg") and b"measured time per output token" in svg
    html = (tmp_path / "out" / "chart.html").read_text()
    assert "vegaEmbed" in html and not re.search(r"<script[^>]*\ssrc|<link[^>]*\shref", html)


LLAMA = ("--model", "llama-3.1-70b", "--chip", "h100-sxm")
DEEPSEEK = ("--model", "deepseek-v3", "--chip", "h200-sxm", "--expert", "8", "--engine", "sglang")


@pytest.mark.parametrize("asked", [LLAMA, (*LLAMA, "--users", "4000"), DEEPSEEK])
def test_predict_adds_up(asked):
    found = known("predict", "--json", *asked).json
    assert sum(found["terms_s"].values()) == pytest.approx(found["tpot_s"], rel=1e-12)
    assert min(found["terms_s"].values()) >= 0
    assert found["band_s"][0] < found["tpot_s"] < found["band_s"][1]
    assert found["user_speed"] == pytest.approx(1 / found["tpot_s"])
    served = min(found["users"], found["users_held"])
    assert found["chip_speed"] == pytest.approx(served * found["user_speed"] / found["chips"])
    assert any("the others wait" in note for note in found["notes"]) == (found["users"] > served)


BAD = [
    (("--model", "llama-9", "--chip", "h100-sxm"), "'llama-9'"), (("--model", "llama-3.1-8b", "--chip", "h9"), "'h9'"),
    ((*LLAMA, "--engine", "abacus"), "--engine = 'abacus'"), ((*LLAMA, "--engine", " "), "--engine = ' '"),
    ((*LLAMA, "--engine", "pytorch"), "--engine"), ((*LLAMA, "--tensor", "7"), "--tensor = 7"),
    ((*LLAMA, "--pipeline", "81"), "--pipeline = 81"), ((*LLAMA, "--expert", "8"), "--expert = 8"),
    ((*DEEPSEEK[:4], "--expert", "3"), "--expert = 3"), ((*DEEPSEEK[:4], "--expert", "16"), "--expert = 16"),
    ((*LLAMA, "--tensor", "1"), "--tensor 1"), ((*LLAMA, "--precision", "fp6"), "--precision = 'fp6'"),
    ((*LLAMA, "--kv-precision", "fp6"), "--kv-precision = 'fp6'"), ((*LLAMA, "--input", "nan"), "--input"),
    ((*LLAMA, "--users", "inf"), "--users"), ((*LLAMA, "--users", "0"), "--users"),
    (("--model", "llama-3.1-8b", "--chip", "l40s", "--tensor", "8", "--data", "2"), "no scale_out link"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "named"), BAD)
def test_predict_names_what_is_wrong(asked, named):
    done = known("predict", *asked)
    assert (done.code, done.out) == (2, "")
    assert named in done.err


def test_predict_notes_what_was_never_measured():
    notes = {chip: known("predict", "--json", "--model", "llama-3.1-8b", "--chip", chip).json["notes"]
             for chip in ("h100-sxm", "h100-pcie", "mi300x", "gaudi3")}  # fmt: skip
    assert [bool(notes[chip]) for chip in notes] == [False, False, True, True]
    assert "no run on gaudi3 or its family was fitted" in notes["gaudi3"][0]
    latent = ("--model", "deepseek-v3", "--chip", "h200-sxm", "--expert", "8", "--release", "vllm 0.12.0")
    told = known("predict", "--json", *latent).json["notes"]
    assert any("'vllm 0.12.0' was not measured on models with the attention of deepseek-v3" in note for note in told)


def test_shipped_constants_are_physically_sane():
    record = load().get(AchievedRecord, "default")
    common = record.common
    assert min(common[name] for name in ("memory", "expert", "matrix", "prefill", "collective")) >= 1
    for engine in record.engine.values():
        assert 0.5e-6 <= engine["kernel_s"] <= 20e-6 and 1e-6 <= engine["user_s"] <= 1e-3
    assert 0 < common["fixed_s"] < 20e-3
    assert all(0.5 < value < 2 for family in record.family.values() for value in family.values())
    assert all(low < 1 < high for low, high in record.band.values())
