"""A plan out of a TOML file, with options over it: all faults in one message, each with the path of its key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from codesign.facts.catalog import Catalog, faults_of
from codesign.facts.errors import DataError
from codesign.facts.reading import Document, shown
from codesign.fleet.plan import Plan
from codesign.physics.chips import all_chips
from codesign.system.mode import check_release
from codesign.system.query import NONE, asked_table


def read_plan(catalog: Catalog, path: Path | Document | None, options: Mapping[str, Any], builtin: str) -> Plan:
    """The plan of a file (`builtin`, as text, where `path` is None) with `options` over it.

    `options` maps dotted keys to written values; "none" takes away what the file says.
    Raises DataError with every fault, each with file and path of its key.
    """
    where, table = asked_table(path, builtin, "built-in plan")
    for key, value in options.items():
        _put(table, key, value, where)
    return checked(catalog, table, where)


def checked(catalog: Catalog, table: dict[str, Any], where: str) -> Plan:
    """The plan that a table says. Raises DataError with every fault of it."""
    periods, workloads = table.get("periods"), table.get("workloads")
    context = {
        "periods": len(periods) if isinstance(periods, dict) else None,
        "workloads": set(workloads) if isinstance(workloads, dict) else None,
        "models": set(catalog.records["models"]),
        "chips": {chip.name for chip in all_chips(catalog, "catalogue")},
    }
    try:
        plan = Plan.model_validate(table, context=context)
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, where, Plan))) from error
    check_release(catalog, plan.engine, plan.release or "", f"{where}: release")
    return plan


def _put(table: dict[str, Any], key: str, value: Any, where: str) -> None:
    *parents, last = key.split(".")
    spot = table
    for parent in parents:
        spot = spot.setdefault(parent, {})
        if not isinstance(spot, dict):
            raise DataError(f"{where}: {key}: {parent} = {shown(spot)} is no table")
    if value == NONE:
        spot.pop(last, None)
    else:
        spot[last] = value
