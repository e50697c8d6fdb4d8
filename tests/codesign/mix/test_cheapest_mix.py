"""The mix of replicas: tables and demands are read with all their faults, the answer is audited, and can be kept."""

import csv
import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.errors import AuditError, DataError
from codesign.mix import audit
from codesign.mix.answer import MixAnswer
from codesign.mix.cheapest_mix import cheapest_mix, solve_published
from codesign.mix.demand import read_demand
from codesign.mix.measured import Options
from codesign.mix.measured import mix_of as measured_mix
from codesign.mix.profile import read_profile
from codesign.mix.published import mix_of
from codesign.mix.question import instance_of
from formulations import fleet_slices
from formulations.solvers import highs
from tests.cases.command import run
from tests.cases.mix_tables import DEMAND, EXAMPLES, TABLE, published

REPEATED = settings(derandomize=True, deadline=None)
TWO = {
    "total_request_rate": 30.0, "slice_factor": 1, "workload_distribution": [[0.25, 0.15], [0.4, 0.2]],
    "gpu_info": {"small": {"cost": 1.2, "tputs": [[3, 1], [5, 2]]},
                 "large": {"cost": 4.5, "tputs": [[20, 18], [30, 20]]}},
}  # fmt: skip
# loads of its buckets: 2.5, 4.5, 2.4 and 3 replicas of small, 0.375, 0.25, 0.4 and 0.3 of large. One large holds all
# but the first or the third, which then take 3 small: 8.1 $/h; two large alone are 9 $/h, 13 small 15.6 $/h
BEST = 8.1


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    table, demand = tmp_path / "table.csv", tmp_path / "demand.toml"
    table.write_text(TABLE, encoding="utf-8")
    demand.write_text(DEMAND, encoding="utf-8")
    return table, demand


def ask(files: tuple[Path, Path], **options: object) -> MixAnswer:
    mix, notes = measured_mix(read_profile(files[0]), read_demand(files[1]), Options(**options))
    return cheapest_mix(mix, notes=notes).answer


def test_measured_table_decides(files):
    """25 requests/s: 20 short and 5 long; who gives long ones 30 tokens/s is the middle or the large chip."""
    answer = ask(files)
    assert answer.status == "optimal"
    assert answer.counts() == {"small": 2, "middle tp1": 0, "large tp2": 1}
    assert answer.cost_usd_per_h == pytest.approx(2 * 0.7 + 12.4)
    shares = {(s.bucket, s.kind): (s.slices, s.of, s.requests_per_s) for s in answer.shares}
    assert shares == {("short", "small"): (1, 4, 5.0), ("short", "large tp2"): (3, 4, 15.0),
                      ("long", "large tp2"): (4, 4, 5.0)}  # fmt: skip
    small, _, large = answer.kinds
    assert small.load == pytest.approx(5 / 3)
    assert large.load == pytest.approx(15 / 40 + 5 / 9)
    assert small.spare == pytest.approx(2 - 5 / 3)
    assert answer.usd_per_million_requests == pytest.approx(13.8 / (25 * 3600) * 1e6)
    assert {one.kind: (one.count, one.cost_usd_per_h) for one in answer.singles} == {
        "small": (None, None), "middle tp1": (4, 14.68), "large tp2": (2, 24.8)}  # fmt: skip
    assert "cannot serve long" in answer.singles[0].why


def test_slower_rows_count_only_where_their_speed_is_enough(files):
    assert ask(files, speed=30.0).counts()["small"] == 0
    everywhere = ask(files, speed=15.0)
    assert everywhere.cost_usd_per_h <= ask(files).cost_usd_per_h
    assert {s.kind for s in ask(files, speed=50.0).shares} == {"large tp2"}
    fast = ask(files, speed=61.0)
    assert (fast.status, fast.in_the_way) == ("infeasible", "no kind of the table serves short, long")
    assert [(cure.limit, cure.value) for cure in fast.cures] == [("speed", 60.0)]
    assert ask(files, speed=60.0).status == "optimal"


def test_slices_and_supply(files):
    coarse, fine, divided = ask(files, slices=1), ask(files, slices=64), ask(files, fractional=True)
    assert divided.cost_usd_per_h <= fine.cost_usd_per_h <= coarse.cost_usd_per_h
    assert fine.proof.floor == pytest.approx(divided.cost_usd_per_h)
    assert ask(files, available={"large tp2": 0}).counts() == {"small": 5, "middle tp1": 3, "large tp2": 0}


