"""How merits move along a number of the catalogue or the query: what the bounds of `envelope` may rest on.

Along every number of the catalogue but those named here each chip's times, room, bill and each limit only rise or
only fall (more bandwidth never slows a step, a dearer wafer never makes a chip cheaper). Along chips of a
scale-up domain and chips of a server they need not: a group that leaves the domain changes its link.
"""

from collections.abc import Sequence

import numpy as np

from codesign.facts.catalog import Catalog, split_path
from codesign.facts.records import DieRecord, MemoryRecord, ModelRecord
from codesign.physics.experts import rises
from codesign.study.envelope import Shape
from codesign.study.line import Sample
from codesign.study.parameters import Parameter
from codesign.system.layouts import Space
from codesign.system.query import Query
from codesign.system.spaces import AnySpace

UP_AND_DOWN = ("connections.domain", "chips")  # the last: of a server
NOT_CONVEX = ("harvest", "defect_density", "clustering", "die_area", "cost_of_money", "depreciation", "facility_life")
# yields and annuities: no sums of powers of the number


def up_and_down(one: Parameter, query: Query) -> bool:
    """Whether merits may rise and fall along the number, so that each of its values must be looked at."""
    if one.asked:  # an engine's traffic: prompts and outputs share a context, and steps
        return query.mode == "achieved" and (one.path == "context" or one.path.startswith("serving."))
    folder, _, key = one.path.partition(".")
    return key.endswith(UP_AND_DOWN[0]) or (folder == "servers" and one.path.rpartition(".")[2] == UP_AND_DOWN[1])


def shape(
    moved: Sequence[Parameter], low: Sample, high: Sample, space: AnySpace, at: tuple[float, ...] = ()
) -> Shape:
    """What the bounds may use along these numbers, from the samples at both ends of the range; `at`: its kinks."""
    times = low.case.space is not high.case.space
    bills = [offer.bill for offer in low.case.offers] != [offer.bill for offer in high.case.offers]
    bills |= low.case.query.limits != high.case.query.limits
    convex = not _peaked(space) and not any(one.path.rpartition(".")[2] in NOT_CONVEX for one in moved)
    return Shape(whole=any(one.whole for one in moved), both=times and bills, convex=convex, kinks=at)


def _peaked(space: AnySpace) -> bool:
    """Whether a smaller batch may be the best of a layout: then another batch may rule between two values."""
    if not isinstance(space, Space):
        return True
    moe = next((layer for layer in space.model.layers if layer.experts), None)
    degrees = np.unique(space.experts).tolist()
    return moe is not None and any(rises(moe.experts, moe.top_k, degree) for degree in degrees)


def kinks(catalog: Catalog, query: Query, one: Parameter) -> tuple[float, ...]:
    """Where the least of two numbers changes sides: a stack's bandwidth and a die's pins, a context and a window."""
    if one.asked:
        window = catalog.get(ModelRecord, query.model).window
        return () if window is None or one.path != "context" else (float(window),)
    folder, name, key = split_path(one.path, catalog.records)
    dies, memories = catalog.all(DieRecord), catalog.all(MemoryRecord)
    pairs = [(d.pin_rate.si, m.bandwidth.si, m.bus_width.si) for d in dies for m in memories
             if m.bandwidth is not None and m.bus_width is not None and m.kind in d.interfaces
             and name == (m.name if folder == "memory" else d.name)]  # fmt: skip
    if folder == "memory" and key in ("bandwidth", "bus_width"):
        return tuple(pin * width if key == "bandwidth" else bandwidth / pin for pin, bandwidth, width in pairs)
    if folder == "dies" and key == "pin_rate":
        return tuple(bandwidth / width for _, bandwidth, width in pairs)
    return ()
