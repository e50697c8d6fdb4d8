"""Names of anybody's in what is exported: no script in a page, no formula in a table, and each reads back the same."""

import csv
import json
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair as alt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.facts import cells
from codesign.output.drawing import page
from codesign.output.fleet_files import write_fleet
from tests.cases.command import put, run
from tests.cases.fleet_plans import ONE, solved
from tests.cases.mix_tables import DEMAND, TABLE

SCRIPT = "x</script><script>alert(1)</script>"
COMMENT = "<!--<script>&amp;\u2028'\"\\</SCRIPT x"
FORMULAS = ("=1+1", "+cmd()", "-cmd()", "@sum(a1)", "\t=1", "\r=1", "\n=1", "'=1", "''@x", "\uff1d1+1")
NUMBERS = ("-2.5", "+1", "-1e-9", "0", "-inf")
EXPORTS = Path(cells.__file__).parent
VERSION = ".".join(alt.SCHEMA_VERSION.split(".")[:2])


class Page(HTMLParser):
    """Scripts, as texts, and all else that a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.scripts += [""] * (tag == "script")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script" and data.strip():
            self.scripts[-1] += data

    @property
    def spec(self) -> Any:
        """The drawing in the last script."""
        found = re.search(r"const spec = (\{.*\});\n", self.scripts[-1], re.DOTALL)
        assert found is not None
        return json.loads(found[1])


def texts_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(texts_of(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(texts_of(each) for each in value))
    return {value} if isinstance(value, str) else set()


def drawing(name: str) -> Any:
    return {"title": name, "data": {"values": [{"a": name, name: 1}]}, "mark": "point",
            "encoding": {"x": {"field": "a", "type": "nominal"}}}  # fmt: skip


PLAIN = Page(page(json.dumps(drawing("plain")), VERSION))


@given(st.text() | st.sampled_from(["<", "</", "</script>", "<!--", "]]>", "<script", "&lt;", "\u2028"]).flatmap(
    lambda part: st.tuples(st.text(max_size=9), st.just(part), st.text(max_size=9)).map("".join)))  # fmt: skip
def test_any_name_is_a_text_of_the_page(name: str) -> None:
    text = page(json.dumps(drawing(name), ensure_ascii=False), VERSION)
    begin = text.rindex("const spec")
    own = text[begin : text.index("\n", text.index("const opts"))]
    assert not set("<>\u2028\u2029") & set(own)
    last = Page(text[text.rindex("<body>") :])  # the bundled scripts are the same for every drawing
    assert last.tags == ["body", "div", "script"]
    assert last.spec == drawing(name)


@pytest.mark.parametrize("name", [SCRIPT, COMMENT, "<img src=x onerror=alert(1)>"])
def test_page_of_a_name_is_that_of_any_other(name: str) -> None:
    found = Page(page(json.dumps(drawing(name)), VERSION))
    assert found.tags == PLAIN.tags
    assert found.scripts[:-1] == PLAIN.scripts[:-1]
    assert found.spec == drawing(name)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exports in which buckets, chips, operators, graphs, periods and workloads have such names."""
    here = tmp_path_factory.mktemp("names")
    put(here, {
        "p.csv": TABLE.replace("short", SCRIPT).replace("middle", f"@{SCRIPT}").replace("small", "=small()"),
        "d.toml": DEMAND.replace("short", SCRIPT),
        "g.toml": f'schema = 1\nname = "{SCRIPT}"\n[inputs]\nx = [4096, 1024]\n'
                  f'[[operators]]\nname = "{SCRIPT}"\nkind = "linear"\ninputs = ["x"]\nwidth = 1024\n'
                  f'[[operators]]\nname = "=cmd()"\nkind = "activation"\nfunction = "silu"\ninputs = ["{SCRIPT}"]\n',
    })  # fmt: skip
    assert run("mix", "--profile", here / "p.csv", "--demand", here / "d.toml", "--export", here / "mix").code == 0
    assert run("kitsune", here / "g.toml", "--export", here / "kitsune").code == 0
    chat = ONE["workloads"]["chat"]
    plan = {**ONE, "periods": {SCRIPT: ONE["periods"]["2026"]}, "workloads": {"=chat()": chat, SCRIPT: chat}}
    write_fleet(here / "fleet", solved(plan))
    return {name: here / name for name in ("mix", "kitsune", "fleet")}


