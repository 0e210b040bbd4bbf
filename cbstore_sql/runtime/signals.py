"""Telling apart what interrupted code raised from what a signal handler raised into it.

A signal handler runs between two instructions of the main thread, wherever that thread is: in a store, in a listener,
in a report. What it raises (a task queue's soft time limit, for example) is meant for the interrupted program. Code
that catches ``Exception`` around a store or a listener must therefore let it pass: call `reraise_from_signal` first.
"""

from __future__ import annotations

import threading
from functools import partial
from types import CodeType, TracebackType
from typing import Any


def reraise_from_signal(error: BaseException) -> None:
    """Raise an exception again if a signal handler raised it; otherwise do nothing.

    Args:
        error: A caught exception. Its traceback shows the frame of the handler.
    """
    if raised_by_signal(error):
        raise error


def raised_by_signal(error: BaseException) -> bool:
    """Return whether one of the signal handlers now installed raised an exception."""
    # Python runs signal handlers in the main thread only.
    if threading.current_thread() is not threading.main_thread():
        return False
    codes = _codes_of_handlers()
    traceback: TracebackType | None = error.__traceback__ if codes else None
    while traceback is not None:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _codes_of_handlers() -> set[CodeType]:
    import signal  # the breaker's import would pay for it

    found = (_code(signal.getsignal(number)) for number in signal.valid_signals())
    return {code for code in found if code is not None}


def _code(handler: Any) -> CodeType | None:
    """Return the code of a handler written in Python: a function, a method, a partial or a callable object."""
    while isinstance(handler, partial):
        handler = handler.func
    code = getattr(handler, "__code__", None) or getattr(getattr(handler, "__call__", None), "__code__", None)  # noqa: B004
    return code if isinstance(code, CodeType) else None
