"""Operator graphs: shape rules, sets of operators, bytes, gradients, and every graph that is none; GPUs."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.facts.errors import DataError
from codesign.kitsune.backward import training
from codesign.kitsune.builder import Builder
from codesign.kitsune.gpu import Gpu, gpu_named
from codesign.kitsune.graph import Graph, Operator, Tensor
from codesign.kitsune.kinds import KINDS
from codesign.kitsune.masks import mask_of, members
from codesign.kitsune.pipelines import price, through_l2
from codesign.kitsune.selection import kitsune, vertical
from codesign.kitsune.times import Times
from codesign.kitsune.traffic import coverage, cut, group_bytes, operator_bytes, saved_bytes, traffic
from tests.cases.command import load


def diamond() -> Graph:
    """a -> b, c -> d."""
    g = Builder("diamond")
    a = g.relu(g.input("x", (4, 8)), name="a")
    g.add(g.linear(a, 8, name="b"), g.silu(a, name="c"), name="d")
    return g.graph()


def test_sets_of_operators() -> None:
    graph = diamond()
    assert [op.name for op in graph.operators] == ["a", "b", "c", "d"]
    assert [list(members(mask)) for mask in graph.consumers] == [[1, 2], [3], [3], []]
    assert [list(members(mask)) for mask in graph.producers] == [[], [0], [0], [1, 2]]
    assert list(members(graph.descendants[0])) == [1, 2, 3]
    assert list(members(graph.ancestors[3])) == [0, 1, 2]
    assert graph.is_convex(mask_of([0, 1])) and graph.is_convex(mask_of([0, 1, 2, 3]))
    assert not graph.is_convex(mask_of([0, 3])) and not graph.is_convex(mask_of([0, 1, 3]))


def test_convex_groups_may_still_wait_for_each_other() -> None:
    """a1 -> b1 and b2 -> a2: {a1, a2} and {b1, b2} are convex each, and neither can run first."""
    g = Builder("crossed")
    a1, b2 = g.relu(g.input("x", (4, 4)), name="a1"), g.relu(g.input("y", (4, 4)), name="b2")
    g.relu(a1, name="b1")
    g.relu(b2, name="a2")
    graph = g.graph()
    a, b = ([graph.position[name] for name in names] for names in (("a1", "a2"), ("b2", "b1")))
    assert graph.is_convex(mask_of(a)) and graph.is_convex(mask_of(b))
    assert graph.is_acyclic([a]) and graph.is_acyclic([b]) and not graph.is_acyclic([a, b])


def test_bytes_of_operators_and_edges() -> None:
    graph = diamond()
    assert operator_bytes(graph, 1) == 2 * (4 * 8 + 4 * 8 + 8 * 8 + 8)
    assert [(e.producer, e.consumer, e.bytes) for e in graph.edges] == [(0, 1, 64), (0, 2, 64), (1, 3, 64), (2, 3, 64)]
    assert traffic(graph) == sum(operator_bytes(graph, i) for i in range(4))
    assert saved_bytes(graph, (0, 1)) == 64              # c still reads a: written, one read saved
    assert saved_bytes(graph, (0, 1, 2)) == 3 * 64       # b and c are read by d
    assert saved_bytes(graph, (0, 1, 2, 3)) == 7 * 64
    assert coverage(graph, [(0, 1), (2,)]) == 2
    assert cut(graph, []) == 0
    with pytest.raises(DataError, match="two groups"):
        cut(graph, [(0, 1), (1, 2)])


def test_an_output_that_is_also_read_is_written() -> None:
    graph = diamond()
    assert saved_bytes(replace(graph, outputs=("a",)), (0, 1, 2, 3)) == 6 * 64


def test_two_views_of_a_tensor_are_read_once_and_a_gather_reads_each_row() -> None:
    g = Builder("views")
    x = g.input("x", (2, 3, 4))
    g.bmm(x, g.view(x, (2, 4, 3)), name="product")
    table, index = g.input("table", (5, 8)), g.input("index", (20,), bytes_per_element=8)
    g.gather(table, index, name="rows")
    graph = g.graph()
    assert graph.reads[0] == {"x": 48}
    assert graph.reads[1] == {"table": 20 * 8 * 2, "index": 160}
    assert graph.operators[1].rows == 20 and graph.operators[1].gathers


def test_work_and_nature() -> None:
    g = Builder("nature")
    x = g.input("x", (16, 8))
    h = g.layernorm(g.activation(g.linear(x, 4), "gelu"))
    g.segment_sum(h, g.input("index", (16,), bytes_per_element=8), 5)
    linear, gelu, norm, summed = g.graph().operators
    assert (linear.flop, linear.weights, linear.pipe, linear.width) == (2 * 16 * 8 * 4, 2 * (8 * 4 + 4), "tensor", 4)
    assert (gelu.flop, gelu.pipe, norm.reduces) == (4 * 16 * 4, "simt", False)
    assert (summed.reduces, summed.gathers, summed.rows, summed.width) == (True, True, 16, 4)


@pytest.mark.parametrize(("call", "words"), [
    (lambda g, x: g.concat(x, g.input("y", (3, 4))), "concat: 'y'"),
    (lambda g, x: g.add(x, g.input("y", (4, 7))), "does not fit 'y'"),
    (lambda g, x: g.bmm(x, x), "does not multiply 'x'"),
    (lambda g, x: g.view(x, (3, 3)), "has 32 elements"),
    (lambda g, x: g.index(x, 9), "fewer than 9"),
    (lambda g, x: g.segment_sum(x, g.input("i", (5,)), 2), "other rows than its index"),
    (lambda g, x: g.linear(g.input("y", (4,)), 2), "needs rows and a width"),
    (lambda g, x: g.activation(x, "step"), "unknown activation 'step'"),
    (lambda g, x: g.add_operator("magic", [x], (4, 8)), "unknown kind 'magic'"),
])  # fmt: skip
def test_operands_that_do_not_fit(call: object, words: str) -> None:
    g = Builder("wrong")
    x = g.input("x", (4, 8))
    with pytest.raises(DataError, match=words):
        call(g, x)  # type: ignore[operator]


def op(name: str, *reads: str, kind: str = "elementwise", shape: tuple[int, ...] = (4, 8), rows: int = 4) -> Operator:
    return Operator(kind, tuple(Tensor(read, (4, 8)) for read in reads), Tensor(name, shape), rows)


@pytest.mark.parametrize(("operators", "words"), [
    ((), "has no operators"),
    ((op("a", "b"), op("b", "a")), "cycle: a -> b -> a|cycle: b -> a -> b"),
    ((op("a", "nobody"),), "'a' reads 'nobody', which nothing produces"),
    ((op("a", "x", kind="magic"),), "unknown kind 'magic'"),
    ((op("a", "x", shape=(4, 0)),), r"shape \[4, 0\]"),
    ((op("a", "x", shape=(4, -8)),), r"shape \[4, -8\]"),
    ((op("a", "x", rows=0),), "rows = 0"),
    ((op("a", "x"), op("a", "x")), "'a' is named twice"),
    ((op("x", "x"),), "'x' is named twice"),
])  # fmt: skip
def test_graphs_that_are_none(operators: tuple[Operator, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Graph("wrong", (Tensor("x", (4, 8)),), operators)


def test_all_faults_at_once() -> None:
    with pytest.raises(DataError) as caught:
        Graph("wrong", (Tensor("x", (0, 8)),), (op("a", "nobody"), op("a", "x", kind="magic")), outputs=("none",))
    assert len(str(caught.value).splitlines()) == 5


def test_operators_are_put_in_order() -> None:
    graph = Graph("late", (Tensor("x", (4, 8)),), (op("b", "a"), op("a", "x")))
    assert [o.name for o in graph.operators] == ["a", "b"] and graph.position == {"a": 0, "b": 1}


# properties


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Small graphs of linears, activations, adds, concats, gathers and bmm."""
    g = Builder("drawn")
    rows = draw(st.integers(1, 8))
    index = g.input("index", (rows,), bytes_per_element=8)
    found = [g.input("x", (rows, draw(st.integers(1, 8))))]
    for _ in range(draw(st.integers(1, 9))):
        x = draw(st.sampled_from(found))
        kind = draw(st.sampled_from(["linear", "relu", "layernorm", "concat", "add", "gather", "mul", "softmax"]))
        if kind == "linear":
            found.append(g.linear(x, draw(st.integers(1, 8)), bias=draw(st.booleans())))
        elif kind == "concat":
            found.append(g.concat(x, draw(st.sampled_from(found))))
        elif kind in ("add", "mul"):
            same = [t for t in found if t.shape == x.shape]
            found.append(getattr(g, kind)(x, draw(st.sampled_from(same))))
        elif kind == "gather":
            found.append(g.gather(x, index))
        else:
            found.append(getattr(g, kind)(x))
    return g.graph()


