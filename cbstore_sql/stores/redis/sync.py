"""The store on Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cbstore_sql.commands import Command, check_name
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.model import Row, Snapshot, Transition
from cbstore_sql.protocol import DEFAULT_PROBE_LEASE, ProtocolStore
from cbstore_sql.rules import OPERATIONS
from cbstore_sql.stores.redis import codec, watch
from cbstore_sql.stores.redis.errors import is_scripting_unavailable, translated
from cbstore_sql.stores.redis.scripts import READ, script

MAX_TTL = 10**9
"""The longest life of a key at rest, seconds (about 31 years)."""

_T = TypeVar("_T")


class RedisStore(ProtocolStore):
    """Breakers in Redis hashes, one key each, shared by everyone who can reach the server.

    Each operation is one Lua script (EVALSHA; the first one on a server sends the text), or WATCH, MULTI and EXEC
    where the server has no scripting. Redis 5 or newer. The hash keeps the fields and encodings of MassGen's
    ``RedisStore``, so that both can share a key while a team migrates; what a foreign write does to permits, and how
    a damaged hash reads, is told in ``codec.py``.

    Counting is not idempotent, so the client should send each command once:
    ``redis.Redis(…, retry=Retry(NoBackoff(), 0))``, as `from_url` does. By default redis-py since version 6 repeats a
    command whose reply was lost, and may so count one failure twice; what such a client could not do is hardly ever
    known to have had no effect (``applied`` of `StoreUnavailableError`).

    A user with limited rights needs HGETALL, HSET, PTTL, EXPIRE, PERSIST, TIME and DEL, and with them EVALSHA and
    SCRIPT LOAD, or WATCH, UNWATCH, MULTI and EXEC where there is no scripting.

    Args:
        redis_client: A ``redis.Redis`` or ``redis.RedisCluster``, with or without ``decode_responses``. It stays open.
        ttl: Seconds until a closed breaker that nobody writes to is forgotten, from 1 to 10**9; ``None`` means never.
            An open breaker outlives its open time by at least this, a half-open one lives at least its probe's lease.
        key_prefix: What every key begins with. Keys are ``prefix:name``, in another namespace than ``"default"``
            ``prefix@namespace:name`` with the namespace percent-encoded.
        half_open_probe_ttl: Seconds a breaker with a probe under way lives at least; ``None`` means ``ttl``, and less
            than that has no effect.
        namespace: See `Store`.
        protocol_probe_lease: See `ProtocolStore`, seconds.

    Raises:
        ConfigurationError: There is no client, or a number of seconds is none.
        InvalidNameError: See `Store`; the same holds for the prefix.
        InvalidPolicyError: See `ProtocolStore`.
    """

    def __init__(
        self,
        redis_client: Any,
        ttl: int | None = 3600,
        key_prefix: str = "massgen:cb",
        half_open_probe_ttl: int | None = None,
        *,
        namespace: str = "default",
        protocol_probe_lease: float = DEFAULT_PROBE_LEASE,
    ) -> None:
        super().__init__(namespace, protocol_probe_lease=protocol_probe_lease)
        if redis_client is None:
            raise ConfigurationError("redis_client is required for RedisStore")
        self._client = redis_client
        self._ttl = _check_ttl("ttl", ttl)
        self._probe_ttl = max(_check_ttl("half_open_probe_ttl", half_open_probe_ttl) or 0, self._ttl or 0)
        self._key_prefix = check_name("key_prefix", key_prefix)
        self._scripts = {name: redis_client.register_script(script(name)) for name in (READ, *OPERATIONS)}
        self._has_scripting = True
        self._owned = False

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> RedisStore:
        """Open a store with a client of its own, which sends each command once and is closed with the store.

        Args:
            url: ``redis://…``, ``rediss://…`` or ``unix://…``; its query may set redis-py's options, such as
                ``socket_timeout`` in seconds.
            **kwargs: What the class takes, without the client.

        Raises:
            ConfigurationError: It is no such URL. The message does not repeat it.
        """
        try:
            client = Redis.from_url(url, retry=Retry(NoBackoff(), 0))
        except ValueError:
            raise ConfigurationError(
                "the Redis URL cannot be read; it is not shown, since it may hold a password"
            ) from None
        store = cls(client, **kwargs)
        store._owned = True
        return store

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_prefix={self._key_prefix!r}, namespace={self.namespace!r})"

    def close(self) -> None:
        """Close the client if the store opened it; one that was handed over is left as it is."""
        if self._owned:
            self._client.connection_pool.disconnect()

    def _read(self, name: str, now: float | None) -> Snapshot:
        key = self._key(name)
        row, as_of = self._either(
            lambda: codec.from_answer(self._scripts[READ]([key], [codec.to_argument(now)])),
            lambda: watch.read(self._client, key, now),
        )
        return Snapshot.of(name, row, as_of)

    def _apply(self, command: Command) -> Transition | None:
        result = self._either(
            lambda: self._run(command),
            lambda: watch.apply(self._client, self._key(command.name), command, self._lifetime),
        )
        return None if result is None else Transition.of(command.name, *result)

    def _delete(self, name: str) -> None:
        with translated(self._client):
            self._client.delete(self._key(name))

    def _run(self, command: Command) -> tuple[Row, float] | None:
        given = (command.given[name] for name in OPERATIONS[command.operation].given)
        arguments = [codec.to_argument(value) for value in (*given, self._ttl, self._probe_ttl)]
        answer = self._scripts[command.operation]([self._key(command.name)], arguments)
        return None if answer is None else codec.from_answer(answer)

    def _either(self, scripted: Callable[[], _T], watched: Callable[[], _T]) -> _T:
        with translated(self._client):
            if self._has_scripting:
                try:
                    return scripted()
                except Exception as error:
                    if not is_scripting_unavailable(error):
                        raise
                    self._has_scripting = False
            return watched()

    def _lifetime(self, row: Row, now: float) -> int | None:
        return None if self._ttl is None else codec.lifetime(row, now, self._ttl, self._probe_ttl)

    def _key(self, name: str) -> bytes:
        if self.namespace == "default":
            return f"{self._key_prefix}:{name}".encode()
        return f"{self._key_prefix}@{quote(self.namespace, safe='')}:{name}".encode()


def _check_ttl(label: str, value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TTL:
        raise ConfigurationError(f"{label} must be whole seconds from 1 to {MAX_TTL}, or None; got {value!r}")
    return value
