"""The training graph: the operators of the forward graph, then those of its gradients.

How many operators a gradient takes is a rule of counting, the same for all graphs:

    linear                   dX, dW, and db where there is a bias                     3, or 2
    activation, norm, rope   one, a norm's with the gradient of its weights           1
    bmm                      one for each operand                                     2
    mul                      one for each operand that needs it, and for a weight;
                             a sum more for what was broadcast
    softmax                  sum of the row, product                                  2
    square, rsqrt            power, factor, product, as PyTorch's formulas are        3
    mean, scale, elementwise one                                                      1
    embedding                one, on the rows looked up                               1
    gather, index,           a zero-filled buffer, then the scatter into it,
    segment_sum              or the gather from it                                    2
    add, concat, view        none: the gradient passes, whole or in part; a sum for
                             an operand of add that was broadcast                      0
    keys, values             a sum more over the heads that share them

and one add for each consumer of a tensor beyond the first. There is no gradient for an input unless
it is named in `differentiable`. The gradients of the graph's outputs are inputs of the training graph.
"""

from collections.abc import Iterator
from dataclasses import replace

from codesign.facts.errors import DataError
from codesign.kitsune.builder import Builder
from codesign.kitsune.graph import Graph, Operator, Tensor

PASS = ("add", "concat")
ONE = {"activation": "activation_dx", "layernorm": "layernorm_dx", "rmsnorm": "rmsnorm_dx", "rope": "rope_dx"}
SCATTERED = ("gather", "index")
SIMPLE = ("mean", "scale", "elementwise", "unsupported", "sum")
POWERS = ("square", "rsqrt")


def training(graph: Graph) -> Graph:
    """Forward and backward pass of one step, without the optimizer."""
    if any(op.backward for op in graph.operators):
        raise DataError(f"graph {graph.name!r} already has a backward pass")
    return _Backward(graph).run()


