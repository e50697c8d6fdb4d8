"""A recorded answer beside the same document made again from its query, its catalogue and its choice, field by field.

What only the search knows is in `UNSEEN`, with the reason; it is held against all that it must agree with.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from codesign.facts.document import Part
from codesign.system.answer import Answer, ProofPart
from codesign.system.answer_parts import Search, version_of
from codesign.system.audit import AGREE
from codesign.system.prepared import Looked

UNSEEN: Mapping[str, str] = MappingProxyType({
    "catalogue": "another hash is another catalogue: told as a change, no fault",
    "hashes": "as the catalogue",
    "versions": "of the programs that answered then",
    "query.time_limit": "how long the search might take, not what it found",
    "proof.seconds": "of one search on one machine",
    "proof.nodes": "the solver's own",
    "proof.solves": "the solver's own",
    "proof.bound": "the solver's; the value, the gap, the status and the enumeration must agree with it",
})
REFINED = ("proof.columns", "proof.removed", "proof.solved")  # where lines are cut as the search goes: only their sum

# what a catalogue that has changed may say of other systems, and of names, while the recorded system is as it was
OF_OTHERS = ("others", "left_out", "inputs", "unverified", "assumptions", "cures", "conflicts", "together",
             "in_the_way", "proof.considered", "proof.impossible", "proof.feasible", "proof.enumerated",
             *REFINED)  # fmt: skip
TITLES = (".title", ".vendor")  # of an entry whose numbers are as they were
WORDS = ("assumptions", "in_the_way", "proof.space", "proof.not_enumerated")  # another version may say it otherwise
LATE = "not in the time given"
ABSENT = "absent"
NAMES = ("name", "label", "limit", "path", "kind", "chip", "workload")  # what an entry of a list is called by
ZERO = 1e-12  # a share or a gap below it is rounding


@dataclass(frozen=True)
class Difference:
    """A field, as it is now and as it was recorded, in words."""

    path: str
    now: str
    recorded: str

    def __str__(self) -> str:
        return f"{self.path} is {self.now}, recorded as {self.recorded}"


def differences(recorded: Any, now: Any, path: str = "") -> Iterator[Difference]:
    """Every field in which two JSON values differ; numbers to 1e-6."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*now, *recorded)):
            where = f"{path}.{key}" if path else str(key)
            if key in recorded and key in now:
                yield from differences(recorded[key], now[key], where)
            else:
                yield Difference(where, *(repr(x[key]) if key in x else ABSENT for x in (now, recorded)))
    elif isinstance(recorded, list) and isinstance(now, list):
        if len(recorded) != len(now):
            yield Difference(f"length of {path}", str(len(now)), str(len(recorded)))
        for i, (was, one) in enumerate(zip(recorded, now, strict=False)):
            yield from differences(was, one, f"{path}.{_called(one, i)}")
    elif not _same(recorded, now):
        yield Difference(path, repr(now), repr(recorded))


def _called(entry: Any, i: int) -> str:
    return next((str(entry[key]) for key in NAMES if entry.get(key)), str(i)) if isinstance(entry, dict) else str(i)


def _same(recorded: Any, now: Any) -> bool:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (recorded, now))
    if numbers and not (isinstance(recorded, int) and isinstance(now, int)):
        return math.isclose(recorded, now, rel_tol=AGREE, abs_tol=ZERO)
    return type(recorded) is type(now) and bool(recorded == now)


def within(path: str, fields: Collection[str]) -> bool:
    """Whether a path is one of the fields, or inside one."""
    path = path.removeprefix("length of ")
    return any(path == field or path.startswith(f"{field}.") for field in fields)


def compared(
    recorded: Part, now: Part, *, unseen: Collection[str], same_catalogue: bool, same_version: bool
) -> tuple[list[str], list[str]]:
    """Faults, and what merely differs since the catalogue, or the program, is another one than the record's."""
    faults, told = [], set()
    allowed = (() if same_catalogue else OF_OTHERS) + (() if same_version else WORDS)
    for found in differences(_content(recorded), _content(now)):
        if within(found.path, unseen):
            continue
        if within(found.path, allowed) or (not same_catalogue and found.path.endswith(TITLES)):
            told.add(found.path.removeprefix("length of ").split(".")[0])
        else:
            faults.append(str(found))
    by = "catalogue" if not same_catalogue else "version"
    return faults, [f"by today's {by} other words or systems: {', '.join(sorted(told))}"] if told else []


def _content(document: Part) -> Any:
    """As JSON; a number that the user assumed has the day of the run for a date."""
    content = document.model_dump(by_alias=True, mode="json")
    for line in content.get("inputs", ()):
        if line["source"] == "user":
            line["date"] = ""
    return content


def of_best(recorded: Answer, now: Answer, *, same_catalogue: bool, refined: bool) -> tuple[list[str], list[str]]:
    """`compared`, for the answer of `best`."""
    unseen = (*UNSEEN, *(REFINED if refined else ()), *_late(recorded))
    same_version = recorded.versions.get("codesign") == version_of("codesign")
    found, told = compared(recorded, now, unseen=unseen, same_catalogue=same_catalogue, same_version=same_version)
    if refined and recorded.proof is not None and now.proof is not None:
        found += _refined(recorded.proof, now.proof)
    return found, told


def _refined(proof: ProofPart, now: ProofPart) -> list[str]:
    """A search that cuts its columns has no fewer than it began with, and each is removed or solved."""
    adds_up = proof.removed >= 0 < proof.solved and proof.removed + proof.solved == proof.columns
    if adds_up and proof.columns >= now.columns:
        return []
    return [f"proof.columns is at least {now.columns}, removed or solved; recorded as {proof.columns}, "
            f"{proof.removed} removed and {proof.solved} solved"]  # fmt: skip


def _late(recorded: Answer) -> tuple[str, ...]:
    """What a search with a time limit may have left out."""
    if "time_limit" not in recorded.query:
        return ()
    cures = ("cures", "in_the_way", "conflicts", "together", "not_looked_for") if recorded.not_looked_for else ()
    return (*cures, *(("others",) if any(one.why == LATE for one in recorded.others) else ()))


def search_again(proof: ProofPart, columns: int, solved: Collection[int]) -> Search:
    """The recorded search; of its columns, what they are and may be reduced to."""
    left = proof.solved if proof.solved in solved else min(solved, default=0)
    bound = None if proof.method == "enumeration" else proof.bound
    return Search(columns, left, proof.solves, proof.nodes, proof.seconds, bound)


def looked_again(proof: ProofPart, every: Looked, *, limited: bool) -> Looked:
    """Today's enumeration, where the recorded search had one or should have had one."""
    left_out = ("", LATE) if limited else ("",)
    none = proof.enumerated is None and proof.not_enumerated in left_out
    return Looked(None, proof.not_enumerated) if none else every
