"""The probes that the present caller is inside. A guarded call inside a probe of the same breaker is part of the probe.

A breaker's row contains the token of the probe. So two breaker objects over the same row agree about nested calls. A
caller is a context (`contextvars`): a thread, a task, and every thread or task that starts with a copy of the context.

A probe belongs to the process that claimed it. In a forked child the probe is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from types import FrameType

from cbstore_sql.core.model import Permit
from cbstore_sql.runtime.fork import after_fork_in_child

RENEWALS_PER_LEASE = 3
"""How often a probe's lease is renewed within one lease. A probe survives one or two renewals that fail."""

PROBE_CAP = 10
"""Leases for which a probe is renewed without a sign of progress. After that, another caller may claim the probe."""

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
    """A guarded call that is a probe, from the admission to the end of the call.

    Args:
        permit: The owner's permit.
        block: The frame of the generator that contains the guarded block, or ``None`` if the block is not in a
            generator. Between two items of the generator, the consumer of the generator runs in the same context.
            `covers_caller` needs the frame to distinguish a call of the generator from a call of the consumer.
    """

    __slots__ = ("_block", "_left", "_name", "_reset", "_token")

    def __init__(self, permit: Permit, block: FrameType | None = None) -> None:
        self._name = permit.name
        self._token = permit.token
        self._block = block
        self.progressed()
        _held.scopes[permit.token] = self
        # This context may still contain scopes that ended in another context.
        outer = (scope for scope in _scopes.get() if scope.is_held)
        self._reset: Token[_Scopes] | None = _scopes.set((*outer, self))

    @property
    def is_held(self) -> bool:
        """Whether the guarded call still runs, in this process."""
        return _held.scopes.get(self._token) is self

    def end(self) -> None:
        """End the call. Tasks and threads that the call started are then no longer inside the probe."""
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
        """Count one renewal; return whether the lease may be renewed without another sign of progress."""
        self._left -= 1
        return self._left >= 0

    def covers_caller(self) -> bool:
        """Return whether the present caller is inside this probe. The caller's context must contain this scope."""
        return self.is_held and (self._block is None or self._block.f_back is not None)

    @property
    def token(self) -> str:
        """The token of the probe."""
        return self._token

    def is_of(self, name: str) -> bool:
        """Return whether this is a probe of the breaker ``name``."""
        return self._name == name


def probes_of_caller(name: str) -> frozenset[str]:
    """Return the tokens of the probes of the breaker ``name`` that the present caller is inside.

    If the breaker's row has one of these tokens, the caller's calls belong to the probe with this token. If the
    caller is inside a probe, the result also contains ``""``: some stores show ``""`` in place of the token.
    """
    tokens = {scope.token for scope in _scopes.get() if scope.is_of(name) and scope.covers_caller()}
    return frozenset(tokens and {*tokens, ""})


@contextmanager
def outside_probes() -> Iterator[None]:
    """Make a context manager: inside its block, the caller is outside all probes.

    The breaker then treats the caller like a caller in another process.
    """
    reset = _scopes.set(())
    try:
        yield
    finally:
        _scopes.reset(reset)


def holds_probe(name: str) -> bool:
    """Return whether this process holds a probe of the breaker ``name``, in any context."""
    return any(scope.is_of(name) for scope in list(_held.scopes.values()))


def note_progress(permit: Permit) -> None:
    """Note a sign of progress of the guarded call that holds ``permit``. Without such a call, nothing happens."""
    scope = _held.scopes.get(permit.token)
    if scope is not None:
        scope.progressed()


def generator_of(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the generator that contains a guarded block.

    Args:
        frame: The frame that enters the guard.

    Returns:
        The generator's frame, or ``None`` if the block is in a function or a coroutine. Also ``None`` for the generator
        of a ``@contextmanager``, which is suspended while its ``with`` block runs.
    """
    while frame is not None and _is_contextlib(frame):  # an ExitStack
        frame = frame.f_back
    if frame is None or not frame.f_code.co_flags & _GENERATOR_FLAGS or _is_contextlib(frame.f_back):
        return None
    return frame


def _is_contextlib(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") == "contextlib"
