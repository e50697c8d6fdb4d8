"""Off-chip bytes of a graph, run bulk-synchronously or in groups, and what a choice of groups saves.

Run alone an operator reads every operand and its weights and writes its output. A tensor made inside
a group is not read by the group's members, and not written either unless an operator outside needs
it, or the world does. What comes from outside is read by each member that needs it, as before.
"""

from collections.abc import Iterable, Sequence

from codesign.facts.errors import DataError
from codesign.kitsune.graph import Graph
from codesign.kitsune.masks import mask_of, members


def operator_bytes(graph: Graph, position: int) -> int:
    """Bytes that one operator moves when it runs alone."""
    op = graph.operators[position]
    return sum(graph.reads[position].values()) + op.weights + op.output.bytes


def saved_bytes(graph: Graph, group: Sequence[int]) -> int:
    """Bytes that a group keeps on the chip."""
    mask = mask_of(group)
    saved = 0
    for i in group:
        op = graph.operators[i]
        saved += sum(graph.reads[j][op.name] for j in members(graph.consumers[i] & mask))
        saved += 0 if graph.needed_outside(i, mask) else op.output.bytes
    return saved


def group_bytes(graph: Graph, group: Sequence[int]) -> int:
    """Bytes that a group moves when it runs as one."""
    return sum(operator_bytes(graph, i) for i in group) - saved_bytes(graph, group)


def traffic(graph: Graph, groups: Iterable[Sequence[int]] = ()) -> int:
    """Bytes of the whole graph: each group as one, every other operator alone."""
    alone = sum(operator_bytes(graph, i) for i in range(len(graph)))
    return alone - sum(saved_bytes(graph, group) for group in _disjoint(graph, groups))


def cut(graph: Graph, groups: Iterable[Sequence[int]]) -> float:
    """Share of the bulk-synchronous bytes that the groups save."""
    return 1 - traffic(graph, groups) / traffic(graph)


def coverage(graph: Graph, groups: Iterable[Sequence[int]]) -> int:
    """Operators that run in a group with another one."""
    return sum(len(group) for group in _disjoint(graph, groups) if len(group) > 1)


def _disjoint(graph: Graph, groups: Iterable[Sequence[int]]) -> list[Sequence[int]]:
    found = list(groups)
    members_once = {i for group in found for i in group}
    if len(members_once) != sum(len(group) for group in found):
        raise DataError(f"graph {graph.name!r}: an operator is in two groups, or twice in one")
    return found