def test_infeasible_supply_names_the_least_that_would_do(files):
    answer = ask(files, available={"large tp2": 0, "middle tp1": 2, "small": 1})
    assert answer.status == "infeasible"
    assert answer.in_the_way == "too few replicas are to be had"
    cures = {cure.limit: cure.value for cure in answer.cures}
    assert cures == {"available.middle tp1": 4.0, "available.large tp2": 1.0}  # small is too slow for long
    for limit, value in cures.items():
        kind = limit.removeprefix("available.")
        held = {"large tp2": 0, "middle tp1": 2, "small": 1}
        assert ask(files, available=held | {kind: int(value)}).status == "optimal"
        assert ask(files, available=held | {kind: int(value) - 1}).status == "infeasible"


def test_models_do_not_serve_each_other(tmp_path):
    table, demand = tmp_path / "t.csv", tmp_path / "d.csv"
    table.write_text("chip,model,bucket,tokens_per_s,tokens_per_request,dollars_per_hour\n"
                     "a,m1,x,1000,100,1\na,m2,x,500,100,1\n")  # fmt: skip
    demand.write_text("bucket,model,requests_per_s,slices\nx,m1,25,5\nx,m2,6,\n")
    answer = ask((table, demand))
    assert answer.counts() == {"m1: a": 3, "m2: a": 2}
    assert {(s.model, s.kind, s.of) for s in answer.shares} == {("m1", "m1: a", 5), ("m2", "m2: a", 8)}


def test_rate_scales_a_demand_and_stands_for_one(files):
    table, demand = read_profile(files[0]), read_demand(files[1])
    twice, _ = measured_mix(table, demand, Options(rate=50.0))
    assert [float(b.rate) for b in twice.buckets] == [40.0, 10.0]
    equal, notes = measured_mix(table, None, Options(rate=50.0))
    assert [float(b.rate) for b in equal.buckets] == [25.0, 25.0]
    assert "same share" in notes[0]
    with pytest.raises(DataError, match="--demand FILE"):
        measured_mix(table, None, Options())


