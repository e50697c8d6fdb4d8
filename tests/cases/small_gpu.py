"""Graphs for tests of Kitsune: a small MLP, and layered graphs by seed with joins and multicast."""

import numpy as np

from codesign.kitsune.builder import Builder
from codesign.kitsune.graph import Graph


def mlp(rows: int = 65536, width: int = 256, layers: int = 3) -> Graph:
    g = Builder("mlp")
    x = g.input("x", (rows, width))
    for _ in range(layers):
        x = g.relu(g.linear(x, width))
    return g.graph()


def generated(seed: int) -> Graph:
    """Four to twelve operators of one width, each fed by one or two before it, all in one piece."""
    rng = np.random.default_rng(seed)
    g = Builder(f"generated-{seed}")
    width = int(rng.choice([64, 128, 256]))
    made = [g.relu(g.input("x", (int(rng.integers(1, 40)) * 1024, width)))]
    for _ in range(int(rng.integers(3, 12))):
        pick = rng.choice(len(made), size=min(len(made), 2), replace=False)
        kind = rng.choice(["linear", "relu", "add", "layernorm"])
        first = made[int(pick[0])]
        if kind == "linear":
            made.append(g.linear(first, width))
        elif kind == "add" and len(pick) == 2:
            made.append(g.add(first, made[int(pick[1])]))
        else:
            made.append(g.relu(first) if kind == "relu" else g.layernorm(first))
    return g.graph()
