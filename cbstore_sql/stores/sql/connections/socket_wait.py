"""Waits for one socket with the best call that the platform has."""

from __future__ import annotations

import select
from math import ceil
from typing import Protocol

LONGEST_WAIT = 86_400.0
"""Seconds of one wait: ``poll`` counts milliseconds in 32 bits. A longer wait is made of several."""


class SocketWait(Protocol):
    """Waits until a socket is ready."""

    def wait(self, seconds: float | None, *, write: bool) -> bool | None:
        """Wait at most some seconds.

        Args:
            seconds: ``None``: without a limit. At most `LONGEST_WAIT`.
            write: Whether room to write ends the wait too.

        Returns:
            Whether there is something to read; ``None`` when the time passed.
        """


class PollWait:
    """`SocketWait` by ``select.poll``."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._poll = select.poll()
        self._readable = select.POLLIN | select.POLLHUP | select.POLLERR
        self._poll.register(number, self._readable)

    def wait(self, seconds: float | None, *, write: bool) -> bool | None:
        """See `SocketWait`."""
        if write:
            self._poll.modify(self._number, self._readable | select.POLLOUT)
        events = self._poll.poll(None if seconds is None else ceil(seconds * 1000.0))
        if write:
            self._poll.modify(self._number, self._readable)
        return bool(events[0][1] & self._readable) if events else None


class SelectWait:
    """`SocketWait` by ``select.select``: Windows has no ``poll``, and eventlet's monkey patch removes it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def wait(self, seconds: float | None, *, write: bool) -> bool | None:
        """See `SocketWait`."""
        own = [self._number]
        readable, writable, broken = select.select(own, own if write else [], own, seconds)
        return bool(readable or broken) if readable or writable or broken else None


def wait_for_socket(number: int) -> SocketWait:
    """Return what waits for a socket here.

    Args:
        number: The socket's file descriptor.
    """
    return PollWait(number) if hasattr(select, "poll") else SelectWait(number)
