"""The applications of the Kitsune study (arXiv 2502.18403, Table 2) as operator graphs built by shape rules.

Shapes that the study does not print are those that reproduce its operator counts and traffic; a
sample of `meshgraphnets` and the shapes of `graphcast` beyond latent width, nodes and edges are
such, and the token counts of Llama, of which nothing is printed, are our choice.
"""

from collections.abc import Callable, Mapping
from inspect import signature

from codesign.facts.errors import DataError
from codesign.kitsune.builder import Builder
from codesign.kitsune.graph import Graph, Tensor
from codesign.kitsune.llama import llama3_8b_context, llama3_8b_token

INDEX_BYTES = 8  # int64, as PyTorch's indices


def dlrm(*, batch: int = 2048, dense: int = 13, width: int = 128, tables: int = 26) -> Graph:
    """Recommendation: bottom MLP, embeddings, dot products of all pairs, top MLP; ReLU after each linear.

    All embeddings are one operator; the products of the 27 vectors with each other keep the upper
    triangle without the diagonal, 351 numbers.
    """
    g = Builder("dlrm")
    x = _relu_mlp(g, g.input("dense", (batch, dense)), (512, 256, width), "bottom")
    ids = g.input("ids", (batch, tables), bytes_per_element=INDEX_BYTES)
    looked_up = g.view(g.embedding(ids, width, name="embedding"), (batch, tables * width))
    features = g.concat(x, looked_up, name="features")
    count = tables + 1
    left = g.view(features, (batch, count, width))
    products = g.bmm(left, g.view(features, (batch, width, count)), name="products")
    pairs = g.index(products, count * (count - 1) // 2, name="pairs")
    _relu_mlp(g, g.concat(x, pairs, name="interaction"), (1024, 1024, 512, 256, 1), "top")
    return g.graph()


def nerf(*, rows: int = 65536, position: int = 60, direction: int = 24, width: int = 256) -> Graph:
    """Radiance field: 8 layers with a skip after the fifth, density, bottleneck, view direction, colour."""
    g = Builder("nerf")
    x, view = g.input("position", (rows, position)), g.input("direction", (rows, direction))
    h = _relu_mlp(g, x, (width,) * 5, "trunk")
    h = _relu_mlp(g, g.concat(x, h, name="skip"), (width,) * 3, "after_skip")
    density = g.linear(h, 1, name="density")
    h = g.concat(g.linear(h, width, name="bottleneck"), view, name="viewed")
    h = _relu_mlp(g, h, (width // 2,), "colour")
    g.concat(g.linear(h, 3, name="rgb"), density, name="radiance")
    return g.graph()


def meshgraphnets(
    *, samples: int = 1, nodes: int = 1024, mesh_edges: int = 16384, world_edges: int = 1024, latent: int = 128,
    node_features: int = 12, mesh_features: int = 8, world_features: int = 4, output: int = 3,
) -> Graph:  # fmt: skip
    """Simulation on a mesh with two edge sets: encoders, one message-passing step, decoder."""
    edges = {"mesh": (mesh_edges, mesh_features), "world": (world_edges, world_features)}
    return _message_passing("meshgraphnets", samples, (nodes, node_features), edges, latent, output)


def graphcast(
    *, samples: int = 1, nodes: int = 40962, edges: int = 327660, latent: int = 512,
    node_features: int = 12, edge_features: int = 8, output: int = 3,
) -> Graph:  # fmt: skip
    """Weather on a multi-mesh: the network of `meshgraphnets` with one edge set and a wider latent."""
    return _message_passing("graphcast", samples, (nodes, node_features), {"mesh": (edges, edge_features)}, latent,
                            output)  # fmt: skip


APPS: Mapping[str, Callable[..., Graph]] = {
    "dlrm": dlrm, "graphcast": graphcast, "meshgraphnets": meshgraphnets, "nerf": nerf,
    "llama3-8b-context": llama3_8b_context, "llama3-8b-token": llama3_8b_token,
}  # fmt: skip


def application(name: str, sizes: Mapping[str, int] | None = None) -> Graph:
    """An application by its name, with sizes other than its own; DataError names what is known."""
    if name not in APPS:
        raise DataError(f"{name!r} is no application; known: {', '.join(APPS)}")
    known = signature(APPS[name]).parameters
    for key, size in (sizes or {}).items():
        if key not in known:
            raise DataError(f"{name}: unknown size {key!r}; known: {', '.join(known)}")
        if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
            raise DataError(f"{name}: {key} = {size!r} must be a positive whole number")
    return APPS[name](**(sizes or {}))


def _relu_mlp(g: Builder, x: Tensor, widths: tuple[int, ...], name: str) -> Tensor:
    for number, width in enumerate(widths, 1):
        x = g.linear(x, width, name=f"{name}{number}")
        x = g.relu(x, name=f"{name}{number}_relu")
    return x


def _mlp(g: Builder, x: Tensor, latent: int, output: int, name: str, *, norm: bool = True) -> Tensor:
    """Linear-ReLU-Linear-ReLU-Linear, and a LayerNorm unless it is the decoder."""
    x = g.linear(_relu_mlp(g, x, (latent, latent), name), output, name=f"{name}3")
    return g.layernorm(x, name=f"{name}_norm") if norm else x


def _message_passing(name: str, samples: int, node: tuple[int, int], edges: Mapping[str, tuple[int, int]],
                     latent: int, output: int) -> Graph:  # fmt: skip
    g = Builder(name)
    count = samples * node[0]
    nodes = _mlp(g, g.input("node_features", (count, node[1])), latent, latent, "node_encoder")
    received = []
    for kind, (per_sample, features) in edges.items():
        rows = samples * per_sample
        edge = _mlp(g, g.input(f"{kind}_features", (rows, features)), latent, latent, f"{kind}_encoder")
        ends = [g.input(f"{kind}_{end}", (rows,), bytes_per_element=INDEX_BYTES) for end in ("senders", "receivers")]
        reached = [g.gather(nodes, end, name=f"{end.name}_nodes") for end in ends]
        message = _mlp(g, g.concat(*reached, edge, name=f"{kind}_inputs"), latent, latent, f"{kind}_update")
        received.append(g.segment_sum(message, ends[1], count, name=f"{kind}_sum"))
    update = _mlp(g, g.concat(nodes, *received, name="node_inputs"), latent, latent, "node_update")
    _mlp(g, g.add(nodes, update, name="residual"), latent, output, "decoder", norm=False)
    return g.graph()
