"""Functions to call before and after a fork, and locks that are free in a child.

A forked child has none of the parent's threads, and a lock that a thread held at the fork stays locked in the child.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from weakref import WeakMethod

Hook = Callable[[], object]


class _Hooks:
    """A set of methods to call at a fork. Each method is in the set for as long as its object exists."""

    def __init__(self) -> None:
        self._methods: set[WeakMethod[Hook]] = set()
        # When the interpreter exits, a weak reference that dies after this module would print a traceback.
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
    """Register a method that the parent process calls before each fork.

    The registration ends when the object of the method is garbage-collected.

    Args:
        method: A bound method without parameters. The method must not raise an exception.
    """
    _before.add(method)


def after_fork_in_parent(method: Hook) -> None:
    """Register a method that the parent process calls after each fork.

    The registration ends when the object of the method is garbage-collected.

    Args:
        method: A bound method without parameters. The method must not raise an exception.
    """
    _in_parent.add(method)


def after_fork_in_child(method: Hook) -> None:
    """Register a method that each forked child calls after the fork.

    The registration ends when the object of the method is garbage-collected.

    Args:
        method: A bound method without parameters. The method must not raise an exception.
    """
    _in_child.add(method)


class ForkSafeLock:
    """A base class that gives an object a lock which no thread holds in a forked child.

    Without this class, a lock that a thread of the parent holds at the fork stays locked in the child for ever. The
    lock is reentrant: a thread that holds it may take it again. So a signal handler, or the ``__del__`` method of
    another object, may use the object in the middle of an operation of the same thread.
    """

    def _have_lock(self) -> None:
        """Make the lock. Call this method once, before the first use of the lock."""
        self._renew_lock()
        after_fork_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before.run, after_in_parent=_in_parent.run, after_in_child=_in_child.run)