@given(graphs(), st.data())
def test_a_group_never_moves_more_than_its_parts(graph: Graph, data: st.DataObject) -> None:
    group = tuple(sorted(data.draw(st.sets(st.integers(0, len(graph) - 1), min_size=1))))
    parts = sum(operator_bytes(graph, i) for i in group)
    needed = sum(graph.operators[i].weights for i in group)
    assert needed <= group_bytes(graph, group) <= parts
    assert traffic(graph, [group]) <= traffic(graph)
    one_more = tuple(sorted({*group, data.draw(st.integers(0, len(graph) - 1))}))
    assert saved_bytes(graph, one_more) >= saved_bytes(graph, group)


@given(graphs())
def test_training_work_of_linears_is_three_times_forward(graph: Graph) -> None:
    step = training(graph)
    assert [o.name for o in step.operators if not o.backward] == [o.name for o in graph.operators]
    forward = {o.name: o.flop for o in graph.operators if o.kind == "linear"}
    for name, flop in forward.items():
        gradients = {o.kind: o.flop for o in step.operators if o.name in (f"{name}.dx", f"{name}.dw")}
        assert gradients["linear_dw"] == flop
        assert gradients.get("linear_dx", flop) == flop


@given(graphs(), st.booleans())
def test_selected_groups_can_run(graph: Graph, trained: bool) -> None:
    graph = training(graph) if trained else graph
    for groups in (vertical(graph), kitsune(graph)):
        assert all(graph.is_convex(mask_of(group)) and len(group) > 1 for group in groups)
        assert graph.is_acyclic(groups)
        assert coverage(graph, groups) <= len(graph) and 0 <= cut(graph, groups) < 1


