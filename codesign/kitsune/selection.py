"""The study's own selection of groups, as one stated rule for all applications.

The study gives patterns and, for each application, how many operators they cover (Table 2), but no
list. These rules were chosen to meet those counts with as little as possible; where they miss,
`codesign reproduce kitsune` shows it.

**Vertical fusion** (forward pass only): every linear with the ReLU after it; every norm written out in
primitives; and an MLP of two activations or more, none of its widths above 128, is one kernel when
a LayerNorm ends it and is left alone when none does.

**Kitsune**: forward and backward pass by themselves, operators in topological order. Each joins the
group of an operand's producer, the latest first, and through it further ones, as long as the groups
stay convex and executable. Out stay

- what gathers, with its buffers; products of two activations (bmm) and what only rotates (rope);
- a linear without an activation, or its gradient, at either end: it is bulk-sync-friendly;
- a concat or add whose operand comes from, or also feeds, an operator that gathers: its streams are
  in different orders.

In training more stays out: a linear that neither activation nor norm follows, forward and backward;
and db, unless the gradient of an activation feeds it together with dX and dW.
"""

from collections.abc import Iterable

from codesign.kitsune.graph import Graph
from codesign.kitsune.masks import Group, Mask, mask_of, members

WIDE = 128  # elements: an MLP of this width keeps its weights and a tile in shared memory
ROOT_MEAN = ("square", "mean", "rsqrt", "mul")
NORMS = ("layernorm", "rmsnorm")
LINEAR_GRADIENTS = ("linear_dx", "linear_dw", "linear_db")
OUT = ("bmm", "bmm_da", "bmm_db", "head_sum", "rope", "rope_dx", "buffer", "unsupported")


def vertical(graph: Graph) -> tuple[Group, ...]:
    """Groups that a compiler without queues would fuse."""
    groups: list[Group] = []
    taken: Mask = 0
    for mlp in _narrow_mlps(graph):
        taken |= mask_of(mlp)
        if graph.operators[mlp[-1]].kind == "layernorm":
            groups.append(mlp)
    groups += _written_norms(graph)
    for i, op in enumerate(graph.operators):
        after = _only_consumer(graph, i)
        if op.kind == "linear" and after is not None and not taken >> i & 1 and _is_relu(graph, after):
            groups.append((i, after))
    return tuple(sorted(groups))


def kitsune(graph: Graph) -> tuple[Group, ...]:
    """Groups that the study would stream, of two operators or more."""
    allowed = [_may_stream(graph, i) for i in range(len(graph))]
    groups: dict[int, Group] = {}
    owner: dict[int, int] = {}
    for i, op in enumerate(graph.operators):
        if not allowed[i]:
            continue
        groups[i], owner[i] = (i,), i
        for j in sorted(members(graph.producers[i]), reverse=True):
            if not allowed[j] or graph.operators[j].backward != op.backward or owner[j] == owner[i]:
                continue
            joined = tuple(sorted(groups[owner[j]] + groups[owner[i]]))
            rest = [group for key, group in groups.items() if key not in (owner[i], owner[j])]
            if graph.is_convex(mask_of(joined)) and graph.is_acyclic([*rest, joined]):
                old, new = owner[i], owner[j]
                groups[new] = joined
                del groups[old]
                owner |= dict.fromkeys(joined, new)
    return tuple(sorted(group for group in groups.values() if len(group) > 1))


def _may_stream(graph: Graph, i: int) -> bool:
    op = graph.operators[i]
    trained = any(other.backward for other in graph.operators)
    if op.gathers or op.kind in OUT:
        return False
    if op.kind == "linear":
        return _has_activation(graph, i) and not (trained and not _followed(graph, i))
    if op.kind in LINEAR_GRADIENTS:
        return _gradient_streams(graph, i)
    if op.kind in ("concat", "add"):
        made = graph.producers[i]
        beside = [j for j in members(made) if any(_scatters(graph, k) for k in members(graph.consumers[j]))]
        return not beside and not any(_scatters(graph, j) for j in members(made))
    return True


def _scatters(graph: Graph, i: int) -> bool:
    return graph.operators[i].gathers or graph.operators[i].kind == "buffer"


def _has_activation(graph: Graph, i: int) -> bool:
    """Whether an activation, or the product that gates, stands directly before or after a linear."""
    near = [graph.operators[j] for j in members(graph.producers[i] | graph.consumers[i])]
    return any(op.kind == "activation" or (op.kind == "mul" and not op.weights) for op in near)


def _followed(graph: Graph, i: int) -> bool:
    """Whether an activation, a gate or a norm takes the output of a linear in the forward pass."""
    after = [graph.operators[j] for j in members(graph.consumers[i])]
    return any(op.kind in ("activation", "mul", *NORMS) for op in after if not op.backward)


def _gradient_streams(graph: Graph, i: int) -> bool:
    op = graph.operators[i]
    source = next(members(graph.producers[i] & _backward(graph)), None)
    linear = graph.position[op.name.rpartition(".")[0]]
    if source is None or not (_has_activation(graph, linear) and _followed(graph, linear)):
        return False
    fed = {graph.operators[j].kind for j in members(graph.consumers[source])}
    return op.kind != "linear_db" or (graph.operators[source].kind == "activation_dx" and "linear_dx" in fed)


def _backward(graph: Graph) -> Mask:
    return mask_of(i for i, op in enumerate(graph.operators) if op.backward)


def _narrow_mlps(graph: Graph) -> Iterable[Group]:
    """Chains of linear and activation, a norm at their end if there is one, as the vertical rule has them."""
    seen: set[int] = set()
    for i, op in enumerate(graph.operators):
        if op.kind != "linear" or i in seen:
            continue
        chain, here = [i], _only_consumer(graph, i)
        while here is not None and graph.operators[here].kind in ("linear", "activation", *NORMS):
            chain.append(here)
            here = None if graph.operators[here].kind in NORMS else _only_consumer(graph, here)
        seen |= set(chain)
        activations = sum(graph.operators[j].kind == "activation" for j in chain)
        if activations > 1 and all(graph.operators[j].width <= WIDE for j in chain):
            yield tuple(chain)


def _written_norms(graph: Graph) -> list[Group]:
    groups: list[Group] = []
    for i, op in enumerate(graph.operators):
        if op.kind != "mean" or op.backward:
            continue
        chain = {*members(graph.producers[i]), i}
        for j in range(i + 1, len(graph)):
            below = graph.operators[j].kind in ROOT_MEAN and not graph.operators[j].backward
            if below and any(k in chain for k in members(graph.producers[j])):
                chain.add(j)
        groups.append(tuple(sorted(j for j in chain if graph.operators[j].kind in ROOT_MEAN)))
    return [group for group in groups if len(group) > 1]  # a mean by itself is no norm


def _only_consumer(graph: Graph, i: int) -> int | None:
    """The one operator of the forward pass that reads an output."""
    readers = list(members(graph.consumers[i] & ~_backward(graph)))
    return readers[0] if len(readers) == 1 else None


def _is_relu(graph: Graph, i: int) -> bool:
    op = graph.operators[i]
    return op.kind == "activation" and op.detail == "relu"
