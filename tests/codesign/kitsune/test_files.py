"""Graphs out of files: TOML, ONNX, PyTorch; what comes out, and every file that is none."""

import sys
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codesign.facts.errors import DataError
from codesign.kitsune.backward import training
from codesign.kitsune.files import RULES, graph_of, read_graph
from codesign.kitsune.kinds import KINDS
from codesign.kitsune.onnx_file import read_onnx
from codesign.kitsune.torch_module import read_torch
from tests.cases.command import INSTANCES, every_file, put, run

HEAD = 'schema = 1\nname = "g"\n[inputs]\nx = [16, 8]\ny = [16, 8]\ni = { shape = [16], bytes_per_element = 8 }\n'


def row(name: str, kind: str, inputs: str, more: str = "") -> str:
    return f'[[operators]]\nname = "{name}"\nkind = "{kind}"\ninputs = {inputs}\n{more}\n'


# TOML


@pytest.mark.parametrize("name", [name for name, _ in every_file(INSTANCES / "graphs")])
def test_our_graphs(name: str) -> None:
    graph = read_graph(INSTANCES / "graphs" / name)
    assert graph.name == name.removesuffix(".toml") and len(graph) > 1
    assert len(training(graph)) > 2 * len(graph)


def test_the_example_of_the_docstring() -> None:
    text = str(sys.modules["codesign.kitsune.files"].__doc__).split("\n\n", 1)[1].split("\n\nOperators may", 1)[0]
    graph = graph_of("\n".join(line.removeprefix("    ") for line in text.splitlines()), "example")
    assert [(op.kind, op.output.shape) for op in graph.operators] == [
        ("linear", (4096, 1024)), ("activation", (4096, 1024)),
    ]  # fmt: skip


EACH = {
    "linear": ('["x"]', "width = 4"), "activation": ('["x"]', 'function = "silu"'), "add": ('["x", "y"]', ""),
    "bmm": ('["x", "flat"]', ""), "concat": ('["x", "y", "x"]', ""), "gather": ('["x", "i"]', ""),
    "segment_sum": ('["x", "i"]', "segments = 3"), "index": ('["x"]', "width = 2"),
    "embedding": ('["i"]', "width = 32"), "view": ('["x"]', "shape = [128]"), "mul": ('["x"]', ""),
    "unsupported": ('["x", "y"]', 'shape = [3, 3]\nfunction = "sort"'),
}  # fmt: skip


@pytest.mark.parametrize("kind", RULES)
def test_each_kind(kind: str) -> None:
    inputs, more = EACH.get(kind, ('["x"]', ""))
    text = HEAD + row("flat", "view", '["y"]', "shape = [8, 16]") + row("z", kind, inputs, more)
    graph = graph_of(text + row("last", "elementwise", '["z"]'), "each")
    assert [op.kind for op in graph.operators] == ([kind] if kind != "view" else []) + ["elementwise"]


def test_every_forward_kind_but_sums_can_be_written() -> None:
    assert set(RULES) - {"view"} == {name for name, kind in KINDS.items() if not kind.backward} - {"sum"}


def test_order_does_not_matter() -> None:
    late = graph_of(HEAD + row("b", "softmax", '["a"]') + row("a", "mean", '["x"]'), "late")
    assert [op.name for op in late.operators] == ["a", "b"]


