"""How to find all breakers of all namespaces in Redis, with SCAN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from redis.client import NEVER_DECODE

from cbstore_sql.core.model import Snapshot
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.redis import codec
from cbstore_sql.stores.redis.calls import Call, Calls, RedisSteps, Transaction
from cbstore_sql.stores.redis.errors import translated

_SCANNED = 1000
"""The number of keys that one SCAN call examines."""

_READ = 500
"""The largest number of breakers that one round trip reads."""

_GLOB = str.maketrans({character: f"\\{character}" for character in "*?[]\\"})


def read_all(client: Any, key_prefix: str) -> RedisSteps[list[tuple[str, Snapshot]]]:
    """Find all breakers of all namespaces in one Redis server; yield the requests to Redis and return the breakers.

    The search uses SCAN: a breaker that is added during the search may be missing.

    Args:
        client: The client of the server. Only its kind is checked; the caller sends the requests.
        key_prefix: The beginning of every key, such as ``massgen:cb``.

    Returns:
        Pairs of namespace and snapshot, ordered by namespace and name.

    Raises:
        ConfigurationError: The client is for a cluster, whose keys one search cannot list.
    """
    if not hasattr(client, "connection_pool"):
        raise ConfigurationError("the breakers of a Redis cluster cannot be listed")
    breakers: list[tuple[str, Snapshot]] = []
    with translated(client):
        found = list(_breakers((yield from _scan(key_prefix)), key_prefix))
        seconds, micros = yield Call("time")
        as_of = float(seconds + micros / 1_000_000)
        for start in range(0, len(found), _READ):
            batch = found[start : start + _READ]
            hashes = yield Transaction(_hashes([key for key, _, _ in batch]), pause=0.0)
            for (_, namespace, name), raw in zip(batch, hashes, strict=True):
                # A key of another type is not a breaker, and a key may have expired since the scan.
                if raw and not isinstance(raw, Exception):
                    breakers.append((namespace, Snapshot.of(name, codec.from_hash(raw), as_of)))
    return sorted(breakers, key=lambda pair: (pair[0], pair[1].name))


def _scan(key_prefix: str) -> RedisSteps[set[bytes]]:
    keys: set[bytes] = set()
    cursor = b"0"
    while True:
        query = ("SCAN", cursor, "MATCH", f"{key_prefix.translate(_GLOB)}*", "COUNT", _SCANNED)
        position, found = yield Call("execute_command", query, {NEVER_DECODE: True})
        keys.update(found)
        cursor = position if isinstance(position, bytes) else str(position).encode()
        if cursor == b"0":
            return keys


def _hashes(keys: Sequence[bytes]) -> Calls[list[Any]]:
    for key in keys:
        yield Call("hgetall", (key,))
    answers: list[Any] = yield Call("execute", (), {"raise_on_error": False})
    return answers


def _breakers(keys: set[bytes], key_prefix: str) -> Iterator[tuple[bytes, str, str]]:
    """Yield the key, the namespace and the name of each breaker among the keys."""
    prefix = key_prefix.encode()
    for key in keys:
        rest = key[len(prefix) :]
        if rest[:1] == b":":
            namespace, name = "default", rest[1:]
        elif rest[:1] == b"@" and b":" in rest:
            quoted, _, name = rest[1:].partition(b":")
            namespace = unquote(quoted.decode("ascii", "replace"))
        else:
            continue
        # A key whose name starts with a NUL is the sorted set of names, not a breaker; see `NameIndex`.
        if not name.startswith(b"\0"):
            yield key, namespace, name.decode("utf-8", "backslashreplace")
