"""However narrow the terminal: every number in one piece, every name whole, and one width where nobody watches."""

import io
import os
import re
import sys
from collections import Counter
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.padding import Padding

from codesign.output import text as layout
from tests.cases.command import run

NUMBER = re.compile(r"(?<![\w.,])[-+$]?\d[\d.,]*[%xkMB]?(?![\w])")
DRAWN = re.compile(r"[\s\u2500-\u257f]")
COMMANDS = {
    "frontier": ("frontier", "--mode", "limit", "--chip", "h100-sxm,h200-sxm,b200-sxm"),
    "best": ("best", "--mode", "limit"),
    "kitsune": ("kitsune", "dlrm"),
    "switch": ("switch", "--all", "--mode", "limit", "--chip", "h100-sxm,h200-sxm"),
    "why-not": ("why-not", "--mode", "limit", "--chip", "h200-sxm"),
    "relax": ("relax", "--mode", "limit", "--budget", "$1k"),
    "catalogue": ("catalog", "list", "chips"),
}
TIMED = re.compile(r"(?m)^ *seconds .*$")


def shown(command: str) -> dict[int, str]:
    """What a command prints by width, solved once."""
    outs = {width: io.StringIO() for width in (60, 80, 110, 160)}
    every = [Console(file=out, width=width, highlight=False, markup=False, emoji=False)
             for width, out in outs.items()]  # fmt: skip

    def print_all(part: object) -> None:
        for one in every:
            one.print(part)

    with patch.object(layout, "console", lambda **_: SimpleNamespace(print=print_all)):
        done = run(*COMMANDS[command])
    assert done.code in (0, 3) and not done.out, done.err
    return {width: TIMED.sub("", out.getvalue()) for width, out in outs.items()}


def signs(text: str) -> Counter[str]:
    return Counter(DRAWN.sub("", text))


@pytest.mark.parametrize("command", ["frontier", "best", "kitsune",
                                     *(pytest.param(name, marks=pytest.mark.slow)
                                       for name in ("switch", "why-not", "relax", "catalogue"))])  # fmt: skip
def test_what_is_told_on_160_columns_is_told_on_fewer(command: str) -> None:
    texts = shown(command)
    wide = texts.pop(160)
    for width, text in texts.items():
        assert max(map(len, text.splitlines())) <= width
        assert "\u2026" not in text
        assert not Counter(NUMBER.findall(wide)) - Counter(NUMBER.findall(text))
        assert not signs(wide) - signs(text)


WORDS = st.text("abcdefgh-_.", min_size=1, max_size=30)
NUMBERS = st.integers(-(10**9), 10**9).map("{:,}".format) | st.floats(0, 1).map("{:.1%}".format)


@given(st.integers(24, 160), st.data())
def test_any_table_is_whole_on_any_width(width: int, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.booleans(), min_size=1, max_size=9))
    rows = data.draw(st.lists(st.tuples(*(NUMBERS if right else st.lists(WORDS, max_size=3).map(" ".join)
                                          for right in kinds)), min_size=1, max_size=4))  # fmt: skip
    heads = data.draw(st.tuples(*(WORDS for _ in kinds)))
    table = layout.Table()
    for head, right in zip(heads, kinds, strict=True):
        table.add_column(head, justify="right" if right else "left")
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(Padding(Group(table), (0, 0, 0, 2)))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    wanted = Counter("".join("".join(row) for row in rows)) + Counter("".join(heads))
    filled = [any(row[i] for row in rows) for i in range(len(heads))]
    wanted -= Counter("".join(head for head, kept in zip(heads, filled, strict=True) if not kept))
    assert not Counter({sign: n for sign, n in wanted.items() if not sign.isspace()}) - signs(text)
    words = Counter(re.sub(r"[\u2500-\u257f]", " ", text).split())
    assert not Counter(cell for row in rows for cell, right in zip(row, kinds, strict=True) if right) - words


@pytest.mark.parametrize(("columns", "watched", "width"), [
    (None, False, 110), ("80", False, 110), ("80", True, 80), ("200", True, 200), (None, True, None),
])  # fmt: skip
def test_one_width_for_every_command(columns: str | None, watched: bool, width: int | None) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    out = io.StringIO()
    with patch.dict(os.environ, kept | ({} if columns is None else {"COLUMNS": columns}), clear=True), \
         patch.object(sys, "stdout", out), patch.object(out, "isatty", lambda: watched):  # fmt: skip
        for wide, unwatched in ((False, 110), (True, 160)):
            found = layout.console(wide=wide).width
            assert found == (Console().width if width is None else width if watched else unwatched)
