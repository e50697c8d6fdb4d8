"""The README's commands run and print what it shows; CODESIGN_RENEW=1 writes the outputs anew."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.command import run

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"<!-- output: (?P<command>codesign [^\n]*?) -->\n```console\n(?P<shown>.*?)```", re.DOTALL)
COMMAND = re.compile(r"`(codesign [^`]+)`")
MENTIONED = (  # without the arguments that they need
    "codesign predict", "codesign validate", "codesign calibrate", "codesign why-not", "codesign switch",
    "codesign relax", "codesign sensitivity", "codesign verify",
    "codesign fleet", "codesign robust", "codesign mix", "codesign schema",
)  # fmt: skip
OTHERWISE_TESTED = (  # placeholders, and what takes long
    "DIR", "QUERY.toml", "MEASURED.csv", "PLAN.toml", "TABLE.csv", "FILE.json", "GRAPH", "A,B", "switch --all",
    "robust --scenarios", "head -1",
)  # fmt: skip



def output(command: str) -> str:
    """What a command prints, without trailing blanks, and without its seconds."""
    words = shlex.split(command)
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 5), done.stderr
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return re.sub(r"(?m)^(  seconds +).*$", r"\1...", "\n".join(lines)) + "\n"


def blocks() -> list[tuple[str, str]]:
    return [(m["command"], m["shown"]) for m in BLOCK.finditer(README.read_text())]


def test_there_are_outputs() -> None:
    assert len(blocks()) >= 2


@pytest.mark.parametrize("command", [command for command, _ in blocks()])
def test_output_is_what_is_shown(command: str) -> None:
    fresh = f"$ {command}\n{output(command)}"
    if os.environ.get("CODESIGN_RENEW"):
        text = README.read_text()
        spot = next(m for m in BLOCK.finditer(text) if m["command"] == command)
        README.write_text(text[: spot.start("shown")] + fresh + text[spot.end("shown") :])
    assert dict(blocks())[command] == fresh


def commands() -> list[str]:
    found = set(COMMAND.findall(README.read_text())) - set(MENTIONED)
    return sorted(c for c in found if not any(word in c for word in OTHERWISE_TESTED))


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_runs(command: str) -> None:
    """In this process; those whose output is shown are started as processes of their own."""
    done = run(*shlex.split(command.replace("\\|", "|"))[1:])
    assert done.code in (0, 5) and done.out, done.err


def test_python_says_what_is_shown() -> None:
    text = "".join(re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
    lines = doctest.DocTestParser().get_doctest(text, {}, "README", str(README), 0)
    assert len(lines.examples) >= 5
    assert doctest.DocTestRunner().run(lines).failed == 0


def test_links_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert target.startswith("https://") or (README.parent / target).exists(), target
