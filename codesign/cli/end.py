"""How a command ends: every error as one message with its exit code, and an output that nobody reads any more.

As in `codesign.cli`, first-party imports that cost time are inside the functions.
"""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from codesign.facts.errors import CodesignError, DataError, UndecidedError
from codesign.facts.exits import Exit

DEBUG = "--debug"
INTERRUPTED = "interrupted; nothing was left half-written"


class _NobodyReads(Exception):
    """Standard output is closed: `codesign best | head -1` has what it wanted."""


class _NotWritten(DataError):
    """Standard output cannot be written: a full device."""


class _Output:
    """Standard output whose failures are errors of ours: the libraries that write to it end with 1 instead."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As of the stream."""
        with _told():
            return self._stream.write(text)

    def flush(self) -> None:
        """As of the stream."""
        with _told():
            self._stream.flush()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise _NobodyReads from error
        raise _NotWritten(f"standard output cannot be written: {error.strerror}") from error


def ended(command: Callable[[Sequence[str]], Any], args: Sequence[str]) -> int:
    """Run `command(args)`, which ends by SystemExit; its exit code. Errors are one message on standard error.

    --debug may stand anywhere among `args` and adds the trace.
    """
    stream, debug = sys.stdout, DEBUG in args
    output: Any = _Output(stream)
    sys.stdout = output
    try:
        return _code(command, [arg for arg in args if arg != DEBUG])
    except _NobodyReads:
        _drop(stream)
        return Exit.ANSWERED
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception as error:
        if isinstance(error, _NotWritten):
            _drop(stream)
        if debug:
            traceback.print_exc()
        code, text = said(error)
        print(f"error: {text}", file=sys.stderr)
        return code
    finally:
        sys.stdout = stream


def _code(command: Callable[[Sequence[str]], Any], args: Sequence[str]) -> int:
    """The command's own exit code, once all that it wrote is out."""
    try:
        command(args)
        code = Exit.ANSWERED
    except SystemExit as end:
        code = Exit(end.code or 0) if end.code in list(Exit) else Exit.FAULT
    sys.stdout.flush()
    if code is Exit.INTERRUPTED:  # typer turns Ctrl-C into this
        print(INTERRUPTED, file=sys.stderr)
    return code


def said(error: Exception) -> tuple[Exit, str]:
    """Exit code and message: of bad input, of a place that the machine refuses, of a fault."""
    if isinstance(error, CodesignError):
        ends = ((DataError, Exit.BAD_INPUT), (UndecidedError, Exit.UNDECIDED), (CodesignError, Exit.FAULT))
        return next(code for kind, code in ends if isinstance(error, kind)), str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return Exit.BAD_INPUT, f"{_short(str(error.filename))}: {error.strerror}"
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return Exit.FAULT, f"{_short(told)} (a fault of codesign; {DEBUG} shows where)"


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _drop(stream: TextIO) -> None:
    """What is still unwritten goes nowhere: the interpreter would try once more at its end, and complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream of a test has no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
