"""Ctrl-C, SIGTERM and SIGHUP, recorded until the demo can end in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class SignalRecorder:
    """Records the first signal to end. The demo checks it often and then ends in order.

    Attributes:
        signum: The number of the signal, or ``None`` before one arrived.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._at_once = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Record signals inside this block, and restore their handlers afterwards."""
        before = {number: signal.signal(number, self._receive) for number in _signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal interrupt this block, such as a connection attempt to a server that does not answer.

        Raises:
            KeyboardInterrupt: A signal arrived.
        """
        self._at_once = True
        try:
            if self.signum is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.signum = self.signum or signum
        if self._at_once:
            raise KeyboardInterrupt


def _signals() -> list[signal.Signals]:
    taken = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    # Under nohup SIGHUP is ignored; keep ignoring it.
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        taken.append(hangup)
    return taken
