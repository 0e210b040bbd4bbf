"""The checks of a Redis server."""

from __future__ import annotations

import time
from typing import Any

from cbstore_sql.cli.doctor.findings import Finding, each, note, ok, wrong
from cbstore_sql.core.wording import duration
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.stores.factory import make_store

_LARGEST_CLOCK_DIFFERENCE = 2.0
_OLDEST = (5, 0)


def examine_redis(url: str) -> list[Finding]:
    """Run all checks of a Redis server and return their findings.

    Args:
        url: The URL of the server.

    Raises:
        StoreError: The server is unreachable, or refuses the command INFO.
    """
    with make_store(url) as store:
        client: Any = store._client  # type: ignore[attr-defined] # the client of the Redis store
        store.read("cbstore-doctor")
        try:
            info: dict[str, Any] = client.info()
        except Exception as error:
            raise StoreUnavailableError(f"INFO was refused ({type(error).__name__})", applied=False) from error
        checks = (
            ("versions", lambda: _version(info)),
            ("role", lambda: _role(info)),
            ("scripting", lambda: _scripting(client)),
            ("memory", lambda: _memory(client, info)),
            ("persistence", lambda: _persistence(info)),
            ("clients", lambda: _clients(client, info)),
            ("clock", lambda: _clock(client)),
        )
        return list(each(checks))


def _version(info: dict[str, Any]) -> Finding:
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        return wrong("versions", f"Redis {version}", "use Redis 5 or newer")
    return ok("versions", f"Redis {version}")


def _role(info: dict[str, Any]) -> Finding:
    if info.get("role") == "slave":
        return wrong("role", "this is a replica, which refuses writes", "name the primary in the URL")
    return ok("role", f"primary, {info.get('connected_slaves', 0)} replicas connected")


def _scripting(client: Any) -> Finding:
    try:
        client.eval("return 1", 0)
    except Exception as error:  # noqa: BLE001 - after any error, scripts do not run
        text = f"EVAL is refused ({type(error).__name__}): operations take several round trips"
        return note("scripting", text, "allow EVALSHA and SCRIPT LOAD for this user")
    return ok("scripting", "Lua scripts run: an operation is one round trip")


def _memory(client: Any, info: dict[str, Any]) -> Finding:
    policy = str(info.get("maxmemory_policy") or client.config_get("maxmemory-policy")["maxmemory-policy"])
    if not info.get("maxmemory"):
        return ok("memory", f"no limit is set (maxmemory-policy {policy})")
    if policy == "noeviction":
        return ok("memory", f"limit {info.get('maxmemory_human')}, nothing is evicted")
    return wrong(
        "memory",
        f"limit {info.get('maxmemory_human')}, maxmemory-policy {policy}: evicting an open circuit closes it",
        "use a server with maxmemory-policy noeviction",
    )


def _persistence(info: dict[str, Any]) -> Finding:
    if info.get("aof_enabled"):
        return ok("persistence", "append-only file")
    return note(
        "persistence", "no append-only file: a crash of the server forgets recent changes", "set appendonly yes"
    )


def _clients(client: Any, info: dict[str, Any]) -> Finding:
    most = int(info.get("maxclients") or client.config_get("maxclients")["maxclients"])
    used = int(info["connected_clients"])
    text = f"{used} of {most} connections are in use"
    return ok("clients", text) if used < 0.9 * most else wrong("clients", text, "raise maxclients")


def _clock(client: Any) -> Finding:
    before = time.time()
    seconds, micros = client.time()
    difference = seconds + micros / 1_000_000 - (before + time.time()) / 2
    return clock_finding(difference)


def clock_finding(difference: float) -> Finding:
    """Return the finding about the difference between the server's clock and the clock of this machine.

    If the clocks differ by more than 2 seconds, the finding has the level `Level.NOTE`, otherwise `Level.OK`.

    Args:
        difference: The server's time minus the time of this machine, in seconds.
    """
    ahead = "ahead of" if difference > 0 else "behind"
    text = f"the server's clock is {duration(abs(difference))} {ahead} this machine's"
    if abs(difference) <= _LARGEST_CLOCK_DIFFERENCE:
        return ok("clock", text)
    return note("clock", f"{text}; breakers go by the server's", "synchronise both, or logs will not match")
