"""One GPU in SI numbers, out of the catalogue and the user's own settings over it.

A setting is a quantity, or a factor: {"l2_bandwidth": "2x", "sms": "216"}. Each is changed alone: twice
the SMs have the same peaks unless `tensor` and `simt` are set too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from codesign.facts.catalog import Catalog
from codesign.facts.errors import DataError
from codesign.facts.records import GpuRecord, numbers
from codesign.facts.units import sane, show

UNITS = {
    "sms": "1", "tensor": "FLOP/s", "simt": "FLOP/s", "dram_bandwidth": "B/s", "l2_bandwidth": "B/s",
    "l2_capacity": "B", "power": "W", "gpcs": "1", "l2_partitions": "1", "shared_memory": "B", "registers": "1",
    "threads": "1", "queue_sync": "s", "queue_bandwidth": "B/s", "payload_least": "B", "payload_most": "B",
    "queue_entries": "1", "atomics": "1",
}  # fmt: skip
# of a setting, in the unit of UNITS: programs have a row for each SM, and times stay within what they can hold
MOST = {"1": 1e12, "FLOP/s": 1e19, "B/s": 1e17, "B": 1e14, "W": 1e7, "s": 1.0}
MOST_WHOLE = 1e6
MOST_SMS = 4096
WHOLE = {"sms", "gpcs", "l2_partitions", "registers", "threads", "queue_entries"}
# where the record calls it otherwise
IN_RECORD = {
    "shared_memory": "sm.shared_memory", "registers": "sm.registers", "threads": "sm.threads",
    "queue_sync": "queue.sync", "queue_bandwidth": "queue.bandwidth", "payload_least": "queue.payload_least",
    "payload_most": "queue.payload_most", "queue_entries": "queue.entries", "atomics": "queue.atomics",
}  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """A GPU as operators and pipelines see it: FLOP/s, B/s, B, s, W."""

    name: str
    sms: int
    tensor: float            # FLOP/s of all tensor units, dense FP16
    simt: float              # FLOP/s of all SIMT units, FP16
    dram_bandwidth: float
    l2_bandwidth: float
    l2_capacity: float
    power: float
    queue_sync: float        # s for each payload
    queue_bandwidth: float   # B/s of one queue
    payload_least: float     # B
    payload_most: float      # B
    queue_entries: int
    atomics: float           # a second, of one CTA
    gpcs: int | None = None
    l2_partitions: int | None = None
    shared_memory: float | None = None  # B of one SM
    registers: int | None = None        # of one SM, 32 bits each
    threads: int | None = None          # of one SM
    settings: tuple[tuple[str, str], ...] = ()  # the user's own, as written

    def __post_init__(self) -> None:
        faults = self._faults()
        if faults:
            raise DataError(f"GPU {self.name!r} is impossible: " + "; ".join(faults))

    def with_settings(self, settings: Mapping[str, str]) -> "Gpu":
        """The same GPU with some numbers changed; DataError names the unknown and the impossible."""
        own = {name: getattr(self, name) for name in UNITS}
        changed = {key: _number(key, text, own) for key, text in settings.items()}
        return replace(self, **changed, settings=(*self.settings, *settings.items()))

    def _faults(self) -> list[str]:
        given = {name: value for name in UNITS if (value := getattr(self, name)) is not None}
        faults = [f"{key} = {show(value, UNITS[key])} must be positive" for key, value in given.items() if value <= 0]
        if faults:
            return faults
        if self.sms > MOST_SMS:
            faults.append(f"sms = {self.sms:,}, must be at most {MOST_SMS:,}")
        if self.l2_bandwidth < self.dram_bandwidth:
            faults.append(f"l2_bandwidth = {show(self.l2_bandwidth, 'B/s')} is below dram_bandwidth = "
                          f"{show(self.dram_bandwidth, 'B/s')}, all of which goes through L2")  # fmt: skip
        if self.payload_least > self.payload_most:
            faults.append(f"payload_least = {show(self.payload_least, 'B')} exceeds payload_most = "
                          f"{show(self.payload_most, 'B')}")  # fmt: skip
        if self.queue_entries * self.payload_least > self.l2_capacity:
            faults.append("not one queue of the smallest payload fits in l2_capacity = " + show(self.l2_capacity, "B"))
        if self.gpcs is not None and self.gpcs > self.sms:
            faults.append(f"gpcs = {self.gpcs} exceeds sms = {self.sms}")
        return faults


def gpu_named(catalog: Catalog, name: str, settings: Mapping[str, str] | None = None) -> Gpu:
    """A GPU of the catalogue under the user's settings, which must give what the catalogue leaves out."""
    found = dict(numbers(catalog.get(GpuRecord, name)))
    own: dict[str, Any] = {}
    for key in UNITS:
        fact = found.get(IN_RECORD.get(key, key))
        own[key] = None if fact is None else int(fact.si) if key in WHOLE else fact.si
    own |= {key: _number(key, text, own) for key, text in (settings or {}).items()}
    optional = {field.name for field in fields(Gpu) if field.default is None}
    missing = [key for key in UNITS if own[key] is None and key not in optional]
    if missing:
        raise DataError(f"gpus/{name}.toml has no number for {', '.join(missing)}; give each, as "
                        f"{missing[0]}={_example(missing[0])}")  # fmt: skip
    return Gpu(name, **own, settings=tuple((settings or {}).items()))


def _number(key: str, text: str, own: Mapping[str, Any]) -> Any:
    if key not in UNITS:
        raise DataError(f"GPU setting {key!r} is not known; known: {', '.join(UNITS)}")
    factor = re.fullmatch(r"(.*\d\.?)\s*x", text.strip())
    if factor is not None and own[key] is None:
        raise DataError(f"GPU setting {key} = {text!r}: there is no number to multiply; give a quantity")
    try:
        number = sane(text, UNITS[key]) if factor is None else own[key] * sane(factor[1], "1")
    except DataError as error:
        raise DataError(f"GPU setting {key} = {error}") from error
    most = MOST_WHOLE if key in WHOLE else MOST[UNITS[key]]
    if abs(number) > most:
        raise DataError(f"GPU setting {key} = {text!r} is {show(number, UNITS[key])}, must be at most "
                        f"{show(most, UNITS[key])}")  # fmt: skip
    if key in WHOLE:
        if number != round(number):
            raise DataError(f"GPU setting {key} = {text!r} is {number:g}, not a whole number")
        return round(number)
    return number


def _example(key: str) -> str:
    return {"B/s": "'5 TB/s'", "s": "'1.1 us'", "B": "'64 KiB'"}.get(UNITS[key], "2")
