"""Operator graphs by shape rules: each call checks its operands, adds one operator and returns its output.

    >>> g = Builder("mlp")
    >>> x = g.input("x", (4096, 512))
    >>> y = g.linear(g.relu(g.linear(x, 256)), 64)
    >>> graph = g.graph()
    >>> [op.kind for op in graph.operators], y.shape
    (['linear', 'activation', 'linear'], (4096, 64))

Rows follow the data: those of an input are its first dimension, those of an output are the rows of
the first operand unless the operator changes them. A view is no operator: the same tensor in
another shape.
"""

from collections.abc import Sequence
from math import prod

from codesign.facts.errors import DataError
from codesign.kitsune.graph import Graph, Operator, Tensor
from codesign.kitsune.kinds import ACTIVATION_FLOP, KINDS


class Builder:
    """A graph that grows; `graph()` returns it checked. Unnamed operators get the name of their kind, numbered."""

    def __init__(self, name: str, *, bytes_per_element: int = 2) -> None:
        self.name = name
        self.bytes_per_element = bytes_per_element
        self.notes: list[str] = []
        self._inputs: list[Tensor] = []
        self._operators: list[Operator] = []
        self._rows: dict[str, int] = {}
        self._numbers: dict[str, int] = {}

    def graph(self, *, outputs: Sequence[str] = (), differentiable: Sequence[str] = ()) -> Graph:
        """The graph so far; DataError says what is wrong with it."""
        return Graph(self.name, tuple(self._inputs), tuple(self._operators), tuple(outputs), tuple(differentiable),
                     tuple(self.notes))  # fmt: skip

    def input(self, name: str, shape: Sequence[int], *, bytes_per_element: int | None = None,
              rows: int | None = None) -> Tensor:  # fmt: skip
        """Data from outside; int64 indices have 8 bytes an element."""
        tensor = Tensor(name, tuple(shape), bytes_per_element or self.bytes_per_element)
        self._inputs.append(tensor)
        self._rows[name] = rows or (tensor.shape[0] if tensor.shape else 1)
        return tensor

    def view(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The same tensor in another shape: no operator."""
        self._check(prod(shape) == x.elements, "view", x, f"has {x.elements} elements, asked for {list(shape)}")
        return Tensor(x.name, tuple(shape), x.bytes_per_element)

    def add_operator(self, kind: str, operands: Sequence[Tensor], shape: Sequence[int], *, name: str = "",
                     flop: int | None = None, weights: int = 0, rows: int | None = None, detail: str = "",
                     bytes_per_element: int | None = None, backward: bool = False) -> Tensor:  # fmt: skip
        """Any operator, its output shape given; `weights` in bytes; FLOP by the kind unless given."""
        if kind not in KINDS:
            raise DataError(f"graph {self.name!r}: {name or kind!r}: unknown kind {kind!r}, known: {', '.join(KINDS)}")
        name = name or self._next(detail or kind)
        output = Tensor(name, tuple(shape), bytes_per_element or self.bytes_per_element)
        if flop is None:
            flop = KINDS[kind].element_flop * max(t.elements for t in (output, *operands))
        if rows is None:
            rows = next((self._rows.get(t.name, 1) for t in operands), output.shape[0] if output.shape else 1)
        op = Operator(kind, tuple(operands), output, rows, flop, weights, backward or KINDS[kind].backward, detail)
        self._operators.append(op)
        self._rows[name] = output.shape[0] if op.reduces and output.shape else rows
        return output

    def linear(self, x: Tensor, width: int, *, bias: bool = True, name: str = "") -> Tensor:
        """x W + b over the last dimension."""
        self._check(len(x.shape) >= 2, "linear", x, "needs rows and a width")
        weights = (x.shape[-1] * width + (width if bias else 0)) * self.bytes_per_element
        return self.add_operator("linear", [x], (*x.shape[:-1], width), name=name, flop=2 * x.elements * width,
                                 weights=weights, detail="" if bias else "no bias")  # fmt: skip

    def activation(self, x: Tensor, function: str, *, name: str = "") -> Tensor:
        """relu, silu, gelu, sigmoid or tanh of each element."""
        if function not in ACTIVATION_FLOP:
            known = ", ".join(ACTIVATION_FLOP)
            raise DataError(f"graph {self.name!r}: unknown activation {function!r}, known: {known}")
        flop = ACTIVATION_FLOP[function] * x.elements
        return self.add_operator("activation", [x], x.shape, name=name, flop=flop, detail=function)

    def relu(self, x: Tensor, *, name: str = "") -> Tensor:
        """max(x, 0)."""
        return self.activation(x, "relu", name=name)

    def silu(self, x: Tensor, *, name: str = "") -> Tensor:
        """x sigmoid(x)."""
        return self.activation(x, "silu", name=name)

    def layernorm(self, x: Tensor, *, name: str = "") -> Tensor:
        """Each row to mean 0 and variance 1, then scaled and shifted: two weights a column."""
        return self.add_operator("layernorm", [x], x.shape, name=name, weights=2 * x.shape[-1] * self.bytes_per_element)

    def rmsnorm(self, x: Tensor, *, name: str = "") -> Tensor:
        """Each row over its root mean square, then scaled: one weight a column. One kernel."""
        return self.add_operator("rmsnorm", [x], x.shape, name=name, weights=x.shape[-1] * self.bytes_per_element)

    def softmax(self, x: Tensor, *, name: str = "") -> Tensor:
        """Over the last dimension."""
        return self.add_operator("softmax", [x], x.shape, name=name)

    def rope(self, x: Tensor, *, name: str = "") -> Tensor:
        """Rotation of pairs by position; the angles' bytes are not counted."""
        return self.add_operator("rope", [x], x.shape, name=name)

    def pointwise(self, x: Tensor, kind: str, *, name: str = "", detail: str = "") -> Tensor:
        """scale, square, rsqrt or another function of each element."""
        return self.add_operator(kind, [x], x.shape, name=name, detail=detail)

    def mean(self, x: Tensor, *, name: str = "") -> Tensor:
        """Mean of each row, over its last dimension, which becomes 1."""
        return self.add_operator("mean", [x], (*x.shape[:-1], 1), name=name)

    def add(self, a: Tensor, b: Tensor, *, name: str = "") -> Tensor:
        """Sum of two tensors; a dimension of 1 is broadcast."""
        return self.add_operator("add", [a, b], self._broadcast("add", a, b), name=name)

    def mul(self, a: Tensor, b: Tensor | None = None, *, name: str = "") -> Tensor:
        """Product of two tensors element by element; of one with a weight for each column without `b`."""
        if b is None:
            return self.add_operator("mul", [a], a.shape, name=name, weights=a.shape[-1] * self.bytes_per_element)
        return self.add_operator("mul", [a, b], self._broadcast("mul", a, b), name=name)

    def concat(self, *parts: Tensor, name: str = "") -> Tensor:
        """Side by side along the last dimension."""
        for part in parts:
            self._check(part.shape[:-1] == parts[0].shape[:-1], "concat", part,
                        f"does not fit beside {parts[0].name!r} {list(parts[0].shape)}")  # fmt: skip
        return self.add_operator("concat", parts, (*parts[0].shape[:-1], sum(p.shape[-1] for p in parts)), name=name)

    def gather(self, table: Tensor, index: Tensor, *, name: str = "") -> Tensor:
        """Row index[i] of the table for each i, such as the node at an edge's end."""
        self._check(len(table.shape) >= 2, "gather", table, "needs rows and a width")
        shape = (*index.shape, *table.shape[1:])
        taken = Tensor(table.name, shape, table.bytes_per_element)
        return self.add_operator("gather", [taken, index], shape, name=name, rows=index.shape[0])

    def segment_sum(self, x: Tensor, index: Tensor, segments: int, *, name: str = "") -> Tensor:
        """Rows of x that share an index summed: from edges to nodes."""
        self._check(index.shape == x.shape[:1], "segment_sum", x, f"has other rows than its index {list(index.shape)}")
        return self.add_operator("segment_sum", [x, index], (segments, *x.shape[1:]), name=name)

    def index(self, x: Tensor, width: int, *, name: str = "") -> Tensor:
        """A fixed choice of `width` elements of each sample, such as the upper triangle of a matrix."""
        self._check(width <= x.elements // x.shape[0], "index", x, f"has fewer than {width} elements a sample")
        return self.add_operator("index", [x], (x.shape[0], width), name=name)

    def embedding(self, ids: Tensor, width: int, *, name: str = "") -> Tensor:
        """One row of a table for each id; the bytes of the table are not counted, those of the output are."""
        return self.add_operator("embedding", [ids], (*ids.shape, width), name=name)

    def bmm(self, a: Tensor, b: Tensor, *, name: str = "", rows: int | None = None) -> Tensor:
        """Products of matrices: [..., m, k] by [..., k, n], the leading dimensions equal."""
        fits = len(a.shape) >= 2 and a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2]
        self._check(fits, "bmm", a, f"does not multiply {b.name!r} {list(b.shape)}")
        shape = (*a.shape[:-1], b.shape[-1])
        return self.add_operator("bmm", [a, b], shape, name=name, flop=2 * a.elements * b.shape[-1], rows=rows)

    def _broadcast(self, kind: str, a: Tensor, b: Tensor) -> tuple[int, ...]:
        length = max(len(a.shape), len(b.shape))
        left, right = ((1,) * (length - len(t.shape)) + t.shape for t in (a, b))
        fits = all(m == n or 1 in (m, n) for m, n in zip(left, right, strict=True))
        self._check(fits, kind, a, f"does not fit {b.name!r} {list(b.shape)}")
        return tuple(max(m, n) for m, n in zip(left, right, strict=True))

    def _check(self, fits: bool, kind: str, x: Tensor, why: str) -> None:
        if not fits:
            raise DataError(f"graph {self.name!r}: {kind}: {x.name!r} {list(x.shape)} {why}")

    def free(self, name: str) -> str:
        """The name, or with the first number from 2 on that no other tensor has."""
        number, found = 2, name
        while found in self._rows:
            number, found = number + 1, f"{name}{number}"
        return found

    def _next(self, stem: str) -> str:
        stem = stem.replace(" ", "_")
        while True:
            number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
            if f"{stem}{number}" not in self._rows:
                return f"{stem}{number}"
