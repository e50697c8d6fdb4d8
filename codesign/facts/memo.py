"""What was made of things that never change is kept: it is asked for again in every scenario of a study."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def by_identity(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep the last `most` results of a function; an argument is known again by identity, numbers and text by value.

    Records, chips and models are immutable but too large to hash at each call, or hold dicts and cannot be. An equal
    but other one is only computed anew.
    """

    def kept(function: Callable[P, T]) -> Callable[P, T]:
        known: dict[object, tuple[object, T]] = {}

        @wraps(function)
        def found(*args: P.args, **named: P.kwargs) -> T:
            key = (*map(_known_by, args), *map(_known_by, named.values()), *named)
            hit = known.get(key)
            if hit is None:
                if len(known) >= most:
                    del known[next(iter(known))]
                hit = known[key] = ((args, named), function(*args, **named))  # held, so that an id stays theirs
            return hit[1]

        return found

    return kept


def _known_by(argument: object) -> object:
    kind = type(argument)
    if kind is int or kind is str:
        return argument
    return (argument,) if kind is float else id(argument)  # 1.0 is not the whole number 1
