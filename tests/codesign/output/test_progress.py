"""A sign of life on the error stream, where somebody watches, and never in what is printed."""

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from codesign.cli.main import main
from codesign.output.progress import alive
from tests.cases.command import put
from tests.cases.mix_tables import DEMAND, TABLE


class Watched(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_shown_where_somebody_watches_and_gone_after() -> None:
    watched, piped = Watched(), io.StringIO()
    for stream in (watched, piped):
        with contextlib.redirect_stderr(stream), alive("at work"):
            pass
    assert "at work" in watched.getvalue() and piped.getvalue() == ""
    assert watched.getvalue().endswith("\x1b[2K")  # the line is erased


@pytest.mark.parametrize("call", [("kitsune", "dlrm"), ("mix", "--profile", "p.csv", "--demand", "d.toml"),
                                  ("frontier", "--mode", "limit", "--chip", "h100-sxm")])  # fmt: skip
def test_commands_that_may_take_long_show_it(call: tuple[str, ...], tmp_path: Path) -> None:
    put(tmp_path, {"p.csv": TABLE, "d.toml": DEMAND})
    out, err = io.StringIO(), Watched()
    argv = ["codesign", *(str(tmp_path / word) if word in ("p.csv", "d.toml") else word for word in call), "--json"]
    with patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
         pytest.raises(SystemExit):  # fmt: skip
        main()
    assert "ing" in err.getvalue() and "0:00:0" in err.getvalue()
    assert json.loads(out.getvalue())["schema"] == 1
