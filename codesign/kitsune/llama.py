"""Llama 3 8B (arXiv 2407.21783) as an operator graph: 27 operators a layer.

A layer is taken as eager PyTorch runs it, its views left out:

    RMSNorm     square, mean, reciprocal root, product, product with the weight       2 x 5
    attention   linear Q, K, V; rope of Q, of K; bmm, scale, softmax, bmm; linear O        10
    residual    add                                                                     2 x 1
    MLP         linear gate, linear up, SiLU, product, linear down                          5

The small constant under the root goes with the reciprocal root, the causal mask with the softmax,
and K and V are broadcast to the heads that share them by a view. Scores are written in full, as
eager attention does. The study prints 27 operators, and 88 with the backward pass, which are those of
`codesign.kitsune.backward`. It prints no length of its sequences: tokens and context are our choice.
One layer is one of 32 equal ones, embedding and head left out.
"""

from codesign.kitsune.builder import Builder
from codesign.kitsune.graph import Graph, Tensor

HIDDEN, HEADS, KV_HEADS, HEAD, FFN = 4096, 32, 8, 128, 14336


def llama3_8b_context(*, tokens: int = 2048, layers: int = 1) -> Graph:
    """A prompt of `tokens`, all in flight."""
    return _llama("llama3-8b-context", tokens, 0, layers)


def llama3_8b_token(*, context: int = 2048, layers: int = 1) -> Graph:
    """One token in flight, the last of `context`; the keys and values of those before are read from the cache."""
    return _llama("llama3-8b-token", 1, context - 1, layers)


def _llama(name: str, tokens: int, cached: int, layers: int) -> Graph:
    g = Builder(name)
    x = first = g.input("x", (tokens, HIDDEN))
    for number in range(layers):
        prefix = f"layer{number}_" if layers > 1 else ""
        x = _layer(g, x, tokens, cached, prefix)
    return g.graph(differentiable=(first.name,))


def _layer(g: Builder, x: Tensor, tokens: int, cached: int, p: str) -> Tensor:
    h = _rmsnorm(g, x, f"{p}attention_norm")
    q, k, v = (g.linear(h, width, bias=False, name=f"{p}{name}")
               for name, width in (("q", HEADS * HEAD), ("k", KV_HEADS * HEAD), ("v", KV_HEADS * HEAD)))  # fmt: skip
    q, k = g.rope(q, name=f"{p}q_rope"), g.rope(k, name=f"{p}k_rope")
    h = _attention(g, q, k, v, tokens, cached, p)
    x = g.add(x, g.linear(h, HIDDEN, bias=False, name=f"{p}o"), name=f"{p}attention_residual")
    h = _rmsnorm(g, x, f"{p}mlp_norm")
    gate = g.silu(g.linear(h, FFN, bias=False, name=f"{p}gate"), name=f"{p}silu")
    h = g.mul(gate, g.linear(h, FFN, bias=False, name=f"{p}up"), name=f"{p}gated")
    return g.add(x, g.linear(h, HIDDEN, bias=False, name=f"{p}down"), name=f"{p}mlp_residual")


def _rmsnorm(g: Builder, x: Tensor, name: str) -> Tensor:
    power = g.mean(g.pointwise(x, "square", name=f"{name}_square"), name=f"{name}_mean")
    scaled = g.mul(x, g.pointwise(power, "rsqrt", name=f"{name}_rsqrt"), name=f"{name}_product")
    return g.mul(scaled, name=name)


def _attention(g: Builder, q: Tensor, k: Tensor, v: Tensor, tokens: int, cached: int, p: str) -> Tensor:
    """Scores of every token with every token of the context; keys and values of `cached` ones are inputs."""
    context = tokens + cached
    caches = [[g.input(f"{p}{name}_cache", (cached, KV_HEADS * HEAD))] if cached else [] for name in ("k", "v")]
    scores_flop = 2 * tokens * context * HEADS * HEAD
    # views: heads first, keys and values broadcast to the heads that share them
    queries = Tensor(q.name, (HEADS, tokens, HEAD))
    keys, values = (Tensor(t.name, (HEADS, tokens, HEAD)) for t in (k, v))
    scores = g.add_operator("bmm", [queries, keys, *caches[0]], (HEADS, tokens, context), flop=scores_flop,
                            name=f"{p}scores")  # fmt: skip
    weights = g.softmax(g.pointwise(scores, "scale", name=f"{p}scaled"), name=f"{p}weights")
    mixed = g.add_operator("bmm", [weights, values, *caches[1]], (HEADS, tokens, HEAD), flop=scores_flop,
                           name=f"{p}mixed")  # fmt: skip
    return g.view(mixed, (tokens, HEADS * HEAD))
