"""Ctrl-C and the other signals to end, remembered until the demo can clean up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopper:
    """Remembers the first signal to end; the demo checks it often and then cleans up.

    Attributes:
        signum: The signal; ``None`` until one comes.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._at_once = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals; afterwards restore the handlers from before."""
        before = {number: signal.signal(number, self._receive) for number in _signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal interrupt the block, such as connecting to a server that does not answer.

        Raises:
            KeyboardInterrupt: A signal came.
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
    # nohup ignores it, and it stays ignored.
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        taken.append(hangup)
    return taken
