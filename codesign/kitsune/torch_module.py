"""Operator graphs out of PyTorch modules (package `torch`, extra [torch]), by torch.export.

`model.py:make_model` names a function without arguments in a file of the user's, which is run. It
returns the module and its example arguments, whose shapes the graph has:

    def make_model():
        return Mlp(), (torch.empty(4096, 512, dtype=torch.float16),)

On a device of kind "meta" nothing takes memory. Attention (scaled_dot_product_attention) stands as
bmm, softmax, bmm, its scores written in full.
"""

import importlib.util
from pathlib import Path
from typing import Any

from codesign.facts.errors import DataError
from codesign.kitsune.graph import Graph
from codesign.kitsune.imported import Importer

KIND_OF = {
    "linear": "matmul", "mm": "matmul", "matmul": "matmul", "bmm": "matmul", "addmm": "addmm",
    "relu": "relu", "silu": "silu", "gelu": "gelu", "sigmoid": "sigmoid", "tanh": "tanh",
    "layer_norm": "layernorm", "native_layer_norm": "layernorm", "rms_norm": "rmsnorm",
    "softmax": "softmax", "_softmax": "softmax", "cat": "concat", "concat": "concat", "embedding": "embedding",
    "index_select": "gather", "index": "gather", "gather": "gather", "add": "add", "mul": "mul", "mean": "mean",
    "rsqrt": "rsqrt", "index_add": "segment_sum", "scatter_add": "segment_sum",
}  # fmt: skip
VIEWS = {
    "view", "reshape", "_unsafe_view", "permute", "transpose", "t", "numpy_T", "unsqueeze", "squeeze", "expand",
    "flatten", "unflatten", "slice", "select", "split", "split_with_sizes", "chunk", "unbind", "contiguous", "clone",
    "alias", "detach", "dropout", "lift_fresh_copy", "expand_as",
}  # fmt: skip
ELEMENTWISE = {"sub", "div", "pow", "sqrt", "reciprocal", "exp", "log", "neg", "abs", "erf", "to", "_to_copy", "clamp",
               "where", "masked_fill", "leaky_relu", "elu", "softplus", "sin", "cos", "type_as", "maximum",
               "minimum", "float", "rsub"}  # fmt: skip


def read_torch(where: str) -> Graph:
    """The graph of the module that `file.py:make_model` returns."""
    try:
        import torch
    except ImportError as error:
        raise DataError(f"{where}: reading a module needs the package torch: pip install 'codesign[torch]'") from error
    module, arguments = _made(where)
    try:
        program = torch.export.export(module.eval(), tuple(arguments))
    except Exception as error:  # export raises many kinds, some of them private
        raise DataError(f"{where}: torch.export cannot take it: {str(error).strip().splitlines()[0]}") from error
    return _graph(program, where)


def _made(where: str) -> tuple[Any, tuple[Any, ...]]:
    name, _, function = where.rpartition(":")
    path = Path(name)
    if not name or not function:
        raise DataError(f"{where!r}: expected a file and a function, as model.py:make_model")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise DataError(f"{where}: {name} is no Python file")
    loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
        made = getattr(loaded, function)()
    except Exception as error:  # the user's own code
        raise DataError(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[1], tuple | list):
        raise DataError(f"{where}: must return (module, (example arguments, ...))")
    return made[0], tuple(made[1])


def _graph(program: Any, where: str) -> Graph:
    """The graph of an exported program, whose nodes carry their shapes in meta["val"]."""
    importer = Importer(Path(where.rpartition(":")[0]).stem)
    inputs = set(program.graph_signature.user_inputs)
    outputs: list[str] = []
    for node in program.graph.nodes:
        if node.op == "output":
            outputs = [read.name for read in node.all_input_nodes]
        elif node.op == "placeholder" and node.name in inputs:
            importer.input(node.name, *_shape(node.meta["val"], node.name, where))
        elif node.op in ("placeholder", "get_attr"):
            importer.parameter(node.name, *_shape(node.meta["val"], node.name, where))
        elif node.op == "call_function":
            _node(importer, node, where)
    return importer.graph(outputs)


def _node(importer: Importer, node: Any, where: str) -> None:
    what = getattr(node.target, "__name__", str(node.target)).partition(".")[0].removesuffix("_")
    reads = [read.name for read in node.all_input_nodes]
    value = node.meta.get("val")
    first = value[0] if isinstance(value, tuple | list) else value
    if not hasattr(first, "shape"):
        return  # a size, a flag or a check
    shape, size = _shape(first, node.name, where)
    if what in VIEWS or what == "getitem":
        importer.add("view", node.name, reads[:1], shape, size, what)
    elif what == "scaled_dot_product_attention":
        _attention(importer, node.name, reads, size)
    else:
        importer.add(_kind(importer, what, reads), node.name, reads, shape, size, what)


def _kind(importer: Importer, what: str, reads: list[str]) -> str:
    if what in ELEMENTWISE:
        return "elementwise"
    if what == "addmm":  # bias, x, weight
        return "linear" if reads[-1] in importer.parameters else "bmm"
    return importer.kind_of(KIND_OF.get(what, "unsupported"), reads)


def _attention(importer: Importer, name: str, reads: list[str], size: int) -> None:
    query, key, value = (importer.values[read] for read in reads[:3])
    scores = (*query.shape[:-1], key.shape[-2])
    importer.add("bmm", f"{name}_scores", reads[:2], scores, size, "bmm")
    importer.add("softmax", f"{name}_weights", [f"{name}_scores", *reads[3:]], scores, size, "softmax")
    importer.add("bmm", name, [f"{name}_weights", reads[2]], (*query.shape[:-1], value.shape[-1]), size, "bmm")


def _shape(value: Any, name: str, where: str) -> tuple[tuple[int, ...], int]:
    if not hasattr(value, "shape") or not all(isinstance(n, int) for n in value.shape):
        raise DataError(f"{where}: {name!r} has no complete shape; give example arguments of fixed shapes")
    return tuple(value.shape), value.dtype.itemsize
