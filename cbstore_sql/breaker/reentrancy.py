"""Which breakers the present caller is probing: what it guards once more within the probe is part of it.

A caller is a context (`contextvars`): a thread, an asyncio task, and what either starts within the probe.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any

_Probes = tuple["ProbeScope", ...]

_probes: ContextVar[_Probes] = ContextVar("cbstore_probes", default=())


class ProbeScope:
    """One call that is a probe, from its admission to its end.

    Args:
        controller: Which gave the permit.
        name: The breaker's name.
    """

    __slots__ = ("_gate", "_name", "_token")

    def __init__(self, controller: Any, name: str) -> None:
        self._gate = controller
        self._name = name
        self._token: Token[_Probes] | None = _probes.set((*_probes.get(), self))

    def ended(self) -> None:
        """Note its end; for tasks started within it too, which may go on."""
        token, self._token = self._token, None
        if token is not None:
            # An asynchronous guard may be left in another context than it was entered in.
            with suppress(ValueError):
                _probes.reset(token)

    def is_of(self, controller: Any, name: str) -> bool:
        """Whether this call probes a breaker now."""
        return self._token is not None and self._gate is controller and self._name == name


def in_probe(controller: Any, name: str) -> bool:
    """Whether the present caller is inside a call that probes this breaker."""
    probes = _probes.get()
    return bool(probes) and any(probe.is_of(controller, name) for probe in probes)
