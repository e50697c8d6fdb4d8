"""Points in this process, one at a time."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from codesign.study.work import Attempt, Maker, Solve, attempt, made


class Here:
    """`work.Workers` without any: a point is solved when its answer is collected."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._solve: Solve | None = None
        self._held: tuple[int, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._held = None

    @property
    def room(self) -> bool:
        """Whether no point is held."""
        return self._held is None

    @property
    def busy(self) -> bool:
        """Whether a point is held."""
        return self._held is not None

    def submit(self, number: int, point: Any) -> None:
        """Hold a point."""
        self._held = number, point

    def collect(self) -> Iterator[tuple[int, Attempt]]:
        """Solve it."""
        if self._held is not None:
            self._solve = self._solve or made(self._maker)
            (number, point), self._held = self._held, None
            yield number, attempt(self._solve, point)