HEAD = "chip,bucket,requests_per_s,dollars_per_hour"
BAD_TABLES = [
    ("chip,bucket,rate,dollars_per_hour\n", [
        "line 1: column 'rate' is unknown", "no column requests_per_s or tokens_per_s"]),
    ("chip;bucket\n", ["line 1: column 'chip;bucket' is unknown", "no column dollars_per_hour"]),
    (HEAD + ",chip\na,x,1,1,a\n", ["line 1: column 'chip' occurs twice"]),
    (HEAD + "\n", ["no rows below the header"]),
    ("", ["line 1: no column chip"]),
    (HEAD + "\na,x,-1,1\n,x,1,1\na,,1,nan\nb,x,1e999,1,9\n", [
        "line 2, column requests_per_s: '-1', expected a number, 0 or more", "line 3, column chip: is blank",
        "line 4, column bucket: is blank", "line 4, column dollars_per_hour: 'nan'",
        "line 5, column requests_per_s: '1e999'", "line 5: more cells than columns: '9'"]),
    (HEAD + "\na,x,,1\na,y,1_0,\n", [
        "line 2, column requests_per_s: blank; write 0", "line 3, column requests_per_s: '1_0'",
        "line 3, column dollars_per_hour: blank"]),
    (HEAD + "\na,x,1,1\na,x,2,1\na,y,1,2\n", ["line 3: measures what line 2 does",
                                             "line 4, column dollars_per_hour: 2, but 1 in line 2"]),
    (HEAD + ",available\na,x,1,1,1.5\nb,x,1,1,-1\nc,x,1,1,2\nc,y,1,1,\n", [
        "line 2, column available: '1.5' is not a whole number", "line 3, column available: '-1'",
        "line 5, column available: blank, but 2 in line 4"]),
    (HEAD + ",speed\na,x,1,1,0\n", ["line 2, column speed: '0', expected a number, above 0"]),
    (HEAD + ",tokens_per_s,tokens_per_request\na,x,1,1,1,1\na,y,,1,5,0\n", [
        "line 2, column requests_per_s or tokens_per_s: both are filled",
        "line 3, column tokens_per_request: '0', expected a number, above 0"]),
    ("chip,bucket,tokens_per_s,dollars_per_hour\na,x,1,1\n", ["column tokens_per_s needs tokens_per_request"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "faults"), BAD_TABLES)
def test_bad_table_names_all_its_faults(tmp_path, text, faults):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_profile(path)
    for fault in faults:
        assert fault in str(error.value)
    assert all(line.startswith(str(path)) for line in str(error.value).splitlines())


BAD_DEMANDS = [
    ("toml", "", ["bucket: none"]),
    ("toml", "x = 1\nslices = 0\nspeed = '30 ms'\nrequests_per_s = -1\n", [
        "x = 1: unknown key", "slices = 0", "speed = '30 ms'", "requests_per_s = -1"]),
    ("toml", '[[bucket]]\nname = "short"\n', ["bucket.0 (short): give either requests_per_s or share"]),
    ("toml", '[[bucket]]\nname = "short"\nshare = 0.4\n[[bucket]]\nname = "short"\nshare = 0.5\n', [
        "occurs twice", "add up to 0.9"]),
    ("toml", '[[bucket]]\nname = "short"\nrequests_per_s = inf\n', ["is not finite"]),
    ("toml", 'requests_per_s = 3\n[[bucket]]\nname = "short"\nrequests_per_s = 1\n', ["goes with shares"]),
    ("toml", '[[bucket]]\nname = "short"\nrequests_per_s = 1\n[available]\nsmall = 1.5\n', ["available.small = 1.5"]),
    ("toml", "[[bucket]", ["not readable as TOML"]),
    ("csv", "bucket,rate\n", ["line 1: column 'rate' is unknown", "needed are the columns bucket and requests_per_s"]),
    ("csv", "bucket,requests_per_s\nshort,x\nlong,-1\na,1,2\n", [
        "line 2: requests_per_s", "line 3: requests_per_s", "line 4: more cells"]),
    ("csv", "bucket,requests_per_s,share\nshort,1,\nlong,,0.5\n", ["some have a share and some requests_per_s"]),
    ("json", "{}", ["expected a file .toml or .csv"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "faults"), BAD_DEMANDS)
def test_bad_demand_names_all_its_faults(tmp_path, kind, text, faults):
    path = tmp_path / f"demand.{kind}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_demand(path)
    for fault in faults:
        assert fault in str(error.value)
    assert str(path) in str(error.value)


def broken(**changes: object) -> dict[str, object]:
    return {**deepcopy(TWO), **changes}


def kind_broken(**changes: object) -> dict[str, object]:
    document = deepcopy(TWO)
    document["gpu_info"]["small"] |= changes
    return document


BAD_INSTANCES = [
    (broken(rate=1, gpus={}), ["rate: unknown", "gpus: unknown"]),
    ({}, ["total_request_rate: missing", "workload_distribution: missing", "gpu_info: missing"]),
    (broken(total_request_rate=-1, slice_factor=1.5), ["total_request_rate = -1", "slice_factor = 1.5"]),
    (broken(total_request_rate=True, slice_factor=0), ["total_request_rate = True", "slice_factor = 0"]),
    (broken(total_request_rate=float("nan")), ["total_request_rate = nan"]),
    (broken(workload_distribution=[[0.5], [0.2, 0.3]]), ["workload_distribution: rows of [1, 2] numbers"]),
    (broken(workload_distribution=[[0.5, "x"], [-0.1, None]]),
     ["workload_distribution[0][1] = 'x'", "[1][0] = -0.1", "[1][1] = None"]),
    (broken(workload_distribution=0.5), ["workload_distribution: expected a list of lists"]),
    (broken(gpu_info={}), ["gpu_info: expected a table"]),
    (broken(gpu_info={"small": 3}), ["gpu_info.small: expected a table"]),
    (kind_broken(cost="1", available=1.5, tput=1), [
        "gpu_info.small.cost = '1'", "small.available = 1.5", "small.tput: unknown"]),
    (kind_broken(tputs=[[1, 2]]), [
        "gpu_info.small.tputs: rows of [2] numbers, but workload_distribution has rows of [2, 2]"]),
    (kind_broken(tputs=[[1, 2], [float("inf"), 1]]), ["gpu_info.small.tputs[1][0] = inf"]),
    (broken(total_request_rate=1e16), ["would take more than 1,000,000,000 replicas"]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "faults"), BAD_INSTANCES)
def test_bad_instance_names_all_its_faults(document, faults):
    with pytest.raises(DataError) as error:
        solve_published(document)
    for fault in faults:
        assert fault in str(error.value)


def test_published_form():
    answer = solve_published(TWO)
    assert answer.status == "optimal"
    assert answer.counts() == {"small": 3, "large": 1}
    assert answer.cost_usd_per_h == BEST
    assert answer.proof.bound == BEST
    assert solve_published(TWO, fractional=True).cost_usd_per_h <= solve_published(TWO, slices=8).cost_usd_per_h <= BEST


def test_published_form_cannot_and_may():
    """1e-6 and less cannot serve; `available` limits; a bucket without a share asks nothing."""
    none = kind_broken(tputs=[[1e-6, 0], [5, 2]])
    assert {s.kind for s in solve_published(none).shares if s.bucket.startswith("[0]")} == {"large"}
    assert solve_published(kind_broken(available=0)).counts()["small"] == 0
    nobody = broken(gpu_info={"a": {"cost": 1, "tputs": [[1, 1], [1, 0]]}})
    assert solve_published(nobody).in_the_way == "no kind of the table serves [1][1]"
    nobody["workload_distribution"] = [[0.5, 0.2], [0.3, 0.0]]
    assert solve_published(nobody).cost_usd_per_h == 30.0
    nothing = solve_published(broken(total_request_rate=0))
    assert (nothing.status, nothing.cost_usd_per_h, nothing.usd_per_million_requests) == ("optimal", 0.0, None)


@settings(REPEATED, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 5]), st.sampled_from([2.0, 9.0, 40.0]))
def test_answers_of_generated_instances_hold(seed, slices, rate):
    """Audited within; divided <= sliced <= one kind alone; more requests never cost less."""
    document = published(seed, size=3, slices=slices, rate=rate, kinds=3)
    answer, divided = solve_published(document), solve_published(document, fractional=True)
    alone = [one.cost_usd_per_h for one in answer.singles if one.cost_usd_per_h is not None]
    assert answer.status == divided.status == "optimal"
    assert divided.cost_usd_per_h <= answer.cost_usd_per_h <= min(alone)
    more = solve_published(document | {"total_request_rate": rate * 1.5})
    assert more.cost_usd_per_h >= answer.cost_usd_per_h


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="the published examples are not beside this project")
def test_published_examples():
    for document in json.loads(EXAMPLES.read_text(encoding="utf-8"))["instances"]:
        best = document["answers"]
        answer = solve_published(document)
        assert answer.status == "optimal"
        assert answer.cost_usd_per_h == pytest.approx(best["best_known_cost"], abs=1e-9)
        divided = solve_published(document, fractional=True)
        assert divided.cost_usd_per_h == pytest.approx(best["continuous_split_cost"], abs=1e-9)
        singles = {one.kind: one.cost_usd_per_h for one in answer.singles}
        assert singles == pytest.approx(best["single_gpu_type_costs"])