class _Backward:
    """Gradients found so far, by the tensor they belong to."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.g = Builder(f"{graph.name}-training")
        self.found: dict[str, list[Tensor]] = {}
        self.needs = set(graph.differentiable)
        for op in graph.operators:
            if op.weights or op.kind == "embedding" or self.needs.intersection(op.inputs):
                self.needs.add(op.name)

    def run(self) -> Graph:
        for tensor in self.graph.inputs:
            self.g.input(tensor.name, tensor.shape, bytes_per_element=tensor.bytes_per_element)
        for op in self.graph.operators:
            out = op.output
            self.g.add_operator(op.kind, op.operands, out.shape, name=op.name, flop=op.flop, weights=op.weights,
                                rows=op.rows, detail=op.detail, bytes_per_element=out.bytes_per_element)  # fmt: skip
        for i in reversed(range(len(self.graph))):
            op = self.graph.operators[i]
            if op.name not in self.needs:
                continue
            if not self.graph.consumers[i] or op.name in self.graph.outputs:
                out = op.output
                name, size = self.g.free(f"{op.name}.grad"), out.bytes_per_element
                grad = self.g.input(name, out.shape, bytes_per_element=size, rows=op.rows)
                self.found.setdefault(op.name, []).append(grad)
            if op.name in self.found:
                for name, gradient in self._gradients(op, self._total(op.output, op.rows)):
                    self.found.setdefault(name, []).append(gradient)
        for tensor in self.graph.inputs:
            if tensor.name in self.found:
                self._total(tensor, tensor.shape[0])
        done = self.g.graph(outputs=self.graph.outputs)
        return replace(done, notes=self.graph.notes)

    def _total(self, tensor: Tensor, rows: int) -> Tensor:
        """The gradients from all consumers of a tensor, added."""
        first, *others = self.found[tensor.name]
        total = first
        for number, other in enumerate(others, 1):
            total = self._add(f"{tensor.name}.sum{number}", "add", [total, other], tensor.shape, rows=rows)
        return replace(total, shape=tensor.shape)

    def _gradients(self, op: Operator, grad: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Gradients of the operands of one operator, by tensor; those of its weights go nowhere."""
        if op.kind in PASS:
            for operand in self._differentiable(op):
                broadcast = op.kind == "add" and operand.elements < grad.elements
                yield operand.name, self._narrow(op, grad, operand) if broadcast else replace(grad, shape=operand.shape)
        elif op.kind == "linear":
            yield from self._linear(op, grad)
        elif op.kind == "bmm":
            yield from self._bmm(op, grad)
        elif op.kind == "mul":
            yield from self._mul(op, grad)
        elif op.kind == "embedding":
            self._add(f"{op.name}.dw", "embedding_dw", [grad, *op.operands], op.output.shape, rows=op.rows)
        elif op.kind in (*SCATTERED, "segment_sum"):
            yield from self._moved(op, grad)
        else:
            yield from self._pointwise(op, grad)

    def _linear(self, op: Operator, grad: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = op.operands[0]
        width, bias = op.output.shape[-1], op.detail != "no bias"
        weights = op.weights - (width * grad.bytes_per_element if bias else 0)
        if x.name in self.needs:
            yield x.name, self._add(f"{op.name}.dx", "linear_dx", [grad], x.shape, weights=weights, flop=op.flop)
        self._add(f"{op.name}.dw", "linear_dw", [grad, x], (x.shape[-1], width), flop=op.flop, rows=op.rows)
        if bias:
            self._add(f"{op.name}.db", "linear_db", [grad], (width,), rows=op.rows)

    def _bmm(self, op: Operator, grad: Tensor) -> Iterator[tuple[str, Tensor]]:
        """A cache among the operands is an input and gets none."""
        a, b = (op.operands * 2)[:2] if len(op.operands) == 1 else op.operands[:2]
        for kind, operand, other in (("bmm_da", a, b), ("bmm_db", b, a)):
            if operand.name in self.needs:
                name = f"{op.name}.{kind.removeprefix('bmm_')}"
                made = self._add(name, kind, [grad, other], operand.shape, flop=op.flop, rows=op.rows)
                yield operand.name, self._unshared(made, operand)

    def _mul(self, op: Operator, grad: Tensor) -> Iterator[tuple[str, Tensor]]:
        for number, operand in enumerate(op.operands):
            others = [*op.operands[:number], *op.operands[number + 1 :]]
            if operand.name in self.needs:
                part = self._add(f"{op.name}.d{number}", "mul", [grad, *others], op.output.shape,
                                 weights=0 if others else op.weights)  # fmt: skip
                yield operand.name, self._narrow(op, part, operand) if operand.elements < part.elements else part
        if op.weights:
            part = self._add(f"{op.name}.dw", "mul", [grad, *op.operands], op.output.shape)
            self._add(f"{op.name}.dw_sum", "sum", [part], (op.output.shape[-1],), rows=op.rows)

    def _narrow(self, op: Operator, gradient: Tensor, operand: Tensor) -> Tensor:
        """The gradient of an operand that was broadcast: summed within a row, or over the rows."""
        within = operand.shape[:1] == gradient.shape[:1]
        name = f"{op.name}.{operand.name}_sum"
        return self._add(name, "row_sum" if within else "sum", [gradient], operand.shape, rows=op.rows)

    def _moved(self, op: Operator, grad: Tensor) -> Iterator[tuple[str, Tensor]]:
        x, *index = op.operands
        if x.name not in self.needs:
            return
        target = self.graph.tensors[x.name] if op.kind in SCATTERED else x
        rows = op.rows if op.kind in SCATTERED else x.shape[0]
        buffer = self._add(f"{op.name}.buffer", "buffer", [], target.shape, rows=target.shape[0])
        kind = "scatter" if op.kind in SCATTERED else "gather"
        read = grad if op.kind in SCATTERED else replace(grad, shape=target.shape)
        yield x.name, self._add(f"{op.name}.dx", kind, [read, buffer, *index], target.shape, rows=rows)

    def _pointwise(self, op: Operator, grad: Tensor) -> Iterator[tuple[str, Tensor]]:
        for operand in self._differentiable(op):
            name, shape = f"{op.name}.dx", operand.shape
            saved = op.output if op.kind in ("softmax", "rsqrt") else operand
            if op.kind == "softmax":
                row = self._add(f"{op.name}.sum", "softmax_sum", [grad, saved], (*shape[:-1], 1))
                made = self._add(name, "softmax_dx", [grad, saved, row], shape)
            elif op.kind in POWERS:
                power = self._add(f"{op.name}.power", "elementwise", [saved], shape)
                made = self._add(name, "mul", [grad, self._add(f"{op.name}.factor", "scale", [power], shape)], shape)
            elif op.kind in ONE:
                weights = op.weights // 2 if op.kind == "layernorm" else op.weights  # the shift is not read
                read = [grad] if op.kind == "rope" else [grad, saved]
                made = self._add(name, ONE[op.kind], read, shape, flop=op.flop, weights=weights)
            elif op.kind in SIMPLE:
                read = [grad, *op.operands] if op.kind == "elementwise" else [grad]
                made = self._add(name, "elementwise", read, shape)
            else:
                raise DataError(f"{op.name!r}: no gradient is known for {op.kind!r}")
            yield operand.name, made

    def _differentiable(self, op: Operator) -> list[Tensor]:
        return [operand for operand in op.operands if operand.name in self.needs]

    def _unshared(self, gradient: Tensor, operand: Tensor) -> Tensor:
        """Summed over the heads that share a key or value, where the operand was broadcast."""
        whole = self.graph.tensors[operand.name]
        if operand.elements <= whole.elements:
            return gradient
        return self._add(f"{gradient.name}_sum", "head_sum", [gradient], whole.shape, rows=whole.shape[0])

    def _add(self, name: str, kind: str, operands: list[Tensor], shape: tuple[int, ...], *, flop: int | None = None,
             weights: int = 0, rows: int | None = None) -> Tensor:  # fmt: skip
        return self.g.add_operator(kind, operands, shape, name=self.g.free(name), flop=flop, weights=weights,
                                   rows=rows, backward=True)  # fmt: skip
