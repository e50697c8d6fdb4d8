"""The map of the house, drawn from the imports of the code: `python -m tests.house_map` writes it into CONTRIBUTING.md.

Rooms are the packages of codesign, and formulations and instances as a whole; an arrow stands for at least one
import. Arrows that follow from others are left out (cli imports facts, and so do all that cli imports).
"""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.test_architecture import ROOT, Sources, arrows, repository

PAGE = ROOT / "CONTRIBUTING.md"
BLOCK = re.compile(r"(<!-- map: begin -->\n).*?(<!-- map: end -->)", re.DOTALL)


def rooms(sources: Sources) -> dict[str, set[str]]:
    """Which room imports which; only rooms that hold more than an `__init__`."""
    found: dict[str, set[str]] = {}
    for i, target in arrows({name: text for name, text in sources.items() if name != "codesign.__main__"}):
        a, b = _room(i.module), _room(target)
        found.setdefault(a, set())
        found.setdefault(b, set())
        if a != b:
            found[a].add(b)
    return found


def _room(module: str) -> str:
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] or "the Python interface" if top == "codesign" else top


def reduced(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that a longer way makes superfluous."""
    return {a: {b for b in to if not any(b in _below(graph, c) for c in to - {b})} for a, to in graph.items()}


def _below(graph: Mapping[str, set[str]], room: str) -> set[str]:
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for b in graph[waiting.pop()] - found:
            found.add(b)
            waiting.append(b)
    return found


def drawing(sources: Sources) -> str:
    """The map as a Mermaid graph."""
    graph = reduced(rooms(sources))
    lines = [f"    {_name(a)} --> {_name(b)}" for a in sorted(graph) for b in sorted(graph[a])]
    return "\n".join(["```mermaid", "graph TD", *lines, "```", ""])


def _name(room: str) -> str:
    return f'api["{room}"]' if " " in room else room


def with_map(page: str) -> str:
    """The page with today's map between its marks."""
    return BLOCK.sub(lambda m: m.group(1) + drawing(repository()) + m.group(2), page)


def main(page: Path = PAGE) -> None:
    """Write it."""
    page.write_text(with_map(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
