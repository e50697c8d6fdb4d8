"""Measured tables, demands and published instances of our own for the mix of replicas."""

import os
import random
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLES = Path(os.environ.get("CODESIGN_GPU_MIX", ROOT.parent / "shared" / "facts" / "gpu_mix_examples.json"))

TABLE = """\
chip,layout,bucket,speed,requests_per_s,dollars_per_hour,available
small,,short,20,3.0,0.70,
small,,long,20,0.2,0.70,
small,,short,40,1.0,0.70,
middle,tp1,short,40,12,3.67,4
middle,tp1,long,40,2.2,3.67,4
large,tp2,short,60,40,12.4,
large,tp2,long,60,9,12.4,
"""
DEMAND = """\
requests_per_s = 25
slices = 4

[[bucket]]
name = "short"
share = 0.8

[[bucket]]
name = "long"
share = 0.2
speed = "30 tokens/s"
"""


def published(
    seed: int = 0, *, size: int = 6, slices: int = 4, rate: float = 16.0, kinds: int = 4, spread: float = 0.2
) -> dict[str, Any]:
    """An instance in the published form: longer requests are slower, larger kinds dearer, each a little odd."""
    draw = random.Random(seed)
    weights = [[draw.random() ** 2 for _ in range(size)] for _ in range(size)]
    total = sum(map(sum, weights))
    info = {}
    for k in range(kinds):
        base = draw.uniform(20, 40) * 1.6**k
        rates = [[round(base * (1 + 0.12 * k) ** ((i + j) / 2) * draw.uniform(1 - spread, 1 + spread)
                        / (1 + 0.5 * (i + 1) ** 1.6 * (j + 1) ** 2.0), 4)
                  for j in range(size)] for i in range(size)]  # fmt: skip
        info[f"kind{k}"] = {"cost": round(0.7 * 1.9**k * draw.uniform(0.85, 1.15), 2), "tputs": rates}
    return {
        "name": f"own_{size}x{size}_kinds{kinds}_rate{rate:g}_sf{slices}_seed{seed}", "total_request_rate": rate,
        "slice_factor": slices, "workload_distribution": [[w / total for w in row] for row in weights],
        "gpu_info": info,
    }  # fmt: skip