@given(graphs())
def test_gradients_have_the_shapes_of_their_tensors(graph: Graph) -> None:
    step = training(graph)
    for o in step.operators:
        if o.kind in ("linear_dx", "activation_dx", "layernorm_dx", "softmax_dx"):
            source = graph.operators[graph.position[o.name.removesuffix(".dx")]].operands[0]
            assert o.output.shape == source.shape
        assert KINDS[o.kind].backward <= o.backward


def test_gradients_where_operands_were_broadcast() -> None:
    g = Builder("broadcast")
    x = g.linear(g.input("x", (4, 8)), 8, name="h")
    g.mul(g.add(x, g.mean(x, name="m"), name="a"), g.view(g.mean(x, name="n"), (4, 1)), name="y")
    shapes = {o.name: o.output.shape for o in training(g.graph()).operators if o.kind == "row_sum"}
    assert shapes == {"a.m_sum": (4, 1), "y.n_sum": (4, 1)}


def test_every_operand_of_an_unknown_operator_has_a_gradient_of_its_own_name() -> None:
    g = Builder("stacked")
    x = g.input("x", (4, 8))
    parts = [g.linear(x, 8, name=name) for name in ("a", "b", "c")]
    g.add_operator("unsupported", parts, (3, 4, 8), name="s", detail="stack")
    step = training(g.graph())
    made = {o.name: o.output.shape for o in step.operators if o.kind == "elementwise"}
    assert made == {"s.dx": (4, 8), "s.dx2": (4, 8), "s.dx3": (4, 8)}
    reads = {o.name: o.inputs[0] for o in step.operators if o.kind == "linear_dw"}
    assert reads == {"a.dw": "s.dx", "b.dw": "s.dx2", "c.dw": "s.dx3"}


TAKEN = ("a", "a.dx", "a.dw", "a.grad", "a.dx2", "b", "b.sum1", "b.dx", "l2", "dram", "l2.dx")


@given(st.permutations(TAKEN), st.booleans())
def test_names_change_nothing_but_names(names: list[str], trained: bool) -> None:
    """Whatever operators are called, as gradients or memories are too: the same graph at the same times."""
    found = []
    for own in (names, [f"op{n}" for n in range(len(names))]):
        g = Builder("named")
        x = g.input("x", (256, 64))
        h = g.relu(g.linear(x, 64, name=own[0]), name=own[1])
        z = g.add(g.linear(h, 64, name=own[2]), g.linear(h, 64, name=own[3]), name=own[4])
        g.add_operator("unsupported", [z, h], (2, 256, 64), name=own[5], detail="stack")
        graph = training(g.graph()) if trained else g.graph()
        times = Times(graph, gpu_named(load(), "a100-40gb"))
        group = (0, 1, 2)
        priced = price(times, group, dict.fromkeys(group, 20))
        kinds = [(o.kind, [t.shape for t in o.operands], o.output.shape, o.flop) for o in graph.operators]
        found.append((kinds, times.alone_s, priced.time_s, priced.steady_s))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["l2", "dram"])
