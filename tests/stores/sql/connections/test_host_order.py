"""Several hosts in a URL: the one that gave the last connection is tried first."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from cbstore_sql.stores.sql.connections.checkout_async import open_async_engine
from cbstore_sql.stores.sql.connections.engine import open_engine


def with_hosts(url: str, port_that_refuses: int) -> str:
    """The URL with a first host at which no server listens."""
    parts = sa.make_url(url)
    hosts = [f"127.0.0.1:{port_that_refuses}", f"{parts.host}:{parts.port}"]
    several = parts.set(host=None, port=None).update_query_dict({"host": hosts, "target_session_attrs": "read-write"})
    return several.render_as_string(hide_password=False)


def watched(engine: Engine) -> list[tuple[str, str]]:
    """The hosts and ports with which the engine connects from now on."""
    tried: list[tuple[str, str]] = []

    def note(dialect: Any, record: Any, args: Any, arguments: dict[str, Any]) -> None:
        tried.append((arguments["host"], arguments["port"]))

    sa.event.listen(engine, "do_connect", note)
    return tried


@pytest.fixture
def refusing() -> Any:
    """A port that is bound and where nobody listens."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        yield place.getsockname()[1]


def test_the_host_that_gave_the_last_connection_is_tried_first(postgres_url: str, refusing: int) -> None:
    port = sa.make_url(postgres_url).port
    engine = open_engine(with_hosts(postgres_url, refusing))
    tried = watched(engine)
    for _ in range(2):
        engine.connect().invalidate()
    assert [ports for _, ports in tried] == [f"{refusing},{port}", f"{port},{refusing}"]
    engine.dispose()


def test_an_asynchronous_engine_tries_the_host_of_the_last_connection_first(postgres_url: str, refusing: int) -> None:
    port = sa.make_url(postgres_url).port

    async def connect_twice() -> list[tuple[str, str]]:
        engine = open_async_engine(with_hosts(postgres_url, refusing))
        tried = watched(engine.sync_engine)
        for _ in range(2):
            async with engine.connect() as connection:
                await connection.invalidate()
        await engine.dispose()
        return tried

    tried = asyncio.run(connect_twice())
    assert [ports for _, ports in tried] == [f"{refusing},{port}", f"{port},{refusing}"]


@pytest.mark.parametrize(
    ("given", "hosts", "ports"),
    [
        ("/db?host=a:1&host=b:2&host=c:3", "b,a,c", "2,1,3"),
        ("a,b,c:2/db", "b,a,c", "2,2,2"),
        ("/db?host=a,b", "b,a", ","),
        ("/db?host=a:2&host=c:2", "a,c", "2,2"),
        ("/db?host=b&hostaddr=127.0.0.1,127.0.0.2", "b", ""),
    ],
)
def test_the_other_hosts_keep_their_ports_and_their_order(given: str, hosts: str, ports: str) -> None:
    engine = open_engine(f"postgresql://u@{given}")
    info = type("Info", (), {"host": "b", "port": 2})
    for learn in engine.pool.dispatch.connect:
        if "learn" in getattr(learn, "__name__", ""):
            learn(None, type("Record", (), {"driver_connection": type("Driver", (), {"info": info})}))
    _, arguments = engine.dialect.create_connect_args(engine.url)
    for arrange in engine.dialect.dispatch.do_connect:
        arrange(engine.dialect, None, (), arguments)
    assert (arguments["host"], str(arguments.get("port", ""))) == (hosts, ports)
