"""What begins anew in a process just forked: the parent's threads are not here, and may have held a lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakMethod

_beginnings: set[WeakMethod[Callable[[], object]]] = set()


def after_fork_in_child(begin: Callable[[], object]) -> None:
    """Have a method called in each process forked from now on, for as long as its object is there."""
    _beginnings.add(WeakMethod(begin, _beginnings.discard))


class ForkSafeLock:
    """An object with a lock that none of the parent's threads holds in a process just forked."""

    def _have_lock(self) -> None:
        """Make the lock; to be called once, before it is used."""
        self._renew_lock()
        after_fork_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()


def _begin_anew() -> None:
    for reference in list(_beginnings):
        begin = reference()
        if begin is not None:
            begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
