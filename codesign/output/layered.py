"""A layered layout of a directed graph without cycles: layers by longest path, few crossings, straight lines.

    layers      every edge leads to a later layer; a node moves down to its readers where that shortens its edges
    bends       an edge that skips layers passes each by a bend, which all edges of its producer share
    order       barycentres of the neighbours, down and up, the order with the fewest crossings kept
    across      least squares to the neighbours' places, down and up, under the distance that two nodes need

After Sugiyama, Tagawa and Toda, IEEE Trans. Systems, Man, and Cybernetics 11 (1981) 109-125.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

SWEEPS = 24
STRAIGHTENING = 4  # of them
BEND = 16.0  # px that a bend needs
STIFF = 8.0  # weight of a neighbour that is a bend too: long edges stay straight

Spot = tuple[int, int]  # node, layer; a spot outside its node's own layer is a bend
Edge = tuple[int, int]  # producer, consumer


@dataclass(frozen=True)
class Line:
    """One step of one or more edges of a producer, from a layer to the next."""

    producer: int
    consumers: tuple[int, ...]
    start: Spot
    end: Spot


@dataclass(frozen=True)
class Layout:
    """Layer of every node, middle of every spot across (px, 0 and more), and the lines between them."""

    layer: tuple[int, ...]
    across: Mapping[Spot, float]
    lines: tuple[Line, ...]
    crossings: int

    def is_bend(self, spot: Spot) -> bool:
        """Whether an edge only passes here."""
        return self.layer[spot[0]] != spot[1]


def layered(nodes: int, edges: Iterable[Edge], width: float = 120.0) -> Layout:
    """Lay out nodes 0, 1, ... that take `width` px, the gap to the next among them; edges lead to later nodes."""
    edges = sorted(set(edges))
    layer = layers(nodes, edges)
    lines = _lines(layer, edges)
    order, crossings = _ordered(layer, lines)
    return Layout(tuple(layer), _across(layer, order, lines, width), tuple(lines), crossings)


def layers(nodes: int, edges: Sequence[Edge]) -> list[int]:
    """Longest path to each node, and nodes with more readers than sources close to their readers."""
    if faults := [edge for edge in edges if not 0 <= edge[0] < edge[1] < nodes]:
        raise ValueError(f"edges = {faults}: each must lead to a later one of {nodes} nodes")
    layer = [0] * nodes
    sources: list[list[int]] = [[] for _ in range(nodes)]
    readers: list[list[int]] = [[] for _ in range(nodes)]
    for a, b in edges:
        sources[b].append(a)
        readers[a].append(b)
    for i in range(nodes):
        layer[i] = max((layer[a] + 1 for a in sources[i]), default=0)
    for i in reversed(range(nodes)):
        if len(readers[i]) > len(sources[i]):
            layer[i] = min(layer[b] for b in readers[i]) - 1
    return layer


def _lines(layer: Sequence[int], edges: Sequence[Edge]) -> list[Line]:
    found: dict[tuple[Spot, Spot], list[int]] = {}
    for a, b in edges:
        path = [*((a, at) for at in range(layer[a], layer[b])), (b, layer[b])]
        for step in pairwise(path):
            found.setdefault(step, []).append(b)
    return [Line(start[0], tuple(ends), start, end) for (start, end), ends in found.items()]


def _neighbours(lines: Sequence[Line]) -> tuple[dict[Spot, list[Spot]], dict[Spot, list[Spot]]]:
    """Spots above and below each one."""
    above: dict[Spot, list[Spot]] = {}
    below: dict[Spot, list[Spot]] = {}
    for line in lines:
        above.setdefault(line.end, []).append(line.start)
        below.setdefault(line.start, []).append(line.end)
    return above, below


def _ordered(layer: Sequence[int], lines: Sequence[Line]) -> tuple[list[list[Spot]], int]:
    above, below = _neighbours(lines)
    rows: list[list[Spot]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for spot in sorted({(i, at) for i, at in enumerate(layer)} | above.keys() | below.keys()):
        rows[spot[1]].append(spot)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            _sort(row, rows, above if down else below)
        if (crossings := _crossings(rows, below)) < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best, fewest


def _sort(row: list[Spot], rows: list[list[Spot]], beside: Mapping[Spot, list[Spot]]) -> None:
    """By the mean place of the neighbours on one side; a spot without any keeps its share of the row."""
    places = {spot: p / len(rows[at]) for at in {s[1] for r in row for s in beside.get(r, ())}
              for p, spot in enumerate(rows[at])}  # fmt: skip
    own = {spot: p / len(row) for p, spot in enumerate(row)}
    row.sort(key=lambda spot: fmean([places[s] for s in beside.get(spot, ())] or [own[spot]]))


def _crossings(rows: Sequence[Sequence[Spot]], below: Mapping[Spot, Sequence[Spot]]) -> int:
    total = 0
    for row, following in pairwise(rows):
        place = {spot: p for p, spot in enumerate(following)}
        ends: list[int] = []
        for spot in row:
            reached = sorted(place[s] for s in below.get(spot, ()))
            total += sum(len(ends) - bisect_left(ends, p + 1) for p in reached)
            for p in reached:
                insort(ends, p)
    return total


def _across(layer: Sequence[int], rows: Sequence[Sequence[Spot]], lines: Sequence[Line],
            width: float) -> dict[Spot, float]:  # fmt: skip
    above, below = _neighbours(lines)
    needs = {spot: width if layer[spot[0]] == spot[1] else BEND for row in rows for spot in row}
    at: dict[Spot, float] = {}
    for row in rows:
        at.update(zip(row, _offsets([needs[spot] for spot in row]), strict=True))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wishes = [_wish(spot, at, _beside(spot, sweep, above, below), layer) for spot in row]
            at.update(zip(row, _apart(wishes, _offsets([needs[spot] for spot in row])), strict=True))
    left = min((at[spot] - needs[spot] / 2 for spot in at), default=0.0)
    return {spot: place - left for spot, place in at.items()}


def _beside(spot: Spot, sweep: int, above: Mapping[Spot, list[Spot]], below: Mapping[Spot, list[Spot]]) -> list[Spot]:
    """Neighbours that a sweep looks at: on both sides at first, at the end on the side it comes from: that straightens.
    """
    up, under = above.get(spot, []), below.get(spot, [])
    if sweep < SWEEPS - STRAIGHTENING:
        return [*up, *under]
    return (up or under) if sweep % 2 == 0 else (under or up)


def _wish(spot: Spot, at: Mapping[Spot, float], beside: Sequence[Spot], layer: Sequence[int]) -> tuple[float, float]:
    """Where a spot would be alone, and how much that weighs."""
    bend = layer[spot[0]] != spot[1]
    weights = [STIFF if bend and layer[s[0]] != s[1] else 1.0 for s in beside]
    if not beside:
        return at[spot], 0.1
    return sum(w * at[s] for w, s in zip(weights, beside, strict=True)) / sum(weights), sum(weights)


def _offsets(needs: Sequence[float]) -> list[float]:
    """Places of spots side by side."""
    places = [0.0]
    for a, b in pairwise(needs):
        places.append(places[-1] + (a + b) / 2)
    return places[: len(needs)]


def _apart(wishes: Sequence[tuple[float, float]], offsets: Sequence[float]) -> list[float]:
    """Least squares to the wishes with at least the distances of the offsets: pooled where they would be closer."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for (wish, weight), offset in zip(wishes, offsets, strict=True):
        mean, many = wish - offset, 1
        while blocks and blocks[-1][0] >= mean:
            before, own, count = blocks.pop()
            mean, weight, many = (before * own + mean * weight) / (own + weight), own + weight, many + count
        blocks.append((mean, weight, many))
    flat = [mean for mean, _, many in blocks for _ in range(many)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]
