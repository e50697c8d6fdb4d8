"""An operator graph: tensors, operators in topological order, and what a partition of it must know.

Operators are known by their position; a set of them is a Python int with one bit each (`Mask`).
Bytes follow one rule: an operator reads every operand, at most the whole of it however often it is
named, and its weights, and writes its output. A gather reads a row for each index.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from math import prod

from codesign.facts.errors import DataError
from codesign.kitsune.kinds import KINDS, Pipe
from codesign.kitsune.masks import Group, Mask, mask_of, members, sort_names, union

__all__ = ["Edge", "Graph", "Group", "Mask", "Operator", "Tensor", "mask_of", "members"]


@dataclass(frozen=True)
class Tensor:
    """A named array, or a part or view of it as an operator reads it."""

    name: str
    shape: tuple[int, ...]
    bytes_per_element: int = 2

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.elements * self.bytes_per_element


@dataclass(frozen=True)
class Operator:
    """One kernel of the bulk-synchronous program, known by the name of its output."""

    kind: str
    operands: tuple[Tensor, ...]  # as read: a view, or a part of the tensor of that name
    output: Tensor
    rows: int                     # elements along the streaming dimension
    flop: int = 0                 # a multiplication and an addition count as two
    weights: int = 0              # bytes of parameters read
    backward: bool = False
    detail: str = ""              # "relu" of an activation, what an unsupported operator was

    @property
    def name(self) -> str:
        """Name of the operator and of the tensor that it writes."""
        return self.output.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read, each once."""
        return tuple(dict.fromkeys(operand.name for operand in self.operands))

    @property
    def pipe(self) -> Pipe:
        """The pipes that do the work."""
        return KINDS[self.kind].pipe

    @property
    def gathers(self) -> bool:
        """Whether an output element may need any element of an operand: no queue can feed it."""
        return KINDS[self.kind].gathers

    @property
    def reduces(self) -> bool:
        """Whether it sums over the rows."""
        return KINDS[self.kind].reduces

    @property
    def width(self) -> int:
        """Elements of one row: of the output, or of the first operand where the operator sums over rows."""
        rowwise = self.operands[0] if self.reduces and self.operands else self.output
        return max(1, rowwise.elements // self.rows)


@dataclass(frozen=True)
class Edge:
    """A tensor from its producer to one consumer, and how many bytes of it that one reads."""

    producer: int
    consumer: int
    tensor: str
    bytes: int


@dataclass(frozen=True)
class Graph:
    """Operators in topological order. Raises DataError with every fault found."""

    name: str
    inputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    outputs: tuple[str, ...] = ()   # tensors also needed outside, beside those that no operator reads
    differentiable: tuple[str, ...] = ()  # inputs whose gradient training needs, such as a layer's input
    notes: tuple[str, ...] = ()     # what the reader of a file took for what

    def __post_init__(self) -> None:
        faults = _faults(self) or [f"operators form a cycle: {c}" for c in [self._cycle()] if c]
        if faults:
            raise DataError("\n".join(f"graph {self.name!r}: {fault}" for fault in faults))

    def _cycle(self) -> str:
        made = {op.name for op in self.operators}
        order, cycle = sort_names({op.name: [name for name in op.inputs if name in made] for op in self.operators})
        if cycle:
            return " -> ".join(cycle)
        position = {name: i for i, name in enumerate(order)}
        if all(position[op.name] == i for i, op in enumerate(self.operators)):
            return ""
        placed = sorted(self.operators, key=lambda op: position[op.name])
        object.__setattr__(self, "operators", tuple(placed))
        return ""

    def __len__(self) -> int:
        return len(self.operators)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Position of each operator by its name."""
        return {op.name: i for i, op in enumerate(self.operators)}

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor in full, by name."""
        return {t.name: t for t in (*self.inputs, *(op.output for op in self.operators))}

    @cached_property
    def reads(self) -> tuple[Mapping[str, int], ...]:
        """Bytes that each operator reads of each tensor: views of one read it once, a gather every row it takes."""
        found: list[dict[str, int]] = []
        for op in self.operators:
            found.append({})
            for operand in op.operands:
                asked = found[-1].get(operand.name, 0) + operand.bytes
                found[-1][operand.name] = asked if op.gathers else min(asked, self.tensors[operand.name].bytes)
        return tuple(found)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every use of an intermediate."""
        at = self.position
        return tuple(
            Edge(at[name], i, name, size)
            for i, reads in enumerate(self.reads) for name, size in reads.items() if name in at
        )  # fmt: skip

    @cached_property
    def producers(self) -> tuple[Mask, ...]:
        """Operators that each one reads from."""
        masks = [0] * len(self)
        for edge in self.edges:
            masks[edge.consumer] |= 1 << edge.producer
        return tuple(masks)

    @cached_property
    def consumers(self) -> tuple[Mask, ...]:
        """Operators that read from each one."""
        masks = [0] * len(self)
        for edge in self.edges:
            masks[edge.producer] |= 1 << edge.consumer
        return tuple(masks)

    @cached_property
    def ancestors(self) -> tuple[Mask, ...]:
        """Operators from which a path leads to each one, itself not among them."""
        masks: list[Mask] = []
        for direct in self.producers:
            masks.append(direct | union(masks[i] for i in members(direct)))
        return tuple(masks)

    @cached_property
    def descendants(self) -> tuple[Mask, ...]:
        """Operators to which a path leads from each one, itself not among them."""
        masks = [0] * len(self)
        for i in reversed(range(len(self))):
            masks[i] = self.consumers[i] | union(masks[j] for j in members(self.consumers[i]))
        return tuple(masks)

    def needed_outside(self, position: int, group: Mask) -> bool:
        """Whether the output of an operator must be written although its group streams it."""
        readers = self.consumers[position]
        return not readers or bool(readers & ~group) or self.operators[position].name in self.outputs

    def is_convex(self, group: Mask) -> bool:
        """Whether no path leaves the set and comes back."""
        below = union(self.descendants[i] for i in members(group))
        above = union(self.ancestors[i] for i in members(group))
        return not below & above & ~group

    def is_acyclic(self, groups: Iterable[Sequence[int]]) -> bool:
        """Whether the graph of these groups, all others alone, has no cycle: then it can be run."""
        owner = list(range(len(self)))
        for group in groups:
            for i in group:
                owner[i] = group[0]
        needs: dict[int, set[int]] = {i: set() for i in owner}
        for edge in self.edges:
            if owner[edge.producer] != owner[edge.consumer]:
                needs[owner[edge.consumer]].add(owner[edge.producer])
        try:
            TopologicalSorter(needs).prepare()
        except CycleError:
            return False
        return True


def _faults(graph: Graph) -> list[str]:
    faults = [] if graph.operators else ["has no operators"]
    names = [t.name for t in graph.inputs] + [op.name for op in graph.operators]
    faults += [f"{name!r} is named twice" for name, times in Counter(names).items() if times > 1]
    known = set(names)
    for tensor in graph.inputs:
        faults += _size_faults(tensor, tensor.name)
    for op in graph.operators:
        if op.kind not in KINDS:
            faults.append(f"{op.name!r}: unknown kind {op.kind!r}, known: {', '.join(KINDS)}")
        faults += [f"{op.name!r} reads {name!r}, which nothing produces" for name in op.inputs if name not in known]
        faults += _size_faults(op.output, op.name)
        if op.rows <= 0 or op.flop < 0 or op.weights < 0:
            faults.append(f"{op.name!r}: rows = {op.rows}, flop = {op.flop}, weights = {op.weights}; "
                          "rows must be positive, the others not negative")  # fmt: skip
    faults += [f"output {name!r} is no tensor of the graph" for name in graph.outputs if name not in known]
    return faults


def _size_faults(tensor: Tensor, owner: str) -> list[str]:
    if all(size > 0 for size in tensor.shape) and tensor.bytes_per_element > 0:
        return []
    return [f"{owner!r}: shape {list(tensor.shape)} with {tensor.bytes_per_element} B an element must be positive"]
