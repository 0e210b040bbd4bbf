"""The recording of SIGINT (Ctrl-C), SIGTERM and SIGHUP until the demo can end in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class SignalRecorder:
    """A recorder of the first signal that asks the demo to end: SIGINT (Ctrl-C), SIGTERM or SIGHUP.

    The demo checks the recorder often. After a signal, the demo stops its processes and ends.

    Attributes:
        signum: The number of the first signal, or ``None`` if no signal has arrived.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._at_once = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Record a signal inside the ``with`` block, and restore the previous signal handlers afterwards."""
        before = {number: signal.signal(number, self._receive) for number in _signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise `KeyboardInterrupt` inside the ``with`` block as soon as a signal arrives.

        The block may contain a call that hangs, such as a connection attempt to a server that does not answer.

        Raises:
            KeyboardInterrupt: A signal arrived inside the block or earlier.
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
    # Under nohup, the process ignores SIGHUP. The demo must then go on ignoring SIGHUP.
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        taken.append(hangup)
    return taken
