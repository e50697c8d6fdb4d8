"""Hypothesis in CI repeats itself: derandomised; nowhere does a test fail for being slow. Files are parsed once."""

import os
import signal
import threading
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import settings

from codesign.facts import catalog
from tests.cases.command import PARSED

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session", autouse=True)
def _parsed_once() -> Iterator[None]:
    """Every text of a TOML file is parsed once; what is made of it is checked each time."""
    with patch.object(catalog, "toml_of", PARSED):
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Where tests run in the background of a shell, it is ignored from the start."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
