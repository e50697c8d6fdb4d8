"""Sums over rows as stages: how many CTAs a sum may have, and what it takes to add its parts.

The gradient of a weight or a bias and a sum over samples are complete after the last row. A CTA owns a tile of
the output, `sum_tile` rows and columns of a product of matrices or as many columns of another sum, and keeps it
until then: unsplit, a sum has no more CTAs than tiles. Split in k parts, it has k CTAs for a tile, each with its
share of the rows. When the last row has passed, they add up in a tree of queues, as the study does for wide
reductions: in each of ceil(log2 k) levels half of the CTAs that are left hand their tile in FP32 to another one,

    level_s = sync + bytes of a tile / bandwidth of a queue + elements of a tile / FP32 rate of an SM

No queue of the stream is in use then, so the tree takes no room of L2 beside them. In the study's zero-latency
model queues cost nothing, and parts are added for nothing.
"""

import math

from codesign.kitsune.graph import Operator
from codesign.kitsune.times import Times

ACCUMULATOR = 4  # B of an element in FP32
FP32_SHARE = 0.25  # of the SIMT peak in FP16: 19.5 of 78 TFLOP/s on A100


def tiles(times: Times, op: Operator) -> int:
    """CTAs that an unsplit sum may have."""
    *batch, rows, columns = _shape(op)
    edge = times.assumed.sum_tile
    return math.prod(batch) * math.ceil(rows / edge) * math.ceil(columns / edge)


def _shape(op: Operator) -> tuple[int, ...]:
    return op.output.shape if op.pipe == "tensor" else (1, op.output.elements)


def parts(times: Times, op: Operator, ctas: int) -> int:
    """Into how many a sum with so many CTAs is split; 1: it is not, or it is no sum."""
    return math.ceil(ctas / tiles(times, op)) if op.reduces else 1


def levels(times: Times, op: Operator, ctas: int) -> int:
    """Levels of the tree with so many CTAs; 0: nothing is split."""
    return (parts(times, op, ctas) - 1).bit_length()


def level_s(times: Times, op: Operator, *, queued: bool = True) -> float:
    """Seconds of one level; without `queued` the arithmetic alone."""
    gpu, edge = times.gpu, times.assumed.sum_tile
    if not times.assumed.latency:
        return 0.0
    elements = math.prod(min(size, edge) for size in _shape(op)[-2:])
    adding = elements / (gpu.simt * FP32_SHARE * times.assumed.stream_share / gpu.sms)
    return adding + (gpu.queue_sync + elements * ACCUMULATOR / gpu.queue_bandwidth) * queued


def adding_s(times: Times, i: int, ctas: int, *, queued: bool = True) -> float:
    """Seconds that operator i takes to add its parts with so many CTAs; 0 where it is no sum."""
    op = times.graph.operators[i]
    return levels(times, op, ctas) * level_s(times, op, queued=queued) if op.reduces else 0.0


def most_ctas(times: Times, i: int, ctas: int) -> int:
    """CTAs that operator i may have with as many levels as so many CTAs ask for."""
    op, sms = times.graph.operators[i], times.gpu.sms
    return min(sms, tiles(times, op) << levels(times, op, ctas)) if op.reduces else sms


def steps(times: Times, i: int) -> list[tuple[int | None, float]]:
    """(most CTAs, s to add) of every depth of the tree that operator i may have; None: as many as SMs."""
    op = times.graph.operators[i]
    if not op.reduces:
        return [(None, 0.0)]
    unsplit, found = tiles(times, op), list[tuple[int | None, float]]()
    while not found or (found[-1][0] or 0) < times.gpu.sms:
        most = unsplit << len(found)
        found.append((most, adding_s(times, i, most)))
    return found
