"""A chip with a user's own measured collectives in place of the fitted curves of its links."""

from dataclasses import replace
from functools import reduce

from codesign.facts.collective_table import Collective, MeasuredTable
from codesign.physics.collectives import Curve, lower
from codesign.physics.hardware import Chip, Link


def with_table(chip: Chip, table: MeasuredTable) -> Chip:
    """The chip with the table's times on its links, as they are: bandwidths of the chip do not stretch them.

    A fitted curve of the same link and op for a smaller group is lowered where it exceeds what the table says of a
    larger one, so that the table's times stand: times never fall with the group.
    """
    up = _measured(chip.scale_up, table, chip.scale_up_bandwidth)
    return replace(chip, scale_up=up, scale_out=_measured(chip.scale_out, table, chip.scale_out_bandwidth))


def _measured(link: Link | None, table: MeasuredTable, bandwidth: float | None) -> Link | None:
    if link is None or link.name not in table.links:
        return link
    own = table.links[link.name]
    named = {(one.op, one.group) for one in own}
    kept = [_lowered(one, own, bandwidth) for one in link.collectives if (one.op, one.group) not in named]
    return replace(link, collectives=(*kept, *own))


def _lowered(fitted: Collective, own: tuple[Collective, ...], bandwidth: float | None) -> Collective:
    """A fitted curve below those that the user measured on larger groups, at this chip's bandwidth."""
    larger = [Curve(one.nbytes, one.seconds) for one in own if one.op == fitted.op and one.group > fitted.group]
    if not larger or bandwidth is None:
        return fitted
    here = Curve(fitted.nbytes, fitted.seconds).stretched(bandwidth / (fitted.bandwidth or bandwidth))
    least = reduce(lower, larger, here)
    return replace(fitted, nbytes=least.nbytes, seconds=least.value_s, bandwidth=None,
                   basis=f"{fitted.basis}; lowered to the user's table on larger groups")  # fmt: skip
