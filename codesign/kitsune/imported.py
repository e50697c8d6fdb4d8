"""Graphs out of other programs' files, whose shapes are known: names to tensors, parameters to weights.

What has no kind of ours becomes `unsupported`: a SIMT operator that gathers nothing and moves the bytes
of its shapes. It is never left out, and `Graph.notes` says what it was taken for.
"""

from collections.abc import Sequence
from math import prod

from codesign.kitsune.builder import Builder
from codesign.kitsune.graph import Graph, Tensor
from codesign.kitsune.kinds import ACTIVATION_FLOP


class Importer:
    """A builder fed by names; what is computed from parameters alone is a parameter again."""

    def __init__(self, name: str) -> None:
        self.g = Builder(name)
        self.values: dict[str, Tensor] = {}     # activations, as the file names them
        self.parameters: dict[str, Tensor] = {}
        self._unsupported: dict[str, list[str]] = {}

    def graph(self, outputs: Sequence[str]) -> Graph:
        """The graph; outputs that are parameters or inputs are nobody's work."""
        made = [self.values[name].name for name in outputs if name in self.values]
        for what, names in self._unsupported.items():
            self.g.notes.append(f"{what} is not known: taken as a SIMT operator by its shapes ({', '.join(names)})")
        return self.g.graph(outputs=list(dict.fromkeys(made)))

    def input(self, name: str, shape: Sequence[int], size: int) -> None:
        """Data from outside, `size` bytes an element."""
        self.values[name] = self.g.input(name, shape, bytes_per_element=size)

    def parameter(self, name: str, shape: Sequence[int], size: int) -> None:
        """A weight or constant."""
        self.parameters[name] = Tensor(name, tuple(shape), size)

    def add(self, kind: str, name: str, reads: Sequence[str], shape: Sequence[int], size: int, what: str) -> None:
        """One operator of `kind`, called `what` in the file; its output has `shape` and `size` bytes an element."""
        operands = [self.values[read] for read in reads if read in self.values]
        weights = [self.parameters[read] for read in reads if read in self.parameters]
        if not operands:
            self.parameter(name, shape, size)
            return
        if kind == "view":
            self.values[name] = Tensor(operands[0].name, tuple(shape), operands[0].bytes_per_element)
            return
        detail, flop, rows = "", None, None
        if kind in ACTIVATION_FLOP:
            kind, detail, flop = "activation", kind, ACTIVATION_FLOP[kind] * operands[0].elements
        elif kind == "linear":
            detail = "" if len(weights) > 1 else "no bias"
            flop = 2 * operands[0].elements * shape[-1]
        elif kind == "bmm":
            flop = 2 * prod(shape) * operands[0].shape[-1]
        elif kind == "gather":
            operands[0] = Tensor(operands[0].name, tuple(shape), operands[0].bytes_per_element)
            rows = shape[0] if shape else 1
        elif kind == "unsupported":
            detail = what
            self._unsupported.setdefault(what, []).append(name)
        read_bytes = 0 if kind == "embedding" else sum(t.bytes for t in weights)
        self.values[name] = self.g.add_operator(kind, operands, shape, name=name, flop=flop, weights=read_bytes,
                                                rows=rows, detail=detail, bytes_per_element=size)  # fmt: skip

    def kind_of(self, kind: str, reads: Sequence[str]) -> str:
        """The kind by what is read: a product with a parameter is linear, a row of a parameter an embedding."""
        second = len(reads) > 1 and reads[1] in self.parameters
        if kind == "matmul":
            return "linear" if second else "bmm" if len(reads) > 1 and reads[0] in self.values else "unsupported"
        if kind == "gather":
            return "embedding" if reads[0] in self.parameters else "index" if second or len(reads) < 2 else "gather"
        if kind == "mul" and not any(self.parameters[r].elements > 1 for r in reads if r in self.parameters):
            return "mul" if sum(read in self.values for read in reads) > 1 else "scale"
        return kind
