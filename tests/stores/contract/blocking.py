"""A synchronous interface over an asynchronous store, so that the same contract tests run on both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from cbstore_sql import DEFAULT_POLICY, AsyncStore, BreakerPolicy, Permit, Snapshot, Transition
from cbstore_sql.core.commands import Command
from cbstore_sql.stores.dict_protocol import ProtocolStore

T = TypeVar("T")


class Loop:
    """An event loop in a separate thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for its result. Many threads may wait at once."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def end(self) -> None:
        """End the loop and its thread, as `asyncio.run` would."""
        self.wait(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def waiting(operation: str) -> Any:
    """Return a method that waits for the asynchronous store's method with the same name."""

    def method(self: Blocking, *args: Any, **kwargs: Any) -> Any:
        return self.loop.wait(getattr(self.store, operation)(*args, **kwargs))

    return method


class Blocking(ProtocolStore):
    """A synchronous store that waits for the operations of an asynchronous store.

    Args:
        make: Makes the store, in its event loop.
        options: What `ProtocolStore` takes.
    """

    def __init__(self, make: Callable[[], AsyncStore], **options: Any) -> None:
        super().__init__(**options)
        self.loop = Loop()
        self.store = self.loop.wait(self._make(make))
        self.namespace = self.store.namespace

    read = waiting("read")
    claim_probe = waiting("claim_probe")
    record_failure = waiting("record_failure")
    record_success = waiting("record_success")
    release_probe = waiting("release_probe")
    renew_probe = waiting("renew_probe")
    force_open = waiting("force_open")
    reset = waiting("reset")
    hold = waiting("hold")
    set_override = waiting("set_override")
    clear_override = waiting("clear_override")
    history = waiting("history")

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        async def send() -> bool:
            return self.store.send_success(permit, policy)

        return self.loop.wait(send())

    def close(self) -> None:
        self.loop.wait(self.store.close())
        self.loop.end()

    def _read(self, name: str, now: float | None) -> Snapshot:
        return self.loop.wait(self.store._read(name, now))

    def _apply(self, command: Command) -> Transition | None:
        return self.loop.wait(self.store._apply(command))

    def _history(self, name: str) -> str:
        return self.loop.wait(self.store._history(name))

    def _delete(self, name: str) -> None:
        self.loop.wait(self.store._delete(name))

    @staticmethod
    async def _make(make: Callable[[], AsyncStore]) -> AsyncStore:
        return make()
