"""A demand by buckets, read from a small TOML or CSV file: how many requests/s of which lengths.

    requests_per_s = 16          # of all buckets; then each says its share
    slices = 8                   # of a bucket; absent: 8
    speed = "30 tokens/s"        # that each user gets at least; absent: any

    [[bucket]]
    name = "128/128"
    share = 0.75                 # or requests_per_s of its own
    model = "llama-3.1-8b"       # where the table names models; slices and speed may be set here too

    [available]
    "a100 tp1" = 4               # replicas of a kind at most

As CSV: a row for each bucket with the columns bucket, requests_per_s (or share), model, slices, speed.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from codesign.facts.catalog import faults_of
from codesign.facts.errors import DataError
from codesign.facts.fact import Table
from codesign.facts.reading import toml_file
from codesign.mix.profile import read_table
from codesign.system.query import Count, Speed

LEAST = 1e-12  # requests/s; less is a slip, and below what programs tell from nothing
WHOLE = 1e-6  # shares add up to 1 to within this
CSV = {"bucket": "name", "requests_per_s": "requests_per_s", "share": "share", "model": "model", "slices": "slices",
       "speed": "speed"}  # fmt: skip


def _plain(raw: Any) -> Any:
    """A number, also as the text of a cell or an option."""
    if isinstance(raw, str):
        try:
            return float(raw.replace("_", "x").removesuffix("requests/s").strip())
        except ValueError as error:
            raise ValueError("expected a number of requests/s") from error
    return raw


def _finite(value: float) -> float:
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("is not finite")
    if 0 < value < LEAST:
        raise ValueError(f"must be 0, or at least {LEAST:g}")
    return value


Rate = Annotated[float, BeforeValidator(_plain), AfterValidator(_finite), Field(ge=0, le=1e12)]


class BucketDemand(Table):
    """One bucket; its rate, or its share of the whole demand."""

    name: str = Field(min_length=1, max_length=200)
    model: str = Field(default="", max_length=200)
    requests_per_s: Rate | None = None
    share: Rate | None = None
    slices: Count | None = None
    speed: Speed | None = None


class Demand(Table):
    """All buckets; `speed` and `slices` hold where a bucket says nothing."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    requests_per_s: Rate | None = None
    slices: Count | None = None
    speed: Speed | None = None
    bucket: tuple[BucketDemand, ...] = ()
    available: dict[str, Annotated[int, Field(ge=0, le=10**9, strict=True)]] = Field(default_factory=dict)


def read_demand(path: Path) -> Demand:
    """A demand from .toml or .csv. Raises DataError with all faults of the file."""
    if path.suffix.lower() == ".csv":
        demand = _from_csv(path)
    elif path.suffix.lower() == ".toml":
        demand = _from_toml(path)
    else:
        raise DataError(f"--demand {path}: expected a file .toml or .csv")
    if faults := _faults(demand):
        raise DataError("\n".join(f"{path}: {fault}" for fault in faults))
    return demand


def _from_toml(path: Path) -> Demand:
    raw = toml_file(path, f"--demand {path}")
    try:
        return Demand.model_validate(raw)
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, str(path), Demand))) from error


def _from_csv(path: Path) -> Demand:
    header, rows = read_table(path, "--demand")
    faults = [f"{path}: line 1: column {name!r} is unknown; known: {', '.join(CSV)}"
              for name in header if name not in CSV]  # fmt: skip
    faults += [f"{path}: line 1: column {name!r} occurs twice" for name in set(header) if header.count(name) > 1]
    if "bucket" not in header or not {"requests_per_s", "share"} & set(header):
        faults.append(f"{path}: line 1: needed are the columns bucket and requests_per_s (or share)")
    if faults:
        raise DataError("\n".join(faults))
    found = []
    for line, cells in rows:
        if "" in cells:
            faults.append(f"{path}: line {line}: more cells than columns: {cells['']!r}")
            continue
        try:
            found.append(BucketDemand.model_validate({CSV[key]: cell for key, cell in cells.items() if cell}))
        except ValidationError as error:
            faults += faults_of(error, f"{path}: line {line}", BucketDemand)
    if faults:
        raise DataError("\n".join(faults))
    return Demand(bucket=tuple(found))


def _faults(demand: Demand) -> list[str]:
    """What a bucket alone does not show: rates and shares that do not go together, a bucket twice."""
    faults = [] if demand.bucket else ["bucket: none; a demand needs at least one"]
    seen = set()
    for i, b in enumerate(demand.bucket):
        where = f"bucket.{i} ({b.name})"
        if (b.requests_per_s is None) == (b.share is None):
            faults.append(f"{where}: give either requests_per_s or share")
        if (b.model, b.name) in seen:
            faults.append(f"{where}: occurs twice")
        seen.add((b.model, b.name))
    shares = [b.share for b in demand.bucket if b.share is not None]
    if shares and len(shares) < len(demand.bucket):
        faults.append("bucket: some have a share and some requests_per_s; give all the same")
    elif shares and abs(sum(shares) - 1) > WHOLE:
        faults.append(f"bucket: shares add up to {sum(shares):.6g}, expected 1")
    if not shares and demand.requests_per_s is not None:
        faults.append(f"requests_per_s = {demand.requests_per_s!r}: goes with shares, but the buckets have rates")
    return faults
