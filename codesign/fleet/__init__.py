"""A fleet for many workloads over several periods: its plan, what can serve it, what it costs, and its audit."""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """This package has the name of the question that it answers, and importing it takes the name in `codesign`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """`codesign.fleet(...)`."""
        return sys.modules["codesign"]._fleet(*args, **options)


sys.modules[__name__].__class__ = _Room
