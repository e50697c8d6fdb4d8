"""The catalogue: what it holds, where every number is from, and one's own numbers over and beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from codesign.facts.catalog import Catalog, load
from codesign.facts.errors import DataError
from codesign.facts.fact import CONFIDENCES
from codesign.facts.records import KINDS, ChipRecord, DieRecord, LinkRecord, MemoryRecord, ModelRecord, numbers
from tests.cases.command import INSTANCES, best, entry, every_file, known, line_of, put, run

STUDY = ["xpu-3d-dram", "xpu-cows", "xpu-hbm3", "xpu-hbm4", "xpu-sram"]


@pytest.fixture(scope="module")
def ours() -> Catalog:
    return load()


# what it holds


def test_holds_what_was_promised(ours: Catalog) -> None:
    chips = [chip for chip in ours.all(ChipRecord) if chip.status != "study"]
    assert len(ours.all(MemoryRecord)) >= 12
    assert len(chips) >= 28
    assert len({chip.vendor for chip in chips}) >= 6
    assert len(ours.all(ModelRecord)) >= 18
    assert [chip.name for chip in ours.all(ChipRecord) if chip.status == "study"] == STUDY
    families = {record.family for record in ours.all(MemoryRecord)}
    assert families >= {"hbm3", "hbm3e", "hbm4", "gddr7", "lpddr5x", "ddr5", "sram"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_read(kind: str, ours: Catalog) -> None:
    assert set(ours.records[kind]) == {name.removesuffix(".toml") for name, _ in every_file(INSTANCES / kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_unit_source_date_and_confidence(kind: str, ours: Catalog) -> None:
    for name, record in ours.records[kind].items():
        for path, fact in numbers(record):
            where = f"{kind}.{name}.{path}"
            assert fact.unit, where
            assert fact.source in ours.sources, where
            assert len(fact.date) >= 4, where
            assert fact.confidence in CONFIDENCES[:-1], where  # none is the user's
            assert fact.bounds()[0] <= fact.si <= fact.bounds()[1], where


def test_every_model_has_a_source(ours: Catalog) -> None:
    for model in ours.all(ModelRecord):
        assert model.source in ours.sources
        assert model.published.source in ours.sources


def test_every_source_can_be_looked_up(ours: Catalog) -> None:
    for key, source in ours.sources.items():
        assert source.title, key
        assert source.url, key
        assert len(source.read) >= 4, key


def test_two_numbers_that_are_often_printed_wrong(ours: Catalog) -> None:
    """The workstation card has 1.792 TB/s; the eighth link of an MI355X goes to the host."""
    assert ours.fact("chips.rtx-pro-6000-server.bandwidth").si == pytest.approx(1.597e12)
    assert ours.fact("chips.mi355x.connections.scale_up_bandwidth").si == pytest.approx(538e9)


# peaks that are not dense show as a ratio between precisions; {name: why it may exceed}
MORE_THAN_DOUBLE = {
    "rubin-vr-nvl72": "its 8-bit units grew, its 16-bit ones did not: 17.5 PFLOP/s FP8 announced, 4 BF16 unverified",
    "vr200": "the die of rubin-vr-nvl72",
    "tenstorrent-blackhole-p150": "its BF16 is the lower end of a published 194-387",
    "trainium3": "its maker prints 2517 TFLOP/s FP8, the same as FP4, beside 671 BF16",
    "groq-lpu-v1": "its maker prints 750 TOP/s INT8 beside 188 TFLOP/s FP16",
}  # fmt: skip
LESS = {"b300-sxm": "INT8 was cut in Blackwell Ultra", "gb300-nvl72": "likewise"}


@pytest.mark.parametrize(("fast", "slow", "most"), [("fp8", "bf16", 2.5), ("int8", "bf16", 2.5), ("fp4", "fp8", 3.5)])
def test_peaks_are_dense(fast: str, slow: str, most: float, ours: Catalog) -> None:
    """Half the bits are twice the rate, or thrice for FP4; with sparsity it would be four times."""
    for record in [*ours.all(ChipRecord), *ours.all(DieRecord)]:
        upper, lower = getattr(record.peak, fast), getattr(record.peak, slow)
        if upper is None or lower is None:
            continue
        ratio = upper.si / lower.si
        assert ratio <= most or record.name in MORE_THAN_DOUBLE, record.name
        assert ratio >= 1 or (fast == "int8" and record.name in LESS), record.name


def test_exceptions_are_exceptions(ours: Catalog) -> None:
    for name in MORE_THAN_DOUBLE:
        peak = (ours.records["chips"] | ours.records["dies"])[name].peak  # type: ignore[attr-defined, operator]
        assert max(fact.si for fact in (peak.fp8, peak.int8) if fact) > 2.5 * peak.bf16.si, name


@pytest.mark.parametrize("record", load().all(ChipRecord), ids=lambda record: record.name)
def test_magnitudes_of_a_chip(record: ChipRecord) -> None:
    """Ranges that a slip of a prefix leaves."""
    ranges = {
        "usable_memory": (1e8, 2e12), "bandwidth": (1e11, 3e16), "power": (50, 3e4), "price": (300, 4e6),
        "hyperscaler": (0.1, 100), "rent": (0.1, 100), "peak.bf16": (1e13, 2e17), "peak.fp8": (1e13, 3e17),
        "peak.vector": (1e12, 1e16), "connections.scale_up_bandwidth": (1e10, 1e13),
        "connections.scale_out_bandwidth": (1e9, 1e12), "available": (2017, 2030),
    }  # fmt: skip
    found = dict(numbers(record))
    for path, (low, high) in ranges.items():
        if path in found:
            assert low <= found[path].si <= high, f"{record.name}.{path} = {found[path].value}"


def test_usable_memory_is_at_most_raw(ours: Catalog) -> None:
    for chip in ours.all(ChipRecord):
        if chip.usable_memory is not None and chip.raw_memory is not None:
            assert chip.usable_memory.si <= chip.raw_memory.si * (1 + 1e-9), chip.name


def test_latencies_rise(ours: Catalog) -> None:
    for link in ours.all(LinkRecord):
        times = [one.latency.si for one in link.limit]
        assert times == sorted(times), link.name


def test_every_collective_has_a_source_and_every_stand_in_exists(ours: Catalog) -> None:
    for link in ours.all(LinkRecord):
        for one in link.collectives:
            assert one.source in ours.sources, (link.name, one.op, one.group)
        assert link.like is None or link.like.link in ours.records["links"], link.name


FIRST = "bytes = [1024, 16384, 16777216, 268435456]\nseconds = [2.4e-6, 2.71e-6, 5.85e-5, 0.000933]"


@pytest.mark.parametrize(("old", "new", "words"), [
    (FIRST, "bytes = [1024, 16384]\nseconds = [2e-6]", "2 bytes and 1 seconds"),
    (FIRST, "bytes = [1024]\nseconds = [2e-6]", "at least 2"),
    (FIRST, "bytes = [1024, 1024]\nseconds = [2e-6, 3e-6]", "bytes must rise"),
    (FIRST, "bytes = [1024, 2048]\nseconds = [3e-6, 2e-6]", "seconds must not fall"),
    (FIRST, "bytes = [0, 2048]\nseconds = [2e-6, 3e-6]", "positive and finite"),
    (FIRST, "bytes = [1024, 2048]\nseconds = [0.0, 3e-6]", "positive and finite"),
    (FIRST, "bytes = [1024, inf]\nseconds = [2e-6, 3e-6]", "positive and finite"),
    (FIRST, "bytes = [1024, 2048]\nseconds = [2e-6, nan]", "positive and finite"),
    (FIRST, "bytes = [true, 2048]\nseconds = [2e-6, 3e-6]", "plain numbers"),
    (FIRST, 'bytes = ["1 KB", 2048]\nseconds = [2e-6, 3e-6]', "plain numbers"),
    ('op = "all_reduce"\ngroup = 2', 'op = "broadcast"\ngroup = 2', "'all_reduce', 'all_gather'"),
    ('op = "all_reduce"\ngroup = 2', 'op = "all_reduce"\ngroup = 1', "greater than or equal to 2"),
    ('op = "all_reduce"\ngroup = 2', 'op = "all_reduce"\ngroup = 4', "all_reduce over 4 chips is given 2 times"),
    ('op = "all_reduce"\ngroup = 2', 'op = "all_reduce"\nsize = 2', "collectives.0.size"),
    ("median_error = 0.042", "median_error = -0.1", "greater than or equal to 0"),
    ("measured_bandwidth", "# measured_bandwidth", "collectives need measured_bandwidth"),
    ("[[collectives]]", 'like = { link = "nvlink5" }\n\n[[collectives]]', "like.note"),
])  # fmt: skip
def test_collectives_that_cannot_be_right(old: str, new: str, words: str, tmp_path: Path) -> None:
    text = entry("links", "nvlink4")
    assert old in text
    own = put(tmp_path, {"links/nvlink4.toml": text.replace(old, new, 1)})
    with pytest.raises(DataError) as error:
        load(own)
    assert "links/nvlink4.toml" in str(error.value)
    assert words in str(error.value)


# looking at it


def test_list_counts_and_names(ours: Catalog) -> None:
    text = known("catalog", "list").out
    for kind, entries in ours.records.items():
        assert [kind, str(len(entries))] in [line.split() for line in text.splitlines()]
    for kind in ("chips", "memories", "memory", "models", "model"):
        text = known("catalog", "list", kind).out
        for name in ours.records[{"memories": "memory", "model": "models"}.get(kind, kind)]:
            assert f"{name} " in text


@pytest.mark.parametrize(("kind", "name"), [
    ("chips", "h100-sxm"), ("memory", "hbm4"), ("dies", "gb100"), ("prices", "default"), ("links", "nvlink5"),
    ("servers", "hgx-hopper"), ("processes", "n4"), ("packages", "cowos-l"),
])  # fmt: skip
def test_show_names_every_number(kind: str, name: str, ours: Catalog) -> None:
    done = known("catalog", "show", kind, name)
    assert done.code == 0
    flat = "".join(done.out.split())
    for path, fact in numbers(ours.records[kind][name]):
        for word in (path, str(fact.value), fact.unit, fact.date, fact.confidence):
            assert "".join(word.split()) in flat or len(word) > 30, word


def test_show_a_model() -> None:
    text = known("catalog", "show", "models", "llama-3.1-405b").out
    for word in ("layers", "126", "kv_heads", "8", "hidden", "16384"):
        assert word in text


def test_show_all_of_a_kind(ours: Catalog) -> None:
    text = known("catalog", "show", "memories").out
    assert all(f"{name}." in text for name in ours.records["memory"] if numbers(ours.records["memory"][name]))


def test_show_with_an_assumption() -> None:
    text = known("catalog", "show", "chips", "h100-sxm", "--assume", "chips.h100-sxm.price=20k$").out
    assert "20k$" in text
    assert "assumed" in text


def test_check() -> None:
    done = known("catalog", "check")
    assert (done.code, done.out.startswith("ok: ")) == (0, True)


# one's own


MINE = '[mine]\ntitle = "A quote"\nurl = "paper"\nread = "2026-11"\n'


def own_chip(folder: Path, name: str, price: str, *, like: str = "h100-sxm") -> Path:
    """A chip of ours at another price, called `name`."""
    old = line_of(INSTANCES / "chips" / f"{like}.toml", "price")
    new = f'price = {{ value = "{price}", source = "mine", date = "2026-11", confidence = "reported" }}'
    text = entry("chips", like, (old, new), called=None if name == like else name)
    return put(folder, {f"chips/{name}.toml": text, "sources.toml": MINE})


def test_own_folder_adds_a_chip(tmp_path: Path) -> None:
    own = own_chip(tmp_path, "my-chip", "100 USD", like="mi300x")
    asked = ("--mode", "limit", "--hardware", "catalogue", "--memory", "hbm3")
    answer = run("best", *asked, "--catalog", own, "--json").json
    assert answer["system"]["chip"] == "my-chip"
    (price,) = [line for line in answer["inputs"] if line["path"] == "chips.my-chip.price"]
    assert (price["si"], price["source"], price["date"]) == (100.0, "mine", "2026-11")
    assert "my-chip" in run("catalog", "list", "chips", "--catalog", own).out
    assert "A quote" not in run("catalog", "check", "--catalog", own).err


def test_own_folder_overrides_a_chip(tmp_path: Path) -> None:
    own = own_chip(tmp_path, "h100-sxm", "100 USD")
    ours, mine = best("--chip", "h100-sxm"), run("best", "--chip", "h100-sxm", "--catalog", own, "--json").json
    assert mine["money"]["capital"]["chips"] == 100.0 * mine["system"]["chips_bought"]
    assert ours["money"]["capital"]["chips"] == 26000.0 * ours["system"]["chips_bought"]
    assert mine["catalogue"] != ours["catalogue"]
    assert mine["hashes"]["chips.h100-sxm"] != ours["hashes"]["chips.h100-sxm"]
    assert mine["hashes"]["prices.default"] == ours["hashes"]["prices.default"]


def test_own_memory_makes_new_composed_chips(tmp_path: Path) -> None:
    family = ('family = "hbm4"', 'family = "my-hbm"')
    own = put(tmp_path, {"memory/my-hbm.toml": entry("memory", "hbm4", family, called="my-hbm")})
    answer = run("best", "--memory", "my-hbm", "--catalog", own, "--json").json
    assert answer["system"]["composed"]
    assert answer["system"]["memory"] == "my-hbm"
    assert answer["proof"]["value"] == best("--memory", "hbm4", "--hardware", "composed")["proof"]["value"]


def test_own_sources_do_not_hide_ours(tmp_path: Path) -> None:
    assert run("catalog", "check", "--catalog", put(tmp_path, {"sources.toml": MINE})).code == 0


def test_the_working_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_chip(tmp_path, "h100-sxm", "100 USD")
    monkeypatch.chdir(tmp_path)
    assert run("best", "--chip", "h100-sxm", "--json").json["catalogue"] == best("--chip", "h100-sxm")["catalogue"]


# what lacks a number

ASSUMED = {
    "chips.xpu-hbm4.peak.vector": "200 TFLOP/s", "chips.xpu-hbm4.connections.scale_up_bandwidth": "900 GB/s",
    "chips.xpu-hbm4.power": "1 kW", "chips.xpu-hbm4.price": "20k$", "servers.xpu-server.price": "50k$",
}  # fmt: skip


def assumptions(without: str = "") -> list[str]:
    return [word for path, value in ASSUMED.items() if path != without for word in ("--assume", f"{path}={value}")]


def test_left_out_with_what_it_lacks() -> None:
    lacks = best()["left_out"]["xpu-hbm4"].removeprefix("no ").split(", ")
    assert lacks == ["peak.vector", "connections.scale_up_bandwidth", "power", "price", "server.price"]
    answer = best("--chip", "xpu-hbm4")
    assert answer["status"] == "infeasible"
    assert list(answer["left_out"]) == ["xpu-hbm4"]


def test_assumptions_bring_it_in_and_are_flagged() -> None:
    answer = best("--chip", "xpu-hbm4", *assumptions())
    assert answer["system"]["chip"] == "xpu-hbm4"
    assert answer["left_out"] == {}
    for path, value in ASSUMED.items():
        assert f"{path} = {value} (assumed)" in answer["unverified"]
        assert f"assumed by the user: {path} = {value}" in answer["assumptions"]
    lines = [line for line in answer["inputs"] if line["path"] in ASSUMED]
    flagged = {line["path"]: (line["source"], line["confidence"]) for line in lines}
    assert flagged == dict.fromkeys(ASSUMED, ("user", "assumed"))
    text = known("best", "--chip", "xpu-hbm4", *assumptions()).out
    assert "chips.xpu-hbm4.price = 20k$ (assumed)" in text


@pytest.mark.parametrize("path", ASSUMED)
def test_each_number_alone_keeps_it_out(path: str) -> None:
    answer = best("--chip", "xpu-hbm4", *assumptions(without=path))
    assert answer["status"] == "infeasible"
    _, _, key = path.split(".", 2)
    assert answer["left_out"] == {"xpu-hbm4": f"no {'server.' if path.startswith('servers') else ''}{key}"}


@pytest.mark.parametrize("key", ["usable_memory", "bandwidth", "power", "price", "server"])
def test_a_chip_without_a_number_is_left_out_by_name(key: str, tmp_path: Path) -> None:
    line = line_of(INSTANCES / "chips" / "h100-sxm.toml", key)
    own = put(tmp_path, {"chips/h100-sxm.toml": entry("chips", "h100-sxm", (line + "\n", ""))})
    answer = run("best", "--chip", "h100-sxm,h200-sxm", "--catalog", own, "--json").json
    assert answer["system"]["chip"] == "h200-sxm"
    assert key in answer["left_out"]["h100-sxm"]


def test_what_its_maker_keeps_is_left_out_unless_named() -> None:
    assert "does not sell" in best()["left_out"]["tpu-v7"]
    rented = best("--basis", "hyperscaler", "--budget", "$900/h", "--dollars", "per-hour")["left_out"]
    assert "does not sell" not in rented.get("tpu-v7", "")
    assert "does not sell" not in best("--chip", "tpu-v7")["left_out"].get("tpu-v7", "")


# assumptions


@pytest.mark.parametrize(
    ("path", "value", "si"),
    [
        ("chips.h100-sxm.price", "20k$", 20e3),
        ("chip.h100-sxm.price", "$20k", 20e3),
        ("chips.h100-sxm.peak.fp8", "2 PFLOP/s", 2e15),
        ("links.nvlink4.limit.0.latency", "3 us", 3e-6),
        ("memories.hbm4.capacity", "48 GB", 48e9),
        ("prices.default.pue", "1.1", 1.1),
        ("prices.default.pue", 1.1, 1.1),
        ("dies.gh100.usable_with.hbm3e-8hi", "90%", 0.9),
        ("chips.l4.manufacturing_cost", "$500", 500.0),
    ],
)
def test_assumed_number_is_used_and_marked(path: str, value: str | float, si: float) -> None:
    kind, rest = path.split(".", 1)
    folder = {"chip": "chips", "memories": "memory"}.get(kind, kind)
    fact = load(assume={path: value}).fact(f"{folder}.{rest}")
    assert fact.si == pytest.approx(si)
    assert (fact.source, fact.confidence) == ("user", "assumed")


def test_assumed_shape_of_a_model() -> None:
    catalog = load(assume={"models.llama-3.1-8b.layers": "16", "models.llama-3.1-8b.tied_embedding": "true"})
    model = catalog.get(ModelRecord, "llama-3.1-8b")
    assert (model.layers, model.tied_embedding) == (16, True)


def test_assumptions_change_the_hash_of_their_entry_only() -> None:
    before, after = load(), load(assume={"chips.h100-sxm.price": "20k$"})
    assert {k for k in before.hashes if before.hashes[k] != after.hashes[k]} == {"chips.h100-sxm"}
    assert before.digest() != after.digest()


def test_hashes_do_not_depend_on_the_run() -> None:
    assert load().hashes == load().hashes
    assert json.loads(known("best", "--json").out)["catalogue"] == load().digest()


def test_names_that_are_not_there(ours: Catalog) -> None:
    with pytest.raises(DataError, match="did you mean h100-"):
        ours.get(ChipRecord, "h100-sx")
    with pytest.raises(DataError, match=r"has no number 'colour'; it has: .*price"):
        ours.fact("chips.h100-sxm.colour")


def test_records_are_as_written(ours: Catalog) -> None:
    """A record read again from its own content is the same."""
    for kind, entries in ours.records.items():
        for record in entries.values():
            content: Any = record.model_dump(by_alias=True, exclude_unset=True)
            assert KINDS[kind].model_validate(content) == record
