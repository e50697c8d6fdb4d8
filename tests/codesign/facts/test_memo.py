"""Results are kept by the identity of things, by the value of numbers and texts, and no more of them than told."""

import pytest

from codesign.facts.memo import by_identity


def counted(most: int = 2):
    calls: list[tuple[object, ...]] = []

    @by_identity(most)
    def called(*args: object) -> int:
        calls.append(args)
        return len(calls)

    return called, calls


def test_the_same_thing_is_asked_for_once_and_an_equal_one_again() -> None:
    called, _ = counted()
    one, other = {"a": 1}, {"a": 1}
    assert [called(one), called(one), called(other), called(one)] == [1, 1, 2, 1]


def test_numbers_and_texts_are_known_by_value_and_kind() -> None:
    called, calls = counted(9)
    assert called(1000, "ab", 2.5) == called(int("1000"), "".join("ab"), float("2.5")) == 1
    assert [called(1), called(1.0), called(True)] == [2, 3, 4]
    assert calls[1:] == [(1,), (1.0,), (True,)]


def test_the_oldest_goes_first() -> None:
    called, calls = counted(2)
    for number in (1, 2, 3, 2, 3, 1):
        called(number)
    assert calls == [(1,), (2,), (3,), (1,)]


def test_an_error_is_raised_each_time() -> None:
    called: list[int] = []

    @by_identity(2)
    def fails(number: int) -> int:
        called.append(number)
        raise ValueError(number)

    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            fails(1)
    assert called == [1, 1]