@pytest.mark.parametrize(("rows", "words"), [
    (row("a", "softmax", '["b"]') + row("b", "softmax", '["a"]'), "cycle: a -> b -> a|cycle: b -> a -> b"),
    (row("a", "softmax", '["a"]'), "cycle: a -> a"),
    (row("a", "softmax", '["nobody"]'), "'a' reads 'nobody', which nothing produces"),
    (row("a", "softmax", '["x"]') * 2, "'a' is named twice"),
    (row("x", "softmax", '["y"]'), "'x' is named twice"),
    (row("a", "magic", '["x"]'), "unknown kind 'magic', known: linear"),
    (row("a", "linear_dx", '["x"]'), "unknown kind 'linear_dx'"),
    (row("a", "linear", '["x"]'), "kind 'linear' needs width"),
    (row("a", "linear", '["x"]', "width = 0"), "operators.0.width = 0"),
    (row("a", "linear", '["x"]', "width = true"), "true and false are not allowed"),
    (row("a", "linear", '["x"]', "widht = 4"), "widht = 4: unknown key; known: name, kind"),
    (row("a", "linear", '["x", "y"]', "width = 4"), "takes 1 inputs, not 2"),
    (row("a", "softmax", '["x"]', "width = 4"), "takes no width"),
    (row("a", "add", '["x"]'), "takes 2 inputs, not 1"),
    (row("a", "softmax", '["x"]', "shape = [16, 9]"), r"shape = \[16, 9\], but its inputs make \[16, 8\]"),
    (row("a", "bmm", '["x", "y"]'), "does not multiply 'y'"),
    (row("a", "activation", '["x"]', 'function = "step"'), "unknown activation 'step'"),
    (row("a", "softmax", "[]"), "operators.0.inputs"),
    ("", "operators"),
    ("[[operators]\n", "not readable as TOML"),
])  # fmt: skip
def test_files_that_are_none(rows: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        graph_of(HEAD + rows, "bad.toml")
    assert all(line.startswith("bad.toml: ") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(("head", "words"), [
    (HEAD.replace("[16, 8]", "[16, 0]", 1), "inputs.x"),
    (HEAD.replace("[16, 8]", "[]", 1), "inputs.x"),
    (HEAD.replace("bytes_per_element = 8", "bytes_per_element = -8"), "bytes_per_element"),
    (HEAD.replace('name = "g"', 'name = "g"\noutputs = ["q"]'), "q not in the graph"),
    (HEAD.replace("schema = 1", "schema = 2"), "schema"),
])  # fmt: skip
def test_heads_that_are_none(head: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        graph_of(head + row("a", "softmax", '["x"]'), "bad.toml")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml: no such file"):
        read_graph(tmp_path / "none.toml")


# ONNX


def saved(path: Path, nodes: list[Any], *, release: int = 17, **weights: tuple[int, ...]) -> Path:
    """An ONNX file of these nodes from x [batch, 8] to y."""
    onnx = pytest.importorskip("onnx")
    real = onnx.TensorProto.FLOAT
    stored = [onnx.helper.make_tensor(name, real, dims, [0.0] * prod(dims)) for name, dims in weights.items()]
    ends = (onnx.helper.make_tensor_value_info("x", real, ["batch", 8]),
            onnx.helper.make_tensor_value_info("y", real, None))  # fmt: skip
    graph = onnx.helper.make_graph(nodes, "net", ends[:1], ends[1:], stored)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", release)]), str(path))
    return path


def node(kind: str, inputs: str, output: str, **attributes: int) -> Any:
    onnx = pytest.importorskip("onnx")
    return onnx.helper.make_node(kind, inputs.split(), [output], **attributes)


def test_onnx(tmp_path: Path) -> None:
    nodes = [
        node("Gemm", "x w b", "h"), node("Relu", "h", "r"), node("MatMul", "r w2", "m"), node("Add", "m b2", "a"),
        node("LayerNormalization", "a g g", "n"), node("Hardmax", "n", "odd"), node("Transpose", "odd", "t"),
        node("MatMul", "odd t", "y"),
    ]  # fmt: skip
    path = saved(tmp_path / "net.onnx", nodes, w=(8, 16), b=(16,), w2=(16, 4), b2=(4,), g=(4,))
    graph = read_onnx(path, {"batch": 32})
    kinds = ["linear", "activation", "linear", "add", "layernorm", "unsupported", "bmm"]
    assert [op.kind for op in graph.operators] == kinds
    assert [op.weights for op in graph.operators] == [4 * (8 * 16 + 16), 0, 4 * 16 * 4, 4 * 4, 4 * 2 * 4, 0, 0]
    assert graph.operators[0].flop == 2 * 32 * 8 * 16 and graph.operators[-1].flop == 2 * 32 * 4 * 32
    assert graph.operators[-1].inputs == ("odd",)
    assert graph.notes == ("Hardmax is not known: taken as a SIMT operator by its shapes (odd)",)
    with pytest.raises(DataError, match=r"no complete shape for x \['batch', 8\].*give the open dimensions"):
        read_onnx(path)
    with pytest.raises(DataError, match="no open dimension rows; its open dimensions: batch"):
        read_onnx(path, {"rows": 2})


@pytest.mark.parametrize(("nodes", "words"), [
    (["Relu q y"], "reads 'q', which nothing produces"),
    (["Add x y z", "Relu z y"], "reads 'y', which comes from a cycle or a later node"),
    (["MatMul x w y"], "shapes do not fit"),
])  # fmt: skip
def test_onnx_files_that_are_none(nodes: list[str], words: str, tmp_path: Path) -> None:
    parts = [text.split() for text in nodes]
    path = saved(tmp_path / "bad.onnx", [node(kind, " ".join(ins), out) for kind, *ins, out in parts], w=(16, 4))
    with pytest.raises(DataError, match=words):
        read_onnx(path, {"batch": 4})


@pytest.mark.parametrize("release", [6, 9, 17])
def test_an_output_that_nobody_reads_needs_no_shape(release: int, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    dropout = onnx.helper.make_node("Dropout", ["x"], ["d", "mask"])
    path = saved(tmp_path / "net.onnx", [dropout, node("Relu", "d", "y")], release=release)
    assert [op.inputs for op in read_onnx(path, {"batch": 4}).operators] == [("x",)]
    if release < 10:
        path = saved(tmp_path / "read.onnx", [dropout, node("Cast", "mask", "y", to=1)], release=release)
        with pytest.raises(DataError, match="no complete shape for mask"):
            read_onnx(path, {"batch": 4})


def test_a_shape_that_lies_beside_the_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = saved(tmp_path / "net.onnx", [node("Reshape", "x s", "r"), node("MatMul", "r w", "y")], w=(4, 16))
    model = onnx.load(str(path))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 4]), "s"))
    onnx.save_model(model, str(path), save_as_external_data=True, location="net.bin", size_threshold=0)
    (only,) = read_onnx(path, {"batch": 4}).operators
    assert (only.kind, only.output.shape, only.weights) == ("linear", (8, 16), 4 * 4 * 16)
    (tmp_path / "net.bin").unlink()
    with pytest.raises(DataError, match="the numbers of s lie in a file beside it that cannot be read"):
        read_onnx(path, {"batch": 4})


