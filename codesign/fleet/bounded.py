"""Plans that the program cannot bound, refused with the keys that would do it."""

from codesign.errors import DataError
from codesign.fleet.prepared import Prepared
from formulations import fleet, fleet_bounds

LARGEST = 1e15  # HiGHS refuses a larger coefficient, and takes limits from 1e20 on for none
LIMITS = "limits.power, limits.racks, limits.capital, limits.hourly or limits.chips.all"


def refuse(p: Prepared, data: fleet.Instance) -> None:
    """DataError for limits that leave a count of servers without end, and for servers that cost nothing in a ratio.

    Also for numbers that a solver takes for infinite.
    """
    limits = p.plan.limits
    if not fleet_bounds.bounded(data):
        raise DataError(f"limits.kinds = {limits.kinds} with limits.second_source = {limits.second_source:g}: needs a "
                        f"limit that bounds the servers of every chip: {LIMITS}")  # fmt: skip
    if data.objective == "ratio" and not fleet_bounds.least_price(data) > 0:
        raise DataError("objective = 'throughput-per-dollar': some server costs nothing, bought or installed, and has "
                        "no ratio; give it a price, upkeep (prices.default.upkeep) or electricity "
                        "(prices.default.electricity)")  # fmt: skip
    if too_large := fleet_bounds.beyond(data, LARGEST):
        raise DataError(f"{KEYS[too_large[0]]}: a number as large as {too_large[1]:g} in the program counts as "
                        "infinite; give a smaller one, or leave the key out for no limit")  # fmt: skip


KEYS = {
    "demand": "workloads.*.requests", "worth": "workloads.*.worth", "price": "periods.*.price",
    "charge": "periods.*.price", "running": "prices.default.upkeep and electricity", "installed": "installed.*.servers",
    "capital": "limits.capital", "spending": "limits.hourly", "power": "limits.power", "racks": "limits.racks",
    "supply": "limits.chips", "watts": "power of a server", "rate": "requests/s of a replica",
}  # fmt: skip
