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


NO_PROBES: frozenset[str] = frozenset()


class _HeldProbes:
    """The probes that guarded calls of this process hold now, by token."""

    def __init__(self) -> None:
        self.scopes: dict[str, ProbeScope] = {}
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self.scopes = {}


_held = _HeldProbes()


class ProbeScope:
    """The time during which a guarded call is the probe, from its admission to its end.

    Calls to the same breaker inside this time are a part of the probe.

    Args:
        permit: The permit of the probe.
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
        """Whether the probe still runs in this process. In a forked child, it does not."""
        return _held.scopes.get(self._token) is self

    def end(self) -> None:
        """End the probe. Tasks and threads that its call started are no longer inside the probe."""
        if self.is_held:
            del _held.scopes[self._token]
        self._block = None
        reset, self._reset = self._reset, None
        if reset is not None:
            # A generator, or an asynchronous guard, may be left in another context than it was entered in.
            with suppress(ValueError):
                _scopes.reset(reset)

    def progressed(self) -> None:
        """Take note that the call makes progress, so that the probe may stay with it for another `PROBE_CAP` leases."""
        self._left = PROBE_CAP * RENEWALS_PER_LEASE

    def take_renewal(self) -> bool:
        """Count one renewal of the lease, and return whether it is allowed without another sign of progress."""
        self._left -= 1
        return self._left >= 0

    def covers_caller(self) -> bool:
        """Return whether the calling code is part of the probe.

        If the probe is a generator, the code that iterates over the generator is not part of the probe. Call this
        method only on an object from the caller's context (`contextvars`).
        """
        return self.is_held and (self._block is None or self._block.f_back is not None)

    @property
    def token(self) -> str:
        """The random text that identifies the probe in the store."""
        return self._token

    def is_of(self, name: str) -> bool:
        """Return whether the probe belongs to the breaker with this name."""
        return self._name == name


def probes_of_caller(name: str) -> frozenset[str]:
    """Return the tokens of all probes of a breaker that the calling code is a part of.

    A token identifies a probe in the store. If the store shows one of these tokens, a call of this code belongs to that
    probe. Some stores show ``""`` in place of a token, so the result also contains ``""``, unless it is empty.

    Args:
        name: The breaker's name.

    Returns:
        The tokens; empty if the code runs outside all probes of the breaker.
    """
    scopes = _scopes.get()
    if not scopes:
        return NO_PROBES
    tokens = {scope.token for scope in scopes if scope.is_of(name) and scope.covers_caller()}
    return frozenset({*tokens, ""}) if tokens else NO_PROBES


@contextmanager
def outside_probes() -> Iterator[None]:
    """Run a ``with`` block as if it were outside all probes.

    The breaker then treats calls in the block like calls of another process.
    """
    reset = _scopes.set(())
    try:
        yield
    finally:
        _scopes.reset(reset)


def holds_probe(name: str) -> bool:
    """Return whether any guarded call of this process is a probe of a breaker now.

    Args:
        name: The breaker's name.
    """
    return any(scope.is_of(name) for scope in list(_held.scopes.values()))


def note_progress(permit: Permit) -> None:
    """Take note that a guarded call makes progress, so that a probe stays with it.

    If the call is not a probe, do nothing.

    Args:
        permit: The permit of the guarded call.
    """
    scope = _held.scopes.get(permit.token)
    if scope is not None:
        scope.progressed()


def generator_of(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the generator in which a guarded block is written.

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