def test_not_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no graph at all")
    with pytest.raises(DataError, match="not an ONNX file"):
        read_onnx(tmp_path / "bad.onnx")
    with pytest.raises(DataError, match="cannot be read"):
        read_onnx(tmp_path / "none.onnx")


# PyTorch


class Target:
    """A function of ATen, as an exported program names it."""

    def __init__(self, name: str) -> None:
        self.__name__ = f"{name}.default"


def exported() -> Any:
    """What torch.export.export gives for linear, relu, an odd operator and a view: as much of it as is read."""
    def value(*shape: int) -> Any:
        return SimpleNamespace(shape=shape, dtype=SimpleNamespace(itemsize=2))

    nodes: list[Any] = []

    def add(kind: str, name: str, what: str, reads: tuple[int, ...], *shape: int) -> None:
        meta = {"val": value(*shape)} if shape else {}
        nodes.append(SimpleNamespace(op=kind, name=name, target=Target(what), meta=meta,
                                     all_input_nodes=[nodes[i] for i in reads]))  # fmt: skip

    add("placeholder", "p_weight", "", (), 4, 8)
    add("placeholder", "p_bias", "", (), 4)
    add("placeholder", "x", "", (), 16, 8)
    add("call_function", "linear", "linear", (2, 0, 1), 16, 4)
    add("call_function", "relu", "relu", (3,), 16, 4)
    add("call_function", "view", "view", (4,), 4, 16)
    add("call_function", "cumsum", "cumsum", (5,), 4, 16)
    add("output", "output", "", (6,))
    graph = SimpleNamespace(nodes=nodes)
    return SimpleNamespace(graph=graph, graph_signature=SimpleNamespace(user_inputs=("x",)))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch of which only export is used."""
    export = SimpleNamespace(export=lambda module, arguments: exported())
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(export=export))  # type: ignore[arg-type]


MODULE = "class M:\n    def eval(self):\n        return self\n\ndef make():\n    return M(), (1,)\n"


@pytest.mark.usefixtures("stand_in")
def test_torch_module(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODULE)
    graph = read_torch(f"{tmp_path}/model.py:make")
    assert [(op.kind, op.output.shape) for op in graph.operators] == [
        ("linear", (16, 4)), ("activation", (16, 4)), ("unsupported", (4, 16)),
    ]  # fmt: skip
    assert graph.operators[0].weights == 2 * (4 * 8 + 4) and graph.operators[0].flop == 2 * 16 * 8 * 4
    assert graph.notes == ("cumsum is not known: taken as a SIMT operator by its shapes (cumsum)",)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("text", "function", "words"), [
    (MODULE, "", "expected a file and a function"),
    (MODULE, "other", "AttributeError: module 'model' has no attribute 'other'"),
    ("def make():\n    return 1\n", "make", "must return"),
    ("import nothing_of_that_name\n", "make", "No module named 'nothing_of_that_name'"),
])  # fmt: skip
def test_modules_that_are_none(text: str, function: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(text)
    with pytest.raises(DataError, match=words):
        read_torch(f"{tmp_path}/model.py:{function}")


@pytest.mark.usefixtures("stand_in")
def test_no_module_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no Python file"):
        read_torch(f"{tmp_path}/none.py:make")


def test_a_real_module(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "model.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "def make():\n    m = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)).half()\n"
        "    return m, (torch.zeros(16, 8, dtype=torch.float16),)\n"
    )
    graph = read_torch(f"{tmp_path}/model.py:make")
    assert [(op.kind, op.weights) for op in graph.operators] == [("linear", 72), ("activation", 0), ("linear", 16)]


@pytest.mark.parametrize(("package", "read"), [("onnx", lambda: read_onnx(Path("net.onnx"))),
                                               ("torch", lambda: read_torch("model.py:make"))])  # fmt: skip
def test_packages_that_are_absent(package: str, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=rf"needs the package {package}: pip install 'codesign\[{package}\]'"):
        read()


@pytest.mark.parametrize("before", ["relu", "sigmoid"])
def test_a_mean_by_itself_is_scheduled(before: str, tmp_path: Path) -> None:
    """It is no norm written out in primitives, so nothing is fused with it."""
    put(tmp_path, {"m.toml": f"""
schema = 1
name = "m"
[inputs]
x = [4096, 128]
[[operators]]
name = "a"
kind = "activation"
function = "{before}"
inputs = ["x"]
[[operators]]
name = "avg"
kind = "mean"
inputs = ["a"]
"""})
    done = run("kitsune", tmp_path / "m.toml", "--json")
    assert (done.code, done.err) == (0, "")
    assert [len(group["stages"]) for group in done.json["executions"][1]["groups"]] == [1, 1]
