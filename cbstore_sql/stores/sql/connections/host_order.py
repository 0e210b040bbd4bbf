"""The order of the hosts in a URL with several hosts: the host that gave the last connection is tried first.

libpq tries the hosts in the order of the URL. If the first host is dead and its network drops packets, every new
connection would wait for ``connect_timeout`` before libpq tries the next host.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

_SEVERAL = ","


def try_last_host_first(engine: Engine) -> None:
    """Make an engine that the store made try the host that gave its last connection first.

    Args:
        engine: The engine; for an asynchronous store, the sync engine behind the ``AsyncEngine``. If its URL names one
            host, or gives addresses as ``hostaddr``, this function does nothing.
    """
    _, arguments = engine.dialect.create_connect_args(engine.url)
    if _SEVERAL in str(arguments.get("host", "")) and "hostaddr" not in arguments:
        order = _HostOrder()
        event.listen(engine, "do_connect", order.arrange)
        event.listen(engine, "connect", order.learn)


class _HostOrder:
    def __init__(self) -> None:
        self._last: tuple[str, str] | None = None

    def learn(self, connection: Any, record: Any) -> None:
        """Remember the host and the port of a new connection."""
        info = record.driver_connection.info
        self._last = (info.host, str(info.port))

    def arrange(self, dialect: Any, record: Any, args: Any, arguments: dict[str, Any]) -> None:
        """Put the remembered host first in the arguments of a new connection; keep the order of all other hosts."""
        hosts, ports = (str(arguments.get(name, "")).split(_SEVERAL) for name in ("host", "port"))
        if len(ports) != len(hosts):
            # One port holds for all hosts.
            ports = ports[:1] * len(hosts)
        places = sorted(zip(hosts, ports, strict=True), key=lambda place: not self._is_last(*place))
        for name, values in zip(("host", "port"), zip(*places, strict=True), strict=True):
            arguments[name] = _SEVERAL.join(values)

    def _is_last(self, host: str, port: str) -> bool:
        return self._last is not None and host == self._last[0] and port in ("", self._last[1])
