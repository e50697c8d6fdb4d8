"""The map of CONTRIBUTING.md is that of the code, and what the page names exists."""

import re

from codesign.facts.version import __version__
from tests.house_map import PAGE, drawing, reduced, rooms, with_map
from tests.test_architecture import ROOT, repository


def test_map_is_not_old() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_map(page) == page, "run `make map`"


def test_map_has_every_room_and_no_arrow_too_many() -> None:
    sources = {"codesign": "from codesign.cli import a", "codesign.cli.a": "from codesign.facts import b\n"
               "from codesign.system import c", "codesign.system.c": "from codesign.facts import b",
               "codesign.facts.b": "", "formulations.x": ""}  # fmt: skip
    graph = rooms(sources)
    assert graph["cli"] == {"facts", "system"}
    assert reduced(graph) == {"the Python interface": {"cli"}, "cli": {"system"}, "system": {"facts"}, "facts": set()}
    assert "cli --> system" in drawing(sources) and "cli --> facts" not in drawing(sources)
    assert {"facts", "system", "cli", "formulations"} <= set(rooms(repository()))


def test_named_files_exist() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/.]+\.(?:py|md|toml))`", page))
    assert len(named) > 12
    places = (ROOT, ROOT / "codesign")
    outside = {"end.py", "system.py", "shown.py"}  # beside the room of their line
    missing = [name for name in named - outside if not any((place / name).exists() for place in places)]
    assert sorted(missing) == ["codesign/x/y.py", "tests/codesign/x/test_y.py"]


def test_one_version() -> None:
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