def test_an_operator_may_be_called_as_a_memory_is(name: str) -> None:
    """Its time stands beside the memory's, not in its place, and what limits the pipeline can be told apart."""
    g = Builder("moving")
    g.relu(g.linear(g.input("x", (1 << 16, 512)), 512, name="first"), name=name)
    slow = {"dram": {"dram_bandwidth": "0.02x"}, "l2": {"dram_bandwidth": "0.059x", "l2_bandwidth": "0.02x"}}[name]
    times = Times(g.graph(), gpu_named(load(), "a100-40gb", slow))
    priced = price(times, (0, 1), {0: 108, 1: 108})
    moved = {"dram": group_bytes(times.graph, (0, 1)) / times.dram, "l2": through_l2(times, (0, 1)) / times.l2}
    assert priced.bottleneck == name and priced.time_s >= moved[name] == max(moved.values())
    fast = Times(times.graph, gpu_named(load(), "a100-40gb"))
    assert price(fast, (0, 1), {0: 108, 1: 1}).bottleneck == f"operator {name}"


def test_no_second_backward_pass_and_no_gradient_of_the_unknown() -> None:
    with pytest.raises(DataError, match="already has a backward pass"):
        training(training(diamond_of_weights()))


def diamond_of_weights() -> Graph:
    g = Builder("weights")
    g.relu(g.linear(g.input("x", (4, 8)), 8))
    return g.graph()


# GPUs


@pytest.fixture(scope="module")
def a100() -> Gpu:
    return gpu_named(load(), "a100-40gb")


def test_the_gpu_of_the_study(a100: Gpu) -> None:
    assert (a100.sms, a100.tensor, a100.simt, a100.dram_bandwidth) == (108, 312e12, 78e12, 1555e9)
    assert a100.l2_bandwidth == 3 * a100.dram_bandwidth and a100.l2_capacity == 40 * 2**20
    assert (a100.gpcs, a100.l2_partitions, a100.queue_entries, a100.power) == (7, 2, 2, 250)


def test_queue_constants_repeat_the_measured_rates(a100: Gpu) -> None:
    """54 queues with synchronisation at 64, 128 and 256 KiB: 1553.40, 2005.75 and 2060.69 GB/s."""
    for payload, measured in ((64, 1553.40), (128, 2005.75), (256, 2060.69)):
        size = payload * 1024
        rate = 54 * size / (a100.queue_sync + size / a100.queue_bandwidth) / 1e9
        assert rate == pytest.approx(measured, rel=0.15)


def test_settings(a100: Gpu) -> None:
    changed = a100.with_settings({"l2_bandwidth": "2x", "sms": "216", "queue_sync": "2 us"})
    assert (changed.l2_bandwidth, changed.sms, changed.queue_sync) == (2 * a100.l2_bandwidth, 216, 2e-6)
    assert changed.settings == (("l2_bandwidth", "2x"), ("sms", "216"), ("queue_sync", "2 us"))
    assert changed.tensor == a100.tensor


@pytest.mark.parametrize(("settings", "words"), [
    ({"colour": "2x"}, "'colour' is not known; known: sms, tensor"),
    ({"sms": "0.3x"}, "not a whole number"),
    ({"sms": "0"}, "impossible: sms = 0 must be positive"),
    ({"tensor": "-1 TFLOP/s"}, "must be positive"),
    ({"tensor": "4 W"}, "tensor = '4 W' is in W"),
    ({"l2_bandwidth": "fast"}, "'fast' is not a quantity"),
    ({"l2_bandwidth": "1 GB/s"}, "below dram_bandwidth"),
    ({"payload_least": "1 MiB"}, "exceeds payload_most"),
    ({"l2_capacity": "64 KiB"}, "not one queue"),
    ({"gpcs": "200"}, "gpcs = 200 exceeds sms = 108"),
])  # fmt: skip
def test_settings_that_cannot_be(settings: dict[str, str], words: str, a100: Gpu) -> None:
    with pytest.raises(DataError, match=words):
        a100.with_settings(settings)


def test_a_gpu_with_gaps_needs_the_users_numbers() -> None:
    with pytest.raises(DataError, match=r"gpus/h100-sxm.toml has no number for l2_bandwidth, queue_sync"):
        gpu_named(load(), "h100-sxm")
    queue = {"queue_sync": "1.1 us", "queue_bandwidth": "46.5 GB/s", "payload_least": "64 KiB",
             "payload_most": "256 KiB", "queue_entries": "2", "atomics": "100M"}  # fmt: skip
    assert gpu_named(load(), "h100-sxm", {"l2_bandwidth": "6 TB/s", **queue}).sms == 132
    with pytest.raises(DataError, match="no number to multiply"):
        gpu_named(load(), "h100-sxm", {"l2_bandwidth": "2x", **queue})
    with pytest.raises(DataError, match="did you mean a100-40gb"):
        gpu_named(load(), "a100")
