"""An operator graph by what the user calls it: an application, a file, or a function in a file."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from codesign.facts.errors import DataError
from codesign.facts.units import sane
from codesign.kitsune.apps import APPS, application
from codesign.kitsune.files import read_graph
from codesign.kitsune.graph import Graph
from codesign.kitsune.onnx_file import read_onnx
from codesign.kitsune.torch_module import read_torch

MOST_SIZE = 10**7  # of an application's own sizes, which multiply


def graph_named(where: str, sizes: Mapping[str, str]) -> Graph:
    """The graph that `where` names, with the user's sizes; DataError says what can be named."""
    if where in APPS:
        return application(where, _whole(sizes))
    if where.endswith(".onnx"):
        return read_onnx(Path(where), _whole(sizes))
    is_toml, is_module = where.endswith(".toml"), ".py:" in where
    if not is_toml and not is_module:
        near = difflib.get_close_matches(where, APPS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"applications: {', '.join(APPS)}"
        raise DataError(f"graph {where!r} is no application, no file *.toml or *.onnx and no file.py:function; {hint}")
    if sizes:
        raise DataError(f"--set {next(iter(sizes))}: {where} has its own sizes; only applications and open "
                        "dimensions of ONNX files can be set")  # fmt: skip
    return read_graph(Path(where)) if is_toml else read_torch(where)


def _whole(sizes: Mapping[str, str]) -> dict[str, int]:
    found = {}
    for key, text in sizes.items():
        try:
            number = sane(text, "1")
        except DataError as error:
            raise DataError(f"--set {key}: {error}") from error
        if not 0 < number <= MOST_SIZE or number != round(number):
            raise DataError(f"--set {key}={text}: must be a positive whole number, {MOST_SIZE:,} at most")
        found[key] = round(number)
    return found
