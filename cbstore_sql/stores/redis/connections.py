"""Connections that a store uses directly, without the layers that redis-py has around each command.

Only a client that the store made is used like this, because such a client sends each command once, to one server. A
client that the caller passed is used through its own methods, so subclasses, clusters and instrumentation see each
command.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError, ResponseError, TimeoutError

_pack: Callable[[tuple[Any, ...]], bytes] | None
try:
    from hiredis import pack_command as _pack
except ImportError:
    _pack = None

_BROKEN = (ConnectionError, TimeoutError, OSError)


def are_usable(pool: Any) -> bool:
    """Return whether this version of redis-py allows the direct use of the connections of a pool.

    Older versions want the name of the command before they give a connection, and their connections cannot tell whether
    they are connected. A store then uses its client like a client that the caller passed.

    Args:
        pool: The connection pool of a client.
    """
    try:
        inspect.signature(pool.get_connection).bind()
    except TypeError:
        return False
    return hasattr(pool.connection_class, "is_connected")


def _written(connection: Any, command: tuple[Any, ...]) -> Any:
    """Write a command to a connection. An asynchronous connection returns an awaitable."""
    if _pack is None:
        return connection.send_command(*command)
    return connection.send_packed_command([_pack(command)])


class Connections:
    """The connections of one client that are free. Many threads may use one object at the same time.

    Args:
        pool: The connection pool of a ``redis.Redis``.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._free: list[Any] = []
        self._process = os.getpid()

    def send(self, command: tuple[Any, ...]) -> Any:
        """Send one command once, and return the answer with its texts as bytes.

        Args:
            command: The name of the command and its arguments.

        Raises:
            redis.exceptions.RedisError: The server refused the command, or the connection failed. If the connection
                failed, the command may have had an effect.
        """
        connection = self._take()
        try:
            _written(connection, command)
            return connection.read_response(disable_decoding=True)
        except ResponseError:
            raise
        except BaseException:
            # The answer to this command must not be taken for the answer to the next one.
            connection.disconnect()
            raise
        finally:
            self._free.append(connection)

    def give_back(self) -> None:
        """Return one free connection to the pool, so that a pool with few connections can serve other commands."""
        self._forget_parent()
        try:
            connection = self._free.pop()
        except IndexError:
            return
        self._pool.release(connection)

    def _take(self) -> Any:
        self._forget_parent()
        try:
            connection = self._free.pop()
        except IndexError:
            return self._pool.get_connection()
        try:
            # A connection that can be read was closed by the server, or has an answer that no caller waited for.
            if connection.is_connected and not connection.can_read():
                return connection
        except _BROKEN:
            pass
        return self._reconnected(connection)

    def _reconnected(self, connection: Any) -> Any:
        try:
            connection.disconnect()
            connection.connect()
        except BaseException:
            self._free.append(connection)
            raise
        return connection

    def _forget_parent(self) -> None:
        """Drop the connections of the parent process after a fork: two processes must not share a connection."""
        if self._process != os.getpid():
            self._free, self._process = [], os.getpid()


class AsyncConnections:
    """The connections of one asynchronous client that are free, for the tasks of one event loop.

    Args:
        pool: The connection pool of a ``redis.asyncio.Redis``.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._free: list[Any] = []

    async def send(self, command: tuple[Any, ...]) -> Any:
        """Send one command once, and return the answer with its texts as bytes; see `Connections.send`.

        Args:
            command: The name of the command and its arguments.
        """
        connection = await self._take()
        try:
            await _written(connection, command)
            return await connection.read_response(disable_decoding=True)
        except ResponseError:
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._free.append(connection)

    async def give_back(self) -> None:
        """Return one free connection to the pool, so that a pool with few connections can serve other commands."""
        if self._free:
            await self._pool.release(self._free.pop())

    async def _take(self) -> Any:
        if not self._free:
            return await self._pool.get_connection()
        connection = self._free.pop()
        try:
            # The pool's own check: it replaces a connection that the server has closed.
            await self._pool.ensure_connection(connection)
        except BaseException:
            self._free.append(connection)
            raise
        return connection
