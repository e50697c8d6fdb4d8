"""A program as files that any MIP solver reads."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from codesign.output.files import Content
from formulations.solvers import highs


def programs(name: str, model: Any | None, header: Sequence[str] = ()) -> dict[str, Content]:
    """`name`.lp and `name`.mps with a header of comments; without a model there is nothing in them."""
    if model is None:
        return {f"{name}.lp": None, f"{name}.mps": None}
    program = highs.load(model)
    return {f"{name}.{end}": partial(highs.write, program, comments=list(header)) for end in ("lp", "mps")}


def ratio_header(factor: float, numerator: float, denominator: float) -> list[str]:
    """Of N - lambda * D, which solves max N / D."""
    return [f"lambda = {factor!r}", f"ratio = {numerator / denominator!r}", f"N = {numerator!r}",
            f"D = {denominator!r}", f"N - lambda * D = {numerator - factor * denominator!r}"]  # fmt: skip
