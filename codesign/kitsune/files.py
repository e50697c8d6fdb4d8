'''Operator graphs written by hand in TOML.

    schema = 1
    name = "mlp"
    bytes_per_element = 2              # FP16, the default

    [inputs]
    x = [4096, 512]                    # rows first
    ids = { shape = [4096], bytes_per_element = 8 }

    [[operators]]
    name = "hidden"                    # of the operator and of its output
    kind = "linear"
    inputs = ["x"]
    width = 1024

    [[operators]]
    name = "active"
    kind = "activation"
    function = "relu"                  # relu, silu, gelu, sigmoid, tanh
    inputs = ["hidden"]
    shape = [4096, 1024]               # never needed: checked against the shape rule

Operators may stand in any order. Further keys by kind: `bias` (linear, true by default), `width`
(linear, embedding, index), `segments` (segment_sum), `shape` (view, unsupported: its output; and the
product of a bmm needs none). One input: linear, activation, layernorm, rmsnorm, softmax, rope, scale,
square, rsqrt, elementwise, mean, index, embedding, view; two: add, mul (or one, times a weight for each
column), bmm, gather and segment_sum (data, then index); any number: concat, unsupported.
'''

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from codesign.facts.catalog import faults_of
from codesign.facts.errors import DataError
from codesign.facts.fact import Table
from codesign.facts.reading import text_of, toml_of
from codesign.kitsune.builder import Builder
from codesign.kitsune.graph import Graph, Tensor
from codesign.kitsune.masks import sort_names

MOST_ELEMENTS = 10**15  # of a tensor


def _holdable(shape: tuple[int, ...]) -> tuple[int, ...]:
    if math.prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"more than {MOST_ELEMENTS:.0e} elements")
    return shape


Size = Annotated[int, Field(gt=0, le=10**9)]
Shape = Annotated[tuple[Size, ...], Field(min_length=1, max_length=16), AfterValidator(_holdable)]


class InputTable(Table):
    """An input that is not of the graph's own precision."""

    shape: Shape
    bytes_per_element: Size


class OperatorTable(Table):
    """One operator as written."""

    name: str = Field(min_length=1, max_length=200)
    kind: str = Field(max_length=200)
    inputs: tuple[str, ...] = Field(min_length=1)
    width: Size | None = None
    segments: Size | None = None
    bias: bool | None = None
    function: Annotated[str, Field(max_length=200)] | None = None
    shape: Shape | None = None


class GraphTable(Table):
    """A file as written."""

    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(min_length=1, max_length=200)
    note: str = ""
    bytes_per_element: Size = 2
    inputs: dict[str, Shape | InputTable] = Field(min_length=1)
    operators: tuple[OperatorTable, ...] = Field(min_length=1)
    outputs: tuple[str, ...] = ()
    differentiable: tuple[str, ...] = ()


Rule = Callable[[Builder, OperatorTable, list[Tensor]], Tensor]


def _need(op: OperatorTable, key: str) -> Any:
    value = getattr(op, key)
    if value is None:
        raise DataError(f"operator {op.name!r}: kind {op.kind!r} needs {key}")
    return value


def _pointwise(g: Builder, op: OperatorTable, x: list[Tensor]) -> Tensor:
    return g.pointwise(x[0], op.kind, name=op.name)


