"""What is not known: numbers with a range and a distribution, and scenarios drawn from them, seeded.

From the catalogue: every number behind the chips on offer whose sources disagree (`low` .. `high` in its file),
each for itself, triangular with today's value as the most likely. Or from a file:

    schema = 1
    [[uncertain]]
    paths = ["memory.hbm4.price", "memory.hbm3e-*.price"]   # as --assume takes them; * stands for any text
    distribution = "triangular"     # uniform if absent; triangular: today's value is the most likely; loguniform:
                                    # uniform in its logarithm; lognormal: the ends are the 5th and 95th percentile
    factor = [0.7, 1.6]             # times today's value; or low and high of one path; or neither: as published
    shared = true                   # one draw for all its paths, which then rise and fall together; true if absent

The path "step_time.CHIP" (a product or a die, * for any) is a model's error: its steps take so many times longer.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from codesign.facts.catalog import Catalog, faults_of
from codesign.facts.errors import DataError
from codesign.facts.fact import Table, Written
from codesign.facts.reading import text_of, toml_of
from codesign.facts.units import si
from codesign.physics.hardware import Chip
from codesign.study.parameters import ASKED, Parameter, parameter, parameters
from codesign.system.offers import Offer
from codesign.system.query import Query

Distribution = Literal["uniform", "triangular", "loguniform", "lognormal"]
STEP_TIME = "step_time."
NORMAL_95 = NormalDist().inv_cdf(0.95)


class Entry(Table):
    """One [[uncertain]] of a file."""

    paths: tuple[str, ...] = Field(min_length=1)
    distribution: Distribution = "uniform"
    factor: tuple[float, float] | None = None
    low: Written | None = None
    high: Written | None = None
    shared: bool = True


class File(Table):
    """A file of uncertainty."""

    schema_: Literal[1] = Field(alias="schema")
    uncertain: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Uncertain:
    """One number: SI ends, its most likely value, and which draw it takes."""

    path: str
    low: float
    value: float
    high: float
    distribution: Distribution
    draw: int
    whole: bool = False

    def at(self, u: float) -> float:
        """The number below which a share `u` of its distribution lies."""
        if self.low == self.high:
            return self.low
        found = {"triangular": self._triangular, "lognormal": self._lognormal}.get(self.distribution)
        if found is not None:
            value = found(u)
        elif self.distribution == "uniform":
            value = self.low + u * (self.high - self.low)
        else:
            value = self.low * (self.high / self.low) ** u
        return float(round(value)) if self.whole else value

    def _triangular(self, u: float) -> float:
        width, left = self.high - self.low, self.value - self.low
        if u * width < left:
            return self.low + math.sqrt(u * width * left)
        return self.high - math.sqrt((1 - u) * width * (width - left))

    def _lognormal(self, u: float) -> float:
        middle = (math.log(self.low) + math.log(self.high)) / 2
        sigma = (math.log(self.high) - math.log(self.low)) / 2 / NORMAL_95
        return math.exp(middle + sigma * NormalDist().inv_cdf(min(max(u, 1e-12), 1 - 1e-12)))


@dataclass(frozen=True)
class Scenario:
    """SI values by path, and factors on the steps of chips (by product, or by die)."""

    changes: dict[str, float]
    slow: dict[str, float]

    def point(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"changes": self.changes, "slow": self.slow}


def scenarios(uncertain: Iterable[Uncertain], count: int, seed: int) -> list[Scenario]:
    """`count` scenarios; the first ones are the same for any count."""
    numbers = tuple(uncertain)
    draws = np.random.default_rng(seed).random((count, 1 + max((x.draw for x in numbers), default=0)))
    return [_scenario((x.path, x.at(float(row[x.draw]))) for x in numbers) for row in draws]


def _scenario(values: Iterable[tuple[str, float]]) -> Scenario:
    changes, slow = {}, {}
    for path, value in values:
        if path.startswith(STEP_TIME):
            slow[path.removeprefix(STEP_TIME)] = value
        else:
            changes[path] = value
    return Scenario(changes, slow)


def model_error(offers: Iterable[Offer], factor: float) -> tuple[Uncertain, ...]:
    """The step time of each product and die by itself, from 1 / factor to factor, uniform in its logarithm."""
    names = base_chips(offers)
    return tuple(Uncertain(STEP_TIME + name, 1 / factor, 1.0, factor, "loguniform", i) for i, name in enumerate(names))


def base_chips(offers: Iterable[Offer]) -> tuple[str, ...]:
    """Products and dies on offer, each once."""
    return tuple(dict.fromkeys(offer.chip.die or offer.chip.name for offer in offers))


def published(catalog: Catalog, query: Query, offers: tuple[Offer, ...]) -> tuple[Uncertain, ...]:
    """Every number behind the chips on offer whose published low and high differ."""
    entries = behind(offer.chip for offer in offers)
    found = [p for p in parameters(catalog, query) if _ranged(p) and rests_on(p.path, entries)]
    return tuple(
        Uncertain(p.path, p.low, p.value, p.high, "triangular", i, p.whole)
        for i, p in enumerate(found) if p.low is not None and p.high is not None
    )  # fmt: skip


def _ranged(p: Parameter) -> bool:
    return p.low is not None and p.high is not None and p.low < p.high


def behind(chips: Iterable[Chip]) -> set[str]:
    """Entries of the catalogue that the chips rest on, with the prices."""
    chips = tuple(chips)
    links = {f"links.{x.name}" for c in chips for x in (c.scale_up, c.scale_out) if x is not None}
    servers = {f"servers.{c.server.name}" for c in chips if c.server is not None}
    return {path for c in chips for path in c.paths} | links | servers | {"prices.default"}


def rests_on(path: str, entries: set[str]) -> bool:
    """Whether a number is one of these entries'."""
    return any(path.startswith(f"{entry}.") for entry in entries)


