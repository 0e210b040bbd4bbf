"""The operations of the Redis stores, as generators that yield requests to Redis. They do no I/O themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, ResponseError

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row, Snapshot, Transition
from cbstore_sql.core.rules import OPERATIONS
from cbstore_sql.core.validation import check_name, shown
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.backend import NOBODYS_PROBE
from cbstore_sql.stores.decode import to_snapshot, to_transition
from cbstore_sql.stores.redis import codec, watch
from cbstore_sql.stores.redis.calls import Call, Missing, RedisSteps, Result, Send
from cbstore_sql.stores.redis.errors import is_scripting_unavailable, says_nothing_of_writes, translated
from cbstore_sql.stores.redis.name_index import NameIndex
from cbstore_sql.stores.redis.scripts import READ, Script, script

MAX_TTL = 10**9
"""The longest lifetime of an unused key, seconds (about 31 years)."""


class Operations:
    """The operations of a Redis store. Each method is a generator that yields requests to Redis and returns the answer.

    The synchronous and the asynchronous store share this class; they send the requests. The arguments are those of
    `RedisStore`.

    Raises:
        ConfigurationError: ``ttl``, ``half_open_probe_ttl`` or ``max_breakers`` is out of range.
        InvalidNameError: The prefix is too long or has characters that a store cannot keep.
    """

    def __init__(
        self,
        client: Any,
        ttl: int | None,
        key_prefix: str,
        half_open_probe_ttl: int | None,
        namespace: str,
        *,
        max_breakers: int | None,
    ) -> None:
        self._client = client
        self._ttl = _check_ttl("ttl", ttl)
        self._probe_ttl = max(_check_ttl("half_open_probe_ttl", half_open_probe_ttl) or 0, self._ttl or 0)
        self._lives = f"{codec.to_number(self._ttl)} {self._probe_ttl}"
        check_name("key_prefix", key_prefix)
        self._prefix = key_prefix if namespace == "default" else f"{key_prefix}@{quote(namespace, safe='')}"
        self._register = NameIndex(self._prefix, namespace, max_breakers)
        self._has_scripting = True

    def read(self, name: str, now: float | None) -> RedisSteps[Snapshot]:
        """Read one breaker; yield the requests to Redis and return the snapshot.

        Args:
            name: The breaker's name.
            now: The moment that the snapshot gives as ``as_of``, Unix seconds. ``None`` means the server's clock.
        """
        key = self.key(name)
        if now is not None:
            with translated(self._client):
                return Snapshot.of(name, codec.from_hash((yield watch.hash_of(key))), now)
        with translated(self._client):
            if self._has_scripting:
                try:
                    found = codec.parts((yield from _run_script(script(READ), key)))
                    return to_snapshot(name, codec.from_parts(found))
                except Exception as error:  # noqa: BLE001 - a client without Lua raises its own kinds
                    self._give_up_scripting(error)
            return (yield from watch.read(name, key))

    def apply(self, command: Command) -> RedisSteps[Transition | None]:
        """Carry out one command in one atomic step; yield the requests to Redis.

        Args:
            command: The command.

        Returns:
            The transition, or ``None`` if the command had no effect.

        Raises:
            TooManyBreakersError: The command would add a breaker, and the namespace is full.
        """
        key = self.key(command.name)
        adds = self._register.is_unbounded or not OPERATIONS[command.operation].creates
        result = yield from self._attempt(key, command, adds=adds and command.creates)
        if not isinstance(result, Missing):
            return result
        if not command.creates:
            return None
        with translated(self._client):
            yield from self._register.enter(key, result.as_of)
        result = yield from self._attempt(key, command, adds=True)
        return None if isinstance(result, Missing) else result

    def check_writable(self) -> RedisSteps[None]:
        """Check that the server accepts writes, by a write that changes nothing; yield the request to Redis.

        Raises:
            StoreError: The server refuses writes or does not answer.
        """
        with translated(self._client):
            try:
                # SETRANGE with an empty text does not create a key.
                yield Call("setrange", (self.key(NOBODYS_PROBE.name), 0, b""))
            except ResponseError as error:
                # The user lacks permission for this command, or the key holds a breaker. Other writes may still work.
                if not says_nothing_of_writes(error):
                    raise

    def history(self, name: str) -> RedisSteps[str]:
        """Read the history of one breaker as text; yield the request to Redis. Without a history, the text is ``""``.

        Args:
            name: The breaker's name.
        """
        with translated(self._client):
            found = yield Call("execute_command", ("HGET", self.key(name), "history"), {NEVER_DECODE: True})
        return "" if found is None else found.decode(errors="replace")

    def delete(self, name: str) -> RedisSteps[None]:
        """Delete one breaker, also from the index of names; yield the requests to Redis.

        Args:
            name: The breaker's name. If the breaker does not exist, nothing happens.
        """
        with translated(self._client):
            yield Call("delete", (self.key(name),))
            yield from self._register.leave(self.key(name))

    def key(self, name: str) -> bytes:
        """Return the Redis key of one breaker: ``prefix:name``, in UTF-8.

        Args:
            name: The breaker's name.
        """
        return f"{self._prefix}:{name}".encode()

    def _attempt(self, key: bytes, command: Command, *, adds: bool) -> RedisSteps[Result]:
        with translated(self._client):
            if self._has_scripting:
                try:
                    return (yield from self._run(key, command, adds=adds))
                except Exception as error:  # noqa: BLE001 - a client without Lua raises its own kinds
                    self._give_up_scripting(error)
            return (yield from watch.apply(key, command, self._lifetime, adds=adds))

    def _run(self, key: bytes, command: Command, *, adds: bool) -> RedisSteps[Result]:
        wanted, given = script(command.operation), command.parameters
        numbers = " ".join([codec.to_number(given[name]) for name in wanted.numbers])
        texts = [given[name].encode() for name in wanted.texts]
        answer = yield from _run_script(wanted, key, f"{numbers} {self._lives} {adds:d}".encode(), *texts)
        if answer is None:
            return None
        found = codec.parts(answer)
        if len(found) == 1:
            return Missing(float(found[0]))
        return to_transition(command.name, codec.from_parts(found))

    def _give_up_scripting(self, error: Exception) -> None:
        """Remember that the server or the client has no Lua, if an error says so. Raise every other error."""
        if not is_scripting_unavailable(error):
            raise error
        self._has_scripting = False

    def _lifetime(self, row: Row, now: float) -> int | None:
        return None if self._ttl is None else codec.lifetime(row, now, self._ttl, self._probe_ttl)


def _run_script(wanted: Script, key: bytes, *arguments: bytes) -> RedisSteps[Any]:
    """Run a script on one key, in one round trip if the server knows the script."""
    # A damaged hash may hold bytes that a client cannot decode.
    request = Send(("EVALSHA", wanted.digest, 1, key, *arguments))
    try:
        return (yield request)
    except NoScriptError:
        # The server is new, was restarted, or took over from another one.
        yield Call("script_load", (wanted.text,))
        return (yield request)


def _check_ttl(label: str, value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TTL:
        raise ConfigurationError(f"{label} must be whole seconds from 1 to {MAX_TTL}, or None; got {shown(value)}")
    return value
