"""Fleets by hand, in exact numbers: none that an answer calls the cheapest may cost more than one of these.

Kinds are filled one after the other, in every order of a few, each up to its supply; a bucket goes on to the next kind
with what is left of it. Nothing here knows the program, its tolerances or its reasons to leave pairs out.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from codesign.mix.question import Mix, decimal

EVERY_ORDER = 4  # kinds: up to so many, all orders are tried; of more, those that begin with each kind


def cheapest(mix: Mix) -> tuple[Fraction, dict[str, int]] | None:
    """$/h and replicas by name of the cheapest fleet found by hand; None: none was found, which proves nothing."""
    found = (fleet for order in _orders(mix) if (fleet := _filled(mix, order)) is not None)
    counts = min(found, key=lambda fleet: _cost(mix, fleet), default=None)
    if counts is None:
        return None
    return _cost(mix, counts), {mix.kinds[g].name: n for g, n in enumerate(counts) if n}


def _cost(mix: Mix, counts: Sequence[int]) -> Fraction:
    return sum((n * decimal(kind.price) for n, kind in zip(counts, mix.kinds, strict=True)), Fraction(0))


def _orders(mix: Mix) -> Iterator[tuple[int, ...]]:
    """None twice: kinds in order, dearer ones last, and each moved to the front."""
    kinds = sorted(range(len(mix.kinds)), key=lambda g: mix.kinds[g].price)
    if len(kinds) <= EVERY_ORDER:
        yield from itertools.permutations(kinds)
        return
    yield from ((g, *(h for h in kinds if h != g)) for g in kinds)


def _filled(mix: Mix, order: Sequence[int]) -> list[int] | None:
    """Whole replicas of each kind; None where something is left over."""
    carried = [Fraction(0)] * len(mix.kinds)
    for b, bucket in enumerate(mix.buckets):
        left = Fraction(bucket.slices if bucket.rate > 0 else 0)
        for g in order:
            if not left or (b, g) not in mix.served:
                continue
            one, supply = bucket.rate / bucket.slices / decimal(mix.served[b, g]), mix.kinds[g].available
            most = left if supply is None else min(left, (supply - carried[g]) / one)
            taken = most if mix.fractional else Fraction(math.floor(most))
            carried[g] += taken * one
            left -= taken
        if left:
            return None
    return [math.ceil(load) for load in carried]
