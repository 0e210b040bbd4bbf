"""Records the calls of a store by all callers, and the answers."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from cbstore_sql import AsyncSqlStore, SqlStore
from cbstore_sql.core.commands import Command, record_success
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.errors import ConfigurationError, StoreError, StoreUnavailableError
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from tests.system.linearizability.history import READ, Call

Log = Callable[[Call], object]


def record(store: Store | AsyncStore, worker: int, log: Log) -> None:
    """Pass each further operation of a store to ``log`` when it has ended.

    Operations that certainly had no effect and reads without an answer are left out.
    """
    awaited = inspect.iscoroutinefunction(store._apply)
    face = _async_face(store, worker, log) if awaited else _sync_face(store, worker, log)
    vars(store).update(face, send_success=_recorded_sends(store, worker, log))
    if isinstance(store, SqlStore):
        vars(store).update(_execute=_counting_failures(store._execute))
    elif isinstance(store, AsyncSqlStore):
        vars(store).update(_execute=_counting_awaited_failures(store._execute))


_under_way: ContextVar[_Noting] = ContextVar("under_way")


class _Noting:
    """One running operation on one or several breakers.

    Attributes:
        answers: The answer about each breaker.
        failures: The number of failed statements, including repeated statements.
    """

    def __init__(self, worker: int, log: Log, *commands: Command) -> None:
        self._worker = worker
        self._log = log
        self._commands = commands
        self.answers: list[Snapshot | Transition | None] = []
        self.failures = 0

    def __enter__(self) -> _Noting:
        self._token = _under_way.set(self)
        self._earliest = time.time()
        self._began = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        end = (time.monotonic(), time.time())
        _under_way.reset(self._token)
        if error is None:
            for command, answer in zip(self._commands, self.answers, strict=True):
                self._note(command, *end, answer)
        elif not _had_no_effect(error):
            for command in self._commands:
                if command.operation != READ:
                    self._note(command, math.inf, math.inf)

    def _note(self, command: Command, ended: float, latest: float, answer: Snapshot | Transition | None = None) -> None:
        self._log(Call(self._worker, command, self._began, ended, self._earliest, latest, answer, self.failures))


def _had_no_effect(error: BaseException) -> bool:
    if isinstance(error, StoreUnavailableError):
        return error.applied is False
    return isinstance(error, (StoreError, ConfigurationError))


def _reading(name: str, now: float | None) -> Command:
    return Command(READ, name, {"now": now})


def _recorded_sends(store: Store | AsyncStore, worker: int, log: Log) -> Callable[..., bool]:
    """Return the store's ``send_success``, which also logs each success that was sent, as one without an answer."""
    send = store.send_success

    def send_success(permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        began, earliest = time.monotonic(), time.time()
        if not send(permit, policy):
            return False
        command = record_success(permit, policy, None, None)
        log(Call(worker, command, began, math.inf, earliest, math.inf, None, 0))
        return True

    return send_success


def _sync_face(store: Any, worker: int, log: Log) -> dict[str, Any]:
    apply, read, read_many = store._apply, store._read, store._read_many

    def _apply(command: Command) -> Transition | None:
        with _Noting(worker, log, command) as noting:
            answer: Transition | None = apply(command)
            noting.answers = [answer]
        return answer

    def _read(name: str, now: float | None) -> Snapshot:
        with _Noting(worker, log, _reading(name, now)) as noting:
            answer: Snapshot = read(name, now)
            noting.answers = [answer]
        return answer

    def _read_many(names: list[str], now: float | None) -> dict[str, Snapshot]:
        with _Noting(worker, log, *(_reading(name, now) for name in names)) as noting:
            answers: dict[str, Snapshot] = read_many(names, now)
            noting.answers = [answers[name] for name in names]
        return answers

    return {"_apply": _apply, "_read": _read, "_read_many": _read_many}


def _async_face(store: Any, worker: int, log: Log) -> dict[str, Any]:
    apply, read, read_many = store._apply, store._read, store._read_many

    async def _apply(command: Command) -> Transition | None:
        with _Noting(worker, log, command) as noting:
            answer: Transition | None = await apply(command)
            noting.answers = [answer]
        return answer

    async def _read(name: str, now: float | None) -> Snapshot:
        with _Noting(worker, log, _reading(name, now)) as noting:
            answer: Snapshot = await read(name, now)
            noting.answers = [answer]
        return answer

    async def _read_many(names: list[str], now: float | None) -> dict[str, Snapshot]:
        with _Noting(worker, log, *(_reading(name, now) for name in names)) as noting:
            answers: dict[str, Snapshot] = await read_many(names, now)
            noting.answers = [answers[name] for name in names]
        return answers

    return {"_apply": _apply, "_read": _read, "_read_many": _read_many}


def _counting_failures(execute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def counted(query: Any) -> Any:
        try:
            return execute(query)
        except BaseException:
            _count_failure()
            raise

    return counted


def _counting_awaited_failures(execute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def counted(query: Any) -> Any:
        try:
            return await execute(query)
        except BaseException:
            _count_failure()
            raise

    return counted


def _count_failure() -> None:
    noting = _under_way.get(None)
    if noting is not None:
        noting.failures += 1
