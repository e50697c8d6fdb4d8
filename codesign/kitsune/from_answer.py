"""One transformer layer at the sizes of a `codesign best` answer: a decode step of one chip.

Every user of the batch sends one token, the last of the context; keys and values before it come from the
cache. A chip has 1/tensor of the heads and of the feed-forward width, at least one KV head. Norms and the
product of the gate are operators; scores are written in full. Weights and cache have the bytes of their
precision, activations two; the GPU's peaks are those of FP16 whatever the weights. Collectives between
chips, embedding and head are left out.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from codesign.facts.catalog import Catalog, faults_of
from codesign.facts.errors import DataError
from codesign.facts.reading import json_file
from codesign.facts.records import ModelRecord
from codesign.kitsune.builder import Builder
from codesign.kitsune.graph import Graph, Tensor
from codesign.system.answer import Answer

WEIGHT_BITS = {"bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4, "mxfp4": 4, "int4": 4}
CACHE_BYTES = {"bf16": 2, "fp16": 2, "fp8": 1, "int8": 1}


@dataclass(frozen=True)
class Sizes:
    """What one chip has of a layer, and how many users and tokens it serves."""

    batch: int
    context: int
    heads: int
    kv_heads: int
    ffn: int
    weight_bits: int
    cache_bytes: int


def layer_of(path: Path, catalog: Catalog) -> Graph:
    """The layer of a recorded answer; DataError names what is wrong with the file or not supported."""
    answer = _read(path)
    system, name = answer.system, str(answer.query.get("model"))
    if system is None:
        raise DataError(f"{path}: the answer has no system (status {answer.status}), so no sizes")
    model = catalog.get(ModelRecord, name)
    if missing := _unsupported(model):
        raise DataError(f"{path}: {name} has {', '.join(missing)}; a layer is built for grouped-query attention "
                        "and a dense feed-forward layer only")  # fmt: skip
    faults = [f"data = {system.data}: attention of a chip by data parallelism is not built"] if system.data > 1 else []
    faults += [f"tensor = {system.tensor} does not divide {what} = {number}"
               for what, number in (("heads", model.heads), ("dense_ffn", model.dense_ffn or 0))
               if number % system.tensor]  # fmt: skip
    faults += [f"assume {key!r}: a changed model is not supported" for key in answer.query.get("assume") or {}
               if key.partition(".")[0] in ("model", "models")]  # fmt: skip
    faults += [f"{what} = {key!r} is not known; known: {', '.join(known)}"
               for what, key, known in (("weights", system.weights, WEIGHT_BITS), ("kv", system.kv, CACHE_BYTES))
               if key not in known]  # fmt: skip
    context = answer.query.get("context")
    if not isinstance(context, int) or isinstance(context, bool) or context < 2:
        faults.append(f"context = {context!r} must be a whole number of 2 and more")
    if faults:
        raise DataError("\n".join(f"{path}: {fault}" for fault in faults))
    sizes = Sizes(system.batch, int(context or 0), model.heads // system.tensor,
                  max(1, (model.kv_heads or 0) // system.tensor), (model.dense_ffn or 0) // system.tensor,
                  WEIGHT_BITS[system.weights], CACHE_BYTES[system.kv])  # fmt: skip
    told = (f"one layer of {name}, one decode step of {system.batch} users at {context} tokens, tensor degree "
            f"{system.tensor}, weights {system.weights}, cache {system.kv}; the answer's chip is {system.chip}",
            "collectives between chips, embedding and head are left out")  # fmt: skip
    return _Layer(model, sizes).graph(f"{name}-tp{system.tensor}-batch{system.batch}", told)


def _read(path: Path) -> Answer:
    try:
        return Answer.model_validate(json_file(path))
    except ValidationError as error:
        faults = faults_of(error, str(path), Answer)
        rest = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise DataError("; ".join(faults[:3]) + rest + "; expected an answer of `codesign best --json`") from error


def _unsupported(model: ModelRecord) -> list[str]:
    """What the shape of a model has that no operator here stands for."""
    marks = {
        "latent attention (MLA)": model.mla, "experts (MoE)": model.experts, "linear attention": model.linear,
        "windowed attention": model.window, "an attention gate": model.output_gate, "attention sinks": model.sinks,
        "an indexer": model.indexer, f"{model.norms} norms a layer": model.norms != 2,
    }  # fmt: skip
    return [name for name, there in marks.items() if there]


class _Layer:
    """A layer by the builder's rules."""

    def __init__(self, model: ModelRecord, sizes: Sizes) -> None:
        self.model, self.sizes, self.head = model, sizes, model.head_dim or 0

    def graph(self, name: str, notes: tuple[str, ...]) -> Graph:
        g, hidden = Builder(name), self.model.hidden
        g.notes += notes
        x = g.input("x", (self.sizes.batch, hidden))
        mixed = self.attention(g, g.rmsnorm(x, name="attention_norm"))
        x = g.add(x, self.linear(g, mixed, hidden, "o", bias=self.model.output_bias), name="attention_residual")
        h = g.rmsnorm(x, name="mlp_norm")
        active = g.silu(self.linear(g, h, self.sizes.ffn, "up" if self.model.ffn_matrices == 2 else "gate"),
                        name="silu")  # fmt: skip
        if self.model.ffn_matrices == 3:
            active = g.mul(active, self.linear(g, h, self.sizes.ffn, "up"), name="gated")
        g.add(x, self.linear(g, active, hidden, "down"), name="mlp_residual")
        return g.graph()

    def linear(self, g: Builder, x: Tensor, width: int, name: str, *, bias: bool = False) -> Tensor:
        """A product with weights of their own precision."""
        weights = -(-x.shape[-1] * width * self.sizes.weight_bits // 8) + (2 * width if bias else 0)
        return g.add_operator("linear", [x], (*x.shape[:-1], width), name=name, flop=2 * x.elements * width,
                              weights=weights, detail="" if bias else "no bias")  # fmt: skip

    def attention(self, g: Builder, h: Tensor) -> Tensor:
        """One query of each user and head over all keys and values of the user."""
        s, bias = self.sizes, self.model.qkv_bias
        q, k, v = (self.linear(g, h, n * self.head, name, bias=bias)
                   for name, n in (("q", s.heads), ("k", s.kv_heads), ("v", s.kv_heads)))  # fmt: skip
        if self.model.qk_norm != "none":
            q, k = g.rmsnorm(q, name="q_norm"), g.rmsnorm(k, name="k_norm")
        q, k = g.rope(q, name="q_rope"), g.rope(k, name="k_rope")
        kept = (s.batch, s.context - 1, s.kv_heads * self.head)
        caches = [g.input(f"{name}_cache", kept, bytes_per_element=s.cache_bytes) for name in ("k", "v")]
        flop, cached = 2 * s.batch * s.heads * s.context * self.head, s.batch * s.kv_heads
        queries = (cached, s.heads // s.kv_heads, self.head)  # a view: the heads that share keys are its rows
        scores = g.add_operator("bmm", [Tensor(q.name, queries), k, caches[0]], (*queries[:2], s.context),
                                flop=flop, rows=s.batch, name="scores")  # fmt: skip
        weights = g.softmax(g.pointwise(scores, "scale", name="scaled"), name="weights")
        mixed = g.add_operator("bmm", [weights, v, caches[1]], queries, flop=flop, rows=s.batch, name="mixed")
        return g.view(mixed, (s.batch, s.heads * self.head))
