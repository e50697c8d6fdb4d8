"""What a GPU's file may say beyond its peaks: one SM's room, and the ring queues measured on it."""

from typing import Annotated

from codesign.facts.fact import Fact, In, Table

Bytes = Annotated[Fact, In("B")]
Whole = Annotated[Fact, In("1", whole=True)]


class SmRecord(Table):
    """What one streaming multiprocessor holds."""

    shared_memory: Bytes | None = None  # L1 and shared memory together
    registers: Whole | None = None      # of 32 bits
    threads: Whole | None = None


class QueueRecord(Table):
    """A ring queue in L2 between two CTAs: a payload takes `sync` + payload / `bandwidth`."""

    sync: Annotated[Fact, In("s")]
    bandwidth: Annotated[Fact, In("B/s")]  # of one queue, as long as all fit in L2
    payload_least: Bytes
    payload_most: Bytes
    entries: Whole
    atomics: Annotated[Fact, In("1")]      # a second, of one CTA