# kind -> numbers of inputs, keys beside name, kind, inputs and shape, the call
RULES: dict[str, tuple[range, tuple[str, ...], Rule]] = {
    "linear": (range(1, 2), ("width", "bias"),
               lambda g, op, x: g.linear(x[0], _need(op, "width"), bias=op.bias is not False, name=op.name)),
    "activation": (range(1, 2), ("function",),
                   lambda g, op, x: g.activation(x[0], _need(op, "function"), name=op.name)),
    "layernorm": (range(1, 2), (), lambda g, op, x: g.layernorm(x[0], name=op.name)),
    "rmsnorm": (range(1, 2), (), lambda g, op, x: g.rmsnorm(x[0], name=op.name)),
    "softmax": (range(1, 2), (), lambda g, op, x: g.softmax(x[0], name=op.name)),
    "rope": (range(1, 2), (), lambda g, op, x: g.rope(x[0], name=op.name)),
    "scale": (range(1, 2), (), _pointwise),
    "square": (range(1, 2), (), _pointwise),
    "rsqrt": (range(1, 2), (), _pointwise),
    "elementwise": (range(1, 2), (), _pointwise),
    "mean": (range(1, 2), (), lambda g, op, x: g.mean(x[0], name=op.name)),
    "add": (range(2, 3), (), lambda g, op, x: g.add(x[0], x[1], name=op.name)),
    "mul": (range(1, 3), (), lambda g, op, x: g.mul(*x, name=op.name)),
    "bmm": (range(2, 3), (), lambda g, op, x: g.bmm(x[0], x[1], name=op.name)),
    "concat": (range(1, 1000), (), lambda g, op, x: g.concat(*x, name=op.name)),
    "gather": (range(2, 3), (), lambda g, op, x: g.gather(x[0], x[1], name=op.name)),
    "segment_sum": (range(2, 3), ("segments",),
                    lambda g, op, x: g.segment_sum(x[0], x[1], _need(op, "segments"), name=op.name)),
    "index": (range(1, 2), ("width",), lambda g, op, x: g.index(x[0], _need(op, "width"), name=op.name)),
    "embedding": (range(1, 2), ("width",), lambda g, op, x: g.embedding(x[0], _need(op, "width"), name=op.name)),
    "view": (range(1, 2), (), lambda g, op, x: g.view(x[0], _need(op, "shape"))),
    "unsupported": (range(1, 1000), ("function",), lambda g, op, x: g.add_operator(
        "unsupported", x, _need(op, "shape"), name=op.name, detail=op.function or "")),
}  # fmt: skip


def read_graph(path: Path) -> Graph:
    """The graph of a TOML file; DataError names the file and what is wrong with it."""
    return graph_of(text_of(path), str(path))


def graph_of(text: str, where: str) -> Graph:
    """The graph that a TOML text describes; `where` stands in messages."""
    try:
        table = GraphTable.model_validate(toml_of(text, where))
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, where, GraphTable))) from error
    try:
        return _build(table)
    except DataError as error:
        raise DataError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from error


def _build(table: GraphTable) -> Graph:
    g = Builder(table.name, bytes_per_element=table.bytes_per_element)
    found: dict[str, Tensor] = {}
    for name, given in table.inputs.items():
        if isinstance(given, InputTable):
            found[name] = g.input(name, given.shape, bytes_per_element=given.bytes_per_element)
        else:
            found[name] = g.input(name, given)
    for op in _in_order(table):
        found[op.name] = _operator(g, op, [found[name] for name in op.inputs])
    missing = [name for name in (*table.outputs, *table.differentiable) if name not in found]
    if missing:
        raise DataError(f"outputs and differentiable: {', '.join(missing)} not in the graph")
    return g.graph(outputs=[found[name].name for name in table.outputs], differentiable=table.differentiable)


def _in_order(table: GraphTable) -> list[OperatorTable]:
    operators = {op.name: op for op in table.operators}
    faults = [f"operator {op.name!r} is named twice" for op in table.operators
              if op is not operators[op.name] or op.name in table.inputs]  # fmt: skip
    faults += [
        f"operator {op.name!r} reads {name!r}, which nothing produces"
        for op in table.operators for name in op.inputs if name not in operators and name not in table.inputs
    ]  # fmt: skip
    if faults:
        raise DataError("\n".join(faults))
    order, cycle = sort_names({name: [n for n in op.inputs if n in operators] for name, op in operators.items()})
    if cycle:
        raise DataError(f"operators form a cycle: {' -> '.join(cycle)}")
    return [operators[name] for name in order]


def _operator(g: Builder, op: OperatorTable, operands: list[Tensor]) -> Tensor:
    if op.kind not in RULES:
        raise DataError(f"operator {op.name!r}: unknown kind {op.kind!r}, known: {', '.join(RULES)}")
    counts, keys, rule = RULES[op.kind]
    if len(operands) not in counts:
        wanted = "or ".join(f"{n} " for n in counts) if len(counts) < 3 else f"at least {counts[0]} "
        raise DataError(f"operator {op.name!r}: kind {op.kind!r} takes {wanted}inputs, not {len(operands)}")
    for key in ("width", "segments", "bias", "function"):
        if getattr(op, key) is not None and key not in keys:
            raise DataError(f"operator {op.name!r}: kind {op.kind!r} takes no {key}")
    try:
        made = rule(g, op, operands)
    except DataError as error:
        raise DataError(f"operator {op.name!r}, kind {op.kind!r}: {error}") from error
    if op.shape is not None and made.shape != op.shape:
        raise DataError(f"operator {op.name!r}: shape = {list(op.shape)}, but its inputs make {list(made.shape)}")
    return made
