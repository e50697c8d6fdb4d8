"""Small models and chips with round numbers for the tests of step times."""

from codesign.physics.hardware import Chip, Link
from codesign.physics.workload import Layer, Model

LAYER = Layer(
    sharded=100, kv_sharded=16, replicated=8, experts=0, top_k=0, expert=0, kv_elements=8, state_bytes=0,
    window=None, attention_flop=16, vector_flop=50, vector_flop_per_context=20, kernels=9,
)  # fmt: skip


def small(*layers: Layer, tied: bool = False, kv_heads: int | None = 2) -> Model:
    """Hidden 4, vocabulary 10: embedding and head are 40 weights each, the final norm 4."""
    return Model(
        name="small", title="small", layers=layers, hidden=4, vocab=10, heads=8, kv_heads=kv_heads,
        tied_embedding=tied, context=1 << 20, native="fp8",
    )  # fmt: skip


CHIP = Chip(
    name="toy", title="toy", vendor="toy", status="study", memory="hbm3", family="hbm3", stacks=None,
    raw_bytes=None, usable_bytes=10_000.0, bandwidth=1000.0, peak={"fp8": 1e6, "bf16": 5e5}, vector=1e5,
    power_w=None,
    scale_up=Link("up", ((2, 0.5), (8, 1.0)), hop_s=0.25), scale_up_bandwidth=400.0, domain=4,
    scale_out=Link("out", ((16, 3.0),), hop_s=2.0), scale_out_bandwidth=100.0,
    server=None, price_usd=None, cost_usd=None, hyperscaler_usd_h=None, rent_usd_h=None, available=None,
)  # fmt: skip
