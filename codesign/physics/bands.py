"""Error bands from runs left out, how honest they are, and whether layouts come out in the right order.

A band is the 10th and 90th percentile of measured over predicted time on runs left out, pooled over the splits, of
the engine where there are enough runs, else of all. It is honest if 80 % of runs that neither fit nor band has seen
lie inside: coverage takes each group's band from the other groups alone. Bands of an engine on one chip family are
narrower and not honest: of runs of a model left out, 69 % lay inside.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from codesign.physics.measured import Run
from codesign.physics.measurements import LeftOut

Array = np.ndarray[Any, np.dtype[np.float64]]
Band = tuple[float, float]
LEAST = 30          # runs that a group needs for a band of its own
DRAWS = 1000        # of the bootstrap over groups
DIFFERENT = 1.10    # measured times further apart than this must come out in the right order


def bands(ratios: Array, engines: Sequence[str], splits: int = 1) -> dict[str, Band]:
    """Bands of all and of each engine, from the ratios of its runs; `splits` is how often each run occurs."""
    known, names = np.isfinite(ratios), np.array(engines)
    found = {"all": _band(ratios[known])}
    for engine in sorted(set(engines)):
        at = known & (names == engine)
        if at.sum() >= LEAST * splits:
            found[engine] = _band(ratios[at])
    return found


def _band(ratios: Array) -> Band:
    low, high = np.quantile(ratios, [0.1, 0.9]) if len(ratios) else (0.5, 2.0)
    return float(low), float(high)


def band_of(found: Mapping[str, Band], engine: str) -> Band:
    """The band of the engine, or of all where it has none."""
    return found.get(engine, found["all"])


def coverage(
    splits: Mapping[str, LeftOut], engines: Sequence[str], *, first: bool = False
) -> dict[str, dict[str, float]]:
    """Share of left-out runs inside bands that know nothing of their group, by split, with a 90 % interval.

    The interval is a bootstrap over whole groups. `first`: of the time to first token.
    """
    ratios = [left.ttft_ratio if first else left.tpot_ratio for left in splits.values()]
    found = {}
    for split, left in splits.items():
        own, groups = (left.ttft_ratio if first else left.tpot_ratio), np.array(left.groups)
        inside, counts = [], []
        for group in sorted(set(left.groups)):
            here = groups == group
            others = np.concatenate([ratio[~here] for ratio in ratios])
            kept = [name for name, gone in zip(engines, here, strict=True) if not gone]
            table = bands(others, kept * len(ratios), len(ratios))
            limits = np.array([band_of(table, name) for name, mine in zip(engines, here, strict=True) if mine])
            known = np.isfinite(own[here])
            within = (own[here] >= limits[:, 0]) & (own[here] <= limits[:, 1]) & known
            inside.append(int(within.sum()))
            counts.append(int(known.sum()))
        found[split] = _interval(np.array(inside), np.array(counts))
    return found


def _interval(inside: Any, counts: Any) -> dict[str, float]:
    draws = np.random.default_rng(0).integers(len(counts), size=(DRAWS, len(counts)))
    totals = counts[draws].sum(axis=1)
    shares = inside[draws].sum(axis=1)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(shares, [0.05, 0.95]) if len(shares) else (float("nan"), float("nan"))
    return {"pooled": float(inside.sum() / max(counts.sum(), 1)), "low": float(low), "high": float(high)}


def ordering(runs: Sequence[Run], tpot_s: Array) -> tuple[int, int]:
    """Pairs of runs alike but in layout and clearly apart in time: how many come out in the right order, of how many.

    Alike in model, precision, chip, engine release, concurrency and both lengths; apart by more than 10 %.
    """
    alike = defaultdict(list)
    for i, run in enumerate(runs):
        alike[(run.model, run.deployment.weights, run.chip, run.engine, run.release, run.concurrency, run.prompt,
               run.output)].append(i)  # fmt: skip
    right = total = 0
    for positions in alike.values():
        for i, j in combinations(positions, 2):
            one, other = runs[i], runs[j]
            if (one.deployment, one.prefill, one.replicas, one.prefill_replicas) == (
                other.deployment, other.prefill, other.replicas, other.prefill_replicas,
            ):  # fmt: skip
                continue
            if max(one.tpot_s, other.tpot_s) > DIFFERENT * min(one.tpot_s, other.tpot_s):
                total += 1
                right += int((one.tpot_s < other.tpot_s) == bool(tpot_s[i] < tpot_s[j]))
    return right, total
