"""Which probes the present caller is inside: a call guarded once more within a probe is part of it.

A breaker's row shows the token of the probe, so any two breaker objects over one row agree about nesting. A caller is a
context (`contextvars`): a thread, a task, and what either starts with a copy of its context.

A probe belongs to the process that claimed it: in a forked child it is over.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from types import FrameType

from cbstore_sql.core.model import Permit
from cbstore_sql.runtime.fork import after_fork_in_child

RENEWALS_PER_LEASE = 3
"""How often a probe's lease is renewed within one lease: the probe survives one or two renewals that fail."""

PROBE_CAP = 10
"""Leases for which a probe is renewed without a sign of progress; then another caller may take it over."""

# ``inspect.CO_GENERATOR`` and ``inspect.CO_ASYNC_GENERATOR``; importing `inspect` takes milliseconds.
_GENERATOR_FLAGS = 0x20 | 0x200

_Scopes = tuple["ProbeScope", ...]

_scopes: ContextVar[_Scopes] = ContextVar("cbstore_probes", default=())


class _HeldProbes:
    """The probes that guarded calls of this process hold now, by token."""

    def __init__(self) -> None:
        self.scopes: dict[str, ProbeScope] = {}
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self.scopes = {}


_held = _HeldProbes()


class ProbeScope:
    """One guarded call that is a probe, from its admission to its end.

    Args:
        permit: The owner's permit.
        block: The frame of the generator that the guarded block is in, or ``None``. Between two of its items a
            generator is not running, and neither is the block; but its consumer shares its context.
    """

    __slots__ = ("_block", "_left", "_name", "_reset", "_token")

    def __init__(self, permit: Permit, block: FrameType | None = None) -> None:
        self._name = permit.name
        self._token = permit.token
        self._block = block
        self.progressed()
        _held.scopes[permit.token] = self
        # Those that ended in another context are still in this one.
        outer = (scope for scope in _scopes.get() if scope.is_held)
        self._reset: Token[_Scopes] | None = _scopes.set((*outer, self))

    @property
    def is_held(self) -> bool:
        """Whether the guarded call still runs, in this process."""
        return _held.scopes.get(self._token) is self

    def end(self) -> None:
        """Note the call's end, also for tasks and threads that it started and that go on."""
        if self.is_held:
            del _held.scopes[self._token]
        self._block = None
        reset, self._reset = self._reset, None
        if reset is not None:
            # A generator, or an asynchronous guard, may be left in another context than it was entered in.
            with suppress(ValueError):
                _scopes.reset(reset)

    def progressed(self) -> None:
        """Note a sign of progress: the lease may be renewed for another `PROBE_CAP` leases."""
        self._left = PROBE_CAP * RENEWALS_PER_LEASE

    def take_renewal(self) -> bool:
        """Return whether the lease may be renewed once more without a sign of progress."""
        self._left -= 1
        return self._left >= 0

    def covers_caller(self) -> bool:
        """Return whether the present caller is inside this probe, given that its context is."""
        return self.is_held and (self._block is None or self._block.f_back is not None)

    @property
    def token(self) -> str:
        """The probe's token."""
        return self._token

    def is_of(self, name: str) -> bool:
        """Return whether this is a probe of a breaker with this name."""
        return self._name == name


def probes_of_caller(name: str) -> frozenset[str]:
    """Return the tokens of the probes by this name that the present caller is inside.

    A breaker's row tells whether one of them is its probe. If there is any, the result also has ``""``, the token of a
    row in a store that does not show tokens.
    """
    tokens = {scope.token for scope in _scopes.get() if scope.is_of(name) and scope.covers_caller()}
    return frozenset(tokens and {*tokens, ""})


def holds_probe(name: str) -> bool:
    """Return whether this process holds a probe by this name, in whatever context."""
    return any(scope.is_of(name) for scope in list(_held.scopes.values()))


def note_progress(permit: Permit) -> None:
    """Note a sign of progress of the guarded call that holds a permit; without such a call nothing happens."""
    scope = _held.scopes.get(permit.token)
    if scope is not None:
        scope.progressed()


def generator_of(frame: FrameType | None) -> FrameType | None:
    """Return the generator's frame that a guarded block is in.

    Args:
        frame: The frame that enters the guard.

    Returns:
        ``None`` if the block is in a function or a coroutine, or in the generator of a ``@contextmanager``: that one is
        suspended while its ``with`` block runs.
    """
    while frame is not None and _is_contextlib(frame):  # an ExitStack
        frame = frame.f_back
    if frame is None or not frame.f_code.co_flags & _GENERATOR_FLAGS or _is_contextlib(frame.f_back):
        return None
    return frame


def _is_contextlib(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") == "contextlib"