def test_audit_finds_what_is_wrong():
    mix = mix_of(TWO)
    fleet = fleet_slices.solve(instance_of(mix))[0].solution
    counts, assign = dict(fleet.counts), dict(fleet.assign)
    found = audit.recompute(mix, counts, assign)
    audit.check(mix, found, value=BEST, bound=BEST, optimal=True)
    pair = next(iter(assign))
    wrong = [
        (counts, {p: n for p, n in assign.items() if p != pair}, "of 1 slices of"),
        (counts, assign | {pair: 0.5}, "0.5 slices of"),
        ({g: n - 1 for g, n in counts.items()}, assign, "replicas carry a load"),
    ]
    for n, x, message in wrong:
        with pytest.raises(AuditError, match=message):
            audit.recompute(mix, n, x)
    scarce = replace(mix, kinds=tuple(replace(kind, available=0) for kind in mix.kinds))
    with pytest.raises(AuditError, match="replicas of 0"):
        audit.recompute(scarce, counts, assign)
    for value, bound, message in [(6.0, 6.0, "the program says"), (BEST, 9.0, "below the proven bound")]:
        with pytest.raises(AuditError, match=message):
            audit.check(mix, found, value=value, bound=bound, optimal=True)
    dear = replace(found, cost=found.cost * 10)
    with pytest.raises(AuditError, match="alone cost"):
        audit.check(mix, dear, value=float(dear.cost), bound=None, optimal=True)
    cheap = replace(found, cost=found.cost / 10)
    with pytest.raises(AuditError, match="which no fleet is"):
        audit.check(mix, cheap, value=float(cheap.cost), bound=None, optimal=False)


