"""Parts of a model's record: shapes of latent and linear attention and of experts, and the published count."""

from typing import Literal

from pydantic import Field

from codesign.facts.fact import Table


class MlaShape(Table):
    """Multi-head latent attention."""

    q_rank: int = Field(gt=0, le=10**7)
    kv_rank: int = Field(gt=0, le=10**7)
    nope_dim: int = Field(gt=0, le=10**7)
    rope_dim: int = Field(gt=0, le=10**7)
    v_dim: int = Field(gt=0, le=10**7)


class LinearShape(Table):
    """Linear attention by the gated delta rule: a state of key_dim x value_dim for each value head, no cache."""

    key_heads: int = Field(gt=0, le=10**7)
    value_heads: int = Field(gt=0, le=10**7)           # each key head serves value_heads / key_heads of them
    key_dim: int = Field(gt=0, le=10**7)
    value_dim: int = Field(gt=0, le=10**7)
    kernel: int = Field(gt=0, le=10**7)                # tokens that the convolution over queries, keys and values spans
    state: Literal["fp32", "bf16"]           # what engines keep the state in


class ExpertShape(Table):
    """The mixture-of-experts layers of a model."""

    experts: int = Field(gt=1)
    top_k: int = Field(gt=0, le=10**7)
    ffn: int = Field(gt=0, le=10**7)
    shared_ffn: int = Field(ge=0, le=10**7)            # width of all shared experts together
    first_dense: int = Field(ge=0, le=10**7)           # layers before the first with experts
    every: int = Field(ge=1)                 # 2: every second layer has experts


class PublishedCount(Table):
    """A parameter count as its publisher prints it, and why ours may differ."""

    total: str                               # "405B", "30.5B": compared to its own digits
    active: str | None = None
    source: str
    difference: str = ""                     # cause, where the printed digits differ from ours
