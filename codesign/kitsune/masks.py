"""Sets of operators as Python ints, one bit for each position, and an order in which all is made before use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

Mask = int
Group = tuple[int, ...]  # positions of operators, rising


def members(mask: Mask) -> Iterator[int]:
    """Positions in a set, rising."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def union(masks: Iterable[Mask]) -> Mask:
    """All positions of several sets."""
    total = 0
    for mask in masks:
        total |= mask
    return total


def mask_of(group: Iterable[int]) -> Mask:
    """The set of these positions."""
    return union(1 << i for i in group)


def sort_names(needs: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Names so that each follows what it needs, near the order given; or no order and a cycle."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return [], list(reversed(error.args[1]))
    order: dict[str, None] = {}
    for start in needs:
        stack = [start]
        while stack:
            missing = [name for name in needs[stack[-1]] if name not in order]
            if missing:
                stack.append(missing[0])
            else:
                order.setdefault(stack.pop())
    return list(order), []
