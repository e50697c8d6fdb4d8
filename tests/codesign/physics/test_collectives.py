"""Collectives: curves that never fall, a cliff where a domain ends, fits that find what made the points, own tables."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.facts.catalog import Catalog, load
from codesign.facts.collective_table import Collective, MeasuredTable, read_table
from codesign.facts.errors import DataError
from codesign.facts.link_records import OPS
from codesign.facts.records import ChipRecord, LinkRecord
from codesign.physics import chips as readers
from codesign.physics.collective_table import with_table
from codesign.physics.collectives import Curve, basis, curve, fit_curve, fit_errors, lower, plus, upper
from codesign.physics.hardware import Chip

SIZES = np.geomspace(1, 1e11, 200)
KB, MB = 1024.0, 1024.0**2


@cache
def catalogue() -> Catalog:
    return load()


@cache
def chip(name: str) -> Chip:
    return readers.chip(catalogue(), catalogue().get(ChipRecord, name))


def joined(one: Chip) -> bool:
    return None not in (one.scale_up, one.scale_up_bandwidth, one.domain)


CHIPS = [record.name for record in catalogue().all(ChipRecord) if joined(chip(record.name))]
LINKS = catalogue().all(LinkRecord)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    count = draw(st.integers(1, 7))
    gaps = draw(st.lists(st.floats(1.0, 1e6), min_size=count, max_size=count))
    rises = draw(st.lists(st.just(0.0) | st.floats(1e-7, 1e-2), min_size=count, max_size=count))
    return Curve(tuple(np.cumsum(gaps).tolist()), tuple(np.cumsum(rises).tolist()))


def rises(times: np.ndarray) -> bool:
    return bool((np.diff(times) >= -1e-12 * times[1:]).all())


# a curve


def test_between_below_and_beyond_knots() -> None:
    found = Curve((10.0, 20.0, 40.0), (1.0, 2.0, 6.0)).seconds([1.0, 10.0, 15.0, 40.0, 50.0])
    assert found.tolist() == [1.0, 1.0, 1.5, 6.0, 8.0]
    assert Curve((5.0,), (3.0,)).seconds(100.0) == 3.0


@pytest.mark.parametrize(("nbytes", "seconds", "words"), [
    ((), (), "0 sizes"), ((1.0, 2.0), (1.0,), "2 sizes and 1 times"), ((0.0, 1.0), (1.0, 2.0), "positive and rise"),
    ((2.0, 2.0), (1.0, 2.0), "positive and rise"), ((1.0, 2.0), (2.0, 1.0), "not be negative or fall"),
    ((1.0, 2.0), (-1.0, 1.0), "not be negative or fall"), ((1.0, float("nan")), (1.0, 2.0), "finite"),
    ((1.0, 2.0), (1.0, float("inf")), "finite"),
])  # fmt: skip
def test_knots_that_are_no_curve(nbytes: tuple[float, ...], seconds: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Curve(nbytes, seconds)


@given(curves())
def test_never_falls_with_size(one: Curve) -> None:
    assert rises(one.seconds(SIZES))
    assert rises(one.stretched(3.0).seconds(SIZES))


@given(curves(), curves())
def test_joined_curves_are_exact(one: Curve, other: Curve) -> None:
    a, b = one.seconds(SIZES), other.seconds(SIZES)
    for made, right in ((plus, a + b), (upper, np.maximum(a, b)), (lower, np.minimum(a, b))):
        assert made(one, other).seconds(SIZES) == pytest.approx(right, rel=1e-6, abs=1e-12)


@given(curves(), st.floats(0.1, 10.0))
def test_a_wider_link_carries_more_in_the_same_time(one: Curve, factor: float) -> None:
    assert one.stretched(factor).seconds(SIZES * factor) == pytest.approx(one.seconds(SIZES), rel=1e-9, abs=1e-15)


# chips


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("op", OPS)
def test_never_faster_with_a_larger_group_or_message(name: str, op: str) -> None:
    one = chip(name)
    most = 300 if one.scale_out is not None and one.scale_out_bandwidth is not None else min(300, one.domain or 1)
    groups = [g for g in (1, 2, 3, 4, 6, 8, 9, 16, 17, 32, 64, 72, 73, 144, 145, 300) if g <= most]
    before = np.zeros_like(SIZES)
    for group in groups:
        times = curve(one, op, group).seconds(SIZES)
        assert rises(times)
        assert (times >= before * (1 - 1e-9)).all(), group
        before = times


@pytest.mark.parametrize(("name", "inside", "outside"), [("h100-sxm", 8, 16), ("gb200-nvl72", 72, 144)])
def test_cliff_where_the_domain_ends(name: str, inside: int, outside: int) -> None:
    """Small messages take several times as long; inside, doubling the group adds little."""
    one = chip(name)
    near, far = (curve(one, "all_reduce", g).seconds([4 * KB, 128 * KB, 16 * MB]) for g in (inside, outside))
    half = curve(one, "all_reduce", inside // 2).seconds([4 * KB, 128 * KB, 16 * MB])
    assert (far / near > [5, 4, 2]).all()
    assert (near / half < 1.5).all()
    assert curve(one, "all_reduce", inside + 1).seconds(4 * KB) == pytest.approx(far[0], rel=1e-9)  # not a ramp


def test_a_wider_rack_stays_inside() -> None:
    """What an H100 sends over the network at 16 chips stays in the rack of a GB200."""
    assert curve(chip("h100-sxm"), "all_reduce", 16).seconds(64 * KB) > 4 * curve(
        chip("gb200-nvl72"), "all_reduce", 16).seconds(64 * KB)  # fmt: skip


def test_scale_out_part_is_that_of_its_formula() -> None:
    """16 chips in two domains, by hand: reduce-scatter, all-reduce of an eighth across, all-gather."""
    one, size = chip("h100-sxm"), 1 * MB
    assert one.scale_out is not None
    local = [curve(one, op, 8).seconds(size) for op in ("reduce_scatter", "all_gather")]
    across = 2 * one.scale_out.limit[-1][1] + 2 * 0.5 * size / 8 / one.scale_out_bandwidth
    assert curve(one, "all_reduce", 16).seconds(size) == pytest.approx(sum(local) + across)
    inside = curve(one, "alltoall", 8).seconds(size)
    across = 3 * one.scale_out.limit[-1][1] + 7 / 8 * size / one.scale_out_bandwidth
    assert curve(one, "alltoall", 64).seconds(size) == pytest.approx(inside + across)


MEASURED_ELSEWHERE = [  # not in any fit
    # DeepEP low latency on H100, 400 Gb/s a chip, hidden 7168, 8 experts a token, SGLang 0.5.6 (aiconfigurator)
    ("h100-sxm", "alltoall", 16, 128 * 8 * 7168, 102.1e-6), ("h100-sxm", "alltoall", 64, 128 * 8 * 7168, 166.8e-6),
    ("h100-sxm", "alltoall", 16, 8 * 8 * 7168, 23.6e-6), ("h100-sxm", "alltoall", 64, 2 * 128 * 8 * 7168, 304.7e-6),
    # nccl-tests over a whole GB200 rack, coreweave/nccl-tests pull 43
    ("gb200-nvl72", "all_reduce", 72, 512 * MB, 1806.7e-6),
]  # fmt: skip


@pytest.mark.parametrize(("name", "op", "group", "size", "seconds"), MEASURED_ELSEWHERE)
def test_predicts_what_it_was_not_fitted_to(name: str, op: str, group: int, size: float, seconds: float) -> None:
    assert curve(chip(name), op, group).seconds(size) == pytest.approx(seconds, rel=0.20)


def test_orders_of_magnitude_that_everybody_measures() -> None:
    """8 chips: a few microseconds for small messages; 256 MB at bus rates of 350 to 550 (H100), 550 to 750 GB/s."""
    for name, low, high in (("h100-sxm", 350e9, 550e9), ("b200-sxm", 550e9, 750e9)):
        found = curve(chip(name), "all_reduce", 8).seconds([4 * KB, 256 * MB])
        assert 2e-6 < found[0] < 8e-6
        assert low < 256 * MB * 7 / 4 / found[1] < high


def test_no_chips_beside_takes_no_time() -> None:
    assert (curve(chip("h100-sxm"), "all_reduce", 1).seconds(SIZES) == 0).all()


def test_a_stand_in_keeps_startup_and_scales_bytes() -> None:
    new, old = chip("rubin-vr-nvl72"), chip("gb200-nvl72")
    ratio = new.scale_up_bandwidth / old.scale_up_bandwidth
    assert curve(new, "all_gather", 8).seconds(SIZES * ratio) == pytest.approx(
        curve(old, "all_gather", 8).seconds(SIZES))  # fmt: skip
    assert all("derived" in one.basis for one in new.scale_up.collectives)


@pytest.mark.parametrize(("name", "op", "group", "words"), [
    ("h100-sxm", "broadcast", 8, "op = 'broadcast': must be one of all_reduce"),
    ("h100-sxm", "all_reduce", 0, "group = 0: must be at least 1"),
    ("l40s", "all_reduce", 16, "l40s has no scale_out link, and 16 chips exceed its domain of 8"),
    ("xpu-hbm3", "all_reduce", 8, "xpu-hbm3 has no scale_up_bandwidth"),
])  # fmt: skip
def test_what_cannot_be_told(name: str, op: str, group: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        curve(chip(name), op, group)


@pytest.mark.parametrize(("name", "group", "words"), [
    ("h100-sxm", 1, "one chip alone"), ("h100-sxm", 8, "measured, nvlink4, aiconfigurator_comm_hopper"),
    ("h100-sxm", 6, "derived from 8 chips: measured, nvlink4"), ("h100-sxm", 16, "derived: infiniband between domains"),
    ("gb200-nvl72", 64, "derived from 8 chips: derived: nvlink5-nvl72 is taken to be like nvlink5; measured"),
    ("cerebras-wse3", 2, "derived: ethernet-roce between domains by start-up and bandwidth"),
])  # fmt: skip
def test_says_where_times_are_from(name: str, group: int, words: str) -> None:
    assert basis(chip(name), "all_reduce", group).startswith(words)


# what ships


@pytest.mark.parametrize("record", LINKS, ids=lambda record: record.name)
def test_shipped_constants(record: LinkRecord) -> None:
    """Few knots, known sources, small errors. Errors above 25 % are single points that a longer message undercuts,
    or dispatch and combine apart (64 chips)."""
    for one in record.collectives:
        assert 4 <= len(one.bytes) <= 6
        assert one.source in catalogue().sources
        assert one.confidence == "measured"
        assert one.median_error < 0.10
        assert one.largest_error < 0.60
    large = [one for one in record.collectives if one.largest_error > 0.25]
    assert len(large) <= 2


@pytest.mark.parametrize("record", [r for r in LINKS if r.kind == "scale-up"], ids=lambda record: record.name)
def test_every_scale_up_link_has_every_operation(record: LinkRecord) -> None:
    link = readers.link(record, readers.stand_ins(catalogue(), record))
    assert {one.op for one in link.collectives} == set(OPS)
    assert len({(one.op, one.group) for one in link.collectives}) == len(link.collectives)


def test_stand_ins_lead_somewhere(tmp_path: Path) -> None:
    record = catalogue().get(LinkRecord, "nvlink6")
    assert [one.name for one in readers.stand_ins(catalogue(), record)] == ["nvlink5-nvl72", "nvlink5"]
    circle = record.model_copy(update={"like": record.like.model_copy(update={"link": "nvlink6"})})
    with pytest.raises(DataError, match="leads back to nvlink6"):
        readers.stand_ins(catalogue(), circle)
    nowhere = record.model_copy(update={"like": record.like.model_copy(update={"link": "nvlink7"})})
    with pytest.raises(DataError, match="did you mean nvlink"):
        readers.stand_ins(catalogue(), nowhere)


# fits


@given(st.integers(0, 10**6))
def test_a_fit_finds_the_curve_that_made_the_points(seed: int) -> None:
    draw = np.random.default_rng(seed)
    sizes = KB * 4.0 ** np.arange(10)
    knots = np.sort(np.append(draw.choice(9, 3, replace=False), 9))
    true = Curve(tuple(sizes[knots]), tuple(np.cumsum(draw.uniform(1e-6, 1e-4, 4))))
    found = fit_curve(sizes, true.seconds(sizes), 6)
    assert len(found.nbytes) == 6
    assert fit_errors(found, sizes, true.seconds(sizes))[1] < 0.02


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_a_fit_of_noisy_points_stays_near_and_never_falls(seed: int, knots: int) -> None:
    draw = np.random.default_rng(seed)
    sizes = np.repeat(KB * 4.0 ** np.arange(10), 2)
    times = (5e-6 + sizes / 300e9) * draw.uniform(0.95, 1.05, len(sizes))
    found = fit_curve(sizes, times, knots)
    assert rises(found.seconds(SIZES))
    if knots >= 4:
        assert fit_errors(found, sizes, times)[1] < 0.15


def test_more_knots_do_not_fit_worse() -> None:
    sizes = KB * 4.0 ** np.arange(10)
    times = 1e-6 * np.array([3.2, 3.5, 3.6, 4.6, 9.4, 13.5, 30.8, 92.4, 321.5, 1090.0])
    errors = [fit_errors(fit_curve(sizes, times, knots), sizes, times)[1] for knots in range(2, 11)]
    assert all(more <= fewer + 1e-9 for fewer, more in pairwise(errors))
    assert errors[-1] == pytest.approx(0, abs=1e-9)
    assert fit_curve(sizes[::-1], times[::-1], 5) == fit_curve(sizes, times, 5)


def test_one_line_does_not_fit() -> None:
    """Why there are knots: start-up and bandwidth alone miss the middle sizes of a published table by half."""
    sizes = KB * 4.0 ** np.arange(10)
    times = 1e-6 * np.array([3.2, 3.5, 3.6, 4.6, 9.4, 13.5, 30.8, 92.4, 321.5, 1090.0])
    line = times[0] + sizes * (times[-1] - times[0]) / sizes[-1]
    assert np.abs(line / times - 1).max() > 0.35
    assert fit_errors(fit_curve(sizes, times), sizes, times)[1] < 0.12


@pytest.mark.parametrize(("nbytes", "seconds", "knots", "words"), [
    ([1.0, 2.0], [1.0], 5, "as many"), ([], [], 5, "as many"), ([0.0, 1.0], [1.0, 1.0], 5, "positive and finite"),
    ([1.0, 2.0], [1.0, float("nan")], 5, "positive and finite"), ([1.0, 2.0], [1.0, 2.0], 0, "knots = 0"),
])  # fmt: skip
def test_points_that_cannot_be_fitted(nbytes: list[float], seconds: list[float], knots: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_curve(nbytes, seconds, knots)


# one's own table

HEAD = "link,op,group,message_bytes,latency_us"
GOOD = [f"nvlink4,all_reduce,8,{size},{us}" for size, us in ((1024, 4), (65536, 5), (1048576, 12), (16777216, 80))]


def written(folder: Path, *rows: str, head: str = HEAD) -> Path:
    path = folder / "own.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def own(folder: Path, *rows: str) -> MeasuredTable:
    return read_table(written(folder, *rows), [record.name for record in LINKS])


def test_own_times_are_given_back_and_interpolated(tmp_path: Path) -> None:
    one = with_table(chip("h100-sxm"), own(tmp_path, *GOOD))
    found = curve(one, "all_reduce", 8).seconds([512, 1024, 65536, 557056, 1048576, 16777216, 2 * 16777216])
    assert found * 1e6 == pytest.approx([4, 4, 5, 8.5, 12, 80, 80 + 68 * 16777216 / 15728640], rel=1e-9)


def test_own_times_replace_only_what_they_name(tmp_path: Path) -> None:
    before, after = chip("h100-sxm"), with_table(chip("h100-sxm"), own(tmp_path, *GOOD))
    assert curve(after, "all_gather", 8) == curve(before, "all_gather", 8)
    assert with_table(chip("b200-sxm"), own(tmp_path, *GOOD)) == chip("b200-sxm")
    assert curve(after, "all_reduce", 2).seconds(KB) == pytest.approx(curve(before, "all_reduce", 2).seconds(KB))


@given(st.floats(0.01, 100.0))
def test_own_times_stand_beside_fitted_ones_of_other_groups(factor: float) -> None:
    """However fast the user measured 4 chips: that is the answer for 4, and no group is faster than a smaller one."""
    sizes, times = (KB, MB, 64 * MB), (factor * 3e-6, factor * 12e-6, factor * 3e-4)
    table = MeasuredTable("own.csv", "", {"nvlink4": (Collective("all_reduce", 4, sizes, times, None, "mine"),)})
    one = with_table(chip("h100-sxm"), table)
    assert curve(one, "all_reduce", 4).seconds(sizes) == pytest.approx(times, rel=1e-9)
    found = [curve(one, "all_reduce", group).seconds(SIZES) for group in (2, 3, 4, 6, 8, 16, 64)]
    assert all((more >= fewer * (1 - 1e-9)).all() for fewer, more in pairwise(found))


def test_own_times_are_those_of_the_chip_asked_about(tmp_path: Path) -> None:
    """They are not stretched to another bandwidth, as fitted ones are."""
    fast = chip("h100-sxm")
    slower = replace(fast, scale_up_bandwidth=45e9)
    assert curve(slower, "all_reduce", 8).seconds(16 * MB) > 5 * curve(fast, "all_reduce", 8).seconds(16 * MB)
    assert curve(with_table(slower, own(tmp_path, *GOOD)), "all_reduce", 8).seconds(16 * MB) * 1e6 == pytest.approx(80)


def test_own_times_between_domains(tmp_path: Path) -> None:
    rows = [f"infiniband,all_reduce,16,{size},{us}" for size, us in ((1024, 60), (16777216, 300))]
    one = with_table(chip("h100-sxm"), own(tmp_path, *rows))
    assert curve(one, "all_reduce", 16).seconds([KB, 16 * MB]) * 1e6 == pytest.approx([60, 300])
    assert curve(one, "all_reduce", 32).seconds(KB) * 1e6 == pytest.approx(60 * 1.1)
    assert curve(one, "all_reduce", 8) == curve(chip("h100-sxm"), "all_reduce", 8)
    assert basis(one, "all_reduce", 16).startswith("measured by the user")
    rack = with_table(chip("gb200-nvl72"), own(tmp_path, *rows))  # 16 chips of a rack do not cross it
    assert curve(rack, "all_reduce", 144) == curve(chip("gb200-nvl72"), "all_reduce", 144)


def test_a_longer_message_bounds_a_shorter_one(tmp_path: Path) -> None:
    rows = ["nvlink4,alltoall,8,1024,38", "nvlink4,alltoall,8,4096,7.5", "nvlink4,alltoall,8,16384,9"]
    (found,) = own(tmp_path, *rows).links["nvlink4"]
    assert found.seconds == pytest.approx((7.5e-6, 7.5e-6, 9e-6))


def test_order_remarks_blank_lines_and_a_mark_at_the_start_do_not_matter(tmp_path: Path) -> None:
    plain = own(tmp_path, *GOOD).links
    path = tmp_path / "other.csv"
    rows = [f"{us},{size},8,all_reduce , nvlink4,fast" for _, _, _, size, us in (row.split(",") for row in GOOD[::-1])]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(
        ["latency_us,message_bytes,group,op,link,note", *rows]).encode())  # fmt: skip
    found = read_table(path).links
    assert [replace(one, basis="") for one in found["nvlink4"]] == [replace(one, basis="") for one in plain["nvlink4"]]


@pytest.mark.parametrize(("rows", "words"), [
    (["nvlink9,all_reduce,8,1024,4"], ["line 2, column link: 'nvlink9'", "one of", "nvlink4"]),
    ([",all_reduce,8,1024,4"], ["line 2, column link: ''"]),
    (["nvlink4,allreduce,8,1024,4"], ["line 2, column op: 'allreduce'", "all_reduce, all_gather"]),
    (["nvlink4,all_reduce,1,1024,4"], ["column group: '1'", "at least 2"]),
    (["nvlink4,all_reduce,2.5,1024,4"], ["column group: '2.5'", "whole number"]),
    (["nvlink4,all_reduce,eight,1024,4"], ["column group: 'eight'"]),
    (["nvlink4,all_reduce,8,0,4"], ["column message_bytes: '0'", "positive number of bytes"]),
    (["nvlink4,all_reduce,8,-1,4"], ["column message_bytes: '-1'"]),
    (["nvlink4,all_reduce,8,1 KB,4"], ["column message_bytes: '1 KB'"]),
    (["nvlink4,all_reduce,8,1024,0"], ["column latency_us: '0'", "positive number of microseconds"]),
    (["nvlink4,all_reduce,8,1024,-4"], ["column latency_us: '-4'"]),
    (["nvlink4,all_reduce,8,1024,nan"], ["column latency_us: 'nan'"]),
    (["nvlink4,all_reduce,8,1024,inf"], ["column latency_us: 'inf'"]),
    (["nvlink4,all_reduce,8,1024,"], ["column latency_us: ''"]),
    (["nvlink4,all_reduce,8,1024"], ["line 2: 4 cells under 5 columns"]),
    ([*GOOD, "nvlink4,all_reduce,8,1024.0,5"], ["line 6, column message_bytes: 1024.0 is in line 2", "keep one time"]),
    (GOOD[:1], ["line 2, column message_bytes: all_reduce over 8 chips of nvlink4 has one size", "two are needed"]),
    ([], ["line 2: no rows"]),
    (["nvlink4,x,8,1024,4", "nvlink4,all_reduce,8,nan,0"], ["line 2, column op", "line 3, column message_bytes",
                                                            "line 3, column latency_us"]),
])  # fmt: skip
def test_rows_that_cannot_be_right(rows: list[str], words: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        own(tmp_path, *rows)
    assert all(word in str(error.value) for word in [*words, "own.csv: line"])


@pytest.mark.parametrize(("head", "words"), [
    (HEAD.replace("latency_us", "latency"), ["line 1: no column latency_us", "column latency: unknown", HEAD[:4]]),
    (HEAD.replace("op", "collective"), ["no column op", "column collective: unknown", "link, op, group"]),
    (HEAD + ",impl", ["line 1, column impl: unknown", "may be note, source"]),
    (HEAD + ",op", ["line 1, column op: given twice"]),
    (HEAD + ",", ["column (no name): unknown"]),
    ("", ["no column link, op, group, message_bytes, latency_us"]),
])  # fmt: skip
def test_heads_that_cannot_be_right(head: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_table(written(tmp_path, *GOOD, head=head))
    assert all(word in str(error.value) for word in [*words, "own.csv: line 1"])


def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path)
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "own.csv")
    (tmp_path / "own.csv").write_bytes(b"")
    with pytest.raises(DataError, match="no column link"):
        read_table(tmp_path / "own.csv")


def test_a_long_list_of_faults_ends(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"and 30 more$"):
        own(tmp_path, *["nvlink4,all_reduce,8,1024,nan"] * 50)


@st.composite
def measured(draw: st.DrawFn) -> list[tuple[int, Curve]]:
    """Curves of two to four groups, each longer than the one before."""
    groups = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4, unique=True).map(sorted))
    one, found = draw(curves()), []
    for group in groups:
        one = one.times(draw(st.floats(1.0, 3.0)))
        found.append((2**group, one))
    return found


@given(measured(), st.integers(1, 3), st.sampled_from(OPS))
def test_beyond_the_largest_group_grows_from_it_with_each_doubling(
    found: list[tuple[int, Curve]], doublings: int, op: str
) -> None:
    """A tenth of the largest measured group's own time for each doubling of that group, and of no smaller one."""
    largest, last = found[-1]
    own = tuple(Collective(op, group, one.nbytes, one.value_s, None, "made up") for group, one in found)
    h100 = chip("h100-sxm")
    assert h100.scale_up is not None
    wide = replace(h100, scale_up=replace(h100.scale_up, collectives=own), domain=largest * 8)
    at_last = curve(wide, op, largest).seconds(SIZES)
    assert at_last == pytest.approx(last.seconds(SIZES))
    beyond = curve(wide, op, largest * 2**doublings).seconds(SIZES)
    assert beyond == pytest.approx(at_last * (1 + 0.10 * doublings), rel=1e-9)