@pytest.mark.parametrize("name", ["mix", "kitsune", "fleet"])
def test_pages_hold_the_names_and_no_script_of_theirs(name: str, folders: dict[str, Path]) -> None:
    pages = sorted(folders[name].glob("*.html"))
    named: set[str] = set()
    for path in pages:
        found = Page(path.read_text(encoding="utf-8"))
        assert found.tags == PLAIN.tags, path.name
        assert found.scripts[:-1] == PLAIN.scripts[:-1], path.name
        named |= texts_of(found.spec)
    assert len(pages) >= 2
    assert any(SCRIPT in text for text in named)


@pytest.mark.parametrize("name", ["mix", "kitsune", "fleet"])
def test_pictures_hold_no_script_of_theirs(name: str, folders: dict[str, Path]) -> None:
    for path in folders[name].glob("*.svg"):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert not [each for each in root.iter() if each.tag.endswith("script")]


@pytest.mark.parametrize("name", ["mix", "kitsune", "fleet"])
def test_tables_hold_the_names_and_no_formula(name: str, folders: dict[str, Path]) -> None:
    read: set[str] = set()
    copied = "profile.csv"  # what the user gave, to the byte
    for path in (path for path in folders[name].glob("*.csv") if path.name != copied):
        with path.open(encoding="utf-8", newline="") as lines:
            for cell in (cell for row in csv.reader(lines) for cell in row):
                assert cell[:1] not in set("=+-@\t\r\n") or float(cell) is not None
                read.add(cells.unquoted(cell))
    assert {"mix": "=small()", "kitsune": "=cmd()", "fleet": "=chat()"}[name] in read
    assert SCRIPT in read


# cells


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_is_quoted_and_reads_back(name: str) -> None:
    assert cells.quoted(name) == f"'{name}"
    assert cells.unquoted(cells.quoted(name)) == name


@pytest.mark.parametrize("text", [*NUMBERS, "h100-sxm", "a=b", "'quoted'", "", "2 x +3"])
def test_what_is_no_formula_stays(text: str) -> None:
    assert cells.quoted(text) == cells.unquoted(text) == text


NAMES = st.text(max_size=6) | st.text(st.sampled_from("'=+-@\t\r\n1.ea,;\""), max_size=6)
CELLS = NAMES | st.integers() | st.floats(allow_nan=False) | st.none()


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_table_reads_back_and_holds_no_formula(rows: list[list[Any]]) -> None:
    text = cells.csv_text(("a", "b"), rows)
    header, *found = csv.reader(StringIO(text, newline=""))
    assert header == ["a", "b"]
    for row, read in zip(rows, found, strict=True):
        for cell, shown in zip(row, read, strict=True):
            if isinstance(cell, str):
                assert cells.unquoted(shown) == cell
                assert shown[:1] not in set("=+-@\t\r\n") or cells.NUMBER.fullmatch(shown)
            else:
                assert shown == ("" if cell is None else repr(cell))


# one place for each


def test_pages_and_tables_are_written_in_one_place_each() -> None:
    ways = {"vegalite_to_html": "drawing.py", ".writer(": "cells.py", "DictWriter": None, ".to_html(": None,
            ".save(str": None}  # fmt: skip
    sources = {path.name: path.read_text(encoding="utf-8") for path in EXPORTS.parent.rglob("*.py")}
    for way, only in ways.items():
        assert [name for name, text in sources.items() if way in text] == ([only] if only else []), way
