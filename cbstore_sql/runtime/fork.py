"""What happens around a fork: the child has none of its parent's threads, and locks stay as they were at the fork."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from weakref import WeakMethod

Hook = Callable[[], object]


class _Hooks:
    """Methods to call, each for as long as its object exists."""

    def __init__(self) -> None:
        self._methods: set[WeakMethod[Hook]] = set()
        # While the interpreter ends, weak references that die after this module would print tracebacks.
        atexit.register(self._methods.clear)

    def add(self, method: Hook) -> None:
        self._methods.add(WeakMethod(method, self._methods.discard))

    def run(self) -> None:
        for reference in list(self._methods):
            method = reference()
            if method is not None:
                method()


_before = _Hooks()
_in_parent = _Hooks()
_in_child = _Hooks()


def before_fork(method: Hook) -> None:
    """Have a method called in the parent before each fork, for as long as its object exists. It must not raise."""
    _before.add(method)


def after_fork_in_parent(method: Hook) -> None:
    """Have a method called in the parent after each fork, for as long as its object exists. It must not raise."""
    _in_parent.add(method)


def after_fork_in_child(method: Hook) -> None:
    """Have a method called in each child forked from now on, for as long as its object exists."""
    _in_child.add(method)


class ForkSafeLock:
    """An object with a lock that is free in a child, whoever held it at the fork.

    The lock is reentrant: a signal handler, or the ``__del__`` of an object collected meanwhile, may use the object in
    the middle of an operation of the same thread.
    """

    def _have_lock(self) -> None:
        """Make the lock; to be called once, before it is used."""
        self._renew_lock()
        after_fork_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before.run, after_in_parent=_in_parent.run, after_in_child=_in_child.run)
