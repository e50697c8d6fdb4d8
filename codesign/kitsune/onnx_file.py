"""Operator graphs out of ONNX files (package `onnx`, extra [onnx]), by the shapes that it infers.

Products with a parameter are linear; reshapes, transpositions and splits are views; constants and what
is computed from them alone are parameters. A dimension that the file leaves open is given by its name:
{"batch": 2048}. Parameters may be absent (external data): shapes are enough.
"""

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from codesign.facts.errors import DataError
from codesign.kitsune.graph import Graph
from codesign.kitsune.imported import Importer

KIND_OF = {
    "Gemm": "matmul", "MatMul": "matmul",
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Gelu": "gelu", "Swish": "silu",
    "LayerNormalization": "layernorm", "RMSNormalization": "rmsnorm", "Softmax": "softmax", "LogSoftmax": "softmax",
    "RotaryEmbedding": "rope", "Concat": "concat", "Gather": "gather", "GatherND": "gather", "GatherElements": "gather",
    "Add": "add", "Sum": "add", "Mul": "mul", "ReduceMean": "mean",
}  # fmt: skip
VIEWS = {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Split", "Slice", "Expand"}
MOST_NUMBERS = 64  # of one shape: more numbers than any tensor has dimensions
SHAPES_ONLY = {"Constant", "ConstantOfShape", "Shape", "Size"}  # no data of the graph goes through them
ELEMENTWISE = {"Sub", "Div", "Pow", "Sqrt", "Reciprocal", "Exp", "Log", "Neg", "Abs", "Erf", "Cast", "Clip", "Where",
               "LeakyRelu", "Elu", "HardSigmoid", "HardSwish", "Softplus", "Max", "Min", "Sin", "Cos"}  # fmt: skip


def read_onnx(path: Path, sizes: Mapping[str, int] | None = None) -> Graph:
    """The graph of an ONNX file; DataError when the package is absent or the file is not usable."""
    try:
        import onnx
    except ImportError as error:
        raise DataError(f"{path}: reading ONNX needs the package onnx: pip install 'codesign[onnx]'") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf's DecodeError, which cannot be named without the package
        raise DataError(f"{path}: not an ONNX file: {error}") from error
    _give(model, sizes or {}, path)
    _check_order(model.graph, path)
    absent = _load_shapes(onnx, model.graph, path)
    try:
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # onnx raises InferenceError and others of its C++ side
        raise DataError(f"{path}: shapes do not fit: {_first_line(error)}{absent}") from error
    try:
        return _graph(onnx, model.graph, path)
    except DataError as error:
        text = str(error) + absent
        raise DataError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _load_shapes(onnx: Any, graph: Any, path: Path) -> str:
    """Read the few whole numbers that shapes depend on, where they lie beside the file; says which are absent."""
    from onnx import external_data_helper

    whole, absent = (onnx.TensorProto.INT64, onnx.TensorProto.INT32), list[str]()
    for tensor in graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL or tensor.data_type not in whole:
            continue
        if prod(tensor.dims) > MOST_NUMBERS:
            continue
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
        except (OSError, ValueError, onnx.checker.ValidationError):
            absent.append(tensor.name)
            continue
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return f"; the numbers of {', '.join(absent)} lie in a file beside it that cannot be read" if absent else ""


def _give(model: Any, sizes: Mapping[str, int], path: Path) -> None:
    """Put numbers for the named dimensions of the inputs; drop inferred shapes that still have the names."""
    known: set[str] = set()
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                known.add(dim.dim_param)
                if dim.dim_param in sizes:
                    dim.dim_value = sizes[dim.dim_param]
    unknown = [name for name in sizes if name not in known]
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise DataError(f"{path}: no open dimension {', '.join(unknown)}; its open dimensions: {names}")
    if sizes:
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")


def _graph(onnx: Any, graph: Any, path: Path) -> Graph:
    importer = Importer(graph.name or path.stem)
    for weight in graph.initializer:
        importer.parameter(weight.name, weight.dims, _size(onnx, weight.data_type))
    inputs = [value for value in graph.input if value.name not in importer.parameters]
    shapes = _shapes(onnx, (*inputs, *graph.value_info, *graph.output))
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    needed = [value.name for value in inputs] + [
        name for node in graph.node for n, name in enumerate(filter(None, node.output)) if n == 0 or name in read
    ]
    faults = []
    for name in needed:
        if name not in shapes or not all(isinstance(size, int) for size in shapes[name][0]):
            shown = f" {list(shapes[name][0])}" if name in shapes else ""
            faults.append(f"{name}{shown}")
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise DataError(f"{path}: no complete shape for {', '.join(faults[:5])}{more}; give the open dimensions")
    for value in inputs:
        shape, size = shapes[value.name]
        importer.input(value.name, shape, size)
    shapes = {name: shapes[name] for name in needed}
    for node in graph.node:
        _node(importer, node, shapes)
    return importer.graph([value.name for value in graph.output])


def _node(importer: Importer, node: Any, shapes: Mapping[str, Any]) -> None:
    reads = [name for name in node.input if name]
    outputs = [name for name in node.output if name]
    if node.op_type in SHAPES_ONLY:
        importer.parameter(outputs[0], *shapes[outputs[0]])
        return
    if node.op_type in VIEWS:
        kind, reads = "view", reads[:1]
    elif node.op_type in ELEMENTWISE:
        kind = "elementwise"
    else:
        kind = importer.kind_of(KIND_OF.get(node.op_type, "unsupported"), reads)
    shape, size = shapes[outputs[0]]
    if kind == "mean" and shape[:-1] != shapes[reads[0]][0][:-1]:
        kind = "unsupported"
    importer.add(kind, outputs[0], reads, shape, size, node.op_type)
    for name in (name for name in outputs[1:] if name in shapes):  # parts of the first, for whoever reads them
        source = reads[:1] if kind == "view" else outputs[:1]
        shape, size = shapes[name]
        importer.add("view", name, source, shape, size, node.op_type)


def _check_order(graph: Any, path: Path) -> None:
    """ONNX wants its nodes in topological order: what comes too late is in a cycle or not sorted."""
    made = {name for node in graph.node for name in node.output}
    known = {"", *(value.name for value in graph.input), *(weight.name for weight in graph.initializer)}
    for node in graph.node:
        late = [name for name in node.input if name not in known]
        if late:
            why = "which comes from a cycle or a later node" if late[0] in made else "which nothing produces"
            raise DataError(f"{path}: node {node.name or node.output[0]!r} ({node.op_type}) reads {late[0]!r}, {why}")
        known |= set(node.output)


def _shapes(onnx: Any, values: Iterable[Any]) -> dict[str, tuple[tuple[Any, ...], int]]:
    """Shape and bytes an element of each value that has a shape; a dimension without number by its name."""
    found = {}
    for value in values:
        tensor = value.type.tensor_type
        if value.type.HasField("tensor_type") and tensor.HasField("shape"):
            dims = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
                         for dim in tensor.shape.dim)  # fmt: skip
            found[value.name] = (dims, _size(onnx, tensor.elem_type))
    return found


def _size(onnx: Any, data_type: int) -> int:
    """Bytes of one element; types below a byte count one."""
    return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