def test_command(files, tmp_path):
    out = tmp_path / "out"
    done = run("mix", "--profile", files[0], "--demand", files[1], "--json", "--export", out)
    assert done.code == 0
    jsonschema.validate(done.json, MixAnswer.model_json_schema(by_alias=True))
    assert done.json["cost_usd_per_h"] == pytest.approx(13.8)
    assert len(done.json["query"]["profile_sha256"]) == 64
    assert json.loads((out / "mix.json").read_text(encoding="utf-8")) == done.json
    with (out / "counts.csv").open(encoding="utf-8", newline="") as lines:
        assert [(row["kind"], row["count"]) for row in csv.DictReader(lines)] == [
            ("small", "2"), ("middle tp1", "0"), ("large tp2", "1")]  # fmt: skip
    with (out / "slices.csv").open(encoding="utf-8", newline="") as lines:
        assert [(r["bucket"], r["kind"], r["slices"], r["of"]) for r in csv.DictReader(lines)] == [
            ("short", "small", "1", "4"), ("short", "large tp2", "3", "4"),
            ("long", "large tp2", "4", "4")]  # fmt: skip
    for name in ("model.lp", "model.mps"):
        assert highs.read_optimum(out / name) == pytest.approx(13.8)
    for name in ("slices", "costs"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / f"{name}.svg").read_text(encoding="utf-8")
        assert "https://cdn" not in (out / f"{name}.html").read_text(encoding="utf-8")
    shown = run("mix", "--profile", files[0], "--demand", files[1]).out
    assert "2 x small, 1 x large tp2: $13.80/h" in shown
    assert "cannot serve long" in shown


def test_command_on_instances(tmp_path):
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    one.write_text(json.dumps(TWO), encoding="utf-8")
    many.write_text(json.dumps({"instances": [published(1), TWO | {"name": "two"}]}), encoding="utf-8")
    assert run("mix", "--instance", one, "--json").json["cost_usd_per_h"] == BEST
    named = run("mix", "--instance", many, "--name", "two", "--json")
    assert named.json["cost_usd_per_h"] == BEST
    assert "divided at will" in run("mix", "--instance", one, "--fractional").out


def test_command_infeasible(files):
    limits = ["--available", "large tp2=0", "--speed", "50 tokens/s"]
    done = run("mix", "--profile", files[0], "--demand", files[1], *limits)
    assert done.code == 5
    assert "Infeasible: too few replicas are to be had" in done.out
    assert "available.large tp2 = 2 instead of 0 would do" in done.out


BAD_COMMANDS = [
    ([], ["give either --profile TABLE.csv or --instance FILE.json"]),
    (["--profile", "T", "--instance", "I"], ["give either"]),
    (["--profile", "absent.csv", "--rate", "3"], ["absent.csv: no such file"]),
    (["--profile", "T", "--demand", "absent.toml"], ["absent.toml: no such file"]),
    (["--profile", "T"], ["--demand FILE.toml or .csv is needed"]),
    (["--profile", "T", "--rate", "many"], ["--rate 'many': expected requests/s"]),
    (["--profile", "T", "--rate", "3", "--speed", "30 ms"], ["30 ms", "tokens/s"]),
    (["--profile", "T", "--rate", "3", "--slices", "4", "--fractional"], ["exclude each other"]),
    (["--profile", "T", "--rate", "3", "--available", "huge=1"],
     ["'huge' is no kind of the table; there are: small, middle tp1"]),
    (["--profile", "T", "--rate", "3", "--available", "small=x"], ["--available small=x: expected a whole number"]),
    (["--profile", "T", "--rate", "3", "--name", "x"], ["--name goes with --instance"]),
    (["--instance", "I", "--name", "x"], ["holds one instance"]),
    (["--instance", "I", "--rate", "3"], ["--rate: goes with --profile"]),
    (["--instance", "T"], ["not readable as JSON"]),
    (["--instance", "I", "--time-limit", "3"], ["'3'", "no unit"]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD_COMMANDS)
def test_bad_command(files, tmp_path, arguments, said):
    one = tmp_path / "one.json"
    one.write_text(json.dumps(TWO), encoding="utf-8")
    done = run("mix", *({"T": files[0], "I": one}.get(a, a) for a in arguments))
    assert done.code == 2
    for part in said:
        assert part in done.err
    assert done.out == ""


def test_demand_and_table_that_do_not_go_together(files):
    table, demand = files
    demand.write_text('[[bucket]]\nname = "chat"\nrequests_per_s = 1\nspeed = "3 tokens/s"\n[available]\nhuge = 3\n')
    table.write_text(TABLE.replace("speed", "note").replace("small,,short,40,1.0,0.70,\n", ""))
    with pytest.raises(DataError) as error:
        ask(files)
    for fault in ("bucket 'chat' is not in", "'huge' is no kind", "has no column speed"):
        assert fault in str(error.value)
