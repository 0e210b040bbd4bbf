"""Exceptions that a signal handler raises into the code that the main thread is running."""

from __future__ import annotations

from types import FrameType


def from_signal_handler(error: BaseException) -> bool:
    """Return whether a signal handler raised an exception into the code that was running.

    A task queue stops a slow task with such an exception (Celery's ``SoftTimeLimitExceeded``). The exception is meant
    for the task. So library code that catches every ``Exception`` must raise this one again.

    The function looks into the traceback for a function that received the frame of the code below it as an argument.
    Python calls a signal handler in this way, and ordinary code does not.

    Args:
        error: The exception, with its traceback.

    Returns:
        ``True`` if a signal handler raised the exception. ``False`` if the interrupted code itself raised the
        exception.
    """
    entry = error.__traceback__
    interrupted: FrameType | None = None
    while entry is not None:
        frame = entry.tb_frame
        if interrupted is not None and _was_called_with(frame, interrupted):
            return True
        interrupted = frame
        entry = entry.tb_next
    return False


def _was_called_with(frame: FrameType, argument: object) -> bool:
    """Return whether an argument of the call that made a frame is a given object.

    Args:
        frame: The frame of the call.
        argument: The object.
    """
    code = frame.f_code
    named = code.co_argcount + code.co_kwonlyargcount
    collects = bool(code.co_flags & _HAS_VARARGS)
    if named + collects == 0:
        return False
    values = frame.f_locals
    for name in code.co_varnames[:named]:
        if values.get(name) is argument:
            return True
    rest = values.get(code.co_varnames[named]) if collects else None
    return isinstance(rest, tuple) and any(each is argument for each in rest)


# ``inspect.CO_VARARGS``: the function has a parameter such as ``*args``. Importing `inspect` takes milliseconds.
_HAS_VARARGS = 0x04