def _text(path: Path) -> str:
    try:
        return text_of(path, f"--uncertainty {path}")
    except DataError as error:
        raise DataError(f"{error}; or use --uncertainty catalogue") from error


def read_uncertainty(path: Path, catalog: Catalog, query: Query, offers: tuple[Offer, ...]) -> tuple[Uncertain, ...]:
    """The numbers of a file. Raises DataError with every fault of it."""
    try:
        file = File.model_validate(toml_of(_text(path), str(path)))
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, str(path), File))) from error
    if not file.uncertain:
        raise DataError(f"{path}: uncertain is missing: nothing is uncertain; give one [[uncertain]] or more")
    known = {p.path: p for p in parameters(catalog, query)}
    found: list[Uncertain] = []
    faults: list[str] = []
    for number, entry in enumerate(file.uncertain):
        try:
            found += _numbers(entry, known, base_chips(offers), len(found), (catalog, query))
        except DataError as error:
            faults += [f"{path}: uncertain.{number}: {line}" for line in str(error).splitlines()]
    paths = [x.path for x in found]
    faults += [f"{path}: {twice} is uncertain twice" for twice in sorted({x for x in paths if paths.count(x) > 1})]
    if faults:
        raise DataError("\n".join(faults))
    return tuple(found)


def _numbers(
    entry: Entry, known: dict[str, Parameter], chips: tuple[str, ...], draw: int, asked: tuple[Catalog, Query]
) -> Iterator[Uncertain]:
    if (entry.low is None) != (entry.high is None):
        raise DataError("give both low and high, or neither")
    if entry.factor is not None and entry.low is not None:
        raise DataError("give either factor, or low and high")
    each = [p for path in entry.paths for p in _matching(path, known, chips, asked)]
    if entry.low is not None and len(each) != 1:
        raise DataError(f"low and high are of one path, here are {len(each)}; use factor")
    for turn, p in enumerate(each):
        low, high = _ends(entry, p)
        middle = min(max(p.value, low), high)
        yield Uncertain(p.path, low, middle, high, entry.distribution, draw + (0 if entry.shared else turn), p.whole)


def _matching(
    path: str, known: dict[str, Parameter], chips: tuple[str, ...], asked: tuple[Catalog, Query]
) -> list[Parameter]:
    """The numbers that a path means; DataError where there is none."""
    if path.startswith(STEP_TIME):
        found = [Parameter(STEP_TIME + name, 1.0, "1", False, None, None, "assumed")
                 for name in chips if fnmatchcase(STEP_TIME + name, path)]  # fmt: skip
        if not found:
            raise DataError(f"{path!r}: no chip on offer is called so; known: {', '.join(chips)}")
        return found
    if "*" not in path:
        return [known[path] if path in known else parameter(*asked, path)]
    found = [p for p in known.values() if fnmatchcase(p.path, path) and p.path not in ASKED]
    if not found:
        raise DataError(f"{path!r}: no number of the catalogue has such a path")
    return found


def _ends(entry: Entry, p: Parameter) -> tuple[float, float]:
    if entry.factor is not None:
        low, high = p.value * entry.factor[0], p.value * entry.factor[1]
        said = f"{p.path}: factor = {list(entry.factor)}"
    elif entry.low is not None and entry.high is not None:
        low, high = si(entry.low, p.unit), si(entry.high, p.unit)
        said = f"{p.path}: low = {entry.low!r}, high = {entry.high!r}"
    elif p.low is not None and p.high is not None:
        low, high, said = p.low, p.high, f"{p.path}: {p.shown(p.low)} .. {p.shown(p.high)} as published"
    else:
        raise DataError(f"{p.path}: no low and high are published; give factor, or low and high")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise DataError(f"{said}: the low end must not be above the high end")
    logarithm = entry.distribution in ("loguniform", "lognormal")
    if low < p.least or high > p.most or (low <= 0 and (p.value > 0 or logarithm)):
        most = "" if math.isinf(p.most) else f", at most {p.shown(p.most)}"
        least = "above 0" if low <= 0 else f"at least {p.shown(p.least)}"
        raise DataError(f"{said}: must be {least}{most}")
    if entry.distribution == "triangular" and not low <= p.value <= high:
        raise DataError(f"{said}: triangular needs today's {p.shown()} between the ends")
    return low, high
