"""A solver's call that Ctrl-C ends: Python hears signals in its main thread only, and only between its own steps."""

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
EACH_S = 0.05  # between looks; `stop` again at each, since the first may come before the search has begun


def interruptible(solve: Callable[[], T], stop: Callable[[], None]) -> T:
    """What `solve` returns; it runs in a thread of its own while the main one waits and hears.

    After Ctrl-C `stop` is called until the search has ended, and then what hears Ctrl-C outside is told, as a rule
    by KeyboardInterrupt: nothing of the solver runs on. Where nobody hears it, and in a thread, which hears no
    signals, it is `solve` alone.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        return solve()
    found: list[T] = []
    failed: list[BaseException] = []
    heard: list[int] = []
    ended = threading.Event()

    def work() -> None:
        try:
            found.append(solve())
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()

    # not by the exception, which may come anywhere: in `start`, or in `join`, which then takes the thread for dead
    signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while not ended.wait(EACH_S):
            if heard:
                stop()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        before(signal.SIGINT, None)
    if failed:
        raise failed[0]
    return found[0]
