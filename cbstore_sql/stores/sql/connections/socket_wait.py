"""Objects that wait for one socket, with ``poll`` if the platform has ``poll``, otherwise with ``select``."""

from __future__ import annotations

import select
from math import ceil
from typing import Protocol

LONGEST_WAIT = 86_400.0
"""The longest time of one wait, seconds: ``poll`` counts milliseconds in 32 bits. A longer wait consists of several."""


class SocketWait(Protocol):
    """An object that waits until one socket is readable or writable."""

    def wait(self, seconds: float | None, *, write: bool) -> bool | None:
        """Wait until the socket is readable. If ``write`` is true, also return when the socket is writable.

        Args:
            seconds: The longest time to wait, seconds, at most `LONGEST_WAIT`; ``None`` means no limit, and 0 means
                that the method returns at once.
            write: Whether to return also when the socket is writable.

        Returns:
            ``True`` if the socket is readable or broken, ``False`` if it is only writable, and ``None`` if the time
            passed.
        """


class PollWait:
    """Waits with ``select.poll`` until one socket is readable or writable.

    Args:
        number: The file descriptor of the socket.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._poll = select.poll()
        self._readable = select.POLLIN | select.POLLHUP | select.POLLERR
        self._poll.register(number, self._readable)

    def wait(self, seconds: float | None, *, write: bool) -> bool | None:
        """Wait until the socket is readable. If ``write`` is true, also return when the socket is writable.

        Args:
            seconds: The longest time to wait, seconds, at most `LONGEST_WAIT`; ``None`` means no limit, and 0 means
                that the method returns at once.
            write: Whether to return also when the socket is writable.

        Returns:
            ``True`` if the socket is readable or broken, ``False`` if it is only writable, and ``None`` if the time
            passed.
        """
        if write:
            self._poll.modify(self._number, self._readable | select.POLLOUT)
        events = self._poll.poll(None if seconds is None else ceil(seconds * 1000.0))
        if write:
            self._poll.modify(self._number, self._readable)
        return bool(events[0][1] & self._readable) if events else None


class SelectWait:
    """Waits with ``select.select`` until one socket is readable or writable.

    It serves Windows, which has no ``poll``, and eventlet, which removes ``poll``.

    Args:
        number: The file descriptor of the socket.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def wait(self, seconds: float | None, *, write: bool) -> bool | None:
        """Wait until the socket is readable. If ``write`` is true, also return when the socket is writable.

        Args:
            seconds: The longest time to wait, seconds, at most `LONGEST_WAIT`; ``None`` means no limit, and 0 means
                that the method returns at once.
            write: Whether to return also when the socket is writable.

        Returns:
            ``True`` if the socket is readable or broken, ``False`` if it is only writable, and ``None`` if the time
            passed.
        """
        own = [self._number]
        readable, writable, broken = select.select(own, own if write else [], own, seconds)
        return bool(readable or broken) if readable or writable or broken else None


def wait_for_socket(number: int) -> SocketWait:
    """Return the object that waits for a socket on this platform: with ``poll`` if possible, otherwise with ``select``.

    Args:
        number: The file descriptor of the socket.
    """
    return PollWait(number) if hasattr(select, "poll") else SelectWait(number)
