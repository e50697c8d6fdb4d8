"""Mixes in the published form of Melange: a JSON document, read strictly, all faults in one message.

    {"total_request_rate": 30.0, "slice_factor": 4, "workload_distribution": [[0.2, 0.1], [0.5, 0.2]],
     "gpu_info": {"A10G": {"cost": 1.01, "tputs": [[2, 1], [5, 2]]}, ...}}

`workload_distribution` holds shares of `total_request_rate` (requests/s) by length of input and output,
`tputs` the requests/s of one replica in the same shape (1e-6 and less: cannot serve), `cost` USD/h.
`slice_factor` is 1 where absent; `available` of a kind (replicas at most) is ours. A file may also hold
many of them in a list, {"instances": [...]}, each with a `name`; name, family, source, published and answers say
nothing about the question.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.facts.errors import DataError
from codesign.facts.reading import json_file
from codesign.mix.question import Bucket, Kind, Mix, decimal
from codesign.mix.question import faults as senseless

NEEDED = ("total_request_rate", "workload_distribution", "gpu_info")
ABOUT = ("name", "family", "source", "published", "answers")
CANNOT = 1e-6    # requests/s and less: the form's way to say that a kind cannot serve a bucket
KIND = ("cost", "tputs", "available")


def read_published(path: Path, name: str | None = None) -> dict[str, Any]:
    """One instance of a file; `name` chooses where it holds many. Raises DataError naming file and key."""
    document = json_file(path, f"--instance {path}")
    if not isinstance(document, dict):
        raise DataError(f"--instance {path}: expected a table with {', '.join(NEEDED)}")
    lists = [many for many in document.values() if isinstance(many, list) and many and isinstance(many[0], dict)]
    if set(NEEDED) & set(document) or not lists:
        if name is not None:
            raise DataError(f"--name {name!r}: {path} holds one instance, not a list of named ones")
        return document
    named = {str(one.get("name")): one for one in lists[0] if isinstance(one, dict)}
    if name not in named:
        asked = "--name is needed" if name is None else f"--name {name!r}: no such instance"
        raise DataError(f"{path}: {asked}; there are: {', '.join(named)}")
    return named[name]


def mix_of(document: Mapping[str, Any], *, where: str = "instance", slices: int | None = None,
           fractional: bool = False) -> Mix:  # fmt: skip
    """The question of one instance; `slices` goes before its slice_factor. Raises DataError with all faults."""
    faults = [f"{key}: unknown; known: {', '.join([*NEEDED, 'slice_factor', *ABOUT])}"
              for key in document if key not in (*NEEDED, "slice_factor", *ABOUT)]  # fmt: skip
    faults += [f"{key}: missing" for key in NEEDED if key not in document]
    if faults:
        raise _error(where, faults)
    total = document["total_request_rate"]
    if not _number(total):
        faults.append(f"total_request_rate = {total!r}: expected requests/s, 0 or more")
    factor = document.get("slice_factor", 1) if slices is None else slices
    if not _whole(factor) or factor < 1:
        faults.append(f"slice_factor = {factor!r}: expected a whole number, 1 or more")
    shares = _grid("workload_distribution", document["workload_distribution"], None, faults)
    kinds = _kinds(document["gpu_info"], [len(row) for row in shares], faults)
    if faults:
        raise _error(where, faults)
    size = round(factor)
    buckets = tuple(
        Bucket(f"[{i}][{j}]", "", decimal(share) * decimal(total), 1 if fractional else size)
        for i, row in enumerate(shares) for j, share in enumerate(row)
    )  # fmt: skip
    flat = [[rate for row in grid for rate in row] for _, grid in kinds]
    served = {(b, g): float(rates[b]) for g, rates in enumerate(flat) for b in range(len(buckets)) if rates[b] > CANNOT}
    mix = Mix(tuple(kind for kind, _ in kinds), buckets, served, fractional)
    if faults := senseless(mix):
        raise _error(where, faults)
    return mix


def _error(where: str, faults: list[str]) -> DataError:
    return DataError("\n".join(f"{where}: {fault}" for fault in faults))


def _number(value: Any) -> bool:
    """A finite number, 0 or more."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and math.isfinite(value) and value >= 0


def _whole(value: Any) -> bool:
    return _number(value) and value == int(value)


def _grid(key: str, value: Any, widths: list[int] | None, faults: list[str]) -> list[list[float]]:
    """A list of lists of numbers, in the shape of the distribution where that is known; [] with a fault."""
    if not isinstance(value, list) or not value or not all(isinstance(row, list) and row for row in value):
        faults.append(f"{key}: expected a list of lists of numbers")
        return []
    wrong = [f"{key}[{i}][{j}] = {cell!r}: expected a finite number, 0 or more"
             for i, row in enumerate(value) for j, cell in enumerate(row) if not _number(cell)]  # fmt: skip
    faults += wrong
    shape = [len(row) for row in value]
    if widths is not None and widths and shape != widths:
        faults.append(f"{key}: rows of {shape} numbers, but workload_distribution has rows of {widths}")
    elif widths is None and len(set(shape)) > 1:
        faults.append(f"{key}: rows of {shape} numbers, expected rows of one length")
    return [] if wrong else value


def _kinds(info: Any, widths: list[int], faults: list[str]) -> list[tuple[Kind, list[list[float]]]]:
    if not isinstance(info, dict) or not info:
        faults.append("gpu_info: expected a table with one entry for each kind")
        return []
    found = []
    for name, entry in info.items():
        if not isinstance(entry, dict):
            faults.append(f"gpu_info.{name}: expected a table with cost and tputs")
            continue
        faults += [f"gpu_info.{name}.{key}: unknown; known: {', '.join(KIND)}" for key in entry if key not in KIND]
        faults += [f"gpu_info.{name}.{key}: missing" for key in KIND[:2] if key not in entry]
        cost, available = entry.get("cost", 0), entry.get("available")
        if not _number(cost):
            faults.append(f"gpu_info.{name}.cost = {cost!r}: expected USD/h, 0 or more")
        if available is not None and (not _whole(available) or available < 0):
            faults.append(f"gpu_info.{name}.available = {available!r}: expected a whole number, 0 or more")
        grid = _grid(f"gpu_info.{name}.tputs", entry["tputs"], widths, faults) if "tputs" in entry else []
        if _number(cost):
            there = None if available is None or not _whole(available) else round(available)
            found.append((Kind(str(name), str(name), "", "", float(cost), there), grid))
    return found
